/* PRIORITY tag EXPONENT p: drawn one after the other, each time with probability proportional to tag^p among what is left.
 *
 * One pass over the candidates does the same (Efraimidis, Spirakis: "Weighted random sampling with a reservoir", 2006):
 * each gets the key u^(1/w), u random in (0, 1), and the largest keys win, in their order. Keys are compared by
 * -ln(-ln(key)) = ln w - ln(-ln u), which orders them alike and knows no weight that is too large or too small: ln w is p ln tag.
 *
 * A sample that has no number in the tag, or a negative one, weighs nothing, as 0 does. Such samples are drawn when nothing else
 * is left, each equally likely; likewise those of infinite weight come before all others. */
#include <math.h>

#include "base/random.h"
#include "store/heap.h"
#include "store/samplers.h"
#include "store/sums.h"
#include "store/tagindex.h"

static double priority_log_weight(double number, double exponent) {
    if (number < 0) return -INFINITY;
    return exponent == 0 ? 0 : exponent * log(number); /* x^0 is 1, for 0 and infinity too */
}

/* ---- with an index: sums of weights ------------------------------------------------------- */

/* What was picked of a word; open addressing over slots of word + 1, at most half of them used. */
struct priority_word {
    uint64_t word, picked;
};

struct priority_draw {
    const struct ready *ready;
    struct sums *sums;
    struct sums_view *wide, *narrow; /* without WHERE, with it; the same where there is none */
    struct priority_word *words;
    size_t mask;
    struct random random;
};

static struct priority_word *priority_word(const struct priority_draw *d, uint64_t word) {
    size_t at = word & d->mask;
    while (d->words[at].word && d->words[at].word != word + 1) at = (at + 1) & d->mask;
    return &d->words[at];
}

/* The candidates of a word: ready, admitted, not picked, with a weight; *sum is their weights',
 * *all that of what is ready. */
static uint64_t priority_candidates(const struct priority_draw *d, uint64_t word, double *sum,
                                    double *all) {
    uint64_t left = ready_word(d->ready, word / BLOCK_WORDS, word % BLOCK_WORDS);
    uint64_t picked = priority_word(d, word)->picked, candidates = 0;
    *sum = *all = 0;
    for (; left; left &= left - 1) {
        uint64_t seq = word * 64 + bits_lowest(left);
        double weight = sums_weight(d->sums, seq);
        *all += weight;
        if (!(weight > 0) || (picked & left & -left) || !where_admits(&d->ready->where, seq))
            continue;
        *sum += weight;
        candidates |= left & -left;
    }
    return candidates;
}

/* The candidate at this place in the sum of their weights. */
static unsigned priority_at(const struct priority_draw *d, uint64_t word, uint64_t candidates,
                            double at) {
    unsigned bit = 0;
    for (; candidates; candidates &= candidates - 1) {
        bit = bits_lowest(candidates);
        double weight = sums_weight(d->sums, word * 64 + bit);
        if (at < weight) return bit;
        at -= weight;
    }
    return bit; /* rounding */
}

enum {
    PICK_COST = 16
}; /* a draw that picks a sample counts for less: a try has to end with a batch */

/* One draw, which may be in vain. */
static void priority_draw(struct priority_draw *d, struct picks *picks) {
    double at = random_unit(&d->random) * sums_all(d->narrow), bound, sum, all;
    uint64_t word = sums_find(d->narrow, &at, &bound), cost = *d->ready->where.cost;
    uint64_t candidates = priority_candidates(d, word, &sum, &all);
    if (d->wide != d->narrow) sums_set_bound(d->wide, word, all);
    if (at < sum) {
        unsigned bit = priority_at(d, word, candidates, at);
        struct priority_word *slot = priority_word(d, word);
        picks->seqs[picks->n++] = word * 64 + bit;
        slot->word = word + 1;
        slot->picked |= UINT64_C(1) << bit;
        priority_candidates(d, word, &sum, &all);
        cost = (*d->ready->where.cost - cost) / PICK_COST;
    } else {
        cost = *d->ready->where.cost - cost;
        if (cost < 64) cost = 64;
    }
    uint64_t *left = &d->ready->limit->left;
    *left -= cost < *left ? cost : *left;
    sums_set_bound(d->narrow, word, sum);
}

/* What was picked is ready until the op is applied. Where the try was cut, the words it was picked
 * of get what is ready as their bounds: with larger ones, the next try would draw in vain what this
 * one did. */
