/* Match sets against the obvious: whatever is written, erased and cleared between uses, a scan with
 * WHERE gives the samples whose tags admit it, one by one. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "kit/source.h"
#include "kit/store.h"
#include "store/bounds.h"
#include "store/check.h"
#include "store/matches.h"
#include "store/mput.h"
#include "store/plan.h"
#include "store/ready.h"

enum { SAMPLES = 5000, VALUES = 5, WHERES = 24 };

static struct where_condition conditions[WHERES][2];
static struct where wheres[WHERES];
static char values[WHERES][8];

/* Some of one condition, some of two. */
static void make_wheres(void) {
    for (int i = 0; i < WHERES; i++) {
        snprintf(values[i], sizeof(values[i]), "%d", i % VALUES);
        conditions[i][0] = (struct where_condition){
            SPAN_LITERAL("t"), (enum where_operator)(i / VALUES % WHERE_OPERATORS),
            span_of_string(values[i])};
        conditions[i][1] = (struct where_condition){SPAN_LITERAL("u"), WHERE_NE, SPAN_LITERAL("2")};
        wheres[i] = (struct where){i % 3 ? 1 : 2, conditions[i]};
    }
}

static void check(struct kit *k, int which, bool backwards) {
    struct partition *p = kit_partition(k, "p");
    const struct where *where = &wheres[which];
    struct ready ready;
    scratch_reset(&k->scratch);
    ready_open(&ready, &(struct ready_query){p, NULL, 0, NULL, where, false, 0, false, 0}, &k->scratch);
    struct where_bound bound = where_bind(where, p, &k->scratch);
    uint64_t admitted = 0;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++) {
        if (!where_admits(&bound, seq)) continue;
        admitted++;
        if (!backwards) assert_int_equal(ready_next(&ready), seq);
    }
    if (!backwards) {
        assert_int_equal(ready_next(&ready), SEQ_NONE);
        return;
    }
    uint64_t count = 0, last = SEQ_NONE;
    for (uint64_t seq; (seq = ready_previous(&ready)) != SEQ_NONE; last = seq, count++) {
        assert_true(where_admits(&bound, seq) && partition_alive(p, seq));
        assert_true(seq < last);
    }
    assert_int_equal(count, admitted);
    ready_open(&ready, &(struct ready_query){p, NULL, 0, NULL, where, false, 0, false, 0}, &k->scratch);
    assert_int_equal(ready_count(&ready), admitted);
}

static void put(struct kit *k, struct source *s, unsigned number) {
    char key[16], value[8];
    snprintf(key, sizeof(key), "k%u", number);
    snprintf(value, sizeof(value), "%d", (int)source_below(s, VALUES));
    assert_int_equal(kit_tag(k, "p", key, source_below(s, 3) ? "t" : "u", value), 0);
}

static void erase(struct kit *k, struct source *s, unsigned number) {
    static const struct span names[] = {SPAN_LITERAL("t")};
    char key[16];
    snprintf(key, sizeof(key), "k%u", number);
    struct span keys[] = {span_of_string(key)};
    struct clear clear = {.select = {.partition = SPAN_LITERAL("p"), .n_keys = 1, .keys = keys},
                          .what = SELECT_TAGS,
                          .n_names = 1,
                          .names = names};
    if (source_once_in(s, 200)) clear.select.n_keys = 0, clear.select.keys = NULL; /* of all */
    kit_clear(k, &clear);
}

