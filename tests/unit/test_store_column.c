/* One column, driven bare: where values lie, what shapes they keep when the type widens, when chunks go. */
#include "kit/test.h"

#include <string.h>

#include "base/mem.h"
#include "kit/source.h"
#include "store/column.h"

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
    assert_int_equal(arena_allocated(f->arena), 0);
    arena_free(f->arena);
}

static void put(struct fixture *f, uint64_t seq, const void *bytes, size_t len,
                const uint32_t *sizes) {
    struct column_values values = {.payload = span_of(bytes, len), .sizes = sizes};
    assert_int_equal(arena_reserve(f->arena, column_reserve(&f->column, len), NULL), 0);
    column_put(&f->column, &seq, 1, &values);
}

static void put_filled(struct fixture *f, uint64_t seq, size_t len) {
    char *bytes = malloc(len + 1);
    memset(bytes, (int)seq, len);
    put(f, seq, bytes, len, NULL);
    free(bytes);
}

static void widen(struct fixture *f, const char *type_text) {
    struct dtype type = type_of(type_text);
    column_widen(&f->column, &type);
}

static void assert_value(const struct fixture *f, uint64_t seq, const void *bytes, size_t len) {
    struct span value;
    assert_true(column_has(&f->column, seq));
    assert_true(column_get(&f->column, seq, &value));
    assert_int_equal(value.len, len);
    if (len) assert_memory_equal(value.ptr, bytes, len);
}

static void assert_filled(const struct fixture *f, uint64_t seq, size_t len) {
    char *bytes = malloc(len + 1);
    memset(bytes, (int)seq, len);
    assert_value(f, seq, bytes, len);
    free(bytes);
}

static void assert_item(const struct fixture *f, uint64_t seq, const char *type_text) {
    struct dtype item = column_item_type(&f->column, seq);
    assert_string_equal(DTYPE_NAME(&item), type_text);
}

static size_t chunks(const struct fixture *f) {
    struct arena_stats stats;
    arena_stats(f->arena, &stats);
    return stats.chunks;
}

/* ---- values ------------------------------------------------------------------------------- */

static void test_written_in_a_row_lies_in_a_row(void **state) {
    (void)state;
    struct fixture f;
    struct span before, value;
    open_column(&f, "bytes");
    put_filled(&f, 0, 300);
    column_get(&f.column, 0, &before);
    for (uint64_t seq = 1; seq < 3; seq++) {
        put_filled(&f, seq, 300);
        column_get(&f.column, seq, &value);
        assert_ptr_equal(value.ptr, before.ptr + 300);
        before = value;
    }
    for (uint64_t seq = 3; seq < 5000; seq++) put_filled(&f, seq, 300);
    for (uint64_t seq = 0; seq < 5000; seq++) assert_filled(&f, seq, 300);
    assert_true(chunks(&f) < 20); /* they grow to 256 KiB */
    assert_int_equal(f.column.produced, 5000);
    assert_int_equal(f.column.bytes, 5000 * 300);
    close_column(&f);
}

static void test_a_batch_is_one_run(void **state) {
    (void)state;
    struct fixture f;
    uint64_t seqs[] = {5, 3, 2000, 4};
    uint32_t lengths[] = {2, 0, 3, 1};
    open_column(&f, "bytes");
    column_put(&f.column, seqs, 4,
               &(struct column_values){.payload = SPAN_LITERAL("aabbbc"), .lengths = lengths});
    assert_value(&f, 5, "aa", 2);
    assert_value(&f, 3, "", 0);
    assert_value(&f, 2000, "bbb", 3);
    assert_value(&f, 4, "c", 1);
    struct span items[] = {SPAN_LITERAL("x"), SPAN_LITERAL("yy"), {NULL, 0}, SPAN_LITERAL("zz")};
    column_put(&f.column, seqs, 4, &(struct column_values){.items = items});
    assert_value(&f, 3, "yy", 2);
    assert_value(&f, 2000, "", 0);
    assert_value(&f, 4, "zz", 2);
    column_put(&f.column, seqs, 4, &(struct column_values){.payload = SPAN_LITERAL("12345678")});
    assert_value(&f, 2000, "56", 2);
    assert_int_equal(f.column.produced, 4);
    assert_int_equal(f.column.bytes, 8);
    close_column(&f);
}

