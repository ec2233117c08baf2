/* See simloop.h. What the functions of libevent do is said in its own headers. */
#include "simloop.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "simsock.h"

enum { EVENTS_MAX = 4096 };

struct pending {
    struct event *event;
    int64_t due_us;     /* INT64_MAX: no timer */
    uint64_t edge_seen; /* EV_ET: what the event was told of last */
};

struct event_base {
    int unused;
};

static struct {
    struct event_base base;
    int64_t now_us;
    struct pending pending[EVENTS_MAX];
    size_t n_pending;
    struct event *active[EVENTS_MAX];
    short results[EVENTS_MAX];
    size_t first_active, n_active;
    bool broken;
} loop;

void simloop_reset(void) {
    memset(&loop, 0, sizeof(loop));
}

int64_t simloop_now_us(void) {
    return loop.now_us++;
}

void simloop_advance_us(int64_t us) {
    loop.now_us += us;
}

/* ---- the base */

struct event_config *event_config_new(void) {
    return calloc(1, 1);
}

void event_config_free(struct event_config *config) {
    free(config);
}

int event_config_set_flag(struct event_config *config, int flag) {
    (void)config, (void)flag;
    return 0;
}

struct event_base *event_base_new_with_config(const struct event_config *config) {
    (void)config;
    return &loop.base;
}

void event_base_free(struct event_base *base) {
    (void)base;
}

const char *event_base_get_method(const struct event_base *base) {
    (void)base;
    return "simulated";
}

int event_base_loopbreak(struct event_base *base) {
    (void)base;
    loop.broken = true;
    return 0;
}

/* ---- events */

int event_assign(struct event *event, struct event_base *base, evutil_socket_t fd, short events,
                 event_callback_fn callback, void *argument) {
    memset(event, 0, sizeof(*event));
    event->ev_base = base;
    event->ev_fd = fd;
    event->ev_events = events;
    event->ev_evcallback.evcb_flags = EVLIST_INIT;
    event->ev_evcallback.evcb_cb_union.evcb_callback = callback;
    event->ev_evcallback.evcb_arg = argument;
    return 0;
}

int event_initialized(const struct event *event) {
    return (event->ev_evcallback.evcb_flags & EVLIST_INIT) != 0;
}

short event_get_events(const struct event *event) {
    return event->ev_events;
}

static struct pending *pending_find(const struct event *event) {
    for (size_t i = 0; i < loop.n_pending; i++)
        if (loop.pending[i].event == event) return &loop.pending[i];
    return NULL;
}

int event_add(struct event *event, const struct timeval *timeout) {
    struct pending *p = pending_find(event);
    if (!p) {
        if (loop.n_pending == EVENTS_MAX) abort();
        p = &loop.pending[loop.n_pending++];
        *p = (struct pending){.event = event, .due_us = INT64_MAX};
    }
    if (timeout) p->due_us = loop.now_us + (int64_t)timeout->tv_sec * 1000000 + timeout->tv_usec;
    return 0;
}

static void pending_remove(struct pending *p) {
    size_t at = (size_t)(p - loop.pending);
    loop.n_pending--;
    memmove(p, p + 1, (loop.n_pending - at) * sizeof(*p));
}

int event_del(struct event *event) {
    struct pending *p = pending_find(event);
    if (p) pending_remove(p);
    for (size_t i = loop.first_active; i < loop.n_active; i++)
        if (loop.active[i] == event) loop.active[i] = NULL;
    return 0;
}

void event_active(struct event *event, int result, short calls) {
    (void)calls;
    for (size_t i = loop.first_active; i < loop.n_active; i++)
        if (loop.active[i] == event) return;
    if (loop.n_active == EVENTS_MAX) abort();
    loop.results[loop.n_active] = (short)result;
    loop.active[loop.n_active++] = event;
}

