/* See rawpeer.h. */
#include "benchmark/rawpeer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "benchmark/interrupt.h"
#include "benchmark/memory.h"

struct raw_connection {
    int fd;
    char *memory;     /* of `pipeline` requests */
    size_t slot;      /* the request on its way is the slot-th */
    size_t got, sent; /* of the request, of the reply */
    bool replying;
};

struct raw {
    const struct rawpeer_plan *plan;
    struct memory in, reply;
    size_t reply_bytes;
    struct raw_connection *connections;
    int flags; /* of recv and send */
};

/* One system call. */
static void step(const struct raw *r, struct raw_connection *c) {
    const struct rawpeer_plan *plan = r->plan;
    ssize_t n;
    if (c->replying) {
        n = send(c->fd, r->reply.bytes + c->sent, r->reply_bytes - c->sent,
                 r->flags | MSG_NOSIGNAL);
    } else {
        char *place = c->memory + c->slot * plan->request_bytes + c->got;
        n = recv(c->fd, place, plan->request_bytes - c->got, r->flags);
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0 && errno != ECONNRESET && errno != EPIPE)
        fprintf(stderr, "tq-benchmark: the raw peer: %s\n", strerror(errno));
    if (n <= 0) _exit(0); /* the benchmark is done with this peer */
    if (c->replying && (c->sent += (size_t)n) == r->reply_bytes) {
        c->replying = false;
        c->got = 0;
        c->slot = (c->slot + 1) % plan->pipeline;
    } else if (!c->replying && (c->got += (size_t)n) == plan->request_bytes) {
        c->replying = true;
        c->sent = 0;
    }
}

/* A single connection is served as simply as can be: by calls that block. */
static void serve(const struct raw *r) {
    size_t n = r->plan->connections;
    if (n == 1)
        for (;;) step(r, r->connections);
    struct pollfd *waits = mem_calloc(n, sizeof(*waits));
    for (size_t i = 0; i < n; i++) waits[i] = (struct pollfd){r->connections[i].fd, POLLIN, 0};
    for (;;) {
        if (poll(waits, n, -1) < 0 && errno != EINTR) _exit(1);
        for (size_t i = 0; i < n; i++) {
            if (!waits[i].revents) continue;
            step(r, &r->connections[i]);
            waits[i].events = r->connections[i].replying ? POLLOUT : POLLIN;
        }
    }
}

/* All of the reply in one run. */
static void flatten(struct reply *reply, char *out) {
    while (reply->pending) {
        struct iovec piece;
        reply_peek(reply, &piece, 1);
        memcpy(out, piece.iov_base, piece.iov_len);
        out += piece.iov_len;
        reply_sent(reply, piece.iov_len);
    }
}

static void prepare(struct raw *r) {
    const struct rawpeer_plan *plan = r->plan;
    struct error e;
    size_t each = plan->pipeline * plan->request_bytes;
    r->reply_bytes = plan->reply->pending;
    if (memory_map(&r->in, plan->connections * each, !plan->fresh, &e) ||
        memory_map(&r->reply, r->reply_bytes, true, &e)) {
        fprintf(stderr, "tq-benchmark: the raw peer: %s\n", e.text);
        _exit(1);
    }
    flatten(plan->reply, r->reply.bytes);
    r->connections = mem_calloc(plan->connections, sizeof(*r->connections));
    for (size_t i = 0; i < plan->connections; i++)
        r->connections[i].memory = r->in.bytes + i * each;
    r->flags = plan->connections == 1 ? 0 : MSG_DONTWAIT;
}

/* The child's life. Only the descriptors that it uses stay open, so that connections
 * of other peers end when the benchmark closes them. */
static void live(const struct rawpeer_plan *plan, int listener, int ready, pid_t parent) {
    struct raw r = {.plan = plan};
    interrupt_reset();
    setpgid(0, 0); /* signals to the group are the benchmark's, which then stops this */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    listener = fcntl(listener, F_DUPFD, 5);
    ready = fcntl(ready, F_DUPFD, 5);
    if (dup2(listener, 3) < 0 || dup2(ready, 4) < 0) _exit(1);
    close_range(5, ~0u, 0);
    prepare(&r);
    if (write(4, "", 1) != 1) _exit(1);
    for (size_t i = 0; i < plan->connections; i++) {
        r.connections[i].fd = accept(3, NULL, NULL);
        if (r.connections[i].fd < 0) _exit(1);
    }
    serve(&r);
}

int rawpeer_start(struct rawpeer *r, const struct rawpeer_plan *plan, const char *path,
                  struct error *e) {
    int listener, ready[2];
    *r = (struct rawpeer){0};
    if (plan->transport == LINK_UNIX)
        snprintf(r->address.path, sizeof(r->address.path), "%s", path);
    if (pipe(ready)) return error_set(e, ERROR_ERR, "pipe: %s", strerror(errno));
    int failed = link_listen(&r->address, plan->transport, plan->buffer, &listener, e);
    if (failed) {
        close(ready[0]);
        close(ready[1]);
        return failed;
    }
    pid_t parent = getpid();
    r->pid = fork();
    if (!r->pid) live(plan, listener, ready[1], parent);
    close(ready[1]);
    close(listener);
    char byte;
    if (r->pid < 0)
        failed = error_set(e, ERROR_ERR, "fork: %s", strerror(errno));
    else if (read(ready[0], &byte, 1) != 1)
        failed = error_set(e, ERROR_ERR, "the raw peer did not start");
    close(ready[0]);
    if (r->pid < 0) r->pid = 0;
    if (failed) rawpeer_stop(r);
    return failed;
}

void rawpeer_stop(struct rawpeer *r) {
    if (r->pid) {
        kill(r->pid, SIGKILL);
        while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR) continue;
    }
    if (*r->address.path) unlink(r->address.path);
    *r = (struct rawpeer){0};
}
