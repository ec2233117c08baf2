/* Replies to TQ.ACK and TQ.NACK, for clients that repeat the command because the reply was lost.
 *
 * A partition remembers its last ENDED_MAX replies. A NACK with KEYS has a reply of its own, since
 * the lease may go on. A lease that ran out leaves nothing here. */
#ifndef TQ_STORE_ENDED_H
#define TQ_STORE_ENDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "store/keyindex.h"

struct task;
struct scratch;

enum { ENDED_MAX = 65536 };

/* Which command about a lease. Stored: in ops and snapshots. */
#define ENDED_ACK UINT64_C(0)
#define ENDED_NACK UINT64_C(1)     /* without KEYS */
#define ENDED_KEYS_MIN UINT64_C(2) /* from here on: NACK with KEYS, see ended_keys */

struct ended_reply {
    uint64_t lease;
    uint64_t request; /* ENDED_ACK, ENDED_NACK, or ended_keys of its keys */
    const struct task *task;
    uint64_t samples; /* the reply */
};

/* Zeroed: empty. */
struct ended {
    struct ended_reply *ring; /* n replies from `first` on, the oldest first */
    size_t first, n, capacity;
    struct keyindex index; /* lease, request and task → place in the ring */
};

/* The checksum of the keys of a NACK, in their order; at least ENDED_KEYS_MIN. */
uint64_t ended_keys(const struct span *keys, size_t n, struct scratch *scratch);

/* NULL: not remembered. */
const struct ended_reply *ended_find(const struct ended *ended, const struct task *task,
                                     uint64_t lease, uint64_t request);

/* The i-th oldest; i < n. */
const struct ended_reply *ended_at(const struct ended *ended, size_t i);

size_t ended_bytes(const struct ended *ended);

/* ---- changing: for store_apply and loading alone ---- */

/* The reply is not remembered yet. Forgets the oldest one if there are ENDED_MAX. */
void ended_add(struct ended *ended, const struct ended_reply *reply);

/* Forgets the replies about leases of the task. Time: all replies. */
void ended_drop_task(struct ended *ended, const struct task *task);

void ended_free(struct ended *ended); /* empty again */

/* What a partition begins with: no reply, in memory that all partitions share. */
extern const struct ended ended_none;

/* *ended to be changed: memory of its own replaces ended_none. ended_drop goes back. */
struct ended *ended_own(const struct ended **ended);
void ended_drop(const struct ended **ended);

#endif
