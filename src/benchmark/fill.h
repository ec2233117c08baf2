/* Fills a partition with many samples by TQ.MPUT, a batch at a time, with keys that count on. */
#ifndef TQ_BENCHMARK_FILL_H
#define TQ_BENCHMARK_FILL_H

#include "base/error.h"
#include "benchmark/batch.h"
#include "benchmark/link.h"

/* Put the batch into the partition `times` times over one connection, each time with new keys; the
 * batch ends up with the last ones. Fails unless each time all samples are new. */
int fill_partition(const struct link_address *a, enum link_transport transport, int buffer,
                   const char *partition, struct batch *b, size_t times, struct error *e);

#endif