int event_pending(const struct event *event, short events, struct timeval *timeout) {
    (void)timeout;
    const struct pending *p = pending_find(event);
    if (!p) return 0;
    short flags = (short)(event->ev_events & (EV_READ | EV_WRITE | EV_SIGNAL));
    if (p->due_us != INT64_MAX) flags |= EV_TIMEOUT;
    return flags & events;
}

/* ---- passes */

/* What is ready of it, 0: nothing. */
static short pending_result(const struct pending *p) {
    const struct event *event = p->event;
    short result = 0;
    if (event->ev_events & EV_SIGNAL) return 0;
    if (simsock_is(event->ev_fd)) {
        bool edge = event->ev_events & EV_ET;
        if ((event->ev_events & EV_READ) &&
            (edge ? simsock_edge(event->ev_fd) > p->edge_seen : simsock_readable(event->ev_fd)))
            result |= EV_READ;
        if ((event->ev_events & EV_WRITE) && simsock_writable(event->ev_fd)) result |= EV_WRITE;
    }
    if (p->due_us <= loop.now_us) result |= EV_TIMEOUT;
    return result;
}

size_t simloop_ready(struct simloop_ready out[static SIMLOOP_READY_MAX]) {
    size_t n = 0;
    for (size_t i = 0; i < loop.n_pending && n < SIMLOOP_READY_MAX; i++) {
        short result = pending_result(&loop.pending[i]);
        if (!result) continue;
        int fd = result & (EV_READ | EV_WRITE) ? loop.pending[i].event->ev_fd : -1;
        out[n++] = (struct simloop_ready){fd, result & EV_READ};
    }
    return n;
}

int64_t simloop_next_timer_us(void) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < loop.n_pending; i++)
        if (loop.pending[i].due_us < next) next = loop.pending[i].due_us;
    if (next == INT64_MAX) return next;
    return next > loop.now_us ? next - loop.now_us : 0;
}

static void activate(struct pending *p) {
    short result = pending_result(p);
    struct event *event = p->event;
    if (event->ev_events & EV_ET) p->edge_seen = simsock_edge(event->ev_fd);
    if (!(event->ev_events & EV_PERSIST))
        pending_remove(p);
    else if (result & EV_TIMEOUT)
        p->due_us = loop.now_us + 100000; /* the server's one periodic timer is its tick */
    event_active(event, result, 1);
}

static void run_active(void) {
    while (loop.first_active < loop.n_active) {
        struct event *event = loop.active[loop.first_active];
        short result = loop.results[loop.first_active++];
        if (event)
            event->ev_evcallback.evcb_cb_union.evcb_callback(event->ev_fd, result,
                                                             event->ev_evcallback.evcb_arg);
    }
    loop.first_active = loop.n_active = 0;
}

void simloop_pass_of(const size_t *places, size_t n) {
    struct event *chosen[SIMLOOP_READY_MAX], *ready[SIMLOOP_READY_MAX];
    size_t n_ready = 0;
    for (size_t i = 0; i < loop.n_pending && n_ready < SIMLOOP_READY_MAX; i++)
        if (pending_result(&loop.pending[i])) ready[n_ready++] = loop.pending[i].event;
    for (size_t i = 0; i < n; i++) chosen[i] = ready[places[i]];
    for (size_t i = 0; i < n; i++) activate(pending_find(chosen[i]));
    run_active();
}

bool simloop_pass(struct source *order) {
    struct simloop_ready ready[SIMLOOP_READY_MAX];
    size_t places[SIMLOOP_READY_MAX], n = simloop_ready(ready), chosen = n;
    if (!n) return false;
    for (size_t i = 0; i < n; i++) places[i] = i;
    if (order) {
        for (size_t i = n - 1; i > 0; i--) {
            size_t other = source_below(order, i + 1), place = places[i];
            places[i] = places[other];
            places[other] = place;
        }
        chosen = 1 + source_below(order, n);
    }
    simloop_pass_of(places, chosen);
    return true;
}

bool simloop_is_broken(void) {
    return loop.broken;
}
