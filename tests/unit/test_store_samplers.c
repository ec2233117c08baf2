/* Samplers one by one: which samples they pick, in which order, and how chance is spread. How they
 * take part in TQ.SAMPLE is in test_store_sample.c. */
#include "kit/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "kit/store.h"
#include "store/balance.h"
#include "store/heap.h"
#include "store/samplers.h"

/* Samples with these letters as keys, all with field f. */
static void put_keys(struct kit *k, const char *keys) {
    for (; *keys; keys++)
        assert_int_equal(kit_field(k, "p", (char[]){*keys, 0}, "f", SPAN_LITERAL("v")), 0);
}

static void tag(struct kit *k, char key, const char *value) {
    assert_true(kit_tag(k, "p", (char[]){key, 0}, "t", value) == 0);
}

static void put_many(struct kit *k, unsigned n) {
    char key[16];
    for (unsigned i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(kit_field(k, "p", key, "f", SPAN_LITERAL("v")), 0);
    }
}

static void put_group(struct kit *k, const char *keys, const char *group) {
    for (size_t i = 0; i < strlen(keys); i++)
        assert_int_equal(kit_group(k, "p", (char[]){keys[i], 0}, group, strlen(keys)), 0);
}

static const struct where everything;
static const struct sampler_args by_tag = {.tag = SPAN_LITERAL("t"), .exponent = 1};

static struct sampler_args seed(uint64_t number) {
    return (struct sampler_args){.seed = number, .seeded = true};
}

static struct sampler_args priority(double exponent, uint64_t seed) {
    return (struct sampler_args){
        .tag = SPAN_LITERAL("t"), .exponent = exponent, .seed = seed, .seeded = true};
}

static struct sampler_args balanced(uint64_t ranks) {
    return (struct sampler_args){.tag = SPAN_LITERAL("t"), .ranks = ranks};
}

/* What a sampler picks of all samples of p that have field f; in scratch. */
static struct picks pick_where(struct kit *k, const char *by, struct sampler_args args,
                               uint64_t count, const struct where *where) {
    const struct sampler *sampler = sampler_find(span_of_string(by));
    struct partition *p = kit_partition(k, "p");
    struct span field = SPAN_LITERAL("f");
    struct ready_query query = {.partition = p, .n_fields = 1, .fields = &field, .where = where};
    struct ready ready;
    scratch_reset(&k->scratch);
    ready_open(&ready, &query, &k->scratch);
    uint64_t most = count * sampler_slices(&args);
    size_t room = most < p->samples ? most : p->samples;
    struct picks picks = {.seqs = scratch_alloc(&k->scratch, room, sizeof(*picks.seqs)),
                          .room = room,
                          .scratch = &k->scratch};
    assert_non_null(sampler);
    sampler->pick(&args, &ready, &picks);
    assert_true(picks.n <= room);
    return picks;
}

static struct picks pick(struct kit *k, const char *by, struct sampler_args args, uint64_t count) {
    return pick_where(k, by, args, count, &everything);
}

/* The picks as letters, ranks parted by bars. */
static const char *letters(struct kit *k, const struct picks *picks) {
    static char text[256];
    char *at = text;
    size_t rank = 1;
    for (size_t i = 0; i < picks->n; i++) {
        for (; picks->slices && picks->slices[rank] == i; rank++) *at++ = '|';
        *at++ = partition_key(kit_partition(k, "p"), picks->seqs[i]).ptr[0];
    }
    *at = '\0';
    return text;
}

static const char *picked(struct kit *k, const char *by, struct sampler_args args, uint64_t count) {
    struct picks picks = pick(k, by, args, count);
    return letters(k, &picks);
}

static void assert_distinct(const struct picks *picks, uint64_t below) {
    unsigned char *seen = mem_calloc(below + 1, 1);
    for (size_t i = 0; i < picks->n; i++) {
        assert_true(picks->seqs[i] < below);
        assert_false(seen[picks->seqs[i]]++);
    }
    mem_free(seen);
}

