/* Mostly dead chunks are moved out: the survivors keep their bytes, the memory comes back, readers are not
 * disturbed. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kit/source.h"
#include "kit/store.h"
#include "store/compact.h"

enum { PLENTY = 1 << 30 };

static char *key_of(uint64_t i) {
    static char text[32];
    snprintf(text, sizeof(text), "key%llu", (unsigned long long)i);
    return text;
}

static void put_filled(struct kit *k, uint64_t i, size_t len) {
    char *bytes = malloc(len + 1);
    memset(bytes, (int)(i * 7 + 1), len);
    assert_int_equal(kit_field(k, "p", key_of(i), "f", span_of(bytes, len)), 0);
    free(bytes);
}

static void assert_filled(struct kit *k, uint64_t i, size_t len) {
    struct span value = kit_value(k, "p", key_of(i), "f");
    assert_int_equal(value.len, len);
    for (size_t at = 0; at < len; at++)
        assert_int_equal((uint8_t)value.ptr[at], (uint8_t)(i * 7 + 1));
}

static void clear(struct kit *k, uint64_t i) {
    assert_int_equal(kit_clear_key(k, "p", key_of(i)), 1);
}

static size_t allocated(struct kit *k) {
    return arena_allocated(store_arena(k->store));
}

static bool compact(struct kit *k, size_t rows, size_t bytes) {
    return compact_step(store_arena(k->store), rows, bytes);
}

static void compact_all(struct kit *k) {
    for (int i = 0; compact(k, 100, 100000); i++) assert_true(i < 100000);
}

static void test_one_survivor_holds_no_large_chunk(void **state) {
    struct kit *k = *state;
    for (uint64_t i = 0; i < 10000; i++) put_filled(k, i, 1000);
    size_t full = allocated(k);
    for (uint64_t i = 0; i < 10000; i++)
        if (i % 100) clear(k, i);
    assert_true(allocated(k) > full / 2);
    compact_all(k);
    assert_true(allocated(k) < full / 10);
    for (uint64_t i = 0; i < 10000; i += 100) assert_filled(k, i, 1000);
    assert_false(compact(k, PLENTY, PLENTY)); /* and then there is nothing left to do */
}

static void test_nothing_to_do(void **state) {
    struct kit *k = *state;
    assert_false(compact(k, PLENTY, PLENTY));
    for (uint64_t i = 0; i < 1000; i++) put_filled(k, i, 200);
    size_t before = allocated(k);
    compact_all(k);
    for (uint64_t i = 0; i < 1000; i += 2) clear(k, i); /* half alive is not worth it */
    compact_all(k);
    assert_true(allocated(k) <= before);
    for (uint64_t i = 1; i < 1000; i += 2) assert_filled(k, i, 200);
}

/* Samples of one chunk that are far apart and out of order. */
static void test_out_of_order(void **state) {
    struct kit *k = *state;
    struct source source = source_of_seed(3);
    for (uint64_t i = 0; i < 3000; i++) assert_int_equal(kit_tag(k, "p", key_of(i), "t", "v"), 0);
    static bool has[3000];
    memset(has, 0, sizeof(has));
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 800; i++) {
            uint64_t at = source_below(&source, 3000);
            put_filled(k, at, 300);
            has[at] = true;
        }
        for (uint64_t i = 0; i < 3000; i++) {
            if (!has[i] || source_below(&source, 10) == 0) continue;
            struct span key = span_of_string(key_of(i)), name = SPAN_LITERAL("f");
            struct clear erase = {.select = {SPAN_LITERAL("p"), 1, &key, {0}},
                                  .what = SELECT_FIELDS,
                                  .n_names = 1,
                                  .names = &name};
            assert_int_equal(kit_clear(k, &erase), 1);
            has[i] = false;
        }
        compact_all(k);
        for (uint64_t i = 0; i < 3000; i++)
            if (has[i]) assert_filled(k, i, 300);
    }
    struct store_stats stats;
    store_stats(k->store, &stats);
    assert_true(stats.arena.allocated <= 5 * stats.live_bytes + 600 * ARENA_UNIT);
}

static void test_small_budget_gets_there(void **state) {
    struct kit *k = *state;
    for (uint64_t i = 0; i < 2000; i++) put_filled(k, i, 3000);
    for (uint64_t i = 0; i < 2000; i++)
        if (i % 50) clear(k, i);
    size_t before = allocated(k), steps = 0;
    while (compact(k, 1, 1)) assert_true(++steps < 10000);
    assert_true(steps > 10);
    assert_true(allocated(k) < before / 5);
    for (uint64_t i = 0; i < 2000; i += 50) assert_filled(k, i, 3000);
}

