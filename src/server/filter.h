/* Which parked calls a changed sample may be of use to.
 *
 * A thousand calls that wait with different conditions on tags (WHERE version = 7, WHERE worker = 3
 * …) must not be asked one by one about each write. One condition of each call is indexed here:
 * equality in a hash table by value, comparisons with a number in a sorted array. A changed sample
 * then finds the calls whose indexed condition it meets, and only those are asked whether all of
 * their conditions hold. The answer errs on one side: it may name a call that has no use for the
 * sample, and never leaves out one that has. */
#ifndef TQ_SERVER_FILTER_H
#define TQ_SERVER_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/table.h"
#include "store/partition.h"
#include "store/where.h"

struct filter_tag;

/* Part of what is filtered; one place in a filter. */
struct filter_entry {
    struct filter_tag *tag; /* NULL: in no filter */
    enum where_operator operator;
    struct table_link link; /* WHERE_EQ: by value */
    double threshold;       /* the comparisons */
};

/* Of one partition. Zeroed: empty. */
struct filter {
    struct filter_tag *tags;
};

/* Index the entry by one of the conditions. False where none can be indexed (none at all, only
 * `!=`, or comparisons with what is no number): then the entry is in no filter and has to be asked
 * about each sample. */
bool filter_add(struct filter *f, struct filter_entry *entry, const struct where *where);
void filter_remove(struct filter *f, struct filter_entry *entry);

/* Call `each` for the entries that one of the samples may be of use to, some of them more than
 * once. `each` neither adds nor removes entries. The op that changed the samples has been applied
 * to `p`. Time: for each sample, the tags that are indexed, and the entries that are named. */
void filter_match(const struct filter *f, const struct partition *p, const uint64_t *seqs, size_t n,
                  void (*each)(void *context, struct filter_entry *entry), void *context);

#endif
