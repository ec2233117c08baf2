/* A partition's samples, conditions on tags, and what is ready. */
#include "kit/test.h"

#include <stdio.h>

#include "kit/store.h"

static char *key_of(uint64_t i) {
    static char text[32];
    snprintf(text, sizeof(text), "key%llu", (unsigned long long)i);
    return text;
}

static void put_samples(struct kit *k, const char *field, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; i++)
        assert_int_equal(kit_field(k, "p", key_of(i), field, SPAN_LITERAL("v")), 0);
}

static void sample_all(struct kit *k, const char *task, const char *field, uint64_t count) {
    struct span name = span_of_string(field);
    struct sampled sampled;
    struct sample_call call = {.partition = SPAN_LITERAL("p"),
                               .task = span_of_string(task),
                               .count = count,
                               .at_least = 1,
                               .n_fields = 1,
                               .fields = &name,
                               .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
}

/* ---- samples ------------------------------------------------------------------------------ */

static void test_insertion_order(void **state) {
    struct kit *k = *state;
    put_samples(k, "f", 0, 3000);
    put_samples(k, "f", 0, 100); /* there already: they stand where they stood */
    struct partition *p = kit_partition(k, "p");
    assert_int_equal(p->samples, 3000);
    uint64_t seq = partition_next(p, 0);
    for (uint64_t i = 0; i < 3000; i++, seq = partition_next(p, seq + 1)) {
        assert_int_equal(seq, i);
        assert_true(span_equal(partition_key(p, seq), span_of_string(key_of(i))));
        assert_int_equal(partition_find(p, span_of_string(key_of(i))), seq);
    }
    assert_int_equal(seq, SEQ_NONE);
    assert_int_equal(partition_find(p, SPAN_LITERAL("nobody")), SEQ_NONE);
}

static void test_cleared_samples_leave_no_trace(void **state) {
    struct kit *k = *state;
    put_samples(k, "f", 0, 3000);
    for (uint64_t i = 0; i < 3000; i++)
        if (i < 1100 || (i > 1500 && i % 7)) assert_int_equal(kit_clear_key(k, "p", key_of(i)), 1);
    struct partition *p = kit_partition(k, "p");
    assert_int_equal(partition_next(p, 0), 1100);
    assert_int_equal(partition_next(p, 1501), 1505);
    assert_false(partition_alive(p, 3));
    assert_false(partition_alive(p, 1501));
    assert_false(partition_alive(p, 4000));
    assert_int_equal(partition_next(p, 2997), SEQ_NONE);
    assert_int_equal(p->written, 3000);
    assert_int_equal(kit_field(k, "p", key_of(3), "f", SPAN_LITERAL("again")), 0);
    assert_int_equal(kit_seq(k, "p", key_of(3)), 3000); /* a new sample, at the end */
    for (uint64_t i = 0; i < 3000; i++) kit_clear_key(k, "p", key_of(i));
    assert_int_equal(p->samples, 0);
    assert_int_equal(partition_next(p, 0), SEQ_NONE);
    put_samples(k, "f", 0, 2);
    assert_int_equal(partition_next(p, 0), 3001);
}

/* Seqs go on beyond 2^32; the one whose low half means "none" is left out. */
static void test_seqs_of_more_than_32_bits(void **state) {
    struct kit *k = *state;
    put_samples(k, "f", 0, 1);
    struct partition *p = kit_partition(k, "p");
    for (unsigned turn = 1; turn <= 3; turn++) {
        p->next_seq = ((uint64_t)turn << 32) - 3000;
        kit_clear_key(k, "p", key_of(0));
        put_samples(k, "f", 0, 6000);
        for (uint64_t i = 0; i < 6000; i++) {
            uint64_t seq = partition_find(p, span_of_string(key_of(i)));
            assert_int_equal(seq, ((uint64_t)turn << 32) - 3000 + i + (i >= 2999));
            assert_true(span_equal(partition_key(p, seq), span_of_string(key_of(i))));
        }
        for (uint64_t i = 1; i < 6000; i++) kit_clear_key(k, "p", key_of(i));
    }
}

static void test_no_room_beyond_2_to_the_32(void **state) {
    struct kit *k = *state;
    put_samples(k, "f", 0, 1);
    kit_partition(k, "p")->next_seq = PARTITION_SAMPLES_MAX - 3;
    put_samples(k, "f", 1, 2);
    assert_int_equal(kit_field(k, "p", "one too many", "f", SPAN_LITERAL("v")), ERROR_FULL);
    assert_int_equal(kit_clear_key(k, "p", key_of(0)),
                     1); /* the oldest goes: the window moves on */
    assert_int_equal(kit_field(k, "p", "one more", "f", SPAN_LITERAL("v")), 0);
    assert_int_equal(kit_seq(k, "p", key_of(1)), PARTITION_SAMPLES_MAX - 3);
}

static void test_overhead_comes_back(void **state) {
    struct kit *k = *state;
    kit_tag(k, "p", "first", "t", "v");
    kit_clear_key(k, "p", "first");
    put_samples(k, "f", 0, 1);
    sample_all(k, "task", "f", 1);
    kit_clear_key(k, "p", key_of(0));
    uint64_t before = partition_overhead(kit_partition(k, "p"));
    put_samples(k, "f", 0, 300);
    sample_all(k, "task", "f", 300);
    for (uint64_t i = 0; i < 300; i++) kit_tag(k, "p", key_of(i), "t", "value");
    assert_true(partition_overhead(kit_partition(k, "p")) > before + 300 * 12);
    for (uint64_t i = 0; i < 300; i++) kit_clear_key(k, "p", key_of(i));
    size_t index = kit_partition(k, "p")->index.bytes;
    assert_true(partition_overhead(kit_partition(k, "p")) <= before + index);
}

/* ---- WHERE -------------------------------------------------------------------------------- */

static bool admits(struct kit *k, const char *key, const char *tag, const char *operator,
                   const char * value) {
    struct where_condition condition = {.tag = span_of_string(tag), .value = span_of_string(value)};
    assert_true(where_parse_operator(span_of_string(operator), &condition.operator));
    struct where where = {1, &condition};
    struct where_bound bound = where_bind(&where, kit_partition(k, "p"), &k->scratch);
    return where_admits(&bound, kit_seq(k, "p", key));
}

static void test_operators(void **state) {
    struct kit *k = *state;
    static const char *const operators[] = {"=", "!=", "<", "<=", ">", ">="};
    static const struct {
        const char *tag, *value;
        int order; /* of the tag to the value */
    } cases[] = {{"7", "7", 0},
                 {"7", "07", 0},
                 {"7", "7.0", 0},
                 {"7", "8", -1},
                 {"10", "9", 1},
                 {"-1", "0", -1},
                 {"abc", "abd", -1},
                 {"abc", "ab", 1},
                 {"10", "9a", -1},
                 {"", "", 0},
                 {"", "a", -1},
                 {"a", "", 1},
                 {"0.5", "1", -1},
                 {" 1", "1", -1},
                 {"9223372036854775807", "9223372036854775806", 1},
                 {"18446744073709551615", "18446744073709551614", 1},
                 {"-9223372036854775808", "9223372036854775808", -1},
                 {"18446744073709551615", "-1", 1},
                 {"nano", "1", 1},
                 {"inf", "1", 1},
                 {"1e400", "1e401", 2},
                 {"1e1", "10", 2},
                 {"inf", "1e999", 2},
                 {"nan", "1", 3},
                 {"nan", "nan", 3}};
    /* 2: alike in order, but not equal as ids; 3: nan. */
    static const bool ids[] = {false, true, false, true, false, true}, nan[6] = {false, true};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int order = cases[i].order;
        bool holds[] = {order == 0, order != 0, order<0, order <= 0, order> 0, order >= 0};
        if (order == 2) memcpy(holds, ids, sizeof(holds));
        if (order == 3) memcpy(holds, nan, sizeof(holds));
        kit_tag(k, "p", "s", "t", cases[i].tag);
        for (size_t o = 0; o < 6; o++)
            if (admits(k, "s", "t", operators[o], cases[i].value) != holds[o])
                fail_msg("'%s' %s '%s'", cases[i].tag, operators[o], cases[i].value);
    }
}

