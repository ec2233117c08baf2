/* Planning a write: from what a client wants to an OP_PUT that cannot fail.
 *
 * Everything is checked before anything is changed: names, bounds, groups, the type of each value against its field.
 * Then memory is reserved. A failed plan leaves the store as it was. */
#ifndef TQ_STORE_PUT_H
#define TQ_STORE_PUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scratch.h"
#include "store/plan.h"
#include "store/store.h"

enum put_only { PUT_ALWAYS, PUT_NX, PUT_XX };

/* One field of one sample. */
struct put_value {
    struct span name;
    bool typed; /* a type was given: the item's own shape, with at most one `*` */
    struct dtype type;
    bool text; /* `bytes` is a literal for people, not the value itself */
    struct span bytes;
    struct chunk *chunk; /* the chunk that `bytes` lies in, or NULL. Adopted when used, the caller
                             keeps its pin */
};

struct put_tag {
    struct span name, value;
};

/* As asked for; everything borrowed until the op is applied. */
struct put {
    struct span partition, key;
    struct span group; /* ptr NULL: none */
    uint64_t group_size;
    enum put_only only;
    struct span if_tag, if_value; /* if_tag.ptr NULL: no IF */
    size_t n_tags, n_values;
    const struct put_tag *tags;
    const struct put_value *values;
};

/* 0 with *skipped: NX, XX or IF says that nothing is to be done. 0 otherwise: *op is ready for
 * store_apply, with arrays in `scratch`. Errors: ERR (names, groups), SCHEMA, FULL, OOM. */
int put_plan(const struct store *s, const struct put *put, enum write_order order, int64_t now_ms,
             struct scratch *scratch, struct op *op, bool *skipped, struct error *e);

#endif
