/* Numbers that were measured, and what is said about them: median and other quantiles. */
#ifndef TQ_BENCHMARK_SERIES_H
#define TQ_BENCHMARK_SERIES_H

#include <stdbool.h>
#include <stddef.h>

struct series {
    double *values; /* owned */
    size_t n, capacity;
    bool sorted;
};

void series_add(struct series *s, double value);

/* The smallest value that at least the fraction `q` of all do not exceed (the median of an even
 * number is the mean of the two in the middle). 0 where nothing was measured. Sorts the values. */
double series_quantile(struct series *s, double q);

static inline double series_median(struct series *s) {
    return series_quantile(s, 0.5);
}

void series_free(struct series *s);

#endif