static void test_scans_give_what_the_tags_admit(void **state) {
    struct kit *k = *state;
    struct source s = source_of_seed(12);
    unsigned next = 0, cleared = 0;
    make_wheres();
    for (; next < SAMPLES; next++) put(k, &s, next);
    for (int step = 0; step < 4000; step++) {
        switch (source_below(&s, 8)) {
        case 0: put(k, &s, next++); break;
        case 1: erase(k, &s, cleared + (unsigned)source_below(&s, next - cleared)); break;
        case 2: {
            char key[16];
            snprintf(key, sizeof(key), "k%u", cleared++);
            kit_clear_key(k, "p", key);
            break;
        }
        case 3:
            if (source_once_in(&s, 100)) /* more than the journal holds */
                for (int i = 0; i < MATCHES_JOURNAL + 100; i++)
                    put(k, &s, cleared + (unsigned)source_below(&s, next - cleared));
            break;
        case 4:
            if (source_below(&s, 8) == 0)
                check(k, (int)source_below(&s, WHERES), source_below(&s, 2));
            break;
        default: put(k, &s, cleared + (unsigned)source_below(&s, next - cleared));
        }
    }
    for (int i = 0; i < WHERES; i++) check(k, i, i % 2);
    assert_true(matches_overhead(kit_partition(k, "p")->matches) >
                MATCHES_JOURNAL * sizeof(uint64_t));
}

/* Where asking each sample is as good, nothing is kept. */
static void test_small_partitions_have_none(void **state) {
    struct kit *k = *state;
    make_wheres();
    kit_tag(k, "p", "a", "t", "1");
    check(k, 1, false);
    assert_null(kit_partition(k, "p")->matches);
}

/* ---- slices ------------------------------------------------------------------------------- */

static struct ready_query limited(struct kit *k, const struct where *where, uint64_t evaluations) {
    return (struct ready_query){
        .partition = kit_partition(k, "p"), .where = where, .evaluations = evaluations};
}

/* How many are admitted, UINT64_MAX where the scan is cut. */
static uint64_t count_limited(struct kit *k, const struct where *where, uint64_t evaluations) {
    struct ready_query query = limited(k, where, evaluations);
    struct ready ready;
    scratch_reset(&k->scratch);
    ready_open(&ready, &query, &k->scratch);
    uint64_t n = ready_count(&ready);
    return ready_is_cut(&ready) ? UINT64_MAX : n;
}

static uint64_t count_slowly(struct kit *k, const struct where *where) {
    const struct partition *p = kit_partition(k, "p");
    struct where_bound bound = where_bind(where, p, &k->scratch);
    uint64_t n = 0;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++)
        n += where_admits(&bound, seq);
    return n;
}

static void test_a_scan_is_cut_at_its_limit(void **state) {
    struct kit *k = *state;
    struct source s = source_of_seed(1);
    make_wheres();
    for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
    assert_int_equal(count_limited(k, &wheres[1], 1), UINT64_MAX);
    struct match_set *set = matches_hold(kit_partition(k, "p"), &wheres[1], &k->scratch);
    while (!matches_fill(set, 1)) {
    }
    assert_int_equal(count_limited(k, &wheres[1], 1), count_slowly(k, &wheres[1]));
    matches_release(set);
}

static void test_take_asks_for_slices(void **state) {
    struct kit *k = *state;
    struct source s = source_of_seed(2);
    struct sampled sampled;
    make_wheres();
    for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
    const struct where *where = &wheres[1];
    struct sample_call call = {.partition = SPAN_LITERAL("p"),
                               .task = SPAN_LITERAL("t"),
                               .count = 3,
                               .at_least = 3,
                               .where = *where,
                               .sampler = sampler_find(SPAN_LITERAL("RANDOM")),
                               .evaluations = 50};
    assert_int_equal(sample_plan(k->store, &call, 0, &k->scratch, &sampled, &k->error), 0);
    assert_int_equal(sampled.outcome, SAMPLE_SCAN);
    call.sampler = sampler_find(SPAN_LITERAL("LIFO"));
    call.count = call.at_least = SAMPLES;
    assert_int_equal(sample_plan(k->store, &call, 0, &k->scratch, &sampled, &k->error), 0);
    assert_int_equal(sampled.outcome, SAMPLE_SCAN);
    call.count = call.at_least = 3;
    struct match_set *set = matches_hold(kit_partition(k, "p"), where, &k->scratch);
    while (!matches_fill(set, 1000)) {
    }
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
    matches_release(set);
}

enum { BLOCK_COST = 8 * BLOCK_ROWS }; /* more than a block of any of the WHEREs */

enum { CONDITIONS = 200 };

