/* Rank batches of many ranks: one call decides for all, and each keeps its own. */
#include "kit/test.h"

#include <stdio.h>

#include "kit/store.h"
#include "store/rank.h"

enum { RANKS = 1000 };

static const struct span field = SPAN_LITERAL("f");

static void fill(struct kit *k, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(kit_field(k, "p", key, "f", SPAN_LITERAL("v")), 0);
    }
}

static struct take take_of(uint64_t rank, uint64_t batch, const char *sampler) {
    return (struct take){.partition = SPAN_LITERAL("p"),
                         .task = SPAN_LITERAL("t"),
                         .count = 1,
                         .at_least = 1,
                         .n_fields = 1,
                         .fields = &field,
                         .sampler = sampler_find(span_of_string(sampler)),
                         .ranked = true,
                         .rank = rank,
                         .batch = batch,
                         .how = SPAN_LITERAL("how")};
}

static int balanced(struct kit *k, uint64_t rank, uint64_t batch, uint64_t ranks,
                    struct taken *taken) {
    struct take take = take_of(rank, batch, "BALANCED");
    take.args = (struct sampler_args){.tag = SPAN_LITERAL("tag"), .ranks = ranks};
    return kit_take(k, &take, taken);
}

/* RANK without a split. */
static int single(struct kit *k, uint64_t rank, uint64_t batch, struct taken *taken) {
    struct take take = take_of(rank, batch, "SEQUENTIAL");
    return kit_take(k, &take, taken);
}

static struct ranks *ranks_of(struct kit *k) {
    return &partition_task(kit_partition(k, "p"), SPAN_LITERAL("t"))->ranks;
}

static void reset_seq(struct kit *k, uint64_t seq) {
    struct span key = partition_key(kit_partition(k, "p"), seq);
    struct reset reset = {.select = {.partition = SPAN_LITERAL("p"), .keys = &key, .n_keys = 1},
                          .task = SPAN_LITERAL("t")};
    assert_int_equal(kit_reset(k, &reset), 0);
}

/* One entry of the index for 64 ranks, not one for each: what a split of many ranks costs. */
static void test_ranks_of_a_split_share_entries(void **state) {
    struct kit *k = *state;
    struct taken taken;
    bool seen[RANKS] = {false};
    fill(k, RANKS);
    assert_int_equal(balanced(k, RANKS - 1, 7, RANKS, &taken), 0);
    assert_int_equal(ranks_of(k)->n, RANKS);
    assert_int_equal(ranks_of(k)->index.count, (RANKS + 63) / 64);
    for (uint64_t rank = 0; rank < RANKS; rank++) {
        assert_int_equal(balanced(k, rank, 7, RANKS, &taken), 0);
        assert_true(taken.remembered);
        assert_int_equal(taken.n, 1);
        assert_true(taken.changes == (rank != RANKS - 1));
        assert_false(seen[taken.seqs[0]]);
        seen[taken.seqs[0]] = true;
    }
    assert_null(ranks_find(ranks_of(k), RANKS, 7));
    assert_null(ranks_find(ranks_of(k), 0, 8));
}

/* A slice that is forgotten leaves the others, and the split stays decided until the last one. */
static void test_slices_are_forgotten_one_by_one(void **state) {
    struct kit *k = *state;
    struct taken taken;
    uint64_t had[130];
    fill(k, 130);
    for (uint64_t rank = 0; rank < 130; rank++) {
        assert_int_equal(balanced(k, rank, 0, 130, &taken), 0);
        had[rank] = taken.seqs[0];
    }
    for (uint64_t i = 0; i < 130; i++) {
        uint64_t rank = i * 37 % 130;
        assert_non_null(ranks_find(ranks_of(k), rank, 0));
        reset_seq(k, had[rank]);
        assert_null(ranks_find(ranks_of(k), rank, 0));
        assert_int_equal(ranks_of(k)->n, 129 - i);
        bool any = ranks_have_any(ranks_of(k), 130, 0);
        assert_true(any == (i < 129));
        if (any) assert_int_equal(balanced(k, rank, 0, 130, &taken), ERROR_NOKEY);
    }
    assert_int_equal(ranks_of(k)->n_blocks, 0);
    assert_int_equal(balanced(k, 0, 0, 130, &taken), 0);
    assert_int_equal(taken.op.select.n, 130);
}

/* Neighbours that decide for themselves, in any order, and a split that is not theirs. */
static void test_single_ranks_share_a_block(void **state) {
    struct kit *k = *state;
    struct taken taken;
    uint64_t had[64];
    fill(k, 200);
    for (uint64_t i = 0; i < 64; i++) {
        uint64_t rank = i * 29 % 64;
        assert_int_equal(single(k, rank, 5, &taken), 0);
        assert_false(taken.remembered);
        had[rank] = taken.seqs[0];
    }
    assert_int_equal(ranks_of(k)->n_blocks, 1);
    for (uint64_t rank = 0; rank < 64; rank++) {
        assert_int_equal(single(k, rank, 5, &taken), 0);
        assert_int_equal(taken.seqs[0], had[rank]);
    }
    assert_int_equal(single(k, 64, 6, &taken), 0);
    assert_true(ranks_have_any(ranks_of(k), 65, 6));
    assert_false(ranks_have_any(ranks_of(k), 64, 6));
    assert_int_equal(balanced(k, 0, 6, 65, &taken), ERROR_NOKEY);
    assert_int_equal(balanced(k, 0, 6, 64, &taken), 0);
    assert_int_equal(ranks_of(k)->n, 64 + 1 + 64);
}

/* A log of an earlier version may decide a batch again: the last decision holds, and memory follows. */
static void test_a_later_decision_takes_the_place(void **state) {
    struct ranks ranks = {0};
    (void)state;
    for (uint64_t round = 0; round < 3; round++)
        for (uint64_t rank = 0; rank < 70; rank++)
            ranks_load(&ranks, &(struct rank_load){.rank = rank,
                                                   .batch = 1,
                                                   .how = SPAN_LITERAL("how"),
                                                   .seqs = (uint64_t[]){round, rank},
                                                   .n = 2,
                                                   .handed = true});
    assert_int_equal(ranks.n, 70);
    assert_int_equal(ranks.n_blocks, 2);
    assert_int_equal(ranks_find(&ranks, 69, 1)->seqs[0], 2);
    assert_int_equal(ranks_find(&ranks, 69, 1)->seqs[1], 69);
    ranks_free(&ranks);
    assert_int_equal(ranks.n, 0);
    assert_int_equal(ranks.bytes, ranks.capacity * sizeof(*ranks.blocks));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_ranks_of_a_split_share_entries),
        KIT_TEST(test_slices_are_forgotten_one_by_one),
        KIT_TEST(test_single_ranks_share_a_block),
        cmocka_unit_test(test_a_later_decision_takes_the_place),
    };
    return cmocka_run_group_tests_name("store/rank", tests, NULL, NULL);
}
