/* A block index: from the number of a sample to its block, for everything that is kept per sample.
 *
 * Samples are numbered in insertion order, and their number (`seq`) is their place in every column,
 * bit set and task. A block index maps seq to a block of BLOCK_ROWS samples (rows). Blocks appear
 * when something is stored in them and go when their last sample is cleared; old ones go first, as
 * a rule, so the index is a deque that slides along with the stream. A hole costs one pointer:
 * scanning past 10 million samples that have nothing is a walk over 10,000 words. */
#ifndef TQ_STORE_BLOCKINDEX_H
#define TQ_STORE_BLOCKINDEX_H

#include <stddef.h>
#include <stdint.h>

enum { BLOCK_ROWS = 1024, BLOCK_WORDS = BLOCK_ROWS / 64, BLOCK_CAPACITY_FIRST = 1 };

/* An array of words: how many they are, then a deque of entries. A partition of few samples has one
 * block in each of its block indexes, which needs no array. Zeroed: empty. */
struct blockindex {
    void **blocks;         /* the array, or where start is 0 the only block itself */
    uint64_t first;        /* block number of the entry at start */
    uint32_t start, count; /* entries start … start + count - 1 */
};

static inline uint64_t block_number(uint64_t seq) {
    return seq / BLOCK_ROWS;
}

static inline unsigned block_row(uint64_t seq) {
    return (unsigned)(seq % BLOCK_ROWS);
}

/* The block with this number, NULL where there is none. */
static inline void *blockindex_get(const struct blockindex *s, uint64_t number) {
    uint64_t at = number - s->first; /* wraps far beyond count when number < first */
    if (at >= s->count) return NULL;
    return s->start ? s->blocks[(size_t)s->start + at] : (void *)s->blocks;
}

/* One behind the last block's number. */
static inline uint64_t blockindex_end(const struct blockindex *s) {
    return s->first + s->count;
}

/* Put a block (or NULL, to remove it; the caller frees it) at a number. */
void blockindex_set(struct blockindex *s, uint64_t number, void *block);

/* The array alone; blocks are the caller's. The index is empty and usable. */
void blockindex_free(struct blockindex *s);

static inline size_t blockindex_overhead(const struct blockindex *s) {
    return s->start ? (size_t)s->blocks[0] * sizeof(*s->blocks) : 0;
}

/* How many rows a growing array inside a block should have to hold `row`: doubling up to
 * BLOCK_ROWS, so that small partitions stay small. */
static inline unsigned block_capacity(unsigned row) {
    unsigned capacity = BLOCK_CAPACITY_FIRST;
    while (capacity <= row) capacity *= 2;
    return capacity;
}

#endif
