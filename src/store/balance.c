/* See balance.h. Two methods split; the one whose sums are nearer wins. Neither is good at everything: differencing leaves
 * almost nothing where weights are spread evenly, but has to give each rank one of the heaviest; where a few are far heavier
 * than all others (lengths of responses often are), only greed lets light ones make up for them.
 *
 * The differencing method is Karmarkar's and Karp's ("The differencing method of set partitioning", 1982), in its balanced form for
 * many parts (Michiels, Korst, Aarts, van Leeuwen: "Performance ratios for the differencing method applied to the balanced
 * number partitioning problem", 2003; Zhang, Mouratidis, Pang: "Heuristic algorithms for balanced multi-way number
 * partitioning", 2011). Units go by weight into tuples of `ranks` neighbours, one unit a part. What is wrong with a tuple is its
 * spread: the largest part's sum less the smallest's. The two tuples with the largest spreads become one, the largest part
 * of the one joined with the smallest of the other and so on, so that their spreads cancel; until one tuple is left, whose
 * parts are the ranks'. Every part has one unit of each tuple, whence the equal counts. */
#include "store/balance.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/heap.h"

#define UNIT_NONE SIZE_MAX

static const double weight_most = 1e290; /* 2^64 of these are still a number */

/* ---- sorting ------------------------------------------------------------------------------ */

/* A place in an array, and the weight that is there as a number that grows as weights shrink. */
struct weighed {
    uint64_t key;
    size_t at;
};

#define WEIGHED_SIGN (UINT64_C(1) << 63)

static struct weighed weighed_of(double weight, size_t at) {
    uint64_t bits;
    weight += 0.0; /* -0 is 0 */
    memcpy(&bits, &weight, sizeof(bits));
    return (struct weighed){bits & WEIGHED_SIGN ? bits : ~(bits | WEIGHED_SIGN), at};
}

static double weighed_weight(const struct weighed *w) {
    uint64_t bits = w->key & WEIGHED_SIGN ? w->key : ~(w->key | WEIGHED_SIGN);
    double weight;
    memcpy(&weight, &bits, sizeof(weight));
    return weight;
}

static int weighed_compare(const void *a, const void *b) {
    const struct weighed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* The heaviest first; equal ones keep their order. Many are sorted by counting, byte by byte, which
 * takes a tenth of the time of a sort by comparisons. `spare` has room for n. */
static void weighed_sort(struct weighed *all, struct weighed *spare, size_t n) {
    enum { FEW = 256, BYTES = sizeof(all->key) };
    if (n < FEW) {
        qsort(all, n, sizeof(*all), weighed_compare);
        return;
    }
    size_t counts[BYTES][256] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (unsigned b = 0; b < BYTES; b++) counts[b][all[i].key >> 8 * b & 255]++;
    struct weighed *from = all, *to = spare;
    for (unsigned b = 0; b < BYTES; b++) {
        size_t *places = counts[b], at = 0;
        if (places[from[0].key >> 8 * b & 255] == n) continue;
        for (unsigned digit = 0; digit < 256; digit++) {
            size_t count = places[digit];
            places[digit] = at;
            at += count;
        }
        for (size_t i = 0; i < n; i++) to[places[from[i].key >> 8 * b & 255]++] = from[i];
        struct weighed *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != all) memcpy(all, from, n * sizeof(*all));
}

/* Units by their numbers, heaviest first. */
static struct weighed *units_sort(const double *weights, size_t n, struct scratch *scratch) {
    struct weighed *units = scratch_alloc(scratch, 2 * n, sizeof(*units));
    for (size_t i = 0; i < n; i++) {
        double weight = isnan(weights[i]) ? 0 : weights[i];
        if (weight > weight_most) weight = weight_most;
        if (weight < -weight_most) weight = -weight_most;
        units[i] = weighed_of(weight, i);
    }
    weighed_sort(units, units + n, n);
    return units;
}

/* How far the sums of a split are apart. */
static double units_gap(const struct weighed *units, size_t n, size_t ranks,
                        const uint32_t *rank_of, struct scratch *scratch) {
    double *sums = scratch_zalloc(scratch, ranks, sizeof(*sums)), low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) sums[rank_of[units[i].at]] += weighed_weight(&units[i]);
    for (size_t r = 0; r < ranks; r++) {
        if (sums[r] < low) low = sums[r];
        if (sums[r] > high) high = sums[r];
    }
    return high - low;
}

/* ---- differencing ------------------------------------------------------------------------- */

/* Units that go to one rank: a list through `next`. No units in the padding of the last tuple. */
struct part {
    double sum;
    size_t head, tail;
};

struct tuples {
    size_t ranks;
    struct part *parts; /* tuple t has parts[t * ranks] and on, largest sum first */
    size_t *next;       /* by unit */
    struct heap heap;   /* of tuples, the largest spread on top */
    struct part *unsorted; /* room for sorting a tuple */
    struct weighed *order;
};

