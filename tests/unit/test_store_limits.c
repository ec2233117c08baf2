/* The highest numbers: what the live store accepts can be loaded again, and what can't be loaded is
 * refused before anything is applied. Clocks that were wrong at a start. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pack.h"
#include "kit/store.h"
#include "kit/tape.h"
#include "store/check.h"
#include "store/lease.h"
#include "store/once.h"
#include "store/section.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct span field = SPAN_LITERAL("f");

static int put(struct kit *k, const char *key) {
    return kit_field(k, "p", key, "f", SPAN_LITERAL("v"));
}

static struct sample_call sample_one(void) {
    return (struct sample_call){.partition = SPAN_LITERAL("p"),
                                .task = SPAN_LITERAL("t"),
                                .count = 1,
                                .at_least = 1,
                                .n_fields = 1,
                                .fields = &field,
                                .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
}

static uint64_t lease_one(struct kit *k) {
    struct sample_call call = sample_one();
    struct sampled sampled;
    call.lease_ms = 1000;
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
    return sampled.lease;
}

/* What the store holds can be loaded, and is the same then. */
static void expect_loads(struct kit *k) {
    struct kit copy;
    kit_open(&copy);
    struct tape tape = tape_record(k->store, k->now_ms);
    if (tape_play(&tape, copy.store, &copy.error)) fail_msg("%s", copy.error.text);
    struct span here = kit_dump(k->store), there = kit_dump(copy.store);
    assert_true(span_equal(here, there));
    kit_dump_free(here);
    kit_dump_free(there);
    tape_free(&tape);
    kit_close(&copy);
}

/* ---- ids of leases ------------------------------------------------------------------------ */

static void test_leases_at_any_clock(void **state) {
    static const struct {
        int64_t ms;
        bool begins; /* ids begin with the clock, else behind the last one */
    } clocks[] = {
        {1, true},
        {INT64_C(2199023255551), true}, /* 2039-09-07 */
        {INT64_C(2199023255552), true},
        {INT64_C(2208988800000), true}, /* 2040 */
        {INT64_C(4363686772735), true}, /* 2108 */
        {INT64_C(4363686772736), false},
        {INT64_C(1) << 42, false},
        {(INT64_C(1) << 43) + 1, false}, /* 2^21 times that has no room in 64 bits */
        {OP_TIME_MAX, false},
        {2, false}, /* the clock was put right */
    };
    struct kit *k = *state;
    uint64_t last = 0;
    for (size_t i = 0; i < COUNT(clocks); i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%zu", i);
        store_begin_leases(k->store, clocks[i].ms);
        assert_int_equal(put(k, key), 0);
        uint64_t id = lease_one(k);
        assert_true(id == (clocks[i].begins ? (uint64_t)clocks[i].ms << 21 : last) + 1);
        last = id;
        expect_loads(k);
    }
}

/* Without an id left there are no new leases; everything else goes on. */
static void test_the_last_lease(void **state) {
    struct kit *k = *state, copy;
    struct sample_call call = sample_one();
    struct sampled sampled;
    put(k, "a");
    put(k, "b");
    ((struct leases *)store_leases(k->store))->last_id = LEASE_ID_MAX - 1;
    assert_true(lease_one(k) == LEASE_ID_MAX);
    expect_loads(k);
    call.lease_ms = 1000;
    struct span before = kit_dump(k->store);
    assert_int_equal(kit_sample(k, &call, &sampled), ERROR_ERR);
    assert_non_null(strstr(k->error.text, "no more leases can be given"));
    struct span after = kit_dump(k->store);
    assert_true(span_equal(before, after));
    kit_dump_free(before);
    kit_dump_free(after);
    store_begin_leases(k->store, INT64_C(1) << 43);
    assert_true(store_leases(k->store)->last_id == LEASE_ID_MAX);
    call.lease_ms = 0;
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.n, 1);
    expect_loads(k);

    kit_open(&copy);
    ((struct leases *)store_leases(k->store))->last_id = LEASE_ID_MAX + 1;
    struct tape tape = tape_record(k->store, k->now_ms);
    assert_int_equal(tape_play(&tape, copy.store, &copy.error), ERROR_ERR);
    tape_free(&tape);
    kit_close(&copy);
}

