/* Clearing, erasing, resetting, and what is said about a partition as a whole. */
#include "kit/test.h"

#include <string.h>

#include "kit/store.h"
#include "store/bounds.h"

static const struct span fields[] = {SPAN_LITERAL("f"), SPAN_LITERAL("g"), SPAN_LITERAL("no")};
static const struct span tags[] = {SPAN_LITERAL("t"), SPAN_LITERAL("no")};

/* Five samples with fields f and g and a tag t of 0 to 4. */
static void fill(struct kit *k) {
    for (char c = 'a'; c <= 'e'; c++) {
        char key[] = {c, 0}, value[] = {(char)(c - 'a' + '0'), 0};
        assert_int_equal(kit_field(k, "p", key, "f", SPAN_LITERAL("1234")), 0);
        assert_int_equal(kit_field(k, "p", key, "g:i8", SPAN_LITERAL("1")), 0);
        assert_int_equal(kit_tag(k, "p", key, "t", value), 0);
    }
}

static struct select select_of(const char *keys, const struct where_condition *condition) {
    static struct span names[8];
    static char text[8];
    struct select select = {.partition = SPAN_LITERAL("p")};
    for (size_t i = 0; keys && i < strlen(keys); i++) {
        text[i] = keys[i];
        names[select.n_keys++] = span_of(text + i, 1);
    }
    if (keys) select.keys = names;
    if (condition) select.where = (struct where){1, condition};
    return select;
}

static const char *left(struct kit *k) {
    static char text[16];
    size_t n = 0;
    const struct partition *p = kit_partition(k, "p");
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++)
        text[n++] = partition_key(p, seq).ptr[0];
    text[n] = '\0';
    return text;
}

static uint64_t produced(struct kit *k, const char *field) {
    return column_set_find(&kit_partition(k, "p")->fields, span_of_string(field))->produced;
}

/* ---- samples ------------------------------------------------------------------------------ */

static void test_clear_keys(void **state) {
    struct kit *k = *state;
    fill(k);
    struct clear clear = {.select = select_of("bxdb", NULL)};
    assert_int_equal(kit_clear(k, &clear), 2);
    assert_string_equal(left(k), "ace");
    assert_int_equal(produced(k, "f"), 3);
    assert_int_equal(kit_clear(k, &clear), 0);
    assert_int_equal(kit_partition(k, "p")->written, 5);
}

static void test_clear_where(void **state) {
    struct kit *k = *state;
    struct where_condition condition = {SPAN_LITERAL("t"), WHERE_LT, SPAN_LITERAL("3")};
    fill(k);
    struct clear clear = {.select = select_of("abe", &condition)};
    assert_int_equal(kit_clear(k, &clear), 2);
    assert_string_equal(left(k), "cde");
    clear.select = select_of(NULL, &condition);
    assert_int_equal(kit_clear(k, &clear), 1);
    assert_string_equal(left(k), "de");
    condition.tag = SPAN_LITERAL("nobody");
    assert_int_equal(kit_clear(k, &clear), 0);
}

static void test_clear_all(void **state) {
    struct kit *k = *state;
    fill(k);
    assert_int_equal(kit_seal(k, "p"), 0);
    struct clear clear = {.select = select_of(NULL, NULL)};
    assert_int_equal(kit_clear(k, &clear), 1);
    assert_null(store_find(k->store, SPAN_LITERAL("p")));
    assert_int_equal(arena_allocated(store_arena(k->store)), 0);
    assert_int_equal(kit_clear(k, &clear), 0);
    fill(k); /* not sealed any more, types are free again */
    assert_int_equal(kit_clear_key(k, "p", "a"), 1);
}

/* A partition outlives its last sample. */
static void test_clear_of_every_sample(void **state) {
    struct kit *k = *state;
    fill(k);
    struct clear clear = {.select = select_of("abcde", NULL)};
    assert_int_equal(kit_clear(k, &clear), 5);
    assert_string_equal(left(k), "");
    assert_string_equal(kit_type(k, "p", "g"), "i8");
    assert_int_equal(kit_partition(k, "p")->written, 5);
}

