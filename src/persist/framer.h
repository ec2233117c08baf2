/* The framer: the ops of a turn as one frame.
 *
 * Ops are added as they are applied; at the end of the turn they make a frame, with the number of
 * the turn and a checksum of its bytes. Neither depends on where the frame goes: the op log adds
 * what ties it to a place in a file (segment.h), a link to another server will add what it needs.
 *
 * Small values are copied, large ones are referenced in their chunks (opcodec.h), so the bytes of a
 * frame are a list of parts, to be written with one writev. */
#ifndef TQ_PERSIST_FRAMER_H
#define TQ_PERSIST_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/checksum.h"
#include "persist/opcodec.h"

/* The ops of one turn, in the order in which they were applied. */
struct turn_frame {
    uint64_t number; /* of the turn, among those that changed something; from 1 on */
    int64_t now_ms;  /* wall clock of the turn */
    const struct iovec *parts;
    size_t n_parts;
    uint64_t length; /* of all parts together; at least 1 */
    uint64_t sum;    /* checksum64 of their bytes */
};

struct framer {
    struct opcodec_out ops; /* of the frame to come */
    struct checksum *checksum;
    struct iovec *parts;
    size_t n_parts, parts_capacity;
};

void framer_init(struct framer *f);
void framer_free(struct framer *f);

/* The op has just been applied to `s`. */
void framer_add(struct framer *f, const struct store *s, const struct op *op);

/* Bytes of the frame to come; 0: nothing was added. */
static inline size_t framer_len(const struct framer *f) {
    return opcodec_out_len(&f->ops);
}

/* Make a frame of what was added, which is at least one op. It points into the framer and into
 * chunks that are pinned, until framer_clear. */
void framer_end(struct framer *f, uint64_t number, int64_t now_ms, struct turn_frame *out);

/* Forget what was added, and unpin its chunks. */
void framer_clear(struct framer *f);

#endif
