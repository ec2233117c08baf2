/* Directories for what this run leaves lying about: sockets and logs of the servers it starts, and
 * what servers keep on disk. */
#ifndef TQ_BENCHMARK_WORKDIR_H
#define TQ_BENCHMARK_WORKDIR_H

#include <stddef.h>

#include "base/error.h"

enum { WORKDIR_PATH_MAX = 64, WORKDIR_FILES_MAX = 512 };

struct workdir {
    char path[WORKDIR_PATH_MAX]; /* short, since sockets live in it; empty: none */
};

/* Make one under $TMPDIR (where its name is short enough for a socket's path) or /tmp. */
int workdir_make(struct workdir *w, struct error *e);

/* Remove it with all that is in it. */
void workdir_remove(struct workdir *w);

/* A directory for files that are to lie on some disk: made in `base`, into `out` of
 * WORKDIR_FILES_MAX bytes, empty after a failure. */
int workdir_make_files(const char *base, char *out, struct error *e);

/* A directory with all that is in it; one that does not exist is allowed. */
void workdir_remove_tree(const char *path);

#endif
