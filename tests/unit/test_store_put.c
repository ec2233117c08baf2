/* Writes of one sample: what is taken, what is refused, and that a refusal changes nothing. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kit/store.h"
#include "store/names.h"

/* Do it and see that it fails with this code and a text that holds `culprit`, and that nothing has changed. */
static void assert_refused(struct kit *k, const struct put *put, int failed, const char *culprit) {
    struct store_stats before, after;
    struct span had = kit_dump(k->store), has;
    store_stats(k->store, &before);
    k->error = (struct error){0};
    int got = kit_put(k, put);
    if (got != failed)
        fail_msg("got %d (%s), expected %d for %s", got, k->error.text, failed, culprit);
    assert_int_equal(k->error.code, failed);
    if (!strstr(k->error.text, culprit)) fail_msg("'%s' does not say %s", k->error.text, culprit);
    store_stats(k->store, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    has = kit_dump(k->store);
    assert_true(span_equal(had, has));
    kit_dump_free(had);
    kit_dump_free(has);
}

static struct put_value value_of(const char *field, struct span bytes, bool text) {
    const char *colon = strchr(field, ':');
    struct put_value value = {.name = span_of_string(field), .bytes = bytes, .text = text};
    if (!colon) return value;
    value.name.len = (size_t)(colon - field);
    value.typed = true;
    assert_int_equal(dtype_parse(span_of_string(colon + 1), &value.type, NULL), 0);
    return value;
}

static void refuse_value(struct kit *k, const char *field, struct span bytes, bool text,
                         const char *culprit) {
    struct put_value value = value_of(field, bytes, text);
    assert_refused(k,
                   &(struct put){.partition = SPAN_LITERAL("p"),
                                 .key = SPAN_LITERAL("s9"),
                                 .n_values = 1,
                                 .values = &value},
                   ERROR_SCHEMA, culprit);
}

static void put_ok(struct kit *k, int failed) {
    if (failed) fail_msg("%s", k->error.text);
}

/* ---- cells, tags, samples ----------------------------------------------------------------- */

static void test_a_partial_update_keeps_the_others(void **state) {
    struct kit *k = *state;
    put_ok(k, kit_field(k, "p", "s", "a", SPAN_LITERAL("1")));
    assert_int_equal(k->changed, 1);
    put_ok(k, kit_field(k, "p", "s", "b", SPAN_LITERAL("2")));
    put_ok(k, kit_field(k, "p", "s", "a", SPAN_LITERAL("3")));
    assert_int_equal(k->changed, 0);
    assert_true(span_equal(kit_value(k, "p", "s", "a"), SPAN_LITERAL("3")));
    assert_true(span_equal(kit_value(k, "p", "s", "b"), SPAN_LITERAL("2")));
    assert_int_equal(kit_partition(k, "p")->samples, 1);
}

static void test_tags_are_merged(void **state) {
    struct kit *k = *state;
    put_ok(k, kit_tag(k, "p", "s", "t", "1")); /* makes the sample */
    assert_int_equal(k->changed, 1);
    put_ok(k, kit_tag(k, "p", "s", "u", ""));
    put_ok(k, kit_tag(k, "p", "s", "t", "2"));
    const struct partition *p = kit_partition(k, "p");
    struct span value;
    assert_true(column_get(column_set_find(&p->tags, SPAN_LITERAL("t")), 0, &value));
    assert_true(span_equal(value, SPAN_LITERAL("2")));
    assert_true(column_get(column_set_find(&p->tags, SPAN_LITERAL("u")), 0, &value));
    assert_int_equal(value.len, 0);
    assert_int_equal(p->fields.count, 0);
    assert_int_equal(partition_bytes(p), 0);
    assert_int_equal(partition_live(p), 2); /* key and tag */
}

static void test_partitions_are_independent(void **state) {
    struct kit *k = *state;
    put_ok(k, kit_field(k, "p", "s", "f:f32", SPAN_LITERAL("1234")));
    put_ok(k, kit_field(k, "q", "s", "f:str", SPAN_LITERAL("text")));
    assert_string_equal(kit_type(k, "p", "f"), "f32");
    assert_string_equal(kit_type(k, "q", "f"), "str");
    kit_drop(k, "p");
    assert_true(span_equal(kit_value(k, "q", "s", "f"), SPAN_LITERAL("text")));
}

static void test_what_is_overwritten_keeps_what_the_task_had(void **state) {
    struct kit *k = *state;
    struct span field = SPAN_LITERAL("f");
    put_ok(k, kit_field(k, "p", "s", "f", SPAN_LITERAL("1")));
    struct sampled sampled;
    struct sample_call call = {.partition = SPAN_LITERAL("p"),
                               .task = SPAN_LITERAL("t"),
                               .count = 1,
                               .at_least = 1,
                               .n_fields = 1,
                               .fields = &field,
                               .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    put_ok(k, kit_field(k, "p", "s", "f", SPAN_LITERAL("2")));
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_WAIT);
}

/* ---- NX, XX, IF --------------------------------------------------------------------------- */

static bool skipped(struct kit *k, const char *key, enum put_only only, const char *tag,
                    const char *value) {
    struct put_tag mark = {SPAN_LITERAL("mark"), SPAN_LITERAL("x")};
    struct put put = {.partition = SPAN_LITERAL("p"),
                      .key = span_of_string(key),
                      .only = only,
                      .n_tags = 1,
                      .tags = &mark};
    if (tag) put.if_tag = span_of_string(tag);
    if (tag) put.if_value = span_of_string(value);
    struct span before = kit_dump(k->store), after;
    put_ok(k, kit_put(k, &put));
    after = kit_dump(k->store);
    if (k->skipped) assert_true(span_equal(before, after));
    kit_dump_free(before);
    kit_dump_free(after);
    return k->skipped;
}

static void test_conditions(void **state) {
    struct kit *k = *state;
    assert_true(skipped(k, "s", PUT_XX, NULL, NULL));
    assert_int_equal(store_partitions(k->store), 0); /* not even the partition is made */
    assert_true(skipped(k, "s", PUT_ALWAYS, "t", ""));
    assert_false(skipped(k, "s", PUT_NX, NULL, NULL));
    assert_true(skipped(k, "s", PUT_NX, NULL, NULL));
    assert_false(skipped(k, "s", PUT_XX, NULL, NULL));
    assert_true(skipped(k, "s", PUT_ALWAYS, "t", "1"));
    assert_true(skipped(k, "s", PUT_ALWAYS, "t", "")); /* a missing tag equals nothing */
    kit_tag(k, "p", "s", "t", "1");
    assert_false(skipped(k, "s", PUT_ALWAYS, "t", "1"));
    assert_true(skipped(k, "s", PUT_ALWAYS, "t", "1.0")); /* bytes, not numbers */
    assert_false(skipped(k, "s", PUT_XX, "t", "1"));
    assert_true(skipped(k, "s", PUT_NX, "t", "1"));
    assert_true(skipped(k, "other", PUT_ALWAYS, "t", "1"));
}

/* ---- names -------------------------------------------------------------------------------- */

static void test_names(void **state) {
    struct kit *k = *state;
    char longer[1026];
    memset(longer, 'x', sizeof(longer));
    struct put_tag tag = {SPAN_LITERAL("t"), SPAN_LITERAL("v")};
    struct put good = {.partition = span_of(longer, 255),
                       .key = span_of(longer, 1024),
                       .group = span_of(longer, 1024),
                       .group_size = 1,
                       .n_tags = 1,
                       .tags = &tag};
    put_ok(k, kit_put(k, &good));
    struct put put = good;
    put.partition.len = 256;
    assert_refused(k, &put, ERROR_ERR, "partition 'xxx");
    put.partition.len = 0;
    assert_refused(k, &put, ERROR_ERR, "partition ''");
    put = good;
    put.key.len = 1025;
    assert_refused(k, &put, ERROR_ERR, "got 1025");
    put.key.len = 0;
    assert_refused(k, &put, ERROR_ERR, "key ''");
    put = good;
    put.key.len = 3;
    put.group = span_of(longer, 1025);
    assert_refused(k, &put, ERROR_ERR, "group 'xxx");
    put = good;
    put.if_tag = SPAN_LITERAL("no good");
    assert_refused(k, &put, ERROR_ERR, "tag 'no good'");
}

static void test_words(void **state) {
    struct kit *k = *state;
    char longer[257];
    memset(longer, 'x', sizeof(longer));
    static const struct span bad[] = {
        SPAN_LITERAL(""),    SPAN_LITERAL("@key"),     SPAN_LITERAL("a b"), SPAN_LITERAL("a\0"),
        SPAN_LITERAL("a:b"), SPAN_LITERAL("\xc3\xbc"), SPAN_LITERAL("a,b"), SPAN_LITERAL("{a}")};
    put_ok(k, kit_tag(k, "p", "s", "aZ09_./-@", "v"));
    for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
        struct span name = i < sizeof(bad) / sizeof(bad[0]) ? bad[i] : span_of(longer, 256);
        struct put_tag tag = {name, SPAN_LITERAL("v")};
        struct put_value value = {.name = name, .bytes = SPAN_LITERAL("v")};
        struct put put = {.partition = SPAN_LITERAL("p"), .key = SPAN_LITERAL("s")};
        put.n_tags = 1;
        put.tags = &tag;
        assert_refused(k, &put, ERROR_ERR, "tag '");
        put.n_tags = 0;
        put.n_values = 1;
        put.values = &value;
        assert_refused(k, &put, ERROR_ERR, "field '");
    }
    struct put_tag tag = {SPAN_LITERAL("t"), span_of(longer, 1)};
    static char huge[NAMES_TAG_VALUE_MAX + 1];
    tag.value = span_of(huge, NAMES_TAG_VALUE_MAX);
    struct put put = {
        .partition = SPAN_LITERAL("p"), .key = SPAN_LITERAL("s"), .n_tags = 1, .tags = &tag};
    put_ok(k, kit_put(k, &put));
    tag.value.len++;
    assert_refused(k, &put, ERROR_ERR, "at most 4096 bytes, got 4097");
}

