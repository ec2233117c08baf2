/* See rank.h. */
#include "store/rank.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/scratch.h"
#include "store/op.h"
#include "store/partition.h"

/* What one call decided for the ranks of a block: `fingerprint` and the seqs of all of them are
 * behind it. After a load it may be of several calls with the same `fingerprint` (see
 * load_ranks.c). It is freed with the last batch that points to it: until then it keeps the seqs of
 * batches that are forgotten. */
struct rank_decision {
    struct span fingerprint;
    size_t n_batches, bytes;
};

static void ranks_free_decision(struct ranks *ranks, struct rank_decision *decision) {
    if (--decision->n_batches) return;
    ranks->bytes -= decision->bytes;
    mem_free(decision);
}

struct span rank_batch_fingerprint(const struct rank_batch *batch) {
    return batch->decision->fingerprint;
}

bool rank_batch_lives(const struct rank_batch *batch, const struct partition *p) {
    return partition_any_alive(p, batch->seqs, batch->n);
}

/* ---- blocks --------------------------------------------------------------------------------- */

static struct span rank_block_id(const uint64_t id[2]) {
    return span_of((const char *)id, 2 * sizeof(*id));
}

static bool rank_block_is(const void *context, uint32_t at, struct span id) {
    return span_equal(rank_block_id(((const struct ranks *)context)->blocks[at]->id), id);
}

static struct rank_block *ranks_find_block(const struct ranks *ranks, uint64_t rank,
                                           uint64_t batch) {
    uint64_t id[2] = {rank / RANK_BLOCK, batch};
    uint32_t at = keyindex_find(&ranks->index, hash_bytes(rank_block_id(id)), rank_block_id(id),
                                rank_block_is, ranks);
    return at == KEYINDEX_NONE ? NULL : ranks->blocks[at];
}

static struct rank_block *ranks_make_block(struct ranks *ranks, uint64_t rank, uint64_t batch) {
    struct rank_block *block = ranks_find_block(ranks, rank, batch);
    if (block) return block;
    size_t before = ranks->capacity;
    ranks->blocks =
        mem_grow(ranks->blocks, &ranks->capacity, ranks->n_blocks + 1, sizeof(*ranks->blocks));
    ranks->bytes += (ranks->capacity - before) * sizeof(*ranks->blocks) + sizeof(*block);
    block = ranks->blocks[ranks->n_blocks] = mem_calloc(1, sizeof(*block));
    block->id[0] = rank / RANK_BLOCK;
    block->id[1] = batch;
    keyindex_add(&ranks->index, hash_bytes(rank_block_id(block->id)), (uint32_t)ranks->n_blocks++);
    return block;
}

static void ranks_free_block(struct ranks *ranks, struct rank_block *block) {
    for (size_t i = 0; i < block->n; i++) ranks_free_decision(ranks, block->batches[i].decision);
    ranks->n -= block->n;
    ranks->bytes -= sizeof(*block) + block->capacity * sizeof(*block->batches);
    mem_free(block->batches);
    mem_free(block);
}

/* The last block takes its place. */
static void ranks_remove_block(struct ranks *ranks, size_t at) {
    struct rank_block *block = ranks->blocks[at], *last = ranks->blocks[--ranks->n_blocks];
    keyindex_remove(&ranks->index, hash_bytes(rank_block_id(block->id)), (uint32_t)at);
    if (last != block) {
        uint64_t hash = hash_bytes(rank_block_id(last->id));
        keyindex_remove(&ranks->index, hash, (uint32_t)ranks->n_blocks);
        ranks->blocks[at] = last;
        keyindex_add(&ranks->index, hash, (uint32_t)at);
    }
    ranks_free_block(ranks, block);
}

static uint64_t rank_block_rank(const struct rank_block *block, size_t i) {
    return block->id[0] * RANK_BLOCK + block->batches[i].place;
}

