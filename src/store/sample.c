/* See sample.h. */
#include "store/sample.h"

#include "store/bounds.h"
#include "store/samplers.h"
#include "store/tagindex.h"

/* Sealed or all written, and everything there has the fields: nothing more can become ready. */
static bool sample_is_complete(const struct partition *p, const struct sample_call *call) {
    if (!partition_is_ended(p)) return false;
    for (size_t i = 0; i < call->n_fields; i++) {
        const struct column *field = column_set_find(&p->fields, call->fields[i]);
        if ((field ? field->produced : 0) < p->samples) return false;
    }
    return true;
}

static int sample_check(const struct sample_call *call, const struct partition *p,
                        const struct task *task, struct error *e) {
    if (call->count > PARTITION_SAMPLES_MAX)
        return error_set(e, ERROR_ERR, "COUNT %llu is more than a partition can hold",
                         (unsigned long long)call->count);
    if (p && !task && !call->keep && p->n_tasks >= PARTITION_TASKS_MAX)
        return error_set(e, ERROR_FULL, "partition %s has %d tasks already, no room for %s",
                         QUOTE(p->name), PARTITION_TASKS_MAX, QUOTE(call->task));
    if (call->sampler->needs_rank && !call->ranked)
        return error_set(e, ERROR_ERR, "BY %s needs RANK and BATCH", call->sampler->name);
    if (call->sampler->check) {
        int failed = call->sampler->check(&call->args, p, call->count, e);
        if (failed) return failed;
    }
    if (call->sampler->needs_rank && call->rank >= call->args.ranks)
        return error_set(e, ERROR_ERR, "RANK %llu is none of %llu ranks",
                         (unsigned long long)call->rank, (unsigned long long)call->args.ranks);
    return 0;
}

/* The lease would have the next id. */
static int sample_check_lease(const struct store *s, const struct sample_call *call,
                              struct error *e) {
    if (!call->lease_ms || store_leases(s)->last_id < LEASE_ID_MAX) return 0;
    return error_set(e, ERROR_ERR, "no more leases can be given: the last one has the id %llu",
                     (unsigned long long)LEASE_ID_MAX);
}

static void sample_make_op(const struct store *s, const struct sample_call *call, int64_t now_ms,
                           struct sampled *out) {
    out->changes = !call->keep;
    out->op = (struct op){
        .kind = OP_SAMPLE,
        .partition = call->partition,
        .now_ms = now_ms,
        .select = {.n = out->n, .seqs = out->seqs, .task = call->task},
    };
    if (call->lease_ms)
        out->op.select.lease = (struct op_lease){.id = store_leases(s)->last_id + 1,
                                                 .ends_ms = lease_end(now_ms, call->lease_ms),
                                                 .holder = call->holder};
    if (call->once.holder.ptr) {
        out->op.select.once = call->once;
        out->op.select.once.held_until_ms = call->lease_ms ? 0 : now_ms + ONCE_HOLD_MS;
    }
}

/* ---- rank batches ------------------------------------------------------------------------- */

/* What is left of a batch that was decided before: samples alive and, with a task, leased. */
static void sample_living(const struct partition *p, const struct task *leased,
                          const uint64_t *from, size_t n, struct scratch *scratch,
                          struct sampled *out) {
    uint64_t *seqs = scratch_alloc(scratch, n, sizeof(*seqs));
    for (size_t i = 0; i < n; i++)
        if (partition_alive(p, from[i]) && (!leased || task_is_leased(leased, from[i])))
            seqs[out->n++] = from[i];
    out->outcome = SAMPLE_BATCH;
    out->seqs = seqs;
    out->remembered = true;
}

