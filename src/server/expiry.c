/* See expiry.h. */
#include "server/expiry.h"

#include "base/clock.h"
#include "server/commit.h"
#include "server/eventlog.h"
#include "server/server.h"
#include "store/store.h"

enum { EXPIRY_BUDGET_US = 3000 }; /* in one turn */

/* The lease or the hold of ONCE that ends first. */
static int64_t expiry_next(const struct server *s) {
    int64_t lease = lease_next_end(s->store), hold = once_next_end(s->store);
    return lease < hold ? lease : hold;
}

void expiry_turn(struct server *s) {
    int64_t end = expiry_next(s);
    if (end == s->lease_end_ms) return;
    s->lease_end_ms = end;
    event_del(&s->lease_end);
    if (end == LEASE_NEVER) return;
    int64_t left = end > s->now_ms ? end - s->now_ms : 0;
    if (left > INT32_MAX * INT64_C(1000)) left = INT32_MAX * INT64_C(1000);
    event_add(&s->lease_end, &(struct timeval){left / 1000, left % 1000 * 1000});
}

/* The log has no room for the op: it is tried again in a second. */
static void expiry_retry(struct server *s) {
    s->lease_end_ms = expiry_next(s);
    event_add(&s->lease_end, &(struct timeval){1, 0});
}

/* True where none is left whose time is over. */
static bool expiry_end_leases(struct server *s, int64_t until_us) {
    struct op op;
    while (lease_plan_expiry(s->store, s->now_ms, &op)) {
        struct eventlog_lease lease;
        size_t samples;
        if (clock_monotonic_us() > until_us) return false;
        eventlog_note_lease(s, &op, &lease);
        if (commit_op(s, &op, NULL, &samples, NULL)) {
            expiry_retry(s);
            return false;
        }
        eventlog_lease_ended(s, &op, &lease, samples);
    }
    return true;
}

/* Holds of ONCE that are as old as they get. */
static void expiry_end_holds(struct server *s, int64_t until_us) {
    struct op op;
    struct commit_due due = {0};
    while (once_plan_expiry(s->store, s->now_ms, &s->scratch, &op, &due.seqs, &due.n)) {
        if (clock_monotonic_us() > until_us) break;
        if (commit_op(s, &op, &due, NULL, NULL)) {
            expiry_retry(s);
            break;
        }
        scratch_reset(&s->scratch);
    }
    scratch_reset(&s->scratch);
}

/* What there is no time for comes in the next turn: expiry_turn sets the timer. */
static void on_lease_end(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct server *s = context;
    server_turn(s);
    s->lease_end_ms = LEASE_NEVER; /* the timer is used up */
    int64_t until_us = clock_monotonic_us() + EXPIRY_BUDGET_US;
    if (expiry_end_leases(s, until_us)) expiry_end_holds(s, until_us);
}

void expiry_init(struct server *s) {
    s->lease_end_ms = LEASE_NEVER;
    event_assign(&s->lease_end, s->base, -1, 0, on_lease_end, s);
}
