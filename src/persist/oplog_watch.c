/* See oplog.h: are the files that a start would read there? */
#include "persist/oplog_watch.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "persist/oplog_jobs.h"

enum { LOOKS_MAX = 256 }; /* of each kind, at a time: in turn where there are more */

void oplog_watch_free(struct oplog_watch *w) {
    for (size_t i = 0; i < w->n_kept; i++) mem_free(w->kept[i].name);
    mem_free(w->kept);
    mem_free(w->segments);
}

/* ---- what is expected --------------------------------------------------------------------- */

void oplog_watch_kept(struct oplog *log, uint64_t number, const char *name) {
    struct oplog_watch *w = &log->watch;
    size_t i = 0;
    while (i < w->n_kept && strcmp(w->kept[i].name, name) != 0) i++;
    if (i == w->n_kept) {
        w->kept = mem_grow(w->kept, &w->kept_capacity, w->n_kept + 1, sizeof(*w->kept));
        w->kept[w->n_kept++] = (struct oplog_kept){.name = mem_dup(name, strlen(name) + 1)};
    }
    w->kept[i].number = number;
    w->kept[i].seen = (struct disk_identity){0};
}

static void watch_found(void *context, uint64_t number, const char *name) {
    oplog_watch_kept(context, number, name);
}

int oplog_watch_begin(struct oplog *log, struct error *e) {
    return manifest_list_kept(log->disk, log->directory, &log->manifest, watch_found, log, e);
}

/* The place of a segment's identity, which may not be known yet. */
static struct disk_identity *watch_segment(struct oplog_watch *w, uint64_t number) {
    size_t n = (size_t)(number - w->first) + 1;
    w->segments = mem_grow(w->segments, &w->segments_capacity, n, sizeof(*w->segments));
    while (w->n_segments < n) w->segments[w->n_segments++] = (struct disk_identity){0};
    return &w->segments[n - 1];
}

/* Files that the manifest does not name any more are not looked at. */
static void watch_move(struct oplog_watch *w, const struct manifest *m) {
    size_t gone = m->first > w->first ? (size_t)(m->first - w->first) : 0, n = 0;
    if (gone > w->n_segments || m->first < w->first) gone = w->n_segments;
    w->n_segments -= gone;
    if (w->n_segments)
        memmove(w->segments, w->segments + gone, w->n_segments * sizeof(*w->segments));
    w->first = m->first;
    if (w->base != m->base) w->base_seen = (struct disk_identity){0};
    w->base = m->base;
    for (size_t i = 0; i < w->n_kept; i++) {
        if (w->kept[i].number < m->first)
            mem_free(w->kept[i].name);
        else
            w->kept[n++] = w->kept[i];
    }
    w->n_kept = n;
}

void oplog_watch_closed(struct oplog *log) {
    struct oplog_watch *w = &log->watch;
    char path[PATH_MAX];
    if (log->number < w->first) return;
    struct disk_identity *seen = watch_segment(w, log->number);
    oplog_segment_path(log, log->number, path);
    if (log->disk->ops->look(log->disk, path, seen)) seen->size = log->offset;
}

/* ---- what is there ------------------------------------------------------------------------ */

/* A file that is seen for the first time is expected from then on. */
static bool watch_file(const struct oplog *log, const char *name, struct disk_identity *seen,
                       struct error *e) {
    char path[2 * PATH_MAX];
    struct disk_identity now;
    snprintf(path, sizeof(path), "%s/%s", log->directory, name);
    bool there = log->disk->ops->look(log->disk, path, &now);
    if (there && !seen->inode) *seen = now;
    if (!there || now.device != seen->device || now.inode != seen->inode)
        error_set(e, ERROR_MISCONF, "'%s' was removed or replaced", path);
    else if (now.size < seen->size)
        error_set(e, ERROR_MISCONF, "'%s' was cut short", path);
    else
        return true;
    return false;
}