static void sample_remembered(const struct sample_call *call, const struct partition *p,
                              const struct rank_batch *batch, int64_t now_ms,
                              struct scratch *scratch, struct sampled *out) {
    sample_living(p, NULL, batch->seqs, batch->n, scratch, out);
    out->changes = !batch->delivered;
    out->finished = out->seqs;
    out->op = (struct op){
        .kind = OP_DELIVER,
        .partition = call->partition,
        .now_ms = now_ms,
        .select = {.task = call->task,
                   .rank = {.given = true, .rank = call->rank, .batch = call->batch}},
    };
}

/* Was the batch decided for another rank, and so for all? */
static bool sample_is_split(const struct sample_call *call, const struct task *task) {
    return call->sampler->needs_rank && ranks_have_any(&task->ranks, call->args.ranks, call->batch);
}

/* The rank asks for a batch that was decided before, and of which it can get nothing. */
static int sample_refuse_again(const struct sample_call *call, bool is_done, bool was_given,
                               struct error *e) {
    unsigned long long rank = call->rank, batch = call->batch;
    if (is_done)
        return error_set(e, ERROR_NOKEY,
                         "rank %llu is done with batch %llu: nothing of it is left for this rank",
                         rank, batch);
    if (was_given)
        return error_set(e, ERROR_NOKEY, "all that rank %llu got of batch %llu was cleared", rank,
                         batch);
    return error_set(e, ERROR_NOKEY,
                     "rank %llu has no slice of batch %llu, which was decided for other ranks",
                     rank, batch);
}

/* *done: the batch was decided before, *out says what it is. */
static int sample_again(const struct sample_call *call, const struct partition *p,
                        const struct task *task, int64_t now_ms, struct scratch *scratch,
                        struct sampled *out, bool *done, struct error *e) {
    const struct rank_batch *batch = ranks_find(&task->ranks, call->rank, call->batch);
    *done = batch && rank_batch_lives(batch, p);
    if (!*done) {
        bool is_done = ranks_is_done(&task->ranks, call->rank, call->batch);
        if (!batch && !is_done && !sample_is_split(call, task)) return 0;
        return sample_refuse_again(call, is_done, batch != NULL, e);
    }
    if (!span_equal(rank_batch_fingerprint(batch), call->fingerprint))
        return error_set(e, ERROR_ERR,
                         "batch %llu of rank %llu was taken with another COUNT, sampler or WHERE",
                         (unsigned long long)call->batch, (unsigned long long)call->rank);
    sample_remembered(call, p, batch, now_ms, scratch, out);
    return 0;
}

bool sample_plan_done(const struct store *s, const struct sample_call *call, int64_t now_ms,
                      struct scratch *scratch, struct op *op, uint64_t **seqs, size_t *n) {
    const struct partition *p = store_find(s, call->partition);
    const struct task *task = p ? partition_task(p, call->task) : NULL;
    *n = 0;
    if (!p || !call->finishes) return false;
    if (task && ranks_is_done(&task->ranks, call->rank, call->done)) return false;
    if (task) *n = ranks_list_unfinished(&task->ranks, call->rank, call->done, scratch, seqs);
    *op = (struct op){
        .kind = OP_DONE,
        .partition = call->partition,
        .now_ms = now_ms,
        .select = {.task = call->task,
                   .rank = {.given = true, .rank = call->rank, .batch = call->done}},
    };
    return true;
}

/* ---- ONCE ---------------------------------------------------------------------------------- */

bool sample_plan_confirm(const struct store *s, const struct sample_call *call, int64_t now_ms,
                         struct scratch *scratch, struct op *op, const uint64_t **seqs, size_t *n) {
    const struct partition *p = store_find(s, call->partition);
    const struct once *entry = p && call->once.holder.ptr ? once_find(p, call->once.holder) : NULL;
    if (!entry || call->once.number <= entry->number) return false;
    *op = once_confirmation(entry, call->once.number, now_ms);
    *n = once_held(entry, scratch, seqs);
    return true;
}

static int sample_gone(const struct once *entry, struct error *e) {
    return error_set(e, ERROR_NOKEY, "all that call %llu of holder %s took was cleared",
                     (unsigned long long)entry->number, QUOTE(entry->holder));
}