static void test_a_lease_of_a_log(void **state) {
    static const uint64_t seqs[] = {0};
    struct kit *k = *state;
    put(k, "a");
    struct op op = {.kind = OP_SAMPLE,
                    .partition = SPAN_LITERAL("p"),
                    .now_ms = k->now_ms,
                    .select = {.n = 1,
                               .seqs = seqs,
                               .task = SPAN_LITERAL("t"),
                               .lease = {.id = LEASE_ID_MAX, .ends_ms = k->now_ms + 1}}};
    assert_int_equal(op_check(k->store, &op, &k->scratch, &k->error), 0);
    op.select.lease.id++;
    assert_int_equal(op_check(k->store, &op, &k->scratch, &k->error), ERROR_ERR);
    op.select.lease.id = UINT64_MAX;
    assert_int_equal(op_check(k->store, &op, &k->scratch, &k->error), ERROR_ERR);
}

/* ---- times of leases ---------------------------------------------------------------------- */

/* Of a lease that was given then: does a snapshot load, and again after it ended that much later? */
static int load_extended(struct kit *k, int64_t given_ms, int64_t ms) {
    struct lease *lease = lease_after(partition_task(kit_partition(k, "p"), SPAN_LITERAL("t")), 0);
    struct kit copy;
    kit_open(&copy);
    lease->given_ms = given_ms;
    lease->ends_ms = LEASE_NEVER - 1;
    struct tape tape = tape_record(k->store, k->now_ms);
    struct load *l = load_new(copy.store, 0);
    struct op op;
    int failed = 0;
    for (size_t i = 0; !failed && i < tape.n; i++)
        failed = tape_load_section(l, tape.sections[i].kind, tape.sections[i].head,
                                   tape.sections[i].payload, &copy.error);
    if (!failed) failed = load_finish(l, &op, &copy.error);
    if (!failed) {
        load_extend_leases(&op, ms);
        store_apply(copy.store, &op);
        expect_loads(&copy);
    }
    load_free(l);
    tape_free(&tape);
    kit_close(&copy);
    return failed;
}

static void test_when_a_lease_was_given(void **state) {
    struct kit *k = *state;
    put(k, "a");
    lease_one(k);
    assert_int_equal(load_extended(k, k->now_ms, 1000), 0);
    assert_int_equal(load_extended(k, OP_TIME_MAX, 1000), 0);
    assert_int_equal(load_extended(k, OP_TIME_MAX, OP_TIME_MAX), 0);
    assert_int_equal(load_extended(k, OP_TIME_MAX + 1, 1000), ERROR_ERR);
    assert_int_equal(load_extended(k, INT64_MAX, 1000), ERROR_ERR);
    assert_int_equal(load_extended(k, -1, 1000), ERROR_ERR);
}

/* ---- seqs --------------------------------------------------------------------------------- */

/* Makes the tape say of its partition that the next sample has this seq, and that all before it
 * were written. */
static void tape_set_next(struct tape *tape, uint64_t next) {
    struct tape_section *section = &tape->sections[1];
    assert_int_equal(section->kind, SECTION_PARTITION);
    struct unpack in = unpack_of(section->head);
    struct pack out = {0};
    pack_span(&out, unpack_span(&in));
    unpack_varint(&in);
    unpack_varint(&in);
    pack_varint(&out, next);
    pack_varint(&out, next);
    pack_bytes(&out, span_of(in.at, unpack_left(&in)));
    struct span head = pack_span_of(&out);
    mem_free((void *)section->head.ptr);
    section->head = span_of(mem_dup(head.ptr, head.len), head.len);
    pack_free(&out);
}

