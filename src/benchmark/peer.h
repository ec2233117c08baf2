/* A server to measure: one that runs already, or one that this run starts and stops.
 *
 * Those that it starts get a free port and a socket in the run's directory. Cold figures need them:
 * a server is cold once. */
#ifndef TQ_BENCHMARK_PEER_H
#define TQ_BENCHMARK_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "benchmark/control.h"
#include "benchmark/link.h"
#include "benchmark/workdir.h"

enum peer_kind { PEER_TQ, PEER_REDIS };

struct peer {
    enum peer_kind kind;
    const char *program;    /* NULL: it runs already, at `address` */
    char *const *arguments; /* more options for the program, NULL-terminated; or NULL */
    const struct workdir *workdir;
    const char *files; /* the directory in which its own, empty at each start, is made */
    struct link_address address;
    struct control control; /* open while it runs */
    pid_t pid;              /* 0: not on this machine */
    bool running;
};

/* Start it, without data, or connect to the one that runs; sets its pid. On failure nothing
 * runs. */
int peer_start(struct peer *p, struct error *e);

/* Close the connection; stop what was started and wait for its end. */
void peer_stop(struct peer *p);

/* A fresh process. Only for peers of this run's own. */
int peer_restart(struct peer *p, struct error *e);

/* Bytes that the server says it uses (INFO memory). */
int peer_used_memory(struct peer *p, int64_t *out, struct error *e);

/* Where a program is, by PATH as execvp would search it; false where it is nowhere. */
bool peer_find_program(const char *name, char *out, size_t size);

#endif
