/* See replay.h. */
#include "persist/replay.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "persist/opcodec.h"
#include "store/check.h"

static void segment_path(const struct replay *r, uint64_t number, char out[static PATH_MAX]) {
    char name[SEGMENT_NAME_MAX];
    snprintf(out, PATH_MAX, "%s/%s", r->directory, segment_name(number, name));
}

static int segment_size(const struct replay *r, uint64_t number, uint64_t *size, struct error *e) {
    char path[PATH_MAX];
    struct disk_file *file;
    segment_path(r, number, path);
    int failed = r->disk->ops->open(r->disk, path, DISK_READ, &file, e);
    if (failed) return failed;
    failed = r->disk->ops->size(file, size, e);
    r->disk->ops->close(file);
    return failed;
}

int replay_open(struct replay *r, struct disk *disk, const char *directory,
                const struct manifest *manifest, struct error *e) {
    *r = (struct replay){.disk = disk,
                         .directory = mem_dup(directory, strlen(directory) + 1),
                         .manifest = *manifest,
                         .number = manifest->first,
                         .last_ms = INT64_MIN};
    int failed = 0;
    for (uint64_t n = manifest->first; !failed && n <= manifest->last; n++) {
        uint64_t size = 0;
        failed = segment_size(r, n, &size, e);
        r->total += size;
    }
    if (failed) replay_close(r);
    return failed;
}

static void adopt_close(struct replay *r) {
    if (r->load) load_free(r->load);
    if (r->snapshot) snapshot_close(r->snapshot);
    r->load = NULL;
    r->snapshot = NULL;
}

void replay_close(struct replay *r) {
    adopt_close(r);
    if (r->is_open) segment_close(&r->segment);
    r->is_open = false;
    scratch_free(&r->scratch);
    mem_free(r->directory);
}

static int fail_at(struct replay *r, uint64_t number, uint64_t offset, struct error *e,
                   const char *why) {
    char path[PATH_MAX];
    r->stopped_at = offset;
    segment_path(r, number, path);
    return error_set(e, ERROR_ERR, "'%s', offset %" PRIu64 ": %s", path, offset, why);
}

/* ---- where the log breaks ----------------------------------------------------------------- */

/* The highest lsn that any frame from here on says to be on the medium, and the bytes that are
 * left. */
static int look_behind(struct replay *r, uint64_t *durable, uint64_t *bytes, struct error *e) {
    int failed = segment_highest_durable(&r->segment, durable, e);
    *bytes = r->segment.size - r->segment.place.offset;
    for (uint64_t n = r->number + 1; !failed && n <= r->manifest.last; n++) {
        struct segment later;
        uint64_t said;
        failed = segment_open(r->disk, r->directory, r->manifest.log_id, n, &later, e);
        if (failed) return failed;
        failed = segment_highest_durable(&later, &said, e);
        if (said > *durable) *durable = said;
        *bytes += later.size - SEGMENT_HEADER;
        segment_close(&later);
    }
    return failed;
}

/* The frame `next_lsn` can't be read from the present place. */
static int replay_break(struct replay *r, const char *why, bool *done, struct error *e) {
    uint64_t durable, bytes, offset = r->segment.place.offset;
    int failed = look_behind(r, &durable, &bytes, e);
    if (failed) return failed;
    uint64_t expected = r->next_lsn > r->manifest.lsn ? r->next_lsn : r->manifest.lsn;
    if (durable >= expected) return fail_at(r, r->number, offset, e, why);
    uint64_t displaced;
    failed = segment_displaced(&r->segment, &displaced, e);
    if (failed) return failed;
    if (displaced) {
        char both[256];
        snprintf(both, sizeof(both),
                 "%s; at offset %" PRIu64
                 " stands a whole frame that was written for another place: bytes were put in or "
                 "taken out (`tq-check --fix` cuts the log off here)",
                 why, displaced);
        return fail_at(r, r->number, offset, e, both);
    }
    char name[SEGMENT_NAME_MAX];
    snprintf(r->cut_where, sizeof(r->cut_where), "%s, offset %" PRIu64,
             segment_name(r->number, name), offset);
    r->cut = bytes;
    r->cut_why = why;
    r->cut_number = r->number;
    r->cut_offset = offset;
    r->done = r->total;
    *done = true;
    return 0;
}