static void test_a_missing_tag_fails_whatever_is_asked(void **state) {
    struct kit *k = *state;
    kit_tag(k, "p", "s", "t", "1");
    kit_tag(k, "p", "other", "u", "1");
    assert_false(admits(k, "other", "t", "!=", "2"));
    assert_false(admits(k, "other", "t", "=", ""));
    assert_false(admits(k, "s", "nobody has this", "!=", ""));
    enum where_operator operator;
    static const char *const no[] = {"", "==", "<>", "!", "=<", "like"};
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(where_parse_operator(span_of_string(no[i]), &operator));
}

static void test_conditions_are_anded(void **state) {
    struct kit *k = *state;
    kit_tag(k, "p", "s", "t", "5");
    kit_tag(k, "p", "s", "u", "x");
    struct where_condition conditions[] = {{SPAN_LITERAL("t"), WHERE_GT, SPAN_LITERAL("4")},
                                           {SPAN_LITERAL("u"), WHERE_EQ, SPAN_LITERAL("x")},
                                           {SPAN_LITERAL("t"), WHERE_LT, SPAN_LITERAL("5")}};
    for (size_t n = 0; n <= 3; n++) {
        struct where where = {n, conditions};
        struct where_bound bound = where_bind(&where, kit_partition(k, "p"), &k->scratch);
        assert_int_equal(where_admits(&bound, 0), n < 3);
    }
}

/* ---- readiness ---------------------------------------------------------------------------- */

static struct ready open_ready(struct kit *k, const char *task, const struct span *fields,
                               size_t n_fields) {
    static const struct where all;
    struct partition *p = kit_partition(k, "p");
    struct ready_query query = {.partition = p,
                                .task = task ? partition_task(p, span_of_string(task)) : NULL,
                                .n_fields = n_fields,
                                .fields = fields,
                                .where = &all};
    struct ready ready;
    ready_open(&ready, &query, &k->scratch);
    return ready;
}

