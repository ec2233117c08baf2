/* What tasks have consumed, hold and were promised, in the store and in the model. */
#include "fail.h"
#include "model_check.h"

#define U(number) (unsigned long long)(number)

static void check_bits(const struct model_partition *expected, size_t task, const struct task *t) {
    uint64_t consumed = 0, leased = 0;
    for (size_t k = 0; k < expected->n; k++) {
        const struct model_sample *sample = expected->samples[k];
        bool is_consumed = t && task_has_consumed(t, sample->seq);
        bool is_leased = t && task_is_leased(t, sample->seq);
        EXPECT(is_consumed == sample->consumed[task], "task %zu, seq %llu", task, U(sample->seq));
        EXPECT(is_leased == (sample->lease[task] > 0), "task %zu, seq %llu", task, U(sample->seq));
        consumed += is_consumed;
        leased += is_leased;
    }
    EXPECT((t ? t->consumed : 0) == consumed, "task %zu", task);
    EXPECT((t ? t->leased : 0) == leased, "task %zu", task);
}

static void check_lease(const struct model_partition *expected, const struct model_lease *lease,
                        const struct task *t) {
    const struct lease *l = t ? lease_find(t, lease->id) : NULL;
    EXPECT(l, "lease %llu", U(lease->id));
    EXPECT(l->given_ms == lease->given_ms && l->ends_ms == lease->ends_ms, "lease %llu",
           U(lease->id));
    EXPECT(span_equal(l->holder, lease->holder), "lease %llu", U(lease->id));
    size_t held = 0, found = 0;
    for (size_t k = 0; k < expected->n; k++)
        held += expected->samples[k]->lease[lease->task] == lease->id;
    for (size_t i = 0; i < l->n; i++) {
        const struct model_sample *sample =
            model_by_seq((struct model_partition *)expected, l->seqs[i]);
        found += sample && sample->lease[lease->task] == lease->id;
    }
    EXPECT(lease_samples(l) == held && found == held, "lease %llu: %zu", U(lease->id), held);
}

static void check_batch(const struct partition *p, const struct model_batch *batch,
                        const struct task *t, bool may_miss) {
    const struct rank_batch *b = t ? ranks_find(&t->ranks, batch->rank, batch->batch) : NULL;
    size_t n = 0;
    if (!b && may_miss) return;
    EXPECT(b && rank_batch_lives(b, p) == (batch->n > 0), "batch %llu", U(batch->batch));
    EXPECT(span_equal(rank_batch_fingerprint(b), batch->fingerprint), "batch %llu",
           U(batch->batch));
    EXPECT(b->delivered == batch->delivered, "batch %llu", U(batch->batch));
    for (size_t i = 0; i < b->n; i++) {
        if (!partition_alive(p, b->seqs[i])) continue;
        EXPECT(n < batch->n && b->seqs[i] == batch->seqs[n], "batch %llu", U(batch->batch));
        n++;
    }
    EXPECT(n == batch->n, "batch %llu: %zu, expected %zu", U(batch->batch), n, batch->n);
}

/* A batch without samples that its rank is done with is forgotten some time. */
static bool may_miss(const struct model_partition *expected, const struct model_batch *batch) {
    return batch->n == 0 && model_is_done(expected, batch->task, batch->rank, batch->batch);
}

/* No more of them than there should be, and no fewer. */
static void check_ranks(const struct model_partition *expected, size_t task, const struct task *t) {
    size_t least = 0, most = 0;
    for (size_t i = 0; i < expected->n_batches; i++) {
        if (expected->batches[i].task != task) continue;
        least += !may_miss(expected, &expected->batches[i]);
        most++;
    }
    EXPECT(t->ranks.n >= least && t->ranks.n <= most, "%zu batches, expected %zu to %zu",
           t->ranks.n, least, most);
    for (size_t i = 0; i < t->ranks.n_done; i++) {
        const struct rank_done *done = &t->ranks.done[i];
        EXPECT(model_is_done(expected, task, done->rank, done->batch) &&
                   !model_is_done(expected, task, done->rank, done->batch + 1),
               "rank %llu done %llu", U(done->rank), U(done->batch));
    }
}

/* A task that forgot everything may be there or not. */
void model_check_tasks(const struct partition *p, const struct model_partition *expected) {
    size_t leases = 0;
    for (size_t i = 0; i < p->n_tasks; i++) {
        size_t task = model_task(expected, p->tasks[i]->name);
        EXPECT(task < expected->n_tasks, "task %zu", i);
        check_ranks(expected, task, p->tasks[i]);
        leases += p->tasks[i]->n_leases;
    }
    model_check_onces(p, expected);
    EXPECT(leases == expected->n_leases, "%zu leases, expected %zu", leases, expected->n_leases);
    for (size_t i = 0; i < expected->n_tasks; i++)
        check_bits(expected, i, partition_task(p, expected->tasks[i]));
    for (size_t i = 0; i < expected->n_leases; i++) {
        const struct model_lease *lease = &expected->leases[i];
        check_lease(expected, lease, partition_task(p, expected->tasks[lease->task]));
    }
    for (size_t i = 0; i < expected->n_batches; i++) {
        const struct model_batch *batch = &expected->batches[i];
        check_batch(p, batch, partition_task(p, expected->tasks[batch->task]),
                    may_miss(expected, batch));
    }
}

/* A heap of just the leases that there are, and what they take. */
void model_check_leases(const struct model *m, const struct store *s) {
    const struct leases *all = store_leases(s);
    size_t expected = 0, overhead = 0;
    for (size_t i = 0; i < MODEL_PARTITIONS; i++) expected += m->partitions[i].n_leases;
    EXPECT(all->count == expected, "%zu leases, expected %zu", all->count, expected);
    EXPECT(all->last_id == m->last_lease, "%llu", U(all->last_id));
    EXPECT(lease_next_end(s) == model_next_end(m), "%lld", (long long)lease_next_end(s));
    for (size_t i = 0; i < all->count; i++) {
        const struct lease *lease = all->heap[i];
        EXPECT(lease->place == i, "place %zu", i);
        EXPECT(i == 0 || all->heap[(i - 1) / 2]->ends_ms <= lease->ends_ms, "place %zu", i);
        EXPECT(lease_find(lease->task, lease->id) == lease, "place %zu", i);
        overhead += sizeof(*lease) + lease->n * sizeof(*lease->seqs) + lease->holder.len;
    }
    EXPECT(all->overhead == overhead, "%zu, expected %zu", all->overhead, overhead);
}
