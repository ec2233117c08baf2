/* The front door: partitions by name, walks over them, two stores side by side, and the change hook. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kit/source.h"
#include "kit/store.h"
#include "kit/tape.h"
#include "store/bounds.h"
#include "store/once.h"
#include "store/partition.h"
#include "store/sampler.h"

static struct span name_of(unsigned i) {
    static char text[16];
    return span_of(text, (size_t)snprintf(text, sizeof(text), "part%u", i));
}

static void make(struct kit *k, unsigned i) {
    struct op op;
    assert_int_equal(seal_plan(name_of(i), k->now_ms, &op, &k->error), 0);
    store_apply(k->store, &op);
}

static size_t drop(struct kit *k, unsigned i) {
    return store_apply(k->store, &(struct op){.kind = OP_DROP, .partition = name_of(i)});
}

/* ---- names -------------------------------------------------------------------------------- */

static void test_partitions_by_name(void **state) {
    struct kit *k = *state;
    enum { MANY = 20000 };
    for (unsigned i = 0; i < MANY; i++) make(k, i);
    for (unsigned i = 0; i < MANY; i += 2) assert_int_equal(drop(k, i), 1);
    assert_int_equal(drop(k, 0), 0);
    assert_int_equal(store_partitions(k->store), MANY / 2);
    for (unsigned i = 0; i < MANY; i++) {
        const struct partition *p = store_find(k->store, name_of(i));
        assert_int_equal(p != NULL, i % 2);
        if (p) assert_true(span_equal(p->name, name_of(i)));
    }
    struct span binary = span_of("\0\xff\r\n", 4);
    struct op op;
    assert_int_equal(seal_plan(binary, 0, &op, NULL), 0);
    store_apply(k->store, &op);
    assert_non_null(store_find(k->store, binary));
    assert_null(store_find(k->store, span_of("\0\xff\r", 3)));
}

/* ---- walks -------------------------------------------------------------------------------- */

enum { WALKED = 300 };

/* Present throughout: seen exactly once. Absent throughout: never. Others: as it comes. */
static void walk_while_changing(struct kit *k, struct source *source) {
    bool present[WALKED], changed[WALKED] = {false};
    unsigned seen[WALKED] = {0}, number;
    char name[32];
    for (unsigned i = 0; i < WALKED; i++) present[i] = store_find(k->store, name_of(i)) != NULL;
    uint64_t cursor = 0, steps = 0;
    for (;;) {
        struct partition *p = store_next(k->store, &cursor);
        if (!p) break;
        assert_true(cursor != 0);
        assert_true(++steps < 100000);
        snprintf(name, sizeof(name), "%.*s", SPAN_ARG(p->name));
        assert_int_equal(sscanf(name, "part%u", &number), 1);
        seen[number]++;
        for (uint64_t n = source_below(source, 3); n > 0; n--) {
            unsigned i = (unsigned)source_below(source, WALKED);
            changed[i] = true;
            if (drop(k, i) == 0) make(k, i);
        }
    }
    assert_int_equal(cursor, 0);
    for (unsigned i = 0; i < WALKED; i++) {
        if (changed[i]) continue;
        assert_int_equal(seen[i], present[i]);
    }
}

static void test_walks(void **state) {
    struct kit *k = *state;
    struct source source = source_of_seed(2);
    uint64_t cursor = 0;
    assert_null(store_next(k->store, &cursor));
    assert_int_equal(cursor, 0);
    for (unsigned i = 0; i < WALKED; i += 2) make(k, i);
    for (uint64_t round = 0; round < test_rounds(100); round++) walk_while_changing(k, &source);
    cursor = UINT64_MAX; /* what a client may say */
    assert_null(store_next(k->store, &cursor));
    assert_int_equal(cursor, 0);
}

/* ---- two stores --------------------------------------------------------------------------- */

static void fill(struct kit *k, const char *value) {
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "s%d", i);
        assert_int_equal(kit_field(k, "p", key, "f", span_of_string(value)), 0);
        assert_int_equal(kit_tag(k, "p", key, "t", value), 0);
    }
}

static void test_side_by_side(void **state) {
    struct kit *a = *state, b;
    fill(a, "one");
    kit_open(&b);
    struct span before = kit_dump(a->store), same = kit_dump(b.store);
    assert_int_equal(same.len, 0);
    kit_dump_free(same);
    fill(&b, "another");
    kit_clear_key(&b, "p", "s7");
    kit_seal(&b, "q");
    struct span after = kit_dump(a->store), other = kit_dump(b.store);
    assert_true(span_equal(before, after));
    assert_false(span_equal(after, other));
    kit_dump_free(before);
    kit_dump_free(after);
    kit_dump_free(other);
    assert_int_equal(kit_close(&b), 0);
    assert_true(span_equal(kit_value(a, "p", "s7", "f"), SPAN_LITERAL("one")));
}