/* ---- LIFO --------------------------------------------------------------------------------- */

static void test_newest_first(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcde");
    assert_string_equal(picked(k, "LIFO", by_tag, 2), "ed");
    assert_string_equal(picked(k, "lifo", by_tag, 9), "edcba");
    kit_clear_key(k, "p", "d");
    assert_string_equal(picked(k, "LIFO", by_tag, 2), "ec");
}

static void test_newest_first_over_blocks_and_holes(void **state) {
    struct kit *k = *state;
    char key[16];
    put_many(k, 5000);
    for (unsigned i = 0; i < 5000;
         i++) { /* blocks 1 and 3 go whole, of the others every third stays */
        snprintf(key, sizeof(key), "k%u", i);
        if (i / BLOCK_ROWS % 2 || i % 3) kit_clear_key(k, "p", key);
    }
    struct picks picks = pick(k, "LIFO", by_tag, 5000);
    size_t n = 0;
    for (unsigned i = 5000; i-- > 0;)
        if (i / BLOCK_ROWS % 2 == 0 && i % 3 == 0) assert_int_equal(picks.seqs[n++], i);
    assert_int_equal(picks.n, n);
}

static void test_lifo_asks_where(void **state) {
    struct kit *k = *state;
    struct where_condition condition = {SPAN_LITERAL("t"), WHERE_GE, SPAN_LITERAL("2")};
    put_keys(k, "abcd");
    tag(k, 'a', "2");
    tag(k, 'b', "3");
    tag(k, 'd', "1");
    struct picks picks = pick_where(k, "LIFO", by_tag, 9, &(struct where){1, &condition});
    assert_string_equal(letters(k, &picks), "ba");
}

/* ---- RANDOM ------------------------------------------------------------------------------- */

static void test_a_seed_decides(void **state) {
    struct kit *k = *state;
    char first[64];
    put_keys(k, "abcdefghijklmnopqrstuvwxyz");
    strcpy(first, picked(k, "RANDOM", seed(7), 20));
    assert_string_equal(picked(k, "RANDOM", seed(7), 20), first);
    assert_string_not_equal(picked(k, "RANDOM", seed(8), 20), first);
    assert_string_not_equal(picked(k, "RANDOM", seed(UINT64_MAX), 20), first);
}

static void test_random_picks_are_distinct(void **state) {
    struct kit *k = *state;
    put_many(k, 3000);
    static const size_t counts[] = {0, 1, 2, 64, 1500, 2999, 3000, 9999};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct picks picks = pick(k, "RANDOM", seed(i), counts[i]);
        assert_int_equal(picks.n, counts[i] < 3000 ? counts[i] : 3000);
        assert_distinct(&picks, 3000);
    }
}

static void test_nothing_to_pick_from(void **state) {
    struct kit *k = *state;
    kit_tag(k, "p", "a", "t", "1");
    static const char *const names[] = {"LIFO", "RANDOM", "MAX", "MIN", "PRIORITY", "BALANCED"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sampler_args args = by_tag;
        args.ranks = i == 5 ? 2 : 0;
        assert_string_equal(picked(k, names[i], args, 3), "");
    }
}

/* Each of 2,100 samples over three blocks with holes is as likely as the others, at each place of
 * the batch. */
