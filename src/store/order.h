/* An ordered set of (value, seq): a B+-tree.
 *
 * Inner nodes count what is below each child, so that a rank costs O(log n). They also keep, for up
 * to 64 views, whether a child holds anything of use to a view: a bit that is set says that a walk
 * found nothing below the child. A later walk of the view skips the child, so what a task has
 * consumed is walked over once. The bits on the path of an entry are cleared when the entry comes,
 * and by order_touch() when it may have become of use again; entries that go, or are of use no
 * more, leave the bits as they are. So a set bit is always true, and an unset one costs a look. */
#ifndef TQ_STORE_ORDER_H
#define TQ_STORE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORDER_VIEWS = 64 };

/* Ordered by value, then by seq. */
struct order_key {
    uint64_t value, seq;
};

#define ORDER_KEY_MIN ((struct order_key){0, 0})

/* A zeroed one is empty. */
struct order {
    void *root;      /* a leaf where height is 0 */
    unsigned height; /* levels of inner nodes */
    uint64_t n;
    size_t bytes; /* of the nodes */
};

void order_free(struct order *o);

/* The first part of order_free, in slices: frees at most *steps nodes and takes them off *steps.
 * True when none is left. The order is not read any more. */
bool order_shrink(struct order *o, size_t *steps);

/* The key is not there. */
void order_add(struct order *o, struct order_key key);

/* True when the key was there. */
bool order_remove(struct order *o, struct order_key key);

/* The entry may be of use to any view again. A key that is not there changes no answer. */
void order_touch(struct order *o, struct order_key key);

/* The bits of these views are cleared. Time: n / 4096 nodes or so. */
void order_forget(struct order *o, uint64_t views);

/* How many entries are less than `key`. */
uint64_t order_rank(const struct order *o, struct order_key key);

/* The entries from `from` to before `end`, in order, in runs. */
typedef void order_run(void *context, const struct order_key *keys, size_t n);
void order_each(const struct order *o, struct order_key from, struct order_key end, order_run *run,
                void *context);

/* ---- walks ---- */

enum order_use { ORDER_NEVER, ORDER_UNWANTED, ORDER_WANTED };

struct order_walk {
    /* What is the entry to the walk: wanted; of use to the wide view but not wanted; or neither. */
    enum order_use (*use)(void *context, struct order_key key);
    void *context;
    uint64_t wide;   /* the bit of the view that has all that is not NEVER */
    uint64_t narrow; /* the bit of the view that has what is WANTED; may be the same */
    /* What a walk may cost, in entries; it ends where either is 0. `left` is charged for leaves that
     * get their bit, which the next walk passes over; `waste` for entries that are not wanted in
     * leaves that get none, which the next walk would look at again. */
    uint64_t *left, *waste;
    uint64_t extra; /* use() adds what an entry that is not wanted costs beyond one */
    bool is_cut;    /* it ended there; the next walk of the view goes on behind what got bits */
};

/* The first, or the last, entry that is wanted of those from `from` to before `end`. False: there
 * is none, or is_cut. */
bool order_first(struct order *o, struct order_walk *walk, struct order_key from,
                 struct order_key end, struct order_key *out);
bool order_last(struct order *o, struct order_walk *walk, struct order_key from,
                struct order_key end, struct order_key *out);

#endif