/* A copy of k that goes on with this seq. */
static int open_with_next(struct kit *copy, struct kit *k, uint64_t next) {
    kit_open(copy);
    struct tape tape = tape_record(k->store, k->now_ms);
    tape_set_next(&tape, next);
    int failed = tape_play(&tape, copy->store, &copy->error);
    tape_free(&tape);
    return failed;
}

static void test_seqs_behind_others(void **state) {
    static const uint64_t nexts[] = {0,
                                     1,
                                     KEYINDEX_NONE - 4,
                                     KEYINDEX_NONE - 1,
                                     KEYINDEX_NONE + UINT64_C(1),
                                     (UINT64_C(7) << 32) + KEYINDEX_NONE - 2};
    (void)state;
    for (size_t i = 0; i < COUNT(nexts); i++) {
        uint64_t next = nexts[i];
        for (uint64_t n = 0; n < 8; n++, next = partition_seq_after(next))
            assert_true(partition_seq_behind(nexts[i], n) == next);
    }
}

/* The blocks that were cleared are passed over at once: to walk over them would take years. */
static void test_an_empty_partition_far_along(void **state) {
    struct kit *k = *state, copy;
    struct sample_call call = sample_one();
    struct sampled sampled;
    put(k, "a");
    kit_sample(k, &call, &sampled);
    kit_clear_key(k, "p", "a");
    assert_int_equal(open_with_next(&copy, k, PARTITION_SEQ_MAX - 3), 0);
    alarm(60);
    assert_int_equal(kit_sample(&copy, &call, &sampled), 0);
    alarm(0);
    assert_int_equal(sampled.outcome, SAMPLE_WAIT);
    assert_int_equal(put(&copy, "b"), 0);
    assert_int_equal(kit_sample(&copy, &call, &sampled), 0);
    assert_int_equal(sampled.n, 1);
    assert_int_equal(put(&copy, "c"), 0);
    expect_loads(&copy);
    assert_int_equal(put(&copy, "d"), ERROR_FULL);
    kit_clear_key(&copy, "p", "b");
    kit_clear_key(&copy, "p", "c");
    assert_int_equal(put(&copy, "d"), ERROR_FULL);
    expect_loads(&copy);
    kit_close(&copy);
    assert_int_equal(open_with_next(&copy, k, PARTITION_SEQ_MAX + 1), ERROR_ERR);
    kit_close(&copy);
}

/* Behind its oldest sample a partition has room for as many seqs as a snapshot may have, the one
 * that means "none" included. */
static void test_samples_far_apart(void **state) {
    struct kit *k = *state, copy;
    put(k, "a");
    assert_int_equal(open_with_next(&copy, k, PARTITION_SAMPLES_MAX), ERROR_ERR);
    kit_close(&copy);
    assert_int_equal(open_with_next(&copy, k, KEYINDEX_NONE - 2), 0);
    assert_int_equal(put(&copy, "b"), 0);
    expect_loads(&copy);
    assert_int_equal(put(&copy, "c"), ERROR_FULL); /* the next seq would be 2^32 */
    assert_non_null(strstr(copy.error.text, "samples 0 to 4294967295"));
    expect_loads(&copy);
    kit_clear_key(&copy, "p", "a");
    assert_int_equal(put(&copy, "c"), 0);
    assert_true(kit_partition(&copy, "p")->next_seq == PARTITION_SAMPLES_MAX);
    expect_loads(&copy);
    kit_close(&copy);
}

/* ---- holds of ONCE ------------------------------------------------------------------------ */

static const struct once *sample_once(struct kit *k, const char *holder) {
    struct sample_call call = sample_one();
    struct sampled sampled;
    call.once = (struct op_once){.holder = span_of_string(holder), .number = 1};
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.n, 1);
    return once_find(kit_partition(k, "p"), span_of_string(holder));
}

/* Ends the holds that are over; returns how many. */
static size_t end_holds(struct kit *k) {
    const uint64_t *seqs;
    struct op op;
    size_t n, ended = 0;
    for (; once_plan_expiry(k->store, k->now_ms, &k->scratch, &op, &seqs, &n); ended++)
        store_apply(k->store, &op);
    return ended;
}

