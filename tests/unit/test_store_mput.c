/* Batches in the column form: every way in which its four parts can disagree, and what becomes of those that
 * agree, read back in the same form. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "kit/source.h"
#include "kit/store.h"
#include "store/bounds.h"
#include "store/gather.h"
#include "store/mput.h"

static int do_mput(struct kit *k, const struct mput *mput) {
    struct op op;
    scratch_reset(&k->scratch);
    k->error = (struct error){0};
    int failed = mput_plan(k->store, mput, WRITE_VALUES_FIRST, k->now_ms, &k->scratch, &op,
                           &k->skipped, &k->error);
    if (!failed && !k->skipped) k->changed = store_apply(k->store, &op);
    return failed;
}

static const struct span keys[] = {SPAN_LITERAL("a"), SPAN_LITERAL("b"), SPAN_LITERAL("c"),
                                   SPAN_LITERAL("d")};

static struct mput_column column_of(const char *name, const char *type, struct span shape,
                                    struct span payload) {
    struct mput_column column = {.name = span_of_string(name), .shape = shape, .payload = payload};
    assert_int_equal(dtype_parse(span_of_string(type), &column.type, NULL), 0);
    return column;
}

static struct mput batch_of(size_t n, const struct mput_column *column) {
    return (struct mput){.partition = SPAN_LITERAL("p"),
                         .n = n,
                         .keys = keys,
                         .n_columns = column ? 1 : 0,
                         .columns = column};
}

static void put_column(struct kit *k, size_t n, const char *name, const char *type,
                       struct span shape, struct span payload) {
    struct mput_column column = column_of(name, type, shape, payload);
    struct mput mput = batch_of(n, &column);
    if (do_mput(k, &mput)) fail_msg("%s", k->error.text);
}

static void assert_refused(struct kit *k, const struct mput *mput, int failed,
                           const char *culprit) {
    struct span had = kit_dump(k->store), has;
    struct store_stats before, after;
    store_stats(k->store, &before);
    int got = do_mput(k, mput);
    if (got != failed)
        fail_msg("got %d (%s), expected %d for %s", got, k->error.text, failed, culprit);
    if (!strstr(k->error.text, culprit)) fail_msg("'%s' does not say %s", k->error.text, culprit);
    store_stats(k->store, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    has = kit_dump(k->store);
    assert_true(span_equal(had, has));
    kit_dump_free(had);
    kit_dump_free(has);
}

static void refuse_column(struct kit *k, size_t n, const char *name, const char *type,
                          struct span shape, struct span payload, const char *culprit) {
    struct mput_column column = column_of(name, type, shape, payload);
    struct mput mput = batch_of(n, &column);
    assert_refused(k, &mput, ERROR_SCHEMA, culprit);
}

#define U32(...) span_of((uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}))
#define NOTHING span_of(NULL, 0)

/* ---- what fits ---------------------------------------------------------------------------- */

static void test_dense(void **state) {
    struct kit *k = *state;
    put_column(k, 3, "f", "i16[2]", NOTHING, SPAN_LITERAL("aabbccddeeff"));
    assert_int_equal(k->changed, 3);
    assert_true(span_equal(kit_value(k, "p", "b", "f"), SPAN_LITERAL("ccdd")));
    put_column(k, 4, "f", "i16[2]", NOTHING, SPAN_LITERAL("AABBCCDDEEFFGGHH"));
    assert_int_equal(k->changed, 1);
    assert_true(span_equal(kit_value(k, "p", "a", "f"), SPAN_LITERAL("AABB")));
    assert_true(span_equal(kit_value(k, "p", "d", "f"), SPAN_LITERAL("GGHH")));
    put_column(k, 2, "f", "i16[1]", NOTHING, SPAN_LITERAL("xxyy"));
    assert_string_equal(kit_type(k, "p", "f"), "i16[*]");
    assert_string_equal(kit_item(k, "p", "b", "f"), "i16[1]");
    assert_string_equal(kit_item(k, "p", "d", "f"), "i16[2]");
}