/* Where the rank's batch is, or goes. */
static size_t rank_block_place(const struct rank_block *block, uint64_t rank) {
    size_t at = block->n;
    while (at > 0 && block->batches[at - 1].place >= rank % RANK_BLOCK) at--;
    return at;
}

static struct rank_batch *rank_block_find(const struct rank_block *block, uint64_t rank) {
    size_t at = rank_block_place(block, rank);
    return at < block->n && block->batches[at].place == rank % RANK_BLOCK ? &block->batches[at]
                                                                          : NULL;
}

struct rank_batch *ranks_find(const struct ranks *ranks, uint64_t rank, uint64_t batch) {
    const struct rank_block *block = ranks_find_block(ranks, rank, batch);
    return block ? rank_block_find(block, rank) : NULL;
}

bool ranks_have_any(const struct ranks *ranks, uint64_t n_ranks, uint64_t batch) {
    for (uint64_t rank = 0; ranks->n_blocks && rank < n_ranks; rank += RANK_BLOCK) {
        const struct rank_block *block = ranks_find_block(ranks, rank, batch);
        if (block && rank_block_rank(block, 0) < n_ranks) return true;
    }
    return false;
}

bool ranks_next(const struct ranks *ranks, struct rank_at *at) {
    if (at->block < ranks->n_blocks && at->i == ranks->blocks[at->block]->n) {
        at->block++;
        at->i = 0;
    }
    if (at->block == ranks->n_blocks) return false;
    const struct rank_block *block = ranks->blocks[at->block];
    at->rank = rank_block_rank(block, at->i);
    at->batch_number = block->id[1];
    at->batch = &block->batches[at->i++];
    return true;
}

/* In place of what the rank's batch was, if anything. */
static void ranks_set(struct ranks *ranks, struct rank_block *block, uint64_t rank,
                      struct rank_batch batch) {
    size_t at = rank_block_place(block, rank), before = block->capacity;
    batch.place = rank % RANK_BLOCK;
    batch.decision->n_batches++;
    if (at < block->n && block->batches[at].place == batch.place) {
        ranks_free_decision(ranks, block->batches[at].decision);
        block->batches[at] = batch;
        return;
    }
    block->batches =
        mem_grow(block->batches, &block->capacity, block->n + 1, sizeof(*block->batches));
    ranks->bytes += (block->capacity - before) * sizeof(*block->batches);
    memmove(block->batches + at + 1, block->batches + at,
            (block->n++ - at) * sizeof(*block->batches));
    block->batches[at] = batch;
    ranks->n++;
}

/* ---- batches that are done ------------------------------------------------------------------ */

static struct span rank_done_id(const uint64_t *rank) {
    return span_of((const char *)rank, sizeof(*rank));
}

static bool rank_done_is(const void *context, uint32_t at, struct span id) {
    return span_equal(rank_done_id(&((const struct ranks *)context)->done[at].rank), id);
}

static struct rank_done *ranks_find_done(const struct ranks *ranks, uint64_t rank) {
    struct span id = rank_done_id(&rank);
    uint32_t at = keyindex_find(&ranks->done_index, hash_bytes(id), id, rank_done_is, ranks);
    return at == KEYINDEX_NONE ? NULL : &ranks->done[at];
}

bool ranks_is_done(const struct ranks *ranks, uint64_t rank, uint64_t batch) {
    const struct rank_done *done = ranks_find_done(ranks, rank);
    return done && batch <= done->batch;
}

void ranks_finish(struct ranks *ranks, uint64_t rank, uint64_t batch) {
    struct rank_done *done = ranks_find_done(ranks, rank);
    if (!done) {
        size_t before = ranks->done_capacity;
        ranks->done =
            mem_grow(ranks->done, &ranks->done_capacity, ranks->n_done + 1, sizeof(*ranks->done));
        ranks->bytes += (ranks->done_capacity - before) * sizeof(*ranks->done);
        done = &ranks->done[ranks->n_done];
        *done = (struct rank_done){rank, batch};
        keyindex_add(&ranks->done_index, hash_bytes(rank_done_id(&rank)),
                     (uint32_t)ranks->n_done++);
    } else if (batch > done->batch) {
        done->batch = batch;
    }
}

