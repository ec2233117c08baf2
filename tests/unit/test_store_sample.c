/* Sampling: what makes a batch, what has to wait, and where the stream ends. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "kit/store.h"

static const struct span field_f = SPAN_LITERAL("f");

static void put(struct kit *k, char key) {
    assert_int_equal(kit_field(k, "p", (char[]){key, 0}, "f", SPAN_LITERAL("v")), 0);
}

static void put_keys(struct kit *k, const char *keys) {
    for (; *keys; keys++) put(k, *keys);
}

static void put_group(struct kit *k, const char *keys, const char *group) {
    for (size_t i = 0; i < strlen(keys); i++)
        assert_int_equal(kit_group(k, "p", (char[]){keys[i], 0}, group, strlen(keys)), 0);
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

/* What comes: the keys of the batch, "wait" or "end"; or the error's code as text. */
static const char *outcome_of(struct kit *k, const struct sample_call *call) {
    static char text[64];
    struct sampled sampled;
    int failed = kit_sample(k, call, &sampled);
    if (failed) return error_name(failed);
    if (sampled.outcome == SAMPLE_WAIT) return "wait";
    if (sampled.outcome == SAMPLE_END) return "end";
    assert_int_equal(k->changed, call->keep ? 0 : sampled.n);
    for (size_t i = 0; i < sampled.n; i++)
        text[i] = partition_key(sampled.partition, sampled.seqs[i]).ptr[0];
    text[sampled.n] = '\0';
    return text;
}

static const char *sampled(struct kit *k, const char *task, uint64_t count, const char *by,
                           uint64_t number) {
    struct sample_call call = call_of(task, count, by, number);
    return outcome_of(k, &call);
}

static const char *next(struct kit *k, const char *task, uint64_t count) {
    return sampled(k, task, count, "SEQUENTIAL", 0);
}

/* ---- SEQUENTIAL --------------------------------------------------------------------------- */

static void test_oldest_first_each_once(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcde");
    assert_string_equal(next(k, "t", 2), "ab");
    assert_string_equal(next(k, "t", 2), "cd");
    assert_string_equal(next(k, "t", 2), "wait");
    put(k, 'f');
    assert_string_equal(next(k, "t", 2), "ef");
    assert_string_equal(next(k, "t", 1), "wait");
    assert_string_equal(next(k, "other", 6), "abcdef"); /* tasks are independent */
}

static void test_a_partition_to_come(void **state) {
    struct kit *k = *state;
    assert_string_equal(next(k, "t", 1), "wait");
    assert_int_equal(store_partitions(k->store), 0);
}

static void test_all_the_fields(void **state) {
    struct kit *k = *state;
    struct span fields[] = {SPAN_LITERAL("f"), SPAN_LITERAL("g")};
    struct sample_call call = call_of("t", 1, "SEQUENTIAL", 0);
    call.n_fields = 2;
    call.fields = fields;
    put_keys(k, "abc");
    assert_string_equal(outcome_of(k, &call), "wait");
    kit_field(k, "p", "b", "g", SPAN_LITERAL("v"));
    assert_string_equal(outcome_of(k, &call), "b");
    kit_field(k, "p", "a", "g", SPAN_LITERAL("v"));
    assert_string_equal(outcome_of(k, &call), "a"); /* in seq order of what is ready now */
}

static void test_at_least(void **state) {
    struct kit *k = *state;
    struct sample_call call = call_of("t", 4, "SEQUENTIAL", 0);
    call.at_least = 2;
    put(k, 'a');
    assert_string_equal(outcome_of(k, &call), "wait");
    put(k, 'b');
    put(k, 'c');
    assert_string_equal(outcome_of(k, &call), "abc");
    put_keys(k, "defghi");
    assert_string_equal(outcome_of(k, &call), "defg");
}

static void test_keep(void **state) {
    struct kit *k = *state;
    struct sample_call call = call_of("t", 2, "SEQUENTIAL", 0);
    call.keep = true;
    put_keys(k, "abc");
    assert_string_equal(outcome_of(k, &call), "ab");
    assert_string_equal(outcome_of(k, &call), "ab");
    assert_int_equal(kit_partition(k, "p")->n_tasks, 0);
    call.keep = false;
    assert_string_equal(outcome_of(k, &call), "ab");
    call.keep = true;
    call.at_least = 1;
    assert_string_equal(outcome_of(k, &call), "c");
}

