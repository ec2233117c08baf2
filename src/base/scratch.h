/* Memory for the length of one command.
 *
 * A request, the plan made from it and the op that comes out need arrays whose sizes the client
 * decides. They all die together when the command is done, so they are cut from one growing
 * block and given back by a single reset: no free per array, no malloc on the steady path. */
#ifndef TQ_BASE_SCRATCH_H
#define TQ_BASE_SCRATCH_H

#include <stddef.h>

struct scratch {
    struct scratch_block *block; /* newest first */
};

/* A zeroed struct scratch is empty and ready. Aligned for any type, not zeroed, never NULL,
 * valid until the reset. count × size must not overflow: callers bound their counts first. */
void *scratch_alloc(struct scratch *s, size_t count, size_t size);
void *scratch_zalloc(struct scratch *s, size_t count, size_t size);

/* Everything handed out is void; one block of moderate size is kept for the next command. */
void scratch_reset(struct scratch *s);
void scratch_free(struct scratch *s);

#endif
