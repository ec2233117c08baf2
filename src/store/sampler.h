/* Samplers: which of the ready samples make the batch.
 *
 * A sampler sees candidates in seq order, with tags and groups, and names its picks. No I/O, no
 * clock, nothing changed: the same candidates and the same arguments give the same picks; chance
 * comes in as a seed. With an index (tagindex.h), what PRIORITY draws by a seed also depends on the
 * draws before; its distribution does not. One file a sampler, one line in the table of sampler.c:
 * the sampler itself declares its arguments and its functions. */
#ifndef TQ_STORE_SAMPLER_H
#define TQ_STORE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/scratch.h"
#include "store/ready.h"

enum { SAMPLER_RANKS_MAX = 65536 };

/* The batch being put together. */
struct picks {
    /* in scratch, room for `room`: the batch, in the order in which it is delivered */
    uint64_t *seqs;
    size_t n, room;
    size_t left; /* samples in units that were found and left out again: too few for all ranks */
    /* in scratch, from samplers with ranks: rank r has seqs[slices[r]] to seqs[slices[r + 1] - 1],
     * so there are ranks + 1 of them; NULL from others, and where nothing was picked */
    size_t *slices;
    struct scratch *scratch;
};

/* What was said behind BY. */
struct sampler_args {
    struct span tag;
    uint64_t ranks;  /* 0 where the sampler has none, else up to SAMPLER_RANKS_MAX */
    bool groups;     /* BALANCED … GROUP */
    uint64_t number; /* GROUP n; 0 where not given */
    double exponent; /* 1 where not given */
    uint64_t seed;
    bool seeded; /* the seed was given, else drawn */
};

/* What may stand behind a sampler's name, in this order, but for the last two: in any order. */
enum sampler_takes {
    SAMPLER_TAG = 1 << 0,      /* tag */
    SAMPLER_RANKS = 1 << 1,    /* ranks */
    SAMPLER_GROUPS = 1 << 2,   /* [GROUP [n]] */
    SAMPLER_NUMBER = 1 << 3,   /* [n] */
    SAMPLER_EXPONENT = 1 << 4, /* [EXPONENT p] */
    SAMPLER_SEED = 1 << 5,     /* [SEED s] */
};

struct sampler {
    const char *name;
    unsigned takes;  /* enum sampler_takes */
    bool random;     /* args->seed decides: whoever asks draws one where none was given */
    bool needs_rank; /* splits its picks: only with RANK and BATCH */

    /* Can this COUNT be asked of this partition (NULL: it does not exist yet)? Checked before anything is
     * picked. NULL: always. */
    int (*check)(const struct sampler_args *args, const struct partition *p, uint64_t count,
                 struct error *e);

    /* Has the partition an index that it would use? NULL: it uses none. */
    bool (*has_index)(const struct sampler_args *args, const struct partition *p);

    /* Pick up to picks->room, in whole units, fewer where fewer will do. */
    void (*pick)(const struct sampler_args *args, struct ready *ready, struct picks *picks);

    /* An upper bound of how many more samples could be picked because these n changed, whatever
     * they were before; exact where none of them was ready. `ready` is a lookup. NULL: each one
     * that is ready. */
    uint64_t (*matches)(const struct sampler_args *args, const struct ready *ready,
                        const uint64_t *seqs, size_t n, struct scratch *scratch);
};

/* All samplers there are, from 0; NULL past the last. */
const struct sampler *sampler_at(size_t i);

/* By name, in any case; NULL where unknown. */
const struct sampler *sampler_find(struct span name);

/* What the sampler's `matches` says. */
uint64_t sampler_matches(const struct sampler *sampler, const struct sampler_args *args,
                         const struct ready *ready, const uint64_t *seqs, size_t n,
                         struct scratch *scratch);

/* A call gets so many times its COUNT, which is one rank's. After the sampler's check, the product
 * is no more than a partition can hold. */
static inline uint64_t sampler_slices(const struct sampler_args *args) {
    return args->ranks ? args->ranks : 1;
}

#endif
