/* The backbone of everything that is kept per sample.
 *
 * Samples are numbered in insertion order, and their number (`seq`) is their place in every column, bit set
 * and task. A spine maps seq to a piece of SPINE_ROWS samples. Pieces appear when something is stored in them and
 * go when their last sample is cleared; old ones go first, as a rule, so a spine is a deque that slides
 * along with the stream. A hole costs one pointer: scanning past 10 million samples that have nothing is a walk
 * over 10,000 words. */
#ifndef TQ_STORE_SPINE_H
#define TQ_STORE_SPINE_H

#include <stddef.h>
#include <stdint.h>

enum { SPINE_ROWS = 1024, SPINE_WORDS = SPINE_ROWS / 64, SPINE_CAPACITY_FIRST = 1 };

/* An array of words: how many they are, then a deque of entries. A partition of few samples has one
 * piece in each of its spines, which needs no array. Zeroed: empty. */
struct spine {
    void **pieces;         /* the array, or where start is 0 the only piece itself */
    uint64_t first;        /* piece number of the entry at start */
    uint32_t start, count; /* entries start … start + count - 1 */
};

static inline uint64_t spine_number(uint64_t seq) {
    return seq / SPINE_ROWS;
}

static inline unsigned spine_row(uint64_t seq) {
    return (unsigned)(seq % SPINE_ROWS);
}

/* The piece with this number, NULL where there is none. */
static inline void *spine_get(const struct spine *s, uint64_t number) {
    uint64_t at = number - s->first; /* wraps far beyond count when number < first */
    if (at >= s->count) return NULL;
    return s->start ? s->pieces[(size_t)s->start + at] : (void *)s->pieces;
}

/* One behind the last piece's number. */
static inline uint64_t spine_end(const struct spine *s) {
    return s->first + s->count;
}

/* Put a piece (or NULL, to remove it; the caller frees it) at a number. */
void spine_set(struct spine *s, uint64_t number, void *piece);

/* The array alone; pieces are the caller's. The spine is empty and usable. */
void spine_free(struct spine *s);

static inline size_t spine_overhead(const struct spine *s) {
    return s->start ? (size_t)s->pieces[0] * sizeof(*s->pieces) : 0;
}

/* How many rows a growing array inside a piece should have to hold `row`: doubling up to SPINE_ROWS, so that
 * small partitions stay small. */
static inline unsigned spine_capacity(unsigned row) {
    unsigned capacity = SPINE_CAPACITY_FIRST;
    while (capacity <= row) capacity *= 2;
    return capacity;
}

#endif
