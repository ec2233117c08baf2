/* The block index, against an array in which every place exists. */
#include "kit/test.h"

#include <string.h>

#include "base/mem.h"
#include "kit/source.h"
#include "store/blockindex.h"

enum { PLACES = 3000 };

struct shadow {
    struct blockindex index;
    char *blocks[PLACES]; /* what should be there; never looked into */
    uint64_t base;        /* number of place 0 */
};

static char block_memory[PLACES];

static void set(struct shadow *s, uint64_t place, bool present) {
    s->blocks[place] = present ? &block_memory[place] : NULL;
    blockindex_set(&s->index, s->base + place, s->blocks[place]);
}

static void check(const struct shadow *s) {
    uint64_t first = PLACES, end = 0;
    for (uint64_t i = 0; i < PLACES; i++) {
        assert_ptr_equal(blockindex_get(&s->index, s->base + i), s->blocks[i]);
        if (!s->blocks[i]) continue;
        if (first == PLACES) first = i;
        end = i + 1;
    }
    if (end) { /* the ends are blocks, not holes */
        assert_int_equal(s->index.first, s->base + first);
        assert_int_equal(blockindex_end(&s->index), s->base + end);
    } else {
        assert_int_equal(s->index.count, 0);
    }
    assert_null(blockindex_get(&s->index, s->base + PLACES));
    if (s->base) assert_null(blockindex_get(&s->index, s->base - 1));
    assert_null(blockindex_get(&s->index, UINT64_MAX));
    if (s->index.start)
        assert_true((s->index.start + s->index.count) * sizeof(void *) <=
                    blockindex_overhead(&s->index));
}

static void test_random_places(void **state) {
    (void)state;
    static struct shadow s;
    for (uint64_t round = 0; round < test_rounds(30); round++) {
        struct source source = source_of_seed(round);
        memset(&s, 0, sizeof(s));
        s.base = round % 3 * (UINT64_MAX / BLOCK_ROWS / 3);
        uint64_t range = source_between(&source, 1, PLACES),
                 density = source_between(&source, 2, 9);
        for (int i = 0; i < 3000; i++) {
            set(&s, source_below(&source, range), source_below(&source, 10) < density);
            if (i % 100 == 0) check(&s);
        }
        for (uint64_t i = range; i-- > 0;) {
            uint64_t place = source_below(&source, i + 1);
            set(&s, s.blocks[place] ? place : i, false);
        }
        check(&s);
        for (uint64_t i = 0; i < range; i++)
            if (s.blocks[i]) set(&s, i, false);
        check(&s);
        blockindex_free(&s.index);
        assert_null(blockindex_get(&s.index, s.base));
    }
}

/* A stream: blocks come at the end and go at the start. Memory is that of the window, not of the
 * stream. */
static void test_sliding(void **state) {
    (void)state;
    struct blockindex index = {0};
    size_t used = mem_used();
    for (uint64_t window = 1; window <= 100; window += 33) {
        for (uint64_t i = 0; i < 100000; i++) {
            blockindex_set(&index, i, block_memory + i % PLACES);
            if (i >= window) blockindex_set(&index, i - window, NULL);
            assert_true(index.count <= window + 1);
            assert_true(blockindex_overhead(&index) <= (4 + 2 * window) * sizeof(void *));
        }
        assert_ptr_equal(blockindex_get(&index, 99999), block_memory + 99999 % PLACES);
        for (uint64_t i = 100000 - window; i < 100000; i++) blockindex_set(&index, i, NULL);
        assert_int_equal(index.count, 0);
    }
    blockindex_free(&index);
    assert_int_equal(mem_used(), used);
}

static void test_removing_what_is_not_there(void **state) {
    (void)state;
    struct blockindex index = {0};
    blockindex_set(&index, 5, NULL);
    assert_int_equal(index.count, 0);
    blockindex_set(&index, 5, block_memory);
    blockindex_set(&index, 6, NULL);
    blockindex_set(&index, 4, NULL);
    assert_int_equal(index.count, 1);
    assert_ptr_equal(blockindex_get(&index, 5), block_memory);
    blockindex_free(&index);
    blockindex_free(&index);
}

static void test_rows(void **state) {
    (void)state;
    assert_int_equal(block_number(BLOCK_ROWS - 1), 0);
    assert_int_equal(block_number(BLOCK_ROWS), 1);
    assert_int_equal(block_row(BLOCK_ROWS + 7), 7);
    for (unsigned row = 0; row < BLOCK_ROWS; row++) {
        unsigned capacity = block_capacity(row);
        assert_true(capacity > row && capacity <= BLOCK_ROWS);
        assert_true(capacity == BLOCK_CAPACITY_FIRST || capacity <= 2 * row);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_places),
        cmocka_unit_test(test_sliding),
        cmocka_unit_test(test_removing_what_is_not_there),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
