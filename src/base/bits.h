/* Sets of small integers, 64 to a word.
 *
 * Readiness, consumption and life of samples are such sets; a question about 64 samples is then
 * one AND. Loops over words are written plainly for the compiler to vectorise. */
#ifndef TQ_BASE_BITS_H
#define TQ_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool bits_get(const uint64_t *words, size_t i) {
    return words[i / 64] >> (i % 64) & 1;
}

static inline void bits_set(uint64_t *words, size_t i) {
    words[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void bits_clear(uint64_t *words, size_t i) {
    words[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static inline size_t bits_count(const uint64_t *words, size_t n_words) {
    size_t count = 0;
    for (size_t i = 0; i < n_words; i++) count += (size_t)__builtin_popcountll(words[i]);
    return count;
}

static inline bool bits_any(const uint64_t *words, size_t n_words) {
    uint64_t any = 0;
    for (size_t i = 0; i < n_words; i++) any |= words[i];
    return any != 0;
}

/* The lowest set bit of a word that is not zero. */
static inline unsigned bits_lowest(uint64_t word) {
    return (unsigned)__builtin_ctzll(word);
}

/* The highest set bit of a word that is not zero. */
static inline unsigned bits_highest(uint64_t word) {
    return 63 - (unsigned)__builtin_clzll(word);
}

/* The set bit of a word that has `rank` set bits below it; there is one. */
static inline unsigned bits_ranked(uint64_t word, unsigned rank) {
    while (rank--) word &= word - 1;
    return bits_lowest(word);
}

#endif