static void test_ragged(void **state) {
    struct kit *k = *state;
    put_column(k, 3, "f", "u8[*,2]", U32(1, 0, 2), SPAN_LITERAL("aabbcc"));
    assert_string_equal(kit_type(k, "p", "f"), "u8[*,2]");
    assert_string_equal(kit_item(k, "p", "b", "f"), "u8[0,2]");
    assert_true(span_equal(kit_value(k, "p", "c", "f"), SPAN_LITERAL("bbcc")));
    put_column(k, 2, "g", "u8[*,3,*]", U32(1, 2, 0, 7), SPAN_LITERAL("abcdef"));
    assert_string_equal(kit_item(k, "p", "a", "g"), "u8[1,3,2]");
    assert_string_equal(kit_item(k, "p", "b", "g"), "u8[0,3,7]");
    put_column(k, 2, "g", "u8[2,*,1]", U32(3, 1), SPAN_LITERAL("abcdefgh"));
    assert_string_equal(kit_type(k, "p", "g"), "u8[*,*,*]");
    assert_string_equal(kit_item(k, "p", "a", "g"), "u8[2,3,1]");
    assert_string_equal(kit_item(k, "p", "b", "g"), "u8[2,1,1]");
}

/* A column may say `*` where all its items agree with a dense field: that stays dense. */
static void test_a_star_that_varies_not(void **state) {
    struct kit *k = *state;
    put_column(k, 2, "f", "u8[2]", NOTHING, SPAN_LITERAL("aabb"));
    put_column(k, 2, "f", "u8[*]", U32(2, 2), SPAN_LITERAL("ccdd"));
    assert_string_equal(kit_type(k, "p", "f"), "u8[2]");
    column_set_find(&kit_partition(k, "p")->fields, SPAN_LITERAL("f"))->declared = true;
    put_column(k, 2, "f", "u8[*]", U32(2, 2), SPAN_LITERAL("eeff"));
    refuse_column(k, 2, "f", "u8[*]", U32(2, 3), SPAN_LITERAL("eefff"), "field 'f' is u8[2]");
}

static void test_text(void **state) {
    struct kit *k = *state;
    put_column(k, 3, "s", "str", U32(1, 0, 4), SPAN_LITERAL("x\xc3\xbc\xc3\x9f"));
    assert_true(span_equal(kit_value(k, "p", "c", "s"), SPAN_LITERAL("\xc3\xbc\xc3\x9f")));
    assert_int_equal(kit_value(k, "p", "b", "s").len, 0);
    put_column(k, 2, "s", "str", U32(0, 0), NOTHING);
    assert_int_equal(kit_value(k, "p", "a", "s").len, 0);
    put_column(k, 2, "b", "bytes", U32(1, 1), SPAN_LITERAL("\xc3\xbc"));
    assert_true(span_equal(kit_value(k, "p", "b", "b"), SPAN_LITERAL("\xbc")));
    put_column(k, 2, "t", "bool[*]", U32(2, 1), SPAN_LITERAL("\0\1\1"));
}

