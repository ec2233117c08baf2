/* Match sets against the obvious: whatever is written, erased and cleared between uses, a scan with WHERE gives the samples whose tags
 * admit it, one by one. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "kit/source.h"
#include "kit/store.h"
#include "store/matches.h"
#include "store/ready.h"

enum { SAMPLES = 5000, VALUES = 5, WHERES = 24 };

static struct where_condition conditions[WHERES][2];
static struct where wheres[WHERES];
static char values[WHERES][8];

/* Some of one condition, some of two; more of them than sets are kept. */
static void make_wheres(void) {
    for (int i = 0; i < WHERES; i++) {
        snprintf(values[i], sizeof(values[i]), "%d", i % VALUES);
        conditions[i][0] = (struct where_condition){SPAN_LITERAL("t"), (enum where_operator)(i / VALUES % WHERE_OPERATORS),
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
    ready_open(&ready, &(struct ready_query){p, NULL, 0, NULL, where, false}, &k->scratch);
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
    ready_open(&ready, &(struct ready_query){p, NULL, 0, NULL, where, false}, &k->scratch);
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
            if (source_below(&s, 8) == 0) check(k, (int)source_below(&s, WHERES), source_below(&s, 2));
            break;
        default: put(k, &s, cleared + (unsigned)source_below(&s, next - cleared));
        }
    }
    for (int i = 0; i < WHERES; i++) check(k, i, i % 2);
    const struct partition *p = kit_partition(k, "p");
    assert_non_null(p->matches);
    assert_true(matches_overhead(p->matches) > MATCHES_JOURNAL * sizeof(uint64_t));
}

/* Where asking each sample is as good, nothing is kept. */
static void test_small_partitions_have_none(void **state) {
    struct kit *k = *state;
    make_wheres();
    kit_tag(k, "p", "a", "t", "1");
    check(k, 1, false);
    assert_null(kit_partition(k, "p")->matches);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_scans_give_what_the_tags_admit),
        KIT_TEST(test_small_partitions_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