static void test_ready_needs_all_fields(void **state) {
    struct kit *k = *state;
    struct span fields[] = {SPAN_LITERAL("a"), SPAN_LITERAL("b")};
    put_samples(k, "a", 0, 3000);
    put_samples(k, "b", 2000, 2010);
    struct ready ready = open_ready(k, NULL, fields, 2);
    assert_int_equal(ready_count(&ready), 10);
    ready = open_ready(k, NULL, fields, 2);
    for (uint64_t seq = 2000; seq < 2010; seq++) assert_int_equal(ready_next(&ready), seq);
    assert_int_equal(ready_next(&ready), SEQ_NONE);
    assert_true(ready_has(&ready, 2005));
    assert_false(ready_has(&ready, 1999));
    ready = open_ready(k, NULL, (struct span[]){SPAN_LITERAL("a"), SPAN_LITERAL("none")}, 2);
    assert_int_equal(ready_count(&ready), 0);
    assert_false(ready_has(&ready, 2005));
    ready = open_ready(k, NULL, NULL, 0);
    assert_int_equal(ready_count(&ready), 3000);
}

static void test_a_count_goes_on_from_where_the_scan_is(void **state) {
    struct kit *k = *state;
    struct span field = SPAN_LITERAL("a");
    put_samples(k, "a", 0, 2500);
    struct ready ready = open_ready(k, NULL, &field, 1);
    for (uint64_t seq = 0; seq < 1100; seq++) assert_int_equal(ready_next(&ready), seq);
    assert_int_equal(ready_count(&ready), 1400);
    assert_int_equal(ready_count(&ready), 0);
}

/* The hint skips what a task has consumed; what comes back or comes new is seen all the same. */
static void test_the_hint_hides_nothing(void **state) {
    struct kit *k = *state;
    struct span field = SPAN_LITERAL("a"), key;
    put_samples(k, "a", 0, 5000);
    sample_all(k, "t", "a", 4500);
    struct ready ready = open_ready(k, "t", &field, 1);
    assert_int_equal(partition_task(kit_partition(k, "p"), SPAN_LITERAL("t"))->hint, 4);
    assert_int_equal(ready_next(&ready), 4500);
    key = span_of_string(key_of(1500));
    struct reset reset = {.select = {.partition = SPAN_LITERAL("p"), .n_keys = 1, .keys = &key},
                          .task = SPAN_LITERAL("t")};
    assert_int_equal(kit_reset(k, &reset), 0);
    assert_int_equal(k->changed, 1);
    ready = open_ready(k, "t", &field, 1);
    assert_int_equal(ready_next(&ready), 1500);
    assert_int_equal(ready_next(&ready), 4500);
    sample_all(k, "t", "a", 5000);
    put_samples(k, "a", 5000, 5001);
    ready = open_ready(k, "t", &field, 1);
    assert_int_equal(ready_next(&ready), 5000);
    for (uint64_t i = 0; i <= 5000; i++) kit_clear_key(k, "p", key_of(i));
    ready = open_ready(k, "t", &field, 1);
    assert_int_equal(ready_next(&ready), SEQ_NONE);
    put_samples(k, "a", 0, 1);
    ready = open_ready(k, "t", &field, 1);
    assert_int_equal(ready_next(&ready), 5001);
}

/* ---- rank batches ------------------------------------------------------------------------- */

static void test_batches_of_many_ranks_are_forgotten(void **state) {
    enum { RANKS = 8, BATCHES = 1000 };
    struct kit *k = *state;
    put_samples(k, "f", 0, 1);
    struct partition *p = kit_partition(k, "p");
    struct ranks ranks = {0};
    uint64_t gone[RANKS]; /* seqs of no sample, as of those that were cleared */
    size_t slices[RANKS + 1];
    for (size_t r = 0; r <= RANKS; r++) slices[r] = r;
    for (size_t r = 0; r < RANKS; r++) gone[r] = 1000 + r;
    for (uint64_t batch = 0; batch < BATCHES; batch++) {
        struct op_select select = {.n = RANKS, .seqs = gone};
        select.rank =
            (struct op_rank){.given = true, .batch = batch, .n_slices = RANKS, .slices = slices};
        ranks_remember(&ranks, p, &select);
        for (uint64_t r = 0; r < RANKS; r++) ranks_finish(&ranks, r, batch);
    }
    assert_true(ranks.n <= 2 * RANKS);
    ranks_free(&ranks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_insertion_order),
        KIT_TEST(test_cleared_samples_leave_no_trace),
        KIT_TEST(test_seqs_of_more_than_32_bits),
        KIT_TEST(test_no_room_beyond_2_to_the_32),
        KIT_TEST(test_overhead_comes_back),
        KIT_TEST(test_operators),
        KIT_TEST(test_a_missing_tag_fails_whatever_is_asked),
        KIT_TEST(test_conditions_are_anded),
        KIT_TEST(test_ready_needs_all_fields),
        KIT_TEST(test_a_count_goes_on_from_where_the_scan_is),
        KIT_TEST(test_the_hint_hides_nothing),
        KIT_TEST(test_batches_of_many_ranks_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