static void test_random_is_uniform(void **state) {
    struct kit *k = *state;
    static unsigned times[2100], first[2100];
    put_many(k, 2100);
    for (unsigned i = 0; i < 2100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        if (i % 7 == 0) kit_clear_key(k, "p", key);
        times[i] = first[i] = 0;
    }
    const unsigned rounds = 6000, alive = 1800, count = 60; /* each comes 200 times, first 3.3 */
    for (unsigned round = 0; round < rounds; round++) {
        struct picks picks = pick(k, "RANDOM", seed(round), count);
        for (size_t i = 0; i < picks.n; i++) times[picks.seqs[i]]++;
        first[picks.seqs[0]]++;
    }
    double chi = 0, chi_first = 0;
    for (unsigned i = 0; i < 2100; i++) {
        if (i % 7 == 0) {
            assert_int_equal(times[i], 0);
            continue;
        }
        double expected = (double)rounds * count / alive, expected_first = (double)rounds / alive;
        chi += (times[i] - expected) * (times[i] - expected) / expected;
        chi_first += (first[i] - expected_first) * (first[i] - expected_first) / expected_first;
    }
    /* Chi-squared with 1,799 degrees of freedom: mean 1,799, standard deviation 60. */
    assert_true(chi > 1799 - 5 * 60 && chi < 1799 + 5 * 60);
    assert_true(chi_first > 1799 - 5 * 60 && chi_first < 1799 + 5 * 60);
}

static void test_random_asks_where(void **state) {
    struct kit *k = *state;
    struct where_condition condition = {SPAN_LITERAL("t"), WHERE_EQ, SPAN_LITERAL("x")};
    struct where where = {1, &condition};
    char key[16], set[101] = "";
    put_many(k, 3000);
    for (unsigned i = 0; i < 3000; i += 30) {
        snprintf(key, sizeof(key), "k%u", i);
        kit_tag(k, "p", key, "t", "x");
    }
    for (unsigned round = 0; round < 200; round++) {
        struct picks picks = pick_where(k, "RANDOM", seed(round), 10, &where);
        assert_int_equal(picks.n, 10);
        assert_distinct(&picks, 3000);
        for (size_t i = 0; i < picks.n; i++) {
            assert_int_equal(picks.seqs[i] % 30, 0);
            set[picks.seqs[i] / 30] = 'x';
        }
    }
    assert_int_equal(strlen(set), 100); /* each came */
    struct picks picks = pick_where(k, "RANDOM", seed(1), 200, &where);
    assert_int_equal(picks.n, 100);
}

/* ---- MAX and MIN -------------------------------------------------------------------------- */

static void test_max_and_min(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdef");
    tag(k, 'a', "2");
    tag(k, 'b', "-1.5");
    tag(k, 'c', "1e2");
    tag(k, 'd', "10");
    tag(k, 'e', "0");
    tag(k, 'f', "2.0");
    assert_string_equal(picked(k, "MAX", by_tag, 6), "cdafeb");
    assert_string_equal(picked(k, "MIN", by_tag, 6), "beafdc");
    assert_string_equal(picked(k, "MAX", by_tag, 2), "cd");
    assert_string_equal(picked(k, "MIN", by_tag, 1), "b");
}

static void test_ties_are_oldest_first(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdefgh");
    for (char c = 'a'; c <= 'h'; c++) tag(k, c, c % 2 ? "1" : "2"); /* b d f h have 2 */
    assert_string_equal(picked(k, "MAX", by_tag, 6), "bdfhac");
    assert_string_equal(picked(k, "MIN", by_tag, 6), "acegbd");
    assert_string_equal(picked(k, "MAX", by_tag, 3), "bdf");
}

static void test_what_has_no_number_comes_last(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdefg");
    tag(k, 'b', "none");
    tag(k, 'c', "5");
    tag(k, 'd', "");
    tag(k, 'e', "-5");
    tag(k, 'f', "nan");
    tag(k, 'g', "0x10");
    assert_string_equal(picked(k, "MAX", by_tag, 9), "ceabdfg");
    assert_string_equal(picked(k, "MIN", by_tag, 9), "ecabdfg");
    struct sampler_args other = {.tag = SPAN_LITERAL("nobody has this")};
    assert_string_equal(picked(k, "MAX", other, 3), "abc");
}

