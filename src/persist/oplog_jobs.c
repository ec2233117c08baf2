/* See oplog_jobs.h. */
#include <limits.h>
#include <stdio.h>

#include "persist/oplog_jobs.h"

void oplog_segment_path(const struct oplog *log, uint64_t number, char out[static PATH_MAX]) {
    char name[SEGMENT_NAME_MAX];
    snprintf(out, PATH_MAX, "%s/%s", log->directory, segment_name(number, name));
}

static int write_header(const struct oplog *log, const char *path, uint64_t number,
                        struct error *e) {
    const struct disk_ops *ops = log->disk->ops;
    char header[SEGMENT_HEADER];
    struct disk_file *file;
    segment_header_pack(log->manifest.log_id, number, header);
    const struct iovec part = {.iov_base = header, .iov_len = sizeof(header)};
    int failed = ops->open(log->disk, path, DISK_CREATE, &file, e);
    if (failed) return failed;
    failed = ops->write(file, &part, 1, e);
    if (!failed) failed = ops->sync(file, e);
    ops->close(file);
    return failed;
}

/* Under its own name it is whole from the first: a manifest whose writing failed late may name it already, when it is made again. */
int oplog_make_segment(const struct oplog *log, uint64_t number, struct disk_file **out,
                       struct error *e) {
    const struct disk_ops *ops = log->disk->ops;
    char path[PATH_MAX], temporary[PATH_MAX + 4];
    oplog_segment_path(log, number, path);
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    int failed = write_header(log, temporary, number, e);
    if (!failed) failed = ops->rename(log->disk, temporary, path, e);
    if (!failed) failed = ops->sync_directory(log->disk, log->directory, e);
    return failed ? failed : ops->open(log->disk, path, DISK_APPEND, out, e);
}

int oplog_sync_file(struct disk_file *file, struct error *e) {
    int failed = file->disk->ops->sync(file, e);
    if (!failed) file->disk->ops->uncache(file);
    return failed;
}

/* ---- in the helper thread ----------------------------------------------------------------- */

static int job_sync(void *context, struct error *e) {
    struct oplog *log = context;
    int failed = 0;
    for (int i = 0; i < 2 && !failed; i++)
        if (log->job_files[i]) failed = oplog_sync_file(log->job_files[i], e);
    return failed;
}

static int job_prepare(void *context, struct error *e) {
    struct oplog *log = context;
    int failed = oplog_make_segment(log, log->job_manifest.last, &log->job_next, e);
    return failed ? failed : manifest_write(log->disk, log->directory, &log->job_manifest, e);
}

static int job_rebase(void *context, struct error *e) {
    struct oplog *log = context;
    int failed = manifest_write(log->disk, log->directory, &log->job_manifest, e);
    if (!failed) manifest_sweep(log->disk, log->directory, &log->job_manifest);
    return failed;
}

/* ---- in the other ------------------------------------------------------------------------- */

void oplog_job_next(struct oplog *log, bool sync_is_due, int64_t now_us) {
    if (sync_is_due) {
        log->job = OPLOG_JOB_SYNC;
        log->job_files[0] = log->before;
        log->job_files[1] = log->file;
        log->job_lsn = log->next_lsn - 1;
        log->sync_began_us = now_us;
        log->job_dirty_us = log->dirty_us;
        log->dirty_us = 0; /* what is written from now on is for the next */
        worker_start(log->worker, job_sync, log);
    } else if (log->wants_next) {
        log->wants_next = false;
        log->job = OPLOG_JOB_PREPARE;
        log->job_manifest = log->manifest;
        log->job_manifest.last++;
        worker_start(log->worker, job_prepare, log);
    } else if (log->wants_base) {
        log->wants_base = false;
        log->job = OPLOG_JOB_REBASE;
        log->job_manifest = log->manifest;
        log->job_manifest.base = log->base;
        log->job_manifest.lsn = log->base_lsn;
        log->job_manifest.first = log->manifest.last;
        worker_start(log->worker, job_rebase, log);
    }
}

void oplog_close_before(struct oplog *log) {
    if (log->before) log->disk->ops->close(log->before);
    log->before = NULL;
}