/* ---- the hook ----------------------------------------------------------------------------- */

struct heard {
    enum op_kind kinds[16];
    char partitions[16][8];
    size_t n;
    struct kit *kit;
};

static void hear(void *context, const struct op *op) {
    struct heard *heard = context;
    heard->kinds[heard->n] = op->kind;
    memcpy(heard->partitions[heard->n++], op->partition.ptr, op->partition.len);
    /* Applied already. */
    assert_int_equal(store_find(heard->kit->store, op->partition) != NULL, op->kind != OP_DROP);
}

static void test_the_hook_hears_every_op(void **state) {
    struct kit *k = *state;
    struct heard heard = {.kit = k};
    struct sampled sampled;
    struct span field = SPAN_LITERAL("f");
    struct sample_call call = {.partition = SPAN_LITERAL("p"),
                               .task = SPAN_LITERAL("t"),
                               .count = 1,
                               .at_least = 1,
                               .n_fields = 1,
                               .fields = &field,
                               .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
    store_on_change(k->store, hear, &heard);
    kit_expect(k, "p", 5);
    kit_field(k, "p", "s", "f:f32", SPAN_LITERAL("bad")); /* fails: nothing to hear */
    kit_field(k, "p", "s", "f", SPAN_LITERAL("v"));
    kit_sample(k, &call, &sampled);
    kit_sample(k, &call, &sampled); /* waits */
    call.keep = true;
    call.task = SPAN_LITERAL("u");
    kit_sample(k, &call, &sampled);
    kit_reset(k, &(struct reset){.select = {.partition = SPAN_LITERAL("p")}});
    kit_clear(k, &(struct clear){.select = {.partition = SPAN_LITERAL("p")},
                                 .what = SELECT_FIELDS,
                                 .n_names = 1,
                                 .names = &field});
    kit_clear_key(k, "p", "s");
    kit_seal(k, "q");
    kit_drop(k, "p");
    store_on_change(k->store, NULL, NULL);
    kit_seal(k, "r");
    static const enum op_kind kinds[] = {OP_EXPECT, OP_PUT,   OP_SAMPLE, OP_RESET,
                                         OP_ERASE,  OP_CLEAR, OP_SEAL,   OP_DROP};
    assert_int_equal(heard.n, sizeof(kinds) / sizeof(kinds[0]));
    for (size_t i = 0; i < heard.n; i++) {
        assert_int_equal(heard.kinds[i], kinds[i]);
        assert_string_equal(heard.partitions[i], kinds[i] == OP_SEAL ? "q" : "p");
    }
}

/* ---- dropping ----------------------------------------------------------------------------- */

/* A dropped partition is unknown and its payload free at once; what grows with its samples is freed
 * in steps. */
static void test_dropped_in_steps(void **state) {
    struct kit *k = *state;
    enum { SAMPLES = 20000, STEPS = 16 };
    struct store_stats stats;
    struct sampled sampled;
    kit_seal(k, "beside");
    store_stats(k->store, &stats);
    size_t payload = stats.arena.allocated;
    for (int i = 0; i < SAMPLES; i++) {
        char key[24];
        snprintf(key, sizeof(key), "sample%d", i);
        kit_field(k, "p", key, "f", SPAN_LITERAL("value"));
        kit_group(k, "p", key, key, 1);
    }
    struct span field = SPAN_LITERAL("f");
    struct sample_call call = {.partition = SPAN_LITERAL("p"),
                               .task = SPAN_LITERAL("t"),
                               .count = SAMPLES,
                               .at_least = SAMPLES,
                               .n_fields = 1,
                               .fields = &field,
                               .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
    kit_sample(k, &call, &sampled);
    scratch_free(&k->scratch);

    size_t full = mem_used();
    assert_false(store_is_reclaiming(k->store));
    kit_drop(k, "p");
    assert_null(store_find(k->store, SPAN_LITERAL("p")));
    assert_int_equal(store_partitions(k->store), 1);
    store_stats(k->store, &stats);
    assert_int_equal(stats.arena.allocated, payload);
    assert_true(mem_used() > full - full / 16);

    kit_seal(k, "p"); /* another one of that name has nothing to do with it */
    unsigned calls = 0;
    for (; store_is_reclaiming(k->store); calls++) {
        size_t before = mem_used();
        store_reclaim(k->store, STEPS);
        assert_true(mem_used() < before);
    }
    assert_true(calls > SAMPLES / STEPS);
    assert_non_null(store_find(k->store, SPAN_LITERAL("p")));

    kit_field(k, "p", "s", "f", SPAN_LITERAL("value"));
    kit_drop(k, "p"); /* freed with the store */
}

/* ---- figures ------------------------------------------------------------------------------ */

static void test_figures(void **state) {
    struct kit *k = *state;
    struct store_stats stats;
    store_stats(k->store, &stats);
    assert_int_equal(stats.partitions + stats.samples + stats.payload_bytes, 0);
    assert_int_equal(stats.live_bytes + stats.overhead_bytes, 0);
    fill(k, "value");
    kit_seal(k, "q");
    store_stats(k->store, &stats);
    assert_int_equal(stats.partitions, 2);
    assert_int_equal(stats.samples, 100);
    assert_int_equal(stats.payload_bytes, 500);
    assert_int_equal(stats.live_bytes, 500 + 500 + 290); /* fields, tags, keys s0 … s99 */
    assert_true(stats.arena.allocated >= stats.live_bytes);
    assert_true(stats.overhead_bytes > 100 * 16);
}

/* What a store says it takes beside payload is about what it takes: the limit on memory counts on it. */
static void test_overhead_is_about_right(void **state) {
    struct kit *k = *state;
    size_t before = mem_used();
    struct store_stats stats;
    for (int i = 0; i < 20000; i++) {
        char key[24];
        snprintf(key, sizeof(key), "sample%d", i);
        kit_field(k, "p", key, "f", SPAN_LITERAL("value"));
        kit_group(k, "p", key, key, 1);
    }
    scratch_free(&k->scratch);
    store_stats(k->store, &stats);
    uint64_t in_chunks = stats.live_bytes - stats.payload_bytes;
    double said = (double)(stats.overhead_bytes - in_chunks), used = (double)(mem_used() - before);
    if (said < 0.8 * used || said > 1.2 * used) fail_msg("says %.0f, takes %.0f", said, used);
}

static void test_holders_of_once_are_freed_in_slices(void **state) {
    struct kit *k = *state;
    enum { N = 500, SLICE = 64 };
    struct partition *p = partition_new(SPAN_LITERAL("p"), store_arena(k->store));
    for (int i = 0; i < N; i++) {
        char name[16];
        snprintf(name, sizeof(name), "h%d", i);
        once_load(p, &(struct once){.holder = span_of_string(name), .number = 1});
    }
    for (size_t left = N; left > SLICE; left -= SLICE) {
        size_t steps = SLICE;
        assert_false(partition_shrink(p, &steps));
        assert_int_equal(p->onces->n, left - SLICE);
    }
    partition_free(p);
}

static void sample_with_lease(struct kit *k, const char *partition, const char *task) {
    static const struct span field = SPAN_LITERAL("f");
    struct sampled sampled;
    struct sample_call call = {.partition = span_of_string(partition),
                               .task = span_of_string(task),
                               .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL")),
                               .n_fields = 1,
                               .fields = &field,
                               .count = 1,
                               .at_least = 1,
                               .lease_ms = 1000};
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
}

/* A partition that was loaded gives back at its end what its tasks have taken since, at most. */
static void test_dropping_what_was_loaded_counts_no_task(void **state) {
    struct kit *k = *state;
    kit_field(k, "p", "s0", "f", SPAN_LITERAL("x"));
    kit_field(k, "q", "s0", "f", SPAN_LITERAL("x"));
    for (unsigned i = 0; i < 100; i++) sample_with_lease(k, "p", (const char *)name_of(i).ptr);
    struct tape tape = tape_record(k->store, k->now_ms);
    for (unsigned round = 0; round < 3; round++) { /* into an empty store, then over itself */
        if (!round) kit_empty(k);
        int64_t other = store_task_bytes(k->store);
        assert_int_equal(tape_play(&tape, k->store, &k->error), 0);
        assert_int_equal(store_task_bytes(k->store), other);
        kit_reset(k, &(struct reset){.select = {.partition = SPAN_LITERAL("p")}});
        int64_t without = store_task_bytes(k->store);
        assert_true(without < other);
        sample_with_lease(k, "p", "t");
        assert_true(store_task_bytes(k->store) > without);
        sample_with_lease(k, "q", "t");
        int64_t both = store_task_bytes(k->store);
        if (round == 1) assert_int_equal(tape_play(&tape, k->store, &k->error), 0);
        kit_drop(k, "p");
        assert_true(store_task_bytes(k->store) < both);
        kit_drop(k, "q");
        assert_int_equal(store_task_bytes(k->store), without);
    }
    tape_free(&tape);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_holders_of_once_are_freed_in_slices),
        KIT_TEST(test_partitions_by_name),
        KIT_TEST(test_walks),
        KIT_TEST(test_side_by_side),
        KIT_TEST(test_the_hook_hears_every_op),
        KIT_TEST(test_dropped_in_steps),
        KIT_TEST(test_figures),
        KIT_TEST(test_overhead_is_about_right),
        KIT_TEST(test_dropping_what_was_loaded_counts_no_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