/* Of a lease that has not ended. */
static int sample_leased(const struct partition *p, const struct once *entry,
                         struct scratch *scratch, struct sampled *out, struct error *e) {
    const struct lease *lease = lease_find(entry->task, entry->lease);
    if (!lease)
        return error_set(e, ERROR_NOLEASE, "lease %llu of call %llu of holder %s has ended",
                         (unsigned long long)entry->lease, (unsigned long long)entry->number,
                         QUOTE(entry->holder));
    if (!lease_samples(lease)) return sample_gone(entry, e);
    sample_living(p, entry->task, lease->seqs, lease->n, scratch, out);
    out->lease = lease->id;
    return 0;
}

/* *done: the call got a batch before, *out says which. */
static int sample_once(const struct sample_call *call, const struct partition *p,
                       struct scratch *scratch, struct sampled *out, bool *done, struct error *e) {
    const struct once *entry = once_find(p, call->once.holder);
    *done = false;
    if (!entry || call->once.number > entry->number) return 0;
    if (call->once.number < entry->number)
        return error_set(e, ERROR_ERR, "ONCE: call %llu of holder %s is older than its call %llu",
                         (unsigned long long)call->once.number, QUOTE(entry->holder),
                         (unsigned long long)entry->number);
    if (!once_has_batch(entry)) return 0;
    if (!checksum128_equal(entry->request, call->once.request))
        return error_set(e, ERROR_ERR, "ONCE: call %llu of holder %s had other arguments",
                         (unsigned long long)entry->number, QUOTE(entry->holder));
    *done = true;
    if (entry->lease) return sample_leased(p, entry, scratch, out, e);
    if (!partition_any_alive(p, entry->seqs, entry->n)) return sample_gone(entry, e);
    sample_living(p, NULL, entry->seqs, entry->n, scratch, out);
    return 0;
}

int sample_check_once(const struct store *s, const struct sample_call *call,
                      struct scratch *scratch, struct error *e) {
    struct partition *p = store_find(s, call->partition);
    struct sampled out = {0};
    bool done = false;
    int failed = sample_check(call, p, p ? partition_task(p, call->task) : NULL, e);
    if (!failed && p) failed = sample_once(call, p, scratch, &out, &done, e);
    if (failed || !p || done) return failed;
    return bounds_check_sample(p, call->task, call->at_least, e);
}

/* Of a rank batch the slices of all ranks: some may be done with it already. With ONCE what is
 * consumed is held, but an entry that is forgotten for it holds its samples no longer. */
static void sample_note_finished(const struct sample_call *call, const struct partition *p,
                                 struct scratch *scratch, struct sampled *out) {
    const struct once *gone = NULL;
    out->finished = out->op.select.seqs;
    if (call->once.holder.ptr)
        gone = once_evicted(p, call->once.holder);
    else
        out->n_finished = call->lease_ms ? 0 : out->op.select.n;
    if (gone) out->n_finished = once_held(gone, scratch, &out->finished);
    out->lease = out->op.select.lease.id;
}

/* The op is about all that was picked, the reply about the part of this rank. */
static void sample_slice(const struct sample_call *call, const struct picks *picks,
                         struct sampled *out) {
    out->op.select.rank = (struct op_rank){
        .given = true,
        .rank = call->rank,
        .batch = call->batch,
        .fingerprint = call->fingerprint,
        .n_slices = picks->slices ? call->args.ranks : 0,
        .slices = picks->slices,
    };
    if (!picks->slices) return;
    out->seqs = picks->seqs + picks->slices[call->rank];
    out->n = picks->slices[call->rank + 1] - picks->slices[call->rank];
}

/* True if the call filters ops. A try scans what is ready, and may find that WHERE admits none of
 * it, that it makes no whole unit, or that what changed does not match. If many samples are
 * missing, one scan for all of them costs less than a look at each change. If few are missing, or
 * the partition has ended so that any change may matter, a look at each change costs less. */