static void test_clear_and_overwrite(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "bytes");
    assert_false(column_clear(&f.column, 7));
    assert_false(column_has(&f.column, 7));
    put(&f, 7, "one", 3, NULL);
    struct span first;
    column_get(&f.column, 7, &first);
    put(&f, 8, "stays", 5, NULL);
    put(&f, 7, "two", 3, NULL);
    assert_memory_equal(first.ptr, "one", 3); /* published bytes never change */
    assert_value(&f, 7, "two", 3);
    assert_int_equal(f.column.bytes, 8);
    assert_true(column_clear(&f.column, 7));
    assert_false(column_clear(&f.column, 7));
    assert_false(column_has(&f.column, 7));
    assert_null(column_cell(&f.column, 7));
    assert_value(&f, 8, "stays", 5);
    assert_true(column_clear(&f.column, 8));
    assert_null(column_bits(&f.column, 0));
    assert_int_equal(f.column.produced, 0);
    assert_int_equal(f.column.bytes, 0);
    assert_int_equal(f.home.overhead, 0);
    close_column(&f);
}

static void test_drop(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "bytes");
    for (uint64_t seq = 0; seq < 3000; seq += 3) put_filled(&f, seq, seq % 2000);
    column_drop(&f.column);
    assert_int_equal(arena_allocated(f.arena), 0);
    arena_free(f.arena);
}

/* ---- shapes ------------------------------------------------------------------------------- */

static void test_dense_becomes_ragged(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8[3]");
    put(&f, 0, "abc", 3, NULL);
    put(&f, 1500, "def", 3, NULL);
    widen(&f, "u8[3]");
    assert_int_equal(f.column.version, 0);
    widen(&f, "u8[*]");
    assert_item(&f, 0, "u8[3]");
    put(&f, 1, "gh", 2, NULL);
    put(&f, 2, "", 0, NULL);
    assert_item(&f, 0, "u8[3]");
    assert_item(&f, 1, "u8[2]");
    assert_item(&f, 2, "u8[0]");
    assert_item(&f, 1500, "u8[3]"); /* its block has not been written since */
    assert_value(&f, 1500, "def", 3);
    close_column(&f);
}

static void test_several_stars_keep_sizes(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "u8[2,3]");
    put(&f, 0, "abcdef", 6, NULL);
    put(&f, 3000, "ABCDEF", 6, NULL);
    widen(&f, "u8[2,*]");
    put(&f, 1, "ab", 2, NULL);
    widen(&f, "u8[*,*]");
    put(&f, 2, "abcd", 4, (uint32_t[]){4, 1});
    put(&f, 3, "abcd", 4, (uint32_t[]){1, 4});
    put(&f, 4, "", 0, (uint32_t[]){0, 9});
    put(&f, 5, "", 0, (uint32_t[]){9, 0});
    for (uint64_t seq = 6; seq < 1024; seq++) put(&f, seq, "xyz", 3, (uint32_t[]){3, 1});
    static const char *const items[] = {"u8[2,3]", "u8[2,1]", "u8[4,1]", "u8[1,4]",
                                        "u8[0,9]", "u8[9,0]", "u8[3,1]"};
    for (uint64_t seq = 0; seq < 7; seq++) assert_item(&f, seq, items[seq]);
    assert_item(&f, 3000, "u8[2,3]");
    put(&f, 3001, "a", 1, (uint32_t[]){1, 1});
    assert_item(&f, 3000, "u8[2,3]");
    put(&f, 3, "ab", 2, (uint32_t[]){2, 1}); /* overwritten with its sizes */
    assert_item(&f, 3, "u8[2,1]");
    assert_item(&f, 2, "u8[4,1]");
    close_column(&f);
}

