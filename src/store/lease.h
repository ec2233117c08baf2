/* Leases: samples delivered until they are acknowledged, or until time runs out.
 *
 * A leased sample is neither left for its task nor consumed by it. TQ.ACK consumes it; TQ.NACK and
 * the end of the time give it back, and then it stands where it stood. A lease belongs to no
 * connection: it survives its client. Time ends nothing by itself: whoever drives the store asks
 * lease_plan_expiry for what is due and applies the op.
 *
 * All leases of a store wait in one binary heap, the earliest end first. Ids are the store's, never
 * reused, so an acknowledgement that comes late meets no other lease. */
#ifndef TQ_STORE_LEASE_H
#define TQ_STORE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/scratch.h"
#include "base/span.h"
#include "store/once.h"

struct task;
struct op;
struct op_select;
struct partition;
struct store;

#define LEASE_NEVER INT64_MAX /* no lease ends */

/* No lease has a higher id: none is given, and no snapshot or log has one. Wherever the clock stood
 * at a start, 2^56 ids are left. */
#define LEASE_ID_MAX ((uint64_t)INT64_MAX)
#define LEASE_ID_BEGIN_MAX (LEASE_ID_MAX - (UINT64_C(1) << 56))

struct lease {
    uint64_t id; /* 1 to LEASE_ID_MAX */
    struct partition *partition;
    struct task *task;
    struct span holder;        /* the client that got it, for people; owned */
    int64_t given_ms, ends_ms; /* on the clock of op.now_ms */
    uint64_t *seqs; /* as delivered; those cleared or given back meanwhile are no longer leased */
    size_t n;
    size_t place; /* in the heap */
};

/* A task's leases are found by their ids in an array of these. One that ends leaves its slot empty,
 * so that none of the others moves. */
struct lease_slot {
    uint64_t id;
    struct lease *lease; /* NULL: it has ended */
};

/* What ends as time goes on in a store: leases, and holds of ONCE. */
struct leases {
    struct lease **heap;
    size_t count, capacity;
    uint64_t last_id;
    size_t overhead; /* bytes */
    struct once_list holds; /* the first to end first */
};

/* The lease of a task, NULL where there is none (any more). */
struct lease *lease_find(const struct task *task, uint64_t id);

/* The task's lease with the next higher id, NULL where there is none: from 0 on, all of them. Time:
 * O(log n), and for all of them together O(n log n). */
struct lease *lease_after(const struct task *task, uint64_t id);

/* Its samples that are still leased. */
uint64_t lease_samples(const struct lease *lease);

/* When the first lease ends, LEASE_NEVER where there is none. */
int64_t lease_next_end(const struct store *s);

/* ---- planning ---- */

/* As asked for: which lease, and for NACK which of its samples (keys NULL: all). */
struct lease_request {
    struct span partition, task, id;
    size_t n_keys;
    const struct span *keys;
};

/* True if the same TQ.ACK (or TQ.NACK, with the same keys) was applied before: *samples is its
 * reply, and nothing is to be changed. */
bool lease_answered(const struct store *s, const struct lease_request *request, bool is_nack,
                    struct scratch *scratch, uint64_t *samples);

/* OP_ACK (with a copy of the lease's seqs), OP_NACK, OP_EXTEND. ERROR_NOPART, ERROR_NOLEASE. */
int lease_plan_ack(const struct store *s, const struct lease_request *request, int64_t now_ms,
                   struct scratch *scratch, struct op *op, struct error *e);
int lease_plan_nack(const struct store *s, const struct lease_request *request, int64_t now_ms,
                    struct scratch *scratch, struct op *op, struct error *e);
int lease_plan_extend(const struct store *s, const struct lease_request *request, int64_t lease_ms,
                      int64_t now_ms, struct op *op, struct error *e);

/* An OP_EXPIRE of a lease whose time is over; false when there is none. */
bool lease_plan_expiry(const struct store *s, int64_t now_ms, struct op *op);

/* The end of a lease of so many milliseconds, however many. */
static inline int64_t lease_end(int64_t now_ms, int64_t lease_ms) {
    return lease_ms < LEASE_NEVER - 1 - now_ms ? now_ms + lease_ms : LEASE_NEVER - 1;
}

/* ---- changing: for store_apply alone; each returns how many samples it concerned ---- */

size_t lease_give(struct leases *leases, struct partition *p, struct task *task,
                  const struct op *op);
size_t lease_ack(struct leases *leases, struct partition *p, const struct op_select *select);
size_t lease_expire(struct leases *leases, struct partition *p, const struct op_select *select);
size_t lease_nack(struct leases *leases, struct partition *p, const struct op_select *select);
size_t lease_extend(struct leases *leases, struct partition *p, const struct op_select *select);

/* The task goes, and its leases with it. */
void lease_drop_all(struct leases *leases, struct task *task);

/* ---- loading ---- */

/* A lease of a task that is in no store yet, behind those it has: in no heap until its partition is adopted. What it points at is
 * copied; samples are marked by the caller. */
struct lease *lease_load(struct task *task, const struct lease *what);

/* The task's leases begin to run. Theirs ids may be those of leases in other partitions: a lease is looked up in its task. */
void lease_adopt_all(struct leases *leases, struct task *task);

/* The task never came into a store: its leases go. */
void lease_discard_all(struct task *task);

void leases_free(struct leases *leases); /* when no lease is left */

#endif