static void test_where(void **state) {
    struct kit *k = *state;
    struct where_condition condition = {SPAN_LITERAL("version"), WHERE_GE, SPAN_LITERAL("7")};
    struct sample_call call = call_of("t", 2, "SEQUENTIAL", 0);
    call.where = (struct where){1, &condition};
    put_keys(k, "abcd");
    kit_tag(k, "p", "a", "version", "6");
    kit_tag(k, "p", "b", "version", "10");
    kit_tag(k, "p", "d", "version", "7");
    assert_string_equal(outcome_of(k, &call), "bd");
    assert_string_equal(next(k, "t", 2), "ac");
}

static void test_what_comes_back_stands_where_it_stood(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdef");
    assert_string_equal(next(k, "t", 5), "abcde");
    struct span keys[] = {SPAN_LITERAL("d"), SPAN_LITERAL("b")};
    struct reset reset = {.select = {.partition = SPAN_LITERAL("p"), .n_keys = 2, .keys = keys},
                          .task = SPAN_LITERAL("t")};
    assert_int_equal(kit_reset(k, &reset), 0);
    assert_string_equal(next(k, "t", 3), "bdf");
}

/* ---- GROUP -------------------------------------------------------------------------------- */

static void test_declared_groups(void **state) {
    struct kit *k = *state;
    put_group(k, "ac", "g");
    put_group(k, "bd", "h");
    assert_int_equal(kit_group(k, "p", "e", "i", 2), 0);
    put_keys(k, "abce"); /* d has no f, i is not complete */
    assert_string_equal(sampled(k, "t", 2, "GROUP", 0), "ac");
    assert_string_equal(sampled(k, "t", 2, "GROUP", 0), "wait");
    put(k, 'd');
    assert_string_equal(sampled(k, "t", 2, "GROUP", 0), "bd");
    assert_string_equal(sampled(k, "t", 2, "GROUP", 0), "wait");
    assert_string_equal(next(k, "t", 1), "e"); /* only GROUP knows of groups */
}

static void test_groups_are_whole_and_contiguous(void **state) {
    struct kit *k = *state;
    assert_int_equal(kit_group(k, "p", "a", "g", 2), 0); /* members of two groups interleave */
    assert_int_equal(kit_group(k, "p", "b", "h", 2), 0);
    assert_int_equal(kit_group(k, "p", "c", "g", 2), 0);
    assert_int_equal(kit_group(k, "p", "d", "h", 2), 0);
    put_keys(k, "dcba");
    assert_string_equal(sampled(k, "t", 4, "GROUP", 0), "acbd");
}

static void test_a_group_of_which_one_is_taken(void **state) {
    struct kit *k = *state;
    put_group(k, "ab", "g");
    put_group(k, "cd", "h");
    put_keys(k, "abcd");
    assert_string_equal(next(k, "t", 1), "a");
    assert_string_equal(sampled(k, "t", 2, "GROUP", 0), "cd");
    assert_string_equal(sampled(k, "other", 4, "GROUP", 0), "abcd");
}

static void test_a_group_that_lost_one(void **state) {
    struct kit *k = *state;
    put_group(k, "ab", "g");
    put_group(k, "cd", "h");
    put_keys(k, "abcd");
    kit_clear_key(k, "p", "b");
    assert_int_equal(kit_group(k, "p", "e", "g", 2), ERROR_ERR);
    assert_string_equal(sampled(k, "t", 2, "GROUP", 0), "cd");
    assert_string_equal(sampled(k, "t", 2, "GROUP", 0), "wait");
}

static void test_count_has_to_be_whole_groups(void **state) {
    struct kit *k = *state;
    assert_string_equal(sampled(k, "t", 3, "GROUP", 2), "ERR"); /* before there is a partition */
    assert_string_equal(sampled(k, "t", 3, "GROUP", 0), "wait");
    put_group(k, "ab", "g");
    assert_string_equal(sampled(k, "t", 3, "GROUP", 0), "ERR");
    assert_non_null(strstr(k->error.text, "COUNT 3 is not a multiple of the group size 2"));
    assert_string_equal(sampled(k, "t", 4, "GROUP", 3), "ERR");
    assert_string_equal(sampled(k, "t", 6, "GROUP", 3), "wait");
}

