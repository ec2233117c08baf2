/* See balance.h. The differencing method (Karmarkar, Karp: "The differencing method of set partitioning", 1982) in its balanced
 * form for many parts (Michiels, Korst, Aarts, van Leeuwen: "Performance ratios for the differencing method applied to the balanced
 * number partitioning problem", 2003; Zhang, Mouratidis, Pang: "Heuristic algorithms for balanced multi-way number partitioning",
 * 2011).
 *
 * Units go by weight into tuples of `ranks` neighbours, one unit a part. What is wrong with a tuple is its spread: the
 * largest part's sum less the smallest's. The two tuples with the largest spreads become one, the largest part of the one
 * joined with the smallest of the other and so on, so that their spreads cancel; until one tuple is left, whose parts
 * are the ranks'. Every part has one unit of each tuple, whence the equal counts. */
#include "store/balance.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define UNIT_NONE SIZE_MAX

static const double weight_most = 1e290; /* 2^64 of these are still a number */

struct unit {
    double weight;
    size_t number;
};

/* Units that go to one rank: a list through balance.next. No units in the padding of the last tuple. */
struct part {
    double sum;
    size_t head, tail;
};

struct balance {
    size_t ranks;
    struct part *parts; /* tuple t has parts[t * ranks] and on, largest sum first */
    size_t *next;       /* a unit */
    size_t *heap;       /* tuples, the largest spread on top */
    size_t n;
};

static int unit_compare(const void *a, const void *b) {
    const struct unit *x = a, *y = b;
    if (x->weight != y->weight) return x->weight > y->weight ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static int part_compare(const void *a, const void *b) {
    const struct part *x = a, *y = b;
    if (x->sum != y->sum) return x->sum > y->sum ? -1 : 1;
    return (x->head > y->head) - (x->head < y->head);
}

static struct part *balance_tuple(const struct balance *b, size_t tuple) {
    return b->parts + tuple * b->ranks;
}

static double balance_spread(const struct balance *b, size_t tuple) {
    const struct part *parts = balance_tuple(b, tuple);
    return parts[0].sum - parts[b->ranks - 1].sum;
}

/* ---- the heap ----------------------------------------------------------------------------- */

static bool balance_is_before(const struct balance *b, size_t x, size_t y) {
    double spread = balance_spread(b, x), other = balance_spread(b, y);
    return spread != other ? spread > other : x < y;
}

/* Put a tuple where the top has become free. */
static void balance_sink(struct balance *b, size_t tuple) {
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < b->n; at = child) {
        if (child + 1 < b->n && balance_is_before(b, b->heap[child + 1], b->heap[child])) child++;
        if (!balance_is_before(b, b->heap[child], tuple)) break;
        b->heap[at] = b->heap[child];
    }
    b->heap[at] = tuple;
}

static void balance_push(struct balance *b, size_t tuple) {
    size_t at = b->n++;
    for (; at > 0 && balance_is_before(b, tuple, b->heap[(at - 1) / 2]); at = (at - 1) / 2)
        b->heap[at] = b->heap[(at - 1) / 2];
    b->heap[at] = tuple;
}

/* ---- tuples ------------------------------------------------------------------------------- */

static struct unit *balance_sort(const double *weights, size_t n, struct scratch *scratch) {
    struct unit *units = scratch_alloc(scratch, n, sizeof(*units));
    for (size_t i = 0; i < n; i++) {
        double weight = isnan(weights[i]) ? 0 : weights[i];
        units[i] = (struct unit){fmin(fmax(weight, -weight_most), weight_most), i};
    }
    qsort(units, n, sizeof(*units), unit_compare);
    return units;
}

static void balance_open(struct balance *b, const struct unit *units, size_t n, size_t ranks,
                         struct scratch *scratch) {
    size_t tuples = (n + ranks - 1) / ranks;
    *b = (struct balance){.ranks = ranks,
                          .parts = scratch_alloc(scratch, tuples * ranks, sizeof(*b->parts)),
                          .next = scratch_alloc(scratch, n, sizeof(*b->next)),
                          .heap = scratch_alloc(scratch, tuples, sizeof(*b->heap))};
    for (size_t i = 0; i < n; i++) {
        b->parts[i] = (struct part){units[i].weight, units[i].number, units[i].number};
        b->next[i] = UNIT_NONE;
    }
    for (size_t i = n; i < tuples * ranks; i++)
        b->parts[i] = (struct part){0, UNIT_NONE, UNIT_NONE};
    qsort(balance_tuple(b, tuples - 1), ranks, sizeof(*b->parts), part_compare);
    for (size_t i = 0; i < tuples; i++) balance_push(b, i);
}

static void balance_join(struct balance *b, struct part *part, const struct part *other) {
    part->sum += other->sum;
    if (other->head == UNIT_NONE) return;
    if (part->head == UNIT_NONE)
        part->head = other->head;
    else
        b->next[part->tail] = other->head;
    part->tail = other->tail;
}

/* The second tuple becomes part of the first. */
static void balance_merge(struct balance *b, size_t first, size_t second) {
    struct part *parts = balance_tuple(b, first);
    const struct part *others = balance_tuple(b, second);
    for (size_t i = 0; i < b->ranks; i++) balance_join(b, &parts[i], &others[b->ranks - 1 - i]);
    qsort(parts, b->ranks, sizeof(*parts), part_compare);
}

void balance_split(const double *weights, size_t n, size_t ranks, uint32_t *rank_of,
                   struct scratch *scratch) {
    if (n == 0) return;
    struct balance b;
    balance_open(&b, balance_sort(weights, n, scratch), n, ranks, scratch);
    while (b.n > 1) {
        size_t first = b.heap[0];
        size_t last = b.heap[--b.n];
        if (b.n > 0) balance_sink(&b, last);
        size_t second = b.heap[0];
        balance_merge(&b, first, second);
        balance_sink(&b, first);
    }
    const struct part *parts = balance_tuple(&b, b.heap[0]);
    for (size_t rank = 0; rank < ranks; rank++)
        for (size_t unit = parts[rank].head; unit != UNIT_NONE; unit = b.next[unit])
            rank_of[unit] = (uint32_t)rank;
}
