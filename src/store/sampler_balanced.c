/* BALANCED tag ranks: COUNT samples for each of so many ranks, the oldest first, split so that the sums of the tag are near equal
 * and the counts equal. Units are samples, or groups as GROUP finds them.
 *
 * At the end of a stream there may be fewer: then the counts are smaller, and equal still. Fewer units than ranks cannot be
 * split equally and stay behind, so that all ranks end at the same batch. */
#include "store/balance.h"
#include "store/samplers.h"

static int balanced_check(const struct sampler_args *args, const struct partition *p,
                          uint64_t count, struct error *e) {
    if (args->ranks < 1 || args->ranks > SAMPLER_RANKS_MAX)
        return error_set(e, ERROR_ERR, "BALANCED is for 1 to %d ranks, not %llu", SAMPLER_RANKS_MAX,
                         (unsigned long long)args->ranks);
    if (count > PARTITION_SAMPLES_MAX / args->ranks)
        return error_set(e, ERROR_ERR,
                         "COUNT %llu for each of %llu ranks is more than a partition can hold",
                         (unsigned long long)count, (unsigned long long)args->ranks);
    return args->groups ? sampler_group.check(args, p, count, e) : 0;
}

/* What a sample adds to the sum: the number in the tag, 1 where there is none. */
static double balanced_weight(const struct column *tag, uint64_t seq) {
    struct number number;
    return sampler_number(tag, seq, &number) ? number.value : 1;
}

/* Units of `size` samples in the order picked → rank by rank, in that order within each. */
static void balanced_deal(struct picks *picks, size_t size, const uint32_t *rank_of, size_t ranks) {
    size_t n = picks->n / size;
    size_t *slices = scratch_zalloc(picks->scratch, ranks + 1, sizeof(*slices));
    size_t *at = scratch_alloc(picks->scratch, ranks, sizeof(*at));
    uint64_t *dealt = scratch_alloc(picks->scratch, picks->n, sizeof(*dealt));
    for (size_t i = 0; i < n; i++) slices[rank_of[i] + 1] += size;
    for (size_t r = 0; r < ranks; r++) {
        at[r] = slices[r];
        slices[r + 1] += slices[r];
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(dealt + at[rank_of[i]], picks->seqs + i * size, size * sizeof(*dealt));
        at[rank_of[i]] += size;
    }
    picks->seqs = dealt;
    picks->slices = slices;
}

static void balanced_pick(const struct sampler_args *args, struct ready *ready,
                          struct picks *picks) {
    const struct partition *p = ready->partition;
    (args->groups ? &sampler_group : &sampler_sequential)->pick(args, ready, picks);
    if (picks->n == 0) return;
    size_t size = !args->groups ? 1 : args->number ? args->number : p->groups->size;
    size_t n = picks->n / size;
    picks->left = n % args->ranks * size;
    picks->n -= picks->left;
    n -= n % args->ranks;
    if (n == 0) return;

    const struct column *tag = column_set_find(&p->tags, args->tag);
    double *weights = scratch_zalloc(picks->scratch, n, sizeof(*weights));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < size; k++)
            weights[i] += balanced_weight(tag, picks->seqs[i * size + k]);
    uint32_t *rank_of = scratch_alloc(picks->scratch, n, sizeof(*rank_of));
    balance_split(weights, n, args->ranks, rank_of, picks->scratch);
    balanced_deal(picks, size, rank_of, args->ranks);
}

static uint64_t balanced_matches(const struct sampler_args *args, const struct ready *ready,
                                 const uint64_t *seqs, size_t n, struct scratch *scratch) {
    return sampler_matches(args->groups ? &sampler_group : &sampler_sequential, args, ready, seqs,
                           n, scratch);
}

const struct sampler sampler_balanced = {
    .name = "BALANCED",
    .takes = SAMPLER_TAG | SAMPLER_RANKS | SAMPLER_GROUPS,
    .needs_rank = true,
    .check = balanced_check,
    .pick = balanced_pick,
    .matches = balanced_matches,
};
