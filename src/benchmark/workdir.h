/* A directory for what this run leaves lying about: sockets and logs of the servers it starts. */
#ifndef TQ_BENCHMARK_WORKDIR_H
#define TQ_BENCHMARK_WORKDIR_H

#include <stddef.h>

#include "base/error.h"

enum { WORKDIR_PATH_MAX = 64 };

struct workdir {
    char path[WORKDIR_PATH_MAX]; /* short, since sockets live in it; empty: none */
};

/* Make one under $TMPDIR (where its name is short enough for a socket's path) or /tmp. */
int workdir_make(struct workdir *w, struct error *e);

/* Remove it with all that is in it. */
void workdir_remove(struct workdir *w);

#endif
