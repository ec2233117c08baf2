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

static void forget(struct openloop_lane *l) {
    series_free(&l->came_ns);
    series_free(&l->clock_us);
    series_free(&l->machine_us);
    series_free(&l->beyond_us);
}

void openloop_close(struct openloop_lane *l) {
    if (l->inlet) close(l->fd);
    inlet_free(l->inlet);
    forget(l);
    l->inlet = NULL;
}

/* ---- requests and replies ---------------------------------------------------------------------- */

struct run {
    const struct openloop *o;
    int64_t began_ns;              /* by the clock */
    int64_t machine_ns, period_ns; /* by the machine's; its begin as well */
    uint64_t sent;                 /* by each lane */
    uint64_t seen[OPENLOOP_LANES]; /* replies, before this run */
    int64_t asked_ns;
};

/* By the machine's clock. */
static int64_t due_ns(const struct run *r, uint64_t number) {
    return r->machine_ns + (int64_t)number * r->period_ns;
}

static int send_one(const struct openloop_lane *l, uint64_t number, struct error *e) {
    struct span request = l->next(l->context, number);
    ssize_t sent = send(l->fd, request.ptr, request.len, MSG_NOSIGNAL);
    if (sent == (ssize_t)request.len) return 0;
    return error_set(e, ERROR_ERR, "a server has not read for too long: %s",
                     sent < 0 ? strerror(errno) : "its socket is full");
}

static int send_due(struct run *r, struct error *e) {
    int64_t now = witness_clock_ns(r->o->witness);
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
        series_add(&l->came_ns, (double)(now - r->began_ns));
    return code;
}

/* Until something comes, or that time is over. */
static int wait_some(struct run *r, int64_t left, struct error *e) {
    struct pollfd fds[OPENLOOP_LANES];
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

static bool goes_on(struct run *r) {
    int64_t now = timing_now_ns();
    if (now - r->asked_ns < ASK_EVERY_NS) return true;
    r->asked_ns = now;
    return r->o->goes_on(r->o->context, (double)(now - r->began_ns) / 1e9);
}

static bool is_waiting(const struct run *r) {
    for (size_t i = 0; i < r->o->n; i++)
        if (replies_of(r, i) < r->sent) return true;
    return false;
}

static int wait_for_last(struct run *r, struct error *e) {
    int64_t until = timing_now_ns() + PATIENCE_S * INT64_C(1000000000);
    int code = 0;
    while (!code && is_waiting(r)) {
        int64_t left = until - timing_now_ns();
        code = wait_some(r, left, e);
        if (!code && left < 0)
            code = error_set(e, ERROR_ERR, "no reply for %d seconds", PATIENCE_S);
    }
    return code;
}

/* ---- what was seen ------------------------------------------------------------------------- */

static void tell(const struct run *r, struct openloop_lane *l) {
    struct witness *w = r->o->witness;
    int64_t due = r->began_ns;
    for (size_t i = 0; i < l->came_ns.n; i++) {
        int64_t came = r->began_ns + (int64_t)l->came_ns.values[i], took = came - due;
        series_add(&l->clock_us, (double)took / 1000);
        series_add(&l->machine_us, (double)(took - witness_all_ns(w, due, came)) / 1000);
        series_add(&l->beyond_us, (double)(took - witness_any_ns(w, due, came)) / 1000);
        due = witness_after(w, due, r->period_ns);
    }
}

static void tell_all(const struct run *r, struct openloop_time *time) {
    struct witness *w = r->o->witness;
    int64_t now = timing_now_ns();
    witness_settle(w, now);
    for (size_t i = 0; i < r->o->n; i++) tell(r, &r->o->lanes[i]);
    time->took_s = (double)(now - r->began_ns) / 1e9;
    time->stood_s = (double)witness_all_ns(w, r->began_ns, now) / 1e9;
}

/* ---- a run --------------------------------------------------------------------------------- */

static void run_begin(struct run *r, const struct openloop *o) {
    *r = (struct run){.o = o, .period_ns = (int64_t)(1e9 / o->rate)};
    for (size_t i = 0; i < o->n; i++) {
        forget(&o->lanes[i]);
        r->seen[i] = o->lanes[i].inlet->replies;
    }
    r->began_ns = timing_now_ns();
    r->machine_ns = witness_clock_ns(o->witness);
}

int openloop_run(const struct openloop *o, struct openloop_time *time, struct error *e) {
    struct run r;
    int code = 0;
    run_begin(&r, o);
    while (!code && goes_on(&r)) {
        code = send_due(&r, e);
        if (!code) code = wait_some(&r, due_ns(&r, r.sent) - witness_clock_ns(o->witness), e);
    }
    if (!code) code = wait_for_last(&r, e);
    if (!code) tell_all(&r, time);
    return code;
}
