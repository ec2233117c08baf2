/* See take.h. */
#include "store/take.h"

#include "store/bounds.h"

/* Sealed or all written, and everything there has the fields: nothing more can become ready. */
static bool take_is_complete(const struct partition *p, const struct take *take) {
    if (!partition_is_ended(p)) return false;
    for (size_t i = 0; i < take->n_fields; i++) {
        const struct column *field = column_set_find(&p->fields, take->fields[i]);
        if ((field ? field->produced : 0) < p->samples) return false;
    }
    return true;
}

static int take_check(const struct take *take, const struct partition *p,
                      const struct consumer *task, struct error *e) {
    if (take->count > PARTITION_SAMPLES_MAX)
        return error_set(e, ERROR_ERR, "COUNT %llu is more than a partition can hold",
                         (unsigned long long)take->count);
    if (p && !task && !take->keep && p->tasks_count >= PARTITION_TASKS_MAX)
        return error_set(e, ERROR_FULL, "partition %s has %d tasks already, no room for %s",
                         QUOTE(p->name), PARTITION_TASKS_MAX, QUOTE(take->task));
    if (take->sampler->needs_rank)
        return error_set(e, ERROR_ERR, "BY %s needs RANK and BATCH", take->sampler->name);
    if (take->sampler->check) {
        int failed = take->sampler->check(&take->args, p, take->count, e);
        if (failed) return failed;
    }
    return p ? bounds_check_take(p, take->task, take->at_least * sampler_shares(&take->args), e)
             : 0;
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
        out->op.select.lease = (struct op_lease){store_leases(s)->last_id + 1,
                                                 lease_end(now_ms, take->lease_ms), take->holder};
}

int take_plan(const struct store *s, const struct take *take, int64_t now_ms,
              struct scratch *scratch, struct taken *out, struct error *e) {
    struct partition *p = store_find(s, take->partition);
    struct consumer *task = p ? partition_task(p, take->task) : NULL;
    *out = (struct taken){.outcome = TAKE_WAIT, .partition = p, .lacks = take->at_least};
    int failed = take_check(take, p, task, e);
    if (failed || !p) return failed;

    struct ready ready;
    struct ready_query query = {p, task, take->n_fields, take->fields, &take->where};
    ready_open(&ready, &query, scratch);
    bool complete = take_is_complete(p, take), exact;
    uint64_t shares = sampler_shares(&take->args), most = take->count * shares;
    uint64_t at_least = take->at_least * shares, bound = ready_bound(&ready, &exact);
    if (!complete && bound < at_least) {
        out->lacks = at_least - bound;
        return 0;
    }

    /* No batch is larger than what is there: room for it, not for what a client says. */
    size_t room = most < p->samples ? most : p->samples;
    struct picks picks = {
        .seqs = scratch_alloc(scratch, room, sizeof(uint64_t)), .room = room, .scratch = scratch};
    take->sampler->pick(&take->args, &ready, &picks);

    if (picks.n > 0 && (picks.n >= at_least || complete)) {
        out->outcome = TAKE_BATCH;
        out->n = picks.n;
        out->seqs = picks.seqs;
        out->shares = picks.shares;
        take_make_op(s, take, now_ms, out);
    } else if (complete && (!task || task->leased == 0)) {
        out->outcome = TAKE_END;
    } else {
        ready_open(&ready, &query, scratch);
        uint64_t count = ready_count(&ready);
        out->lacks = count < at_least ? at_least - count : 1;
    }
    return 0;
}
