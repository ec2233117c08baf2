/* Steps of the walk that take samples, and what follows from it: leases, time, what retires. */
#include <stdlib.h>

#include "fail.h"
#include "trial.h"
#include "store/compact.h"

/* ---- RETIRE ------------------------------------------------------------------------------- */

static int compare_seqs(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Something happened to these samples (seqs NULL: to any), as the commands say it. The model looks
 * at all samples. */
void trial_retire(struct trial *t, struct span partition, const uint64_t *seqs, size_t n) {
    struct op op;
    size_t retired;
    bool has = retire_plan(t->kit.store, partition, seqs, n, t->kit.now_ms, &t->kit.scratch, &op);
    const uint64_t *expected = model_retire(&t->model, partition, &t->scratch, &retired);
    trial_expect(t, "retired", has ? op.select.n : 0, retired);
    if (!has) return;
    uint64_t *sorted = scratch_alloc(&t->scratch, retired, sizeof(*sorted));
    memcpy(sorted, op.select.seqs, retired * sizeof(*sorted));
    qsort(sorted, retired, sizeof(*sorted), compare_seqs);
    for (size_t i = 0; i < retired; i++) trial_expect(t, "retires", sorted[i], expected[i]);
    trial_expect(t, "retired", store_apply(t->kit.store, &op), retired);
}

/* ---- TQ.SAMPLE ---------------------------------------------------------------------------- */

/* A plan changes nothing: asked again, the store says the same. What a seed draws by an index of
 * tag^p depends on the calls before, which make its bounds tighter. */
static void expect_again(struct trial *t, const struct sample_call *call,
                         const struct sampled *sampled) {
    struct sampled again;
    int failed = sample_plan(t->kit.store, call, t->kit.now_ms, &t->kit.scratch, &again, NULL);
    EXPECT(failed == 0 && again.outcome == sampled->outcome && again.n == sampled->n &&
               again.missing == sampled->missing,
           "step %u: another answer", t->steps);
    if (call->sampler->random && sample_walks(t->kit.store, call)) return;
    for (size_t i = 0; i < sampled->n; i++)
        trial_expect(t, "again", again.seqs[i], sampled->seqs[i]);
}

/* The store may have forgotten batches that a rank is done with and that have no sample left; then
 * their number may be decided for other ranks. */
static void forget_with_store(struct trial *t, struct span partition) {
    struct model_partition *expected = model_find(&t->model, partition);
    const struct partition *p = store_find(t->kit.store, partition);
    for (size_t i = expected ? expected->n_batches : 0; i-- > 0;) {
        const struct model_batch *batch = &expected->batches[i];
        if (batch->n || !model_is_done(expected, batch->task, batch->rank, batch->batch)) continue;
        const struct task *task = partition_task(p, expected->tasks[batch->task]);
        if (!task || !ranks_find(&task->ranks, batch->rank, batch->batch))
            model_drop_batch(expected, i);
    }
}

/* What the rank is done with, as TQ.SAMPLE says it before it takes. */
static void step_done(struct trial *t, const struct sample_call *call) {
    struct sampled sampled;
    struct model_answer answer;
    struct op op;
    uint64_t *seqs;
    size_t n;
    bool has = sample_plan_done(t->kit.store, call, t->kit.now_ms, &t->kit.scratch, &op, &seqs, &n);
    if (!has) {
        trial_expect(t, "done", model_finish(&t->model, call), 0);
        return;
    }
    unsigned due = model_sample_call(&t->model, call, &t->scratch, &answer);
    int failed =
        sample_plan(t->kit.store, call, t->kit.now_ms, &t->kit.scratch, &sampled, &t->kit.error);
    if (!trial_agree(t, "done", due, failed)) return;
    trial_expect(t, "done", model_finish(&t->model, call), 1);
    store_apply(t->kit.store, &op);
    if (n) trial_retire(t, call->partition, seqs, n);
}

/* What the holder says of its call before, as TQ.SAMPLE does before it takes. */
static void step_confirm(struct trial *t, const struct sample_call *call) {
    struct model_answer answer;
    struct op op;
    const uint64_t *seqs;
    size_t n;
    unsigned due = model_sample_call(&t->model, call, &t->scratch, &answer);
    int failed = sample_check_once(t->kit.store, call, &t->kit.scratch, &t->kit.error);
    if (!trial_agree(t, "confirm", due, failed)) return;
    bool has =
        sample_plan_confirm(t->kit.store, call, t->kit.now_ms, &t->kit.scratch, &op, &seqs, &n);
    trial_expect(t, "confirm", has, model_confirm(&t->model, call));
    if (!has) return;
    store_apply(t->kit.store, &op);
    if (n) trial_retire(t, call->partition, seqs, n);
}

void trial_step_sample(struct trial *t) {
    struct sample_call call;
    struct sampled sampled;
    struct model_answer answer;
    trial_draw_call(t, &call);
    scratch_reset(&t->kit.scratch);
    forget_with_store(t, call.partition);
    if (call.finishes) step_done(t, &call);
    if (call.once.holder.ptr) step_confirm(t, &call);
    unsigned due = model_sample_call(&t->model, &call, &t->scratch, &answer);
    int failed =
        sample_plan(t->kit.store, &call, t->kit.now_ms, &t->kit.scratch, &sampled, &t->kit.error);
    if (!trial_agree(t, "take", due, failed)) return;
    model_check_sampled(&t->model, &call, &answer, &sampled, &t->scratch);
    expect_again(t, &call, &sampled);
    if (!sampled.changes) return;
    size_t changed = store_apply(t->kit.store, &sampled.op);
    trial_expect(t, "taken", changed, sampled.remembered ? 0 : answer.total);
    model_sampled(&t->model, &call, &sampled);
    if (sampled.n_finished || (!call.lease_ms && !sampled.remembered))
        trial_retire(t, call.partition, sampled.finished, sampled.n_finished);
}

/* ---- leases ------------------------------------------------------------------------------- */

/* A command that was answered before gets that answer, and changes nothing. */
static bool step_again(struct trial *t, const struct lease_request *request, bool is_nack) {
    uint64_t samples = 0;
    size_t expected = 0;
    bool again = lease_answered(t->kit.store, request, is_nack, &t->kit.scratch, &samples);
    trial_expect(t, "answered before", again,
                 model_answered(&t->model, request, is_nack, &expected));
    trial_expect(t, "the first reply", samples, expected);
    return again;
}

static void step_ack(struct trial *t, const struct lease_request *request) {
    struct lease_request whole = *request;
    struct op op;
    size_t changed;
    whole.keys = NULL; /* TQ.ACK has none */
    request = &whole;
    if (step_again(t, request, false)) return;
    unsigned due = model_ack(&t->model, request, &changed);
    int failed =
        lease_plan_ack(t->kit.store, request, t->kit.now_ms, &t->kit.scratch, &op, &t->kit.error);
    if (!trial_agree(t, "ack", due, failed)) return;
    trial_expect(t, "ack", store_apply(t->kit.store, &op), changed);
    trial_retire(t, request->partition, op.select.seqs, op.select.n);
}

static void step_nack(struct trial *t, const struct lease_request *request) {
    struct op op;
    size_t changed;
    if (step_again(t, request, true)) return;
    unsigned due = model_nack(&t->model, request, &changed);
    int failed =
        lease_plan_nack(t->kit.store, request, t->kit.now_ms, &t->kit.scratch, &op, &t->kit.error);
    if (trial_agree(t, "nack", due, failed))
        trial_expect(t, "nack", store_apply(t->kit.store, &op), changed);
}

static void step_extend(struct trial *t, const struct lease_request *request) {
    struct op op;
    size_t changed;
    int64_t ms = trial_draw_ms(t), now = t->kit.now_ms;
    int64_t ends =
        ms > INT64_MAX - 1 - now ? INT64_MAX - 1 : now + ms; /* LEASE_NEVER is one more */
    unsigned due = model_extend(&t->model, request, ends, &changed);
    int failed = lease_plan_extend(t->kit.store, request, ms, now, &op, &t->kit.error);
    if (trial_agree(t, "extend", due, failed))
        trial_expect(t, "extend", store_apply(t->kit.store, &op), changed);
}

void trial_step_lease(struct trial *t) {
    struct lease_request request;
    trial_draw_lease(t, &request);
    scratch_reset(&t->kit.scratch);
    switch (source_below(&t->source, 4)) {
    case 0: step_extend(t, &request); break;
    case 1:
    case 2: step_nack(t, &request); break;
    default: step_ack(t, &request);
    }
}

/* Time passes, and what has run out comes back, the earliest end first. */
void trial_step_clock(struct trial *t) {
    struct op op;
    t->kit.now_ms += (int64_t)source_below(&t->source, ARENA_IDLE_MS);
    for (int i = 0; i < 3 && store_tick(t->kit.store, t->kit.now_ms); i++) continue;
    struct compact_budget budget = {.rows = 100, .bytes = 10000};
    store_squeeze(t->kit.store, UINT64_MAX, &budget);
    if (source_below(&t->source, 4) == 0) return; /* whoever drives the store was late */
    while (lease_plan_expiry(t->kit.store, t->kit.now_ms, &op)) {
        EXPECT(model_next_end(&t->model) <= t->kit.now_ms, "step %u: too early", t->steps);
        size_t changed = model_expire(&t->model, op.partition, op.select.task, op.select.lease.id);
        trial_expect(t, "expired", store_apply(t->kit.store, &op), changed);
    }
    EXPECT(model_next_end(&t->model) > t->kit.now_ms, "step %u: a lease is left", t->steps);
    const uint64_t *seqs;
    size_t n;
    while (once_plan_expiry(t->kit.store, t->kit.now_ms, &t->kit.scratch, &op, &seqs, &n)) {
        struct span partition = op.partition;
        model_end_hold(&t->model, partition, op.select.once.holder);
        store_apply(t->kit.store, &op);
        trial_retire(t, partition, seqs, n);
    }
    EXPECT(model_next_hold(&t->model) > t->kit.now_ms, "step %u: a hold is left", t->steps);
}

/* ---- TQ.CREATE, TQ.ALTER ------------------------------------------------------------------ */

void trial_step_define(struct trial *t) {
    struct define define;
    struct op op;
    if (source_below(&t->source, 2)) return;
    trial_draw_define(t, &define);
    scratch_reset(&t->kit.scratch);
    unsigned due = model_define(&t->model, &define);
    int failed =
        define_plan(t->kit.store, &define, t->kit.now_ms, &t->kit.scratch, &op, &t->kit.error);
    if (!trial_agree(t, "define", due, failed)) return;
    store_apply(t->kit.store, &op);
    if (define.sets_retire) trial_retire(t, define.partition, NULL, 0);
}
