/* See segment.h. */
#include "persist/segment.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
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

/* Of the header's own fields and of where it stands. */
static uint64_t frame_head_sum(const char header[static FRAME_HEADER],
                               const struct segment_place *place) {
    char bytes[24 + FRAME_HEADER - 8], *at = bytes;
    at = put_u64(at, place->log_id);
    at = put_u64(at, place->number);
    at = put_u64(at, place->offset);
    memcpy(at, header, FRAME_HEADER - 8);
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
    put_u64(at, frame_head_sum(out, place));
}

bool frame_unpack(const char bytes[static FRAME_HEADER], const struct segment_place *place,
                  struct frame *out) {
    struct unpack u = unpack_of(span_of(bytes, FRAME_HEADER));
    if (unpack_u32(&u) != FRAME_MARK) return false;
    out->lsn = unpack_u64(&u);
    out->durable = unpack_u64(&u);
    out->now_ms = (int64_t)unpack_u64(&u);
    out->length = unpack_u64(&u);
    out->body_sum = unpack_u64(&u);
    return unpack_u64(&u) == frame_head_sum(bytes, place);
}

/* ---- reading ------------------------------------------------------------------------------ */

static const char *segment_check_header(struct segment *s, uint32_t *version) {
    struct unpack u = unpack_of(s->bytes);
    *version = SEGMENT_VERSION;
    if (s->bytes.len < SEGMENT_HEADER) return "it is shorter than a segment's header";
    if (memcmp(unpack_bytes(&u, 8).ptr, SEGMENT_MAGIC, 8)) return "it is no segment of an op log";
    *version = unpack_u32(&u);
    uint64_t id = unpack_u64(&u), number = unpack_u64(&u);
    if (unpack_u64(&u) != checksum64(span_of(s->bytes.ptr, SEGMENT_HEADER - 8)))
        return "its header does not match its checksum";
    s->place = (struct segment_place){id, number, SEGMENT_HEADER};
    return *version == SEGMENT_VERSION ? NULL : "newer";
}

int segment_open_path(struct disk *disk, const char *path, struct segment *out, struct error *e) {
    int failed = disk->ops->open(disk, path, DISK_READ, &out->file, e);
    if (failed) return failed;
    failed = disk->ops->map(out->file, &out->bytes, e);
    uint32_t version;
    const char *why = failed ? NULL : segment_check_header(out, &version);
    if (why && version != SEGMENT_VERSION)
        failed = error_set(e, ERROR_ERR, "'%s' has format %u, this tq reads format %d", path,
                           version, SEGMENT_VERSION);
    else if (why)
        failed = error_set(e, ERROR_ERR, "'%s', offset 0: %s", path, why);
    if (failed) disk->ops->close(out->file);
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
}

enum segment_found segment_next(struct segment *s, struct frame *frame, struct span *body,
                                const char **why) {
    uint64_t left = s->bytes.len - s->place.offset;
    const char *at = s->bytes.ptr + s->place.offset;
    if (!left) return SEGMENT_END;
    *why = "the header of a frame is cut short";
    if (left < FRAME_HEADER) return SEGMENT_BROKEN;
    *why = "no frame begins here: the header does not match its checksum";
    if (!frame_unpack(at, &s->place, frame)) return SEGMENT_BROKEN;
    *why = "a frame is cut short";
    if (frame->length > left - FRAME_HEADER) return SEGMENT_BROKEN;
    *body = span_of(at + FRAME_HEADER, (size_t)frame->length);
    *why = "a frame does not match its checksum";
    if (checksum64(*body) != frame->body_sum) return SEGMENT_BROKEN;
    s->place.offset += FRAME_HEADER + frame->length;
    return SEGMENT_FRAME;
}

uint64_t segment_testimony(const struct segment *s) {
    uint32_t mark = htole32(FRAME_MARK);
    uint64_t newest = 0;
    struct segment_place place = s->place;
    for (;;) {
        size_t left = s->bytes.len - (size_t)place.offset;
        const char *at = memmem(s->bytes.ptr + place.offset, left, &mark, sizeof(mark));
        if (!at || (size_t)(s->bytes.ptr + s->bytes.len - at) < FRAME_HEADER) return newest;
        struct frame frame;
        place.offset = (uint64_t)(at - s->bytes.ptr);
        if (frame_unpack(at, &place, &frame) && frame.durable > newest) newest = frame.durable;
        place.offset++;
    }
}