static void test_runs(void **state) {
    struct kit *k = *state;
    for (char c = 'a'; c <= 'm'; c++) kit_tag(k, "p", (char[]){c, 0}, "t", "v");
    put_keys(k, "defgjklm"); /* seqs 3–6 and 9–12 */
    assert_string_equal(sampled(k, "t", 8, "GROUP", 4), "defgjklm");
    assert_string_equal(sampled(k, "u", 4, "GROUP", 4), "defg");
    assert_string_equal(sampled(k, "u", 4, "GROUP", 4), "jklm");
    assert_string_equal(sampled(k, "u", 4, "GROUP", 4), "wait");
}

static void test_runs_are_found_greedily(void **state) {
    struct kit *k = *state;
    for (char c = 'a'; c <= 'l'; c++) kit_tag(k, "p", (char[]){c, 0}, "t", "v");
    put_keys(k, "abcefg"); /* three, then three more: no run of four */
    assert_string_equal(sampled(k, "t", 4, "GROUP", 4), "wait");
    assert_string_equal(sampled(k, "t", 4, "GROUP", 2), "abef");
    assert_string_equal(sampled(k, "t", 2, "GROUP", 2), "wait");
    put(k, 'd');
    assert_string_equal(sampled(k, "t", 2, "GROUP", 2), "cd");
    assert_string_equal(sampled(k, "t", 1, "GROUP", 1), "g");
    assert_string_equal(sampled(k, "t", UINT64_C(1) << 32, "GROUP", UINT64_C(1) << 32), "wait");
    assert_string_equal(sampled(k, "t", UINT64_MAX, "GROUP", UINT64_MAX), "ERR");
}

/* ---- the end ------------------------------------------------------------------------------ */

static void test_sealed(void **state) {
    struct kit *k = *state;
    put_keys(k, "abc");
    assert_string_equal(next(k, "t", 2), "ab");
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_string_equal(next(k, "t", 2), "c"); /* fewer, as nothing more will come */
    assert_string_equal(next(k, "t", 2), "end");
    assert_string_equal(next(k, "t", 2), "end");
    assert_string_equal(next(k, "late", 9), "abc");
    assert_string_equal(next(k, "late", 9), "end");
}

static void test_expected(void **state) {
    struct kit *k = *state;
    assert_int_equal(kit_expect(k, "p", 3), 0);
    assert_string_equal(next(k, "t", 2), "wait");
    put_keys(k, "ab");
    assert_string_equal(next(k, "t", 3), "wait");
    assert_int_equal(kit_clear_key(k, "p", "a"), 1);
    put(k, 'c'); /* the third: cleared ones count */
    assert_string_equal(next(k, "t", 3), "bc");
    assert_string_equal(next(k, "t", 3), "end");
    assert_int_equal(kit_expect(k, "p", 4), 0);
    assert_string_equal(next(k, "t", 3), "wait");
}

static void test_not_before_all_have_the_fields(void **state) {
    struct kit *k = *state;
    put_keys(k, "ab");
    kit_tag(k, "p", "c", "t", "v");
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_string_equal(next(k, "t", 3), "wait");
    assert_string_equal(next(k, "t", 2), "ab");
    assert_string_equal(next(k, "t", 1), "wait");
    put(k, 'c');
    assert_string_equal(next(k, "t", 2), "c");
    assert_string_equal(next(k, "t", 2), "end");
}

static void test_clearing_what_was_missing_ends_it(void **state) {
    struct kit *k = *state;
    put(k, 'a');
    kit_tag(k, "p", "b", "t", "v");
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_string_equal(next(k, "t", 2), "wait");
    kit_clear_key(k, "p", "b");
    assert_string_equal(next(k, "t", 2), "a");
    assert_string_equal(next(k, "t", 2), "end");
}

static void test_empty_and_sealed(void **state) {
    struct kit *k = *state;
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_string_equal(next(k, "t", 1), "end");
    assert_string_equal(sampled(k, "t", 4, "GROUP", 2), "end");
    assert_int_equal(kit_drop(k, "p"), 1);
    assert_int_equal(kit_expect(k, "p", 0), 0);
    assert_string_equal(next(k, "t", 1), "end");
}

