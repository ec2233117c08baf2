/* See scan.h. */
#include "server/scan.h"

#include <string.h>

#include "base/mem.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/matches.h"
#include "store/store.h"

struct span scan_queue(struct client *c) {
    char *name = scratch_alloc(&c->server->scratch, 1, 1 + sizeof(c->id));
    name[0] = '\0'; /* no other queue begins so */
    memcpy(name + 1, &c->id, sizeof(c->id));
    return span_of(name, 1 + sizeof(c->id));
}

void scan_begin(struct server *s, struct scan *scan, struct span partition,
                const struct where *where) {
    scan->waits = !scan->set && s->n_scans >= SCAN_SETS;
    if (scan->waits) return;
    struct partition *p = store_find(s->store, partition);
    struct match_set *set = p ? matches_hold(p, where, &s->scratch) : NULL;
    scan_end(scan); /* behind the above: a set that stays held goes on where it was */
    *scan = (struct scan){.server = s, .set = set};
    if (set) s->n_scans++;
}

bool scan_step(struct server *s, struct scan *scan) {
    if (scan->waits && s->n_scans >= SCAN_SETS) return true;
    return scan->set && !matches_fill(scan->set, s->slices.scanned);
}

void scan_end(struct scan *scan) {
    if (scan->set) {
        matches_release(scan->set);
        scan->server->n_scans--;
    }
    *scan = (struct scan){0};
}

/* ---- whole commands ----------------------------------------------------------------------- */

struct scan_waiting {
    struct scan scan;
    scan_try *try;
};

static bool scan_waiting_try(struct client *c, void *request, struct waiter_needs *needs) {
    struct scan_waiting *waiting = request;
    struct scan_need need;
    needs->reason = WAITER_NEEDS_TURN;
    if (scan_step(c->server, &waiting->scan)) return false;
    if (waiting->try(c, &need)) return true;
    /* Another partition of that name is there now, or many samples came in the last turn. */
    scan_begin(c->server, &waiting->scan, need.partition, &need.where);
    return false;
}

static void scan_waiting_expire(struct client *c, void *request) {
    (void)request;
    reply_errorf(&c->reply, ERROR_UNBLOCKED, "client unblocked via CLIENT UNBLOCK");
}

static void scan_waiting_free(void *request) {
    struct scan_waiting *waiting = request;
    scan_end(&waiting->scan);
    mem_free(waiting);
}

static const struct waiter_kind scan_waiter = {
    .try = scan_waiting_try, .expire = scan_waiting_expire, .free = scan_waiting_free};

void scan_run(struct client *c, scan_try *try) {
    struct scan_need need;
    struct error e;
    if (try(c, &need)) return;
    if (client_own_argv(c, CLIENT_OWN_PARKED, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    struct scan_waiting *waiting = mem_calloc(1, sizeof(*waiting));
    struct waiter_needs needs = {.reason = WAITER_NEEDS_TURN};
    waiting->try = try;
    scan_begin(c->server, &waiting->scan, need.partition, &need.where);
    waiter_park(c, &scan_waiter, waiting, &needs, need.partition, scan_queue(c), 0);
}