/* A WHERE of many conditions, that admits the samples with tag t. */
static struct where where_of_many(struct where_condition *conditions) {
    for (int i = 0; i < CONDITIONS; i++)
        conditions[i] = (struct where_condition){SPAN_LITERAL("t"), WHERE_NE, SPAN_LITERAL("-1")};
    return (struct where){CONDITIONS, conditions};
}

/* It is cut within a block. */
static void test_conditions_count(void **state) {
    struct kit *k = *state;
    struct where_condition conditions[CONDITIONS];
    struct source s = source_of_seed(7);
    make_wheres();
    for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
    const struct where where = where_of_many(conditions);
    uint64_t n = count_slowly(k, &where);
    struct match_set *set = matches_hold(kit_partition(k, "p"), &where, &k->scratch);
    unsigned slices = 1;
    while (!matches_fill(set, 100 * CONDITIONS)) slices++;
    assert_in_range(slices, n / 128, SAMPLES / 64 + 2); /* 128 samples a slice at the most */
    assert_int_equal(count_limited(k, &where, 1), n);
    matches_release(set);
}

/* Slices of any size clear what is cleared at once, and nothing that came after the first one. */
static void test_clear_in_slices(void **state) {
    enum { LATER = 100 };
    struct kit *k = *state;
    struct source s = source_of_seed(2);
    struct op op;
    make_wheres();
    for (int round = 0; round < 20; round++) {
        const struct where *where = &wheres[source_below(&s, WHERES)];
        for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
        const struct partition *p = kit_partition(k, "p");
        uint64_t n = count_slowly(k, where), cleared = 0, samples = p->samples;
        struct select_slice slice = {.end = p->next_seq};
        struct clear clear = {.select = {SPAN_LITERAL("p"), 0, NULL, *where, &slice}};
        for (unsigned i = 0; i < LATER; i++) put(k, &s, SAMPLES + i);
        for (slice.more = true; slice.more;) {
            uint64_t from = slice.from;
            slice.samples = 1 + source_below(&s, 500);
            slice.evaluations = 1 + source_below(&s, 3000);
            scratch_reset(&k->scratch);
            if (clear_plan(k->store, &clear, 0, &k->scratch, &op) == CLEAR_OP) {
                assert_in_range(op.select.n, 1, slice.samples);
                cleared += store_apply(k->store, &op);
            }
            assert_true(slice.from > from);
        }
        assert_int_equal(cleared, n);
        assert_int_equal(p->samples, samples + LATER - n);
        kit_drop(k, "p");
    }
}

/* So is a slice of CLEAR. */
static void test_clear_counts_conditions(void **state) {
    struct kit *k = *state;
    struct where_condition conditions[CONDITIONS];
    struct source s = source_of_seed(8);
    struct op op;
    make_wheres();
    for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
    const struct partition *p = kit_partition(k, "p");
    const struct where where = where_of_many(conditions);
    uint64_t n = count_slowly(k, &where), cleared = 0, slices = 0;
    struct select_slice slice = {
        .end = p->next_seq, .samples = SAMPLES, .evaluations = 50 * CONDITIONS};
    struct clear clear = {.select = {SPAN_LITERAL("p"), 0, NULL, where, &slice}};
    for (slice.more = true; slice.more; slices++) {
        scratch_reset(&k->scratch);
        if (clear_plan(k->store, &clear, 0, &k->scratch, &op) != CLEAR_OP) continue;
        assert_in_range(op.select.n, 1, 51);
        cleared += store_apply(k->store, &op);
    }
    assert_int_equal(cleared, n);
    assert_in_range(slices, n / 51, SAMPLES / 25);
}

enum { MANY = SAMPLES - 100 };

/* One op with a tag of samples from this number on: of more than the journal holds. */
static void put_many(struct kit *k, unsigned first, const char *value) {
    static char text[MANY][16];
    static struct span keys[MANY], column[MANY];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(text[i], sizeof(text[i]), "k%zu", first + i);
        keys[i] = span_of_string(text[i]);
        column[i] = span_of_string(value);
    }
    struct mput_tag tag = {SPAN_LITERAL("t"), column};
    struct mput mput = {
        .partition = SPAN_LITERAL("p"), .n = MANY, .keys = keys, .n_tags = 1, .tags = &tag};
    struct op op;
    bool held;
    scratch_reset(&k->scratch);
    assert_int_equal(
        mput_plan(k->store, &mput, WRITE_VALUES_FIRST, 0, &k->scratch, &op, &held, &k->error), 0);
    assert_true(op.put.n > MATCHES_JOURNAL);
    store_apply(k->store, &op);
}

