/* WHERE: conditions on tags, all of which have to hold. */
#ifndef TQ_STORE_WHERE_H
#define TQ_STORE_WHERE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scratch.h"
#include "base/span.h"
#include "store/partition.h"

enum where_operator { WHERE_EQ, WHERE_NE, WHERE_LT, WHERE_LE, WHERE_GT, WHERE_GE, WHERE_OPERATORS };

struct where_condition {
    struct span tag;
    enum where_operator operator;
    struct span value;
};

/* As asked for; borrowed. No conditions: everything is admitted. */
struct where {
    size_t n;
    const struct where_condition *conditions;
};

/* The same with its tags looked up in a partition; valid until the next change. */
struct where_bound {
    const struct where *where;
    const struct column **tags; /* NULL: no sample has this tag */
    uint64_t *cost;             /* of the evaluations so far: see where_admits */
};

/* The same WHERE as bytes: equal bytes, equal conditions in the same order. `at` has room for
 * where_key_len bytes. Rank batches keep such bytes in logs and snapshots. */
size_t where_key_len(const struct where *where);
void where_key_write(const struct where *where, char *at);

/* The WHERE that where_key_write wrote; borrows from `key`, its array is in `scratch`. */
struct where where_key_read(struct span key, struct scratch *scratch);

/* False when the text is no operator. */
bool where_parse_operator(struct span text, enum where_operator *out);

struct where_bound where_bind(const struct where *where, const struct partition *p,
                              struct scratch *scratch);

/* A sample without the tag fails, whatever the operator. Adds the cost to *bound->cost: one for each
 * condition that was evaluated, and more for long values. Callers with a limit count this, not
 * samples. */
bool where_admits(const struct where_bound *bound, uint64_t seq);

#endif
