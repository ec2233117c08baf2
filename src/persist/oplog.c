/* See oplog.h. The jobs of the helper thread are in oplog_jobs.c. */
#include "persist/oplog.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "persist/oplog_jobs.h"

enum {
    RESERVE_STEP = 16 * 1024 * 1024, /* room is asked for in pieces of that */
    SYNC_EVERY_US = 1000 * 1000,
    SYNC_LATE_US = 2 * SYNC_EVERY_US,
    HEARTBEAT_MS = 1000,
};

/* ---- life --------------------------------------------------------------------------------- */

/* NULL where no helper thread can be started. */
static struct oplog *oplog_new(const struct oplog_options *options, struct error *e) {
    struct worker *worker = worker_new(options->threadless, e);
    if (!worker) return NULL;
    struct oplog *log = mem_calloc(1, sizeof(*log));
    log->disk = options->disk;
    log->directory = mem_dup(options->directory, strlen(options->directory) + 1);
    log->sync = options->sync;
    log->worker = worker;
    log->room = true;
    return log;
}

uint64_t oplog_id(const struct oplog *log) {
    return log->manifest.log_id;
}

void oplog_abandon(struct oplog *log) {
    worker_free(log->worker);
    struct disk_file *files[] = {log->file, log->before, log->next};
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        if (files[i]) log->disk->ops->close(files[i]);
    oplog_watch_free(&log->watch);
    mem_free(log->parts);
    mem_free(log->directory);
    mem_free(log);
}

static uint64_t new_log_id(void) {
    uint64_t id;
    hash_random(&id, sizeof(id));
    return id ? id : 1;
}

/* A log of one segment, which is made. */
static int oplog_first(struct oplog *log, uint64_t number, uint64_t base, struct error *e) {
    log->manifest = (struct manifest){
        .log_id = new_log_id(), .base = base, .lsn = 1, .first = number, .last = number};
    log->next_lsn = 1;
    log->number = number;
    log->version = SEGMENT_VERSION;
    log->offset = SEGMENT_HEADER;
    return oplog_make_segment(log, number, &log->file, e);
}

static int oplog_made(struct oplog *log, int failed, struct oplog **out) {
    log->watch.first = log->manifest.first;
    if (failed)
        oplog_abandon(log);
    else
        *out = log;
    return failed;
}

int oplog_create(const struct oplog_options *options, struct oplog **out, struct error *e) {
    struct oplog *log = oplog_new(options, e);
    struct disk *disk = options->disk;
    if (!log) return ERROR_ERR;
    int failed = disk->ops->make_directory(disk, log->directory, e);
    if (!failed) failed = oplog_first(log, 1, options->base, e);
    if (!failed) failed = manifest_write(disk, log->directory, &log->manifest, e);
    if (!failed) failed = disk_sync_parent(disk, log->directory, e);
    return oplog_made(log, failed, out);
}

int oplog_begin(const struct oplog_options *options, uint64_t *base, struct oplog **out,
                struct error *e) {
    struct oplog *log = oplog_new(options, e);
    if (!log) return ERROR_ERR;
    int failed = manifest_number(log->disk, log->directory, base, e);
    if (!failed) failed = oplog_first(log, *base, 0, e);
    return oplog_made(log, failed, out);
}

int oplog_continue(const struct oplog_options *options, const struct manifest *manifest,
                   uint64_t next_lsn, struct oplog **out, struct error *e) {
    struct oplog *log = oplog_new(options, e);
    char path[PATH_MAX];
    if (!log) return ERROR_ERR;
    log->manifest = *manifest;
    log->next_lsn = next_lsn;
    log->synced = next_lsn - 1;  /* recovery has seen to that … */
    log->ops_lsn = next_lsn - 1; /* … and the next frame, with ops or without, is to say so */
    log->number = manifest->last;
    oplog_segment_path(log, log->number, path);
    int failed = segment_version(log->disk, path, &log->version, e);
    for (uint64_t n = manifest->first; !failed && n <= manifest->last; n++) {
        uint64_t size;
        if (log->file) log->disk->ops->close(log->file);
        log->file = NULL;
        oplog_segment_path(log, n, path);
        failed = log->disk->ops->open(log->disk, path, DISK_APPEND, &log->file, e);
        if (!failed) failed = log->disk->ops->size(log->file, &size, e);
        if (failed) break;
        log->older += n < manifest->last ? size : 0;
        log->offset = size;
    }
    if (!failed) failed = oplog_watch_begin(log, e);
    return oplog_made(log, failed, out);
}

void oplog_set_sync(struct oplog *log, enum oplog_sync sync) {
    log->sync = sync;
}

const struct manifest *oplog_manifest(const struct oplog *log) {
    return &log->manifest;
}

uint64_t oplog_segment(const struct oplog *log) {
    return log->number;
}

void oplog_stats(const struct oplog *log, struct oplog_stats *out) {
    *out = (struct oplog_stats){
        .bytes = log->older + log->offset,
        .lsn = log->next_lsn - 1,
        .synced = log->synced,
        .frames = log->frames,
        .syncs = log->syncs,
        .delayed = log->delayed,
        .sync_runs = log->job == OPLOG_JOB_SYNC,
        .room = log->room,
    };
}

/* ---- room --------------------------------------------------------------------------------- */

