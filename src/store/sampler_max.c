/* MAX tag, MIN tag: the largest numbers first, the smallest first; where they are equal, the oldest first. A sample
 * without a number in the tag comes last with both: nobody asked for it by name. */
#include <math.h>

#include "store/heap.h"
#include "store/samplers.h"
#include "store/tagindex.h"

/* ---- with an index ------------------------------------------------------------------------ */

/* The entries from `from` to before `end`, in their order. */
static void max_walk_run(const struct ready *ready, struct tagindex_walk *walk,
                         struct order_key from, struct order_key end, struct picks *picks) {
    struct order_key key;
    while (picks->n < picks->room && tagindex_first(walk, from, end, &key)) {
        picks->seqs[picks->n++] = tagindex_seq(ready->partition, key);
        from = (struct order_key){key.value, key.seq + 1};
    }
}

/* The largest number that is left, and all that equal it, oldest first; then the next one. */
static void max_walk_down(const struct ready *ready, struct tagindex_walk *walk,
                          struct picks *picks) {
    struct order_key end = TAGINDEX_TEXT, key, run_end;
    while (picks->n < picks->room && tagindex_last(walk, ORDER_KEY_MIN, end, &key)) {
        tagindex_equals(key, &end, &run_end);
        max_walk_run(ready, walk, end, run_end, picks);
    }
}

/* Those without a number, oldest first: of two runs, each by seq. */
static void max_walk_others(const struct ready *ready, struct tagindex_walk *walk,
                            struct picks *picks) {
    struct order_key ends[2] = {TAGINDEX_MISSING, TAGINDEX_END}, keys[2];
    bool found[2] = {tagindex_first(walk, TAGINDEX_TEXT, ends[0], &keys[0]),
                     tagindex_first(walk, TAGINDEX_MISSING, ends[1], &keys[1])};
    while (picks->n < picks->room && (found[0] || found[1])) {
        int run = !found[0] || (found[1] && tagindex_seq(ready->partition, keys[1]) <
                                                tagindex_seq(ready->partition, keys[0]));
        picks->seqs[picks->n++] = tagindex_seq(ready->partition, keys[run]);
        keys[run].seq++;
        found[run] = tagindex_first(walk, keys[run], ends[run], &keys[run]);
    }
}

static void max_walk(struct tag_index *index, struct ready *ready, struct picks *picks, int sign) {
    struct tagindex_walk walk;
    if (ready->impossible) return;
    tagindex_open(&walk, index, ready, picks->scratch);
    if (sign > 0)
        max_walk_down(ready, &walk, picks);
    else
        max_walk_run(ready, &walk, ORDER_KEY_MIN, TAGINDEX_TEXT, picks);
    if (picks->n < picks->room && !ready_is_cut(ready)) max_walk_others(ready, &walk, picks);
}

/* ---- without ------------------------------------------------------------------------------ */

static void max_pick_signed(const struct sampler_args *args, struct ready *ready,
                            struct picks *picks, int sign) {
    struct tag_index *index = tagindex_find(ready->partition, args->tag);
    if (index && ready->lookup) {
        max_walk(index, ready, picks, sign);
        return;
    }
    const struct column *tag = column_set_find(&ready->partition->tags, args->tag);
    struct heap best = {scratch_alloc(picks->scratch, picks->room, sizeof(*best.entries)), 0};
    for (uint64_t seq; (seq = ready_next(ready)) != SEQ_NONE;) {
        struct heap_entry entry = {-INFINITY, INT64_MIN, seq}; /* behind a tag that is infinite */
        struct number number;
        if (sampler_number(tag, seq, &number)) {
            entry.key = sign * number.value;
            entry.rest = sign * number.rest;
        }
        heap_keep(&best, picks->room, entry);
    }
    heap_sort(&best);
    for (size_t i = 0; i < best.n; i++) picks->seqs[picks->n++] = best.entries[i].item;
}

static bool max_has_index(const struct sampler_args *args, const struct partition *p) {
    return tagindex_find(p, args->tag);
}

static void max_pick(const struct sampler_args *args, struct ready *ready, struct picks *picks) {
    max_pick_signed(args, ready, picks, 1);
}

static void min_pick(const struct sampler_args *args, struct ready *ready, struct picks *picks) {
    max_pick_signed(args, ready, picks, -1);
}

const struct sampler sampler_max = {
    .name = "MAX", .takes = SAMPLER_TAG, .has_index = max_has_index, .pick = max_pick};
const struct sampler sampler_min = {
    .name = "MIN", .takes = SAMPLER_TAG, .has_index = max_has_index, .pick = min_pick};
