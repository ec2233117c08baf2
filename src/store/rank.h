/* Rank batches: what a data-parallel rank got under a batch's number, so that it gets the same
 * again.
 *
 * Ranks of one job ask for their batches separately, crash and ask again. The first call that
 * succeeds for (task, rank, batch) decides; BALANCED decides for all ranks at once. A batch is
 * never decided anew: it is forgotten once its rank is done with it and none of its samples is
 * left, and the number of the last batch that each rank is done with stays.
 *
 * Batches of one number and of up to 64 neighbouring ranks are in one block, which is what is
 * looked up, and forgotten: a batch stays as long as another of its block has to. */
#ifndef TQ_STORE_RANK_H
#define TQ_STORE_RANK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "store/keyindex.h"

struct op_select;
struct scratch;
struct partition;

/* Ranks of a block are neighbours, so BALANCED over 65,536 ranks makes 1,024 blocks. Part of the
 * snapshot's format: flag 2 of RANKS in docs/format.md. */
enum { RANK_BLOCK = 64 };

struct rank_decision;

struct rank_batch {
    struct rank_decision *decision; /* shared with others of its block */
    uint64_t *seqs;                 /* as delivered; some may have been cleared since */
    size_t n;
    uint8_t place; /* of its rank in its block */
    bool delivered; /* its rank has fetched it */
};

/* At least one batch, ranks ascending. */
struct rank_block {
    uint64_t id[2]; /* rank / RANK_BLOCK, batch */
    struct rank_batch *batches;
    size_t n, capacity;
    size_t kept_by; /* the batch for which the last sweep left the block: a hint, any number */
};

/* A rank is done with all batches up to this one. */
struct rank_done {
    uint64_t rank, batch;
};

/* Of one task. A zeroed struct ranks is empty. */
struct ranks {
    struct rank_block **blocks;
    size_t n_blocks, capacity;
    size_t n;     /* batches */
    size_t swept; /* where the search for blocks to forget goes on */
    struct keyindex index;
    struct rank_done *done; /* one for each rank that is done with any batch */
    size_t n_done, done_capacity;
    struct keyindex done_index;
    size_t bytes; /* without the indexes */
};

void ranks_free(struct ranks *ranks);

/* NULL where none is remembered. All of its samples may have been cleared. Valid until the ranks
 * change. */
struct rank_batch *ranks_find(const struct ranks *ranks, uint64_t rank, uint64_t batch);

/* True if the batch is remembered for any rank below n_ranks. Time: n_ranks / 64. */
bool ranks_have_any(const struct ranks *ranks, uint64_t n_ranks, uint64_t batch);

/* A walk over all batches, block by block: begins at a zeroed place. */
struct rank_at {
    size_t block, i;
    uint64_t rank, batch_number;
    const struct rank_batch *batch;
};

/* False behind the last. */
bool ranks_next(const struct ranks *ranks, struct rank_at *at);

/* COUNT, sampler and WHERE of the call that decided, as bytes to compare. */
struct span rank_batch_fingerprint(const struct rank_batch *batch);

/* Has it a sample that is left? */
bool rank_batch_lives(const struct rank_batch *batch, const struct partition *p);

bool ranks_is_done(const struct ranks *ranks, uint64_t rank, uint64_t batch);

/* Samples of the batches that ranks_finish(rank, batch) would end, in *seqs (scratch); returns how
 * many. Time: the batches since the one that the rank was done with last, or all that are
 * remembered where these are fewer. */
size_t ranks_list_unfinished(const struct ranks *ranks, uint64_t rank, uint64_t batch,
                             struct scratch *scratch, uint64_t **seqs);

/* ---- changing: for store_apply alone ---- */

/* Stores what an OP_SAMPLE with a rank decided. Checks a few old blocks, and forgets those that are
 * due. */
void ranks_remember(struct ranks *ranks, const struct partition *p, const struct op_select *select);

void ranks_deliver(struct ranks *ranks, uint64_t rank, uint64_t batch);

/* The samples (ascending) are not consumed any more: they leave their batches, and a batch that
 * loses its last living sample so is forgotten. Time: all that is remembered, once. */
void ranks_forget(struct ranks *ranks, const struct partition *p, const uint64_t *sorted, size_t n);

/* ---- changing: for store_apply, and for a load ---- */

/* The rank is done with all batches up to this one. */
void ranks_finish(struct ranks *ranks, uint64_t rank, uint64_t batch);

struct rank_load {
    uint64_t rank;
    const uint64_t *seqs;
    size_t n;
    bool delivered;
};

/* Remembers the batches of up to RANK_BLOCK ranks of one block, ascending and at least one, in
 * place of what they were. Copies `fingerprint`, once for all of them, and the seqs. */
void ranks_load(struct ranks *ranks, uint64_t batch, struct span fingerprint,
                const struct rank_load *loads, size_t n);

#endif
