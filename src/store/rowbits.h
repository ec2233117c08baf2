/* A bit for each row of a block.
 *
 * Most partitions of a store may be tiny, and 1,024 bits would be most of what a column of one
 * sample takes. So the words are shared constants as long as the rows with a bit are the first few
 * of the block, and memory of the block's own from then on. Readers see no difference. */
#ifndef TQ_STORE_ROWBITS_H
#define TQ_STORE_ROWBITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "store/blockindex.h"

enum { ROWBITS_SHARED = 16 };

/* Entry n: the first n rows have a bit. */
extern const uint64_t rowbits_first[ROWBITS_SHARED + 1][BLOCK_WORDS];

/* No bit set; what a new block begins with. */
static inline const uint64_t *rowbits_none(void) {
    return rowbits_first[0];
}

static inline bool rowbits_is_shared(const uint64_t *bits) {
    return (uintptr_t)bits - (uintptr_t)rowbits_first < sizeof(rowbits_first); /* wraps below it */
}

/* Bytes of memory of the block's own. */
static inline size_t rowbits_bytes(const uint64_t *bits) {
    return rowbits_is_shared(bits) ? 0 : sizeof(rowbits_first[0]);
}

/* The same for shared words: *bits may be other memory then. */
void rowbits_set_shared(const uint64_t **bits, unsigned row);
void rowbits_clear_shared(const uint64_t **bits, unsigned row);

/* Change one bit. Returns how many bytes of memory that took. */
static inline size_t rowbits_set(const uint64_t **bits, unsigned row) {
    if (rowbits_is_shared(*bits)) {
        rowbits_set_shared(bits, row);
        return rowbits_bytes(*bits);
    }
    bits_set((uint64_t *)*bits, row);
    return 0;
}

static inline size_t rowbits_clear(const uint64_t **bits, unsigned row) {
    if (rowbits_is_shared(*bits)) {
        rowbits_clear_shared(bits, row);
        return rowbits_bytes(*bits);
    }
    bits_clear((uint64_t *)*bits, row);
    return 0;
}

/* Set all of these, BLOCK_WORDS words. Returns the same. */
size_t rowbits_add(const uint64_t **bits, const uint64_t *more);

void rowbits_free(const uint64_t *bits);

#endif
