/* What tasks asked for last, for TQ.STATUS. A task that has got no sample yet is in no op, and so
 * not in the store: often it waits for a field that no producer writes.
 *
 * This is memory of the server alone: it is not logged, saved or replicated, and is empty after a
 * start. It holds the ASKS_TASKS tasks of each existing partition that asked last, and of each list
 * of fields what fits into ASKS_BYTES. It counts as memory; when maxmemory is reached nothing new
 * is remembered. */
#ifndef TQ_SERVER_ASKS_H
#define TQ_SERVER_ASKS_H

#include <stddef.h>

#include "base/span.h"

struct asks;
struct server;

enum {
    ASKS_TASKS = 64,
    ASKS_BYTES = 4096, /* of names, a NUL in front of each */
};

struct asks *asks_new(struct server *s); /* and listens to changes */
void asks_free(struct asks *asks);

/* A task asked for samples of the partition with these fields. Nothing is kept where there is no
 * such partition. */
void asks_note(struct server *s, struct span partition, struct span task, const struct span *fields,
               size_t n_fields);

/* Call `visit` for each task, the last to ask first. `fields` are names, a NUL in front of each. */
void asks_each(const struct server *s, struct span partition,
               void (*visit)(void *context, struct span task, struct span fields), void *context);

#endif