static void test_numbers_that_doubles_round(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdefgh");
    tag(k, 'a', "9007199254740992");
    tag(k, 'b', "9007199254740993");
    tag(k, 'c', "18446744073709551614");
    tag(k, 'd', "18446744073709551615");
    tag(k, 'e', "-9223372036854775808");
    tag(k, 'f', "-9223372036854775807");
    tag(k, 'g', "inf");
    tag(k, 'h', "-1e999");
    assert_string_equal(picked(k, "MAX", by_tag, 8), "gdcbafeh");
    assert_string_equal(picked(k, "MIN", by_tag, 8), "hefabcdg");
}

static void test_the_best_of_many(void **state) {
    (void)state;
    struct heap_entry entries[50], all[400];
    struct random random = random_of_seed(3);
    for (unsigned round = 0; round < 300; round++) {
        struct heap best = {entries, 0};
        size_t room = random_below(&random, 51), n = random_below(&random, 401);
        for (size_t i = 0; i < n; i++) {
            all[i] = (struct heap_entry){(double)random_below(&random, 20),
                                         (int64_t)random_below(&random, 3), i};
            heap_keep(&best, room, all[i]);
        }
        heap_sort(&best);
        assert_int_equal(best.n, n < room ? n : room);
        for (size_t i = 0; i < best.n; i++) { /* the one of which i others are better */
            size_t better = 0;
            for (size_t j = 0; j < n; j++) {
                const struct heap_entry *a = &all[j], *b = &entries[i];
                better += a->key != b->key     ? a->key > b->key
                          : a->rest != b->rest ? a->rest > b->rest
                                               : a->item < b->item;
            }
            assert_int_equal(better, i);
        }
    }
}

/* ---- PRIORITY ----------------------------------------------------------------------------- */

/* How often each of the first samples comes first in so many draws. */
static void tally(struct kit *k, struct sampler_args args, unsigned rounds, unsigned *times,
                  unsigned n) {
    memset(times, 0, n * sizeof(*times));
    for (unsigned round = 0; round < rounds; round++) {
        args.seed = round;
        times[pick(k, "PRIORITY", args, 1).seqs[0]]++;
    }
}

/* Within five standard deviations of rounds × share. */
static void assert_share(unsigned times, unsigned rounds, double share) {
    double deviation = sqrt(rounds * share * (1 - share));
    assert_true(fabs(times - rounds * share) <= 5 * deviation + 1e-9);
}

static void test_probability_is_proportional(void **state) {
    struct kit *k = *state;
    unsigned times[4];
    put_keys(k, "abcd");
    tag(k, 'a', "1");
    tag(k, 'b', "2");
    tag(k, 'c', "7");
    tag(k, 'd', "0");
    tally(k, priority(1, 0), 20000, times, 4);
    for (unsigned i = 0; i < 4; i++) assert_share(times[i], 20000, (double[]){.1, .2, .7, 0}[i]);
    tally(k, priority(2, 0), 20000, times, 4);
    for (unsigned i = 0; i < 4; i++) assert_share(times[i], 20000, (double[]){1, 4, 49, 0}[i] / 54);
    tally(k, priority(0, 0), 20000, times, 4); /* all alike */
    for (unsigned i = 0; i < 4; i++) assert_share(times[i], 20000, .25);
    tally(k, priority(0.5, 0), 20000, times, 4);
    double all = 1 + sqrt(2) + sqrt(7);
    assert_share(times[1], 20000, sqrt(2) / all);
}

/* What comes second is proportional among what is left. */
static void test_without_replacement(void **state) {
    struct kit *k = *state;
    const unsigned rounds = 20000;
    unsigned ca = 0, c_first = 0;
    put_keys(k, "abc");
    tag(k, 'a', "1");
    tag(k, 'b', "3");
    tag(k, 'c', "4");
    for (unsigned round = 0; round < rounds; round++) {
        const char *got = picked(k, "PRIORITY", priority(1, round), 2);
        assert_int_equal(strlen(got), 2);
        assert_int_not_equal(got[0], got[1]);
        c_first += got[0] == 'c';
        ca += got[0] == 'c' && got[1] == 'a';
    }
    assert_share(c_first, rounds, .5);
    assert_share(ca, rounds, .5 * .25);
}