static void tuples_push(struct tuples *t, size_t tuple) {
    struct part *parts = t->parts + tuple * t->ranks;
    for (size_t i = 0; i < t->ranks; i++) t->order[i] = weighed_of(parts[i].sum, i);
    weighed_sort(t->order, t->order + t->ranks, t->ranks);
    memcpy(t->unsorted, parts, t->ranks * sizeof(*parts));
    for (size_t i = 0; i < t->ranks; i++) parts[i] = t->unsorted[t->order[i].at];
    double spread = parts[0].sum - parts[t->ranks - 1].sum;
    heap_push(&t->heap, (struct heap_entry){-spread, (int64_t)tuple, tuple});
}

static void tuples_open(struct tuples *t, const struct weighed *units, size_t n, size_t ranks,
                        struct scratch *scratch) {
    size_t count = (n + ranks - 1) / ranks;
    *t = (struct tuples){
        .ranks = ranks,
        .parts = scratch_alloc(scratch, count * ranks, sizeof(*t->parts)),
        .next = scratch_alloc(scratch, n, sizeof(*t->next)),
        .heap.entries = scratch_alloc(scratch, count, sizeof(*t->heap.entries)),
        .unsorted = scratch_alloc(scratch, ranks, sizeof(*t->unsorted)),
        .order = scratch_alloc(scratch, 2 * ranks, sizeof(*t->order)),
    };
    for (size_t i = 0; i < n; i++) {
        t->parts[i] = (struct part){weighed_weight(&units[i]), units[i].at, units[i].at};
        t->next[i] = UNIT_NONE;
    }
    for (size_t i = n; i < count * ranks; i++) t->parts[i] = (struct part){0, UNIT_NONE, UNIT_NONE};
    for (size_t i = 0; i < count; i++) tuples_push(t, i);
}

static void part_join(struct part *part, const struct part *other, size_t *next) {
    part->sum += other->sum;
    if (other->head == UNIT_NONE) return;
    if (part->head == UNIT_NONE)
        part->head = other->head;
    else
        next[part->tail] = other->head;
    part->tail = other->tail;
}

static void split_by_differencing(const struct weighed *units, size_t n, size_t ranks,
                                  uint32_t *rank_of, struct scratch *scratch) {
    struct tuples t;
    tuples_open(&t, units, n, ranks, scratch);
    while (t.heap.n > 1) {
        size_t first = heap_pop(&t.heap).item, second = heap_pop(&t.heap).item;
        for (size_t i = 0; i < ranks; i++)
            part_join(&t.parts[first * ranks + i], &t.parts[(second + 1) * ranks - 1 - i], t.next);
        tuples_push(&t, first);
    }
    const struct part *parts = t.parts + heap_pop(&t.heap).item * ranks;
    for (size_t rank = 0; rank < ranks; rank++)
        for (size_t unit = parts[rank].head; unit != UNIT_NONE; unit = t.next[unit])
            rank_of[unit] = (uint32_t)rank;
}

/* ---- greed -------------------------------------------------------------------------------- */

/* Each unit, heaviest first, to the rank with the smallest sum that still has room. */
static void split_by_greed(const struct weighed *units, size_t n, size_t ranks, uint32_t *rank_of,
                           struct scratch *scratch) {
    struct heap heap = {scratch_alloc(scratch, ranks, sizeof(*heap.entries)), 0};
    size_t *counts = scratch_zalloc(scratch, ranks, sizeof(*counts));
    size_t each = n / ranks, more = n % ranks; /* so many ranks may still have one more than each */
    for (size_t r = 0; r < ranks; r++) heap_push(&heap, (struct heap_entry){0, (int64_t)r, r});
    for (size_t i = 0; i < n;) {
        struct heap_entry *top = &heap.entries[0];
        size_t rank = top->item;
        bool is_full = counts[rank] == each && more == 0;
        if (!is_full) {
            more -= counts[rank] == each;
            counts[rank]++;
            rank_of[units[i].at] = (uint32_t)rank;
            top->key += weighed_weight(&units[i++]);
        }
        if (is_full || counts[rank] > each)
            heap_pop(&heap);
        else
            heap_moved(&heap);
    }
}

void balance_split(const double *weights, size_t n, size_t ranks, uint32_t *rank_of,
                   struct scratch *scratch) {
    if (n == 0) return;
    const struct weighed *units = units_sort(weights, n, scratch);
    if (n <= ranks) { /* all splits are equally good: what differencing would give */
        for (size_t i = 0; i < n; i++) rank_of[units[i].at] = (uint32_t)i;
        return;
    }
    split_by_differencing(units, n, ranks, rank_of, scratch);
    uint32_t *other = scratch_alloc(scratch, n, sizeof(*other));
    split_by_greed(units, n, ranks, other, scratch);
    if (units_gap(units, n, ranks, other, scratch) < units_gap(units, n, ranks, rank_of, scratch))
        memcpy(rank_of, other, n * sizeof(*rank_of));
}
