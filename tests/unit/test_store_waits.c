/* Which changes wake a call that waits for whole units: sample_matches says what an op is worth to
 * it, and it is tried when nothing is missing any more.
 *
 * Drawn changes: whenever a call sleeps, a try would find that it still waits. By hand: a change
 * that completes no group is worth nothing, and one that completes a group is worth all of it,
 * once. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "kit/fail.h"
#include "kit/source.h"
#include "kit/store.h"
#include "store/lease.h"
#include "store/mput.h"

enum { KEYS = 24, GROUP_SIZE = 3, BATCH_MOST = 8 };

static const struct span field_f = SPAN_LITERAL("f");

/* ---- writes ------------------------------------------------------------------------------- */

struct writing {
    size_t n;
    struct span keys[BATCH_MOST], groups[BATCH_MOST], tags[BATCH_MOST];
    bool has_groups, has_tags, has_fields;
    uint64_t group_size;
};

static int write_batch(struct kit *k, const struct writing *w) {
    struct mput_tag tag = {SPAN_LITERAL("v"), w->tags};
    struct mput_column column = {.name = field_f, .payload = SPAN_LITERAL("xxxxxxxx")};
    struct mput mput = {.partition = SPAN_LITERAL("p"),
                        .n = w->n,
                        .keys = w->keys,
                        .group_ids = w->has_groups ? w->groups : NULL,
                        .group_size = w->has_groups ? w->group_size : 0,
                        .n_tags = w->has_tags,
                        .n_columns = w->has_fields,
                        .tags = &tag,
                        .columns = &column};
    struct op op;
    bool held;
    assert_int_equal(dtype_parse(SPAN_LITERAL("u8"), &column.type, NULL), 0);
    column.payload.len = w->n;
    scratch_reset(&k->scratch);
    int failed = mput_plan(k->store, &mput, WRITE_VALUES_FIRST, k->now_ms, &k->scratch, &op, &held,
                           &k->error);
    if (!failed && !held) store_apply(k->store, &op);
    return failed;
}

/* Samples a, b, … with the field, each a letter; with `group` all in that one. */
static void put(struct kit *k, const char *letters, const char *group, uint64_t size) {
    struct writing w = {.n = strlen(letters), .has_fields = true, .has_groups = group != NULL};
    w.group_size = size;
    for (size_t i = 0; i < w.n; i++) {
        w.keys[i] = span_of(letters + i, 1);
        w.groups[i] = group ? span_of_string(group) : span_of(NULL, 0);
    }
    assert_int_equal(write_batch(k, &w), 0);
}

/* ---- a call that waits, as the server keeps it -------------------------------------------- */

struct caller {
    struct sample_call call;
    bool waits, filters;
    uint64_t missing; /* 0: it is to be tried */
    unsigned woken;   /* times it was to be tried */
};

static void caller_matches(struct caller *c, uint64_t matches) {
    if (!c->waits || !c->missing) return;
    c->missing -= matches < c->missing ? matches : c->missing;
    if (!c->missing) c->woken++;
}

/* How the server wakes: see change_of, concerns_all in server/server.c. */
static uint64_t changed_by(const struct op *op) {
    switch (op->kind) {
    case OP_PUT: return op->put.n;
    case OP_EXPIRE:
    case OP_NACK: return op->select.n;
    case OP_SAMPLE: return op->select.rank.given ? UINT64_MAX : 0;
    case OP_ACK: return 0;
    default: return UINT64_MAX;
    }
}

static bool concerns_all(const struct op *op) {
    return op->kind == OP_RESET || op->kind == OP_SEAL || op->kind == OP_EXPECT ||
           op->kind == OP_DROP || (op->kind == OP_SAMPLE && op->select.rank.given);
}

struct callers {
    struct kit *kit;
    struct caller *all;
    size_t n;
    struct scratch scratch;
};

static void on_change(void *context, const struct op *op) {
    struct callers *callers = context;
    const struct partition *p = store_find(callers->kit->store, op->partition);
    bool everything = !p || partition_is_ended(p);
    for (size_t i = 0; i < callers->n; i++) {
        struct caller *c = &callers->all[i];
        if (!c->waits) continue;
        if (concerns_all(op))
            caller_matches(c, UINT64_MAX);
        else if (c->filters)
            caller_matches(c, sample_matches(callers->kit->store, &c->call, op, &callers->scratch));
        else
            caller_matches(c, everything ? UINT64_MAX : changed_by(op));
    }
    scratch_reset(&callers->scratch);
}