/* With a dimension of 0 the length says nothing about a `*` beside it. */
static void test_star_beside_nothing(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "f32[0,5]");
    put(&f, 0, "", 0, NULL);
    widen(&f, "f32[0,*]");
    put(&f, 1, "", 0, (uint32_t[]){7});
    put(&f, 2, "", 0, (uint32_t[]){0});
    assert_item(&f, 0, "f32[0,5]");
    assert_item(&f, 1, "f32[0,7]");
    assert_item(&f, 2, "f32[0,0]");
    widen(&f, "f32[*,*]");
    assert_item(&f, 1, "f32[0,7]");
    put(&f, 3, "\0\0\0\0", 4, (uint32_t[]){1, 1});
    assert_item(&f, 0, "f32[0,5]");
    assert_item(&f, 1, "f32[0,7]");
    assert_item(&f, 3, "f32[1,1]");
    close_column(&f);
}

/* The only cell of a block lies in the block itself, with its size. */
static void test_a_cell_alone_keeps_its_shape(void **state) {
    (void)state;
    enum { OTHER = BLOCK_ROWS, THIRD = 2 * BLOCK_ROWS };
    struct fixture f;
    open_column(&f, "f32[0,5]");
    put(&f, 0, "", 0, NULL);
    widen(&f, "f32[0,*]");
    assert_item(&f, 0, "f32[0,5]");
    put(&f, OTHER, "", 0, (uint32_t[]){7});
    put(&f, 0, "", 0, (uint32_t[]){6});
    assert_item(&f, 0, "f32[0,6]");
    assert_item(&f, OTHER, "f32[0,7]");
    size_t alone = f.home.overhead;
    put(&f, 1, "", 0, (uint32_t[]){8}); /* no longer alone */
    assert_int_equal(f.home.overhead - alone, 2 * (sizeof(struct cell) + sizeof(uint32_t)));
    assert_item(&f, 0, "f32[0,6]");
    assert_item(&f, 1, "f32[0,8]");
    widen(&f, "f32[*,*]");
    put(&f, OTHER, "1234", 4, (uint32_t[]){1, 1});
    put(&f, OTHER + 1, "", 0, (uint32_t[]){0, 9});
    put(&f, THIRD, "1234", 4, (uint32_t[]){1, 1});
    assert_item(&f, 0, "f32[0,6]");
    assert_item(&f, OTHER, "f32[1,1]");
    assert_item(&f, OTHER + 1, "f32[0,9]");
    assert_value(&f, THIRD, "1234", 4);
    for (int i = 0; i < 5; i++)
        assert_true(column_clear(&f.column, (uint64_t[]){0, 1, OTHER, OTHER + 1, THIRD}[i]));
    assert_int_equal(f.home.overhead, 0);
    close_column(&f);
}

static void test_one_dimension_after_the_other(void **state) {
    (void)state;
    struct fixture f;
    char text[64] = "u8[1,1,1,1,1,1,1,1]";
    uint32_t sizes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    open_column(&f, text);
    put(&f, 0, "a", 1, NULL);
    for (unsigned star = 0; star < 8; star++) {
        text[3 + 2 * star] = '*';
        widen(&f, text);
        put(&f, star + 1, "ab", star ? 1 : 2, star ? sizes : NULL);
        put(&f, 5000 + 1024 * star, "a", 1, star ? sizes : NULL);
    }
    assert_int_equal(f.column.version, COLUMN_TYPES_MAX - 1);
    assert_item(&f, 0, "u8[1,1,1,1,1,1,1,1]");
    assert_item(&f, 1, "u8[2,1,1,1,1,1,1,1]");
    for (unsigned star = 1; star < 8; star++) {
        assert_item(&f, star + 1, "u8[1,1,1,1,1,1,1,1]");
        assert_item(&f, 5000 + 1024 * star, "u8[1,1,1,1,1,1,1,1]");
    }
    close_column(&f);
}

/* ---- chunks ------------------------------------------------------------------------------- */