/* What WHERE does not admit, or no unit is left of, does not hold up the end. */
static void test_the_end_of_a_selection(void **state) {
    struct kit *k = *state;
    struct where_condition condition = {SPAN_LITERAL("t"), WHERE_EQ, SPAN_LITERAL("x")};
    struct sample_call call = call_of("t", 2, "SEQUENTIAL", 0);
    call.where = (struct where){1, &condition};
    put_keys(k, "abcde");
    kit_tag(k, "p", "b", "t", "x");
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_string_equal(outcome_of(k, &call), "b");
    assert_string_equal(outcome_of(k, &call), "end");
    assert_string_equal(sampled(k, "t", 4, "GROUP", 2), "cd"); /* a and e stand alone */
    assert_string_equal(sampled(k, "t", 2, "GROUP", 2), "end");
    assert_string_equal(next(k, "t", 9), "ae");
}

static void test_the_end_of_groups(void **state) {
    struct kit *k = *state;
    put_group(k, "ab", "g");
    assert_int_equal(kit_group(k, "p", "c", "h", 2), 0);
    put_keys(k, "abc");
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_string_equal(sampled(k, "t", 4, "GROUP", 0), "ab");
    assert_string_equal(sampled(k, "t", 4, "GROUP", 0), "end");
}

static void test_keep_and_the_end(void **state) {
    struct kit *k = *state;
    struct sample_call call = call_of("t", 3, "SEQUENTIAL", 0);
    call.keep = true;
    put_keys(k, "ab");
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_string_equal(outcome_of(k, &call), "ab");
    assert_string_equal(next(k, "t", 2), "ab");
    assert_string_equal(outcome_of(k, &call), "end");
}

/* ---- limits ------------------------------------------------------------------------------- */

/* ---- what a change is worth to one who waits ---------------------------------------------- */

static uint64_t matches(struct kit *k, const struct sample_call *call, enum op_kind kind,
                        const char *keys) {
    uint64_t seqs[8];
    size_t n = strlen(keys);
    for (size_t i = 0; i < n; i++) seqs[i] = kit_seq(k, "p", (char[]){keys[i], 0});
    struct op op = {.kind = kind, .partition = call->partition};
    if (kind == OP_PUT) {
        op.put.n = n;
        op.put.seqs = seqs;
    } else {
        op.select = (struct op_select){.n = n, .seqs = seqs, .task = call->task};
    }
    return sample_matches(k->store, call, &op, &k->scratch);
}

static void test_a_change_counts_as_far_as_it_is_of_use(void **state) {
    struct kit *k = *state;
    put_keys(k, "abc");
    assert_int_equal(kit_tag(k, "p", "b", "v", "7"), 0);
    assert_int_equal(kit_tag(k, "p", "d", "v", "7"), 0); /* has not the field */
    struct sample_call call = call_of("t", 9, "SEQUENTIAL", 0);
    assert_int_equal(matches(k, &call, OP_PUT, "abcd"), 3);
    const struct where_condition seven = {SPAN_LITERAL("v"), WHERE_EQ, SPAN_LITERAL("7")};
    call.where = (struct where){1, &seven};
    assert_int_equal(matches(k, &call, OP_PUT, "abcd"), 1);
    assert_string_equal(next(k, "t", 2), "ab");
    assert_int_equal(matches(k, &call, OP_PUT, "abcd"), 0); /* it has consumed b */
    call.where.n = 0;
    assert_int_equal(matches(k, &call, OP_EXPIRE, "abc"), 1);
    assert_int_equal(matches(k, &call, OP_SAMPLE, "abc"), 0);
}

static void test_the_end_is_worth_everything(void **state) {
    struct kit *k = *state;
    put_keys(k, "ab");
    struct sample_call call = call_of("t", 9, "SEQUENTIAL", 0);
    assert_int_equal(kit_tag(k, "p", "c", "v", "7"), 0);
    assert_int_equal(kit_seal(k, "p"), 0);
    assert_int_equal(matches(k, &call, OP_ACK, "a"), 0); /* c has not the field yet */
    put(k, 'c');
    assert_int_equal(matches(k, &call, OP_PUT, "c"), SAMPLE_EVERYTHING);
    assert_int_equal(matches(k, &call, OP_ACK, "a"), SAMPLE_EVERYTHING);
}