static bool sample_filters(const struct partition *p, const struct sample_call *call,
                           uint64_t missing) {
    enum { FEW = 32 };
    return call->where.n > 0 || call->sampler->matches || missing < FEW || partition_is_ended(p);
}

/* The call waits, until so many more samples qualify (make whole units). Until the size of its
 * groups is known, the next change may show that its COUNT is wrong. */
static void sample_wait(const struct sample_call *call, const struct partition *p, uint64_t missing,
                        struct sampled *out) {
    bool has_groups = call->sampler == &sampler_group || call->args.groups;
    bool size_unknown = has_groups && !call->args.number && (!p || !p->groups->size);
    out->missing = size_unknown ? 1 : missing;
    out->filters = !size_unknown && p && sample_filters(p, call, missing);
}

/* Of so few samples that a WHERE may admit, the best are found sooner than by a walk. */
enum { SAMPLE_NARROW = 1024 };

bool sample_walks(const struct store *s, const struct sample_call *call) {
    const struct partition *p = store_find(s, call->partition);
    struct tagindex_range range;
    if (!p || call->walk.is_given_up || !call->sampler->has_index ||
        !call->sampler->has_index(&call->args, p))
        return false;
    return !tagindex_range(p, &call->where, &range) || range.n > SAMPLE_NARROW;
}

/* A walk of `view` was cut. */
static struct sample_walk sample_walk_next(const struct sample_call *call,
                                           const struct partition *p, uint64_t view) {
    enum { SAMPLE_CUTS_MORE = 8 }; /* for small partitions, and what was written meanwhile */
    struct sample_walk next = {.view = view, .cuts = call->walk.cuts + 1};
    bool is_lost = call->walk.cuts && call->walk.view != view;
    next.is_given_up =
        is_lost || next.cuts > SAMPLE_CUTS_MORE + 2 * (p->samples / call->evaluations);
    return next;
}

static void sample_cut(const struct sample_call *call, const struct partition *p,
                       const struct ready *ready, bool walks, struct sampled *out) {
    bool rescans = ready->limit->rescans;
    out->outcome = walks && !rescans ? SAMPLE_WALK : SAMPLE_SCAN;
    out->walk = walks ? sample_walk_next(call, p, ready->limit->view) : call->walk;
    if (rescans || !ready->limit->waste) out->walk.is_given_up = true;
}

/* ---- the plan ----------------------------------------------------------------------------- */

/* What was decided for the rank's batch, or for the holder's call, before: then *done. */
static int sample_repeat(const struct sample_call *call, struct partition *p, struct task *task,
                         int64_t now_ms, struct scratch *scratch, struct sampled *out, bool *done,
                         struct error *e) {
    if (call->ranked && task) return sample_again(call, p, task, now_ms, scratch, out, done, e);
    if (call->once.holder.ptr) return sample_once(call, p, scratch, out, done, e);
    return 0;
}

