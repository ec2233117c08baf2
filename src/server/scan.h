/* Evaluating a WHERE over many samples without holding up the server.
 *
 * A command with WHERE is tried with a limit: SCAN_EVALUATIONS conditions of samples, of which a long
 * value counts as several (where_admits): one to three milliseconds. If that is not enough, its client is parked as a waiter (waiter.h), the match set of the WHERE
 * (store/matches.h) is filled by SCAN_SLICE conditions a turn, and the command is tried again when the
 * set is full. Then it executes at once, on the samples as they are at that moment. Its client's
 * later commands wait behind it, so replies keep their order; a scan ends when its client leaves.
 * In a transaction, where nobody may be parked, there is no limit.
 *
 * TQ.CLEAR needs no full set: it clears what it has found, SCAN_CELLS cells a turn
 * (cmd/clear.c). */
#ifndef TQ_SERVER_SCAN_H
#define TQ_SERVER_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "server/client.h"
#include "server/server.h"
#include "store/where.h"

struct match_set;

enum {
    SCAN_EVALUATIONS = 16 * 1024,
    SCAN_SLICE = 16 * 1024,
    SCAN_CELLS = 16 * 1024,
    SCAN_SETS = 16, /* sets that are filled at a time, or they would take any amount of memory */
};

/* How many evaluations the command that is running may do at once; 0: no limit. */
static inline uint64_t scan_limit(const struct client *c) {
    return client_may_wait(c) ? c->server->slices.evaluations : 0;
}

/* The queue of a client's scans, in which nobody else waits. In scratch. */
struct span scan_queue(struct client *c);

/* ---- the set that a parked request waits for. Zeroed: none ---- */

struct scan {
    struct server *server; /* of the set */
    struct match_set *set;
    bool waits; /* for another scan to end, before it gets a set */
};

/* It waits for the set of this WHERE from now on; for none where the partition does not exist. */
void scan_begin(struct server *s, struct scan *scan, struct span partition,
                const struct where *where);

/* Fill one slice. True while there is more to do. A partition that goes ends the scan. */
bool scan_step(struct server *s, struct scan *scan);

/* It waits for none. The set stays for others, and for the next call, for a while. */
void scan_end(struct scan *scan);

/* ---- a whole command that needs nothing else to wait for ---- */

struct scan_need {
    struct span partition;
    struct where where;
};

/* True when the reply has been written. False where scan_limit() was reached, and nothing has
 * changed: *need says what to scan, in the client's arguments and the server's scratch. */
typedef bool scan_try(struct client *c, struct scan_need *need);

/* Run the command: try, and where needed park and try again. */
void scan_run(struct client *c, scan_try *try);

#endif