static void test_a_seed_decides_priority(void **state) {
    struct kit *k = *state;
    char first[64];
    put_keys(k, "abcdefghijklmnopqrstuvwxyz");
    for (char c = 'a'; c <= 'z'; c++) tag(k, c, (char[]){'1' + c % 9, 0});
    strcpy(first, picked(k, "PRIORITY", priority(1, 7), 20));
    assert_string_equal(picked(k, "PRIORITY", priority(1, 7), 20), first);
    assert_string_not_equal(picked(k, "PRIORITY", priority(1, 8), 20), first);
}

/* Negative, missing or no number: nothing, until nothing else is left. */
static void test_weightless_ones_come_last(void **state) {
    struct kit *k = *state;
    unsigned first[8] = {0};
    put_keys(k, "abcdefg");
    tag(k, 'a', "-5");
    tag(k, 'b', "0.001");
    tag(k, 'c', "nan");
    tag(k, 'd', "1000000");
    tag(k, 'e', "0");
    tag(k, 'g', "much");
    for (unsigned round = 0; round < 1000; round++) {
        const char *got = picked(k, "PRIORITY", priority(1, round), 7);
        assert_int_equal(strlen(got), 7);
        assert_true(strchr("bd", got[0]) && strchr("bd", got[1]));
        first[got[2] - 'a']++;
    }
    for (char c = 'a'; c <= 'g'; c++)
        if (!strchr("bd", c)) assert_share(first[c - 'a'], 1000, .2);
}

static void test_extreme_weights(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdef");
    tag(k, 'a', "1e-300");
    tag(k, 'b', "inf");
    tag(k, 'c', "1e300");
    tag(k, 'd', "1e999");
    tag(k, 'e', "-inf");
    tag(k, 'f', "1");
    unsigned b_first = 0;
    for (unsigned round = 0; round < 500; round++) {
        const char *got = picked(k, "PRIORITY", priority(3, round), 6);
        assert_string_equal(got + 2, "cfae");
        b_first += got[0] == 'b';
        assert_string_equal(picked(k, "PRIORITY", priority(-1, round), 3), "afc");
        assert_int_equal(strlen(picked(k, "PRIORITY", priority(1e308, round), 6)), 6);
        assert_int_equal(strlen(picked(k, "PRIORITY", priority(-1e308, round), 6)), 6);
    }
    assert_share(b_first, 500, .5);
}

/* ---- splitting ---------------------------------------------------------------------------- */

static void split(const double *weights, size_t n, size_t ranks, double *sums, size_t *counts) {
    struct scratch scratch = {0};
    uint32_t *rank_of = mem_calloc(n + 1, sizeof(*rank_of));
    for (size_t i = 0; i < n; i++) rank_of[i] = UINT32_MAX;
    balance_split(weights, n, ranks, rank_of, &scratch);
    for (size_t r = 0; r < ranks; r++) sums[r] = 0, counts[r] = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(rank_of[i] < ranks);
        sums[rank_of[i]] += weights[i];
        counts[rank_of[i]]++;
    }
    mem_free(rank_of);
    scratch_free(&scratch);
}

static double gap(const double *sums, size_t ranks) {
    double low = sums[0], high = sums[0];
    for (size_t r = 1; r < ranks; r++) low = fmin(low, sums[r]), high = fmax(high, sums[r]);
    return high - low;
}

