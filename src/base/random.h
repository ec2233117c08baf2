/* Random numbers that a seed decides: the same seed, the same numbers, on every machine.
 *
 * SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014): one word of state, any
 * seed is a good one. For choices, not for secrets; those come from hash_random. */
#ifndef TQ_BASE_RANDOM_H
#define TQ_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

static inline struct random random_of_seed(uint64_t seed) {
    return (struct random){seed};
}

static inline uint64_t random_word(struct random *r) {
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number below `n`, which is at least 1, all equally likely: the high half of a product, and another word where the low
 * half shows that some would come once too often (Lemire: "Fast random integer generation in an interval", 2019). */
static inline uint64_t random_below(struct random *r, uint64_t n) {
    unsigned __int128 product = (unsigned __int128)random_word(r) * n;
    if ((uint64_t)product < n) {
        uint64_t surplus = (0 - n) % n; /* 2^64 modulo n */
        while ((uint64_t)product < surplus) product = (unsigned __int128)random_word(r) * n;
    }
    return (uint64_t)(product >> 64);
}

/* Between 0 and 1, and neither of them. */
static inline double random_unit(struct random *r) {
    return ((double)(random_word(r) >> 12) + 0.5) * 0x1p-52;
}

#endif