static void priority_put_back(const struct priority_draw *d) {
    for (size_t i = 0; i <= d->mask; i++) {
        double sum, all;
        struct priority_word *slot = &d->words[i];
        if (!slot->word) continue;
        if (!ready_is_cut(d->ready)) {
            sums_loosen(d->sums, d->narrow, slot->word - 1);
            continue;
        }
        slot->picked = 0;
        priority_candidates(d, slot->word - 1, &sum, &all);
        sums_set_bound(d->narrow, slot->word - 1, sum);
    }
}

/* Those that weigh nothing, each as likely: of all that is ready, less what was picked. */
static void priority_pick_weightless(const struct priority_draw *d, const struct sampler_args *args,
                                     const struct ready *ready, struct picks *picks) {
    struct ready scan;
    size_t n = picks->n, room = picks->room;
    struct picks others = {.seqs = scratch_alloc(picks->scratch, room, sizeof(*others.seqs)),
                           .room = room,
                           .scratch = picks->scratch};
    ready_rescan(&scan, ready, picks->scratch);
    sampler_random.pick(args, &scan, &others);
    for (size_t i = 0; i < others.n && n < room; i++) {
        uint64_t seq = others.seqs[i];
        if (!(priority_word(d, seq / 64)->picked >> (seq % 64) & 1)) picks->seqs[n++] = seq;
    }
    picks->n = n;
}

/* False where there are no sums to draw by. */
static bool priority_pick_by_sums(const struct sampler_args *args, struct ready *ready,
                                  struct picks *picks) {
    const struct partition *p = ready->partition;
    struct priority_draw d = {.ready = ready,
                              .sums = tagindex_sums(p, args->tag, args->exponent),
                              .random = random_of_seed(args->seed)};
    if (!d.sums || !ready->lookup) return false;
    if (ready->impossible) return true;
    struct span wide, narrow = tagindex_view_key(ready, &wide, picks->scratch);
    d.wide = sums_view(d.sums, wide, p->next_seq, p->samples);
    d.narrow = d.wide ? sums_view(d.sums, narrow, p->next_seq, p->samples) : NULL;
    if (!d.narrow) return false;
    ready->limit->view = d.narrow->number;
    for (d.mask = 1; d.mask < 2 * picks->room;) d.mask = 2 * d.mask + 1;
    d.words = scratch_zalloc(picks->scratch, d.mask + 1, sizeof(*d.words));
    while (picks->n < picks->room && sums_all(d.narrow) > 0 && !ready_is_cut(ready)) {
        if (ready->limit->left)
            priority_draw(&d, picks);
        else
            ready->limit->is_cut = true;
    }
    priority_put_back(&d);
    if (picks->n < picks->room && !ready_is_cut(ready) && d.sums->n_positive < p->samples)
        priority_pick_weightless(&d, args, ready, picks);
    return true;
}

static bool priority_has_index(const struct sampler_args *args, const struct partition *p) {
    return tagindex_sums(p, args->tag, args->exponent);
}

/* ---- without ------------------------------------------------------------------------------ */

static void priority_pick(const struct sampler_args *args, struct ready *ready,
                          struct picks *picks) {
    struct ready scan;
    if (priority_pick_by_sums(args, ready, picks)) return;
    if (ready->lookup) {
        ready_rescan(&scan, ready, picks->scratch);
        ready = &scan;
    }
    const struct column *tag = column_set_find(&ready->partition->tags, args->tag);
    struct random random = random_of_seed(args->seed);
    struct heap best = {scratch_alloc(picks->scratch, picks->room, sizeof(*best.entries)), 0};
    for (uint64_t seq; (seq = ready_next(ready)) != SEQ_NONE;) {
        struct number number;
        double weight = -INFINITY;
        if (sampler_number(tag, seq, &number))
            weight = priority_log_weight(number.value, args->exponent);
        double key = weight - log(-log(random_unit(&random)));
        int64_t lot = (int64_t)(random_word(&random) >> 1); /* between infinite keys */
        heap_keep(&best, picks->room, (struct heap_entry){key, lot, seq});
    }
    heap_sort(&best);
    for (size_t i = 0; i < best.n; i++) picks->seqs[picks->n++] = best.entries[i].item;
}

const struct sampler sampler_priority = {
    .name = "PRIORITY",
    .takes = SAMPLER_TAG | SAMPLER_EXPONENT | SAMPLER_SEED,
    .random = true,
    .has_index = priority_has_index,
    .pick = priority_pick,
};