/* Each, largest first, to the lightest rank that has room: what one would do by hand. */
static double greedy_gap(const double *weights, size_t n, size_t ranks) {
    double sums[64] = {0}, sorted[512];
    size_t counts[64] = {0};
    memcpy(sorted, weights, n * sizeof(*sorted));
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && sorted[j - 1] < sorted[j]; j--) {
            double swap = sorted[j];
            sorted[j] = sorted[j - 1];
            sorted[j - 1] = swap;
        }
    for (size_t i = 0; i < n; i++) {
        size_t to = SIZE_MAX;
        for (size_t r = 0; r < ranks; r++)
            if (counts[r] < n / ranks && (to == SIZE_MAX || sums[r] < sums[to])) to = r;
        sums[to] += sorted[i];
        counts[to]++;
    }
    return gap(sums, ranks);
}

static void test_split_evenly(void **state) {
    (void)state;
    double sums[4];
    size_t counts[4];
    split((double[]){100, 10, 100, 10}, 4, 2, sums, counts);
    assert_true(sums[0] == 110 && sums[1] == 110);
    split((double[]){8, 7, 6, 5, 4, 3, 2, 1}, 8, 2, sums, counts);
    assert_true(sums[0] == 18 && sums[1] == 18 && counts[0] == 4);
    split((double[]){1, 1, 1, 1, 1, 1, 1, 1}, 8, 4, sums, counts);
    for (size_t r = 0; r < 4; r++) assert_true(sums[r] == 2 && counts[r] == 2);
    split((double[]){5}, 1, 1, sums, counts);
    assert_true(sums[0] == 5);
    split(NULL, 0, 4, sums, counts);
}

static void test_counts_are_equal_and_sums_near(void **state) {
    (void)state;
    struct random random = random_of_seed(11);
    double weights[512], sums[64];
    size_t counts[64];
    for (unsigned round = 0; round < 1000; round++) {
        size_t ranks = 1 + random_below(&random, 16), n = ranks * (1 + random_below(&random, 24));
        double largest = 0, smallest = INFINITY;
        for (size_t i = 0; i < n; i++) {
            double unit = random_unit(&random); /* lengths: all alike, or a few far longer ones */
            weights[i] = round % 2 ? floor(1000 * unit) : floor(20 / sqrt(unit));
            largest = fmax(largest, weights[i]);
            smallest = fmin(smallest, weights[i]);
        }
        split(weights, n, ranks, sums, counts);
        for (size_t r = 0; r < ranks; r++) assert_int_equal(counts[r], n / ranks);
        assert_true(gap(sums, ranks) <= largest - smallest);
        assert_true(gap(sums, ranks) <= greedy_gap(weights, n, ranks));
    }
}

/* Where lengths are spread evenly, next to nothing is left. */
static void test_differencing_is_better_than_greed(void **state) {
    (void)state;
    struct random random = random_of_seed(13);
    double weights[128], sums[8], all = 0, all_greedy = 0;
    size_t counts[8];
    for (unsigned round = 0; round < 100; round++) {
        for (size_t i = 0; i < 128; i++) weights[i] = (double)random_below(&random, 1000);
        split(weights, 128, 8, sums, counts);
        all += gap(sums, 8);
        all_greedy += greedy_gap(weights, 128, 8);
    }
    assert_true(all < all_greedy / 4);
}

static void test_counts_differ_by_one_where_they_must(void **state) {
    (void)state;
    struct random random = random_of_seed(12);
    double weights[512], sums[64];
    size_t counts[64];
    for (unsigned round = 0; round < 1000; round++) {
        size_t ranks = 1 + random_below(&random, 40), n = random_below(&random, 300), more = 0;
        for (size_t i = 0; i < n; i++) weights[i] = 100 * random_unit(&random) - 20;
        split(weights, n, ranks, sums, counts);
        for (size_t r = 0; r < ranks; r++) {
            assert_true(counts[r] == n / ranks || counts[r] == n / ranks + 1);
            more += counts[r] > n / ranks;
        }
        assert_int_equal(more, n % ranks);
    }
}