static void test_named_twice(void **state) {
    struct kit *k = *state;
    enum { MANY = 40 };
    char names[MANY][16];
    struct put_tag tags[MANY];
    struct put_value values[MANY];
    for (int n = 2; n <= MANY; n += 19) { /* few are compared, many go through a table */
        for (int i = 0; i < n; i++) {
            snprintf(names[i], sizeof(names[i]), "n%d", i == n - 1 ? n / 2 - 1 : i);
            tags[i] = (struct put_tag){span_of_string(names[i]), SPAN_LITERAL("v")};
            values[i] = (struct put_value){.name = tags[i].name, .bytes = SPAN_LITERAL("v")};
        }
        struct put put = {.partition = SPAN_LITERAL("p"),
                          .key = SPAN_LITERAL("s"),
                          .n_tags = (size_t)n,
                          .tags = tags};
        char culprit[32];
        snprintf(culprit, sizeof(culprit), "'n%d' is named twice", n / 2 - 1);
        assert_refused(k, &put, ERROR_ERR, culprit);
        put.n_tags = 0;
        put.n_values = (size_t)n;
        put.values = values;
        assert_refused(k, &put, ERROR_ERR, culprit);
        put.n_values--;
        put_ok(k, kit_put(k, &put));
    }
}

static void test_too_many_columns(void **state) {
    struct kit *k = *state;
    static struct put_value values[PARTITION_FIELDS_MAX + 1];
    static char names[PARTITION_FIELDS_MAX + 1][16];
    for (int i = 0; i <= PARTITION_FIELDS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "f%d", i);
        values[i] = (struct put_value){.name = span_of_string(names[i])};
    }
    struct put put = {.partition = SPAN_LITERAL("p"),
                      .key = SPAN_LITERAL("s"),
                      .n_values = PARTITION_FIELDS_MAX + 1,
                      .values = values};
    assert_refused(k, &put, ERROR_FULL, "no room for more than 4096 fields");
    put.n_values = PARTITION_FIELDS_MAX;
    put_ok(k, kit_put(k, &put));
    put.n_values = 1;
    put.values = values + PARTITION_FIELDS_MAX;
    assert_refused(k, &put, ERROR_FULL, "4096 fields");
    put.values = values + 7;
    put_ok(k, kit_put(k, &put));
}

