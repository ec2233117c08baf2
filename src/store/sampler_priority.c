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

static double priority_log_weight(double number, double exponent) {
    if (number < 0) return -INFINITY;
    return exponent == 0 ? 0 : exponent * log(number); /* x^0 is 1, for 0 and infinity too */
}

static void priority_pick(const struct sampler_args *args, struct ready *ready,
                          struct picks *picks) {
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
    .pick = priority_pick,
};