static void test_nothing_but_keys(void **state) {
    struct kit *k = *state;
    struct mput mput = batch_of(4, NULL);
    assert_int_equal(do_mput(k, &mput), 0);
    assert_int_equal(k->changed, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(partition_find(kit_partition(k, "p"), keys[i]), i);
}

static void test_tags_and_groups(void **state) {
    struct kit *k = *state;
    struct span values[] = {SPAN_LITERAL("1"), {NULL, 0}, SPAN_LITERAL("3"), SPAN_LITERAL("4")};
    struct span groups[] = {SPAN_LITERAL("g"), SPAN_LITERAL("h"), SPAN_LITERAL("g"),
                            SPAN_LITERAL("h")};
    struct mput_tag tag = {SPAN_LITERAL("t"), values};
    struct mput mput = batch_of(4, NULL);
    mput.tags = &tag;
    mput.n_tags = 1;
    mput.group_ids = groups;
    mput.group_size = 2;
    assert_int_equal(do_mput(k, &mput), 0);
    const struct partition *p = kit_partition(k, "p");
    struct span value;
    for (uint64_t seq = 0; seq < 4; seq++) {
        assert_true(column_get(p->tags.columns[0], seq, &value));
        assert_true(span_equal(value, values[seq]));
        const struct group *group = groups_get(p->groups, partition_group(p, seq));
        assert_true(span_equal(group->id, groups[seq]));
        assert_true(group_is_complete(group));
    }
    assert_int_equal(do_mput(k, &mput), 0); /* the same again: members already */
    assert_int_equal(k->changed, 0);
}

static void test_adopted(void **state) {
    struct kit *k = *state;
    struct chunk *chunk = arena_take(store_arena(k->store), 100000);
    memset(chunk->memory, 'x', 100000);
    struct mput_column column =
        column_of("f", "u8[25000]", NOTHING, span_of(chunk->memory, 100000));
    column.chunk = chunk;
    struct mput mput = batch_of(4, &column);
    assert_int_equal(do_mput(k, &mput), 0);
    assert_ptr_equal(kit_value(k, "p", "c", "f").ptr, chunk->memory + 50000);
    assert_int_equal(chunk->cells, 4);
    chunk_unpin(chunk);
    for (size_t i = 0; i < 4; i++) assert_int_equal(kit_clear_key(k, "p", keys[i].ptr), 1);
    assert_true(arena_allocated(store_arena(k->store)) <= 2 * ARENA_UNIT);
}

/* ---- what does not fit -------------------------------------------------------------------- */

static void test_parts_that_disagree(void **state) {
    struct kit *k = *state;
    put_column(k, 1, "f", "u8[*]", U32(1), SPAN_LITERAL("a"));
    refuse_column(k, 2, "f", "u8[2]", NOTHING, SPAN_LITERAL("aab"), "has 4 bytes, got 3");
    refuse_column(k, 2, "f", "u8[2]", U32(2, 2), SPAN_LITERAL("aabb"), "has 0 bytes, got 8");
    refuse_column(k, 2, "f", "u8[*]", NOTHING, SPAN_LITERAL("aabb"), "has 8 bytes, got 0");
    refuse_column(k, 2, "f", "u8[*]", U32(2), SPAN_LITERAL("aabb"), "has 8 bytes, got 4");
    refuse_column(k, 2, "f", "u8[*]", span_of("1234567", 7), SPAN_LITERAL("aabb"), "got 7");
    refuse_column(k, 2, "f", "u8[*]", U32(2, 3), SPAN_LITERAL("aabb"), "has 5 bytes, got 4");
    refuse_column(k, 2, "f", "u8[*]", U32(2, 1), SPAN_LITERAL("aabb"), "has 3 bytes, got 4");
    refuse_column(k, 2, "f", "bytes", U32(2), SPAN_LITERAL("aabb"), "has 8 bytes, got 4");
    refuse_column(k, 2, "new", "bytes", U32(2, 3), SPAN_LITERAL("aabb"), "has 5 bytes, got 4");
    refuse_column(k, 2, "f", "u8[2,2]", NOTHING, SPAN_LITERAL("aabbccdd"), "field 'f' is u8[*]");
    refuse_column(k, 2, "f", "i8[2]", NOTHING, SPAN_LITERAL("aabb"), "field 'f' is u8[*]");
    refuse_column(k, 2, "f", "str", U32(2, 2), SPAN_LITERAL("aabb"), "field 'f' is u8[*]");
}

/* Sizes whose products and sums do not fit into anything. */
static void test_overflows(void **state) {
    struct kit *k = *state;
    refuse_column(k, 2, "f", "f64[*,*]", U32(65536, 65536, 1, 1), SPAN_LITERAL("12345678"),
                  "sample 'a' of f64[*,*] would have 4 GiB or more");
    refuse_column(k, 2, "f", "u8[*]", U32(1, UINT32_MAX), SPAN_LITERAL("1"),
                  "sample 'b' has size 4294967295, sizes end at 4294967294");
    refuse_column(k, 1, "f", "f32[*,0,*]", U32(7, UINT32_MAX), SPAN_LITERAL(""),
                  "sample 'a' has size 4294967295, sizes end at 4294967294");
    refuse_column(k, 2, "f", "u8[*]", U32(UINT32_MAX - 1, 2), SPAN_LITERAL(""),
                  "has 4294967296 bytes, got 0");
    refuse_column(k, 2, "f", "bytes", U32(UINT32_MAX, 1), SPAN_LITERAL(""),
                  "has 4294967296 bytes, got 0");
    refuse_column(k, 2, "f", "u8[*,*,*]", U32(65536, 65536, 65536, 0, 0, 0), SPAN_LITERAL(""),
                  "4 GiB");
    put_column(k, 2, "f", "u8[*,*,*]", U32(UINT32_MAX - 1, UINT32_MAX - 1, 0, 0, 0, 0),
               SPAN_LITERAL(""));
    assert_string_equal(kit_item(k, "p", "a", "f"), "u8[4294967294,4294967294,0]");
}

/* Each value is small enough, all of them are not: nothing of them is looked at. */
static void test_more_than_a_column_takes(void **state) {
    struct kit *k = *state;
    struct mput_column column =
        column_of("f", "bytes", U32(UINT32_MAX, 1), span_of("", (size_t)UINT32_MAX + 1));
    struct mput mput = batch_of(2, &column);
    assert_refused(k, &mput, ERROR_OOM, "field 'f': 4294967296 bytes");
}

static void test_bad_values(void **state) {
    struct kit *k = *state;
    refuse_column(k, 3, "s", "str", U32(1, 2, 1),
                  SPAN_LITERAL("a\xff\xff"
                               "b"),
                  "sample 'b'");
    /* All of it is valid, but a character lies across two samples. */
    refuse_column(k, 3, "s", "str", U32(1, 1, 1), SPAN_LITERAL("a\xc3\xbc"), "not UTF-8");
    refuse_column(k, 3, "s", "str", U32(2, 0, 1), SPAN_LITERAL("a\xc3\xbc"), "not UTF-8");
    refuse_column(k, 3, "o", "bool", NOTHING, SPAN_LITERAL("\1\2\0"), "neither 0 nor 1");
}

static void test_keys(void **state) {
    struct kit *k = *state;
    struct span many[300], bad[] = {SPAN_LITERAL("a"), SPAN_LITERAL("b"), SPAN_LITERAL("a")};
    static char text[300][4], longer[1025];
    struct mput mput = {.partition = SPAN_LITERAL("p"), .n = 3, .keys = bad};
    assert_refused(k, &mput, ERROR_ERR, "key 'a' is there twice");
    bad[2] = span_of("", 0);
    assert_refused(k, &mput, ERROR_ERR, "key ''");
    bad[2] = span_of(longer, sizeof(longer));
    assert_refused(k, &mput, ERROR_ERR, "got 1025");
    for (int i = 0; i < 300; i++) {
        memcpy(text[i], &i, sizeof(i));
        many[i] = span_of(text[i], 4);
    }
    mput.n = 300;
    mput.keys = many;
    many[299] = many[17];
    assert_refused(k, &mput, ERROR_ERR, "is there twice");
    many[299] = SPAN_LITERAL("last");
    assert_int_equal(do_mput(k, &mput), 0);
    assert_int_equal(k->changed, 300);
}

static void test_group_errors(void **state) {
    struct kit *k = *state;
    struct span g = SPAN_LITERAL("g"), ids[] = {g, g, g, g};
    struct mput mput = batch_of(3, NULL);
    mput.group_ids = ids;
    mput.group_size = 2;
    assert_refused(k, &mput, ERROR_ERR, "group 'g' has 2 members at most");
    mput.group_size = 0;
    assert_refused(k, &mput, ERROR_ERR, "expected a size");
    mput.group_size = 3;
    assert_int_equal(do_mput(k, &mput), 0);
    mput.n = 4;
    assert_refused(k, &mput, ERROR_ERR, "no room for sample 'd'");
    ids[0] = SPAN_LITERAL("h");
    assert_refused(k, &mput, ERROR_ERR, "sample 'a' is in group 'g'");
    mput.group_size = 4;
    assert_refused(k, &mput, ERROR_ERR, "have 3 members, not 4");
}

static void test_bounds(void **state) {
    struct kit *k = *state;
    struct mput mput = batch_of(2, NULL);
    assert_int_equal(kit_expect(k, "p", 3), 0);
    assert_int_equal(do_mput(k, &mput), 0);
    mput.n = 4;
    assert_refused(k, &mput, ERROR_FULL, "expects 3 samples");
    mput.n = 3;
    assert_int_equal(do_mput(k, &mput), 0);
    assert_int_equal(k->changed, 1);
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_int_equal(do_mput(k, &mput), 0); /* none is new */
}

/* One bad column among good ones: nothing of the batch is there. */
static void test_whole_or_not_at_all(void **state) {
    struct kit *k = *state;
    put_column(k, 1, "old", "u8", NOTHING, SPAN_LITERAL("a"));
    struct mput_column columns[] = {column_of("new", "u8[2]", NOTHING, SPAN_LITERAL("aabbccdd")),
                                    column_of("old", "u8", NOTHING, SPAN_LITERAL("abc"))};
    struct span values[] = {SPAN_LITERAL("1"), SPAN_LITERAL("2"), SPAN_LITERAL("3"),
                            SPAN_LITERAL("4")};
    struct mput_tag tag = {SPAN_LITERAL("t"), values};
    struct mput mput = batch_of(4, columns);
    mput.n_columns = 2;
    mput.tags = &tag;
    mput.n_tags = 1;
    assert_refused(k, &mput, ERROR_SCHEMA, "field 'old'");
    columns[1] = columns[0];
    assert_refused(k, &mput, ERROR_ERR, "field 'new' is named twice");
    columns[1].name = SPAN_LITERAL("@new");
    assert_refused(k, &mput, ERROR_ERR, "'@new'");
}

/* ---- reading back ------------------------------------------------------------------------- */

static void assert_gathers(struct kit *k, const char *field, size_t n, const uint64_t *seqs,
                           const char *type, struct span shape, struct span payload) {
    char bytes[64], *at = bytes;
    struct gather g;
    struct gather_run run;
    const struct column *column =
        column_set_find(&kit_partition(k, "p")->fields, span_of_string(field));
    assert_int_equal(gather_open(&g, column, seqs, n), n);
    assert_string_equal(DTYPE_NAME(&g.type), type);
    assert_int_equal(gather_shape_bytes(&g), shape.len);
    gather_shape(&g, bytes);
    if (shape.len) assert_memory_equal(bytes, shape.ptr, shape.len);
    assert_int_equal(g.bytes, payload.len);
    while (gather_next(&g, &run)) {
        memcpy(at, run.bytes.ptr, run.bytes.len);
        at += run.bytes.len;
    }
    assert_true(span_equal(span_of(bytes, (size_t)(at - bytes)), payload));
}

static void test_the_narrowest_type(void **state) {
    struct kit *k = *state;
    put_column(k, 4, "f", "u8[*,*]", U32(1, 2, 1, 3, 2, 2, 1, 2), SPAN_LITERAL("aabbbccccdd"));
    assert_gathers(k, "f", 4, (uint64_t[]){0, 1, 2, 3}, "u8[*,*]", U32(1, 2, 1, 3, 2, 2, 1, 2),
                   SPAN_LITERAL("aabbbccccdd"));
    assert_gathers(k, "f", 2, (uint64_t[]){1, 0}, "u8[1,*]", U32(3, 2), SPAN_LITERAL("bbbaa"));
    assert_gathers(k, "f", 2, (uint64_t[]){3, 0}, "u8[1,2]", NOTHING, SPAN_LITERAL("ddaa"));
    assert_gathers(k, "f", 3, (uint64_t[]){2, 2, 2}, "u8[2,2]", NOTHING,
                   SPAN_LITERAL("cccccccccccc"));
    put_column(k, 3, "g", "u8[*]", U32(0, 1, 1), SPAN_LITERAL("xy"));
    assert_gathers(k, "g", 2, (uint64_t[]){1, 2}, "u8[1]", NOTHING, SPAN_LITERAL("xy"));
    assert_gathers(k, "g", 2, (uint64_t[]){0, 1}, "u8[*]", U32(0, 1), SPAN_LITERAL("x"));
    put_column(k, 3, "s", "str", U32(0, 2, 0), SPAN_LITERAL("hi"));
    assert_gathers(k, "s", 3, (uint64_t[]){0, 1, 2}, "str", U32(0, 2, 0), SPAN_LITERAL("hi"));
}

static void test_runs(void **state) {
    struct kit *k = *state;
    put_column(k, 4, "f", "u8[2]", NOTHING, SPAN_LITERAL("aabbccdd"));
    const struct column *column = kit_partition(k, "p")->fields.columns[0];
    uint64_t seqs[] = {0, 1, 2, 3, 3, 1, 2};
    static const char *const expected[] = {"aabbccdd", "dd", "bbcc"};
    struct gather g;
    struct gather_run run;
    gather_open(&g, column, seqs, 7);
    for (size_t i = 0; i < 3; i++) {
        assert_true(gather_next(&g, &run));
        assert_true(span_equal(run.bytes, span_of_string(expected[i])));
        assert_int_equal(run.chunk->cells, 8); /* with the keys */
    }
    assert_false(gather_next(&g, &run));
}

static void test_the_first_that_is_missing(void **state) {
    struct kit *k = *state;
    put_column(k, 2, "f", "u8", NOTHING, SPAN_LITERAL("ab"));
    put_column(k, 4, "g", "u8[*,*]", U32(1, 1, 1, 1, 1, 1, 1, 1), SPAN_LITERAL("abcd"));
    kit_clear(k, &(struct clear){
                     .select = {.partition = SPAN_LITERAL("p"), .n_keys = 1, .keys = &keys[2]},
                     .what = SELECT_FIELDS,
                     .n_names = 1,
                     .names = (struct span[]){SPAN_LITERAL("g")}});
    const struct column_set *fields = &kit_partition(k, "p")->fields;
    struct gather g;
    assert_int_equal(gather_open(&g, fields->columns[0], (uint64_t[]){1, 0, 3, 2}, 4), 2);
    assert_int_equal(gather_open(&g, fields->columns[1], (uint64_t[]){1, 0, 3, 2}, 4), 3);
}

/* ---- NX, XX ------------------------------------------------------------------------------- */

enum { NX_BATCH = 6, NX_KEYS = 24 };

/* A batch of one ragged, one text and one dense column, a tag and groups, in memory of its own. */
struct nx_batch {
    struct mput mput;
    struct span keys[NX_BATCH], groups[NX_BATCH], values[NX_BATCH];
    struct mput_tag tag;
    struct mput_column columns[3];
    uint32_t sizes[NX_BATCH], lengths[NX_BATCH];
    char items[NX_BATCH * 3 * 8], text[NX_BATCH * 3], dense[NX_BATCH];
    char names[NX_BATCH][8], ids[NX_BATCH][8];
};

static void nx_batch_open(struct nx_batch *b, bool groups) {
    b->mput = (struct mput){.partition = SPAN_LITERAL("p"),
                            .keys = b->keys,
                            .group_ids = groups ? b->groups : NULL,
                            .group_size = 3,
                            .n_tags = 1,
                            .n_columns = 3,
                            .tags = &b->tag,
                            .columns = b->columns};
    b->tag = (struct mput_tag){SPAN_LITERAL("t"), b->values};
    b->columns[0] = column_of("r", "i64[*]", span_of((char *)b->sizes, 0), span_of(b->items, 0));
    b->columns[1] = column_of("s", "str", span_of((char *)b->lengths, 0), span_of(b->text, 0));
    b->columns[2] = column_of("d", "u8", span_of("", 0), span_of(b->dense, 0));
}

static void nx_batch_add(struct nx_batch *b, unsigned number, unsigned group, uint32_t size,
                         uint32_t length) {
    size_t i = b->mput.n++;
    snprintf(b->names[i], sizeof(b->names[i]), "k%u", number);
    snprintf(b->ids[i], sizeof(b->ids[i]), "g%u", group);
    b->keys[i] = span_of_string(b->names[i]);
    b->groups[i] = span_of_string(b->ids[i]);
    b->values[i] = span_of("0123456789", 1 + number % 3);
    b->sizes[i] = size;
    b->lengths[i] = length;
    memset(b->items + b->columns[0].payload.len, (int)number, size * 8);
    memset(b->text + b->columns[1].payload.len, 'a' + (int)number % 26, length);
    b->dense[i] = (char)(number + 1);
    b->columns[0].payload.len += size * 8;
    b->columns[1].payload.len += length;
    b->columns[0].shape.len = b->columns[1].shape.len = 4 * b->mput.n;
    b->columns[2].payload.len++;
}

/* NX and XX write what a batch of only the samples that they admit writes, and refuse what it
 * refuses. */
static void test_nx_and_xx_write_a_smaller_batch(void **state) {
    static struct nx_batch whole, part;
    struct kit *k = *state, other;
    struct source s = source_of_seed(1);
    unsigned written = 0, refused = 0;
    kit_open(&other);
    for (int round = 0; round < 3000; round++) {
        bool xx = source_below(&s, 2), groups = source_below(&s, 2);
        uint32_t same = source_below(&s, 2) ? 2 : UINT32_MAX;
        unsigned number = (unsigned)source_below(&s, 3);
        nx_batch_open(&whole, groups);
        nx_batch_open(&part, groups);
        whole.mput.only = xx ? PUT_XX : PUT_NX;
        for (; number < NX_KEYS && whole.mput.n < NX_BATCH;
             number += 1 + (unsigned)source_below(&s, 9)) {
            const struct partition *p = store_find(other.store, whole.mput.partition);
            char name[8];
            snprintf(name, sizeof(name), "k%u", number);
            bool there = p && partition_find(p, span_of_string(name)) != SEQ_NONE;
            unsigned group = source_once_in(&s, 10) ? 9 : number / 3;
            uint32_t size = same < 4 ? same : (uint32_t)source_below(&s, 4);
            uint32_t length = (uint32_t)source_below(&s, 4);
            nx_batch_add(&whole, number, group, size, length);
            if (there == xx) nx_batch_add(&part, number, group, size, length);
        }
        int failed = do_mput(k, &whole.mput);
        int expected = part.mput.n ? do_mput(&other, &part.mput) : 0;
        if (failed != expected) fail_msg("%s / %s", k->error.text, other.error.text);
        written += part.mput.n > 0 && part.mput.n < whole.mput.n && !failed;
        refused += failed != 0;
        struct span one = kit_dump(k->store), two = kit_dump(other.store);
        assert_true(span_equal(one, two));
        kit_dump_free(one);
        kit_dump_free(two);
        for (int i = 0; i < 3; i++) {
            char name[8];
            snprintf(name, sizeof(name), "k%u", (unsigned)source_below(&s, NX_KEYS));
            if (source_below(&s, 2)) continue;
            kit_clear_key(k, "p", name);
            kit_clear_key(&other, "p", name);
        }
        if (source_once_in(&s, 30)) kit_drop(k, "p"), kit_drop(&other, "p");
    }
    assert_true(written > 100 && refused > 10);
    store_free(other.store);
    scratch_free(&other.scratch);
}

/* What is wrong with a batch by itself is said, whatever is skipped; where a sample that is held
 * back belongs does not matter. */
static void test_nx_checks_groups(void **state) {
    struct kit *k = *state;
    struct span ids[] = {SPAN_LITERAL("g"), SPAN_LITERAL("h")};
    struct mput mput = batch_of(2, NULL);
    kit_group(k, "p", "a", "g", 2);
    kit_group(k, "p", "b", "g", 2);
    mput.only = PUT_NX;
    mput.group_ids = ids;
    mput.group_size = 2;
    assert_int_equal(do_mput(k, &mput), 0); /* b is in another group */
    mput.group_size = 3;
    assert_refused(k, &mput, ERROR_ERR, "2 members, not 3");
    mput.group_size = 2;
    ids[0] = span_of("", 0);
    assert_refused(k, &mput, ERROR_ERR, "group");
    ids[0] = SPAN_LITERAL("g");
    mput.only = PUT_XX;
    assert_refused(k, &mput, ERROR_ERR, "can't join");
}

/* A batch that waits for room has its values looked at when there is room, also with NX. */
static void test_nx_asks_the_bounds_first(void **state) {
    struct kit *k = *state;
    struct bounds bounds = {.samples = 1};
    struct define define = {.partition = SPAN_LITERAL("p"), .sets_samples = true, .bounds = bounds};
    uint32_t lengths[] = {1, 1};
    struct op op;
    bool skipped;
    assert_int_equal(define_plan(k->store, &define, k->now_ms, &k->scratch, &op, &k->error), 0);
    store_apply(k->store, &op);
    kit_tag(k, "p", "a", "t", "1");
    struct mput_column column =
        column_of("f", "str", span_of((char *)lengths, 8), SPAN_LITERAL("\xff\xff"));
    struct mput mput = batch_of(2, &column);
    mput.only = PUT_NX;
    assert_int_equal(
        mput_plan(k->store, &mput, WRITE_VALUES_FIRST, 0, &k->scratch, &op, &skipped, &k->error),
        ERROR_SCHEMA);
    assert_int_equal(
        mput_plan(k->store, &mput, WRITE_BOUNDS_FIRST, 0, &k->scratch, &op, &skipped, &k->error),
        ERROR_FULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_dense),
        KIT_TEST(test_ragged),
        KIT_TEST(test_a_star_that_varies_not),
        KIT_TEST(test_text),
        KIT_TEST(test_nothing_but_keys),
        KIT_TEST(test_tags_and_groups),
        KIT_TEST(test_adopted),
        KIT_TEST(test_parts_that_disagree),
        KIT_TEST(test_overflows),
        KIT_TEST(test_more_than_a_column_takes),
        KIT_TEST(test_bad_values),
        KIT_TEST(test_keys),
        KIT_TEST(test_group_errors),
        KIT_TEST(test_bounds),
        KIT_TEST(test_whole_or_not_at_all),
        KIT_TEST(test_the_narrowest_type),
        KIT_TEST(test_runs),
        KIT_TEST(test_the_first_that_is_missing),
        KIT_TEST(test_nx_and_xx_write_a_smaller_batch),
        KIT_TEST(test_nx_checks_groups),
        KIT_TEST(test_nx_asks_the_bounds_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