/* ---- cells and tags ----------------------------------------------------------------------- */

static void test_erase_fields(void **state) {
    struct kit *k = *state;
    struct where_condition condition = {SPAN_LITERAL("t"), WHERE_GE, SPAN_LITERAL("3")};
    fill(k);
    struct clear clear = {
        .select = select_of("ab", NULL), .what = SELECT_FIELDS, .n_names = 3, .names = fields};
    assert_int_equal(kit_clear(k, &clear), 2);
    assert_int_equal(produced(k, "f"), 3);
    assert_int_equal(produced(k, "g"), 3);
    assert_int_equal(kit_clear(k, &clear), 0);
    clear.select = select_of(NULL, &condition);
    clear.n_names = 1;
    assert_int_equal(kit_clear(k, &clear), 2);
    assert_int_equal(produced(k, "f"), 1);
    assert_int_equal(produced(k, "g"), 3);
    clear.select = select_of(NULL, NULL);
    clear.n_names = 2;
    assert_int_equal(kit_clear(k, &clear), 3);
    assert_int_equal(produced(k, "f") + produced(k, "g"), 0);
    assert_string_equal(left(k), "abcde");
    assert_int_equal(partition_bytes(kit_partition(k, "p")), 0);
    assert_string_equal(kit_type(k, "p", "g"), "i8"); /* the field is still what it was */
}

static void test_erase_tags(void **state) {
    struct kit *k = *state;
    struct where_condition condition = {SPAN_LITERAL("t"), WHERE_EQ, SPAN_LITERAL("2")};
    fill(k);
    struct clear clear = {
        .select = select_of(NULL, &condition), .what = SELECT_TAGS, .n_names = 2, .names = tags};
    assert_int_equal(kit_clear(k, &clear), 1);
    assert_int_equal(kit_clear(k, &clear), 0); /* it has lost what WHERE asks for */
    clear.select = select_of("c", NULL);
    assert_int_equal(kit_clear(k, &clear), 0);
    clear.select = select_of(NULL, NULL);
    assert_int_equal(kit_clear(k, &clear), 4);
    assert_int_equal(produced(k, "f"), 5);
    clear.names = fields; /* a field's name is no tag's */
    assert_int_equal(kit_clear(k, &clear), 0);
}

/* ---- reset -------------------------------------------------------------------------------- */