/* A call that misses many samples is tried when they came; one that misses few, has a WHERE, or
 * nears the end filters. */
static void test_who_counts(void **state) {
    struct kit *k = *state;
    struct sampled got;
    put(k, 'a');
    struct sample_call call = call_of("t", 100, "SEQUENTIAL", 0);
    assert_int_equal(kit_sample(k, &call, &got), 0);
    assert_int_equal(got.missing, 99);
    assert_false(got.filters);
    const struct where_condition seven = {SPAN_LITERAL("v"), WHERE_EQ, SPAN_LITERAL("7")};
    call.where = (struct where){1, &seven};
    assert_int_equal(kit_sample(k, &call, &got), 0);
    assert_true(got.filters);
    call = call_of("t", 2, "SEQUENTIAL", 0);
    assert_int_equal(kit_sample(k, &call, &got), 0);
    assert_int_equal(got.missing, 1);
    assert_true(got.filters);
    assert_int_equal(kit_tag(k, "p", "b", "v", "7"), 0);
    assert_int_equal(kit_expect(k, "p", 2), 0);
    call = call_of("t", 100, "SEQUENTIAL", 0);
    assert_int_equal(kit_sample(k, &call, &got), 0);
    assert_true(got.filters);
}

static void test_too_many_tasks(void **state) {
    struct kit *k = *state;
    char name[16];
    put(k, 'a');
    for (int i = 0; i < PARTITION_TASKS_MAX; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        assert_string_equal(next(k, name, 1), "a");
    }
    assert_string_equal(next(k, "one more", 1), "FULL");
    struct sample_call call = call_of("one more", 1, "SEQUENTIAL", 0);
    call.keep = true;
    assert_string_equal(outcome_of(k, &call), "a"); /* leaves no trace */
    put(k, 'b');
    assert_string_equal(next(k, "t0", 1), "b");
}

static void test_count_beyond_measure(void **state) {
    struct kit *k = *state;
    put(k, 'a');
    assert_string_equal(next(k, "t", PARTITION_SAMPLES_MAX), "wait");
    assert_string_equal(next(k, "t", PARTITION_SAMPLES_MAX + 1), "ERR");
    assert_string_equal(next(k, "t", UINT64_MAX), "ERR");
}

static void test_samplers_by_name(void **state) {
    (void)state;
    assert_non_null(sampler_find(SPAN_LITERAL("sequential")));
    assert_ptr_equal(sampler_find(SPAN_LITERAL("gRoUp")), sampler_find(SPAN_LITERAL("GROUP")));
    assert_null(sampler_find(SPAN_LITERAL("GROUPS")));
    assert_null(sampler_find(SPAN_LITERAL("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_oldest_first_each_once),
        KIT_TEST(test_a_partition_to_come),
        KIT_TEST(test_all_the_fields),
        KIT_TEST(test_at_least),
        KIT_TEST(test_keep),
        KIT_TEST(test_where),
        KIT_TEST(test_what_comes_back_stands_where_it_stood),
        KIT_TEST(test_declared_groups),
        KIT_TEST(test_groups_are_whole_and_contiguous),
        KIT_TEST(test_a_group_of_which_one_is_taken),
        KIT_TEST(test_a_group_that_lost_one),
        KIT_TEST(test_count_has_to_be_whole_groups),
        KIT_TEST(test_runs),
        KIT_TEST(test_runs_are_found_greedily),
        KIT_TEST(test_sealed),
        KIT_TEST(test_expected),
        KIT_TEST(test_not_before_all_have_the_fields),
        KIT_TEST(test_clearing_what_was_missing_ends_it),
        KIT_TEST(test_empty_and_sealed),
        KIT_TEST(test_the_end_of_a_selection),
        KIT_TEST(test_the_end_of_groups),
        KIT_TEST(test_keep_and_the_end),
        KIT_TEST(test_a_change_counts_as_far_as_it_is_of_use),
        KIT_TEST(test_the_end_is_worth_everything),
        KIT_TEST(test_who_counts),
        KIT_TEST(test_too_many_tasks),
        KIT_TEST(test_count_beyond_measure),
        KIT_TEST(test_samplers_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
