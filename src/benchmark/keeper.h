/* A server of this run's own that keeps something on disk: a peer with a directory.
 *
 * The directory lies where --dir says, and goes with the keeper. Logs are not rewritten by
 * themselves, and nobody saves unasked: a scenario says when. tq and Redis have the same words for
 * all of it. */
#ifndef TQ_BENCHMARK_KEEPER_H
#define TQ_BENCHMARK_KEEPER_H

#include "benchmark/peer.h"
#include "benchmark/scenario.h"

enum { KEEPER_WORDS = 16 };

struct keeper {
    struct peer peer;
    char directory[WORKDIR_FILES_MAX + 32];
    const char *words[KEEPER_WORDS]; /* options, NULL-terminated */
};

/* *k stays where it is. `name` is unique in the run. `sync`, in appendfsync's words: it keeps a log; NULL: it does not.
 * Nothing runs yet, and the directory is there. */
int keeper_make(struct keeper *k, const struct bench *b, enum peer_kind kind, const char *name,
                const char *sync, struct error *e);

/* Stop it and remove the directory. Zeroed it is no harm. */
void keeper_end(struct keeper *k);

/* Drop all data, and all of the log with it. */
int keeper_empty(struct keeper *k, struct error *e);

/* Have all that it keeps in the system's cache. */
void keeper_warm(const struct keeper *k);

/* The length of a file in its directory; 0 where there is none. */
uint64_t keeper_file_bytes(const struct keeper *k, const char *name);

/* Remove a file of its directory, if it is there. */
void keeper_remove(const struct keeper *k, const char *name);

#endif