static bool squeeze(struct kit *k, uint64_t largest) {
    struct compact_budget budget = {PLENTY, PLENTY};
    return compact_squeeze(store_arena(k->store), largest, &budget);
}

/* For memory, chunks are moved whose half is alive, also the one that is written to; no step takes
 * memory, and steps end. */
static void test_squeezing_gives_back_what_is_dead(void **state) {
    struct kit *k = *state;
    static const size_t sizes[] = {100, 1000, 5000, 70000};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        uint64_t n = 4000000 / sizes[s];
        for (uint64_t i = 0; i < n; i++) put_filled(k, i, sizes[s]);
        for (uint64_t i = 0; i < n; i += 2) clear(k, i);
        compact_all(k);
        size_t before = allocated(k), steps = 0;
        while (squeeze(k, PLENTY)) {
            assert_true(allocated(k) <= before);
            before = allocated(k);
            assert_true(++steps < 10000);
        }
        struct store_stats stats;
        store_stats(k->store, &stats);
        assert_true(stats.arena.allocated <= stats.live_bytes * 9 / 8 + 512 * 1024);
        for (uint64_t i = 1; i < n; i += 2) assert_filled(k, i, sizes[s]);
        assert_int_equal(kit_drop(k, "p"), 1);
        assert_int_equal(allocated(k), 0);
    }
}

/* Values of a few bytes of which every third sample is cleared: what the store keeps to find the
 * survivors again takes less than what is freed. */
static void test_squeezing_small_values_costs_no_memory(void **state) {
    struct kit *k = *state;
    enum { N = 60000 };
    for (uint64_t i = 0; i < N; i++) {
        char value[8];
        snprintf(value, sizeof(value), "%d", (int)(i * 7919 % 1000));
        assert_int_equal(kit_tag(k, "p", key_of(i), "t", value), 0);
    }
    struct source source = source_of_seed(5);
    static bool has[N];
    for (uint64_t i = 0; i < N; i++) {
        has[i] = source_below(&source, 10) >= 3;
        if (!has[i]) clear(k, i);
    }
    size_t payload = allocated(k), small = mem_used(), steps = 0;
    while (squeeze(k, PLENTY)) assert_true(++steps < 10000);
    assert_true(allocated(k) < payload - N);
    assert_true(mem_used() < small + N / 4);
    for (uint64_t i = 0; i < N; i++)
        if (has[i]) assert_int_not_equal(kit_seq(k, "p", key_of(i)), SEQ_NONE);
}

/* Small values written in an order that has no runs: compaction still finds each of them, and the
 * runs that a chunk notes take a sixteenth of it at most. */
static void test_values_without_order_are_found(void **state) {
    struct kit *k = *state;
    enum { N = 20011 };
    for (uint64_t i = 0; i < N; i++) assert_int_equal(kit_tag(k, "p", key_of(i), "t", "v"), 0);
    size_t small = mem_used(), payload = allocated(k);
    for (uint64_t i = 0; i < N; i++) put_filled(k, i * 7919 % N, 9);
    payload = allocated(k) - payload;
    assert_true(mem_used() - small < N * (sizeof(struct cell) + 1) + payload / 16 + 16384);
    for (uint64_t i = 0; i < N; i++)
        if (i % 8) clear(k, i);
    compact_all(k);
    while (squeeze(k, PLENTY)) continue;
    const struct partition *p = kit_partition(k, "p");
    const struct column *c = column_set_find(&p->fields, SPAN_LITERAL("f"));
    size_t bytes = 0;
    for (const struct chunk *chunk = p->home.chunks.first; chunk; chunk = chunk->next)
        if (chunk->column == c) bytes += chunk_size(chunk);
    assert_true(bytes < c->bytes * 5 / 4 + 4096);
    for (uint64_t i = 0; i < N; i += 8) assert_filled(k, i, 9);
}

