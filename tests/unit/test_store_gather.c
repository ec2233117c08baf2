/* Cells gathered for the column form: the type of a selection, its shape part, and the runs its payload is in. */
#include "kit/test.h"

#include <string.h>

#include "base/mem.h"
#include "store/gather.h"

struct fixture {
    struct arena *arena;
    struct column_home home;
    struct column column;
};

static struct dtype type_of(const char *text) {
    struct dtype type;
    struct error e = {0};
    if (dtype_parse(span_of_string(text), &type, &e)) fail_msg("%s: %s", text, e.text);
    return type;
}

static void open_column(struct fixture *f, const char *type_text) {
    struct dtype type = type_of(type_text);
    *f = (struct fixture){.arena = arena_new(1 << 20, NULL)};
    f->home.arena = f->arena;
    column_init(&f->column, SPAN_LITERAL("x"), &type, &f->home);
}

static void close_column(struct fixture *f) {
    chunk_list_release(&f->home.chunks);
    column_free(&f->column);
    arena_free(f->arena);
}

/* `len` bytes of the letter `fill` for sample `seq`. */
static void put(struct fixture *f, uint64_t seq, char fill, size_t len, const uint32_t *sizes) {
    char bytes[64];
    memset(bytes, fill, sizeof(bytes));
    struct column_values values = {.payload = span_of(bytes, len), .sizes = sizes};
    assert_int_equal(arena_reserve(f->arena, column_reserve(&f->column, len), NULL), 0);
    column_put(&f->column, &seq, 1, &values);
}

static void assert_type(const struct gather *g, const char *expected) {
    assert_string_equal(DTYPE_NAME(&g->type), expected);
}

/* What the runs say, back to back, against `expected`; and how many runs there were. */
static void assert_runs(struct gather *g, const char *expected, size_t runs) {
    char bytes[256];
    size_t len = 0, n = 0;
    for (struct gather_run run; gather_next(g, &run); n++) {
        assert_non_null(run.chunk);
        assert_true(run.bytes.ptr >= run.chunk->memory);
        assert_true(run.bytes.ptr + run.bytes.len <= run.chunk->memory + chunk_size(run.chunk));
        memcpy(bytes + len, run.bytes.ptr, run.bytes.len);
        len += run.bytes.len;
    }
    assert_int_equal(len, g->bytes);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(bytes, expected, len);
    assert_int_equal(n, runs);
}

static void test_values_written_in_a_row_are_one_run(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8[4]");
    for (uint64_t seq = 0; seq < 4; seq++) put(&f, seq, (char)('a' + seq), 4, NULL);
    struct gather g;
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){0, 1, 2, 3}, 4), 4);
    assert_type(&g, "u8[4]");
    assert_int_equal(gather_shape_bytes(&g), 0);
    assert_runs(&g, "aaaabbbbccccdddd", 1);
    close_column(&f);
}

static void test_another_order_or_a_gap_splits_the_run(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8[2]");
    for (uint64_t seq = 0; seq < 6; seq++) put(&f, seq, (char)('a' + seq), 2, NULL);
    struct gather g;
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){4, 5, 0, 1, 3}, 5), 5);
    assert_runs(&g, "eeffaabbdd", 3);
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){2, 2}, 2), 2);
    assert_runs(&g, "cccc", 2);
    close_column(&f);
}

static void test_an_overwritten_value_is_read_where_it_went(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8[2]");
    for (uint64_t seq = 0; seq < 3; seq++) put(&f, seq, (char)('a' + seq), 2, NULL);
    put(&f, 1, 'z', 2, NULL);
    struct gather g;
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){0, 1, 2}, 3), 3);
    assert_runs(&g, "aazzcc", 3);
    close_column(&f);
}

static void test_the_first_sample_without_the_cell_is_named(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8");
    put(&f, 0, 'a', 1, NULL);
    put(&f, 2, 'c', 1, NULL);
    struct gather g;
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){0, 2, 1}, 3), 2);
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){7}, 1), 0);
    assert_int_equal(gather_open(&g, &f.column, NULL, 0), 0);
    assert_runs(&g, "", 0);
    close_column(&f);
}

static void test_a_ragged_selection_has_a_shape_part(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8[*]");
    put(&f, 0, 'a', 3, NULL);
    put(&f, 1, 'b', 0, NULL);
    put(&f, 2, 'c', 1, NULL);
    struct gather g;
    uint32_t shape[3];
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){0, 1, 2}, 3), 3);
    assert_type(&g, "u8[*]");
    assert_int_equal(gather_shape_bytes(&g), sizeof(shape));
    gather_shape(&g, (char *)shape);
    assert_memory_equal(shape, ((uint32_t[]){3, 0, 1}), sizeof(shape));
    assert_runs(&g, "aaac", 1);
    close_column(&f);
}

static void test_a_ragged_field_is_dense_where_the_selection_agrees(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8[*]");
    put(&f, 0, 'a', 2, NULL);
    put(&f, 1, 'b', 3, NULL);
    put(&f, 2, 'c', 2, NULL);
    struct gather g;
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){0, 2}, 2), 2);
    assert_type(&g, "u8[2]");
    assert_int_equal(gather_shape_bytes(&g), 0);
    assert_runs(&g, "aacc", 2);
    close_column(&f);
}

static void test_only_dimensions_that_differ_are_ragged(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8[*,*]");
    put(&f, 0, 'a', 6, (uint32_t[]){2, 3});
    put(&f, 1, 'b', 6, (uint32_t[]){3, 2});
    put(&f, 2, 'c', 9, (uint32_t[]){3, 3});
    struct gather g;
    uint32_t shape[4];
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){0, 2}, 2), 2);
    assert_type(&g, "u8[*,3]");
    assert_int_equal(gather_shape_bytes(&g), 2 * sizeof(uint32_t));
    gather_shape(&g, (char *)shape);
    assert_memory_equal(shape, ((uint32_t[]){2, 3}), 2 * sizeof(uint32_t));
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){0, 1}, 2), 2);
    assert_type(&g, "u8[*,*]");
    gather_shape(&g, (char *)shape);
    assert_memory_equal(shape, ((uint32_t[]){2, 3, 3, 2}), sizeof(shape));
    close_column(&f);
}

static void test_texts_keep_their_lengths_even_when_equal(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "str");
    put(&f, 0, 'a', 2, NULL);
    put(&f, 1, 'b', 2, NULL);
    struct gather g;
    uint32_t shape[2];
    assert_int_equal(gather_open(&g, &f.column, (uint64_t[]){0, 1}, 2), 2);
    assert_type(&g, "str");
    assert_int_equal(gather_shape_bytes(&g), sizeof(shape));
    gather_shape(&g, (char *)shape);
    assert_memory_equal(shape, ((uint32_t[]){2, 2}), sizeof(shape));
    assert_runs(&g, "aabb", 1);
    close_column(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_written_in_a_row_are_one_run),
        cmocka_unit_test(test_another_order_or_a_gap_splits_the_run),
        cmocka_unit_test(test_an_overwritten_value_is_read_where_it_went),
        cmocka_unit_test(test_the_first_sample_without_the_cell_is_named),
        cmocka_unit_test(test_a_ragged_selection_has_a_shape_part),
        cmocka_unit_test(test_a_ragged_field_is_dense_where_the_selection_agrees),
        cmocka_unit_test(test_only_dimensions_that_differ_are_ragged),
        cmocka_unit_test(test_texts_keep_their_lengths_even_when_equal),
    };
    return cmocka_run_group_tests_name("store/gather", tests, NULL, NULL);
}
