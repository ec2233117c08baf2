/* See order.h. */
#include "store/order.h"

#include <string.h>

#include "base/mem.h"

enum {
    ORDER_FANOUT =
        63, /* nodes of 1,016 and 2,528 bytes: classes of the allocator have 1,024, 2,560 */
    ORDER_SMALL = 16,  /* a node with fewer joins a neighbour, */
    ORDER_JOINED = 48, /* where both together have no more than these */
};

struct order_leaf {
    unsigned n;
    struct order_key keys[ORDER_FANOUT];
};

/* Children hold keys from their `first` on, up to the next child's; the first child's is not read,
 * it has all below. */
struct order_inner {
    unsigned n;
    struct order_key firsts[ORDER_FANOUT];
    void *children[ORDER_FANOUT];
    uint64_t spent[ORDER_FANOUT]; /* bits of views to which nothing below is of use */
    uint64_t counts[ORDER_FANOUT];
};

static bool order_less(struct order_key a, struct order_key b) {
    return a.value != b.value ? a.value < b.value : a.seq < b.seq;
}

/* How many of the sorted keys are less than `key`. */
static unsigned order_lower(const struct order_key *keys, unsigned n, struct order_key key) {
    unsigned low = 0, high = n;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (order_less(keys[middle], key))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The child where the key is, or would be. */
static unsigned order_child(const struct order_inner *inner, struct order_key key) {
    unsigned low = 0, high = inner->n - 1; /* the last one whose first is not above the key */
    while (low < high) {
        unsigned middle = (low + high + 1) / 2;
        if (order_less(key, inner->firsts[middle]))
            high = middle - 1;
        else
            low = middle;
    }
    return low;
}

static size_t order_node_size(unsigned level) {
    return level ? sizeof(struct order_inner) : sizeof(struct order_leaf);
}

static void *order_node_new(struct order *o, unsigned level) {
    o->bytes += order_node_size(level);
    void *node = mem_alloc(order_node_size(level));
    *(unsigned *)node = 0;
    return node;
}

static void order_node_free(struct order *o, void *node, unsigned level) {
    o->bytes -= order_node_size(level);
    mem_free(node);
}

/* Both kinds begin with n. */
static unsigned order_node_n(const void *node) {
    return *(const unsigned *)node;
}

/* ---- freeing ------------------------------------------------------------------------------ */

/* True when the node is gone. */
static bool order_node_shrink(struct order *o, void *node, unsigned level, size_t *steps) {
    struct order_inner *inner = node;
    for (; level && inner->n; inner->n--)
        if (!order_node_shrink(o, inner->children[inner->n - 1], level - 1, steps)) return false;
    if (!*steps) return false;
    --*steps;
    order_node_free(o, node, level);
    return true;
}

bool order_shrink(struct order *o, size_t *steps) {
    if (o->root && !order_node_shrink(o, o->root, o->height, steps)) return false;
    *o = (struct order){0};
    return true;
}

void order_free(struct order *o) {
    size_t all = SIZE_MAX;
    order_shrink(o, &all);
}

/* ---- adding ------------------------------------------------------------------------------- */

/* The right half of a node that was full; node NULL: it was not. */
struct order_half {
    void *node;
    struct order_key first;
    uint64_t count;
};

/* Where a full node is split when something comes to `at`. What comes in order leaves full nodes
 * behind. Only at the end of the tree: elsewhere what comes next may lie before this one, and would
 * make a node of its own, too. */
static unsigned order_half_at(unsigned at, bool is_last) {
    return at == ORDER_FANOUT && is_last ? ORDER_FANOUT : ORDER_FANOUT / 2;
}

static void order_leaf_insert(struct order_leaf *leaf, unsigned at, struct order_key key) {
    memmove(leaf->keys + at + 1, leaf->keys + at, (leaf->n - at) * sizeof(key));
    leaf->keys[at] = key;
    leaf->n++;
}

/* A full leaf in which a long run of one value ends at `at`, where the key continues it: samples of
 * one value come in the order of their seqs, and what is split behind the run leaves a leaf that
 * they fill. */
static unsigned order_leaf_half(const struct order_leaf *leaf, unsigned at, struct order_key key,
                                bool is_last) {
    bool is_run = at >= ORDER_FANOUT / 2 && leaf->keys[at - ORDER_FANOUT / 2].value == key.value;
    bool is_end = at == ORDER_FANOUT || leaf->keys[at].value != key.value;
    return is_run && is_end ? at : order_half_at(at, is_last);
}

static struct order_half order_leaf_add(struct order *o, struct order_leaf *leaf,
                                        struct order_key key, bool is_last) {
    unsigned at = order_lower(leaf->keys, leaf->n, key);
    if (leaf->n < ORDER_FANOUT) {
        order_leaf_insert(leaf, at, key);
        return (struct order_half){0};
    }
    unsigned half = order_leaf_half(leaf, at, key, is_last);
    struct order_leaf *right = order_node_new(o, 0);
    right->n = leaf->n - half;
    memcpy(right->keys, leaf->keys + half, right->n * sizeof(key));
    leaf->n = half;
    if (at < half || (at == half && half < ORDER_FANOUT))
        order_leaf_insert(leaf, at, key);
    else
        order_leaf_insert(right, at - half, key);
    return (struct order_half){right, right->keys[0], right->n};
}

static void order_inner_move(struct order_inner *to, unsigned to_at, const struct order_inner *from,
                             unsigned from_at, unsigned n) {
    memmove(to->firsts + to_at, from->firsts + from_at, n * sizeof(*to->firsts));
    memmove(to->children + to_at, from->children + from_at, n * sizeof(*to->children));
    memmove(to->spent + to_at, from->spent + from_at, n * sizeof(*to->spent));
    memmove(to->counts + to_at, from->counts + from_at, n * sizeof(*to->counts));
}

static void order_inner_insert(struct order_inner *inner, unsigned at,
                               const struct order_half *half) {
    order_inner_move(inner, at + 1, inner, at, inner->n - at);
    inner->firsts[at] = half->first;
    inner->children[at] = half->node;
    inner->spent[at] = 0;
    inner->counts[at] = half->count;
    inner->n++;
}

static uint64_t order_inner_count(const struct order_inner *inner) {
    uint64_t n = 0;
    for (unsigned i = 0; i < inner->n; i++) n += inner->counts[i];
    return n;
}

static struct order_half order_inner_add(struct order *o, struct order_inner *inner, unsigned level,
                                         unsigned at, const struct order_half *child,
                                         bool is_last) {
    if (inner->n < ORDER_FANOUT) {
        order_inner_insert(inner, at, child);
        return (struct order_half){0};
    }
    unsigned half = order_half_at(at, is_last);
    struct order_inner *right = order_node_new(o, level);
    right->n = inner->n - half;
    order_inner_move(right, 0, inner, half, right->n);
    inner->n = half;
    if (at < half || (at == half && half < ORDER_FANOUT))
        order_inner_insert(inner, at, child);
    else
        order_inner_insert(right, at - half, child);
    return (struct order_half){right, right->firsts[0], order_inner_count(right)};
}

/* The leaf for a key. What comes behind all of a full leaf goes before all of the next one, where
 * there is room: falling keys would get a leaf each otherwise. */
static unsigned order_leaf_for(struct order_inner *inner, struct order_key key) {
    unsigned at = order_child(inner, key);
    const struct order_leaf *leaf = inner->children[at];
    bool is_behind = leaf->n == ORDER_FANOUT && order_less(leaf->keys[ORDER_FANOUT - 1], key);
    if (!is_behind || at + 1 == inner->n || order_node_n(inner->children[at + 1]) >= ORDER_JOINED)
        return at;
    inner->firsts[at + 1] = key;
    return at + 1;
}

/* `is_last`: nothing stands behind the node. */
static struct order_half order_node_add(struct order *o, void *node, unsigned level,
                                        struct order_key key, bool is_last) {
    if (!level) return order_leaf_add(o, node, key, is_last);
    struct order_inner *inner = node;
    unsigned at = level == 1 ? order_leaf_for(inner, key) : order_child(inner, key);
    bool is_last_child = is_last && at + 1 == inner->n;
    inner->spent[at] = 0;
    inner->counts[at]++;
    struct order_half half = order_node_add(o, inner->children[at], level - 1, key, is_last_child);
    if (!half.node) return half;
    inner->counts[at] -= half.count;
    return order_inner_add(o, inner, level, at + 1, &half, is_last);
}

void order_add(struct order *o, struct order_key key) {
    if (!o->root) o->root = order_node_new(o, 0);
    struct order_half half = order_node_add(o, o->root, o->height, key, true);
    o->n++;
    if (!half.node) return;
    struct order_inner *root = order_node_new(o, o->height + 1);
    root->n = 1;
    root->firsts[0] = ORDER_KEY_MIN;
    root->children[0] = o->root;
    root->spent[0] = 0;
    root->counts[0] = o->n - half.count;
    order_inner_insert(root, 1, &half);
    o->root = root;
    o->height++;
}

/* ---- removing ----------------------------------------------------------------------------- */

static void order_inner_drop(struct order_inner *inner, unsigned at) {
    order_inner_move(inner, at, inner, at + 1, inner->n - at - 1);
    inner->n--;
}

/* Child at + 1 goes into child `at`. */
static void order_join(struct order *o, struct order_inner *inner, unsigned level, unsigned at) {
    void *left = inner->children[at], *right = inner->children[at + 1];
    if (level == 1) {
        struct order_leaf *to = left, *from = right;
        memcpy(to->keys + to->n, from->keys, from->n * sizeof(*to->keys));
        to->n += from->n;
    } else {
        struct order_inner *to = left, *from = right;
        from->firsts[0] = inner->firsts[at + 1];
        order_inner_move(to, to->n, from, 0, from->n);
        to->n += from->n;
    }
    inner->spent[at] &= inner->spent[at + 1];
    inner->counts[at] += inner->counts[at + 1];
    order_node_free(o, right, level - 1);
    order_inner_drop(inner, at + 1);
}

/* A child with few entries joins a neighbour with which it fits; an empty one goes. */
static void order_tidy(struct order *o, struct order_inner *inner, unsigned level, unsigned at) {
    unsigned n = order_node_n(inner->children[at]);
    if (n >= ORDER_SMALL) return;
    if (!n) {
        order_node_free(o, inner->children[at], level - 1);
        order_inner_drop(inner, at);
    } else if (at + 1 < inner->n && n + order_node_n(inner->children[at + 1]) <= ORDER_JOINED) {
        order_join(o, inner, level, at);
    } else if (at > 0 && n + order_node_n(inner->children[at - 1]) <= ORDER_JOINED) {
        order_join(o, inner, level, at - 1);
    }
}

static bool order_node_remove(struct order *o, void *node, unsigned level, struct order_key key) {
    if (!level) {
        struct order_leaf *leaf = node;
        unsigned at = order_lower(leaf->keys, leaf->n, key);
        if (at == leaf->n || order_less(key, leaf->keys[at])) return false;
        leaf->n--;
        memmove(leaf->keys + at, leaf->keys + at + 1, (leaf->n - at) * sizeof(key));
        return true;
    }
    struct order_inner *inner = node;
    unsigned at = order_child(inner, key);
    if (!order_node_remove(o, inner->children[at], level - 1, key)) return false;
    inner->counts[at]--;
    order_tidy(o, inner, level, at);
    return true;
}

bool order_remove(struct order *o, struct order_key key) {
    if (!o->root || !order_node_remove(o, o->root, o->height, key)) return false;
    o->n--;
    while (o->height && order_node_n(o->root) == 1) {
        struct order_inner *root = o->root;
        o->root = root->children[0];
        order_node_free(o, root, o->height--);
    }
    if (o->n) return true;
    order_free(o);
    return true;
}

/* ---- bits and ranks ----------------------------------------------------------------------- */

void order_touch(struct order *o, struct order_key key) {
    void *node = o->root;
    for (unsigned level = o->height; level; level--) {
        struct order_inner *inner = node;
        unsigned at = order_child(inner, key);
        inner->spent[at] = 0;
        node = inner->children[at];
    }
}

static void order_node_forget(struct order_inner *inner, unsigned level, uint64_t views) {
    for (unsigned i = 0; i < inner->n; i++) {
        inner->spent[i] &= ~views;
        if (level > 1) order_node_forget(inner->children[i], level - 1, views);
    }
}

void order_forget(struct order *o, uint64_t views) {
    if (o->height) order_node_forget(o->root, o->height, views);
}

uint64_t order_rank(const struct order *o, struct order_key key) {
    uint64_t rank = 0;
    const void *node = o->root;
    if (!node) return 0;
    for (unsigned level = o->height; level; level--) {
        const struct order_inner *inner = node;
        unsigned at = order_child(inner, key);
        for (unsigned i = 0; i < at; i++) rank += inner->counts[i];
        node = inner->children[at];
    }
    const struct order_leaf *leaf = node;
    return rank + order_lower(leaf->keys, leaf->n, key);
}

static void order_node_each(const void *node, unsigned level, struct order_key from,
                            struct order_key end, order_run *run, void *context) {
    if (!level) {
        const struct order_leaf *leaf = node;
        unsigned begin = order_lower(leaf->keys, leaf->n, from);
        unsigned stop = order_lower(leaf->keys, leaf->n, end);
        if (begin < stop) run(context, leaf->keys + begin, stop - begin);
        return;
    }
    const struct order_inner *inner = node;
    unsigned last = order_child(inner, end);
    for (unsigned i = order_child(inner, from); i <= last; i++)
        order_node_each(inner->children[i], level - 1, from, end, run, context);
}

void order_each(const struct order *o, struct order_key from, struct order_key end, order_run *run,
                void *context) {
    if (o->root) order_node_each(o->root, o->height, from, end, run, context);
}

/* ---- walks -------------------------------------------------------------------------------- */

struct order_range {
    struct order_key from, end;
    bool backwards;
};

static void order_charge(uint64_t *left, uint64_t cost) {
    *left -= cost < *left ? cost : *left;
}

/* *spent: the views to which nothing in the leaf is of use, as far as all of it was looked at. */
static bool order_leaf_walk(const struct order_leaf *leaf, struct order_walk *walk,
                            const struct order_range *range, struct order_key *out,
                            uint64_t *spent) {
    unsigned begin = order_lower(leaf->keys, leaf->n, range->from);
    unsigned end = order_lower(leaf->keys, leaf->n, range->end);
    uint64_t n_unwanted = 0;
    bool is_wanted = false;
    *spent = 0;
    if (!*walk->left || !*walk->waste) {
        walk->is_cut = true;
        return false;
    }
    walk->extra = 0;
    for (unsigned i = begin; i < end && !is_wanted; i++) {
        *out = leaf->keys[range->backwards ? begin + end - 1 - i : i];
        enum order_use use = walk->use(walk->context, *out);
        is_wanted = use == ORDER_WANTED;
        n_unwanted += use == ORDER_UNWANTED;
    }
    if (is_wanted || begin > 0 || end < leaf->n) {
        order_charge(walk->waste, n_unwanted + walk->extra);
        return is_wanted;
    }
    *spent = walk->wide | walk->narrow;
    if (n_unwanted) *spent &= ~(walk->wide & ~walk->narrow);
    order_charge(walk->left, leaf->n + walk->extra);
    return false;
}

static bool order_node_walk(void *node, unsigned level, struct order_walk *walk,
                            const struct order_range *range, struct order_key *out,
                            uint64_t *spent) {
    if (!level) return order_leaf_walk(node, walk, range, out, spent);
    struct order_inner *inner = node;
    unsigned first = order_child(inner, range->from), last = order_child(inner, range->end);
    *spent = 0;
    for (unsigned i = first; i <= last; i++) {
        unsigned at = range->backwards ? first + last - i : i;
        if (inner->spent[at] & (walk->wide | walk->narrow)) continue;
        uint64_t below;
        if (order_node_walk(inner->children[at], level - 1, walk, range, out, &below)) return true;
        inner->spent[at] |= below;
        if (walk->is_cut) return false;
    }
    *spent = walk->wide | walk->narrow;
    for (unsigned i = 0; i < inner->n; i++) {
        /* What is of no use to the wide view is of none to the narrow one. */
        if (inner->spent[i] & walk->wide) inner->spent[i] |= walk->narrow;
        *spent &= inner->spent[i];
    }
    return false;
}

static bool order_walk_run(struct order *o, struct order_walk *walk,
                           const struct order_range *range, struct order_key *out) {
    uint64_t spent;
    return o->root && order_less(range->from, range->end) &&
           order_node_walk(o->root, o->height, walk, range, out, &spent);
}

bool order_first(struct order *o, struct order_walk *walk, struct order_key from,
                 struct order_key end, struct order_key *out) {
    return order_walk_run(o, walk, &(struct order_range){from, end, false}, out);
}

bool order_last(struct order *o, struct order_walk *walk, struct order_key from,
                struct order_key end, struct order_key *out) {
    return order_walk_run(o, walk, &(struct order_range){from, end, true}, out);
}
