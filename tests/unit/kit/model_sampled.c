/* What the store answered to a TQ.SAMPLE: is it right, where more than one answer is, and what
 * follows from it. */
#include "model.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fail.h"

#define U(number) (unsigned long long)(number)

static size_t place_of(const uint64_t *seqs, size_t n, uint64_t seq) {
    size_t i = 0;
    while (i < n && seqs[i] != seq) i++;
    return i;
}

/* The number in a sample's tag; false where there is none. */
static bool number_of(const struct model_partition *p, const struct model_sample *sample,
                      struct span tag, double *out) {
    size_t t = model_column(&p->tags, tag);
    long double number;
    if (t == p->tags.n || !sample->tags[t].produced) return false;
    if (!model_read_number(span_of(sample->tags[t].bytes, sample->tags[t].len), &number))
        return false;
    *out = (double)number;
    return true;
}

/* ---- RANDOM, PRIORITY --------------------------------------------------------------------- */

/* Any of those that were to be chosen from, none twice. `chosen` says which, by their places. */
static bool *check_distinct(const struct model_answer *answer, const uint64_t *seqs,
                            struct scratch *scratch) {
    bool *chosen = scratch_zalloc(scratch, answer->of + 1, sizeof(*chosen));
    for (size_t i = 0; i < answer->total; i++) {
        size_t at = place_of(answer->seqs, answer->of, seqs[i]);
        EXPECT(at < answer->of, "seq %llu is not ready", U(seqs[i]));
        EXPECT(!chosen[at], "seq %llu was picked twice", U(seqs[i]));
        chosen[at] = true;
    }
    return chosen;
}

/* 2: before all others, 0: when nothing else is left, 1: by chance. */
static int rank_of_priority(const struct model_partition *p, const struct model_sample *sample,
                            const struct sampler_args *args) {
    double number;
    if (!number_of(p, sample, args->tag, &number) || number < 0) return 0;
    if (number == 0 && args->exponent != 0) return args->exponent > 0 ? 0 : 2;
    return 1;
}

static void check_priority(struct model_partition *p, const struct sample_call *call,
                           const struct model_answer *answer, const uint64_t *seqs,
                           const bool *chosen) {
    int last = 2;
    for (size_t i = 0; i < answer->total; i++) {
        int rank = rank_of_priority(p, model_by_seq(p, seqs[i]), &call->args);
        EXPECT(rank <= last, "seq %llu came too late", U(seqs[i]));
        last = rank;
    }
    for (size_t i = 0; answer->total && i < answer->of; i++)
        EXPECT(chosen[i] ||
                   rank_of_priority(p, model_by_seq(p, answer->seqs[i]), &call->args) <= last,
               "seq %llu was passed over", U(answer->seqs[i]));
}

/* ---- BALANCED ----------------------------------------------------------------------------- */

/* Each rank's units are those that were to be dealt, each once, whole, in their order. */
static void check_deal(const struct model_answer *answer, const uint64_t *seqs, size_t ranks,
                       size_t unit, struct scratch *scratch) {
    bool *dealt = scratch_zalloc(scratch, answer->total + 1, sizeof(*dealt));
    size_t each = answer->total / ranks, last = 0;
    for (size_t i = 0; i < answer->total; i += unit) {
        size_t at = place_of(answer->seqs, answer->total, seqs[i]);
        EXPECT(at < answer->total && at % unit == 0 && !dealt[at], "seq %llu", U(seqs[i]));
        for (size_t j = 0; j < unit; j++)
            EXPECT(seqs[i + j] == answer->seqs[at + j], "seq %llu", U(seqs[i + j]));
        EXPECT(i % each == 0 || at > last, "seq %llu is out of order", U(seqs[i]));
        dealt[at] = true;
        last = at;
    }
}

/* Of units of so many samples, in their order. */
static double *weigh(struct model_partition *p, struct span tag, const uint64_t *seqs, size_t n,
                     size_t unit, struct scratch *scratch) {
    double *weights = scratch_zalloc(scratch, n / unit + 1, sizeof(*weights)), number;
    for (size_t i = 0; i < n; i++)
        weights[i / unit] += number_of(p, model_by_seq(p, seqs[i]), tag, &number) ? number : 1;
    return weights;
}

