/* Sums of weights, for draws in proportion to them: the index of PRIORITY.
 *
 * Each sample has a weight; 64 samples that follow each other are a word, with the sum of theirs. A
 * view (what is ready for a task, its fields and a WHERE) has a tree of bounds: for each word no
 * less than the weights of what is ready in it, and sums of 64 bounds above. A draw descends by the
 * bounds to a word, computes what is ready there and keeps that as the word's bound; it takes a
 * sample of the word with probability ready / bound, and else draws again. So each sample is drawn
 * in proportion to its weight whatever the bounds are, and a bound that is too large, since the
 * task has consumed samples of the word, costs one draw in vain. A word in which a sample may have
 * become ready again gets the sum of all weights as its bound. Sums are computed anew from their
 * parts, so that rounding does not add up. */
#ifndef TQ_STORE_SUMS_H
#define TQ_STORE_SUMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "store/blockindex.h"

enum { SUMS_VIEWS = 16, SUMS_LEVELS = 6 };

struct sums_view {
    struct span key; /* owned */
    uint64_t hash, used; /* used: by sums.clock */
    uint64_t number;     /* from sums.clock, when the bounds were built */
    uint64_t base;     /* the first word */
    size_t n, room;    /* words with a bound; room for so many, 0: the view is to be built */
    unsigned n_levels; /* the last one has 64 sums at the most */
    double *levels[SUMS_LEVELS];
};

/* A zeroed one is empty. */
struct sums {
    struct blockindex blocks;
    size_t n_blocks;
    uint64_t n_positive; /* samples with a weight above 0 */
    struct sums_view views[SUMS_VIEWS];
    size_t n_views;
    uint64_t clock;
    size_t bytes;
};

void sums_free(struct sums *s);

/* The first part of sums_free, in slices: as order_shrink(). */
bool sums_shrink(struct sums *s, size_t *steps);

/* The weight, 0 where none was set. */
double sums_weight(const struct sums *s, uint64_t seq);

/* Not negative, and finite. The sample may be ready to any view. */
void sums_set(struct sums *s, uint64_t seq, double weight);

/* The sample may be ready to any view again. */
void sums_touch(struct sums *s, uint64_t seq);

/* All may. */
void sums_touch_all(struct sums *s);

/* ---- views ---- */

/* The view of this key, up to date for samples below `end_seq`; valid until the next change, or
 * call with another key that is new. NULL where the partition has so few samples (`samples`), so far
 * apart, that the bounds of the words between would take more memory than they. Time: one step for
 * each word, where it is new. */
struct sums_view *sums_view(struct sums *s, struct span key, uint64_t end_seq, uint64_t samples);

/* The sum of all bounds. */
double sums_all(const struct sums_view *v);

/* The word (seq / 64) that `at`, from 0 to sums_all(), falls into; *at is then the place in its
 * bound, from 0 to *bound. */
uint64_t sums_find(const struct sums_view *v, double *at, double *bound);

double sums_bound(const struct sums_view *v, uint64_t word);
void sums_set_bound(struct sums_view *v, uint64_t word, double bound);

/* The bound is the sum of all weights of the word. */
void sums_loosen(const struct sums *s, struct sums_view *v, uint64_t word);

#endif