/* Samples of the rank's batches in [first, last]; `seqs` is NULL where they are only counted. */
static size_t ranks_collect(const struct ranks *ranks, uint64_t rank, uint64_t first, uint64_t last,
                            uint64_t *seqs) {
    size_t n = 0;
    bool by_number = last - first < ranks->n_blocks;
    uint64_t steps = by_number ? last - first + 1 : ranks->n_blocks;
    for (uint64_t i = 0; i < steps; i++) {
        const struct rank_block *block =
            by_number ? ranks_find_block(ranks, rank, first + i) : ranks->blocks[i];
        if (!block || block->id[0] != rank / RANK_BLOCK || block->id[1] < first ||
            block->id[1] > last)
            continue;
        const struct rank_batch *batch = rank_block_find(block, rank);
        if (!batch) continue;
        if (seqs && batch->n) memcpy(seqs + n, batch->seqs, batch->n * sizeof(*seqs));
        n += batch->n;
    }
    return n;
}

size_t ranks_list_unfinished(const struct ranks *ranks, uint64_t rank, uint64_t batch,
                             struct scratch *scratch, uint64_t **seqs) {
    const struct rank_done *done = ranks_find_done(ranks, rank);
    *seqs = NULL;
    if (done && batch <= done->batch) return 0;
    uint64_t first = done ? done->batch + 1 : 0;
    size_t n = ranks_collect(ranks, rank, first, batch, NULL);
    if (n == 0) return 0;
    *seqs = scratch_alloc(scratch, n, sizeof(**seqs));
    return ranks_collect(ranks, rank, first, batch, *seqs);
}

/* ---- changing -------------------------------------------------------------------------------- */

static bool rank_batch_is_due(const struct ranks *ranks, const struct rank_block *block, size_t i,
                              const struct partition *p) {
    return ranks_is_done(ranks, rank_block_rank(block, i), block->id[1]) &&
           !rank_batch_lives(&block->batches[i], p);
}

/* Begins with the batch for which the last sweep left the block: most often that is not due yet,
 * and the dead samples of the others are not read again. */
static bool ranks_is_due(const struct ranks *ranks, struct rank_block *block,
                         const struct partition *p) {
    for (size_t i = 0; i < block->n; i++) {
        size_t at = (block->kept_by + i) % block->n;
        if (rank_batch_is_due(ranks, block, at, p)) continue;
        block->kept_by = at;
        return false;
    }
    return true;
}

/* Sweeps four blocks for each that is added to: what is remembered stays in proportion to the
 * blocks that have a batch which lives or is not done. */
static void ranks_sweep(struct ranks *ranks, const struct partition *p) {
    for (int i = 0; i < 4 && ranks->n_blocks; i++) {
        if (ranks->swept >= ranks->n_blocks) ranks->swept = 0;
        if (!ranks_is_due(ranks, ranks->blocks[ranks->swept], p))
            ranks->swept++;
        else
            ranks_remove_block(ranks, ranks->swept);
    }
}

/* Without batches: the first ranks_set gives it one. The caller fills the `n` seqs. */
static struct rank_decision *ranks_decide(struct ranks *ranks, struct span fingerprint, size_t n,
                                          uint64_t **seqs) {
    size_t bytes = sizeof(struct rank_decision) + n * sizeof(**seqs) + fingerprint.len;
    struct rank_decision *decision = mem_alloc(bytes);
    *seqs = (uint64_t *)(decision + 1);
    char *end = (char *)(*seqs + n);
    if (fingerprint.len) memcpy(end, fingerprint.ptr, fingerprint.len);
    *decision =
        (struct rank_decision){.fingerprint = span_of(end, fingerprint.len), .bytes = bytes};
    ranks->bytes += bytes;
    return decision;
}