/* Whatever is written between slices, and however many others are filled, as many slices suffice as
 * without. */
static void test_slices_are_not_in_vain(void **state) {
    struct kit *k = *state;
    struct source s = source_of_seed(3);
    struct match_set *sets[WHERES];
    bool full[WHERES] = {false};
    make_wheres();
    for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
    struct partition *p = kit_partition(k, "p");
    for (int i = 0; i < WHERES; i++) sets[i] = matches_hold(p, &wheres[i], &k->scratch);
    for (unsigned round = 0; round < SAMPLES / BLOCK_ROWS + 1; round++) {
        for (int i = 0; i < WHERES; i++) full[i] = matches_fill(sets[i], BLOCK_COST);
        put_many(k, 0, round % 2 ? "1" : "2");
        erase(k, &s, round);
        put(k, &s, 100 + round);
    }
    for (int i = 0; i < WHERES; i++) {
        assert_true(full[i]);
        assert_int_equal(count_limited(k, &wheres[i], 1), count_slowly(k, &wheres[i]));
    }
    for (int i = 0; i < WHERES; i++) matches_release(sets[i]);
    for (int i = 0; i < WHERES; i++) check(k, i, false);
}

/* New samples need no entry of the journal; one old sample among them needs one. */
static void test_a_batch_of_new_samples_forgets_no_set(void **state) {
    struct kit *k = *state;
    struct source s = source_of_seed(5);
    make_wheres();
    for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
    uint64_t before = count_limited(k, &wheres[1], SAMPLES);
    assert_int_equal(before, count_slowly(k, &wheres[1]));
    put_many(k, SAMPLES - 1, "2");
    assert_int_equal(count_limited(k, &wheres[1], MANY), count_slowly(k, &wheres[1]));
}

/* The journal is as large as what was overwritten; of many sets, those used last are kept. */
static void test_memory_follows_use(void **state) {
    enum { FEW = 300, SETS = MATCHES_SETS_MAX + 100 };
    static struct match_set *sets[SETS];
    static char texts[SETS][8];
    struct kit *k = *state;
    struct source s = source_of_seed(6);
    for (unsigned i = 0; i < FEW; i++) put(k, &s, i);
    struct partition *p = kit_partition(k, "p");
    for (int i = 0; i < SETS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%d", i);
        struct where_condition c = {SPAN_LITERAL("t"), WHERE_EQ, span_of_string(texts[i])};
        sets[i] = matches_hold(p, &(struct where){1, &c}, &k->scratch);
        if (i == 0) assert_in_range(matches_overhead(p->matches), 1, 600);
        if (i == 0) kit_tag(k, "p", "k0", "t", "3");
    }
    for (int i = 0; i < SETS; i++) assert_true(matches_fill(sets[i], BLOCK_COST));
    size_t held = matches_overhead(p->matches);
    for (int i = 0; i < SETS; i++) matches_release(sets[i]);
    enum { A_SET = BLOCK_ROWS / 8 };
    size_t gone = held - matches_overhead(p->matches);
    assert_in_range(gone, (SETS - MATCHES_SETS_MAX) * A_SET, (SETS - MATCHES_SETS_MAX) * 4 * A_SET);
}

/* A tag is erased from all samples, samples are cleared in blocks, and come, while a set is
 * filled. */
