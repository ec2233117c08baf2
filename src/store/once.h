/* TQ.SAMPLE … ONCE: the last batch of each holder, so that a call that is repeated after a lost
 * reply gets the same samples again.
 *
 * A holder names one consumer, which numbers its calls. A partition keeps one entry a holder: the
 * highest number that arrived, and what the call with that number got. The next number says that
 * the reply arrived. Until then the samples are held (task_hold), so that RETIRE leaves them alone,
 * but no longer than ONCE_HOLD_MS. A leased batch needs no hold: the entry names the lease.
 *
 * Time ends no hold by itself: the server asks once_plan_expiry which one is over and applies the
 * op. The one that ends first is the first of a list, which is sorted by the ends. */
#ifndef TQ_STORE_ONCE_H
#define TQ_STORE_ONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/checksum.h"
#include "base/error.h"
#include "base/span.h"
#include "store/keyindex.h"

struct task;
struct lease;
struct leases;
struct op;
struct op_adopt;
struct op_once;
struct partition;
struct scratch;
struct store;

enum { ONCE_MAX = 65536, ONCE_HOLDER_MAX = 64, ONCE_HOLD_MS = 60 * 60 * 1000 };

struct once {
    struct partition *partition;
    struct span holder;         /* owned */
    uint64_t number;            /* the highest that arrived */
    struct task *task;          /* of the last call that got a batch */
    struct checksum128 request; /* of the other arguments of the call with that number */
    uint64_t lease;             /* that it got; 0: none */
    uint64_t *seqs;             /* that it consumed, as delivered; some may be cleared; owned */
    size_t n;
    int64_t held_until_ms; /* 0: not held */
    uint32_t place;        /* in the table */
    TAILQ_ENTRY(once) order, holds;
};

TAILQ_HEAD(once_list, once);

/* Of a partition. Zeroed: empty. */
struct onces {
    struct once **table;
    size_t n, capacity;
    struct keyindex index;  /* holder → place in the table */
    struct once_list order; /* the longest silent first; not initialised while n is 0 */
    size_t bytes;           /* without the index */
};

/* Has the call with that number got a batch? */
static inline bool once_has_batch(const struct once *entry) {
    return entry->lease || entry->n;
}

/* NULL: unknown. */
struct once *once_find(const struct partition *p, struct span holder);

/* The entry that is forgotten when this holder gets one; NULL: none. */
const struct once *once_evicted(const struct partition *p, struct span holder);

/* The samples that are held, in *seqs (scratch, never NULL); returns how many. */
size_t once_held(const struct once *entry, struct scratch *scratch, const uint64_t **seqs);

/* An OP_CONFIRM: call `number` of the holder arrived or, with the number of the entry, its hold
 * ends. */
struct op once_confirmation(const struct once *entry, uint64_t number, int64_t now_ms);

/* When the first hold ends, LEASE_NEVER where there is none. */
int64_t once_next_end(const struct store *s);

/* An OP_CONFIRM that ends a hold whose time is over, and the samples that were held (in scratch);
 * false when there is none. */
bool once_plan_expiry(const struct store *s, int64_t now_ms, struct scratch *scratch, struct op *op,
                      const uint64_t **seqs, size_t *n);

/* ---- changing: for store_apply alone ---- */

/* OP_SAMPLE: the holder's call got these samples, which were consumed or leased just now. */
void once_remember(struct leases *leases, struct partition *p, struct task *task,
                   const struct op *op);

/* OP_CONFIRM: a higher number arrived, or the hold of this number ends. */
void once_confirm(struct leases *leases, struct partition *p, const struct op_once *what);

/* The samples (ascending) are not consumed by the task any more (NULL: by any task): they leave the
 * batches. An entry that loses its last living sample so has got nothing. */
void once_forget(struct leases *leases, struct partition *p, const struct task *task,
                 const uint64_t *sorted, size_t n);

/* The entries of the task (NULL: all) go. */
void once_drop_task(struct leases *leases, struct partition *p, const struct task *task);

/* The partition leaves the store: its holds end by no op any more. */
void once_leave(struct leases *leases, struct partition *p);

/* What a partition begins with: no entry. Made its own by the first. */
struct onces *onces_none(void);

void onces_free(struct onces *onces);

/* The first part of onces_free, in slices: frees at most *steps entries and takes them off *steps.
 * True when none is left. The entries are not read any more. */
bool onces_shrink(struct onces *onces, size_t *steps);

/* ---- loading ---- */

/* A new entry behind the others: as it is said, by copies of `holder` and `seqs`. Samples are
 * held by the caller. */
void once_load(struct partition *p, const struct once *what);

/* Holds of a partition that is in no store yet end so much later. */
void once_extend(struct partition *p, int64_t ms);

/* The partitions came into the store: their holds end by ops from now on. */
void once_adopt(struct leases *leases, const struct op_adopt *adopt, int64_t now_ms);

/* No hold ends later than one that begins now, whatever the clock was when it began. */
void once_bound(struct leases *leases, int64_t now_ms);

#endif
