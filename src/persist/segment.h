/* Segments: the files of the op log, and the frames they consist of.
 *
 * A frame holds the ops of one turn of the loop. It is there whole or not at all: its header
 * carries its number (lsn, counted from 1 over all segments), its length, a checksum of its body,
 * one of the header's fields and the log's id, and one that ties these to the segment and the place
 * in it that the frame was written for. So bytes that belong elsewhere are no frame here, and a
 * frame that stands in another place than its own can be told from one that never was.
 *
 * A server that dies leaves a torn tail: what was written and not synced may be there, or not, or
 * in parts, in any order. Damage of what was synced looks alike. To tell them apart each frame says
 * up to which lsn everything was known to be on the medium when it was written: a broken frame that
 * a later one testifies to is damage, a broken one of which nobody knows was never promised to
 * anyone. A disk that loses what was not synced leaves each sector in its place: a whole frame
 * behind the broken one, but in another place than its own, is damage as well. */
#ifndef TQ_PERSIST_SEGMENT_H
#define TQ_PERSIST_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/disk.h"

enum {
    SEGMENT_VERSION = 2, /* 1 is read, and gone on with */
    SEGMENT_HEADER = 36, /* bytes: magic 8, version 4, log id 8, number 8, checksum 8 */
    /* Mark 4; lsn, durable, now_ms, length 8 each; checksums of body, header and place 8 each. */
    FRAME_HEADER = 60,
    FRAME_HEADER_1 = 52, /* of version 1: one checksum of header and place */
    SEGMENT_NAME_MAX = 64,
};

/* Where a frame stands: what its checksums are bound to. */
struct segment_place {
    uint32_t version; /* of the segment */
    uint64_t log_id, number, offset;
};

/* Bytes of a frame's header. */
static inline size_t frame_header_len(uint32_t version) {
    return version == 1 ? FRAME_HEADER_1 : FRAME_HEADER;
}

struct frame {
    uint64_t lsn;
    /* frames up to this one were synced when it was written; 0: none that we know */
    uint64_t durable;
    int64_t now_ms;  /* wall clock of the turn */
    uint64_t length; /* of the body */
    uint64_t body_sum;
};

/* "log.000007.tql" */
const char *segment_name(uint64_t number, char out[static SEGMENT_NAME_MAX]);

/* "log.000007.123.d": the directory of the snapshots that ops of one frame of the segment speak of (OP_ADOPT). */
const char *segment_directory(uint64_t number, uint64_t lsn, char out[static SEGMENT_NAME_MAX]);

void segment_header_pack(uint64_t log_id, uint64_t number, char out[static SEGMENT_HEADER]);
void frame_pack(const struct frame *frame, const struct segment_place *place,
                char out[static FRAME_HEADER]);
/* False where these bytes, frame_header_len of them, are no header of a frame at this place. */
bool frame_unpack(const char *bytes, const struct segment_place *place, struct frame *out);

/* ---- reading ---- */

/* A segment is read in pieces through a window, so that a bad sector, or a file that is cut short
 * meanwhile, is an error. */
struct segment {
    struct disk_file *file;
    char *path;
    uint64_t size;              /* of the file, when it was opened */
    struct segment_place place; /* of the next frame */

    /* Of segment.c alone: bytes of the file from window_at on. */
    char *window;
    uint64_t window_at;
    size_t window_len, window_capacity;
};

/* Opens `directory`/name and checks its header against the log it should belong to. ERROR_ERR names file, offset and reason. */
int segment_open(struct disk *disk, const char *directory, uint64_t log_id, uint64_t number,
                 struct segment *out, struct error *e);
/* Any segment: which log and number it has is what it says itself. */
int segment_open_path(struct disk *disk, const char *path, struct segment *out, struct error *e);
void segment_close(struct segment *s);

enum segment_found { SEGMENT_FRAME, SEGMENT_END, SEGMENT_BROKEN, SEGMENT_UNREAD };

/* The next frame; its body is borrowed until the next call for this segment. SEGMENT_BROKEN: *why
 * says what is wrong with the bytes at s->place.offset. SEGMENT_UNREAD: the file can't be read,
 * *e names it and the offset. */
enum segment_found segment_next(struct segment *s, struct frame *frame, struct span *body,
                                const char **why, struct error *e);

/* The version of the segment at `path`, whose header has been checked before. */
int segment_version(struct disk *disk, const char *path, uint32_t *out, struct error *e);

/* Is there a whole frame of this log behind the present place that was written for another one?
 * *offset is where it stands, 0: there is none. (In a segment of version 1 only one that was
 * written for the present place is found.) An error: the file can't be read. */
int segment_displaced(struct segment *s, uint64_t *offset, struct error *e);

/* The highest lsn that any frame behind the present place says to be on the medium; 0: none does.
 * An error: the file can't be read. */
int segment_highest_durable(struct segment *s, uint64_t *newest, struct error *e);

#endif