/* ---- types -------------------------------------------------------------------------------- */

static void test_first_write_decides(void **state) {
    struct kit *k = *state;
    put_ok(k, kit_field(k, "p", "s", "raw", SPAN_LITERAL("\xff")));
    put_ok(k, kit_text(k, "p", "s", "text", "[1,2]"));
    put_ok(k, kit_text(k, "p", "s", "list:f32[*]", "[1,2]"));
    put_ok(k, kit_text(k, "p", "s", "pair:f32[2]", "[1,2]"));
    put_ok(k, kit_field(k, "p", "s", "none:u8[*]", SPAN_LITERAL("")));
    assert_string_equal(kit_type(k, "p", "raw"), "bytes");
    assert_string_equal(kit_type(k, "p", "text"), "str");
    assert_string_equal(kit_type(k, "p", "list"), "f32[*]");
    assert_string_equal(kit_item(k, "p", "s", "list"), "f32[2]");
    assert_string_equal(kit_type(k, "p", "pair"), "f32[2]");
    assert_string_equal(kit_item(k, "p", "s", "none"), "u8[0]");
    assert_int_equal(kit_value(k, "p", "s", "none").len, 0);
}

static void test_what_does_not_fit(void **state) {
    struct kit *k = *state;
    put_ok(k, kit_text(k, "p", "s", "score:f32", "0.5"));
    put_ok(k, kit_text(k, "p", "s", "pair:f32[2]", "[1,2]"));
    put_ok(k, kit_text(k, "p", "s", "ragged:i16[*]", "[1,2]"));
    put_ok(k, kit_text(k, "p", "s", "wide:u8[2,2]", "[[1,2],[3,4]]"));
    put_ok(k, kit_text(k, "p", "s2", "wide:u8[1,3]", "[[1,2,3]]"));
    put_ok(k, kit_text(k, "p", "s", "ok:bool", "true"));
    put_ok(k, kit_text(k, "p", "s", "name:str", "x"));
    refuse_value(k, "score", SPAN_LITERAL("123"), false,
                 "field 'score' is f32, got 3 bytes (FIELDS takes raw bytes, here 4; TEXT takes "
                 "literals such as 0.5) for sample 's9'");
    refuse_value(k, "score:i64[2]", SPAN_LITERAL("1234567812345678"), false,
                 "field 'score' is f32, got i64[2] for sample 's9'");
    refuse_value(k, "score:f32[1]", SPAN_LITERAL("1234"), false, "got f32[1]");
    refuse_value(k, "score", SPAN_LITERAL("[1]"), true, "field 'score'");
    refuse_value(k, "score", SPAN_LITERAL("much"), true, "'much'");
    refuse_value(k, "score:f64", SPAN_LITERAL("1"), true, "got f64");
    refuse_value(k, "pair", SPAN_LITERAL("123412341234"), false, "got 12 bytes");
    refuse_value(k, "pair:f32[3]", SPAN_LITERAL("1234"), false, "4 bytes as f32[3]");
    refuse_value(k, "ragged", SPAN_LITERAL("123"), false, "got 3 bytes");
    refuse_value(k, "ragged:i16[*,2]", SPAN_LITERAL("1234"), false, "got i16[1,2]");
    refuse_value(k, "wide", SPAN_LITERAL("123"), false, "without a type to tell their shape");
    refuse_value(k, "wide:u8[*,2]", SPAN_LITERAL("123"), false, "3 bytes as u8[*,2]");
    refuse_value(k, "ok", SPAN_LITERAL("\2"), false, "neither 0 nor 1");
    refuse_value(k, "name", SPAN_LITERAL("\xff"), false, "not UTF-8");
    refuse_value(k, "name", SPAN_LITERAL("\xff"), true, "UTF-8");
    refuse_value(k, "fresh:u8[2]", SPAN_LITERAL("1"), false, "field 'fresh'");
    refuse_value(k, "fresh:u8[*,0]", SPAN_LITERAL(""), false, "field 'fresh'");
}

