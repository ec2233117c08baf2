/* What happens to partitions, in the server's log: what an operator asks for when a run stands
 * still or its samples are gone.
 *
 * At notice: leases that ran out, partitions that were sealed, dropped (TQ.CLEAR, DEL, FLUSHALL) or
 * restored, consumption that was reset, writes refused with -OOM or -MISCONF. At verbose: samples,
 * fields and tags that were cleared (those of RETIRE too), writes refused with -FULL. A line names
 * partition and task, and who did it.
 *
 * A client can cause any of them as often as it likes. Of changes at most EVENTLOG_BURST lines of a
 * kind are written a second, of refusals one a reason; the others are counted, and the count is
 * written in the next line of the kind, or alone when a second has passed without one. */
#ifndef TQ_SERVER_EVENTLOG_H
#define TQ_SERVER_EVENTLOG_H

#include <stdint.h>

#include "base/error.h"

struct client;
struct op;
struct server;

enum { EVENTLOG_BURST = 10 };

enum eventlog_kind {
    EVENTLOG_LEASE,
    EVENTLOG_SEAL,
    EVENTLOG_DROP,
    EVENTLOG_RESTORE,
    EVENTLOG_RESET,
    EVENTLOG_CLEAR,
    EVENTLOG_FULL,
    EVENTLOG_OOM,
    EVENTLOG_MISCONF,
    EVENTLOG_KINDS
};

/* Zeroed: nothing was written. */
struct eventlog {
    struct eventlog_limit {
        int64_t since_us; /* monotonic: when the second began that `lines` counts */
        unsigned lines;
        uint64_t dropped; /* since the last line */
    } limits[EVENTLOG_KINDS];
};

/* Listens to changes. */
void eventlog_init(struct server *s);

/* A lease, for the line about its end. */
struct eventlog_lease {
    uint64_t id;
    int64_t took_ms;
    struct quoted holder;
};

/* The time of a lease is over, and its OP_EXPIRE is about to be committed: what is gone then. */
void eventlog_note_lease(const struct server *s, const struct op *op, struct eventlog_lease *out);

/* It was committed, and so many samples came back. */
void eventlog_lease_ended(struct server *s, const struct op *op, const struct eventlog_lease *lease,
                          size_t samples);

/* A command is answered with this error; those that are no refused writes are passed over. */
void eventlog_refused(struct client *c, const struct error *e);

/* Ten times a second: counts that no line has reported yet. */
void eventlog_tick(struct server *s);

#endif
