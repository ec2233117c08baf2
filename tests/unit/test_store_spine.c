/* The backbone of per-sample data, against an array in which every place exists. */
#include "kit/test.h"

#include <string.h>

#include "base/mem.h"
#include "kit/source.h"
#include "store/spine.h"

enum { PLACES = 3000 };

struct shadow {
    struct spine spine;
    char *pieces[PLACES]; /* what should be there; never looked into */
    uint64_t base;        /* number of place 0 */
};

static char piece_memory[PLACES];

static void set(struct shadow *s, uint64_t place, bool present) {
    s->pieces[place] = present ? &piece_memory[place] : NULL;
    spine_set(&s->spine, s->base + place, s->pieces[place]);
}

static void check(const struct shadow *s) {
    uint64_t first = PLACES, end = 0;
    for (uint64_t i = 0; i < PLACES; i++) {
        assert_ptr_equal(spine_get(&s->spine, s->base + i), s->pieces[i]);
        if (!s->pieces[i]) continue;
        if (first == PLACES) first = i;
        end = i + 1;
    }
    if (end) { /* the ends are pieces, not holes */
        assert_int_equal(s->spine.first, s->base + first);
        assert_int_equal(spine_end(&s->spine), s->base + end);
    } else {
        assert_int_equal(s->spine.count, 0);
    }
    assert_null(spine_get(&s->spine, s->base + PLACES));
    if (s->base) assert_null(spine_get(&s->spine, s->base - 1));
    assert_null(spine_get(&s->spine, UINT64_MAX));
    if (s->spine.start)
        assert_true((s->spine.start + s->spine.count) * sizeof(void *) <=
                    spine_overhead(&s->spine));
}

static void test_random_places(void **state) {
    (void)state;
    static struct shadow s;
    for (uint64_t round = 0; round < test_rounds(30); round++) {
        struct source source = source_of_seed(round);
        memset(&s, 0, sizeof(s));
        s.base = round % 3 * (UINT64_MAX / SPINE_ROWS / 3);
        uint64_t range = source_between(&source, 1, PLACES),
                 density = source_between(&source, 2, 9);
        for (int i = 0; i < 3000; i++) {
            set(&s, source_below(&source, range), source_below(&source, 10) < density);
            if (i % 100 == 0) check(&s);
        }
        for (uint64_t i = range; i-- > 0;) {
            uint64_t place = source_below(&source, i + 1);
            set(&s, s.pieces[place] ? place : i, false);
        }
        check(&s);
        for (uint64_t i = 0; i < range; i++)
            if (s.pieces[i]) set(&s, i, false);
        check(&s);
        spine_free(&s.spine);
        assert_null(spine_get(&s.spine, s.base));
    }
}

/* A stream: pieces come at the end and go at the start. Memory is that of the window, not of the stream. */
static void test_sliding(void **state) {
    (void)state;
    struct spine spine = {0};
    size_t used = mem_used();
    for (uint64_t window = 1; window <= 100; window += 33) {
        for (uint64_t i = 0; i < 100000; i++) {
            spine_set(&spine, i, piece_memory + i % PLACES);
            if (i >= window) spine_set(&spine, i - window, NULL);
            assert_true(spine.count <= window + 1);
            assert_true(spine_overhead(&spine) <= (4 + 2 * window) * sizeof(void *));
        }
        assert_ptr_equal(spine_get(&spine, 99999), piece_memory + 99999 % PLACES);
        for (uint64_t i = 100000 - window; i < 100000; i++) spine_set(&spine, i, NULL);
        assert_int_equal(spine.count, 0);
    }
    spine_free(&spine);
    assert_int_equal(mem_used(), used);
}

static void test_removing_what_is_not_there(void **state) {
    (void)state;
    struct spine spine = {0};
    spine_set(&spine, 5, NULL);
    assert_int_equal(spine.count, 0);
    spine_set(&spine, 5, piece_memory);
    spine_set(&spine, 6, NULL);
    spine_set(&spine, 4, NULL);
    assert_int_equal(spine.count, 1);
    assert_ptr_equal(spine_get(&spine, 5), piece_memory);
    spine_free(&spine);
    spine_free(&spine);
}

static void test_rows(void **state) {
    (void)state;
    assert_int_equal(spine_number(SPINE_ROWS - 1), 0);
    assert_int_equal(spine_number(SPINE_ROWS), 1);
    assert_int_equal(spine_row(SPINE_ROWS + 7), 7);
    for (unsigned row = 0; row < SPINE_ROWS; row++) {
        unsigned capacity = spine_capacity(row);
        assert_true(capacity > row && capacity <= SPINE_ROWS);
        assert_true(capacity == SPINE_CAPACITY_FIRST || capacity <= 2 * row);
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