static void test_slices_follow_the_partition(void **state) {
    struct kit *k = *state;
    struct source s = source_of_seed(4);
    make_wheres();
    for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
    struct match_set *set = matches_hold(kit_partition(k, "p"), &wheres[1], &k->scratch);
    assert_false(matches_fill(set, 2000));
    for (unsigned i = 0; i < 4000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        kit_clear_key(k, "p", key);
    }
    for (unsigned i = SAMPLES; i < SAMPLES + 3000; i++) put(k, &s, i);
    assert_false(matches_fill(set, 1));
    while (!matches_fill(set, 1)) {
    }
    assert_int_equal(count_limited(k, &wheres[1], 1), count_slowly(k, &wheres[1]));
    struct span names[] = {SPAN_LITERAL("t")};
    struct clear clear = {.select = {.partition = SPAN_LITERAL("p")},
                          .what = SELECT_TAGS,
                          .n_names = 1,
                          .names = names};
    kit_clear(k, &clear);
    put(k, &s, 4500);
    put(k, &s, 4501);
    while (!matches_fill(set, 1)) {
    }
    assert_int_equal(count_limited(k, &wheres[1], 1), count_slowly(k, &wheres[1]));
    struct match_set *other = matches_hold(kit_partition(k, "p"), &wheres[2], &k->scratch);
    assert_false(matches_fill(other, 1));
    kit_drop(k, "p"); /* what it holds is freed later, in slices */
    assert_true(store_is_reclaiming(k->store));
    assert_true(matches_fill(other, 1));
    store_reclaim(k->store, 1);
    assert_true(matches_fill(other, 1));
    matches_release(other);
    store_reclaim(k->store, SIZE_MAX);
    assert_false(store_is_reclaiming(k->store));
    assert_true(matches_fill(set, 1));
    matches_release(set);
}

static void define_indexes(struct kit *k, size_t n, const struct span *tags) {
    struct op op;
    struct define define = {.partition = SPAN_LITERAL("p"),
                            .alter = true,
                            .sets_indexes = true,
                            .bounds = {.n_indexes = n, .indexes = tags}};
    scratch_reset(&k->scratch);
    assert_int_equal(define_plan(k->store, &define, k->now_ms, &k->scratch, &op, &k->error), 0);
    store_apply(k->store, &op);
}

/* A partition with an index loses all its samples while a set is held: its rows begin at 0 again,
 * and the set forgets nothing of what comes later. */
static void test_a_set_outlives_all_samples(void **state) {
    struct kit *k = *state;
    struct source s = source_of_seed(4);
    static const struct span tags[] = {SPAN_LITERAL("t")};
    struct where_condition condition = {SPAN_LITERAL("t"), WHERE_GE, SPAN_LITERAL("0")};
    struct where where = {1, &condition};
    make_wheres();
    for (unsigned i = 0; i < SAMPLES; i++) put(k, &s, i);
    define_indexes(k, 1, tags);
    struct match_set *set = matches_hold(kit_partition(k, "p"), &where, &k->scratch);
    put(k, &s, 3); /* the set has entries to read */
    for (unsigned i = 0; i < SAMPLES; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        kit_clear_key(k, "p", key);
    }
    while (store_is_building(k->store)) store_build_indexes(k->store, 1000);
    assert_true(matches_fill(set, 1000));
    matches_release(set);
    define_indexes(k, 0, NULL);
    for (unsigned i = SAMPLES; i < 2 * SAMPLES; i++) put(k, &s, i);
    set = matches_hold(kit_partition(k, "p"), &where, &k->scratch);
    for (unsigned rounds = 0; !matches_fill(set, 1000); rounds++) assert_true(rounds < 1000);
    assert_int_equal(count_limited(k, &where, 1), count_slowly(k, &where));
    matches_release(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_scans_give_what_the_tags_admit),
        KIT_TEST(test_small_partitions_have_none),
        KIT_TEST(test_a_scan_is_cut_at_its_limit),
        KIT_TEST(test_take_asks_for_slices),
        KIT_TEST(test_conditions_count),
        KIT_TEST(test_clear_in_slices),
        KIT_TEST(test_clear_counts_conditions),
        KIT_TEST(test_slices_are_not_in_vain),
        KIT_TEST(test_slices_follow_the_partition),
        KIT_TEST(test_a_batch_of_new_samples_forgets_no_set),
        KIT_TEST(test_memory_follows_use),
        KIT_TEST(test_a_set_outlives_all_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
