/* A file that is written, and nothing else: the peer of servers that keep a log.
 *
 * What a log adds to a server's work can't be less than one more copy of its bytes, into the
 * system's cache of a file. A plain loop of writes into a file of the same directory is that, and
 * `both` is what one after the other would take: the server without a log, then that loop. */
#ifndef TQ_BENCHMARK_FILE_PEER_H
#define TQ_BENCHMARK_FILE_PEER_H

#include <stdbool.h>
#include <sys/uio.h>

#include "benchmark/measure.h"
#include "benchmark/scenario.h"

struct file_peer {
    char path[WORKDIR_FILES_MAX + 32];
    bool sync;
    struct measure_peer measure;
};

/* With `sync` the writing ends with a sync, as a log's does once a second: what the disk can do.
 * `name` is unique in the run, and the report's. Ends with measure_free of its measure. */
void file_peer_make(struct file_peer *p, const struct bench *b, const char *name, bool sync);

/* Write the pieces, each in one call if the system likes, so many times, as a round of so many
 * waves. The file is new, and gone after, so that the system forgets what it has not written
 * back. */
int file_peer_round(struct file_peer *p, const struct iovec *pieces, size_t n, uint64_t times,
                    const struct measure_wave *wave, size_t waves, struct error *e);

/* Add to *both the round that `without` and *p have just had, one after the other. */
void file_peer_add_both(struct measure_peer *both, const struct measure_peer *without,
                        const struct file_peer *p, const struct measure_wave *wave, size_t waves);

#endif
