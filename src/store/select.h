/* Planning what concerns samples that are there already: clearing, erasing cells, forgetting consumption.
 *
 * Keys and conditions become seqs; unknown keys are no error, they are just not among them. */
#ifndef TQ_STORE_SELECT_H
#define TQ_STORE_SELECT_H

#include <stdbool.h>

#include "base/scratch.h"
#include "store/store.h"
#include "store/where.h"

/* Whom it concerns: those of the keys (keys NULL: of all samples) that WHERE admits. */
struct select {
    struct span partition;
    size_t n_keys;
    const struct span *keys;
    struct where where;
    uint64_t evaluations; /* of WHERE at the most, without keys; 0: no limit */
};

enum select_names { SELECT_SAMPLES, SELECT_FIELDS, SELECT_TAGS };

struct clear {
    struct select select;
    enum select_names what; /* whole samples, or these fields or tags of them */
    size_t n_names;
    const struct span *names;
};

struct reset {
    struct select select;
    struct span task; /* ptr NULL: all tasks */
};

enum clear_outcome {
    CLEAR_NOTHING, /* no sample is concerned: there is no op */
    CLEAR_OP,      /* OP_DROP where everything goes, else OP_CLEAR or OP_ERASE */
    CLEAR_SCAN,    /* the limit of evaluations was reached: see ready_is_cut() */
};

enum clear_outcome clear_plan(const struct store *s, const struct clear *clear, int64_t now_ms,
                              struct scratch *scratch, struct op *op);

/* ERROR_NOPART where the partition is unknown. */
int reset_plan(const struct store *s, const struct reset *reset, int64_t now_ms,
               struct scratch *scratch, struct op *op, struct error *e);

#endif