static int ended_sync(struct oplog *log, int failed) {
    if (failed) return failed;
    log->syncs++;
    log->job_dirty_us = 0;
    if (log->job_lsn > log->synced) log->synced = log->job_lsn;
    if (log->job_files[0] && log->before == log->job_files[0]) oplog_close_before(log);
    return 0;
}

/* A manifest that could not be written is not in force, or is and names one empty segment more: both are whole. */
static void ended_prepare(struct oplog *log, int failed, const struct error *e) {
    log->prepared = failed ? OPLOG_FAILED : OPLOG_PREPARED;
    if (failed) {
        log->prepare_error = *e;
        if (log->job_next) log->disk->ops->close(log->job_next);
    } else {
        log->next = log->job_next;
        log->manifest = log->job_manifest;
    }
    log->job_next = NULL;
}

static void ended_rebase(struct oplog *log, int failed, const struct error *e) {
    log->rebase_ended = true;
    log->rebase_failed = failed;
    if (failed) {
        log->rebase_error = *e;
        return;
    }
    log->manifest = log->job_manifest;
    log->older -= log->older_at_switch;
}

/* Only a sync that fails concerns whoever asks; how the others went is kept. */
static int job_ended(struct oplog *log, int failed, const struct error *why, struct error *e) {
    enum oplog_job job = log->job;
    log->job = OPLOG_JOB_NONE;
    if (job == OPLOG_JOB_PREPARE) ended_prepare(log, failed, why);
    if (job == OPLOG_JOB_REBASE) ended_rebase(log, failed, why);
    if (job != OPLOG_JOB_SYNC) return 0;
    if (failed && e) *e = *why;
    return ended_sync(log, failed);
}

int oplog_job_poll(struct oplog *log, struct error *e) {
    int failed;
    struct error why;
    return worker_poll(log->worker, &failed, &why) ? job_ended(log, failed, &why, e) : 0;
}

int oplog_job_wait(struct oplog *log, struct error *e) {
    int failed;
    struct error why;
    if (!worker_is_busy(log->worker)) return 0;
    worker_wait(log->worker, &failed, &why);
    return job_ended(log, failed, &why, e);
}

/* ---- a new base --------------------------------------------------------------------------- */

void oplog_prepare(struct oplog *log) {
    log->wants_next = true;
    log->prepared = OPLOG_NOT_YET;
    if (!worker_is_busy(log->worker)) oplog_job_next(log, false, 0);
}

enum oplog_prepared oplog_is_prepared(struct oplog *log, struct error *e) {
    if (log->prepared == OPLOG_FAILED && e) *e = log->prepare_error;
    bool one_at_a_time = log->before || worker_is_busy(log->worker);
    return log->prepared == OPLOG_PREPARED && one_at_a_time ? OPLOG_NOT_YET : log->prepared;
}

uint64_t oplog_switch(struct oplog *log, uint64_t *base) {
    log->before = log->file;
    log->disk->ops->truncate(log->before, log->offset, NULL); /* what was reserved behind it goes */
    if (log->synced + 1 >= log->next_lsn) oplog_close_before(log);
    oplog_watch_closed(log);
    log->file = log->next;
    log->number = log->manifest.last;
    log->version = SEGMENT_VERSION;
    log->next = NULL;
    log->prepared = OPLOG_NOT_YET;
    log->older += log->offset;
    log->older_at_switch = log->older;
    log->offset = SEGMENT_HEADER;
    log->reserved = 0;
    *base = log->manifest.last; /* a number of its own: a segment is made once for each base */
    return log->next_lsn;
}

void oplog_rebase(struct oplog *log, uint64_t base, uint64_t lsn) {
    log->base = base;
    log->base_lsn = lsn;
    log->wants_base = true;
    log->rebase_ended = false;
    if (!worker_is_busy(log->worker)) oplog_job_next(log, false, 0);
}

bool oplog_is_rebased(struct oplog *log, int *failed, struct error *e) {
    if (!log->rebase_ended) return false;
    log->rebase_ended = false;
    *failed = log->rebase_failed;
    if (log->rebase_failed && e) *e = log->rebase_error;
    return true;
}