static size_t sample_all(struct kit *k, const char *task) {
    struct sampled sampled;
    struct sample_call call = {.partition = SPAN_LITERAL("p"),
                               .task = span_of_string(task),
                               .count = 5,
                               .at_least = 1,
                               .n_fields = 1,
                               .fields = fields,
                               .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    return sampled.n;
}

static void test_reset(void **state) {
    struct kit *k = *state;
    fill(k);
    assert_int_equal(sample_all(k, "t") + sample_all(k, "u"), 10);
    struct reset reset = {.select = select_of("axa", NULL), .task = SPAN_LITERAL("t")};
    assert_int_equal(kit_reset(k, &reset), 0);
    assert_int_equal(k->changed, 1);
    assert_int_equal(sample_all(k, "t"), 1);
    reset.task.ptr = NULL; /* all tasks */
    assert_int_equal(kit_reset(k, &reset), 0);
    assert_int_equal(k->changed, 1); /* one sample, though two tasks had it */
    assert_int_equal(sample_all(k, "t") + sample_all(k, "u"), 2);
    reset = (struct reset){.select = select_of(NULL, NULL), .task = SPAN_LITERAL("u")};
    assert_int_equal(kit_reset(k, &reset), 0);
    assert_int_equal(k->changed, 5);
    assert_int_equal(sample_all(k, "t"), 0);
    assert_int_equal(sample_all(k, "u"), 5);
    reset.task.ptr = NULL;
    assert_int_equal(kit_reset(k, &reset), 0);
    assert_int_equal(k->changed, 5);
    assert_int_equal(sample_all(k, "t") + sample_all(k, "u"), 10);
    reset.task = SPAN_LITERAL("nobody");
    assert_int_equal(kit_reset(k, &reset), 0);
    assert_int_equal(k->changed, 0);
}

static void test_reset_of_a_partition_that_is_not(void **state) {
    struct kit *k = *state;
    struct reset reset = {.select = {.partition = SPAN_LITERAL("nowhere")}};
    assert_int_equal(kit_reset(k, &reset), ERROR_NOPART);
    assert_non_null(strstr(k->error.text, "'nowhere'"));
}

/* ---- there is no op where nothing is concerned -------------------------------------------- */

static void count_call(void *context, const struct op *op) {
    (void)op;
    ++*(int *)context;
}

static void test_nothing_concerned_is_no_op(void **state) {
    struct kit *k = *state;
    struct where_condition condition = {SPAN_LITERAL("t"), WHERE_EQ, SPAN_LITERAL("99")};
    struct select none[] = {select_of("xyz", NULL), select_of(NULL, &condition),
                            select_of("ab", &condition)};
    int calls = 0;
    fill(k);
    none[0] = select_of("xyz", NULL);
    store_on_change(k->store, count_call, &calls);
    for (size_t i = 0; i < 3; i++) {
        if (i == 2) none[2] = select_of("ab", &condition);
        struct clear clear = {.select = none[i]};
        assert_int_equal(kit_clear(k, &clear), 0);
        clear =
            (struct clear){.select = none[i], .what = SELECT_FIELDS, .n_names = 1, .names = fields};
        assert_int_equal(kit_clear(k, &clear), 0);
    }
    struct clear elsewhere = {.select = {.partition = SPAN_LITERAL("nowhere")}};
    assert_int_equal(kit_clear(k, &elsewhere), 0);
    assert_int_equal(calls, 0);
    store_on_change(k->store, NULL, NULL);
}

/* ---- bounds ------------------------------------------------------------------------------- */

static void test_expect(void **state) {
    struct kit *k = *state;
    assert_int_equal(kit_expect(k, "p", 7), 0);
    assert_true(kit_partition(k, "p")->has_expected); /* made by it */
    fill(k);
    assert_int_equal(kit_expect(k, "p", 4), ERROR_FULL);
    assert_non_null(strstr(k->error.text, "has had 5 samples, can't expect 4"));
    assert_int_equal(kit_partition(k, "p")->expected, 7);
    kit_clear_key(k, "p", "a");
    assert_int_equal(kit_expect(k, "p", 4), ERROR_FULL); /* cleared ones count */
    assert_int_equal(kit_expect(k, "p", 5), 0);
    assert_int_equal(kit_expect(k, "", 5), ERROR_ERR);
    assert_int_equal(kit_expect(k, "p", UINT64_MAX), 0);
}

static void test_seal(void **state) {
    struct kit *k = *state;
    char name[257];
    memset(name, 'x', sizeof(name));
    name[256] = '\0';
    assert_int_equal(kit_seal(k, name), ERROR_ERR);
    assert_int_equal(kit_seal(k, ""), ERROR_ERR);
    assert_int_equal(store_partitions(k->store), 0);
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_true(kit_partition(k, "p")->sealed);
    assert_int_equal(kit_seal(k, "p"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_clear_keys),
        KIT_TEST(test_clear_where),
        KIT_TEST(test_clear_all),
        KIT_TEST(test_clear_of_every_sample),
        KIT_TEST(test_erase_fields),
        KIT_TEST(test_erase_tags),
        KIT_TEST(test_reset),
        KIT_TEST(test_reset_of_a_partition_that_is_not),
        KIT_TEST(test_nothing_concerned_is_no_op),
        KIT_TEST(test_expect),
        KIT_TEST(test_seal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
