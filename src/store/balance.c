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
#include <stdlib.h>
#include <string.h>

#include "store/heap.h"

#define UNIT_NONE SIZE_MAX

static const double weight_most = 1e290; /* 2^64 of these are still a number */

struct unit {
    double weight;
    size_t number;
};

static int unit_compare(const void *a, const void *b) {
    const struct unit *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* Heaviest first. */
static struct unit *units_sort(const double *weights, size_t n, struct scratch *scratch) {
    struct unit *units = scratch_alloc(scratch, n, sizeof(*units));
    for (size_t i = 0; i < n; i++) {
        double weight = isnan(weights[i]) ? 0 : weights[i];
        units[i] = (struct unit){fmin(fmax(weight, -weight_most), weight_most), i};
    }
    qsort(units, n, sizeof(*units), unit_compare);
    return units;
}

/* How far the sums of a split are apart. */
static double units_gap(const struct unit *units, size_t n, size_t ranks, const uint32_t *rank_of,
                        struct scratch *scratch) {
    double *sums = scratch_zalloc(scratch, ranks, sizeof(*sums)), low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) sums[rank_of[units[i].number]] += units[i].weight;
    for (size_t r = 0; r < ranks; r++) {
        low = fmin(low, sums[r]);
        high = fmax(high, sums[r]);
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
};

static int part_compare(const void *a, const void *b) {
    const struct part *x = a, *y = b;
    if (x->sum != y->sum) return x->sum > y->sum ? -1 : 1;
    return (x->head > y->head) - (x->head < y->head);
}

static void tuples_push(struct tuples *t, size_t tuple) {
    struct part *parts = t->parts + tuple * t->ranks;
    qsort(parts, t->ranks, sizeof(*parts), part_compare);
    double spread = parts[0].sum - parts[t->ranks - 1].sum;
    heap_push(&t->heap, (struct heap_entry){-spread, (int64_t)tuple, tuple});
}

static void tuples_open(struct tuples *t, const struct unit *units, size_t n, size_t ranks,
                        struct scratch *scratch) {
    size_t count = (n + ranks - 1) / ranks;
    *t = (struct tuples){
        .ranks = ranks,
        .parts = scratch_alloc(scratch, count * ranks, sizeof(*t->parts)),
        .next = scratch_alloc(scratch, n, sizeof(*t->next)),
        .heap.entries = scratch_alloc(scratch, count, sizeof(*t->heap.entries)),
    };
    for (size_t i = 0; i < n; i++) {
        t->parts[i] = (struct part){units[i].weight, units[i].number, units[i].number};
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

static void split_by_differencing(const struct unit *units, size_t n, size_t ranks,
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
static void split_by_greed(const struct unit *units, size_t n, size_t ranks, uint32_t *rank_of,
                           struct scratch *scratch) {
    struct heap heap = {scratch_alloc(scratch, ranks, sizeof(*heap.entries)), 0};
    size_t *counts = scratch_zalloc(scratch, ranks, sizeof(*counts));
    size_t each = n / ranks, more = n % ranks; /* so many ranks may still have one more than each */
    for (size_t r = 0; r < ranks; r++) heap_push(&heap, (struct heap_entry){0, (int64_t)r, r});
    for (size_t i = 0; i < n;) {
        struct heap_entry top = heap_pop(&heap);
        size_t rank = top.item;
        if (counts[rank] == each && more == 0) continue;
        if (counts[rank] == each) more--;
        rank_of[units[i].number] = (uint32_t)rank;
        top.key += units[i++].weight;
        if (++counts[rank] <= each) heap_push(&heap, top);
    }
}

void balance_split(const double *weights, size_t n, size_t ranks, uint32_t *rank_of,
                   struct scratch *scratch) {
    if (n == 0) return;
    const struct unit *units = units_sort(weights, n, scratch);
    if (n <= ranks) { /* all splits are equally good: what differencing would give */
        for (size_t i = 0; i < n; i++) rank_of[units[i].number] = (uint32_t)i;
        return;
    }
    split_by_differencing(units, n, ranks, rank_of, scratch);
    uint32_t *other = scratch_alloc(scratch, n, sizeof(*other));
    split_by_greed(units, n, ranks, other, scratch);
    if (units_gap(units, n, ranks, other, scratch) < units_gap(units, n, ranks, rank_of, scratch))
        memcpy(rank_of, other, n * sizeof(*rank_of));
}
