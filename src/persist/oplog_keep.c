/* See oplog.h: snapshots that the log keeps. */
#include <limits.h>
#include <stdio.h>

#include "persist/oplog_jobs.h"

/* A file of that name is left from an op that was not logged after all: the name may mean another file by now. */
static int keep_file(struct disk *disk, const char *from, const char *to, struct error *e) {
    int failed = disk->ops->exists(disk, to) ? disk->ops->remove(disk, to, e) : 0;
    return failed ? failed : disk->ops->link(disk, from, to, e);
}

/* Names of checkpoints' files are given again when the newest are forgotten. So each frame has a directory of its own. */
int oplog_keep(struct oplog *log, const char *directory, const char *name,
               const struct snapshot *snapshot, char source[static OPLOG_SOURCE_MAX],
               struct error *e) {
    struct disk *disk = log->disk;
    char own[SEGMENT_NAME_MAX], kept[PATH_MAX], from[PATH_MAX], to[2 * PATH_MAX];
    segment_directory(log->number, log->next_lsn, own);
    snprintf(kept, sizeof(kept), "%s/%s", log->directory, own);
    snprintf(source, OPLOG_SOURCE_MAX, "%s/%s", own, name);
    int failed = disk->ops->make_directory(disk, kept, e);
    for (size_t i = 0; !failed && name; name = snapshot_file(snapshot, i++)) {
        snprintf(from, sizeof(from), "%s/%s", directory, name);
        snprintf(to, sizeof(to), "%s/%s", kept, name);
        failed = keep_file(disk, from, to, e);
        snprintf(to, sizeof(to), "%s/%s", own, name);
        if (!failed) oplog_watch_kept(log, log->number, to);
    }
    if (!failed) failed = disk->ops->sync_directory(disk, kept, e);
    return failed ? failed : disk->ops->sync_directory(disk, log->directory, e);
}
