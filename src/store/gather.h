/* Cells of one column, for a selection of samples, as the column form wants them.
 *
 * First look (gather_open): the narrowest type that fits the selection, and how many bytes it is.
 * Then the shape part, and the payload as runs: cells that lie next to each other in memory make
 * one range, which can be sent without a copy. */
#ifndef TQ_STORE_GATHER_H
#define TQ_STORE_GATHER_H

#include "store/column.h"

struct gather {
    const struct column *column;
    const uint64_t *seqs;
    size_t n;
    struct dtype type; /* dense where the items' shapes agree */
    uint64_t bytes;    /* of the payload */
    size_t at;         /* where gather_run goes on */
};

struct gather_run {
    struct span bytes;
    struct chunk *chunk; /* what to pin while the bytes are referred to; NULL for no bytes */
};

/* Returns how many of the leading samples have the cell: n when all have, else the index of the first that does not. `seqs` is
 * borrowed. Valid until the next change. */
size_t gather_open(struct gather *g, const struct column *column, const uint64_t *seqs, size_t n);

/* Bytes of the shape part, and the part itself: u32 little-endian. */
size_t gather_shape_bytes(const struct gather *g);
void gather_shape(const struct gather *g, char *out);

/* The next run of the payload; false when there are no more. */
bool gather_next(struct gather *g, struct gather_run *run);

#endif