static void test_adopted_memory(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "bytes");
    struct chunk *chunk = arena_take(f.arena, 50000);
    memset(chunk->memory, 'x', 50000);
    uint64_t seqs[] = {1, 2};
    uint32_t lengths[] = {20000, 29990};
    struct column_values values = {
        .payload = span_of(chunk->memory + 10, 49990), .lengths = lengths, .adopt = chunk};
    column_put(&f.column, seqs, 2, &values);
    struct span value;
    column_get(&f.column, 2, &value);
    assert_ptr_equal(value.ptr, chunk->memory + 20010); /* not copied */
    chunk_unpin(chunk);
    assert_int_equal(chunks(&f), 1);
    column_clear(&f.column, 1);
    assert_int_equal(chunks(&f), 1);
    column_clear(&f.column, 2);
    assert_int_equal(chunks(&f), 0);

    chunk = arena_take(f.arena, 100); /* an empty value has nothing to adopt */
    column_put(&f.column, seqs, 1,
               &(struct column_values){.payload = span_of(chunk->memory, 0), .adopt = chunk});
    assert_value(&f, 1, "", 0);
    chunk_unpin(chunk);
    assert_int_equal(chunks(&f), 0);
    close_column(&f);
}

/* A stream whose samples go before the next ones come stays in the same memory. */
static void test_steady_stream_reuses_its_chunk(void **state) {
    (void)state;
    struct fixture f;
    struct span first, value;
    open_column(&f, "bytes");
    put_filled(&f, 0, 900);
    column_get(&f.column, 0, &first);
    for (uint64_t seq = 1; seq < 100; seq++) {
        column_clear(&f.column, seq - 1);
        put_filled(&f, seq, 900);
        column_get(&f.column, seq, &value);
        assert_ptr_equal(value.ptr, first.ptr);
        assert_filled(&f, seq, 900);
    }
    assert_int_equal(chunks(&f), 1);
    close_column(&f);
}

static void test_memory_of_a_reply_is_not_reused(void **state) {
    (void)state;
    struct fixture f;
    struct span referenced;
    open_column(&f, "bytes");
    put(&f, 0, "lent", 4, NULL);
    struct chunk *chunk = arena_chunk(f.arena, column_cell(&f.column, 0)->chunk);
    column_get(&f.column, 0, &referenced);
    chunk_pin(chunk);
    column_clear(&f.column, 0);
    for (uint64_t seq = 1; seq < 3000; seq++) put_filled(&f, seq, 100);
    assert_memory_equal(referenced.ptr, "lent", 4);
    chunk_list_release(&f.home.chunks);
    assert_memory_equal(referenced.ptr, "lent", 4);
    column_free(&f.column);
    assert_memory_equal(referenced.ptr, "lent", 4);
    assert_int_equal(chunks(&f), 1);
    chunk_unpin(chunk);
    assert_int_equal(arena_allocated(f.arena), 0);
    arena_free(f.arena);
}

/* A child of a fork still reads what was cleared behind its back. */
static void test_held_memory_is_not_reused(void **state) {
    (void)state;
    struct fixture f;
    struct span seen, value;
    open_column(&f, "bytes");
    put(&f, 0, "seen", 4, NULL);
    column_get(&f.column, 0, &seen);
    arena_defer_frees(f.arena);
    column_clear(&f.column, 0);
    for (uint64_t seq = 1; seq < 3000; seq++) {
        put_filled(&f, seq, 100);
        column_clear(&f.column, seq);
        assert_memory_equal(seen.ptr, "seen", 4);
    }
    arena_resume_frees(f.arena);
    put_filled(&f, 3000, 100);
    column_get(&f.column, 3000, &value);
    column_clear(&f.column, 3000);
    put_filled(&f, 3001, 100); /* in the same place again */
    column_get(&f.column, 3001, &seen);
    assert_ptr_equal(seen.ptr, value.ptr);
    arena_tick(f.arena, 1);
    close_column(&f);
}

/* What is behind a value in its last unit is the column's to use. */
static void test_open_chunk_is_used_to_its_end(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "bytes");
    put_filled(&f, 0, 5000);
    put_filled(&f, 1, 120);
    assert_int_equal(chunks(&f), 1);
    assert_int_equal(arena_allocated(f.arena), 5 * ARENA_UNIT);
    assert_filled(&f, 0, 5000);
    assert_filled(&f, 1, 120);
    close_column(&f);
}

/* A large value has a chunk of its own, even the first one, and takes it along when it goes. */
/* Under AddressSanitizer the end of a chunk that was not asked for can't be written to. A move
 * opens a chunk no larger than what is alive in the old one. */