/* A chunk that counts cells which are nowhere, as after an error elsewhere, is passed over. */
static void test_squeezing_ends_at_cells_that_are_not_found(void **state) {
    struct kit *k = *state;
    for (uint64_t i = 0; i < 2000; i++) put_filled(k, i, 1000);
    for (uint64_t i = 0; i < 2000; i += 2) clear(k, i);
    const struct column *c = column_set_find(&kit_partition(k, "p")->fields, SPAN_LITERAL("f"));
    struct chunk *chunk =
        arena_chunk(store_arena(k->store), column_cell(c, kit_seq(k, "p", key_of(1001)))->chunk);
    uint64_t last = chunk->last;
    chunk->last = chunk->first - 1;
    size_t steps = 0;
    while (squeeze(k, PLENTY)) assert_true(++steps < 10000);
    assert_filled(k, 1001, 1000);
    chunk->last = last;
}

/* What can't be given back now is left alone: pinned chunks, large ones, all while the arena is
 * held. */
static void test_squeezing_leaves_alone_what_gains_nothing(void **state) {
    struct kit *k = *state;
    for (uint64_t i = 0; i < 2000; i++) put_filled(k, i, 1000);
    for (uint64_t i = 0; i < 2000; i += 2) clear(k, i);
    struct arena *arena = store_arena(k->store);
    size_t full = allocated(k);
    arena_defer_frees(arena);
    assert_false(squeeze(k, PLENTY));
    arena_resume_frees(arena);
    assert_false(squeeze(k, 100));
    assert_int_equal(allocated(k), full);

    const struct column *c = column_set_find(&kit_partition(k, "p")->fields, SPAN_LITERAL("f"));
    struct chunk *pinned = arena_chunk(arena, column_cell(c, kit_seq(k, "p", key_of(1001)))->chunk);
    chunk_pin(pinned);
    const char *where = kit_value(k, "p", key_of(1001), "f").ptr;
    while (squeeze(k, PLENTY)) continue;
    assert_ptr_equal(kit_value(k, "p", key_of(1001), "f").ptr, where);
    assert_true(allocated(k) < full * 3 / 4);
    chunk_unpin(pinned);
    while (squeeze(k, PLENTY)) continue;
    assert_ptr_not_equal(kit_value(k, "p", key_of(1001), "f").ptr, where);
    for (uint64_t i = 1; i < 2000; i += 2) assert_filled(k, i, 1000);
}

/* Cells that are not among those that the chunk knows of stay, and each try costs a row: the calls
 * end. */
static void test_squeezing_a_chunk_in_vain_ends(void **state) {
    struct kit *k = *state;
    for (uint64_t i = 0; i < 2000; i++) put_filled(k, i, 1000);
    for (uint64_t i = 0; i < 2000; i += 2) clear(k, i);
    struct arena *arena = store_arena(k->store);
    const struct column *c = column_set_find(&kit_partition(k, "p")->fields, SPAN_LITERAL("f"));
    struct chunk *chunk = arena_chunk(arena, column_cell(c, kit_seq(k, "p", key_of(1)))->chunk);
    assert_true(chunk->cells > 0);
    uint64_t first = chunk->first;
    uint32_t others = chunk->n_others;
    chunk->first = chunk->last + 1;
    chunk->n_others = 0;
    struct compact_budget budget = {10000, PLENTY};
    size_t steps = 0;
    while (compact_squeeze(arena, PLENTY, &budget)) assert_true(++steps <= 10000);
    assert_true(chunk->cells > 0);
    chunk->first = first;
    chunk->n_others = others;
    while (squeeze(k, PLENTY)) continue;
    for (uint64_t i = 1; i < 2000; i += 2) assert_filled(k, i, 1000);
}

static void test_chunks_of_replies_stay_for_their_readers(void **state) {
    struct kit *k = *state;
    for (uint64_t i = 0; i < 3000; i++) put_filled(k, i, 100);
    const struct column *c = column_set_find(&kit_partition(k, "p")->fields, SPAN_LITERAL("f"));
    struct chunk *chunk =
        arena_chunk(store_arena(k->store), column_cell(c, kit_seq(k, "p", key_of(50)))->chunk);
    struct span referenced = kit_value(k, "p", key_of(50), "f");
    chunk_pin(chunk);
    for (uint64_t i = 0; i < 2000; i++)
        if (i != 50) clear(k, i);
    compact_all(k);
    assert_ptr_not_equal(kit_value(k, "p", key_of(50), "f").ptr, referenced.ptr);
    assert_filled(k, 50, 100);
    for (size_t i = 0; i < referenced.len; i++)
        assert_int_equal((uint8_t)referenced.ptr[i], (uint8_t)(50 * 7 + 1));
    chunk_unpin(chunk);
    assert_filled(k, 50, 100);
}