/* A sleeping call is tried too, and has to find that it waits. */
static void caller_try(struct callers *callers, struct caller *c, bool takes) {
    struct kit *k = callers->kit;
    struct sampled sampled;
    bool sleeps = c->waits && c->missing;
    scratch_reset(&k->scratch);
    int failed = sample_plan(k->store, &c->call, k->now_ms, &k->scratch, &sampled, &k->error);
    bool waits = !failed && sampled.outcome == SAMPLE_WAIT;
    EXPECT(waits || !sleeps, "call %zu sleeps, %llu missing, and could go: %d, %zu samples",
           (size_t)(c - callers->all), (unsigned long long)c->missing, failed, sampled.n);
    if (sleeps) return;
    c->waits = waits;
    if (waits) {
        c->missing = sampled.missing;
        c->filters = sampled.filters;
    } else if (!failed && sampled.outcome == SAMPLE_BATCH && takes) {
        if (sampled.changes) store_apply(k->store, &sampled.op);
        if (c->call.ranked) c->call.batch++;
    }
}

static struct sample_call call_of(const char *task, uint64_t count, const char *by,
                                  uint64_t number) {
    return (struct sample_call){.partition = SPAN_LITERAL("p"),
                                .task = span_of_string(task),
                                .count = count,
                                .at_least = count,
                                .n_fields = 1,
                                .fields = &field_f,
                                .sampler = sampler_find(span_of_string(by)),
                                .args = {.number = number}};
}

static struct sample_call call_balanced(const char *task, uint64_t count, bool groups,
                                        uint64_t number) {
    struct sample_call call = call_of(task, count, "BALANCED", number);
    call.args.tag = SPAN_LITERAL("v");
    call.args.ranks = 2;
    call.args.groups = groups;
    call.ranked = true;
    call.fingerprint = SPAN_LITERAL("the same");
    return call;
}

/* ---- drawn changes ------------------------------------------------------------------------ */

static const struct span keys[KEYS] = {
    SPAN_LITERAL("a"), SPAN_LITERAL("b"), SPAN_LITERAL("c"), SPAN_LITERAL("d"), SPAN_LITERAL("e"),
    SPAN_LITERAL("f"), SPAN_LITERAL("g"), SPAN_LITERAL("h"), SPAN_LITERAL("i"), SPAN_LITERAL("j"),
    SPAN_LITERAL("k"), SPAN_LITERAL("l"), SPAN_LITERAL("m"), SPAN_LITERAL("n"), SPAN_LITERAL("o"),
    SPAN_LITERAL("p"), SPAN_LITERAL("q"), SPAN_LITERAL("r"), SPAN_LITERAL("s"), SPAN_LITERAL("t"),
    SPAN_LITERAL("u"), SPAN_LITERAL("v"), SPAN_LITERAL("w"), SPAN_LITERAL("x")};

static const struct span group_ids[KEYS / GROUP_SIZE] = {
    SPAN_LITERAL("A"), SPAN_LITERAL("B"), SPAN_LITERAL("C"), SPAN_LITERAL("D"),
    SPAN_LITERAL("E"), SPAN_LITERAL("F"), SPAN_LITERAL("G"), SPAN_LITERAL("H")};

static const struct span values[2] = {SPAN_LITERAL("0"), SPAN_LITERAL("1")};

/* Some keys from one on, in order or not; members of a group are far from each other or near. */
static void draw_write(struct source *s, struct kit *k, bool near) {
    struct writing w = {.group_size = GROUP_SIZE};
    w.n = source_once_in(s, 2) ? 1 : source_between(s, 1, BATCH_MOST);
    w.has_groups = source_below(s, 3) > 0;
    w.has_tags = source_once_in(s, 2);
    w.has_fields = source_below(s, 4) > 0;
    size_t first = source_below(s, KEYS), step = source_once_in(s, 3) ? 5 : 1;
    for (size_t i = 0; i < w.n; i++) {
        size_t key = (first + i * step) % KEYS;
        w.keys[i] = keys[key];
        w.groups[i] = group_ids[near ? key / GROUP_SIZE : key % (KEYS / GROUP_SIZE)];
        w.tags[i] = values[source_below(s, 2)];
    }
    write_batch(k, &w);
}

