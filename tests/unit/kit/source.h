/* Where a random test takes its decisions from: a seed, or bytes that a fuzzer made up.
 *
 * The same seed gives the same decisions. Bytes give decisions until they are used up; after that every
 * decision is 0 and source_is_done says so. */
#ifndef TQ_TESTS_KIT_SOURCE_H
#define TQ_TESTS_KIT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
    uint64_t state;       /* of the generator; unused with bytes */
    const uint8_t *bytes; /* NULL: from the seed */
    size_t left;
};

static inline struct source source_of_seed(uint64_t seed) {
    return (struct source){.state = seed};
}

static inline struct source source_of_bytes(const uint8_t *bytes, size_t len) {
    return (struct source){.bytes = bytes ? bytes : (const uint8_t *)"", .left = len};
}

static inline bool source_is_done(const struct source *s) {
    return s->bytes && s->left == 0;
}

/* 64 bits from the seed: SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t source_word(struct source *s) {
    uint64_t z = s->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number below `n`, which is at least 1. As few bytes are used as `n` needs. */
static inline uint64_t source_below(struct source *s, uint64_t n) {
    if (!s->bytes) return source_word(s) % n;
    uint64_t value = 0;
    for (uint64_t most = n - 1; most > 0 && s->left > 0; most >>= 8, s->left--)
        value = value << 8 | *s->bytes++;
    return value % n;
}

/* True once in `n` times. Never when the bytes are used up. */
static inline bool source_once_in(struct source *s, uint64_t n) {
    return source_below(s, n) == n - 1;
}

static inline uint64_t source_between(struct source *s, uint64_t low, uint64_t high) {
    return low + source_below(s, high - low + 1);
}

#endif