static bool watch_segments(struct oplog *log, const struct manifest *m, struct error *e) {
    struct oplog_watch *w = &log->watch;
    uint64_t n = m->last - m->first + 1;
    for (uint64_t i = 0; i < n && i < LOOKS_MAX; i++) {
        uint64_t number = m->first + (n > LOOKS_MAX ? w->next_segment++ % n : i);
        char name[SEGMENT_NAME_MAX];
        segment_name(number, name);
        if (number == log->number) continue;
        /* One that is to come may be made again, if it took a second try to have it named. */
        struct disk_identity any = {0};
        bool to_come = number > log->number;
        if (!watch_file(log, name, to_come ? &any : watch_segment(w, number), e)) return false;
    }
    return true;
}

static bool watch_all_kept(struct oplog *log, struct error *e) {
    struct oplog_watch *w = &log->watch;
    for (size_t i = 0; i < w->n_kept && i < LOOKS_MAX; i++) {
        size_t at = w->n_kept > LOOKS_MAX ? w->next_kept++ % w->n_kept : i;
        if (!watch_file(log, w->kept[at].name, &w->kept[at].seen, e)) return false;
    }
    return true;
}

/* The one that is written: its name has to stand for the file that is open. */
static bool watch_open_segment(const struct oplog *log, struct error *e) {
    char path[PATH_MAX];
    uint64_t size;
    oplog_segment_path(log, log->number, path);
    if (!log->disk->ops->is_there(log->file)) {
        error_set(e, ERROR_MISCONF, "'%s' was removed or replaced", path);
        return false;
    }
    if (log->disk->ops->size(log->file, &size, e)) return false;
    if (size < log->offset) error_set(e, ERROR_MISCONF, "'%s' was cut short", path);
    return size >= log->offset;
}

static bool watch_files(struct oplog *log, const struct manifest *m, struct error *e) {
    char name[MANIFEST_BASE_NAME_MAX];
    watch_move(&log->watch, m);
    if (m->base && !watch_file(log, manifest_base_name(m->base, name), &log->watch.base_seen, e))
        return false;
    return watch_segments(log, m, e) && watch_all_kept(log, e) && watch_open_segment(log, e);
}

/* A start reads what the manifest on the disk says: it has to name this log, with the segment that
 * is written. */
static bool watch_manifest(const struct oplog *log, struct manifest *m, struct error *e) {
    char path[PATH_MAX];
    struct error why;
    snprintf(path, sizeof(path), "%s/%s", log->directory, MANIFEST_NAME);
    if (!log->disk->ops->exists(log->disk, path))
        error_set(e, ERROR_MISCONF, "'%s' was removed or replaced", path);
    else if (manifest_read(log->disk, log->directory, m, &why))
        error_set(e, ERROR_MISCONF, "'%s' was overwritten: %s", path, why.text);
    else if (m->log_id != log->manifest.log_id || m->first > log->number || m->last < log->number)
        error_set(e, ERROR_MISCONF, "'%s' is that of another log", path);
    else
        return true;
    return false;
}

/* The helper thread may replace the manifest between the two, and remove what only the old one
 * names: then it is looked at again. It does so once a job. */
bool oplog_is_there(struct oplog *log, struct error *e) {
    struct manifest m, again;
    if (!watch_manifest(log, &m, e)) return false;
    while (!watch_files(log, &m, e)) {
        if (manifest_read(log->disk, log->directory, &again, NULL)) return false;
        if (again.base == m.base && again.first == m.first) return false;
        if (!watch_manifest(log, &m, e)) return false;
    }
    return true;
}

void oplog_mend_manifest(struct oplog *log) {
    char path[PATH_MAX];
    struct manifest m;
    struct error e;
    snprintf(path, sizeof(path), "%s/%s", log->directory, MANIFEST_NAME);
    if (oplog_job_wait(log, &e)) return;
    if (log->disk->ops->exists(log->disk, path)
            ? !manifest_read(log->disk, log->directory, &m, NULL)
            : !log->disk->ops->is_there(log->file))
        return;
    if (manifest_write(log->disk, log->directory, &log->manifest, &e))
        log_warning("op log: the manifest can't be written again: %s", e.text);
}
