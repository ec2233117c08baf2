/* See series.h. */
#include "benchmark/series.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

void series_add(struct series *s, double value) {
    s->values = mem_grow(s->values, &s->capacity, s->n + 1, sizeof(*s->values));
    s->values[s->n++] = value;
    s->sorted = false;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double series_quantile(struct series *s, double q) {
    if (!s->n) return 0;
    if (!s->sorted) qsort(s->values, s->n, sizeof(*s->values), by_value);
    s->sorted = true;
    if (q == 0.5 && s->n % 2 == 0) return (s->values[s->n / 2 - 1] + s->values[s->n / 2]) / 2;
    double rank = ceil(q * (double)s->n);
    size_t i = rank < 1 ? 0 : (size_t)rank - 1;
    return s->values[i < s->n ? i : s->n - 1];
}

void series_free(struct series *s) {
    mem_free(s->values);
    *s = (struct series){0};
}