/* Samples of a task are leased, by any sampler. */
static void draw_lease(struct source *s, struct kit *k) {
    struct sample_call call = call_of(source_once_in(s, 2) ? "t" : "u", source_between(s, 1, 4),
                                      source_once_in(s, 2) ? "LIFO" : "SEQUENTIAL", 0);
    call.at_least = 1;
    call.lease_ms = source_once_in(s, 2) ? 10 : 0;
    struct sampled sampled;
    kit_sample(k, &call, &sampled);
}

static void draw_return(struct source *s, struct kit *k) {
    char id[24];
    snprintf(id, sizeof(id), "%llu",
             (unsigned long long)store_leases(k->store)->last_id - source_below(s, 3));
    struct span named[3];
    for (size_t i = 0; i < 3; i++) named[i] = keys[source_below(s, KEYS)];
    struct lease_request request = {.partition = SPAN_LITERAL("p"),
                                    .task = source_once_in(s, 2) ? SPAN_LITERAL("t")
                                                                 : SPAN_LITERAL("u"),
                                    .id = span_of_string(id)};
    if (source_once_in(s, 2)) {
        request.n_keys = 1;
        request.keys = named;
    }
    struct op op;
    scratch_reset(&k->scratch);
    int failed = source_once_in(s, 3)
                     ? lease_plan_ack(k->store, &request, k->now_ms, &k->scratch, &op, NULL)
                     : lease_plan_nack(k->store, &request, k->now_ms, &k->scratch, &op, NULL);
    if (!failed) store_apply(k->store, &op);
}

static void pass_time(struct source *s, struct kit *k) {
    struct op op;
    k->now_ms += (int64_t)source_below(s, 10);
    while (lease_plan_expiry(k->store, k->now_ms, &op)) store_apply(k->store, &op);
}

static void draw_change(struct source *s, struct kit *k, bool near) {
    switch (source_below(s, 16)) {
    case 0:
    case 1:
    case 2: draw_lease(s, k); break;
    case 3:
    case 4: draw_return(s, k); break;
    case 5: pass_time(s, k); break;
    case 6:
        if (store_find(k->store, SPAN_LITERAL("p")))
            kit_clear_key(k, "p", (char[]){keys[source_below(s, KEYS)].ptr[0], 0});
        break;
    case 7:
        if (source_once_in(s, 4)) kit_drop(k, "p");
        if (source_once_in(s, 8)) kit_seal(k, "p");
        break;
    default: draw_write(s, k, near);
    }
}

static void trial(uint64_t seed) {
    struct kit kit, *k = &kit;
    struct source s = source_of_seed(seed);
    const struct where_condition tagged = {SPAN_LITERAL("v"), WHERE_EQ, SPAN_LITERAL("1")};
    struct caller all[] = {
        {.call = call_of("t", 3, "GROUP", 0)},       {.call = call_of("u", 6, "GROUP", 0)},
        {.call = call_of("t", 4, "GROUP", 2)},       {.call = call_of("u", 12, "GROUP", 4)},
        {.call = call_of("new", 12, "GROUP", 3)},    {.call = call_of("u", 2, "GROUP", 0)},
        {.call = call_balanced("t", 3, true, 0)},    {.call = call_balanced("u", 4, true, 2)},
        {.call = call_balanced("new", 7, false, 0)}, {.call = call_of("u", 3, "GROUP", 0)},
        {.call = call_of("t", 9, "SEQUENTIAL", 0)},  {.call = call_of("t", 4, "GROUP", 2)},
        {.call = call_of("more", 9, "GROUP", 0)},
    };
    struct callers callers = {.kit = k, .all = all, .n = sizeof(all) / sizeof(*all)};
    all[9].call.where = all[11].call.where = (struct where){1, &tagged};
    all[12].call.keep = true;
    all[3].call.at_least = 5;
    bool near = source_below(&s, 2);
    kit_open(k);
    store_on_change(k->store, on_change, &callers);
    for (int step = 0; step < 100; step++) {
        draw_change(&s, k, near);
        for (size_t i = 0; i < callers.n; i++) caller_try(&callers, &all[i], source_once_in(&s, 2));
    }
    store_on_change(k->store, NULL, NULL);
    scratch_free(&callers.scratch);
    assert_int_equal(kit_close(k), 0);
}

