/* What is known of the files that a start would read: the base, the segments, the snapshots that
 * ops speak of. Files that are removed, replaced or cut short under a running process are noticed
 * by comparing device, inode and size; their content is not read, but for the manifest's. For
 * oplog*.c alone. */
#ifndef TQ_PERSIST_OPLOG_WATCH_H
#define TQ_PERSIST_OPLOG_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "persist/disk.h"

struct oplog;

struct oplog_kept {
    char *name;      /* in the log's directory, such as "log.000007.123.d/000001.tqs" */
    uint64_t number; /* of the segment whose op speaks of it */
    struct disk_identity seen;
};

/* An identity whose inode is 0 is not known yet. */
struct oplog_watch {
    uint64_t base; /* its number; 0: none */
    struct disk_identity base_seen;
    uint64_t first; /* the number of segments[0] */
    struct disk_identity *segments;
    size_t n_segments, segments_capacity;
    struct oplog_kept *kept;
    size_t n_kept, kept_capacity;
    uint64_t next_segment; /* where more are to be looked at than at a time */
    size_t next_kept;
};

void oplog_watch_free(struct oplog_watch *w);

/* The log goes on with what is in its directory: notes the snapshots there. */
int oplog_watch_begin(struct oplog *log, struct error *e);

/* A snapshot was put there, for an op in the segment of that number. */
void oplog_watch_kept(struct oplog *log, uint64_t number, const char *name);

/* No more is written to the open segment. */
void oplog_watch_closed(struct oplog *log);

#endif