static void test_the_partition_goes_meanwhile(void **state) {
    struct kit *k = *state;
    for (uint64_t i = 0; i < 2000; i++) put_filled(k, i, 500);
    for (uint64_t i = 0; i < 1900; i++)
        if (i % 100) clear(k, i);
    assert_true(compact(k, 1, PLENTY));
    assert_int_equal(kit_drop(k, "p"), 1);
    assert_false(compact(k, PLENTY, PLENTY));
    assert_int_equal(allocated(k), 0);
}

/* How many steps of so many rows it takes until nothing is left to do. */
static size_t compact_steps(struct kit *k, size_t rows) {
    size_t steps = 1;
    while (compact(k, rows, PLENTY)) assert_true(++steps < 1000);
    return steps;
}

static void assert_same(struct kit *a, struct kit *b) {
    struct span one = kit_dump(a->store), other = kit_dump(b->store);
    assert_int_equal(one.len, other.len);
    assert_memory_equal(one.ptr, other.ptr, one.len);
    kit_dump_free(one);
    kit_dump_free(other);
}

enum { SCATTERED = 60000, HOT = 500 };

/* A value of every sample, then rounds of overwriting: the same samples all over the partition each
 * time, and some others, which survive in what the round filled. */
static void overwrite_scattered(struct kit *k, int rounds) {
    struct source source = source_of_seed(11);
    enum { STEP = SCATTERED / HOT };
    char value[32];
    for (uint64_t i = 0; i < SCATTERED; i++)
        assert_int_equal(kit_tag(k, "p", key_of(i), "t", "a value of the first"), 0);
    for (int round = 0; round < rounds; round++) {
        for (uint64_t i = 0; i < HOT + HOT / 10; i++) {
            uint64_t at = i * 7 % HOT * STEP;
            if (i >= HOT) at = source_below(&source, SCATTERED) / STEP * STEP + 1 + i % (STEP - 1);
            snprintf(value, sizeof(value), "%05d of the value %05d", round, (int)i);
            assert_int_equal(kit_tag(k, "p", key_of(at), "t", value), 0);
        }
    }
}

/* What scattered samples were overwritten with lies in chunks that each have cells all over the
 * partition: a look at its rows is paid once for all of them, not once for each. */
static void test_scattered_chunks_are_emptied_together(void **state) {
    struct kit *k = *state, twin;
    kit_open(&twin);
    twin.now_ms = k->now_ms;
    overwrite_scattered(k, 500);
    overwrite_scattered(&twin, 500);
    const struct partition *p = kit_partition(k, "p");
    size_t full = allocated(k);
    assert_true(full > 3 * (p->keys.bytes + p->tags.columns[0]->bytes));
    assert_true(compact_steps(k, SCATTERED) <= 6);
    assert_true(allocated(k) < 3 * (p->keys.bytes + p->tags.columns[0]->bytes));
    assert_same(k, &twin);
    while (squeeze(k, PLENTY)) continue;
    assert_same(k, &twin);
    kit_close(&twin);
}

/* The same where memory is short: one budget of a few looks at all rows is enough. Less of it may
 * be alive than `largest` all the same. */
static void test_squeezing_empties_scattered_chunks_together(void **state) {
    struct kit *k = *state;
    overwrite_scattered(k, 500);
    const struct partition *p = kit_partition(k, "p");
    size_t before = allocated(k), most = before;
    struct compact_budget budget = {(size_t)8 * SCATTERED, PLENTY};
    while (compact_squeeze(store_arena(k->store), 300000, &budget))
        if (allocated(k) > most) most = allocated(k);
    assert_true(allocated(k) < 3 * (p->keys.bytes + p->tags.columns[0]->bytes));
    assert_true(most < before + 300000 + 256 * 1024);
}

/* Rare values all over the partition, which share small chunks: one survives in each. */
static void test_rare_cells_cost_one_look_at_the_rows(void **state) {
    struct kit *k = *state, twin;
    kit_open(&twin);
    twin.now_ms = k->now_ms;
    struct kit *kits[] = {k, &twin};
    enum { N = 20000, RARE = 20 };
    for (size_t s = 0; s < 2; s++) {
        for (uint64_t i = 0; i < N; i++)
            assert_int_equal(kit_tag(kits[s], "p", key_of(i), "t", "v"), 0);
        for (uint64_t round = 0; round < 3 * RARE; round++) /* a value survives every third */
            for (uint64_t i = 0; i < RARE - round / 3; i++) put_filled(kits[s], i * (N / RARE), 20);
    }
    assert_true(compact_steps(k, 4 * N) <= 2);
    assert_same(k, &twin);
    kit_close(&twin);
}