static void test_dense_fields_widen(void **state) {
    struct kit *k = *state;
    put_ok(k, kit_text(k, "p", "a", "f:f32[2,3]", "[[1,2,3],[4,5,6]]"));
    put_ok(k, kit_text(k, "p", "b", "f:f32[1,3]", "[[1,2,3]]"));
    assert_string_equal(kit_type(k, "p", "f"), "f32[*,3]");
    put_ok(k, kit_field(k, "p", "c", "f",
                        SPAN_LITERAL("123412341234"))); /* one `*`: from the length */
    assert_string_equal(kit_item(k, "p", "c", "f"), "f32[1,3]");
    put_ok(k, kit_text(k, "p", "d", "f", "[[1],[2]]"));
    assert_string_equal(kit_type(k, "p", "f"), "f32[*,*]");
    put_ok(k, kit_field(k, "p", "e", "f:f32[*,2]", SPAN_LITERAL("1234567812345678")));
    assert_string_equal(kit_item(k, "p", "e", "f"), "f32[2,2]");
    static const char *const items[] = {"f32[2,3]", "f32[1,3]", "f32[1,3]", "f32[2,1]", "f32[2,2]"};
    for (int i = 0; i < 5; i++)
        assert_string_equal(kit_item(k, "p", (char[]){(char)('a' + i), 0}, "f"), items[i]);
}

