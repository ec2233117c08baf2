/* What the op log has its helper thread do: sync, make the next segment, put in a new base. For oplog.c alone, whose struct
 * this is. */
#ifndef TQ_PERSIST_OPLOG_JOBS_H
#define TQ_PERSIST_OPLOG_JOBS_H

#include <limits.h>

#include "persist/oplog.h"
#include "persist/oplog_watch.h"
#include "persist/segment.h"
#include "persist/worker.h"

enum oplog_job { OPLOG_JOB_NONE, OPLOG_JOB_SYNC, OPLOG_JOB_PREPARE, OPLOG_JOB_REBASE };

struct oplog {
    struct disk *disk;
    char *directory;
    enum oplog_sync sync;
    struct manifest manifest; /* the newest; with a segment prepared, that is its last */

    struct disk_file *file;    /* the segment that is written */
    struct disk_file *before;  /* the one before, while its end is not synced; or NULL */
    struct disk_file *next;    /* prepared; or NULL */
    uint64_t number;           /* of `file` */
    uint32_t version;          /* of `file` */
    uint64_t offset, reserved; /* in it: where it ends, and how far there is room */
    uint64_t older;            /* bytes of segments before */
    uint64_t next_lsn, synced;
    uint64_t ops_lsn;   /* the last frame with ops in it */
    uint64_t recorded_durable; /* the highest lsn that a frame says to be on the medium */
    int64_t dirty_us;   /* since when are there ops that no sync was begun for; 0: there are none */
    int64_t sync_began_us, written_ms;
    bool room;

    struct iovec *parts; /* of the frame that is written */
    size_t n_parts, parts_capacity;

    struct worker *worker;
    enum oplog_job job;
    /* Of the job that runs. */
    struct disk_file *job_files[2]; /* SYNC: the segment before, or NULL, and the present one */
    uint64_t job_lsn;               /* SYNC: what is safe afterwards */
    int64_t job_dirty_us;           /* SYNC: dirty_us when it began; 0: none runs */
    struct manifest job_manifest;   /* PREPARE, REBASE: what holds afterwards */
    struct disk_file *job_next;     /* PREPARE: the new segment */
    uint64_t older_at_switch;

    bool wants_next, wants_base;
    enum oplog_prepared prepared;
    struct error prepare_error;
    uint64_t base, base_lsn; /* REBASE */
    bool rebase_ended;
    int rebase_failed;
    struct error rebase_error;

    uint64_t frames, syncs, delayed;
    struct oplog_watch watch;
};

void oplog_segment_path(const struct oplog *log, uint64_t number, char out[static PATH_MAX]);

/* A segment without frames, synced, its name too. */
int oplog_make_segment(const struct oplog *log, uint64_t number, struct disk_file **out,
                       struct error *e);

/* Sync it, and let go of the system's copy: a log is read at the next start, not before. */
int oplog_sync_file(struct disk_file *file, struct error *e);

/* See whether the job has ended, or wait until none is left to wait for. Fails where a sync failed. */
int oplog_job_poll(struct oplog *log, struct error *e);
int oplog_job_wait(struct oplog *log, struct error *e);

void oplog_close_before(struct oplog *log);

/* The worker is free: give it what is wanted most. */
void oplog_job_next(struct oplog *log, bool sync_is_due, int64_t now_us);

#endif
