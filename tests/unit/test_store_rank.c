/* Rank batches of many ranks: one call decides for all, and each keeps its own. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/pack.h"
#include "kit/store.h"
#include "kit/tape.h"
#include "store/rank.h"
#include "store/section.h"

enum { RANKS = 1000 };

static const struct span field = SPAN_LITERAL("f");

static void fill(struct kit *k, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(kit_field(k, "p", key, "f", SPAN_LITERAL("v")), 0);
    }
}

static struct sample_call call_of(uint64_t rank, uint64_t batch, const char *sampler) {
    return (struct sample_call){.partition = SPAN_LITERAL("p"),
                                .task = SPAN_LITERAL("t"),
                                .count = 1,
                                .at_least = 1,
                                .n_fields = 1,
                                .fields = &field,
                                .sampler = sampler_find(span_of_string(sampler)),
                                .ranked = true,
                                .rank = rank,
                                .batch = batch,
                                .fingerprint = SPAN_LITERAL("how")};
}

static int balanced(struct kit *k, uint64_t rank, uint64_t batch, uint64_t ranks,
                    struct sampled *sampled) {
    struct sample_call call = call_of(rank, batch, "BALANCED");
    call.args = (struct sampler_args){.tag = SPAN_LITERAL("tag"), .ranks = ranks};
    return kit_sample(k, &call, sampled);
}

/* RANK without a split. */
static int single(struct kit *k, uint64_t rank, uint64_t batch, struct sampled *sampled) {
    struct sample_call call = call_of(rank, batch, "SEQUENTIAL");
    return kit_sample(k, &call, sampled);
}

static struct task *task_of(struct kit *k) {
    return partition_task(kit_partition(k, "p"), SPAN_LITERAL("t"));
}

static struct ranks *ranks_of(struct kit *k) {
    return &task_of(k)->ranks;
}

/* The rank is done with all batches up to this one. */
static void finish(struct kit *k, uint64_t rank, uint64_t batch) {
    struct sample_call call = call_of(rank, batch + 1, "SEQUENTIAL");
    struct op op;
    uint64_t *seqs;
    size_t n;
    call.finishes = true;
    call.done = batch;
    scratch_reset(&k->scratch);
    assert_true(sample_plan_done(k->store, &call, k->now_ms, &k->scratch, &op, &seqs, &n));
    store_apply(k->store, &op);
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
    struct sampled sampled;
    bool seen[RANKS] = {false};
    fill(k, RANKS);
    assert_int_equal(balanced(k, RANKS - 1, 7, RANKS, &sampled), 0);
    assert_int_equal(ranks_of(k)->n, RANKS);
    assert_int_equal(ranks_of(k)->index.count, (RANKS + 63) / 64);
    for (uint64_t rank = 0; rank < RANKS; rank++) {
        assert_int_equal(balanced(k, rank, 7, RANKS, &sampled), 0);
        assert_true(sampled.remembered);
        assert_int_equal(sampled.n, 1);
        assert_true(sampled.changes == (rank != RANKS - 1));
        assert_false(seen[sampled.seqs[0]]);
        seen[sampled.seqs[0]] = true;
    }
    assert_null(ranks_find(ranks_of(k), RANKS, 7));
    assert_null(ranks_find(ranks_of(k), 0, 8));
}

/* A slice that is forgotten leaves the others, and the split stays decided until the last one. */
static void test_slices_are_forgotten_one_by_one(void **state) {
    struct kit *k = *state;
    struct sampled sampled;
    uint64_t first[130];
    fill(k, 130);
    for (uint64_t rank = 0; rank < 130; rank++) {
        assert_int_equal(balanced(k, rank, 0, 130, &sampled), 0);
        first[rank] = sampled.seqs[0];
    }
    for (uint64_t i = 0; i < 130; i++) {
        uint64_t rank = i * 37 % 130;
        assert_non_null(ranks_find(ranks_of(k), rank, 0));
        reset_seq(k, first[rank]);
        assert_null(ranks_find(ranks_of(k), rank, 0));
        assert_int_equal(ranks_of(k)->n, 129 - i);
        bool any = ranks_have_any(ranks_of(k), 130, 0);
        assert_true(any == (i < 129));
        if (any) assert_int_equal(balanced(k, rank, 0, 130, &sampled), ERROR_NOKEY);
    }
    assert_int_equal(ranks_of(k)->n_blocks, 0);
    assert_int_equal(balanced(k, 0, 0, 130, &sampled), 0);
    assert_int_equal(sampled.op.select.n, 130);
}