static void test_no_call_sleeps_that_could_go(void **state) {
    (void)state;
    const char *given = getenv("TQ_SEED");
    if (given) {
        trial(strtoull(given, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= test_rounds(TEST_IS_SLOW ? 200 : 1500); seed++) {
        char note[32];
        snprintf(note, sizeof(note), "%llu", (unsigned long long)seed);
        setenv("TQ_WAITS_SEED", note, 1); /* for a debugger: the seed that runs */
        trial(seed);
    }
}

/* ---- by hand ------------------------------------------------------------------------------ */

static struct caller c;
static struct callers one = {.all = &c, .n = 1};

static void one_waits(struct kit *k, struct sample_call call) {
    c = (struct caller){.call = call};
    one.kit = k;
    store_on_change(k->store, on_change, &one);
    caller_try(&one, &c, false);
    assert_true(c.waits);
}

static void none_waits(struct kit *k) {
    store_on_change(k->store, NULL, NULL);
    scratch_free(&one.scratch);
}

static void test_what_completes_no_group_wakes_none(void **state) {
    struct kit *k = *state;
    put(k, "ab", "G", 3);
    put(k, "de", "H", 3);
    one_waits(k, call_of("t", 3, "GROUP", 0));
    assert_int_equal(c.missing, 3);
    put(k, "g", "I", 3);
    put(k, "h", "I", 3);
    put(k, "ab", NULL, 0);
    put(k, "z", NULL, 0);
    assert_int_equal(c.woken, 0);
    put(k, "i", "I", 3);
    assert_int_equal(c.woken, 1);
    none_waits(k);
}

static void test_a_group_counts_once(void **state) {
    struct kit *k = *state;
    put(k, "nopqrstu", NULL, 0);
    put(k, "z", "Z", 3);
    one_waits(k, call_of("t", 9, "GROUP", 0));
    assert_int_equal(c.missing, 9);
    put(k, "abc", "G", 3); /* all of it by one op */
    assert_int_equal(c.missing, 6);
    put(k, "de", "H", 3);
    put(k, "f", "H", 3); /* the last one */
    assert_int_equal(c.missing, 3);
    none_waits(k);
}

/* BALANCED without groups lacks samples. */
static void test_balanced_counts_samples(void **state) {
    struct kit *k = *state;
    put(k, "ab", NULL, 0);
    one_waits(k, call_balanced("t", 3, false, 0)); /* of each of two ranks */
    assert_int_equal(c.missing, 4);
    put(k, "c", NULL, 0);
    put(k, "a", NULL, 0);
    assert_int_equal(c.woken, 0);
    put(k, "def", NULL, 0);
    assert_int_equal(c.woken, 1);
    none_waits(k);
}

/* Members of two groups come in turns in one op. */
static void test_groups_that_interleave_count_once(void **state) {
    struct kit *k = *state;
    put(k, "nopqrstu", NULL, 0);
    put(k, "z", "Z", 2);
    one_waits(k, call_of("t", 6, "GROUP", 0));
    struct writing w = {.n = 4, .has_fields = true, .has_groups = true, .group_size = 2};
    for (size_t i = 0; i < w.n; i++) {
        w.keys[i] = keys[i];
        w.groups[i] = group_ids[i % 2];
    }
    assert_int_equal(write_batch(k, &w), 0);
    assert_int_equal(c.missing, 2);
    none_waits(k);
}

static void test_what_completes_no_run_wakes_none(void **state) {
    struct kit *k = *state;
    put(k, "abc", NULL, 0);
    put(k, "e", NULL, 0);
    one_waits(k, call_of("t", 12, "GROUP", 4));
    assert_int_equal(c.missing, 8);
    put(k, "fgh", NULL, 0); /* seven follow each other */
    assert_int_equal(c.missing, 8);
    put(k, "i", NULL, 0); /* eight */
    assert_int_equal(c.missing, 4);
    put(k, "j", NULL, 0);
    put(k, "kl", NULL, 0);
    assert_int_equal(c.missing, 4);
    assert_int_equal(c.woken, 0);
    put(k, "m", NULL, 0);
    assert_int_equal(c.woken, 1);
    none_waits(k);
}

/* A sample joins the runs on both sides. */
static void test_runs_that_join(void **state) {
    struct kit *k = *state;
    struct writing w = {.n = 1};
    put(k, "ab", NULL, 0);
    w.keys[0] = SPAN_LITERAL("c");
    w.has_tags = true;
    w.tags[0] = values[0];
    assert_int_equal(write_batch(k, &w), 0);
    put(k, "de", NULL, 0);
    one_waits(k, call_of("t", 5, "GROUP", 5));
    put(k, "e", NULL, 0);
    assert_int_equal(c.woken, 0);
    put(k, "c", NULL, 0);
    assert_int_equal(c.woken, 1);
    none_waits(k);
}

/* Of a long run not all is looked at: a sample may count too soon, never too late. */
static void test_a_long_run_counts_in_time(void **state) {
    enum { LONG = 1500 };
    struct kit *k = *state;
    char key[16];
    for (int i = 0; i < LONG + 2; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        if (i == LONG) one_waits(k, call_of("t", 2 * LONG, "GROUP", 2));
        assert_int_equal(kit_field(k, "p", key, "f:u8", SPAN_LITERAL("x")), 0);
    }
    assert_in_range(c.missing, LONG - 4, LONG - 2);
    none_waits(k);
}

/* What another task does with its samples is nothing to this one. */
static void test_leases_of_another_task_wake_none(void **state) {
    struct kit *k = *state;
    struct sampled sampled;
    put(k, "ab", "G", 2);
    put(k, "c", "H", 2);
    struct sample_call call = call_of("other", 2, "GROUP", 0), mine = call_of("t", 2, "GROUP", 0);
    call.lease_ms = mine.lease_ms = 5;
    assert_int_equal(kit_sample(k, &mine, &sampled), 0);
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.n, 2);
    one_waits(k, call_of("t", 2, "GROUP", 0));
    assert_int_equal(kit_seal(k, "p"), 0);
    caller_try(&one, &c, false); /* the end is near, but a and b may come back */
    assert_true(c.waits && c.missing);
    unsigned woken = c.woken;
    struct lease_request request = {SPAN_LITERAL("p"), SPAN_LITERAL("other"), SPAN_LITERAL("2"), 0,
                                    NULL};
    struct op op;
    assert_int_equal(lease_plan_nack(k->store, &request, k->now_ms, &k->scratch, &op, NULL), 0);
    store_apply(k->store, &op);
    assert_int_equal(c.woken, woken);
    request.task = SPAN_LITERAL("t");
    request.id = SPAN_LITERAL("1");
    assert_int_equal(lease_plan_nack(k->store, &request, k->now_ms, &k->scratch, &op, NULL), 0);
    store_apply(k->store, &op);
    assert_int_equal(c.woken, woken + 1);
    none_waits(k);
}

/* The groups that come show that COUNT is wrong. */
static void test_groups_of_another_size_wake(void **state) {
    struct kit *k = *state;
    put(k, "a", "G", 2);
    put(k, "xyz", NULL, 0);
    one_waits(k, call_of("t", 2, "GROUP", 0));
    kit_clear_key(k, "p", "a");
    put(k, "b", NULL, 0);
    assert_int_equal(c.woken, 0);
    put(k, "c", "H", 3);
    assert_int_equal(c.woken, 1);
    none_waits(k);
}

/* Another connection says that the rank is done with the batch: it gets none any more. */
static void test_a_rank_that_is_done_wakes(void **state) {
    struct kit *k = *state;
    struct sample_call call = call_balanced("t", 4, true, 2);
    put(k, "ab", NULL, 0);
    call.batch = 3;
    one_waits(k, call);
    call.finishes = true;
    for (uint64_t done = 2; done <= 3; done++) {
        struct op op;
        uint64_t *seqs;
        size_t n;
        call.done = done;
        assert_true(sample_plan_done(k->store, &call, k->now_ms, &k->scratch, &op, &seqs, &n));
        store_apply(k->store, &op);
        assert_int_equal(c.woken, done == 3);
    }
    none_waits(k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_call_sleeps_that_could_go),
        KIT_TEST(test_what_completes_no_group_wakes_none),
        KIT_TEST(test_a_group_counts_once),
        KIT_TEST(test_balanced_counts_samples),
        KIT_TEST(test_groups_that_interleave_count_once),
        KIT_TEST(test_what_completes_no_run_wakes_none),
        KIT_TEST(test_runs_that_join),
        KIT_TEST(test_a_long_run_counts_in_time),
        KIT_TEST(test_leases_of_another_task_wake_none),
        KIT_TEST(test_groups_of_another_size_wake),
        KIT_TEST(test_a_rank_that_is_done_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
