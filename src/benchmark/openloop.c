/* See openloop.h. */
#include "benchmark/openloop.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "benchmark/interrupt.h"
#include "benchmark/timing.h"

enum {
    ASK_EVERY_NS = 20 * 1000 * 1000,
    PATIENCE_S = 120, /* for the last replies */
};

int openloop_open(struct openloop_lane *l, const struct link_address *a,
                  enum link_transport transport, int buffer, struct error *e) {
    int code = link_connect(a, transport, buffer, false, &l->fd, e);
    if (code)
        l->fd = -1;
    else
        l->inlet = rows_new(0);
    return code;
}

void openloop_close(struct openloop_lane *l) {
    if (l->inlet) close(l->fd);
    inlet_free(l->inlet);
    series_free(&l->us);
    l->inlet = NULL;
}

/* ---- a run --------------------------------------------------------------------------------- */

struct run {
    const struct openloop *o;
    int64_t began_ns, period_ns;
    uint64_t sent;                 /* by each lane */
    uint64_t seen[OPENLOOP_LANES]; /* replies, before this run */
    int64_t asked_ns;
};

static int64_t due_ns(const struct run *r, uint64_t number) {
    return r->began_ns + (int64_t)number * r->period_ns;
}

static int send_one(const struct openloop_lane *l, uint64_t number, struct error *e) {
    struct span request = l->next(l->context, number);
    ssize_t sent = send(l->fd, request.ptr, request.len, MSG_NOSIGNAL);
    if (sent == (ssize_t)request.len) return 0;
    return error_set(e, ERROR_ERR, "a server has not read for too long: %s",
                     sent < 0 ? strerror(errno) : "its socket is full");
}

static int send_due(struct run *r, int64_t now, struct error *e) {
    int code = 0;
    while (!code && due_ns(r, r->sent) <= now) {
        for (size_t i = 0; i < r->o->n && !code; i++) code = send_one(&r->o->lanes[i], r->sent, e);
        r->sent++;
    }
    return code;
}

static uint64_t replies_of(const struct run *r, size_t lane) {
    return r->o->lanes[lane].inlet->replies - r->seen[lane];
}

static int receive(struct run *r, size_t lane, struct error *e) {
    struct openloop_lane *l = &r->o->lanes[lane];
    uint64_t before = replies_of(r, lane);
    int code = inlet_fill(l->inlet, l->fd, e);
    int64_t now = timing_now_ns();
    for (uint64_t k = before; k < replies_of(r, lane); k++)
        series_add(&l->us, (double)(now - due_ns(r, k)) / 1000);
    return code;
}

/* Until something comes, or `until`. */
static int wait_some(struct run *r, int64_t until, struct error *e) {
    struct pollfd fds[OPENLOOP_LANES];
    int64_t left = until - timing_now_ns();
    if (left < 0) left = 0;
    const struct timespec time = {left / 1000000000, left % 1000000000};
    for (size_t i = 0; i < r->o->n; i++)
        fds[i] = (struct pollfd){.fd = r->o->lanes[i].fd, .events = POLLIN};
    int n = ppoll(fds, r->o->n, &time, NULL);
    if (n < 0 && errno != EINTR) return error_set(e, ERROR_ERR, "poll: %s", strerror(errno));
    int code = n < 0 ? interrupt_check(e) : 0;
    for (size_t i = 0; i < r->o->n && n > 0 && !code; i++)
        if (fds[i].revents) code = receive(r, i, e);
    return code;
}

static bool goes_on(struct run *r, int64_t now) {
    if (now - r->asked_ns < ASK_EVERY_NS) return true;
    r->asked_ns = now;
    return r->o->goes_on(r->o->context, (double)(now - r->began_ns) / 1e9);
}

static bool is_waiting(const struct run *r) {
    for (size_t i = 0; i < r->o->n; i++)
        if (replies_of(r, i) < r->sent) return true;
    return false;
}

int openloop_run(const struct openloop *o, struct error *e) {
    struct run r = {.o = o, .began_ns = timing_now_ns(), .period_ns = (int64_t)(1e9 / o->rate)};
    int code = 0;
    for (size_t i = 0; i < o->n; i++) r.seen[i] = o->lanes[i].inlet->replies;
    for (int64_t now = r.began_ns; !code && goes_on(&r, now); now = timing_now_ns()) {
        code = send_due(&r, now, e);
        if (!code) code = wait_some(&r, due_ns(&r, r.sent), e);
    }
    int64_t until = timing_now_ns() + PATIENCE_S * INT64_C(1000000000);
    while (!code && is_waiting(&r)) {
        code = wait_some(&r, until, e);
        if (!code && timing_now_ns() > until)
            code = error_set(e, ERROR_ERR, "no reply for %d seconds", PATIENCE_S);
    }
    return code;
}

/* ---- what was seen ------------------------------------------------------------------------- */

double openloop_longest(const struct openloop_lane *l) {
    double longest = 0;
    for (size_t i = 0; i < l->us.n; i++)
        if (l->us.values[i] > longest) longest = l->us.values[i];
    return longest;
}

/* The other's longest among those that were due while request i was under way, and just before. */
static double beside(const struct openloop_lane *other, size_t i, double us, double rate) {
    size_t end = i + 2 + (size_t)(us * rate / 1e6);
    double longest = 0;
    for (size_t k = i ? i - 1 : 0; k < end && k < other->us.n; k++)
        if (other->us.values[k] > longest) longest = other->us.values[k];
    return longest;
}

double openloop_longest_beyond(const struct openloop_lane *l, const struct openloop_lane *other,
                               double rate) {
    double longest = 0;
    for (size_t i = 0; i < l->us.n; i++) {
        double us = l->us.values[i];
        if (us <= longest) continue;
        us -= beside(other, i, us, rate);
        if (us > longest) longest = us;
    }
    return longest;
}
