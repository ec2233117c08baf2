/* Rank batches: what a data-parallel rank got under a batch's number, so that it gets the same again.
 *
 * Ranks of one job ask for their batches separately, crash and ask again. The first call that succeeds for (task, rank, batch)
 * decides; BALANCED decides for all ranks at once. A batch is forgotten when none of its samples is left. */
#ifndef TQ_STORE_RANK_H
#define TQ_STORE_RANK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "store/keyindex.h"

struct op_select;
struct partition;

struct rank_batch {
    uint64_t id[2]; /* rank, batch */
    struct span
        how; /* COUNT, sampler and WHERE of the call that decided, as bytes to compare; owned */
    uint64_t *seqs; /* as handed out; some may have been cleared since */
    size_t n;
    bool handed; /* its rank has had it: until then RETIRE leaves its samples alone */
};

/* Of one task. A zeroed struct ranks is empty. */
struct ranks {
    struct rank_batch **table;
    size_t n, capacity;
    size_t swept;    /* where the search for forgotten ones goes on */
    size_t unhanded; /* how many are not handed */
    struct keyindex index;
    size_t bytes;
};

/* NULL where none is remembered; it may hold cleared samples only, which is the same as none. */
struct rank_batch *ranks_find(const struct ranks *ranks, uint64_t rank, uint64_t batch);

/* Has it a sample that is left? */
bool rank_batch_lives(const struct rank_batch *batch, const struct partition *p);

/* ---- changing: for store_apply alone ---- */

/* What an OP_TAKE with a rank decided. A few batches of old are looked at and forgotten if they are due. */
void ranks_remember(struct ranks *ranks, const struct partition *p, const struct op_select *select);

void ranks_hand(struct ranks *ranks, uint64_t rank, uint64_t batch);

/* The sample is not consumed any more: no batch has it. Time: all that is remembered. */
void ranks_forget(struct ranks *ranks, uint64_t seq);

/* A batch that is not remembered is from now on: as it is said, by copies of `how` and `seqs`. */
void ranks_load(struct ranks *ranks, const struct rank_batch *what);

void ranks_free(struct ranks *ranks);

#endif
