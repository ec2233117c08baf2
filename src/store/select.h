/* Planning what concerns samples that are there already: clearing, erasing cells, forgetting consumption.
 *
 * Keys and conditions become seqs; unknown keys are no error, they are just not among them. */
#ifndef TQ_STORE_SELECT_H
#define TQ_STORE_SELECT_H

#include <stdbool.h>

#include "base/scratch.h"
#include "store/store.h"
#include "store/where.h"

/* A part of the samples of a partition, in the order of their seqs. */
struct select_slice {
    uint64_t from;        /* the first seq; a plan sets it to where the next slice begins */
    uint64_t end;         /* seqs from here on are left alone */
    size_t samples;       /* at most so many are selected: at least 1 */
    uint64_t evaluations; /* of WHERE, about so many at most: at least 1 */
    bool more;            /* set by a plan: samples are left for the next slice */
};

/* Whom it concerns: those of the keys (keys NULL: of all samples) that WHERE admits. */
struct select {
    struct span partition;
    size_t n_keys;
    const struct span *keys;
    struct where where;
    struct select_slice *slice; /* NULL: all at once. Not looked at with keys */
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
};

/* CLEAR_NOTHING also where a slice has none, but more slices follow. */
enum clear_outcome clear_plan(const struct store *s, const struct clear *clear, int64_t now_ms,
                              struct scratch *scratch, struct op *op);

/* ERROR_NOPART where the partition is unknown. */
int reset_plan(const struct store *s, const struct reset *reset, int64_t now_ms,
               struct scratch *scratch, struct op *op, struct error *e);

#endif