static void test_a_declared_field_does_not_widen(void **state) {
    struct kit *k = *state;
    put_ok(k, kit_text(k, "p", "s", "f:f32[2]", "[1,2]"));
    column_set_find(&kit_partition(k, "p")->fields, SPAN_LITERAL("f"))->declared = true;
    refuse_value(k, "f", SPAN_LITERAL("[1,2,3]"), true, "field 'f' is f32[2], got f32[3]");
    put_ok(k, kit_text(k, "p", "s", "f", "[3,4]"));
}

/* One value of several does not fit: none of them is written, nor the tags. */
static void test_whole_or_not_at_all(void **state) {
    struct kit *k = *state;
    put_ok(k, kit_text(k, "p", "s", "b:i8", "1"));
    struct put_tag tag = {SPAN_LITERAL("t"), SPAN_LITERAL("v")};
    struct put_value values[] = {value_of("a:f32[9]", SPAN_LITERAL("[1,2,3,4,5,6,7,8,9]"), true),
                                 value_of("b", SPAN_LITERAL("128"), true)};
    struct put put = {.partition = SPAN_LITERAL("p"),
                      .key = SPAN_LITERAL("new"),
                      .group = SPAN_LITERAL("g"),
                      .group_size = 2,
                      .n_tags = 1,
                      .tags = &tag,
                      .n_values = 2,
                      .values = values};
    assert_refused(k, &put, ERROR_SCHEMA, "field 'b'");
    put.partition = SPAN_LITERAL("other");
    values[1] = value_of("b:i8", SPAN_LITERAL("128"), true);
    assert_refused(k, &put, ERROR_SCHEMA, "field 'b'");
    assert_null(store_find(k->store, SPAN_LITERAL("other")));
}

/* ---- groups and bounds -------------------------------------------------------------------- */

static void refuse_group(struct kit *k, const char *key, const char *group, uint64_t size,
                         const char *culprit) {
    assert_refused(k,
                   &(struct put){.partition = SPAN_LITERAL("p"),
                                 .key = span_of_string(key),
                                 .group = span_of_string(group),
                                 .group_size = size},
                   ERROR_ERR, culprit);
}

static void test_groups(void **state) {
    struct kit *k = *state;
    refuse_group(k, "a", "g", 0, "expected a size of 1 to 65536, got 0");
    refuse_group(k, "a", "g", 65537, "got 65537");
    put_ok(k, kit_group(k, "p", "a", "g", 2));
    put_ok(k, kit_group(k, "p", "a", "g", 2)); /* a member already */
    refuse_group(k, "b", "g", 3, "have 2 members, not 3");
    refuse_group(k, "b", "h", 3, "have 2 members, not 3");
    put_ok(k, kit_tag(k, "p", "b", "t", "v"));
    put_ok(k, kit_group(k, "p", "b", "g", 2)); /* joins later */
    refuse_group(k, "c", "g", 2, "no room for sample 'c'");
    refuse_group(k, "a", "h", 2, "sample 'a' is in group 'g' and can't join 'h'");
    const struct partition *p = kit_partition(k, "p");
    assert_true(group_is_complete(groups_get(p->groups, partition_group(p, 0))));
    kit_clear_key(k, "p", "a");
    refuse_group(k, "c", "g", 2, "lost a member and can't be completed");
    refuse_group(k, "a", "g", 2, "lost a member and can't be completed");
    assert_false(group_is_complete(groups_get(p->groups, partition_group(p, 1))));
    kit_clear_key(k, "p", "b");
    put_ok(k, kit_group(k, "p", "d", "g", 5)); /* all are gone: another size will do */
}

