/* A task of a partition: which samples it has consumed.
 *
 * One bit a sample for consumed, leased and held by a rank each, in blocks that appear when the
 * task first consumes or leases one of their samples. A hint remembers the block before which
 * everything is consumed or cleared, so that a scan does not visit consumed samples. */
#ifndef TQ_STORE_TASK_H
#define TQ_STORE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/span.h"
#include "store/blockindex.h"
#include "store/range.h"
#include "store/rank.h"

struct lease_slot;

struct task_block {
    uint64_t consumed[BLOCK_WORDS];
    uint64_t leased[BLOCK_WORDS];
    uint64_t held[BLOCK_WORDS]; /* RETIRE leaves it alone */
};

struct task {
    struct span name; /* owned */
    struct blockindex blocks;
    uint64_t consumed; /* samples alive that it has consumed */
    uint64_t leased;
    uint64_t held;                  /* by ranks and by ONCE: see task_hold */
    uint64_t hint;                  /* no sample of an earlier block is left for it */
    struct lease_slot *lease_slots; /* by id, ascending; see lease.h */
    size_t n_lease_slots, lease_slots_capacity;
    size_t n_leases;     /* those that have not ended */
    struct ranks ranks;  /* what was decided for RANK and BATCH */
    size_t overhead;
};

struct task *task_new(struct span name);
void task_free(struct task *t); /* its leases have gone before */

/* The first part of task_free, in slices: frees at most *steps blocks and takes them off *steps.
 * True when none is left. The task is not read any more. */
bool task_shrink(struct task *t, size_t *steps);

/* Mark as consumed; true when it was not. */
bool task_consume(struct task *t, uint64_t seq);

/* Samples of a range are consumed, which they were not. */
void task_load(struct task *t, const struct range *range);

/* Mark as leased: neither left for the task nor consumed by it. It was neither before. */
void task_lease(struct task *t, uint64_t seq);

/* No longer leased; true when it was. */
bool task_unlease(struct task *t, uint64_t seq);

/* RETIRE leaves a sample alone that is in a batch of RANK which its rank is not done with, or in
 * one of ONCE which its holder has not confirmed: one of either, since the task consumed it
 * once. */
void task_hold(struct task *t, uint64_t seq);
void task_unhold(struct task *t, uint64_t seq);

/* The sample is cleared. Returns whether it had been consumed. */
bool task_clear(struct task *t, uint64_t seq);

/* Make the sample ready for the task again, at its old place in the order. Returns true if it was
 * consumed. The caller takes it out of rank batches (ranks_forget). */
bool task_forget(struct task *t, uint64_t seq);

static inline const struct task_block *task_block(const struct task *t, uint64_t number) {
    return blockindex_get(&t->blocks, number);
}

static inline bool task_has_consumed(const struct task *t, uint64_t seq) {
    const struct task_block *block = task_block(t, block_number(seq));
    return block && bits_get(block->consumed, block_row(seq));
}

static inline bool task_is_leased(const struct task *t, uint64_t seq) {
    const struct task_block *block = task_block(t, block_number(seq));
    return block && bits_get(block->leased, block_row(seq));
}

static inline bool task_is_held(const struct task *t, uint64_t seq) {
    const struct task_block *block = task_block(t, block_number(seq));
    return block && bits_get(block->held, block_row(seq));
}

/* The block has no sample any more: its bits may go. */
void task_drop_block(struct task *t, uint64_t number);

#endif