/* Neighbours that decide for themselves, in any order, and a split that is not theirs. */
static void test_single_ranks_share_a_block(void **state) {
    struct kit *k = *state;
    struct sampled sampled;
    uint64_t first[64];
    fill(k, 200);
    for (uint64_t i = 0; i < 64; i++) {
        uint64_t rank = i * 29 % 64;
        assert_int_equal(single(k, rank, 5, &sampled), 0);
        assert_false(sampled.remembered);
        first[rank] = sampled.seqs[0];
    }
    assert_int_equal(ranks_of(k)->n_blocks, 1);
    for (uint64_t rank = 0; rank < 64; rank++) {
        assert_int_equal(single(k, rank, 5, &sampled), 0);
        assert_int_equal(sampled.seqs[0], first[rank]);
    }
    assert_int_equal(single(k, 64, 6, &sampled), 0);
    assert_true(ranks_have_any(ranks_of(k), 65, 6));
    assert_false(ranks_have_any(ranks_of(k), 64, 6));
    assert_int_equal(balanced(k, 0, 6, 65, &sampled), ERROR_NOKEY);
    assert_int_equal(balanced(k, 0, 6, 64, &sampled), 0);
    assert_int_equal(ranks_of(k)->n, 64 + 1 + 64);
}

/* A block stays until each of its ranks is done with its batch and no sample of it is left, in
 * whatever order that comes. */
static void test_a_block_stays_for_its_last_batch(void **state) {
    enum { N = 4 };
    struct kit *k = *state;
    struct sampled sampled;
    char key[16];
    fill(k, 40);
    for (uint64_t i = 0; i < N; i++) {
        assert_int_equal(single(k, 100 + (i * 3 + 2) % N, 0, &sampled), 0);
        assert_int_equal(sampled.seqs[0], i);
    }
    for (uint64_t i = 0; i < N; i++) {
        assert_non_null(ranks_find(ranks_of(k), 100, 0));
        finish(k, 100 + i, 0);
        assert_int_equal(single(k, 2 * i, 1, &sampled), 0);
        assert_non_null(ranks_find(ranks_of(k), 100, 0));
        snprintf(key, sizeof(key), "k%u", (unsigned)i);
        assert_int_equal(kit_clear_key(k, "p", key), 1);
        assert_int_equal(single(k, 2 * i + 1, 1, &sampled), 0);
    }
    assert_null(ranks_find(ranks_of(k), 100, 0));
}

/* A log of an earlier version may decide a batch again: the last decision holds, and memory follows. */
static void test_a_later_decision_takes_the_place(void **state) {
    struct ranks ranks = {0};
    (void)state;
    for (uint64_t round = 0; round < 3; round++)
        for (uint64_t rank = 0; rank < 70; rank++)
            ranks_load(&ranks, 1, SPAN_LITERAL("how"),
                       &(struct rank_load){rank, (uint64_t[]){round, rank}, 2, true}, 1);
    assert_int_equal(ranks.n, 70);
    assert_int_equal(ranks.n_blocks, 2);
    assert_int_equal(ranks_find(&ranks, 69, 1)->seqs[0], 2);
    assert_int_equal(ranks_find(&ranks, 69, 1)->seqs[1], 69);
    ranks_free(&ranks);
    assert_int_equal(ranks.n, 0);
    assert_int_equal(ranks.bytes, ranks.capacity * sizeof(*ranks.blocks));
}

/* ---- in a snapshot -------------------------------------------------------------------------- */

static struct tape_section *section_of_ranks(struct tape *tape) {
    size_t i = 0;
    while (tape->sections[i].kind != SECTION_RANKS) i++;
    return &tape->sections[i];
}

/* A fingerprint contains the whole WHERE: a snapshot has it once for each block, and so has the
 * store that loads the snapshot. */
static void test_a_snapshot_has_a_fingerprint_once_a_block(void **state) {
    struct kit *k = *state, copy;
    static char where[4000];
    struct sample_call call = call_of(0, 7, "BALANCED");
    struct sampled sampled;
    fill(k, RANKS);
    memset(where, 'z', sizeof(where));
    call.args = (struct sampler_args){.tag = SPAN_LITERAL("tag"), .ranks = RANKS};
    call.fingerprint = span_of(where, sizeof(where));
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    struct tape tape = tape_record(k->store, k->now_ms);
    size_t blocks = (RANKS + 63) / 64;
    assert_true(section_of_ranks(&tape)->head.len < blocks * sizeof(where) + RANKS * 16);
    kit_open(&copy);
    assert_int_equal(tape_play(&tape, copy.store, &copy.error), 0);
    assert_int_equal(ranks_of(&copy)->n, RANKS);
    assert_true(ranks_of(&copy)->bytes <= ranks_of(k)->bytes);
    for (uint64_t rank = 0; rank < RANKS; rank++) {
        const struct rank_batch *batch = ranks_find(ranks_of(&copy), rank, 7);
        assert_true(span_equal(rank_batch_fingerprint(batch), call.fingerprint));
        assert_int_equal(batch->n, 1);
        assert_int_equal(batch->seqs[0], ranks_find(ranks_of(k), rank, 7)->seqs[0]);
        assert_true(batch->delivered == (rank == 0));
    }
    tape_free(&tape);
    kit_close(&copy);
}

/* What a rank is done with holds no samples, and so it is in a store that loads the snapshot, where
 * the batches themselves are remembered. */
