/* Samplers: which of the ready samples make the batch.
 *
 * A sampler sees candidates in seq order, with tags and groups, and names its picks. No I/O, no clock, nothing changed:
 * the same candidates give the same picks. One file a sampler, one line in the table of sampler.c. */
#ifndef TQ_STORE_SAMPLER_H
#define TQ_STORE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "store/ready.h"

/* The batch being put together. */
struct picks {
    uint64_t *seqs; /* room for `room`: the batch, in the order it is handed out */
    size_t n, room;
};

/* What was said behind BY. */
struct sampler_args {
    uint64_t number; /* GROUP n; 0 where not given */
};

struct sampler {
    const char *name;

    /* Can this COUNT be asked of this partition (NULL: it does not exist yet)? Checked before anything is
     * picked. NULL: always. */
    int (*check)(const struct sampler_args *args, const struct partition *p, uint64_t count,
                 struct error *e);

    /* Pick up to picks->room, in whole units, fewer where fewer will do. */
    void (*pick)(const struct sampler_args *args, struct ready *ready, struct picks *picks);

    bool takes_number; /* a number may follow the name */
};

/* By name, in any case; NULL where unknown. */
const struct sampler *sampler_find(struct span name);

#endif
