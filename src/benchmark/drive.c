/* See drive.h. */
#include "benchmark/drive.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "benchmark/interrupt.h"
#include "benchmark/timing.h"

enum { EVENTS = 64, PIECES = 64, PATIENCE_MS = 60000 };

static int watch(struct drive *d, size_t i, int operation, bool write, struct error *e) {
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.u64 = i};
    if (!epoll_ctl(d->epoll, operation, d->connections[i].fd, &event)) return 0;
    return error_set(e, ERROR_ERR, "epoll_ctl: %s", strerror(errno));
}

int drive_open(struct drive *d, const struct link_address *a, enum link_transport transport,
               int buffer, size_t n, size_t pipeline, struct replies **replies, struct error *e) {
    *d = (struct drive){.epoll = epoll_create1(EPOLL_CLOEXEC), .n = n, .pipeline = pipeline};
    d->connections = mem_calloc(n, sizeof(*d->connections));
    for (size_t i = 0; i < n; i++) {
        d->connections[i].fd = -1;
        d->connections[i].replies = replies[i];
        d->connections[i].flights = mem_calloc(pipeline, sizeof(struct drive_flight));
    }
    int failed = d->epoll < 0 ? error_set(e, ERROR_ERR, "epoll_create: %s", strerror(errno)) : 0;
    for (size_t i = 0; i < n && !failed; i++) {
        failed = link_connect(a, transport, buffer, false, &d->connections[i].fd, e);
        if (failed)
            d->connections[i].fd = -1;
        else
            failed = watch(d, i, EPOLL_CTL_ADD, false, e);
    }
    if (failed) drive_close(d);
    return failed;
}

void drive_close(struct drive *d) {
    for (size_t i = 0; i < d->n && d->connections; i++) {
        struct drive_connection *c = &d->connections[i];
        if (c->fd >= 0) close(c->fd);
        replies_free(c->replies);
        mem_free(c->flights);
    }
    if (d->connections && d->epoll >= 0) close(d->epoll);
    mem_free(d->connections);
    *d = (struct drive){.epoll = -1};
}

/* One sendmsg of what is left of the message; *blocked where the socket takes no more. */
static int send_some(struct drive_connection *c, bool *blocked, struct error *e) {
    struct iovec iov[PIECES];
    size_t n = c->sending.n_iov - c->iov_at;
    if (n > PIECES) n = PIECES;
    memcpy(iov, c->sending.iov + c->iov_at, n * sizeof(*iov));
    iov[0].iov_base = (char *)iov[0].iov_base + c->iov_offset;
    iov[0].iov_len -= c->iov_offset;
    struct msghdr header = {.msg_iov = iov, .msg_iovlen = n};
    ssize_t sent = sendmsg(c->fd, &header, MSG_NOSIGNAL);
    *blocked = sent < 0 && (errno == EAGAIN || errno == EINTR);
    if (*blocked) return 0;
    if (sent < 0) return error_set(e, ERROR_ERR, "can't send to the server: %s", strerror(errno));
    size_t left = (size_t)sent;
    size_t i = 0;
    while (i < n && left >= iov[i].iov_len) left -= iov[i++].iov_len;
    c->iov_offset = i ? left : c->iov_offset + left;
    c->iov_at += i;
    if (c->iov_at == c->sending.n_iov) c->is_sending = false;
    return 0;
}

/* Begin the next message, if there is one and room for it in the pipeline. */
static bool begin(struct drive *d, struct drive_source *source, size_t i) {
    struct drive_connection *c = &d->connections[i];
    if (c->in_flight == d->pipeline || c->is_dry) return false;
    if (!source->next(source->context, i, &c->sending)) {
        c->is_dry = true;
        if (!c->in_flight) d->busy--;
        return false;
    }
    struct drive_flight *flight = &c->flights[(c->first + c->in_flight++) % d->pipeline];
    *flight = (struct drive_flight){timing_now_ns(), c->sending.replies};
    c->iov_at = c->iov_offset = 0;
    c->is_sending = true;
    return true;
}

static int advance(struct drive *d, struct drive_source *source, size_t i, struct error *e) {
    struct drive_connection *c = &d->connections[i];
    bool blocked = false;
    while (!blocked && (c->is_sending || begin(d, source, i))) {
        int failed = send_some(c, &blocked, e);
        if (failed) return failed;
    }
    if (blocked == c->wants_write) return 0;
    c->wants_write = blocked;
    return watch(d, i, EPOLL_CTL_MOD, blocked, e);
}

/* Replies have come: messages that have all of theirs are over. */
static int account(struct drive *d, size_t i, struct series *latency_us, struct error *e) {
    struct drive_connection *c = &d->connections[i];
    uint64_t replies = replies_count(c->replies)->replies, fresh = replies - c->seen;
    int64_t now = fresh ? timing_now_ns() : 0;
    c->seen = replies;
    while (fresh) {
        if (!c->in_flight) return error_set(e, ERROR_ERR, "a reply to no request");
        struct drive_flight *flight = &c->flights[c->first];
        uint64_t part = fresh < flight->due ? fresh : flight->due;
        flight->due -= part;
        fresh -= part;
        if (flight->due) break;
        if (latency_us) series_add(latency_us, (double)(now - flight->began_ns) / 1000);
        c->first = (c->first + 1) % d->pipeline;
        if (!--c->in_flight && c->is_dry && !c->is_sending) d->busy--;
    }
    return 0;
}

static int serve(struct drive *d, struct drive_source *source, struct drive_time *time,
                 const struct epoll_event *event, struct error *e) {
    size_t i = event->data.u64;
    struct drive_connection *c = &d->connections[i];
    int failed = 0;
    if (event->events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        failed = replies_fill(c->replies, c->fd, e);
        if (!failed) failed = account(d, i, time->latency_us, e);
    }
    if (!failed && !c->is_dry) failed = advance(d, source, i, e);
    if (!failed && c->is_sending) failed = advance(d, source, i, e);
    return failed;
}

int drive_run(struct drive *d, struct drive_source *source, struct drive_time *time,
              struct error *e) {
    struct epoll_event events[EVENTS];
    int failed = 0;
    d->busy = d->n;
    for (size_t i = 0; i < d->n; i++) d->connections[i].is_dry = false;
    int64_t began = timing_now_ns();
    for (size_t i = 0; i < d->n && !failed; i++) failed = advance(d, source, i, e);
    while (d->busy && !failed) {
        int n = epoll_wait(d->epoll, events, EVENTS, PATIENCE_MS);
        if (n < 0 && errno != EINTR)
            failed = error_set(e, ERROR_ERR, "epoll_wait: %s", strerror(errno));
        else if (!n)
            failed = error_set(e, ERROR_ERR, "no reply for %d seconds", PATIENCE_MS / 1000);
        else
            failed = interrupt_check(e);
        for (int i = 0; i < n && !failed; i++) failed = serve(d, source, time, &events[i], e);
    }
    time->elapsed_ns = timing_now_ns() - began;
    return failed;
}

struct replies_counts drive_counts(const struct drive *d) {
    struct replies_counts sum = {0};
    for (size_t i = 0; i < d->n; i++) {
        const struct replies_counts *one = replies_count(d->connections[i].replies);
        sum.replies += one->replies;
        sum.values += one->values;
        sum.nils += one->nils;
        sum.sum += one->sum;
    }
    return sum;
}