/* ---- applying ----------------------------------------------------------------------------- */

/* Partitions that came in from a snapshot do so again: first it is opened … */
static int adopt_open(struct replay *r, struct store *s, struct error *e) {
    const struct op_adopt *adopt = &r->adopt.adopt;
    char path[PATH_MAX];
    bool inside = adopt->source.len && adopt->source.ptr[0] != '/' &&
                  !memmem(adopt->source.ptr, adopt->source.len, "..", 2) &&
                  !memchr(adopt->source.ptr, '\0', adopt->source.len);
    if (!inside || adopt->source.len > NAME_MAX)
        return error_set(e, ERROR_ERR, "no snapshot can be called %s", QUOTE(adopt->source));
    snprintf(path, sizeof(path), "%s/%.*s", r->directory, (int)adopt->source.len,
             adopt->source.ptr);
    int failed = snapshot_open(r->disk, path, &r->snapshot, e);
    if (!failed && r->read_ahead) snapshot_read_ahead(r->snapshot);
    if (!failed) failed = snapshot_select(r->snapshot, adopt->names, adopt->n_names, e);
    if (!failed) r->load = load_new(s, snapshot_total(r->snapshot));
    return failed;
}

/* … then it is loaded bit by bit, and comes in. */
static int adopt_step(struct replay *r, struct store *s, uint64_t bytes, struct error *e) {
    bool done = false;
    struct op op;
    int failed = snapshot_load_step(r->snapshot, r->load, bytes, &done, e);
    if (failed || !done) return failed;
    failed = load_finish(r->load, &op, e);
    if (failed) return failed;
    op.now_ms = r->adopt.now_ms;
    load_extend_leases(&op, op.now_ms - load_clock(r->load));
    store_apply(s, &op);
    adopt_close(r);
    scratch_reset(&r->scratch);
    return 0;
}

static int apply_next(struct replay *r, struct store *s, struct error *e) {
    struct op op;
    int failed = opcodec_decode(s, &r->body, &r->scratch, &op, e);
    if (failed) return failed;
    r->ops++;
    if (op.kind == OP_ADOPT) {
        r->adopt = op;
        failed = op_check_time(&op, e);
        return failed ? failed : adopt_open(r, s, e);
    }
    failed = op_check(s, &op, &r->scratch, e);
    if (failed) return failed;
    store_apply(s, &op);
    scratch_reset(&r->scratch);
    return 0;
}

/* What is left of the frame's ops, up to one that takes long. */
static int apply_body(struct replay *r, struct store *s, uint64_t bytes, struct error *e) {
    struct error why = {0};
    int failed = r->snapshot ? adopt_step(r, s, bytes, &why) : 0;
    while (!failed && !r->snapshot && unpack_left(&r->body)) failed = apply_next(r, s, &why);
    if (!failed) return 0;
    if (why.code != ERROR_OOM) return fail_at(r, r->number, r->frame_offset, e, why.text);
    if (e) *e = why;
    return failed;
}

static bool is_applying(const struct replay *r) {
    return r->snapshot || unpack_left(&r->body);
}

/* A frame that is whole is the one to apply. */
static void replay_frame(struct replay *r, const struct frame *frame, struct span body,
                         uint64_t offset) {
    r->next_lsn = frame->lsn + 1;
    if (frame->now_ms >= 0 && frame->now_ms > r->last_ms) r->last_ms = frame->now_ms;
    if (frame->lsn < r->manifest.lsn) return; /* the base holds it */
    r->body = unpack_of(body);
    r->frame_offset = offset;
    r->frames++;
}

/* Does this frame come next? The first one of all may be any that leaves no gap to the base. */
static bool follows(const struct replay *r, const struct frame *frame) {
    if (!frame->lsn || frame->lsn > INT64_MAX) return false;
    if (!r->next_lsn || frame->lsn > r->next_lsn) return frame->lsn <= r->manifest.lsn;
    return frame->lsn == r->next_lsn;
}

