/* A store as JSON lines: a line for each partition, then one for each of its samples. */
#ifndef TQ_TOOLS_DUMP_STORE_H
#define TQ_TOOLS_DUMP_STORE_H

#include "base/scratch.h"
#include "store/store.h"

void dump_store(const struct store *s, struct scratch *scratch);

#endif
