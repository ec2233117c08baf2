/* Planning a batch write: n samples, c columns, in the column form.
 *
 * As for one sample (put.h), everything is checked before anything is changed. The work is per column wherever it can be: a dense
 * column of a thousand samples is one length to check and one payload to copy or adopt. */
#ifndef TQ_STORE_MPUT_H
#define TQ_STORE_MPUT_H

#include "base/scratch.h"
#include "store/plan.h"
#include "store/put.h"
#include "store/store.h"

/* A column as it comes: DESIGN's `name type shape payload`. */
struct mput_column {
    struct span name;
    struct dtype type; /* any number of `*` */
    /* n × stars u32, little-endian; for str and bytes n lengths; empty for dense */
    struct span shape;
    struct span payload;
    struct chunk *chunk; /* the chunk that the payload lies in, or NULL; the caller keeps its pin */
};

struct mput_tag {
    struct span name;
    const struct span *values; /* n */
};

/* As asked for; everything borrowed until the op is applied. */
struct mput {
    struct span partition;
    enum put_only only; /* NX, XX: samples that are there, or are not, are skipped */
    size_t n;
    const struct span *keys;      /* n */
    const struct span *group_ids; /* n, or NULL */
    uint64_t group_size;
    size_t n_tags, n_columns;
    const struct mput_tag *tags;
    const struct mput_column *columns;
};

/* *skipped: NX or XX skip all, there is nothing to do. Else *op is ready for store_apply, with
 * arrays in `scratch`. Errors: ERR (names, a key twice, groups, the column form), SCHEMA, FULL,
 * OOM. */
int mput_plan(const struct store *s, const struct mput *mput, enum write_order order,
              int64_t now_ms, struct scratch *scratch, struct op *op, bool *skipped,
              struct error *e);

#endif
