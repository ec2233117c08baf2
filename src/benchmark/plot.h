/* The sweep as a picture: an SVG written by hand, for a browser or a README. */
#ifndef TQ_BENCHMARK_PLOT_H
#define TQ_BENCHMARK_PLOT_H

#include "base/error.h"
#include "benchmark/report.h"

/* Gbit/s over the size of a batch, both logarithmic, in a panel for each direction, mix and
 * transport among the warm mput and mget results. A failure may leave a part of the file. */
int plot_write(const char *path, const struct report *r, struct error *e);

#endif
