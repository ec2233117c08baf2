/* A range: 64 blocks, of which some rows are meant.
 *
 * Snapshots are written and read by ranges that begin at multiples of RANGE_ROWS, whatever lies
 * before or behind, so that what did not change between two snapshots is cut the same way in both.
 * The rows meant are bits: those alive, those with a cell in some column, those that a task has
 * consumed. */
#ifndef TQ_STORE_RANGE_H
#define TQ_STORE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "store/blockindex.h"

struct column;
struct task;
struct partition;

enum {
    RANGE_BLOCKS = 64,
    RANGE_ROWS = RANGE_BLOCKS * BLOCK_ROWS,
    RANGE_WORDS = RANGE_ROWS / 64,
};

struct range {
    uint64_t base; /* the seq of bit 0, a multiple of RANGE_ROWS */
    uint64_t bits[RANGE_WORDS];
};

static inline uint64_t range_base(uint64_t seq) {
    return seq / RANGE_ROWS * RANGE_ROWS;
}

/* Of the range at `base`: the samples alive, those with a cell, those consumed by the task. False where there are none. */
bool range_of_alive(struct range *range, const struct partition *p, uint64_t base);
bool range_of_cells(struct range *range, const struct column *c, uint64_t base);
bool range_of_consumed(struct range *range, const struct task *t, uint64_t base);

/* The first row meant from `row` on, RANGE_ROWS where there is none. */
static inline size_t range_next(const struct range *range, size_t row) {
    if (row >= RANGE_ROWS) return RANGE_ROWS;
    size_t word = row / 64;
    uint64_t left = range->bits[word] & (~UINT64_C(0) << (row % 64));
    while (!left) {
        if (++word == RANGE_WORDS) return RANGE_ROWS;
        left = range->bits[word];
    }
    return word * 64 + bits_lowest(left);
}

static inline size_t range_count(const struct range *range) {
    return bits_count(range->bits, RANGE_WORDS);
}

/* The bits of rows from `first` to `end` - 1, in words whose other bits are 0, so that bit i of word w is row 64 w + i. */
static inline uint64_t range_mask(size_t word, size_t first, size_t end) {
    uint64_t mask = ~UINT64_C(0);
    if (word == first / 64) mask &= ~UINT64_C(0) << (first % 64);
    if (word == end / 64) mask &= ~(~UINT64_C(0) << (end % 64));
    return word < first / 64 || word > end / 64 ? 0 : mask;
}

#endif