static void test_bounds(void **state) {
    struct kit *k = *state;
    struct put_tag tag = {SPAN_LITERAL("t"), SPAN_LITERAL("v")};
    struct put put = {
        .partition = SPAN_LITERAL("p"), .key = SPAN_LITERAL("s"), .n_tags = 1, .tags = &tag};
    assert_int_equal(kit_expect(k, "p", 2), 0);
    put_ok(k, kit_put(k, &put));
    put_ok(k, kit_tag(k, "p", "s2", "t", "v"));
    kit_clear_key(k, "p", "s2");
    put.key = SPAN_LITERAL("s3");
    assert_refused(k, &put, ERROR_FULL, "expects 2 samples"); /* cleared ones count */
    put_ok(k, kit_tag(k, "p", "s", "t", "w"));
    assert_int_equal(kit_expect(k, "p", 3), 0);
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_refused(k, &put, ERROR_FULL, "partition 'p' is sealed, no room for new sample 's3'");
    put_ok(k, kit_field(k, "p", "s", "f", SPAN_LITERAL("sealed ones are still written to")));
}

/* ---- memory ------------------------------------------------------------------------------- */

static void test_values_read_directly(void **state) {
    struct kit *k = *state;
    struct arena *arena = store_arena(k->store);
    struct chunk *chunk = arena_take(arena, 40000);
    memset(chunk->memory, 'x', 40000);
    struct put_value value = {
        .name = SPAN_LITERAL("f"), .chunk = chunk, .bytes = span_of(chunk->memory + 100, 39000)};
    struct put put = {
        .partition = SPAN_LITERAL("p"), .key = SPAN_LITERAL("s"), .n_values = 1, .values = &value};
    put.group = SPAN_LITERAL("g");
    assert_refused(k, &put, ERROR_ERR, "group"); /* size 0 */
    assert_int_equal(chunk->pins, 1);
    assert_null(chunk->owner);
    put.group.ptr = NULL;
    put_ok(k, kit_put(k, &put));
    assert_ptr_equal(kit_value(k, "p", "s", "f").ptr, chunk->memory + 100);
    assert_int_equal(chunk->pins, 1);
    assert_int_equal(chunk->cells, 1);
    chunk_unpin(chunk);
    assert_int_equal(kit_clear_key(k, "p", "s"), 1);
    struct arena_stats stats;
    arena_stats(arena, &stats);
    assert_true(stats.allocated <= 2 * ARENA_UNIT);
}

#ifndef TQ_SANITIZERS
/* No address space for another region: -OOM, and nothing has happened. */
static void test_no_memory(void **state) {
    struct kit *k = *state;
    static char bytes[1 << 20];
    struct put_value value = {.name = SPAN_LITERAL("f"), .bytes = span_of(bytes, sizeof(bytes))};
    struct put put = {
        .partition = SPAN_LITERAL("p"), .key = SPAN_LITERAL("s"), .n_values = 1, .values = &value};
    put_ok(k, kit_tag(k, "p", "before", "t", "v"));
    struct arena_stats stats;
    arena_stats(store_arena(k->store), &stats);
    struct chunk *rest =
        arena_take(store_arena(k->store), stats.mapped - stats.allocated - sizeof(bytes) / 2);
    struct rlimit before, tight;
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    getrlimit(RLIMIT_AS, &before);
    tight = before;
    tight.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + (64 << 20);
    setrlimit(RLIMIT_AS, &tight);
    assert_refused(k, &put, ERROR_OOM, "can't map");
    setrlimit(RLIMIT_AS, &before);
    put_ok(k, kit_put(k, &put));
    chunk_unpin(rest);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_a_partial_update_keeps_the_others),
        KIT_TEST(test_tags_are_merged),
        KIT_TEST(test_partitions_are_independent),
        KIT_TEST(test_what_is_overwritten_keeps_what_the_task_had),
        KIT_TEST(test_conditions),
        KIT_TEST(test_names),
        KIT_TEST(test_words),
        KIT_TEST(test_named_twice),
        KIT_TEST(test_too_many_columns),
        KIT_TEST(test_first_write_decides),
        KIT_TEST(test_what_does_not_fit),
        KIT_TEST(test_dense_fields_widen),
        KIT_TEST(test_a_declared_field_does_not_widen),
        KIT_TEST(test_whole_or_not_at_all),
        KIT_TEST(test_groups),
        KIT_TEST(test_bounds),
        KIT_TEST(test_values_read_directly),
#ifndef TQ_SANITIZERS
        KIT_TEST(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