static void test_a_load_holds_no_samples_of_batches_that_are_done(void **state) {
    enum { N = 4, RANK = 3, DONE = 1 };
    struct kit *k = *state, copy;
    struct sampled sampled;
    uint64_t first[N];
    fill(k, N);
    for (uint64_t batch = 0; batch < N; batch++) {
        assert_int_equal(single(k, RANK, batch, &sampled), 0);
        first[batch] = sampled.seqs[0];
    }
    finish(k, RANK, DONE);
    struct tape tape = tape_record(k->store, k->now_ms);
    kit_open(&copy);
    assert_int_equal(tape_play(&tape, copy.store, &copy.error), 0);
    for (uint64_t batch = 0; batch < N; batch++) {
        assert_non_null(ranks_find(ranks_of(&copy), RANK, batch));
        assert_true(task_is_held(task_of(k), first[batch]) == (batch > DONE));
        assert_true(task_is_held(task_of(&copy), first[batch]) == (batch > DONE));
    }
    assert_int_equal(task_of(&copy)->held, task_of(k)->held);
    tape_free(&tape);
    kit_close(&copy);
}

struct written {
    uint64_t rank, batch;
    unsigned flags;
    const char *fingerprint; /* NULL: none is written */
};

/* Loads the tape with two other batches in place of its RANKS. */
static int play_batches(const struct tape *tape, struct kit *into, const struct written *batches) {
    struct tape changed = {tape->sections, tape->n, tape->capacity};
    struct tape_section *section = section_of_ranks(&changed), before = *section;
    struct pack head = {0};
    pack_varint(&head, 0);
    for (size_t i = 0; i < 2; i++) {
        pack_varint(&head, batches[i].rank);
        pack_varint(&head, batches[i].batch);
        pack_u8(&head, (uint8_t)batches[i].flags);
        if (batches[i].fingerprint) pack_span(&head, span_of_string(batches[i].fingerprint));
        pack_varint(&head, 0);
    }
    section->head = pack_span_of(&head);
    int failed = tape_play(&changed, into->store, &into->error);
    *section = before;
    pack_free(&head);
    return failed;
}

static void test_a_shared_fingerprint_has_to_be_of_the_block(void **state) {
    struct kit *k = *state;
    struct sampled sampled;
    static const struct written good[][2] = {
        {{0, 7, 1, "how"}, {1, 7, 2, NULL}},  {{0, 7, 1, "how"}, {63, 7, 3, NULL}},
        {{0, 7, 1, "how"}, {1, 7, 0, "how"}}, {{0, 7, 1, "how"}, {1, 7, 0, "other"}},
        {{1, 7, 0, "how"}, {0, 7, 0, "how"}}, {{0, 7, 0, "how"}, {64, 7, 0, "how"}},
    };
    static const struct written bad[][2] = {
        {{0, 7, 2, NULL}, {1, 7, 2, NULL}},   {{0, 7, 0, "how"}, {64, 7, 2, NULL}},
        {{1, 7, 0, "how"}, {0, 7, 2, NULL}},  {{0, 7, 0, "how"}, {1, 8, 2, NULL}},
        {{0, 7, 0, "how"}, {0, 7, 2, NULL}},  {{0, 7, 0, "how"}, {0, 7, 0, "other"}},
        {{0, 7, 0, "how"}, {1, 7, 4, "how"}}, {{0, 7, 0, "how"}, {1, 7, 6, NULL}},
    };
    fill(k, 2);
    assert_int_equal(balanced(k, 0, 7, 2, &sampled), 0);
    struct tape tape = tape_record(k->store, k->now_ms);
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct kit copy;
        kit_open(&copy);
        assert_int_equal(play_batches(&tape, &copy, good[i]), 0);
        for (size_t j = 0; j < 2; j++) {
            const struct rank_batch *batch =
                ranks_find(ranks_of(&copy), good[i][j].rank, good[i][j].batch);
            const char *fingerprint =
                good[i][j].fingerprint ? good[i][j].fingerprint : good[i][0].fingerprint;
            assert_true(span_equal(rank_batch_fingerprint(batch), span_of_string(fingerprint)));
            assert_true(batch->delivered == (good[i][j].flags & 1));
        }
        kit_close(&copy);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct kit copy;
        kit_open(&copy);
        assert_int_not_equal(play_batches(&tape, &copy, bad[i]), 0);
        assert_non_null(strstr(copy.error.text, "comes twice or makes no sense"));
        kit_close(&copy);
    }
    tape_free(&tape);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_ranks_of_a_split_share_entries),
        KIT_TEST(test_slices_are_forgotten_one_by_one),
        KIT_TEST(test_single_ranks_share_a_block),
        KIT_TEST(test_a_block_stays_for_its_last_batch),
        cmocka_unit_test(test_a_later_decision_takes_the_place),
        KIT_TEST(test_a_snapshot_has_a_fingerprint_once_a_block),
        KIT_TEST(test_a_load_holds_no_samples_of_batches_that_are_done),
        KIT_TEST(test_a_shared_fingerprint_has_to_be_of_the_block),
    };
    return cmocka_run_group_tests_name("store/rank", tests, NULL, NULL);
}
