/* Leases, bounds and rank batches in the store: who has what, when it ends, and that nothing is left behind. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kit/source.h"
#include "kit/store.h"
#include "store/bounds.h"
#include "store/ended.h"
#include "store/lease.h"
#include "store/once.h"
#include "store/rank.h"

static const struct span field = SPAN_LITERAL("f");

static void fill(struct kit *k, unsigned from, unsigned n) {
    for (unsigned i = from; i < from + n; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(kit_field(k, "p", key, "f", SPAN_LITERAL("v")), 0);
    }
}

static struct sample_call call_of(uint64_t count) {
    return (struct sample_call){.partition = SPAN_LITERAL("p"),
                                .task = SPAN_LITERAL("t"),
                                .count = count,
                                .at_least = count,
                                .n_fields = 1,
                                .fields = &field,
                                .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
}

/* Takes `count` for so long; the lease's id, 0 where there was no batch. */
static uint64_t lease(struct kit *k, uint64_t count, int64_t ms) {
    struct sample_call call = call_of(count);
    struct sampled sampled;
    call.lease_ms = ms;
    call.holder = SPAN_LITERAL("someone");
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    return sampled.outcome == SAMPLE_BATCH ? sampled.op.select.lease.id : 0;
}

/* What has run out by now comes back, in the order of its end; returns how many leases. */
static size_t expire(struct kit *k) {
    struct op op;
    size_t n = 0;
    int64_t last = 0;
    for (; lease_plan_expiry(k->store, k->now_ms, &op); n++) {
        assert_true(lease_next_end(k->store) >= last);
        assert_true(lease_next_end(k->store) <= k->now_ms);
        last = lease_next_end(k->store);
        store_apply(k->store, &op);
    }
    return n;
}

static struct task *task(struct kit *k) {
    return partition_task(kit_partition(k, "p"), SPAN_LITERAL("t"));
}

static int ack(struct kit *k, uint64_t id, size_t *n) {
    char text[24];
    struct op op;
    struct lease_request request = {.partition = SPAN_LITERAL("p"), .task = SPAN_LITERAL("t")};
    snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
    request.id = span_of_string(text);
    int failed = lease_plan_ack(k->store, &request, k->now_ms, &k->scratch, &op, &k->error);
    if (!failed) *n = store_apply(k->store, &op);
    return failed;
}

static void test_leases_end_in_the_order_of_their_ends(void **state) {
    struct kit *k = *state;
    struct source source = source_of_seed(3);
    fill(k, 0, 500);
    for (int i = 0; i < 500; i++)
        assert_true(lease(k, 1, 1 + (int64_t)source_below(&source, 1000)));
    assert_int_equal(lease(k, 1, 5), 0);
    assert_int_equal(task(k)->leased, 500);
    size_t ended = 0;
    for (int step = 0; step < 100; step++) {
        k->now_ms += 10;
        ended += expire(k);
        assert_true(lease_next_end(k->store) > k->now_ms);
        assert_int_equal(task(k)->leased, 500 - ended);
    }
    k->now_ms += 10;
    ended += expire(k);
    assert_int_equal(ended, 500);
    assert_true(lease_next_end(k->store) == LEASE_NEVER);
}

/* What the end of a lease costs does not depend on how many there are: slots move when half of them
 * have ended, wherever these stand. */
static void test_a_lease_ends_without_moving_others(void **state) {
    enum { N = 1000 };
    struct kit *k = *state;
    uint64_t ids[N];
    size_t n, moved = 0;
    fill(k, 0, N);
    for (int i = 0; i < N; i++) assert_true(ids[i] = lease(k, 1, 1000 + i * 7919 % N));
    for (size_t left = N; left;) {
        size_t slots = task(k)->n_lease_slots;
        if (left % 3) {
            size_t at = left * 7907 % left;
            assert_int_equal(ack(k, ids[at], &n), 0);
            ids[at] = ids[--left];
        } else {
            k->now_ms = lease_next_end(k->store);
            left -= expire(k);
            size_t kept = 0;
            for (size_t i = 0; kept < left; i++)
                if (lease_find(task(k), ids[i])) ids[kept++] = ids[i];
        }
        assert_int_equal(task(k)->n_leases, left);
        if (task(k)->n_lease_slots != slots) moved += task(k)->n_lease_slots;
    }
    assert_true(moved <= N);
    assert_int_equal(task(k)->n_lease_slots, 0);
}