static double gap_of(const double *sums, size_t ranks) {
    double low = sums[0], high = sums[0];
    for (size_t r = 1; r < ranks; r++) {
        low = fmin(low, sums[r]);
        high = fmax(high, sums[r]);
    }
    return high - low;
}

static int heavier(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The gap when each unit, heaviest first, goes to the lightest rank with room. Sorts the weights. */
static double greedy_gap(double *weights, size_t n, size_t ranks, struct scratch *scratch) {
    double *sums = scratch_zalloc(scratch, ranks, sizeof(*sums));
    size_t *counts = scratch_zalloc(scratch, ranks, sizeof(*counts));
    qsort(weights, n, sizeof(*weights), heavier);
    for (size_t i = 0; i < n; i++) {
        size_t to = ranks;
        for (size_t r = 0; r < ranks; r++)
            if (counts[r] < n / ranks && (to == ranks || sums[r] < sums[to])) to = r;
        sums[to] += weights[i];
        counts[to]++;
    }
    return gap_of(sums, ranks);
}

static void check_balanced(struct model_partition *p, const struct sample_call *call,
                           const struct model_answer *answer, const struct op_select *select,
                           struct scratch *scratch) {
    size_t ranks = call->args.ranks, unit = model_unit(p, call), n = answer->total / unit;
    EXPECT(select->rank.n_slices == ranks && select->rank.slices[0] == 0, "%zu", ranks);
    for (size_t r = 0; r < ranks; r++)
        EXPECT(select->rank.slices[r + 1] == (r + 1) * (answer->total / ranks), "rank %zu", r);
    check_deal(answer, select->seqs, ranks, unit, scratch);
    double *weights = weigh(p, call->args.tag, select->seqs, answer->total, unit, scratch);
    double *sums = scratch_zalloc(scratch, ranks, sizeof(*sums)), all = 0;
    for (size_t i = 0; i < n; i++) {
        sums[i / (n / ranks)] += weights[i];
        all += fabs(weights[i]);
    }
    double gap = gap_of(sums, ranks), greedy = greedy_gap(weights, n, ranks, scratch);
    EXPECT(gap <= greedy + all * 1e-9, "%g is worse than greed's %g", gap, greedy);
}

/* ---- the answer --------------------------------------------------------------------------- */

static void check_batch(struct model_partition *p, const struct sample_call *call,
                        const struct model_answer *answer, const struct op_select *select,
                        struct scratch *scratch) {
    EXPECT(select->n == answer->total, "%zu, expected %zu", select->n, answer->total);
    if (answer->of == 0)
        EXPECT(!memcmp(select->seqs, answer->seqs, select->n * sizeof(*select->seqs)), "the batch");
    else if (model_is_by(call, "BALANCED"))
        check_balanced(p, call, answer, select, scratch);
    else {
        bool *chosen = check_distinct(answer, select->seqs, scratch);
        if (model_is_by(call, "PRIORITY")) check_priority(p, call, answer, select->seqs, chosen);
    }
}

void model_check_sampled(struct model *m, const struct sample_call *call,
                         const struct model_answer *answer, const struct sampled *sampled,
                         struct scratch *scratch) {
    struct model_partition *p = model_find(m, call->partition);
    EXPECT(sampled->outcome == answer->outcome, "%d, not %d", sampled->outcome, answer->outcome);
    if (answer->outcome == SAMPLE_WAIT)
        EXPECT(sampled->missing >= 1 && sampled->missing <= answer->most_missing,
               "lacks %llu, at most %llu", U(sampled->missing), U(answer->most_missing));
    EXPECT(sampled->remembered == answer->remembered, "remembered: %d", sampled->remembered);
    if (answer->outcome != SAMPLE_BATCH) {
        EXPECT(!sampled->changes, "an answer that takes nothing");
        return;
    }
    EXPECT(sampled->n == answer->n, "%zu, expected %zu", sampled->n, answer->n);
    if (answer->remembered && call->once.holder.ptr) {
        EXPECT(!memcmp(sampled->seqs, answer->seqs, answer->n * sizeof(*answer->seqs)), "again");
        EXPECT(!sampled->changes && sampled->lease == answer->lease, "lease %llu",
               U(sampled->lease));
        return;
    }
    if (answer->remembered) {
        struct model_batch *batch =
            model_batch(p, model_task(p, call->task), call->rank, call->batch);
        EXPECT(!memcmp(sampled->seqs, answer->seqs, answer->n * sizeof(*answer->seqs)), "again");
        EXPECT(sampled->changes == !batch->delivered, "handed: %d", batch->delivered);
        return;
    }
    const struct op_select *select = &sampled->op.select;
    EXPECT(sampled->changes == !call->keep, "keep: %d", call->keep);
    check_batch(p, call, answer, select, scratch);
    size_t own = model_is_by(call, "BALANCED") ? call->rank * answer->n : 0;
    EXPECT(sampled->seqs == select->seqs + own, "the share of rank %llu", U(call->rank));
    EXPECT(select->lease.id == 0 ? !call->lease_ms : select->lease.id > m->last_lease, "lease %llu",
           U(select->lease.id));
}

/* ---- what follows ------------------------------------------------------------------------- */

static void lease_out(struct model *m, struct model_partition *p, size_t task,
                      const struct op *op) {
    const struct op_lease *lease = &op->select.lease;
    p->leases = mem_grow(p->leases, &p->leases_capacity, p->n_leases + 1, sizeof(*p->leases));
    p->leases[p->n_leases++] =
        (struct model_lease){lease->id, task, op->now_ms, lease->ends_ms, model_own(lease->holder)};
    m->last_lease = lease->id;
    for (size_t i = 0; i < op->select.n; i++)
        model_by_seq(p, op->select.seqs[i])->lease[task] = lease->id;
}

static void remember(struct model_partition *p, size_t task, const struct sample_call *call,
                     uint64_t rank, const uint64_t *seqs, size_t n) {
    p->batches = mem_grow(p->batches, &p->batches_capacity, p->n_batches + 1, sizeof(*p->batches));
    p->batches[p->n_batches++] = (struct model_batch){
        .task = task,
        .rank = rank,
        .batch = call->batch,
        .fingerprint = model_own(call->fingerprint),
        .delivered = rank == call->rank,
        .seqs = mem_dup(seqs, n * sizeof(*seqs)),
        .n = n,
    };
}

bool model_is_done(const struct model_partition *p, size_t task, uint64_t rank, uint64_t batch) {
    for (size_t i = 0; i < p->n_done; i++)
        if (p->done[i].task == task && p->done[i].rank == rank && p->done[i].batch >= batch)
            return true;
    return false;
}

bool model_finish(struct model *m, const struct sample_call *call) {
    struct model_partition *p = model_find(m, call->partition);
    if (!p || !call->finishes ||
        model_is_done(p, model_task(p, call->task), call->rank, call->done))
        return false;
    size_t task = model_make_task(p, call->task);
    p->done = mem_grow(p->done, &p->done_capacity, p->n_done + 1, sizeof(*p->done));
    p->done[p->n_done++] = (struct model_done){task, call->rank, call->done};
    return true;
}

void model_sampled(struct model *m, const struct sample_call *call, const struct sampled *sampled) {
    const struct op_select *select = &sampled->op.select;
    struct model_partition *p = model_find(m, call->partition);
    size_t task = model_make_task(p, call->task);
    if (sampled->remembered) {
        model_batch(p, task, call->rank, call->batch)->delivered = true;
        return;
    }
    if (call->once.holder.ptr) model_once_sampled(p, task, &sampled->op);
    if (call->lease_ms) {
        lease_out(m, p, task, &sampled->op);
        return;
    }
    for (size_t i = 0; i < select->n; i++) model_by_seq(p, select->seqs[i])->consumed[task] = true;
    if (!call->ranked) return;
    uint64_t ranks = model_is_by(call, "BALANCED") ? call->args.ranks : 1;
    size_t each = select->n / ranks;
    for (uint64_t r = 0; r < ranks; r++)
        remember(p, task, call, ranks > 1 ? r : call->rank, select->seqs + r * each, each);
}