int oplog_reserve(struct oplog *log, uint64_t bytes, struct error *e) {
    uint64_t end = log->offset + frame_header_len(log->version) + bytes;
    const struct disk_ops *ops = log->disk->ops;
    if (end <= log->reserved) return 0;
    uint64_t ahead = end + RESERVE_STEP;
    int failed = ops->reserve(log->file, ahead, NULL);
    if (failed) failed = ops->reserve(log->file, ahead = end, e);
    log->room = !failed;
    if (failed) return e ? e->code = ERROR_MISCONF : ERROR_MISCONF;
    log->reserved = ahead;
    return 0;
}

/* ---- frames ------------------------------------------------------------------------------- */

static void part_add(struct oplog *log, const void *bytes, size_t len) {
    log->parts[log->n_parts++] = (struct iovec){.iov_base = (void *)bytes, .iov_len = len};
}

static int frame_write(struct oplog *log, const struct turn_frame *ops, int64_t now_us,
                       struct error *e) {
    char header[FRAME_HEADER];
    const struct frame frame = {.lsn = log->next_lsn,
                                .durable = log->synced,
                                .now_ms = ops->now_ms,
                                .length = ops->length,
                                .body_sum = ops->sum};
    const struct segment_place place = {log->version, log->manifest.log_id, log->number,
                                        log->offset};
    frame_pack(&frame, &place, header);
    log->parts = mem_grow(log->parts, &log->parts_capacity, ops->n_parts + 1, sizeof(*log->parts));
    log->n_parts = 0;
    part_add(log, header, frame_header_len(log->version));
    for (size_t i = 0; i < ops->n_parts; i++)
        part_add(log, ops->parts[i].iov_base, ops->parts[i].iov_len);
    int failed = log->disk->ops->write(log->file, log->parts, log->n_parts, e);
    if (failed) return failed;
    log->offset += frame_header_len(log->version) + frame.length;
    log->next_lsn++;
    log->frames++;
    log->written_ms = frame.now_ms;
    log->recorded_durable = frame.durable;
    if (!frame.length) return 0; /* nobody's data depends on it */
    log->ops_lsn = frame.lsn;
    if (!log->dirty_us) log->dirty_us = now_us;
    return 0;
}

/* With `always` nothing goes out before it is on the medium. */
static int sync_now(struct oplog *log, struct error *e) {
    int failed = log->before ? oplog_sync_file(log->before, e) : 0;
    if (!failed) failed = oplog_sync_file(log->file, e);
    if (failed) return failed;
    oplog_close_before(log);
    log->syncs++;
    log->synced = log->next_lsn - 1;
    log->dirty_us = 0;
    return 0;
}

int oplog_write(struct oplog *log, const struct turn_frame *frame, int64_t now_us,
                struct error *e) {
    bool late = log->job_dirty_us && now_us - log->job_dirty_us > SYNC_LATE_US;
    if (late && log->sync == OPLOG_EVERYSEC) {
        int failed = oplog_job_wait(log, e);
        log->delayed++;
        if (failed) return failed;
    }
    int failed = frame_write(log, frame, now_us, e);
    bool shared = log->before || log->job == OPLOG_JOB_SYNC; /* the helper may be at these files */
    if (!failed && log->sync == OPLOG_ALWAYS && shared) failed = oplog_job_wait(log, e);
    if (!failed && log->sync == OPLOG_ALWAYS) failed = sync_now(log, e);
    return failed;
}

/* ---- now and then ------------------------------------------------------------------------- */

/* A frame without ops: it has the time, and says that what stands before it is safe. */
static int frame_write_empty(struct oplog *log, int64_t now_us, int64_t now_ms, struct error *e) {
    if (oplog_reserve(log, 0, NULL)) return 0; /* there is no room, and no need */
    const struct turn_frame empty = {.now_ms = now_ms, .sum = checksum64(SPAN_LITERAL(""))};
    return frame_write(log, &empty, now_us, e);
}

int oplog_tick(struct oplog *log, int64_t now_us, struct error *e) {
    int failed = oplog_job_poll(log, e);
    if (failed) return failed;
    /* However it syncs: what stands in another segment than the frames to come must not be in doubt for long. */
    bool wanted = log->before || (log->sync == OPLOG_EVERYSEC && log->dirty_us);
    bool due = wanted && now_us - log->sync_began_us >= SYNC_EVERY_US;
    if (!worker_is_busy(log->worker)) oplog_job_next(log, due, now_us);
    return 0;
}

int oplog_record_durable(struct oplog *log, int64_t now_us, int64_t now_ms, bool heartbeat,
                         struct error *e) {
    bool unrecorded = log->synced >= log->ops_lsn && log->recorded_durable < log->ops_lsn;
    bool is_old = heartbeat && now_ms - log->written_ms >= HEARTBEAT_MS;
    return unrecorded || is_old ? frame_write_empty(log, now_us, now_ms, e) : 0;
}

int oplog_close(struct oplog *log, struct error *e) {
    int failed = oplog_job_wait(log, e);
    if (!failed) failed = sync_now(log, e);
    if (!failed && log->next_lsn > 1) failed = frame_write_empty(log, 0, log->written_ms, e);
    if (!failed) failed = log->disk->ops->truncate(log->file, log->offset, e);
    if (!failed) failed = sync_now(log, e);
    oplog_abandon(log);
    return failed;
}
