/* A server to measure: one that runs already, or one that this run starts and stops.
 *
 * Its own ones get a free port and a socket in the run's directory, and nothing else on the
 * machine knows of them. Being able to start one is what makes cold figures possible: a server
 * is cold once. */
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
    const char *const *own; /* and those of the scenario, likewise */
    const char *name;       /* of its socket and log in the workdir; NULL: as its kind */
    const struct workdir *workdir;
    struct link_address address;
    struct control control; /* open while it runs */
    pid_t pid;              /* 0: not on this machine */
    bool running;
};

/* Start it, or connect to the one that runs, and know its pid. It may take its time to load what it
 * kept. On failure nothing runs. */
int peer_start(struct peer *p, struct error *e);

/* Close the connection; stop what was started and wait for its end. */
void peer_stop(struct peer *p);

/* A fresh process. Only for peers of this run's own. */
int peer_restart(struct peer *p, struct error *e);

/* Where what it says goes, into `out` of PEER_LOG_MAX bytes. */
enum { PEER_LOG_MAX = WORKDIR_PATH_MAX + 32 };
void peer_log_path(const struct peer *p, char *out);

/* Bytes that the server says it uses (INFO memory). */
int peer_used_memory(struct peer *p, int64_t *out, struct error *e);

/* Where a program is, by PATH as execvp would search it; false where it is nowhere. */
bool peer_find_program(const char *name, char *out, size_t size);

#endif
