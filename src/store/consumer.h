/* A task's view of a partition: which samples it has had.
 *
 * One bit a sample for consumed, leased and held by a rank each, in pieces that appear when the
 * task first takes from them. A hint remembers the piece before which everything is consumed or
 * cleared, so that a stream's past costs nothing. */
#ifndef TQ_STORE_CONSUMER_H
#define TQ_STORE_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/span.h"
#include "store/range.h"
#include "store/rank.h"
#include "store/spine.h"

struct lease_slot;

struct consumer_piece {
    uint64_t consumed[SPINE_WORDS];
    uint64_t leased[SPINE_WORDS];
    uint64_t held[SPINE_WORDS]; /* RETIRE leaves it alone */
};

struct consumer {
    struct span name; /* owned */
    struct spine spine;
    uint64_t consumed; /* samples alive that it has had */
    uint64_t leased;
    uint64_t held;         /* by ranks and by ONCE: see consumer_hold */
    uint64_t hint;         /* no sample of an earlier piece is left for it */
    struct lease_slot *lease_slots; /* by id, ascending; see lease.h */
    size_t n_lease_slots, lease_slots_capacity;
    size_t leases_count; /* those that have not ended */
    struct ranks ranks; /* what was decided for RANK and BATCH */
    size_t overhead;
};

struct consumer *consumer_new(struct span name);
void consumer_free(struct consumer *t); /* its leases have gone before */

/* The first part of consumer_free, in slices: frees at most *steps pieces and takes them off
 * *steps. True when none is left. The task is not read any more. */
bool consumer_shrink(struct consumer *t, size_t *steps);

/* Mark as consumed; true when it was not. */
bool consumer_take(struct consumer *t, uint64_t seq);

/* Samples of a range are consumed, which they were not. */
void consumer_load(struct consumer *t, const struct range *range);

/* Mark as leased: neither left for the task nor consumed by it. It was neither before. */
void consumer_lease(struct consumer *t, uint64_t seq);

/* No longer leased; true when it was. */
bool consumer_release(struct consumer *t, uint64_t seq);

/* RETIRE leaves a sample alone that is in a batch of RANK which its rank is not done with, or in
 * one of ONCE which its holder has not confirmed: one of either, since the task consumed it
 * once. */
void consumer_hold(struct consumer *t, uint64_t seq);
void consumer_unhold(struct consumer *t, uint64_t seq);

/* The sample is cleared. Returns whether it had been consumed. */
bool consumer_clear(struct consumer *t, uint64_t seq);

/* Make the sample ready for the task again, at its old place in the order. Returns true if it was
 * consumed. The caller takes it out of rank batches (ranks_forget). */
bool consumer_forget(struct consumer *t, uint64_t seq);

static inline const struct consumer_piece *consumer_piece(const struct consumer *t,
                                                          uint64_t number) {
    return spine_get(&t->spine, number);
}

static inline bool consumer_has_had(const struct consumer *t, uint64_t seq) {
    const struct consumer_piece *piece = consumer_piece(t, spine_number(seq));
    return piece && bits_get(piece->consumed, spine_row(seq));
}

static inline bool consumer_is_leased(const struct consumer *t, uint64_t seq) {
    const struct consumer_piece *piece = consumer_piece(t, spine_number(seq));
    return piece && bits_get(piece->leased, spine_row(seq));
}

static inline bool consumer_is_held(const struct consumer *t, uint64_t seq) {
    const struct consumer_piece *piece = consumer_piece(t, spine_number(seq));
    return piece && bits_get(piece->held, spine_row(seq));
}

/* The piece holds no sample any more: its bits may go. */
void consumer_drop_piece(struct consumer *t, uint64_t number);

#endif