static void test_a_lease_is_acknowledged_once_and_in_time(void **state) {
    struct kit *k = *state;
    size_t n = 0;
    fill(k, 0, 4);
    uint64_t first = lease(k, 2, 100), second = lease(k, 2, 100);
    assert_int_equal(ack(k, first, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(ack(k, first, &n), ERROR_NOLEASE);
    k->now_ms += 100;
    assert_int_equal(expire(k), 1);
    assert_int_equal(ack(k, second, &n), ERROR_NOLEASE);
    assert_int_equal(task(k)->consumed, 2);
    assert_int_equal(task(k)->leased, 0);
}

static void test_the_last_replies_are_remembered(void **state) {
    struct kit *k = *state;
    struct lease_request request = {.partition = SPAN_LITERAL("p"), .task = SPAN_LITERAL("t")};
    char text[24];
    uint64_t samples, first = 0, id = 0;
    size_t n;
    fill(k, 0, 1);
    for (unsigned i = 0; i <= ENDED_MAX; i++) {
        struct op op;
        id = lease(k, 1, 1000);
        if (!i) first = id;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
        request.id = span_of_string(text);
        scratch_reset(&k->scratch);
        assert_int_equal(
            lease_plan_nack(k->store, &request, k->now_ms, &k->scratch, &op, &k->error), 0);
        store_apply(k->store, &op);
    }
    assert_int_equal(kit_partition(k, "p")->ended->n, ENDED_MAX);
    assert_true(lease_answered(k->store, &request, true, &k->scratch, &samples));
    assert_int_equal(samples, 1);
    assert_false(lease_answered(k->store, &request, false, &k->scratch, &samples));
    snprintf(text, sizeof(text), "%llu", (unsigned long long)first);
    request.id = span_of_string(text);
    assert_false(lease_answered(k->store, &request, true, &k->scratch, &samples));
    snprintf(text, sizeof(text), "%llu", (unsigned long long)first + 1);
    request.id = span_of_string(text);
    assert_true(lease_answered(k->store, &request, true, &k->scratch, &samples));
    uint64_t with = partition_overhead(kit_partition(k, "p"));
    assert_int_equal(ack(k, lease(k, 1, 1000), &n), 0);
    assert_int_equal(
        kit_reset(k, &(struct reset){{.partition = SPAN_LITERAL("p")}, SPAN_LITERAL("t")}), 0);
    assert_int_equal(kit_partition(k, "p")->ended->n, 0);
    assert_true(with - partition_overhead(kit_partition(k, "p")) >
                ENDED_MAX * sizeof(struct ended_reply));
    assert_false(lease_answered(k->store, &request, true, &k->scratch, &samples));
}

static void test_replies_of_one_task_are_forgotten(void **state) {
    struct kit *k = *state;
    static const struct task one, two;
    struct ended ended = {0};
    (void)k;
    for (uint64_t i = 0; i < ENDED_MAX + 10; i++)
        ended_add(&ended, &(struct ended_reply){i, ENDED_ACK, i % 2 ? &one : &two, i});
    assert_null(ended_find(&ended, &two, 8, ENDED_ACK));
    assert_null(ended_find(&ended, &two, 11, ENDED_ACK));
    assert_int_equal(ended_find(&ended, &one, 11, ENDED_ACK)->samples, 11);
    ended_drop_task(&ended, &one);
    assert_int_equal(ended.n, ENDED_MAX / 2);
    assert_null(ended_find(&ended, &one, 11, ENDED_ACK));
    assert_int_equal(ended_find(&ended, &two, ENDED_MAX, ENDED_ACK)->samples, ENDED_MAX);
    ended_add(&ended, &(struct ended_reply){5, ENDED_NACK, &one, 3});
    assert_int_equal(ended_at(&ended, 0)->lease, 10);
    assert_int_equal(ended_at(&ended, ENDED_MAX / 2)->lease, 5);
    ended_free(&ended);
}

/* ---- ONCE --------------------------------------------------------------------------------- */

static struct sampled sample_once(struct kit *k, const char *holder, uint64_t number,
                                  uint64_t count) {
    struct sample_call call = call_of(count);
    struct sampled sampled;
    struct op op;
    const uint64_t *seqs;
    size_t n;
    call.once = (struct op_once){.holder = span_of_string(holder), .number = number};
    if (sample_plan_confirm(k->store, &call, k->now_ms, &k->scratch, &op, &seqs, &n))
        store_apply(k->store, &op);
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    return sampled;
}

/* Ends holds whose time is over, with what retires then; returns how many samples that were. */
static size_t end_holds(struct kit *k) {
    struct op op;
    const uint64_t *seqs;
    size_t n, retired = 0;
    while (once_plan_expiry(k->store, k->now_ms, &k->scratch, &op, &seqs, &n)) {
        store_apply(k->store, &op);
        if (retire_plan(k->store, op.partition, seqs, n, k->now_ms, &k->scratch, &op))
            retired += store_apply(k->store, &op);
    }
    return retired;
}

static void test_a_batch_is_held_for_an_hour(void **state) {
    struct kit *k = *state;
    struct span task = SPAN_LITERAL("t");
    struct op op;
    struct define define = {.partition = SPAN_LITERAL("p"),
                            .sets_retire = true,
                            .bounds = {.n_retire = 1, .retire = &task}};
    assert_int_equal(define_plan(k->store, &define, k->now_ms, &k->scratch, &op, &k->error), 0);
    store_apply(k->store, &op);
    fill(k, 0, 9);
    assert_true(once_next_end(k->store) == LEASE_NEVER);
    int64_t begin = k->now_ms;
    sample_once(k, "a", 1, 2);
    k->now_ms += 1000;
    sample_once(k, "b", 1, 3);
    assert_true(once_next_end(k->store) == begin + ONCE_HOLD_MS);
    k->now_ms = begin + ONCE_HOLD_MS - 1;
    assert_int_equal(end_holds(k), 0);
    k->now_ms++;
    assert_int_equal(end_holds(k), 2);
    assert_int_equal(kit_partition(k, "p")->samples, 7);
    assert_true(sample_once(k, "b", 1, 3).remembered);
    sample_once(k, "b", 2, 1); /* call 1 is held no longer, and nothing has looked what retires */
    assert_true(once_next_end(k->store) == k->now_ms + ONCE_HOLD_MS);
    kit_drop(k, "p");
    assert_true(once_next_end(k->store) == LEASE_NEVER);
}

static void test_the_longest_silent_holder_goes(void **state) {
    struct kit *k = *state;
    char name[16];
    fill(k, 0, ONCE_MAX + 3);
    for (unsigned i = 0; i < ONCE_MAX; i++) {
        scratch_reset(&k->scratch);
        snprintf(name, sizeof(name), "h%u", i);
        sample_once(k, name, 1, 1);
    }
    struct partition *p = kit_partition(k, "p");
    sample_once(k, "h0", 2, 1);
    struct op op = once_confirmation(once_find(p, SPAN_LITERAL("h1")), 2, k->now_ms);
    store_apply(k->store, &op); /* h1 has sent another call, which took nothing */
    struct sampled sampled = sample_once(k, "new", 1, 1);
    assert_int_equal(sampled.n_finished, 1); /* what h2 was given */
    assert_int_equal(sampled.finished[0], 2);
    assert_int_equal(p->onces->n, ONCE_MAX);
    assert_null(once_find(p, SPAN_LITERAL("h2")));
    assert_true(once_find(p, SPAN_LITERAL("h0")) && once_find(p, SPAN_LITERAL("h1")));
    assert_int_equal(task(k)->held, ONCE_MAX - 1);
    uint64_t with = partition_overhead(p);
    assert_int_equal(
        kit_reset(k, &(struct reset){{.partition = SPAN_LITERAL("p")}, SPAN_LITERAL("t")}), 0);
    assert_int_equal(p->onces->n, 0);
    assert_true(with - partition_overhead(p) > ONCE_MAX * sizeof(struct once));
}

/* Leases given, acknowledged, run out, cleared and dropped at random: counts agree with bits, and in the end all memory is
 * back (kit_teardown looks). */
static void test_leases_come_and_go(void **state) {
    struct kit *k = *state;
    struct source source = source_of_seed(11);
    unsigned made = 0;
    for (uint64_t step = 0; step < test_rounds(3000); step++) {
        size_t n;
        switch (source_below(&source, 8)) {
        case 0:
        case 1: fill(k, made, 5), made += 5; break;
        case 2:
        case 3:
            if (made)
                lease(k, 1 + source_below(&source, 6), 1 + (int64_t)source_below(&source, 50));
            break;
        case 4: k->now_ms += (int64_t)source_below(&source, 20), expire(k); break;
        case 5:
        case 6:
            if (made && task(k) && task(k)->n_leases) {
                uint64_t at = source_below(&source, task(k)->n_leases);
                const struct lease *any = lease_after(task(k), 0);
                while (at--) any = lease_after(task(k), any->id);
                assert_int_equal(ack(k, any->id, &n), 0);
            }
            break;
        case 7: {
            char key[16];
            snprintf(key, sizeof(key), "k%u", (unsigned)source_below(&source, made + 1));
            if (made) kit_clear_key(k, "p", key);
        }
        }
        uint64_t held = 0;
        const struct lease *each = made && task(k) ? lease_after(task(k), 0) : NULL;
        for (; each; each = lease_after(task(k), each->id)) held += lease_samples(each);
        if (made && task(k)) assert_int_equal(held, task(k)->leased);
    }
}

static void test_a_dropped_partition_leaves_no_lease(void **state) {
    struct kit *k = *state;
    fill(k, 0, 3);
    lease(k, 3, 100);
    kit_drop(k, "p");
    assert_true(lease_next_end(k->store) == LEASE_NEVER);
    fill(k, 0, 1);
    assert_int_equal(lease(k, 1, LEASE_NEVER - 1), 2); /* ids are not used again */
    assert_true(lease_next_end(k->store) < LEASE_NEVER);
}

/* ---- rank batches ------------------------------------------------------------------------- */

static int sample_rank(struct kit *k, uint64_t rank, uint64_t batch, uint64_t count,
                       struct sampled *sampled) {
    struct sample_call call = call_of(count);
    call.ranked = true;
    call.rank = rank;
    call.batch = batch;
    call.fingerprint = SPAN_LITERAL("how");
    return kit_sample(k, &call, sampled);
}

static void finish_rank(struct kit *k, uint64_t rank, uint64_t batch) {
    struct op op = {.kind = OP_DONE,
                    .partition = SPAN_LITERAL("p"),
                    .now_ms = k->now_ms,
                    .select = {.task = SPAN_LITERAL("t"),
                               .rank = {.given = true, .rank = rank, .batch = batch}}};
    store_apply(k->store, &op);
}

/* A stream of batches, each cleared after its rank was done with it: what is remembered does not
 * grow. */
static void test_what_is_remembered_is_in_proportion(void **state) {
    struct kit *k = *state;
    struct sampled sampled;
    size_t most = 0;
    for (unsigned batch = 0; batch < 2000; batch++) {
        fill(k, batch * 2, 2);
        assert_int_equal(sample_rank(k, 0, batch, 2, &sampled), 0);
        assert_int_equal(sampled.n, 2);
        if (batch) finish_rank(k, 0, batch - 1);
        if (task(k)->ranks.n > most) most = task(k)->ranks.n;
        for (unsigned i = 0; batch >= 3 && i < 2; i++) {
            char key[16];
            snprintf(key, sizeof(key), "k%u", (batch - 3) * 2 + i);
            kit_clear_key(k, "p", key);
        }
    }
    if (most > 12) fail_msg("%zu remembered", most);
    assert_int_equal(sample_rank(k, 0, 7, 2, &sampled), ERROR_NOKEY);
    assert_int_equal(task(k)->ranks.n_done, 1);
}

static void test_a_batch_is_the_same_again(void **state) {
    struct kit *k = *state;
    struct sampled sampled;
    fill(k, 0, 100);
    for (uint64_t batch = 0; batch < 10; batch++)
        assert_int_equal(sample_rank(k, batch % 3, batch, 10, &sampled), 0);
    for (uint64_t batch = 10; batch-- > 0;) {
        assert_int_equal(sample_rank(k, batch % 3, batch, 10, &sampled), 0);
        assert_true(sampled.remembered);
        assert_false(sampled.changes);
        for (uint64_t i = 0; i < 10; i++) assert_int_equal(sampled.seqs[i], batch * 10 + i);
    }
    assert_int_equal(sample_rank(k, 2, 0, 10, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_WAIT);
}

/* ---- bounds ------------------------------------------------------------------------------- */

static int define(struct kit *k, struct define *define) {
    struct op op;
    define->partition = SPAN_LITERAL("p");
    scratch_reset(&k->scratch);
    int failed = define_plan(k->store, define, k->now_ms, &k->scratch, &op, &k->error);
    if (!failed) store_apply(k->store, &op);
    return failed;
}

static void repeat_define(void *context, const struct op *op) {
    store_apply(context, op);
}

/* Whoever hears of an op after it was applied can still read it, also what it left as it was. */
static void test_bounds_that_stay_reach_the_hook(void **state) {
    struct kit *k = *state, other;
    const struct span tasks[] = {SPAN_LITERAL("first"), SPAN_LITERAL("second")};
    struct bounds bounds = {
        .ahead = 5, .ahead_task = SPAN_LITERAL("trainer"), .n_retire = 2, .retire = tasks};
    kit_open(&other);
    store_on_change(k->store, repeat_define, other.store);
    assert_int_equal(
        define(k, &(struct define){.sets_ahead = true, .sets_retire = true, .bounds = bounds}), 0);
    assert_int_equal(
        define(k, &(struct define){.alter = true, .sets_samples = true, .bounds.samples = 9}), 0);
    store_on_change(k->store, NULL, NULL);
    struct span ours = kit_dump(k->store), theirs = kit_dump(other.store);
    assert_true(span_equal(ours, theirs));
    kit_dump_free(ours);
    kit_dump_free(theirs);
    store_free(other.store);
}

/* A write that one bound refuses for now and another for ever is refused for ever. */
static void test_what_never_fits_does_not_wait(void **state) {
    struct kit *k = *state;
    struct bounds bounds = {.samples = 2, .bytes = 10};
    fill(k, 0, 2);
    assert_int_equal(define(k, &(struct define){.alter = true,
                                                .sets_samples = true,
                                                .sets_bytes = true,
                                                .bounds = bounds}),
                     0);
    assert_int_equal(kit_field(k, "p", "new", "f", SPAN_LITERAL("fits")), ERROR_FULL);
    assert_true(k->error.retryable);
    assert_int_equal(kit_field(k, "p", "new", "f", SPAN_LITERAL("longer than ten")), ERROR_FULL);
    assert_false(k->error.retryable);
    assert_int_equal(kit_field(k, "p", "k0", "f", SPAN_LITERAL("longer than ten")), 0);
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_int_equal(kit_field(k, "p", "new", "f", SPAN_LITERAL("fits")), ERROR_FULL);
    assert_false(k->error.retryable);
}

/* What was decided before the bound came is there again. */
static void test_a_batch_outlives_a_bound(void **state) {
    struct kit *k = *state;
    struct sampled sampled;
    fill(k, 0, 8);
    assert_int_equal(sample_rank(k, 0, 0, 4, &sampled), 0);
    struct bounds bounds = {.ahead = 2, .ahead_task = SPAN_LITERAL("t")};
    assert_int_equal(
        define(k, &(struct define){.alter = true, .sets_ahead = true, .bounds = bounds}), 0);
    assert_int_equal(sample_rank(k, 0, 0, 4, &sampled), 0);
    assert_int_equal(sampled.n, 4);
    assert_int_equal(sample_rank(k, 0, 1, 4, &sampled), ERROR_FULL);
}

/* p->stranded is counted with each op; here it is counted one by one. */
static uint64_t count_stranded(const struct partition *p) {
    const struct task *task = partition_task(p, p->bounds->ahead_task);
    uint64_t n = 0;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++) {
        uint32_t group = partition_group(p, seq);
        if (p->bounds->ahead && group != GROUP_NONE && groups_get(p->groups, group)->broken)
            n += !task || !task_has_consumed(task, seq);
    }
    return n;
}

static void step_of_broken_groups(struct kit *k, struct source *s) {
    char key[16], group[16];
    unsigned number = (unsigned)source_below(s, 60);
    struct sample_call call = call_of(1 + source_below(s, 4));
    struct sampled sampled;
    struct reset reset = {.select.partition = call.partition, .task = SPAN_LITERAL("t")};
    struct bounds bounds = {.ahead = source_below(s, 4) ? 1000 : 0,
                            .ahead_task =
                                source_below(s, 4) ? SPAN_LITERAL("t") : SPAN_LITERAL("u")};
    snprintf(key, sizeof(key), "k%u", number);
    snprintf(group, sizeof(group), "g%u", number / 3);
    struct span named[] = {span_of_string(key)};
    switch (source_below(s, 16)) {
    case 0:
    case 1: kit_clear_key(k, "p", key); break;
    case 2:
    case 3:
    case 4:
        if (source_below(s, 2)) call.task = SPAN_LITERAL("u");
        kit_sample(k, &call, &sampled);
        break;
    case 5:
        if (source_below(s, 4)) reset.select.n_keys = 1, reset.select.keys = named;
        if (source_below(s, 4) == 0) reset.task = span_of(NULL, 0);
        kit_reset(k, &reset);
        break;
    case 6:
        if (source_once_in(s, 4))
            define(k, &(struct define){.alter = true, .sets_ahead = true, .bounds = bounds});
        break;
    default:
        if (kit_group(k, "p", key, group, 3) == 0) kit_field(k, "p", key, "f", SPAN_LITERAL("v"));
    }
}

static void test_samples_of_broken_groups_are_counted(void **state) {
    enum { STEPS = 20000 };
    struct kit *k = *state;
    struct source s = source_of_seed(1);
    uint64_t most = 0;
    fill(k, 100, 1);
    for (int i = 0; i < STEPS; i++) {
        step_of_broken_groups(k, &s);
        struct partition *p = kit_partition(k, "p");
        uint64_t stranded = p->stranded;
        assert_int_equal(stranded, count_stranded(p));
        partition_count_stranded(p);
        assert_int_equal(p->stranded, stranded);
        if (stranded > most) most = stranded;
    }
    assert_true(most > 10);
}

/* ---- RETIRE ------------------------------------------------------------------------------- */

/* A group that loses a member waits for it no longer: the others, which were all consumed, are
 * due. */
static void test_who_is_left_alone_retires(void **state) {
    struct kit *k = *state;
    const struct span tasks[] = {SPAN_LITERAL("t")};
    struct bounds bounds = {.n_retire = 1, .retire = tasks};
    struct sample_call call = call_of(2);
    struct sampled sampled;
    struct op op, retires;
    size_t n;
    fill(k, 0, 4);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(kit_group(k, "p", (const char *[]){"k0", "k2", "k1"}[i], "g", 3), 0);
    assert_int_equal(
        define(k, &(struct define){.alter = true, .sets_retire = true, .bounds = bounds}), 0);
    assert_int_equal(kit_clear_key(k, "p", "k3"), 1);
    assert_int_equal(kit_sample(k, &call, &sampled), 0); /* k0, k1 */
    assert_false(retire_plan(k->store, call.partition, NULL, 0, k->now_ms, &k->scratch, &retires));

    const struct span key = SPAN_LITERAL("k2");
    struct clear clear = {.select = {.partition = call.partition, .n_keys = 1, .keys = &key}};
    assert_true(clear_plan(k->store, &clear, k->now_ms, &k->scratch, &op));
    const uint64_t *others = retire_left_alone(kit_partition(k, "p"), &op, &k->scratch, &n);
    store_apply(k->store, &op);
    assert_true(retire_plan(k->store, call.partition, others, n, k->now_ms, &k->scratch, &retires));
    assert_int_equal(store_apply(k->store, &retires), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_leases_end_in_the_order_of_their_ends),
        KIT_TEST(test_a_lease_ends_without_moving_others),
        KIT_TEST(test_a_lease_is_acknowledged_once_and_in_time),
        KIT_TEST(test_the_last_replies_are_remembered),
        KIT_TEST(test_replies_of_one_task_are_forgotten),
        KIT_TEST(test_a_batch_is_held_for_an_hour),
        KIT_TEST(test_the_longest_silent_holder_goes),
        KIT_TEST(test_leases_come_and_go),
        KIT_TEST(test_a_dropped_partition_leaves_no_lease),
        KIT_TEST(test_what_is_remembered_is_in_proportion),
        KIT_TEST(test_a_batch_is_the_same_again),
        KIT_TEST(test_bounds_that_stay_reach_the_hook),
        KIT_TEST(test_what_never_fits_does_not_wait),
        KIT_TEST(test_a_batch_outlives_a_bound),
        KIT_TEST(test_samples_of_broken_groups_are_counted),
        KIT_TEST(test_who_is_left_alone_retires),
    };
    return cmocka_run_group_tests_name("store/lease", tests, NULL, NULL);
}
