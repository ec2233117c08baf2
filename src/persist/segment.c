/* See segment.h. */
#include "persist/segment.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/mem.h"
#include "base/pack.h"

#define SEGMENT_MAGIC "tq log\r\n"
#define FRAME_MARK UINT32_C(0x6d617266) /* "fram" */

const char *segment_name(uint64_t number, char out[static SEGMENT_NAME_MAX]) {
    snprintf(out, SEGMENT_NAME_MAX, "log.%06" PRIu64 ".tql", number);
    return out;
}

const char *segment_directory(uint64_t number, uint64_t lsn, char out[static SEGMENT_NAME_MAX]) {
    snprintf(out, SEGMENT_NAME_MAX, "log.%06" PRIu64 ".%" PRIu64 ".d", number, lsn);
    return out;
}

static char *put_u32(char *at, uint32_t value) {
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static char *put_u64(char *at, uint64_t value) {
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

void segment_header_pack(uint64_t log_id, uint64_t number, char out[static SEGMENT_HEADER]) {
    char *at = out;
    memcpy(at, SEGMENT_MAGIC, 8);
    at = put_u32(at + 8, SEGMENT_VERSION);
    at = put_u64(at, log_id);
    at = put_u64(at, number);
    put_u64(at, checksum64(span_of(out, (size_t)(at - out))));
}

enum { FRAME_FIELDS = 44 }; /* bytes: from the mark to the body's checksum */

/* Version 1: of the header's own fields and of where it stands. */
static uint64_t frame_sum_1(const char *header, const struct segment_place *place) {
    char bytes[24 + FRAME_FIELDS], *at = bytes;
    at = put_u64(at, place->log_id);
    at = put_u64(at, place->number);
    at = put_u64(at, place->offset);
    memcpy(at, header, FRAME_FIELDS);
    return checksum64(span_of(bytes, sizeof(bytes)));
}

/* Of the header's own fields and the log's id, wherever it stands. */
static uint64_t frame_own_sum(const char *header, uint64_t log_id) {
    char bytes[8 + FRAME_FIELDS];
    memcpy(put_u64(bytes, log_id), header, FRAME_FIELDS);
    return checksum64(span_of(bytes, sizeof(bytes)));
}

static uint64_t frame_place_sum(uint64_t own, const struct segment_place *place) {
    char bytes[24], *at = bytes;
    at = put_u64(at, place->number);
    at = put_u64(at, place->offset);
    put_u64(at, own);
    return checksum64(span_of(bytes, sizeof(bytes)));
}

void frame_pack(const struct frame *frame, const struct segment_place *place,
                char out[static FRAME_HEADER]) {
    char *at = put_u32(out, FRAME_MARK);
    at = put_u64(at, frame->lsn);
    at = put_u64(at, frame->durable);
    at = put_u64(at, (uint64_t)frame->now_ms);
    at = put_u64(at, frame->length);
    at = put_u64(at, frame->body_sum);
    if (place->version == 1) {
        put_u64(at, frame_sum_1(out, place));
        return;
    }
    uint64_t own = frame_own_sum(out, place->log_id);
    put_u64(put_u64(at, own), frame_place_sum(own, place));
}

/* The fields; `u` is left at the checksums. */
static bool frame_unpack_fields(struct unpack *u, struct frame *out) {
    if (unpack_u32(u) != FRAME_MARK) return false;
    out->lsn = unpack_u64(u);
    out->durable = unpack_u64(u);
    out->now_ms = (int64_t)unpack_u64(u);
    out->length = unpack_u64(u);
    out->body_sum = unpack_u64(u);
    return true;
}

bool frame_unpack(const char *bytes, const struct segment_place *place, struct frame *out) {
    struct unpack u = unpack_of(span_of(bytes, frame_header_len(place->version)));
    if (!frame_unpack_fields(&u, out)) return false;
    if (place->version == 1) return unpack_u64(&u) == frame_sum_1(bytes, place);
    uint64_t own = unpack_u64(&u);
    return own == frame_own_sum(bytes, place->log_id) &&
           unpack_u64(&u) == frame_place_sum(own, place);
}

/* Is this the header of a frame of the log, written for whatever place? */
static bool frame_unpack_anywhere(const char *bytes, const struct segment_place *place,
                                  struct frame *out) {
    if (place->version == 1) return frame_unpack(bytes, place, out);
    struct unpack u = unpack_of(span_of(bytes, FRAME_HEADER));
    return frame_unpack_fields(&u, out) && unpack_u64(&u) == frame_own_sum(bytes, place->log_id);
}

/* ---- reading ------------------------------------------------------------------------------ */

enum {
    WINDOW = 256 * 1024,            /* what is read at a time: it stays in the processor's cache */
    WINDOW_KEPT = 64 * 1024 * 1024, /* a larger one, for one large frame, is given back */
};

/* Moves the window to `at`, with `len` bytes at least. */
static int segment_fill(struct segment *s, uint64_t at, size_t len, struct error *e) {
    size_t want = len > WINDOW ? len : s->size - at < WINDOW ? (size_t)(s->size - at) : WINDOW;
    size_t kept = 0, got = 0;
    if (at >= s->window_at && at - s->window_at < s->window_len)
        kept = s->window_len - (size_t)(at - s->window_at);
    if (kept) memmove(s->window, s->window + s->window_len - kept, kept);
    bool gives_back = s->window_capacity > WINDOW_KEPT && want <= WINDOW;
    if (want > s->window_capacity || gives_back) {
        s->window_capacity = want;
        s->window = mem_realloc(s->window, s->window_capacity);
    }
    s->window_at = at;
    s->window_len = kept;
    if (kept >= want) return 0;
    int failed =
        s->file->disk->ops->read(s->file, at + kept, s->window + kept, want - kept, &got, e);
    if (failed) return failed;
    s->window_len = kept + got;
    if (s->window_len >= len) return 0;
    return error_set(e, ERROR_ERR,
                     "'%s', offset %" PRIu64 ": the file ends here; it had %" PRIu64
                     " bytes when it was opened",
                     s->path, at + s->window_len, s->size);
}

/* *out are bytes [at, at + len) of the file, which is as long as that, until the next call. */
static int segment_fetch(struct segment *s, uint64_t at, size_t len, const char **out,
                         struct error *e) {
    *out = "";
    if (!len) return 0;
    bool inside = at >= s->window_at && at + len <= s->window_at + s->window_len;
    int failed = inside ? 0 : segment_fill(s, at, len, e);
    if (!failed) *out = s->window + (at - s->window_at);
    return failed;
}

static const char *segment_check_header(struct segment *s, struct span header, uint32_t *version) {
    struct unpack u = unpack_of(header);
    *version = SEGMENT_VERSION;
    if (header.len < SEGMENT_HEADER) return "it is shorter than a segment's header";
    if (memcmp(unpack_bytes(&u, 8).ptr, SEGMENT_MAGIC, 8)) return "it is no segment of an op log";
    *version = unpack_u32(&u);
    uint64_t id = unpack_u64(&u), number = unpack_u64(&u);
    if (unpack_u64(&u) != checksum64(span_of(header.ptr, SEGMENT_HEADER - 8)))
        return "its header does not match its checksum";
    s->place = (struct segment_place){*version, id, number, SEGMENT_HEADER};
    return *version >= 1 && *version <= SEGMENT_VERSION ? NULL : "newer";
}

int segment_open_path(struct disk *disk, const char *path, struct segment *out, struct error *e) {
    struct span header = {0};
    *out = (struct segment){0};
    int failed = disk->ops->open(disk, path, DISK_READ, &out->file, e);
    if (failed) return failed;
    out->path = mem_dup(path, strlen(path) + 1);
    failed = disk->ops->size(out->file, &out->size, e);
    header.len = out->size < SEGMENT_HEADER ? (size_t)out->size : SEGMENT_HEADER;
    if (!failed) failed = segment_fetch(out, 0, header.len, &header.ptr, e);
    uint32_t version;
    const char *why = failed ? NULL : segment_check_header(out, header, &version);
    if (why && (version < 1 || version > SEGMENT_VERSION))
        failed = error_set(e, ERROR_ERR, "'%s' has format %u, this tq reads formats 1 to %d", path,
                           version, SEGMENT_VERSION);
    else if (why)
        failed = error_set(e, ERROR_ERR, "'%s', offset 0: %s", path, why);
    if (failed) segment_close(out);
    return failed;
}

int segment_open(struct disk *disk, const char *directory, uint64_t log_id, uint64_t number,
                 struct segment *out, struct error *e) {
    char path[PATH_MAX], name[SEGMENT_NAME_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, segment_name(number, name));
    int failed = segment_open_path(disk, path, out, e);
    if (failed) return failed;
    const char *why = out->place.log_id != log_id   ? "it belongs to another log"
                      : out->place.number != number ? "it is another segment than its name says"
                                                    : NULL;
    if (!why) return 0;
    segment_close(out);
    return error_set(e, ERROR_ERR, "'%s', offset 0: %s", path, why);
}

void segment_close(struct segment *s) {
    s->file->disk->ops->close(s->file);
    mem_free(s->window);
    mem_free(s->path);
}

enum segment_found segment_next(struct segment *s, struct frame *frame, struct span *body,
                                const char **why, struct error *e) {
    uint64_t left = s->size - s->place.offset;
    size_t header = frame_header_len(s->place.version);
    const char *at;
    if (!left) return SEGMENT_END;
    *why = "the header of a frame is cut short";
    if (left < header) return SEGMENT_BROKEN;
    if (segment_fetch(s, s->place.offset, header, &at, e)) return SEGMENT_UNREAD;
    *why = "no frame begins here: the header does not match its checksum";
    if (!frame_unpack(at, &s->place, frame)) return SEGMENT_BROKEN;
    *why = "a frame is cut short";
    if (frame->length > left - header) return SEGMENT_BROKEN;
    if (segment_fetch(s, s->place.offset + header, (size_t)frame->length, &at, e))
        return SEGMENT_UNREAD;
    *body = span_of(at, (size_t)frame->length);
    *why = "a frame does not match its checksum";
    if (checksum64(*body) != frame->body_sum) return SEGMENT_BROKEN;
    s->place.offset += header + frame->length;
    return SEGMENT_FRAME;
}

int segment_version(struct disk *disk, const char *path, uint32_t *out, struct error *e) {
    char header[SEGMENT_HEADER];
    struct disk_file *file;
    size_t got = 0;
    int failed = disk->ops->open(disk, path, DISK_READ, &file, e);
    if (failed) return failed;
    failed = disk->ops->read(file, 0, header, sizeof(header), &got, e);
    disk->ops->close(file);
    if (failed) return failed;
    if (got < sizeof(header))
        return error_set(e, ERROR_ERR, "'%s', offset 0: it is shorter than a segment's header",
                         path);
    struct unpack u = unpack_of(span_of(header + 8, 4));
    *out = unpack_u32(&u);
    return 0;
}

/* *found is the first place from `from` on where a frame's header could begin; the segment's size
 * where there is none. */
static int segment_find_mark(struct segment *s, uint64_t from, uint64_t *found, struct error *e) {
    const uint32_t mark = htole32(FRAME_MARK);
    const char *piece, *at;
    *found = s->size;
    while (s->size - from >= frame_header_len(s->place.version)) {
        size_t len = s->size - from < WINDOW ? (size_t)(s->size - from) : WINDOW;
        int failed = segment_fetch(s, from, len, &piece, e);
        if (failed) return failed;
        if ((at = memmem(piece, len, &mark, sizeof(mark)))) {
            from += (uint64_t)(at - piece);
            if (s->size - from >= frame_header_len(s->place.version)) *found = from;
            return 0;
        }
        from += len - (sizeof(mark) - 1); /* one may begin in the last bytes */
    }
    return 0;
}

/* The checksum of a frame's body, which may be large. */
static int segment_sum(struct segment *s, uint64_t at, uint64_t len, uint64_t *sum,
                       struct error *e) {
    struct checksum *c = checksum_new();
    int failed = 0;
    while (!failed && len) {
        size_t step = len < WINDOW ? (size_t)len : WINDOW;
        const char *bytes;
        failed = segment_fetch(s, at, step, &bytes, e);
        if (!failed) checksum_add(c, span_of(bytes, step));
        at += step;
        len -= step;
    }
    *sum = checksum_end64(c);
    checksum_free(c);
    return failed;
}

/* Does a whole frame stand at `at` that was written for another place? */
static int segment_is_displaced(struct segment *s, uint64_t at, bool *is, struct error *e) {
    size_t header = frame_header_len(s->place.version);
    struct segment_place here = s->place;
    struct frame frame;
    const char *bytes;
    uint64_t sum;
    here.offset = at;
    *is = false;
    int failed = segment_fetch(s, at, header, &bytes, e);
    if (failed || !frame_unpack_anywhere(bytes, &s->place, &frame)) return failed;
    if (frame_unpack(bytes, &here, &frame)) return 0; /* in its own place */
    if (frame.length > s->size - at - header) return 0;
    failed = segment_sum(s, at + header, frame.length, &sum, e);
    *is = !failed && sum == frame.body_sum;
    return failed;
}

int segment_displaced(struct segment *s, uint64_t *offset, struct error *e) {
    bool is = false;
    int failed;
    for (uint64_t at = s->place.offset + 1, next = at;; at = next + 1) {
        failed = at < s->size ? segment_find_mark(s, at, &next, e) : 0;
        if (failed || at >= s->size || next == s->size) break;
        failed = segment_is_displaced(s, next, &is, e);
        if (failed || is) {
            *offset = next;
            return failed;
        }
    }
    *offset = 0;
    return failed;
}

int segment_highest_durable(struct segment *s, uint64_t *newest, struct error *e) {
    struct segment_place place = s->place;
    *newest = 0;
    for (;; place.offset++) {
        struct frame frame;
        const char *bytes;
        int failed = segment_find_mark(s, place.offset, &place.offset, e);
        if (failed || place.offset >= s->size) return failed;
        failed = segment_fetch(s, place.offset, frame_header_len(place.version), &bytes, e);
        if (failed) return failed;
        if (frame_unpack(bytes, &place, &frame) && frame.durable > *newest) *newest = frame.durable;
    }
}