int sample_plan(const struct store *s, const struct sample_call *call, int64_t now_ms,
                struct scratch *scratch, struct sampled *out, struct error *e) {
    struct partition *p = store_find(s, call->partition);
    struct task *task = p ? partition_task(p, call->task) : NULL;
    *out = (struct sampled){.outcome = SAMPLE_WAIT, .partition = p};
    sample_wait(call, p, call->at_least, out);
    int failed = sample_check(call, p, task, e);
    if (failed || !p) return failed;
    bool done = false;
    failed = sample_repeat(call, p, task, now_ms, scratch, out, &done, e);
    if (failed || done) return failed;
    failed = bounds_check_sample(p, call->task, call->at_least * sampler_slices(&call->args), e);
    if (!failed) failed = sample_check_lease(s, call, e);
    if (failed) return failed;

    bool walks = sample_walks(s, call);
    struct ready ready;
    struct ready_query query = {.partition = p,
                                .task = task,
                                .n_fields = call->n_fields,
                                .fields = call->fields,
                                .where = &call->where,
                                .lookup = walks,
                                .evaluations = call->evaluations};
    ready_open(&ready, &query, scratch);
    bool complete = sample_is_complete(p, call), exact;
    uint64_t slices = sampler_slices(&call->args), most = call->count * slices;
    uint64_t at_least = call->at_least * slices, bound = ready_bound(&ready, &exact);
    if (!complete && bound < at_least) {
        sample_wait(call, p, at_least - bound, out);
        return 0;
    }

    /* No batch is larger than what is there: room for it, not for what a client says. */
    size_t room = most < p->samples ? most : p->samples;
    struct picks picks = {
        .seqs = scratch_alloc(scratch, room, sizeof(uint64_t)), .room = room, .scratch = scratch};
    call->sampler->pick(&call->args, &ready, &picks);

    if (ready_is_cut(&ready)) {
        sample_cut(call, p, &ready, walks, out);
    } else if (picks.n > 0 && (picks.n >= at_least || complete)) {
        out->outcome = SAMPLE_BATCH;
        out->n = picks.n;
        out->seqs = picks.seqs;
        sample_make_op(s, call, now_ms, out);
        if (call->ranked) sample_slice(call, &picks, out);
        sample_note_finished(call, p, scratch, out);
    } else if (complete && (!task || task->leased == 0)) {
        out->outcome = SAMPLE_END;
    } else {
        uint64_t found = picks.n + picks.left;
        sample_wait(call, p, found < at_least ? at_least - found : 1, out);
    }
    return 0;
}

/* ---- what a change is worth ---------------------------------------------------------------- */

/* The op changes what a task consumed or leased, and nothing for the call: it is another task, or
 * the call's own task still holds leases, so that the stream does not end. */
static bool sample_is_untouched(const struct sample_call *call, const struct op *op,
                                const struct task *task) {
    switch (op->kind) {
    case OP_SAMPLE:
    case OP_ACK:
    case OP_EXTEND:
        if (task && task->leased) return true;
        /* fall through */
    case OP_EXPIRE:
    case OP_NACK: return !span_equal(op->select.task, call->task);
    default: return false;
    }
}

/* The call is to be tried because it may be wrong now, or end. */
static bool sample_is_ending(const struct sample_call *call, const struct partition *p,
                             const struct op *op) {
    const struct op_rank *done = &op->select.rank;
    if (sample_is_complete(p, call)) return true;
    if (op->kind == OP_DONE && call->ranked)
        return span_equal(op->select.task, call->task) && done->rank == call->rank &&
               done->batch >= call->batch;
    return call->sampler->check && call->sampler->check(&call->args, p, call->count, NULL);
}

uint64_t sample_matches(const struct store *s, const struct sample_call *call, const struct op *op,
                        struct scratch *scratch) {
    struct partition *p = store_find(s, call->partition);
    struct task *task = p ? partition_task(p, call->task) : NULL;
    if (!p) return SAMPLE_EVERYTHING;
    if (sample_is_untouched(call, op, task)) return 0;
    if (sample_is_ending(call, p, op)) return SAMPLE_EVERYTHING;
    bool returns = op->kind == OP_EXPIRE || op->kind == OP_NACK;
    if (op->kind != OP_PUT && !returns) return 0;
    if (returns && op->select.all) return call->sampler->matches ? SAMPLE_EVERYTHING : op->select.n;

    struct ready ready;
    ready_open(&ready,
               &(struct ready_query){.partition = p,
                                     .task = task,
                                     .n_fields = call->n_fields,
                                     .fields = call->fields,
                                     .where = &call->where,
                                     .lookup = true},
               scratch);
    size_t n = op->kind == OP_PUT ? op->put.n : op->select.n;
    const uint64_t *seqs = op->kind == OP_PUT ? op->put.seqs : op->select.seqs;
    return sampler_matches(call->sampler, &call->args, &ready, seqs, n, scratch);
}
