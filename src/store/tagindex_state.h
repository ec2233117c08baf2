/* What tagindex.c and tagindex_build.c share: an index, and what is derived from a tag. */
#ifndef TQ_STORE_TAGINDEX_STATE_H
#define TQ_STORE_TAGINDEX_STATE_H

#include "store/partition.h"
#include "store/sums.h"
#include "store/tagindex.h"

struct tagindex_view {
    uint64_t hash;
    struct span key; /* owned */
    uint64_t used;   /* by tag_index.clock */
    uint64_t number; /* from tag_index.clock, when the view was made */
};

struct tag_index {
    struct span name;          /* as declared; owned */
    struct tagindex_spec spec; /* spec.tag is the beginning of the name */
    struct sums sums;          /* spec.is_sum */
    uint64_t n_odd;            /* weights that are not in the sums */
    struct order order;
    uint64_t n; /* samples that are in it */
    /* While it is built: samples with a seq from `gap` to before `gap_end` are not in it. */
    uint64_t gap, gap_end;
    struct tag_index *next; /* in a list of removed ones */
    struct tagindex_view views[ORDER_VIEWS];
    size_t n_views;
    uint64_t clock;
};

/* Nothing reads an index before it is complete. */
static inline bool tagindex_is_complete(const struct tag_index *index) {
    return index->gap >= index->gap_end;
}

/* The entry of a sample, by its tag as it is now. `tag` may be NULL. */
struct order_key tagindex_key(const struct column *tag, uint64_t seq);

/* Views are begun anew: any sample may be ready again. */
void tagindex_forget_views(struct tag_index *index);

#endif
