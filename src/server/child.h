/* A child process: what writes snapshots.
 *
 * A fork sees the store as it is at that moment. Payload is memory shared by both, whose frees the
 * parent defers (arena_defer_frees): what was published does not change, and what is given back
 * meanwhile is not used again. So a fork copies page tables of small things only, and no payload is
 * copied while the child writes. The child has no connection and no thread but its own, does its
 * one job, reports its progress, and ends; when the server dies, so does it. There is one at a
 * time. */
#ifndef TQ_SERVER_CHILD_H
#define TQ_SERVER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event_struct.h>

#include "base/error.h"

struct server;

struct child_job {
    const char *name; /* "background save": for the log */
    /* In the child. */
    int (*run)(struct server *s, void *context, struct error *e);
    /* In the server, when it is over: 0, or why it failed. */
    void (*ended)(struct server *s, void *context, int failed, const struct error *why);
};

struct child {
    pid_t pid; /* 0: there is none */
    const struct child_job *job;
    void *context;
    int pipe; /* -1: none */
    bool is_child;
    struct event readable;
    int64_t started_us, fork_us; /* how long the fork took */
    uint64_t done, total;        /* bytes, as it reports */
    char said[ERROR_TEXT_MAX + 64]; /* what was read of its messages and is not used yet */
    size_t said_len;
    struct error error; /* that it reported */
};

void child_init(struct server *s);

static inline bool child_is_running(const struct child *child) {
    return child->pid != 0;
}

/* ERROR_ERR where the system can't fork. The context lives until `ended`. */
int child_start(struct server *s, const struct child_job *job, void *context, struct error *e);

/* In the child: so much of the work is done. */
void child_progress(struct server *s, uint64_t done, uint64_t total);

/* End it now, if there is one; `ended` is called with an error. */
void child_kill(struct server *s);

#endif