static void test_weights_of_any_kind(void **state) {
    (void)state;
    double sums[4];
    size_t counts[4];
    split((double[]){INFINITY, -INFINITY, NAN, 1e308, -1e308, INFINITY, 0, -0.0}, 8, 4, sums,
          counts);
    for (size_t r = 0; r < 4; r++) assert_int_equal(counts[r], 2);
    split((double[]){-100, -10, -100, -10}, 4, 2, sums, counts);
    assert_true(sums[0] == -110 && sums[1] == -110);
    split((double[]){-5, -6, -7}, 3, 2, sums, counts);
    assert_int_equal(counts[0] + counts[1], 3);
}

/* ---- BALANCED ----------------------------------------------------------------------------- */

static void test_balanced_shares(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdefghi");
    for (char c = 'a'; c <= 'h'; c++) tag(k, c, (c - 'a') % 4 < 2 ? "100" : "10");
    struct picks picks = pick(k, "BALANCED", balanced(2), 4);
    assert_int_equal(picks.n, 8);
    assert_int_equal(picks.slices[0], 0);
    assert_int_equal(picks.slices[1], 4);
    assert_int_equal(picks.slices[2], 8);
    double sums[2] = {0};
    for (size_t i = 0; i < 8; i++) {
        sums[i / 4] += picks.seqs[i] % 4 < 2 ? 100 : 10;
        if (i % 4) assert_true(picks.seqs[i] > picks.seqs[i - 1]); /* in seq order in each slice */
    }
    assert_true(sums[0] == 220 && sums[1] == 220);
    assert_distinct(&picks, 8); /* the oldest eight */
}

static void test_balanced_takes_equal_counts(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdefg");
    assert_int_equal(pick(k, "BALANCED", balanced(3), 5).n, 6);
    assert_int_equal(pick(k, "BALANCED", balanced(8), 1).n, 0);
    assert_null(pick(k, "BALANCED", balanced(8), 1).slices);
    struct picks picks = pick(k, "BALANCED", balanced(1), 3);
    assert_string_equal(letters(k, &picks), "abc");
}

static void test_balanced_at_the_end(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdefg");
    struct picks picks = pick_where(k, "BALANCED", balanced(3), 5, &everything);
    assert_int_equal(picks.n, 6); /* equal counts as long as there can be */
    for (size_t r = 0; r <= 3; r++) assert_int_equal(picks.slices[r], 2 * r);
    picks = pick_where(k, "BALANCED", balanced(8), 1, &everything);
    assert_int_equal(picks.n, 0); /* seven can't be split equally over eight */
}

static void test_balanced_without_numbers(void **state) {
    struct kit *k = *state;
    put_keys(k, "abcdef");
    tag(k, 'a', "3");
    tag(k, 'b', "x");
    struct picks picks = pick(k, "BALANCED", balanced(2), 3);
    bool first = false;
    for (size_t i = 0; i < 3; i++) first |= picks.seqs[i] == 0;
    assert_int_equal(picks.n, 6);
    assert_true(first); /* 3 + 1 + 1 on the first rank, 1 + 1 + 1 on the other: no better way */
}

static void test_balanced_groups_are_whole(void **state) {
    struct kit *k = *state;
    struct sampler_args args = balanced(2);
    args.groups = true;
    put_keys(k, "abcdefghz"); /* members interleave */
    put_group(k, "ae", "g");
    put_group(k, "bf", "h");
    put_group(k, "cg", "i");
    put_group(k, "dh", "j");
    for (char c = 'a'; c <= 'h'; c++) tag(k, c, strchr("aebf", c) ? "100" : "10");
    assert_string_equal(picked(k, "BALANCED", args, 4), "aedh|bfcg");
    args.ranks = 4;
    struct picks picks = pick(k, "BALANCED", args, 2);
    assert_int_equal(picks.n, 8);
    for (size_t i = 0; i < 8; i += 2) assert_int_equal(picks.seqs[i] + 4, picks.seqs[i + 1]);
    args.ranks = 3;
    assert_int_equal(pick(k, "BALANCED", args, 4).n, 6);
    args.ranks = 8;
    assert_string_equal(picked(k, "BALANCED", args, 2), "");
}

