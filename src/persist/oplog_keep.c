/* See oplog.h: snapshots that the log keeps. */
#include <limits.h>
#include <stdio.h>

#include "persist/oplog_jobs.h"

int oplog_keep(struct oplog *log, const char *directory, const char *name,
               const struct snapshot *snapshot, char source[static OPLOG_SOURCE_MAX],
               struct error *e) {
    struct disk *disk = log->disk;
    char own[SEGMENT_NAME_MAX], kept[PATH_MAX], from[PATH_MAX], to[2 * PATH_MAX];
    /* One of its own: checkpoints' files may have had the same name, one after the other. */
    for (uint64_t nth = 1;; nth++) {
        snprintf(kept, sizeof(kept), "%s/%s", log->directory,
                 segment_directory(log->number, nth, own));
        if (!disk->ops->exists(disk, kept)) break;
    }
    snprintf(source, OPLOG_SOURCE_MAX, "%s/%s", own, name);
    int failed = disk->ops->make_directory(disk, kept, e);
    for (size_t i = 0; !failed && name; name = snapshot_file(snapshot, i++)) {
        snprintf(from, sizeof(from), "%s/%s", directory, name);
        snprintf(to, sizeof(to), "%s/%s", kept, name);
        failed = disk->ops->link(disk, from, to, e);
    }
    if (!failed) failed = disk->ops->sync_directory(disk, kept, e);
    return failed ? failed : disk->ops->sync_directory(disk, log->directory, e);
}
