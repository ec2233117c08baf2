/* MAX tag, MIN tag: the largest numbers first, the smallest first; where they are equal, the oldest first. A sample
 * without a number in the tag comes last with both: nobody asked for it by name. */
#include <math.h>

#include "store/heap.h"
#include "store/samplers.h"

static void max_pick_signed(const struct sampler_args *args, struct ready *ready,
                            struct picks *picks, int sign) {
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

static void max_pick(const struct sampler_args *args, struct ready *ready, struct picks *picks) {
    max_pick_signed(args, ready, picks, 1);
}

static void min_pick(const struct sampler_args *args, struct ready *ready, struct picks *picks) {
    max_pick_signed(args, ready, picks, -1);
}

const struct sampler sampler_max = {.name = "MAX", .takes = SAMPLER_TAG, .pick = max_pick};
const struct sampler sampler_min = {.name = "MIN", .takes = SAMPLER_TAG, .pick = min_pick};
