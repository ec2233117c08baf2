/* Planning what is said about a partition as a whole: how many samples it will have, and that no more will come. */
#ifndef TQ_STORE_BOUNDS_H
#define TQ_STORE_BOUNDS_H

#include "store/store.h"

/* ERROR_FULL where more than `samples` were written already. */
int expect_plan(const struct store *s, struct span partition, uint64_t samples, int64_t now_ms,
                struct op *op, struct error *e);

int seal_plan(struct span partition, int64_t now_ms, struct op *op, struct error *e);

#endif