static void test_balanced_runs(void **state) {
    struct kit *k = *state;
    struct sampler_args args = balanced(2);
    args.groups = true;
    args.number = 3;
    put_keys(k, "abcdefghijklm");
    kit_clear_key(k, "p", "d"); /* abc, efg, hij, klm */
    tag(k, 'b', "10");
    tag(k, 'l', "10");
    assert_string_equal(picked(k, "BALANCED", args, 6), "abchij|efgklm");
}

static int checked(struct kit *k, const char *by, struct sampler_args args, uint64_t count) {
    return sampler_find(span_of_string(by))->check(&args, kit_partition(k, "p"), count, &k->error);
}

static void test_balanced_refuses(void **state) {
    struct kit *k = *state;
    put_group(k, "ab", "g");
    assert_int_equal(checked(k, "BALANCED", balanced(0), 1), ERROR_ERR);
    assert_int_equal(checked(k, "BALANCED", balanced(SAMPLER_RANKS_MAX), 1), 0);
    assert_int_equal(checked(k, "BALANCED", balanced(SAMPLER_RANKS_MAX + 1), 1), ERROR_ERR);
    assert_int_equal(checked(k, "BALANCED", balanced(UINT64_MAX), 1), ERROR_ERR);
    assert_int_equal(checked(k, "BALANCED", balanced(2), PARTITION_SAMPLES_MAX / 2), 0);
    assert_int_equal(checked(k, "BALANCED", balanced(2), PARTITION_SAMPLES_MAX / 2 + 1), ERROR_ERR);
    assert_int_equal(checked(k, "BALANCED", balanced(3), 1), 0);
    struct sampler_args groups = {.tag = SPAN_LITERAL("t"), .ranks = 3, .groups = true};
    assert_int_equal(checked(k, "BALANCED", groups, 3), ERROR_ERR); /* groups of two */
    assert_int_equal(checked(k, "BALANCED", groups, 4), 0);
    groups.number = 3;
    assert_int_equal(checked(k, "BALANCED", groups, 4), ERROR_ERR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_newest_first),
        KIT_TEST(test_newest_first_over_blocks_and_holes),
        KIT_TEST(test_lifo_asks_where),
        KIT_TEST(test_a_seed_decides),
        KIT_TEST(test_random_picks_are_distinct),
        KIT_TEST(test_nothing_to_pick_from),
        KIT_TEST(test_random_is_uniform),
        KIT_TEST(test_random_asks_where),
        KIT_TEST(test_max_and_min),
        KIT_TEST(test_ties_are_oldest_first),
        KIT_TEST(test_what_has_no_number_comes_last),
        KIT_TEST(test_numbers_that_doubles_round),
        cmocka_unit_test(test_the_best_of_many),
        KIT_TEST(test_probability_is_proportional),
        KIT_TEST(test_without_replacement),
        KIT_TEST(test_a_seed_decides_priority),
        KIT_TEST(test_weightless_ones_come_last),
        KIT_TEST(test_extreme_weights),
        cmocka_unit_test(test_split_evenly),
        cmocka_unit_test(test_counts_are_equal_and_sums_near),
        cmocka_unit_test(test_differencing_is_better_than_greed),
        cmocka_unit_test(test_counts_differ_by_one_where_they_must),
        cmocka_unit_test(test_weights_of_any_kind),
        KIT_TEST(test_balanced_shares),
        KIT_TEST(test_balanced_takes_equal_counts),
        KIT_TEST(test_balanced_at_the_end),
        KIT_TEST(test_balanced_without_numbers),
        KIT_TEST(test_balanced_groups_are_whole),
        KIT_TEST(test_balanced_runs),
        KIT_TEST(test_balanced_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
