/* Declared groups: the samples of one prompt.
 *
 * A group is named at the write (`GROUP id size`), complete when `size` samples of it exist, and whole for ever
 * after or not at all: once a member of it was cleared it never completes again. It is forgotten with its
 * last member. All groups of a partition share one size. */
#ifndef TQ_STORE_GROUP_H
#define TQ_STORE_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "store/keyindex.h"

#define GROUP_NONE UINT32_MAX /* no group */

enum { GROUP_SIZE_MAX = 65536 };

struct group {
    struct span id;   /* owned */
    uint32_t size;    /* how many members it is to have */
    uint32_t members; /* samples alive */
    bool broken;      /* lost one */
    uint64_t *seqs;   /* of the members, ascending; inside of `memory` */
    uint64_t *memory;
    size_t capacity; /* of memory */
};

struct groups {
    struct keyindex index;
    struct group **table; /* by number; NULL: free */
    size_t capacity, end;
    uint32_t *spare; /* free numbers */
    size_t n_spare, spare_capacity;
    uint32_t size; /* of every group, 0 before the first */
    size_t count;
    size_t broken; /* groups that lost a member */
    size_t bytes; /* of the groups themselves */
};

/* A zeroed struct groups is empty. */
void groups_free(struct groups *gs);

/* What a partition begins with: no group, in memory that all partitions share. */
extern const struct groups groups_none;

/* *gs to be changed: memory of its own replaces groups_none. groups_drop goes back. */
struct groups *groups_own(const struct groups **gs);
void groups_drop(const struct groups **gs);

/* The first part of groups_free, in slices: frees at most *steps groups and takes them off *steps.
 * True when none is left. The groups are not read any more. */
bool groups_shrink(struct groups *gs, size_t *steps);

/* The number of a group, GROUP_NONE where unknown. */
uint32_t groups_find(const struct groups *gs, struct span id);

static inline struct group *groups_get(const struct groups *gs, uint32_t number) {
    return gs->table[number];
}

static inline size_t groups_overhead(const struct groups *gs) {
    return (gs == &groups_none ? 0 : sizeof(*gs)) + gs->bytes + gs->index.bytes +
           gs->capacity * sizeof(*gs->table) + gs->spare_capacity * sizeof(*gs->spare);
}

/* A group without members, which no other of this id may be; and one more member. For those who know numbers. */
uint32_t groups_make(struct groups *gs, struct span id, uint32_t size);
void groups_add(struct groups *gs, uint32_t number, uint64_t seq);

/* A sample joins the group, which is made if need be. The caller has checked that sizes agree and that there is
 * room. Returns the group's number. */
uint32_t groups_join(struct groups *gs, struct span id, uint32_t size, uint64_t seq);

/* A group as it was saved: it has lost a member. */
void groups_break(struct groups *gs, uint32_t number);

/* A member is cleared. Time: O(log n), and up to half of the members behind or before it where it
 * is neither the first nor the last one. */
void groups_leave(struct groups *gs, uint32_t number, uint64_t seq);

static inline bool group_is_complete(const struct group *g) {
    return g->members == g->size && !g->broken;
}

#endif