/* One frame, or the step from one segment to the next. */
static int replay_one(struct replay *r, bool *done, struct error *e) {
    struct frame frame;
    struct span body;
    const char *why;
    uint64_t offset = r->segment.place.offset;
    switch (segment_next(&r->segment, &frame, &body, &why, e)) {
    case SEGMENT_UNREAD: return ERROR_ERR;
    case SEGMENT_BROKEN: return replay_break(r, why, done, e);
    case SEGMENT_END:
        segment_close(&r->segment);
        r->is_open = false;
        *done = r->number == r->manifest.last;
        r->number++;
        return 0;
    case SEGMENT_FRAME: break;
    }
    if (!follows(r, &frame)) {
        r->segment.place.offset = offset;
        return replay_break(r, "the frame here is not the one that comes next", done, e);
    }
    r->done += r->segment.place.offset - offset;
    replay_frame(r, &frame, body, offset);
    return 0;
}

int replay_step(struct replay *r, struct store *s, uint64_t bytes, bool *done, struct error *e) {
    uint64_t until = r->done + bytes;
    int failed = 0;
    *done = false;
    if (is_applying(r)) failed = apply_body(r, s, bytes, e);
    while (!failed && !*done && !is_applying(r) && r->done < until) {
        if (!r->is_open) {
            failed =
                segment_open(r->disk, r->directory, r->manifest.log_id, r->number, &r->segment, e);
            r->is_open = !failed;
            r->done += failed ? 0 : SEGMENT_HEADER;
        } else {
            failed = replay_one(r, done, e);
            if (!failed && is_applying(r)) failed = apply_body(r, s, bytes, e);
        }
    }
    /* Frames that the base holds may all be gone. */
    if (*done && r->next_lsn < r->manifest.lsn) r->next_lsn = r->manifest.lsn;
    return failed;
}

/* ---- the end ------------------------------------------------------------------------------ */

/* What is cut off stays beside the segment, for people to look at; nothing removes it. A full disk,
 * which may have torn the frame, does not stop the start. */
static int cut_keep(const struct replay *r, const char *path, struct disk_file *segment,
                    uint64_t offset, struct error *e) {
    const struct disk_ops *ops = r->disk->ops;
    char name[PATH_MAX + 32];
    uint64_t size;
    snprintf(name, sizeof(name), "%s.cut-%" PRIu64, path, offset);
    int failed = ops->size(segment, &size, e);
    if (failed || offset >= size) return failed;
    failed = disk_copy(segment, offset, name, e);
    if (!failed) failed = ops->sync_directory(r->disk, r->directory, e);
    if (failed != ERROR_MISCONF) return failed;
    log_warning("op log: what is cut off can't be kept: %s", e->text);
    struct error ignored;
    ops->remove(r->disk, name, &ignored);
    return 0;
}

static int replay_truncate(const struct replay *r, uint64_t number, struct error *e) {
    const struct disk_ops *ops = r->disk->ops;
    struct disk_file *file;
    char path[PATH_MAX];
    segment_path(r, number, path);
    int failed = ops->open(r->disk, path, DISK_APPEND, &file, e);
    if (failed) return failed;
    uint64_t len = SEGMENT_HEADER;
    if (!r->cut || number < r->cut_number)
        failed = ops->size(file, &len, e); /* what was reserved behind it goes */
    else if (number == r->cut_number)
        len = r->cut_offset;
    if (!failed && r->cut && number >= r->cut_number) failed = cut_keep(r, path, file, len, e);
    if (!failed) failed = ops->truncate(file, len, e);
    if (!failed) failed = ops->sync(file, e);
    ops->close(file);
    return failed;
}

/* A manifest that was read need not be on the medium, if whoever wrote it was killed: it has to be before the log goes on in a
 * segment that only it names, or what only an older one names is removed. Then from the last segment back, so that a crash in
 * between leaves nothing that seems to be in the middle. */
int replay_end(struct replay *r, struct error *e) {
    if (r->is_open) segment_close(&r->segment);
    r->is_open = false;
    int failed = disk_sync_parent(r->disk, r->directory, e);
    if (!failed) failed = r->disk->ops->sync_directory(r->disk, r->directory, e);
    for (uint64_t n = r->manifest.last; !failed && n >= r->manifest.first; n--)
        failed = replay_truncate(r, n, e);
    if (!failed) manifest_sweep(r->disk, r->directory, &r->manifest);
    return failed;
}
