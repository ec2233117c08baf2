/* See take.h. */
#include "store/take.h"

#include "store/bounds.h"
#include "store/samplers.h"
#include "store/tagindex.h"

/* Sealed or all written, and everything there has the fields: nothing more can become ready. */
static bool take_is_complete(const struct partition *p, const struct take *take) {
    if (!partition_is_ended(p)) return false;
    for (size_t i = 0; i < take->n_fields; i++) {
        const struct column *field = column_set_find(&p->fields, take->fields[i]);
        if ((field ? field->produced : 0) < p->samples) return false;
    }
    return true;
}

static int take_check(const struct take *take, const struct partition *p, const struct task *task,
                      struct error *e) {
    if (take->count > PARTITION_SAMPLES_MAX)
        return error_set(e, ERROR_ERR, "COUNT %llu is more than a partition can hold",
                         (unsigned long long)take->count);
    if (p && !task && !take->keep && p->tasks_count >= PARTITION_TASKS_MAX)
        return error_set(e, ERROR_FULL, "partition %s has %d tasks already, no room for %s",
                         QUOTE(p->name), PARTITION_TASKS_MAX, QUOTE(take->task));
    if (take->sampler->needs_rank && !take->ranked)
        return error_set(e, ERROR_ERR, "BY %s needs RANK and BATCH", take->sampler->name);
    if (take->sampler->check) {
        int failed = take->sampler->check(&take->args, p, take->count, e);
        if (failed) return failed;
    }
    if (take->sampler->needs_rank && take->rank >= take->args.ranks)
        return error_set(e, ERROR_ERR, "RANK %llu is none of %llu ranks",
                         (unsigned long long)take->rank, (unsigned long long)take->args.ranks);
    return 0;
}

/* The lease would have the next id. */
static int take_check_lease(const struct store *s, const struct take *take, struct error *e) {
    if (!take->lease_ms || store_leases(s)->last_id < LEASE_ID_MAX) return 0;
    return error_set(e, ERROR_ERR, "no more leases can be given: the last one has the id %llu",
                     (unsigned long long)LEASE_ID_MAX);
}

static void take_make_op(const struct store *s, const struct take *take, int64_t now_ms,
                         struct taken *out) {
    out->changes = !take->keep;
    out->op = (struct op){
        .kind = OP_TAKE,
        .partition = take->partition,
        .now_ms = now_ms,
        .select = {.n = out->n, .seqs = out->seqs, .task = take->task},
    };
    if (take->lease_ms)
        out->op.select.lease = (struct op_lease){.id = store_leases(s)->last_id + 1,
                                                 .ends_ms = lease_end(now_ms, take->lease_ms),
                                                 .holder = take->holder};
    if (take->once.holder.ptr) {
        out->op.select.once = take->once;
        out->op.select.once.held_until_ms = take->lease_ms ? 0 : now_ms + ONCE_HOLD_MS;
    }
}

/* ---- rank batches ------------------------------------------------------------------------- */

/* What is left of a batch that was decided before: samples alive and, with a task, leased. */
static void take_living(const struct partition *p, const struct task *leased, const uint64_t *from,
                        size_t n, struct scratch *scratch, struct taken *out) {
    uint64_t *seqs = scratch_alloc(scratch, n, sizeof(*seqs));
    for (size_t i = 0; i < n; i++)
        if (partition_alive(p, from[i]) && (!leased || task_is_leased(leased, from[i])))
            seqs[out->n++] = from[i];
    out->outcome = TAKE_BATCH;
    out->seqs = seqs;
    out->remembered = true;
}

static void take_remembered(const struct take *take, const struct partition *p,
                            const struct rank_batch *batch, int64_t now_ms, struct scratch *scratch,
                            struct taken *out) {
    take_living(p, NULL, batch->seqs, batch->n, scratch, out);
    out->changes = !batch->handed;
    out->settled = out->seqs;
    out->op = (struct op){
        .kind = OP_HAND,
        .partition = take->partition,
        .now_ms = now_ms,
        .select = {.task = take->task,
                   .rank = {.given = true, .rank = take->rank, .batch = take->batch}},
    };
}

/* Was the batch decided for another rank, and so for all? */
static bool take_is_split(const struct take *take, const struct task *task) {
    return take->sampler->needs_rank && ranks_have_any(&task->ranks, take->args.ranks, take->batch);
}