void ranks_load(struct ranks *ranks, uint64_t batch, struct span fingerprint,
                const struct rank_load *loads, size_t n) {
    size_t n_seqs = 0;
    uint64_t *seqs;
    for (size_t i = 0; i < n; i++) n_seqs += loads[i].n;
    struct rank_decision *decision = ranks_decide(ranks, fingerprint, n_seqs, &seqs);
    struct rank_block *block = ranks_make_block(ranks, loads[0].rank, batch);
    for (size_t i = 0; i < n; seqs += loads[i++].n) {
        if (loads[i].n) memcpy(seqs, loads[i].seqs, loads[i].n * sizeof(*seqs));
        ranks_set(ranks, block, loads[i].rank,
                  (struct rank_batch){.decision = decision,
                                      .seqs = seqs,
                                      .n = loads[i].n,
                                      .delivered = loads[i].delivered});
    }
}

/* The slices of ranks `first` to `end`, which are of one block. */
static void ranks_add_slices(struct ranks *ranks, const struct op_select *select, uint64_t first,
                             uint64_t end) {
    const size_t *slices = select->rank.slices;
    struct rank_load loads[RANK_BLOCK];
    for (uint64_t rank = first; rank < end; rank++)
        loads[rank - first] = (struct rank_load){.rank = rank,
                                                 .seqs = select->seqs + slices[rank],
                                                 .n = slices[rank + 1] - slices[rank],
                                                 .delivered = rank == select->rank.rank};
    ranks_load(ranks, select->rank.batch, select->rank.fingerprint, loads, end - first);
}

void ranks_remember(struct ranks *ranks, const struct partition *p,
                    const struct op_select *select) {
    const struct op_rank *rank = &select->rank;
    if (!rank->slices) {
        ranks_sweep(ranks, p);
        const struct rank_load load = {rank->rank, select->seqs, select->n, true};
        ranks_load(ranks, rank->batch, rank->fingerprint, &load, 1);
        return;
    }
    for (uint64_t first = 0; first < rank->n_slices; first += RANK_BLOCK) {
        uint64_t left = rank->n_slices - first;
        ranks_sweep(ranks, p);
        ranks_add_slices(ranks, select, first, first + (left < RANK_BLOCK ? left : RANK_BLOCK));
    }
}

void ranks_deliver(struct ranks *ranks, uint64_t rank, uint64_t batch) {
    struct rank_batch *found = ranks_find(ranks, rank, batch);
    found->delivered = true;
}

/* Batches of the block that lose their last living sample go, the others move up. */
static void ranks_forget_in(struct ranks *ranks, struct rank_block *block,
                            const struct partition *p, const uint64_t *sorted, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < block->n; i++) {
        struct rank_batch batch = block->batches[i];
        size_t before = batch.n;
        batch.n = seqs_without(batch.seqs, before, sorted, n);
        if (batch.n == before || rank_batch_lives(&batch, p))
            block->batches[kept++] = batch;
        else
            ranks_free_decision(ranks, batch.decision);
    }
    ranks->n -= block->n - kept;
    block->n = kept;
}

void ranks_forget(struct ranks *ranks, const struct partition *p, const uint64_t *sorted,
                  size_t n) {
    for (size_t b = ranks->n_blocks; n && b-- > 0;) {
        ranks_forget_in(ranks, ranks->blocks[b], p, sorted, n);
        if (ranks->blocks[b]->n == 0) ranks_remove_block(ranks, b);
    }
}

void ranks_free(struct ranks *ranks) {
    while (ranks->n_blocks) ranks_free_block(ranks, ranks->blocks[--ranks->n_blocks]);
    mem_free(ranks->blocks);
    keyindex_free(&ranks->index);
    mem_free(ranks->done);
    keyindex_free(&ranks->done_index);
}
