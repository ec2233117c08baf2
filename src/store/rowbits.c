/* See rowbits.h. */
#include "store/rowbits.h"

#include <string.h>

#include "base/mem.h"

#define FIRST(n)                                                                                   \
    { (UINT64_C(1) << (n)) - 1 }

const uint64_t rowbits_first[ROWBITS_SHARED + 1][BLOCK_WORDS] = {
    FIRST(0), FIRST(1),  FIRST(2),  FIRST(3),  FIRST(4),  FIRST(5),  FIRST(6),  FIRST(7), FIRST(8),
    FIRST(9), FIRST(10), FIRST(11), FIRST(12), FIRST(13), FIRST(14), FIRST(15), FIRST(16)};

/* How many rows have a bit in shared words. */
static unsigned rowbits_count(const uint64_t *bits) {
    return (unsigned)(((uintptr_t)bits - (uintptr_t)rowbits_first) / sizeof(rowbits_first[0]));
}

/* The words as memory of the block's own. */
static uint64_t *rowbits_own(const uint64_t **bits) {
    if (rowbits_is_shared(*bits)) *bits = mem_dup(*bits, sizeof(rowbits_first[0]));
    return (uint64_t *)*bits;
}

void rowbits_set_shared(const uint64_t **bits, unsigned row) {
    unsigned n = rowbits_count(*bits);
    if (row < n) return;
    if (row == n && n < ROWBITS_SHARED)
        *bits = rowbits_first[n + 1];
    else
        bits_set(rowbits_own(bits), row);
}

void rowbits_clear_shared(const uint64_t **bits, unsigned row) {
    unsigned n = rowbits_count(*bits);
    if (row >= n) return;
    if (row + 1 == n)
        *bits = rowbits_first[row];
    else
        bits_clear(rowbits_own(bits), row);
}

size_t rowbits_add(const uint64_t **bits, const uint64_t *more) {
    size_t before = rowbits_bytes(*bits);
    if (*bits == rowbits_none() && !bits_any(more + 1, BLOCK_WORDS - 1)) {
        for (size_t n = 1; n <= ROWBITS_SHARED; n++)
            if (more[0] == rowbits_first[n][0]) {
                *bits = rowbits_first[n];
                return 0;
            }
    }
    uint64_t *own = rowbits_own(bits);
    for (size_t w = 0; w < BLOCK_WORDS; w++) own[w] |= more[w];
    return rowbits_bytes(*bits) - before;
}

void rowbits_free(const uint64_t *bits) {
    if (!rowbits_is_shared(bits)) mem_free((uint64_t *)bits);
}