static void test_chunk_of_a_move_is_used_to_its_end(void **state) {
    (void)state;
    for (size_t live = 1; live < 3000; live += 61) {
        struct fixture f;
        open_column(&f, "bytes");
        put_filled(&f, 0, live);
        column_close(&f.column);
        assert_int_equal(column_move(&f.column, 0), 0);
        for (uint64_t seq = 1; seq < 400; seq++) put_filled(&f, seq, 1 + seq % 41);
        column_close(&f.column);
        close_column(&f);
    }
}

/* The same for the chunk that columns share. */
static void test_shared_chunk_is_used_to_its_end(void **state) {
    (void)state;
    static const size_t firsts[] = {1, 64, 65, 129, 193, 250};
    for (size_t i = 0; i < sizeof(firsts) / sizeof(*firsts); i++) {
        struct fixture f;
        open_column(&f, "bytes");
        f.home.shares = true;
        put_filled(&f, 0, firsts[i]);
        for (uint64_t seq = 1; f.column.bytes + 16 <= 512; seq++) put_filled(&f, seq, 16);
        assert_null(f.column.open); /* all of it went to shared chunks */
        column_home_close(&f.home);
        close_column(&f);
    }
}

static void test_large_values_go_at_once(void **state) {
    (void)state;
    struct fixture f;
    open_column(&f, "bytes");
    put_filled(&f, 0, 700000);
    assert_true(arena_allocated(f.arena) < 701000);
    column_clear(&f.column, 0);
    assert_int_equal(arena_allocated(f.arena), 0);
    put_filled(&f, 1, 100);
    put_filled(&f, 2, 700000);
    column_clear(&f.column, 2);
    assert_int_equal(arena_allocated(f.arena), ARENA_UNIT);
    close_column(&f);
}

/* Whatever comes, what column_reserve asks for is enough: nothing is mapped behind it. */
static void test_reserve_is_enough(void **state) {
    (void)state;
    struct source source = source_of_seed(5);
    for (uint64_t round = 0; round < test_rounds(30); round++) {
        struct fixture f;
        struct arena_stats before, after;
        open_column(&f, "bytes");
        for (int i = 0; i < 600; i++) {
            size_t len = source_below(&source, source_below(&source, 5) ? 600 : 300000);
            uint64_t seq = source_below(&source, 40);
            size_t need = column_reserve(&f.column, len);
            arena_reserve(f.arena, need, NULL);
            arena_stats(f.arena, &before);
            put_filled(&f, seq, len);
            arena_stats(f.arena, &after);
            assert_int_equal(before.mapped, after.mapped);
            assert_true(after.allocated <= before.allocated + need);
            assert_filled(&f, seq, len);
            if (source_below(&source, 3) == 0) column_clear(&f.column, source_below(&source, 40));
        }
        close_column(&f);
    }
}

static void test_reserve_for_a_column_to_come(void **state) {
    (void)state;
    assert_int_equal(column_reserve(NULL, 0), 0);
    assert_int_equal(column_reserve(NULL, 1), ARENA_UNIT);
    assert_int_equal(column_reserve(NULL, ARENA_UNIT + 1), 2 * ARENA_UNIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_in_a_row_lies_in_a_row),
        cmocka_unit_test(test_a_batch_is_one_run),
        cmocka_unit_test(test_clear_and_overwrite),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_dense_becomes_ragged),
        cmocka_unit_test(test_several_stars_keep_sizes),
        cmocka_unit_test(test_star_beside_nothing),
        cmocka_unit_test(test_a_cell_alone_keeps_its_shape),
        cmocka_unit_test(test_one_dimension_after_the_other),
        cmocka_unit_test(test_adopted_memory),
        cmocka_unit_test(test_steady_stream_reuses_its_chunk),
        cmocka_unit_test(test_memory_of_a_reply_is_not_reused),
        cmocka_unit_test(test_held_memory_is_not_reused),
        cmocka_unit_test(test_open_chunk_is_used_to_its_end),
        cmocka_unit_test(test_chunk_of_a_move_is_used_to_its_end),
        cmocka_unit_test(test_shared_chunk_is_used_to_its_end),
        cmocka_unit_test(test_large_values_go_at_once),
        cmocka_unit_test(test_reserve_is_enough),
        cmocka_unit_test(test_reserve_for_a_column_to_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
