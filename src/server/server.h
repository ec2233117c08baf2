/* The server: what all connections share, and the turn of the loop.
 *
 * One thread, one event loop. A turn is one pass: the callbacks of all descriptors, timers and
 * signals that were ready, and then, once, the end of the turn: waiters that may go are served,
 * what happened to partitions is published, then replies are sent. What a turn changed is therefore
 * logged before any client gets a reply about it, and a client that pipelines pays for one write,
 * not for one a command.
 *
 * libevent has no hook for the end of a pass. An event activated from inside a callback runs
 * after those that are active already, so the first callback of a turn activates the turn's end:
 * that is what server_turn does, and every callback begins with it. */
#ifndef TQ_SERVER_SERVER_H
#define TQ_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/error.h"
#include "base/scratch.h"
#include "server/child.h"
#include "server/eventlog.h"
#include "server/memory.h"
#include "server/metrics.h"
#include "server/persistence.h"
#include "server/subscriptions.h"

struct asks;
struct changes;
struct client;
struct clients;
struct checkpoints;
struct config;
struct feed;
struct listener;
struct notify;
struct pubsub;
struct reply_pool;
struct store;
struct waiters;

enum {
    SERVER_RUN_ID_LEN = 40,
    SERVER_RECLAIM_STEPS = 2000, /* of store_reclaim a turn: about a millisecond */
    SERVER_INDEX_SAMPLES = 2000, /* of store_build_indexes a turn: one or two */
};

/* What one turn does of work that is cut into slices (scan.h, tagindex.h). */
struct slice_limits {
    uint64_t evaluations; /* of WHERE, when the command arrives */
    uint64_t scanned;     /* samples that a parked scan evaluates */
    size_t cells;         /* that are cleared */
    size_t indexed;       /* samples that enter declared indexes that are built */
};

struct server {
    struct store *store;
    struct scratch scratch; /* reset after each command: for requests, plans, ops */
    int64_t now_us;         /* monotonic clock, read once a turn */
    int64_t now_ms;  /* wall clock as it was at the start, carried on by the monotonic one: no
                               lease ends early because somebody set the clock */
    int64_t wall_us; /* what to add to now_us for that */
    int64_t tick_us; /* monotonic clock, as last read: after each command */

    struct changes *changes; /* listeners that are notified of ops */
    struct feed *feed;       /* what turns did, for the log and others */
    struct config *config;
    struct clients *clients;
    struct waiters *waiters;
    struct pubsub *pubsub;
    struct notify *notify;
    struct asks *asks;
    struct subscriptions watchers; /* of partitions: transaction.h */
    struct listener *listener;
    struct reply_pool *reply_pool;
    struct event_base *base; /* NULL until server_start */
    struct metrics metrics;
    struct slice_limits slices;
    size_t n_scans; /* that hold a set: scan.h */
    struct eventlog eventlog;
    struct client *current; /* whose command is running, or NULL */
    struct persistence persistence;
    struct checkpoints *checkpoints;
    struct server_memory memory;
    struct child child; /* the process that writes a snapshot */

    /* Options. */
    int64_t maxmemory; /* bytes, 0: no limit */
    int64_t prefault;  /* bytes of payload memory to fault in at the start */
    bool daemonize;
    bool notify_events; /* publish what happens to partitions on channels: notify.h */
    char *pidfile, *logfile;
    int loglevel;

    char run_id[SERVER_RUN_ID_LEN + 1];
    char *config_file; /* absolute path, from malloc; NULL without one */
    int64_t started_us;

    /* The turn's own. */
    bool in_turn, stopping, pidfile_written;
    struct error failure; /* why it ends, where it has to */
    struct event turn_end, next_turn, cron, lease_end;
    int64_t lease_end_ms; /* what lease_end is armed for */
    struct event signals[2]; /* that end the server */
    struct event hangup;     /* SIGHUP */
};

/* An empty server: options are registered with their defaults, nothing is open. */
void server_init(struct server *s);

/* Make the store, open the listening sockets, arm timers and signals. On failure nothing listens;
 * server_free cleans up. */
int server_start(struct server *s, struct error *e);

/* Serve until server_stop. 0, or an error when the loop itself failed. */
int server_run(struct server *s, struct error *e);

/* All is loaded: says so, in the log and to whoever started it. */
void server_ready(struct server *s);

/* End the loop at the end of this turn, replies of the turn included. */
void server_stop(struct server *s);

/* End it because of an error: server_run returns it. */
void server_fail(struct server *s, const struct error *why);

/* Close everything; removes the unix socket and the pid file that this process made. */
void server_free(struct server *s);

/* Called first by every callback of the loop: begins a turn where none is running. */
void server_turn(struct server *s);

#endif
