/* Memory for payload: shared mappings of memfds, as the server's own regions are.
 *
 * The raw peer has to receive into the kind of memory that the server receives into, or the
 * comparison says nothing. The client's buffers are of the same kind for another reason: the raw
 * peer is forked, and a fork would turn private pages into copy-on-write ones in the middle of a
 * measurement. */
#ifndef TQ_BENCHMARK_MEMORY_H
#define TQ_BENCHMARK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct memory {
    char *bytes;
    size_t size;
};

/* `size` bytes (0 becomes 1). With `fault_in` every page is touched before this returns, else none
 * is. On failure *m is empty. */
int memory_map(struct memory *m, size_t size, bool fault_in, struct error *e);

/* An empty one is allowed. */
void memory_unmap(struct memory *m);

/* What the machine could give to new mappings now, in bytes; SIZE_MAX where that is not known. */
size_t memory_available(void);

#endif
