/* The start: what is on disk becomes the store.
 *
 * With a log that is its base and its segments, else the snapshot `dbfilename`, if there is one.
 * Loading goes on in slices between other work: clients may connect, and get -LOADING; INFO shows
 * the progress. A torn tail of the log is cut off and the log of the server says how much that was;
 * any other damage ends the start and names file, offset and reason. */
#ifndef TQ_SERVER_LOADING_H
#define TQ_SERVER_LOADING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct server;

/* Where there is nothing to load the store is complete, and empty, when this returns; else s->persistence.loading is set until it is. */
int loading_begin(struct server *s, struct error *e);

struct loading_progress {
    int64_t began_s;      /* wall clock */
    uint64_t done, total; /* bytes */
};
void loading_progress(const struct server *s, struct loading_progress *out);

/* Give up, if it goes on. */
void loading_end(struct server *s);

#endif
