/* Parked requests.
 *
 * A request that cannot go yet (no samples, no room) leaves the path of its client and waits here.
 * Nothing is polled: whatever changes a partition signals it, and at the end of the turn the
 * waiters of signalled partitions are tried, by the very function that tried them on arrival. (But
 * for memory: what waits for that is signalled by what clears data, and by the tick as well, since
 * replies that were sent give memory back and signal nobody.)
 *
 * Waiters of a partition are split into queues (for TQ.SAMPLE: by task, field set and selection).
 * Within a queue only the head is tried, again and again until it has to stay, so that a large
 * batch is not starved by small ones behind it. A head that stays says what has to change before
 * another try can succeed: so many samples, so that a thousand writes that fill one batch cost one
 * scan, not a thousand; or so many that it has a use for, and then it is asked about each change
 * that its conditions (filter.h) admit. Queues whose heads are to be tried wait in a list of their
 * own, oldest call first where one change signals several; what a turn has no time for goes on from
 * there in the next.
 *
 * A head whose work is done in slices (a scan) is tried once a turn. All such heads of the server
 * share one slice a turn and take turns; they hold up no other queue.
 *
 * While parked, a client's later commands wait in its input; when it leaves, its waiter is
 * forgotten at once. */
#ifndef TQ_SERVER_WAITER_H
#define TQ_SERVER_WAITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

struct client;
struct op;
struct server;
struct waiters;

/* What a parked call takes beside its arguments, about: its waiter, its queue, the request. */
enum { WAITER_BYTES = 1536 };

struct waiters *waiters_new(struct server *s); /* and listens to changes */
void waiters_free(struct waiters *waiters); /* when nobody waits any more */

/* What has to happen before another try can succeed. Zeroed: any change may let it succeed. */
struct waiter_needs {
    enum {
        WAITER_NEEDS_CHANGE, /* of the partition: see `samples` and `filters` */
        WAITER_NEEDS_TURN,   /* nothing: its slice of this turn is used up */
        WAITER_NEEDS_QUEUE,  /* as NEEDS_CHANGE, but at the end of another queue */
    } reason;
    /* that must change (or match, if `filters` is set) before a retry can succeed */
    uint64_t samples;
    bool filters; /* a retry costs a scan: call matches() for each op first */
    /* NEEDS_QUEUE: the names, valid until the server's scratch is reset. Not read by waiter_park,
     * which gets them as arguments. */
    struct span partition, queue;
};

struct waiter_kind {
    /* Try once more. True: the reply (or an error) has been written. False: nothing happened, stay
     * and see *needs. */
    bool (*try)(struct client *c, void *request, struct waiter_needs *needs);
    /* How many samples of the op, which has just been applied, match; WAITER_ALL: try, whatever is
     * missing. NULL where no try sets `filters`. */
    uint64_t (*matches)(struct client *c, const void *request, const struct op *op);
    /* The conditions that a sample of an op must meet for matches() to count it, while its
     * partition has not ended; the same for all waiters of a queue. NULL: none. */
    const struct where *(*where)(const void *request);
    /* Time is up, or CLIENT UNBLOCK says so: write the reply that says so. */
    void (*expire)(struct client *c, void *request);
    /* The request is over, for whatever reason (served, expired, the client left). */
    void (*free)(void *request);
};

/* Park the client of the command that is running, whose `try` has just failed with `needs`: where
 * others stand before it in its queue, that does not matter yet. `request` is owned from now on and
 * must not point into the client's input: see client_own_argv. `partition` and `queue` are copied.
 * A timeout of 0 milliseconds waits for ever. Inside EXEC nobody may be parked: ask client_may_wait
 * before. */
void waiter_park(struct client *c, const struct waiter_kind *kind, void *request,
                 const struct waiter_needs *needs, struct span partition, struct span queue,
                 int64_t timeout_ms);

/* Is a waiter in that queue already? A newcomer has to line up behind it, not overtake it. */
bool waiter_queued(struct server *s, struct span partition, struct span queue);

/* A parked client's call has a name from now on, which is copied; no two have the same. */
void waiter_name(struct client *c, struct span name);

/* The parked client whose call has that name, with its request; NULL: none. */
struct client *waiter_named(const struct server *s, struct span name, void **request);

/* `c`, whose command is running, takes the place of a parked client, in its queue and under its
 * name, with a request of the same kind that asks for the same. The other one stays without a
 * reply, which is to be written behind this, followed by client_unpark. */
void waiter_replace(struct client *parked, struct client *c, void *request, int64_t timeout_ms);

/* End a parked client's wait with this error. */
void waiter_dismiss(struct client *c, const struct error *e);

/* Something happened that any waiter of the partition has to hear of: who may go is tried at the
 * end of the turn. */
void waiter_signal(struct server *s, struct span partition);

/* An op was applied to the partition: so many samples changed (WAITER_ALL: every head without
 * `filters` is to be tried). */
#define WAITER_ALL UINT64_MAX
void waiter_signal_op(struct server *s, const struct op *op, uint64_t samples);

/* The listener of changes (waiter_change.c): signals the waiters that the op can let go. */
void waiter_on_change(struct server *s, const struct op *op);

/* Who waits for the server, for memory or for a child, waits under this name, which no partition can have. */
#define WAITER_SERVER SPAN_LITERAL("")

/* Every partition (FLUSHALL, memory was freed). */
void waiter_signal_all(struct server *s);

/* The end of the turn: try the heads of the signalled queues, and again when that has signalled
 * more. Stops after a while so that I/O is not kept waiting: see waiter_is_due. Called by the
 * server only. */
void waiter_serve(struct server *s);

/* Is a partition signalled that waiter_serve has not served? Also what was signalled after it: a
 * client that is closed while replies are sent leaves its place to the next waiter. */
bool waiter_is_due(const struct server *s);

/* Forget a client's waiter without a reply. Called when it closes. */
void waiter_forget(struct client *c);

/* CLIENT UNBLOCK: end a parked client's wait, as if its time were up or with -UNBLOCKED. */
void waiter_unblock(struct client *c, bool with_error);

/* Call `visit` for each queue of the partition, with how many are parked in it. */
void waiter_each_queue(const struct server *s, struct span partition,
                       void (*visit)(void *context, struct span queue, size_t parked),
                       void *context);

/* How many clients are parked: blocked_clients. */
size_t waiter_count(const struct server *s);

#endif