/* After the clock was set back, holds from before end in an hour, like new ones. */
static void test_holds_of_a_later_clock(void **state) {
    enum { DAY_MS = 24 * 60 * 60 * 1000 };
    struct kit *k = *state, copy;
    put(k, "a");
    put(k, "b");
    sample_once(k, "one");
    kit_open(&copy);
    copy.now_ms = k->now_ms - DAY_MS;
    struct tape tape = tape_record(k->store, k->now_ms);
    assert_int_equal(tape_play(&tape, copy.store, &copy.error), 0);
    store_begin_leases(copy.store, copy.now_ms);
    assert_true(once_next_end(copy.store) == copy.now_ms + ONCE_HOLD_MS);
    copy.now_ms += 10;
    assert_true(sample_once(&copy, "two")->held_until_ms == copy.now_ms + ONCE_HOLD_MS);
    copy.now_ms += ONCE_HOLD_MS - 1;
    assert_int_equal(end_holds(&copy), 1);
    copy.now_ms++;
    assert_int_equal(end_holds(&copy), 1);
    assert_true(once_next_end(copy.store) == LEASE_NEVER);
    tape_free(&tape);
    kit_close(&copy);
}

/* Ends that do not rise, as a log has them: the first to end is the first to be ended. */
static void test_holds_end_in_the_order_of_their_ends(void **state) {
    struct kit *k = *state;
    static const int ends[] = {500, 100, 300, 100, 900, 50};
    int64_t began_ms = k->now_ms;
    for (size_t i = 0; i < COUNT(ends); i++) {
        char name[8];
        snprintf(name, sizeof(name), "k%zu", i);
        put(k, name);
        uint64_t seq = kit_seq(k, "p", name);
        struct op op = {.kind = OP_SAMPLE,
                        .partition = SPAN_LITERAL("p"),
                        .now_ms = k->now_ms,
                        .select = {.n = 1,
                                   .seqs = &seq,
                                   .task = SPAN_LITERAL("t"),
                                   .once = {.holder = span_of_string(name),
                                            .number = 1,
                                            .held_until_ms = k->now_ms + ends[i]}}};
        assert_int_equal(op_check(k->store, &op, &k->scratch, &k->error), 0);
        store_apply(k->store, &op);
    }
    static const int sorted[] = {50, 100, 300, 500, 900};
    for (size_t i = 0; i < COUNT(sorted); i++) {
        assert_true(once_next_end(k->store) == began_ms + sorted[i]);
        k->now_ms = began_ms + sorted[i];
        assert_int_equal(end_holds(k), sorted[i] == 100 ? 2 : 1);
    }
    assert_true(once_next_end(k->store) == LEASE_NEVER);
}

/* A snapshot whose hold ends at no sensible time: it is over an hour after the load. */
static void test_a_hold_that_would_not_end(void **state) {
    struct kit *k = *state, copy;
    put(k, "a");
    ((struct once *)sample_once(k, "one"))->held_until_ms = LEASE_NEVER - 1;
    kit_open(&copy);
    struct tape tape = tape_record(k->store, k->now_ms);
    assert_int_equal(tape_play(&tape, copy.store, &copy.error), 0);
    assert_true(once_next_end(copy.store) == k->now_ms + ONCE_HOLD_MS);
    tape_free(&tape);
    kit_close(&copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_leases_at_any_clock),
        KIT_TEST(test_the_last_lease),
        KIT_TEST(test_a_lease_of_a_log),
        KIT_TEST(test_when_a_lease_was_given),
        KIT_TEST(test_seqs_behind_others),
        KIT_TEST(test_an_empty_partition_far_along),
        KIT_TEST(test_samples_far_apart),
        KIT_TEST(test_holds_of_a_later_clock),
        KIT_TEST(test_holds_end_in_the_order_of_their_ends),
        KIT_TEST(test_a_hold_that_would_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