/* A column whose chunk is pinned goes before its last cells are moved. */
static void test_the_column_goes_meanwhile(void **state) {
    struct kit *k = *state;
    for (uint64_t i = 0; i < 2000; i++) put_filled(k, i, 500);
    const struct column *c = column_set_find(&kit_partition(k, "p")->fields, SPAN_LITERAL("f"));
    struct chunk *pinned[8];
    for (uint64_t i = 0; i < 8; i++) {
        uint32_t id = column_cell(c, kit_seq(k, "p", key_of(i * 200)))->chunk;
        chunk_pin(pinned[i] = arena_chunk(store_arena(k->store), id));
    }
    for (uint64_t i = 0; i < 1990; i++)
        if (i % 100) clear(k, i);
    assert_true(compact(k, 1, 1));
    struct span name = SPAN_LITERAL("f");
    struct clear erase = {.select = {.partition = SPAN_LITERAL("p")},
                          .what = SELECT_FIELDS,
                          .n_names = 1,
                          .names = &name};
    assert_true(kit_clear(k, &erase) > 0);
    char other[16];
    for (int i = 0; i < PARTITION_FIELDS_MAX; i++) {
        snprintf(other, sizeof(other), "g%d", i);
        assert_int_equal(kit_field(k, "p", key_of(0), other, SPAN_LITERAL("in its place")), 0);
    }
    assert_null(column_set_find(&kit_partition(k, "p")->fields, SPAN_LITERAL("f")));
    assert_int_equal(compact_steps(k, PLENTY), 1);
    for (uint64_t i = 0; i < 8; i++) chunk_unpin(pinned[i]);
}

/* ---- memory back to the system ------------------------------------------------------------ */

static size_t recycled(struct kit *k) {
    struct store_stats stats;
    store_stats(k->store, &stats);
    return stats.arena.free_recycled;
}

static void test_idle_memory_goes_back(void **state) {
    struct kit *k = *state;
    store_tick(k->store, 1000);
    put_filled(k, 0, 1000000);
    kit_drop(k, "p");
    size_t held = recycled(k);
    assert_true(held >= 1000000);
    store_tick(k->store, 1000 + ARENA_IDLE_MS - 1);
    assert_int_equal(recycled(k), held);
    store_tick(k->store, 1000 + ARENA_IDLE_MS);
    assert_int_equal(recycled(k), 0);
    put_filled(k, 1, 1000000); /* and is there when it is wanted */
    assert_filled(k, 1, 1000000);
}

static void test_prefaulted_memory_stays(void **state) {
    struct kit *k = *state;
    enum { BYTES = 8 << 20 };
    assert_int_equal(arena_prefault(store_arena(k->store), BYTES, &k->error), 0);
    assert_int_equal(recycled(k), BYTES);
    store_tick(k->store, 10 * ARENA_IDLE_MS);
    assert_int_equal(recycled(k), BYTES);
    put_filled(k, 0, 3 << 20);
    assert_int_equal(recycled(k) + allocated(k), BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_one_survivor_holds_no_large_chunk),
        KIT_TEST(test_nothing_to_do),
        KIT_TEST(test_out_of_order),
        KIT_TEST(test_small_budget_gets_there),
        KIT_TEST(test_squeezing_gives_back_what_is_dead),
        KIT_TEST(test_squeezing_small_values_costs_no_memory),
        KIT_TEST(test_values_without_order_are_found),
        KIT_TEST(test_squeezing_ends_at_cells_that_are_not_found),
        KIT_TEST(test_squeezing_leaves_alone_what_gains_nothing),
        KIT_TEST(test_squeezing_a_chunk_in_vain_ends),
        KIT_TEST(test_chunks_of_replies_stay_for_their_readers),
        KIT_TEST(test_the_partition_goes_meanwhile),
        KIT_TEST(test_scattered_chunks_are_emptied_together),
        KIT_TEST(test_squeezing_empties_scattered_chunks_together),
        KIT_TEST(test_rare_cells_cost_one_look_at_the_rows),
        KIT_TEST(test_the_column_goes_meanwhile),
        KIT_TEST(test_idle_memory_goes_back),
        KIT_TEST(test_prefaulted_memory_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