/* The rank asks for a batch that was decided before, and of which it can get nothing. */
static int take_refuse_again(const struct take *take, bool is_done, bool was_given,
                             struct error *e) {
    unsigned long long rank = take->rank, batch = take->batch;
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
static int take_again(const struct take *take, const struct partition *p, const struct task *task,
                      int64_t now_ms, struct scratch *scratch, struct taken *out, bool *done,
                      struct error *e) {
    const struct rank_batch *batch = ranks_find(&task->ranks, take->rank, take->batch);
    *done = batch && rank_batch_lives(batch, p);
    if (!*done) {
        bool is_done = ranks_is_done(&task->ranks, take->rank, take->batch);
        if (!batch && !is_done && !take_is_split(take, task)) return 0;
        return take_refuse_again(take, is_done, batch != NULL, e);
    }
    if (!span_equal(rank_batch_how(batch), take->how))
        return error_set(e, ERROR_ERR,
                         "batch %llu of rank %llu was taken with another COUNT, sampler or WHERE",
                         (unsigned long long)take->batch, (unsigned long long)take->rank);
    take_remembered(take, p, batch, now_ms, scratch, out);
    return 0;
}

bool take_plan_done(const struct store *s, const struct take *take, int64_t now_ms,
                    struct scratch *scratch, struct op *op, uint64_t **seqs, size_t *n) {
    const struct partition *p = store_find(s, take->partition);
    const struct task *task = p ? partition_task(p, take->task) : NULL;
    *n = 0;
    if (!p || !take->finishes) return false;
    if (task && ranks_is_done(&task->ranks, take->rank, take->done)) return false;
    if (task) *n = ranks_list_unfinished(&task->ranks, take->rank, take->done, scratch, seqs);
    *op = (struct op){
        .kind = OP_DONE,
        .partition = take->partition,
        .now_ms = now_ms,
        .select = {.task = take->task,
                   .rank = {.given = true, .rank = take->rank, .batch = take->done}},
    };
    return true;
}

/* ---- ONCE ---------------------------------------------------------------------------------- */

bool take_plan_confirm(const struct store *s, const struct take *take, int64_t now_ms,
                       struct scratch *scratch, struct op *op, const uint64_t **seqs, size_t *n) {
    const struct partition *p = store_find(s, take->partition);
    const struct once *entry = p && take->once.holder.ptr ? once_find(p, take->once.holder) : NULL;
    if (!entry || take->once.number <= entry->number) return false;
    *op = once_confirmation(entry, take->once.number, now_ms);
    *n = once_held(entry, scratch, seqs);
    return true;
}

static int take_gone(const struct once *entry, struct error *e) {
    return error_set(e, ERROR_NOKEY, "all that call %llu of holder %s took was cleared",
                     (unsigned long long)entry->number, QUOTE(entry->holder));
}

/* Of a lease that has not ended. */
static int take_leased(const struct partition *p, const struct once *entry, struct scratch *scratch,
                       struct taken *out, struct error *e) {
    const struct lease *lease = lease_find(entry->task, entry->lease);
    if (!lease)
        return error_set(e, ERROR_NOLEASE, "lease %llu of call %llu of holder %s has ended",
                         (unsigned long long)entry->lease, (unsigned long long)entry->number,
                         QUOTE(entry->holder));
    if (!lease_samples(lease)) return take_gone(entry, e);
    take_living(p, entry->task, lease->seqs, lease->n, scratch, out);
    out->lease = lease->id;
    return 0;
}

/* *done: the call took before, *out says what. */
static int take_once(const struct take *take, const struct partition *p, struct scratch *scratch,
                     struct taken *out, bool *done, struct error *e) {
    const struct once *entry = once_find(p, take->once.holder);
    *done = false;
    if (!entry || take->once.number > entry->number) return 0;
    if (take->once.number < entry->number)
        return error_set(e, ERROR_ERR, "ONCE: call %llu of holder %s is older than its call %llu",
                         (unsigned long long)take->once.number, QUOTE(entry->holder),
                         (unsigned long long)entry->number);
    if (!once_has_batch(entry)) return 0;
    if (!checksum128_equal(entry->request, take->once.request))
        return error_set(e, ERROR_ERR, "ONCE: call %llu of holder %s had other arguments",
                         (unsigned long long)entry->number, QUOTE(entry->holder));
    *done = true;
    if (entry->lease) return take_leased(p, entry, scratch, out, e);
    if (!partition_any_alive(p, entry->seqs, entry->n)) return take_gone(entry, e);
    take_living(p, NULL, entry->seqs, entry->n, scratch, out);
    return 0;
}

int take_check_once(const struct store *s, const struct take *take, struct scratch *scratch,
                    struct error *e) {
    struct partition *p = store_find(s, take->partition);
    struct taken out = {0};
    bool done = false;
    int failed = take_check(take, p, p ? partition_task(p, take->task) : NULL, e);
    if (!failed && p) failed = take_once(take, p, scratch, &out, &done, e);
    if (failed || !p || done) return failed;
    return bounds_check_take(p, take->task, take->at_least, e);
}

/* Of a rank batch the slices of all ranks: some may be done with it already. With ONCE what is
 * consumed is held, but an entry that is forgotten for it holds its samples no longer. */
static void take_settle(const struct take *take, const struct partition *p, struct scratch *scratch,
                        struct taken *out) {
    const struct once *gone = NULL;
    out->settled = out->op.select.seqs;
    if (take->once.holder.ptr)
        gone = once_evicted(p, take->once.holder);
    else
        out->n_settled = take->lease_ms ? 0 : out->op.select.n;
    if (gone) out->n_settled = once_held(gone, scratch, &out->settled);
    out->lease = out->op.select.lease.id;
}

/* The op is about all that was picked, the reply about the part of this rank. */
static void take_share(const struct take *take, const struct picks *picks, struct taken *out) {
    out->op.select.rank = (struct op_rank){
        .given = true,
        .rank = take->rank,
        .batch = take->batch,
        .how = take->how,
        .n_shares = picks->shares ? take->args.ranks : 0,
        .shares = picks->shares,
    };
    if (!picks->shares) return;
    out->seqs = picks->seqs + picks->shares[take->rank];
    out->n = picks->shares[take->rank + 1] - picks->shares[take->rank];
}

/* A try scans what is ready, and may find that WHERE admits none of it, that it makes no whole
 * unit, or that what changed was no use. A call that lacks many samples can afford that once they came;
 * one that lacks few, or whose partition has ended so that anything may matter to it, had better
 * look at each change. */
static bool take_counts(const struct partition *p, const struct take *take, uint64_t lacks) {
    enum { FEW = 32 };
    return take->where.n > 0 || take->sampler->gain || lacks < FEW || partition_is_ended(p);
}

/* The call waits, until so many more samples qualify (make whole units). Until the size of its
 * groups is known, the next change may show that its COUNT is wrong. */
static void take_wait(const struct take *take, const struct partition *p, uint64_t lacks,
                      struct taken *out) {
    bool has_groups = take->sampler == &sampler_group || take->args.groups;
    bool size_unknown = has_groups && !take->args.number && (!p || !p->groups->size);
    out->lacks = size_unknown ? 1 : lacks;
    out->counts = !size_unknown && p && take_counts(p, take, lacks);
}

/* Of so few samples that a WHERE may admit, the best are found sooner than by a walk. */
enum { TAKE_NARROW = 1024 };

bool take_walks(const struct store *s, const struct take *take) {
    const struct partition *p = store_find(s, take->partition);
    struct tagindex_range range;
    if (!p || take->walk.is_given_up || !take->sampler->has_index ||
        !take->sampler->has_index(&take->args, p))
        return false;
    return !tagindex_range(p, &take->where, &range) || range.n > TAKE_NARROW;
}

/* A walk of `view` was cut. */
static struct take_walk take_walk_next(const struct take *take, const struct partition *p,
                                       uint64_t view) {
    enum { TAKE_CUTS_MORE = 8 }; /* for small partitions, and what was written meanwhile */
    struct take_walk next = {.view = view, .cuts = take->walk.cuts + 1};
    bool is_lost = take->walk.cuts && take->walk.view != view;
    next.is_given_up = is_lost || next.cuts > TAKE_CUTS_MORE + 2 * (p->samples / take->evaluations);
    return next;
}

static void take_cut(const struct take *take, const struct partition *p, const struct ready *ready,
                     bool walks, struct taken *out) {
    bool rescans = ready->limit->rescans;
    out->outcome = walks && !rescans ? TAKE_WALK : TAKE_SCAN;
    out->walk = walks ? take_walk_next(take, p, ready->limit->view) : take->walk;
    if (rescans || !ready->limit->waste) out->walk.is_given_up = true;
}

/* ---- the plan ----------------------------------------------------------------------------- */

/* What was decided for the rank's batch, or for the holder's call, before: then *done. */
static int take_repeat(const struct take *take, struct partition *p, struct task *task,
                       int64_t now_ms, struct scratch *scratch, struct taken *out, bool *done,
                       struct error *e) {
    if (take->ranked && task) return take_again(take, p, task, now_ms, scratch, out, done, e);
    if (take->once.holder.ptr) return take_once(take, p, scratch, out, done, e);
    return 0;
}

int take_plan(const struct store *s, const struct take *take, int64_t now_ms,
              struct scratch *scratch, struct taken *out, struct error *e) {
    struct partition *p = store_find(s, take->partition);
    struct task *task = p ? partition_task(p, take->task) : NULL;
    *out = (struct taken){.outcome = TAKE_WAIT, .partition = p};
    take_wait(take, p, take->at_least, out);
    int failed = take_check(take, p, task, e);
    if (failed || !p) return failed;
    bool done = false;
    failed = take_repeat(take, p, task, now_ms, scratch, out, &done, e);
    if (failed || done) return failed;
    failed = bounds_check_take(p, take->task, take->at_least * sampler_shares(&take->args), e);
    if (!failed) failed = take_check_lease(s, take, e);
    if (failed) return failed;

    bool walks = take_walks(s, take);
    struct ready ready;
    struct ready_query query = {.partition = p,
                                .task = task,
                                .n_fields = take->n_fields,
                                .fields = take->fields,
                                .where = &take->where,
                                .lookup = walks,
                                .evaluations = take->evaluations};
    ready_open(&ready, &query, scratch);
    bool complete = take_is_complete(p, take), exact;
    uint64_t shares = sampler_shares(&take->args), most = take->count * shares;
    uint64_t at_least = take->at_least * shares, bound = ready_bound(&ready, &exact);
    if (!complete && bound < at_least) {
        take_wait(take, p, at_least - bound, out);
        return 0;
    }

    /* No batch is larger than what is there: room for it, not for what a client says. */
    size_t room = most < p->samples ? most : p->samples;
    struct picks picks = {
        .seqs = scratch_alloc(scratch, room, sizeof(uint64_t)), .room = room, .scratch = scratch};
    take->sampler->pick(&take->args, &ready, &picks);

    if (ready_is_cut(&ready)) {
        take_cut(take, p, &ready, walks, out);
    } else if (picks.n > 0 && (picks.n >= at_least || complete)) {
        out->outcome = TAKE_BATCH;
        out->n = picks.n;
        out->seqs = picks.seqs;
        take_make_op(s, take, now_ms, out);
        if (take->ranked) take_share(take, &picks, out);
        take_settle(take, p, scratch, out);
    } else if (complete && (!task || task->leased == 0)) {
        out->outcome = TAKE_END;
    } else {
        uint64_t found = picks.n + picks.left;
        take_wait(take, p, found < at_least ? at_least - found : 1, out);
    }
    return 0;
}

/* ---- what a change is worth ---------------------------------------------------------------- */

/* The op changes what a task consumed or leased, and nothing for the call: it is another task, or
 * the call's own task still holds leases, so that the stream does not end. */
static bool take_is_untouched(const struct take *take, const struct op *op,
                              const struct task *task) {
    switch (op->kind) {
    case OP_TAKE:
    case OP_ACK:
    case OP_EXTEND:
        if (task && task->leased) return true;
        /* fall through */
    case OP_RELEASE:
    case OP_NACK: return !span_equal(op->select.task, take->task);
    default: return false;
    }
}

/* The call is to be tried because it may be wrong now, or end. */
static bool take_is_ending(const struct take *take, const struct partition *p,
                           const struct op *op) {
    const struct op_rank *done = &op->select.rank;
    if (take_is_complete(p, take)) return true;
    if (op->kind == OP_DONE && take->ranked)
        return span_equal(op->select.task, take->task) && done->rank == take->rank &&
               done->batch >= take->batch;
    return take->sampler->check && take->sampler->check(&take->args, p, take->count, NULL);
}

uint64_t take_gains(const struct store *s, const struct take *take, const struct op *op,
                    struct scratch *scratch) {
    struct partition *p = store_find(s, take->partition);
    struct task *task = p ? partition_task(p, take->task) : NULL;
    if (!p) return TAKE_EVERYTHING;
    if (take_is_untouched(take, op, task)) return 0;
    if (take_is_ending(take, p, op)) return TAKE_EVERYTHING;
    bool returns = op->kind == OP_RELEASE || op->kind == OP_NACK;
    if (op->kind != OP_PUT && !returns) return 0;
    if (returns && op->select.all) return take->sampler->gain ? TAKE_EVERYTHING : op->select.n;

    struct ready ready;
    ready_open(&ready,
               &(struct ready_query){.partition = p,
                                     .task = task,
                                     .n_fields = take->n_fields,
                                     .fields = take->fields,
                                     .where = &take->where,
                                     .lookup = true},
               scratch);
    size_t n = op->kind == OP_PUT ? op->put.n : op->select.n;
    const uint64_t *seqs = op->kind == OP_PUT ? op->put.seqs : op->select.seqs;
    return sampler_gain(take->sampler, &take->args, &ready, seqs, n, scratch);
}
