/* See replay.h. */
#include "persist/replay.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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

void replay_close(struct replay *r) {
    if (r->is_open) segment_close(&r->segment);
    r->is_open = false;
    scratch_free(&r->scratch);
    mem_free(r->directory);
}

static int fail_at(const struct replay *r, uint64_t number, uint64_t offset, struct error *e,
                   const char *why) {
    char path[PATH_MAX];
    segment_path(r, number, path);
    return error_set(e, ERROR_ERR, "'%s', offset %" PRIu64 ": %s", path, offset, why);
}

/* ---- where the log breaks ----------------------------------------------------------------- */

/* The newest lsn that any frame from here on says to have been on the medium, and the bytes that are left. */
static int look_behind(const struct replay *r, uint64_t *testimony, uint64_t *bytes,
                       struct error *e) {
    *testimony = segment_testimony(&r->segment);
    *bytes = r->segment.bytes.len - r->segment.place.offset;
    for (uint64_t n = r->number + 1; n <= r->manifest.last; n++) {
        struct segment later;
        int failed = segment_open(r->disk, r->directory, r->manifest.log_id, n, &later, e);
        if (failed) return failed;
        uint64_t said = segment_testimony(&later);
        if (said > *testimony) *testimony = said;
        *bytes += later.bytes.len - SEGMENT_HEADER;
        segment_close(&later);
    }
    return 0;
}

/* The frame `next_lsn` is not to be had from the present place. */
static int replay_break(struct replay *r, const char *why, bool *done, struct error *e) {
    uint64_t testimony, bytes, offset = r->segment.place.offset;
    int failed = look_behind(r, &testimony, &bytes, e);
    if (failed) return failed;
    uint64_t expected = r->next_lsn > r->manifest.lsn ? r->next_lsn : r->manifest.lsn;
    if (testimony >= expected) return fail_at(r, r->number, offset, e, why);
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

static int apply_body(struct replay *r, struct store *s, struct span body, struct error *e) {
    struct unpack in = unpack_of(body);
    while (unpack_left(&in)) {
        struct op op;
        int failed = opcodec_decode(s, &in, &r->scratch, &op, e);
        if (!failed) failed = op_check(s, &op, &r->scratch, e);
        if (failed) return failed;
        store_apply(s, &op);
        scratch_reset(&r->scratch);
        r->ops++;
    }
    return 0;
}

/* A frame that is whole. */
static int replay_frame(struct replay *r, struct store *s, const struct frame *frame,
                        struct span body, uint64_t offset, struct error *e) {
    r->next_lsn = frame->lsn + 1;
    if (frame->now_ms > r->last_ms) r->last_ms = frame->now_ms;
    if (frame->lsn < r->manifest.lsn) return 0; /* the base holds it */
    struct error why;
    int failed = apply_body(r, s, body, &why);
    r->frames++;
    if (!failed || why.code == ERROR_OOM) {
        if (failed && e) *e = why;
        return failed;
    }
    return fail_at(r, r->number, offset, e, why.text);
}

/* Does this frame come next? The first one of all may be any that leaves no gap to the base. */
static bool follows(const struct replay *r, const struct frame *frame) {
    if (!r->next_lsn || frame->lsn > r->next_lsn) return frame->lsn <= r->manifest.lsn;
    return frame->lsn == r->next_lsn;
}

/* One frame, or the step from one segment to the next. */
static int replay_one(struct replay *r, struct store *s, bool *done, struct error *e) {
    struct frame frame;
    struct span body;
    const char *why;
    uint64_t offset = r->segment.place.offset;
    switch (segment_next(&r->segment, &frame, &body, &why)) {
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
    return replay_frame(r, s, &frame, body, offset, e);
}

int replay_step(struct replay *r, struct store *s, uint64_t bytes, bool *done, struct error *e) {
    uint64_t until = r->done + bytes;
    int failed = 0;
    *done = false;
    while (!failed && !*done && r->done < until) {
        if (!r->is_open) {
            failed =
                segment_open(r->disk, r->directory, r->manifest.log_id, r->number, &r->segment, e);
            r->is_open = !failed;
            r->done += failed ? 0 : SEGMENT_HEADER;
        } else {
            failed = replay_one(r, s, done, e);
        }
    }
    /* Frames that the base holds may all be gone. */
    if (*done && r->next_lsn < r->manifest.lsn) r->next_lsn = r->manifest.lsn;
    return failed;
}

/* ---- the end ------------------------------------------------------------------------------ */

static int settle(const struct replay *r, uint64_t number, struct error *e) {
    const struct disk_ops *ops = r->disk->ops;
    struct disk_file *file;
    char path[PATH_MAX];
    segment_path(r, number, path);
    int failed = ops->open(r->disk, path, DISK_APPEND, &file, e);
    if (failed) return failed;
    if (r->cut && number >= r->cut_number)
        failed = ops->truncate(file, number == r->cut_number ? r->cut_offset : SEGMENT_HEADER, e);
    if (!failed) failed = ops->sync(file, e);
    ops->close(file);
    return failed;
}

/* From the last segment back, so that a crash in between leaves nothing that seems to be in the middle. */
int replay_end(struct replay *r, struct error *e) {
    if (r->is_open) segment_close(&r->segment);
    r->is_open = false;
    int failed = 0;
    for (uint64_t n = r->manifest.last; !failed && n >= r->manifest.first; n--)
        failed = settle(r, n, e);
    if (!failed) manifest_sweep(r->disk, r->directory, &r->manifest);
    return failed;
}
