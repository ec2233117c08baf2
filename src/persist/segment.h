/* Segments: the files of the op log, and the frames they consist of.
 *
 * A frame holds the ops of one turn of the loop. It is there whole or not at all: its header carries its number (lsn, counted
 * from 1 over all segments), its length and checksums of both parts. The header's checksum also covers which log,
 * which segment and which place in it the frame was written for, so bytes that belong elsewhere are no frame.
 *
 * A server that dies leaves a torn tail: what was written and not synced may be there, or not, or in parts, in any order.
 * Damage of what was synced looks alike. To tell them apart each frame says up to which lsn everything was
 * known to be on the medium when it was written: a broken frame that a later one testifies to is damage, a broken one of which
 * nobody knows was never promised to anyone. */
#ifndef TQ_PERSIST_SEGMENT_H
#define TQ_PERSIST_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/disk.h"

enum {
    SEGMENT_VERSION = 1,
    SEGMENT_HEADER = 36, /* bytes: magic 8, version 4, log id 8, number 8, checksum 8 */
    FRAME_HEADER =
        52, /* mark 4, lsn 8, durable 8, now_ms 8, length 8, checksums of body and header 8 each */
    SEGMENT_NAME_MAX = 64,
};

/* Where a frame stands: what its checksum is bound to. */
struct segment_place {
    uint64_t log_id, number, offset;
};

struct frame {
    uint64_t lsn;
    uint64_t
        durable; /* frames up to this one were synced when it was written; 0: none that we know */
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
/* False where these bytes are no header of a frame at this place. */
bool frame_unpack(const char bytes[static FRAME_HEADER], const struct segment_place *place,
                  struct frame *out);

/* ---- reading ---- */

struct segment {
    struct disk_file *file;
    struct span bytes;          /* all of it */
    struct segment_place place; /* of the next frame */
};

/* Opens `directory`/name and checks its header against the log it should belong to. ERROR_ERR names file, offset and reason. */
int segment_open(struct disk *disk, const char *directory, uint64_t log_id, uint64_t number,
                 struct segment *out, struct error *e);
/* Any segment: which log and number it has is what it says itself. */
int segment_open_path(struct disk *disk, const char *path, struct segment *out, struct error *e);
void segment_close(struct segment *s);

enum segment_found { SEGMENT_FRAME, SEGMENT_END, SEGMENT_BROKEN };

/* The next frame; its body borrows. SEGMENT_BROKEN: *why says what is wrong with the bytes at s->place.offset. */
enum segment_found segment_next(struct segment *s, struct frame *frame, struct span *body,
                                const char **why);

/* The newest lsn that any frame behind the present place says to be on the medium; 0: none does. */
uint64_t segment_testimony(const struct segment *s);

#endif
