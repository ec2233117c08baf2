/* See apply.h. Nothing here can fail or asks whether it may: the plan did. */
#include "store/apply.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/matches.h"
#include "store/tagindex.h"

static void apply_columns(struct partition *p, struct column_set *set, const struct op_put *put,
                          const struct op_column *columns, size_t n_columns) {
    for (size_t i = 0; i < n_columns; i++) {
        struct column *column = column_set_find(set, columns[i].name);
        if (!column) column = partition_add_column(p, set, columns[i].name, &columns[i].type);
        column_widen(column, &columns[i].type);
        column_put(column, put->seqs, put->n, &columns[i].values);
    }
}

/* Tags of samples that were there before are overwritten; new ones are in no match set yet. */
static void apply_touch(struct partition *p, const struct op_put *put) {
    uint64_t first_new = put->n_new ? put->new_seqs[0] : SEQ_NONE;
    for (size_t i = 0; i < put->n; i++)
        if (put->seqs[i] < first_new) matches_touch(p, &put->seqs[i], 1);
}

static size_t apply_put(struct partition *p, const struct op *op) {
    const struct op_put *put = &op->put;
    tagindexes_before_put(p, put);
    if (put->n_new)
        partition_add(p, put->new_seqs, put->keys, put->n_new, (uint32_t)(op->now_ms / 1000));
    for (size_t i = 0; put->group_ids && i < put->n; i++)
        if (put->group_ids[i].ptr)
            partition_join(p, put->seqs[i], put->group_ids[i], put->group_sizes[i]);
    apply_columns(p, &p->tags, put, put->tags, put->n_tags);
    if (put->n_tags && put->n > put->n_new) apply_touch(p, put);
    apply_columns(p, &p->fields, put, put->columns, put->n_columns);
    tagindexes_after_put(p, put);
    return put->n_new;
}

/* What ranks get is held until they are done with it. */
static void apply_ranks(struct partition *p, struct task *task, const struct op_select *select) {
    const struct op_rank *rank = &select->rank;
    ranks_remember(&task->ranks, p, select);
    for (size_t r = 0; r < (rank->slices ? rank->n_slices : 1); r++) {
        if (ranks_is_done(&task->ranks, rank->slices ? r : rank->rank, rank->batch)) continue;
        size_t end = rank->slices ? rank->slices[r + 1] : select->n;
        for (size_t i = rank->slices ? rank->slices[r] : 0; i < end; i++)
            task_hold(task, select->seqs[i]);
    }
}

static size_t apply_sample(struct leases *leases, struct partition *p, const struct op *op) {
    const struct op_select *select = &op->select;
    struct task *task = partition_task(p, select->task);
    if (!task) task = partition_add_task(p, select->task);
    size_t changed = select->lease.id ? lease_give(leases, p, task, op) : 0;
    for (size_t i = 0; !select->lease.id && i < select->n; i++)
        changed += partition_consume(p, task, select->seqs[i]);
    if (select->rank.given) apply_ranks(p, task, select);
    if (select->once.holder.ptr) once_remember(leases, p, task, op);
    return changed;
}

/* Batches up to this one hold their samples no longer. */
static void apply_done(struct partition *p, const struct op_select *select) {
    struct task *task = partition_task(p, select->task);
    struct scratch scratch = {0};
    uint64_t *seqs;
    if (!task) task = partition_add_task(p, select->task);
    size_t n =
        ranks_list_unfinished(&task->ranks, select->rank.rank, select->rank.batch, &scratch, &seqs);
    for (size_t i = 0; i < n; i++) task_unhold(task, seqs[i]);
    ranks_finish(&task->ranks, select->rank.rank, select->rank.batch);
    scratch_free(&scratch);
}

/* How many samples of a block some task of [0, n) has consumed. */
static size_t consumed_by_any(struct task *const *tasks, size_t n, uint64_t number) {
    uint64_t any[BLOCK_WORDS] = {0};
    for (size_t i = 0; i < n; i++) {
        const struct task_block *block = task_block(tasks[i], number);
        for (unsigned w = 0; block && w < BLOCK_WORDS; w++) any[w] |= block->consumed[w];
    }
    return bits_count(any, BLOCK_WORDS);
}

static void apply_drop_task(struct leases *leases, struct partition *p, struct task *task) {
    lease_drop_all(leases, task);
    once_drop_task(leases, p, task);
    partition_drop_task(p, task);
}

/* Whole tasks go, with all that is remembered of them. */
static size_t apply_reset_all(struct leases *leases, struct partition *p, struct task *only) {
    struct task *const *tasks = only ? &only : p->tasks;
    size_t n = only ? 1 : p->n_tasks, changed = 0;
    for (uint64_t number = p->rows.first; number < blockindex_end(&p->rows); number++)
        changed += consumed_by_any(tasks, n, number);
    if (only) {
        apply_drop_task(leases, p, only);
        return changed;
    }
    ended_drop(&p->ended);
    once_drop_task(leases, p, NULL);
    while (p->n_tasks) apply_drop_task(leases, p, p->tasks[p->n_tasks - 1]);
    return changed;
}

static size_t apply_reset(struct leases *leases, struct partition *p,
                          const struct op_select *select) {
    struct task *only = NULL;
    if (select->task.ptr && !(only = partition_task(p, select->task))) return 0;
    if (select->all) return apply_reset_all(leases, p, only);
    size_t changed = 0;
    uint64_t *sorted = mem_dup(select->seqs, select->n * sizeof(*sorted));
    qsort(sorted, select->n, sizeof(*sorted), seq_compare);
    for (size_t t = 0; t < p->n_tasks; t++)
        if (!only || p->tasks[t] == only) ranks_forget(&p->tasks[t]->ranks, p, sorted, select->n);
    once_forget(leases, p, only, sorted, select->n);
    mem_free(sorted);
    for (size_t i = 0; i < select->n; i++) {
        bool was_consumed = false;
        for (size_t t = 0; t < p->n_tasks; t++)
            if (!only || p->tasks[t] == only)
                was_consumed |= partition_forget(p, p->tasks[t], select->seqs[i]);
        changed += was_consumed;
    }
    tagindexes_touch(p, select->seqs, select->n);
    return changed;
}

static size_t apply_clear(struct partition *p, const struct op_select *select) {
    size_t changed = 0;
    for (size_t i = 0; i < select->n; i++) {
        size_t left = select->n - i;
        if (i % PARTITION_TOGETHER == 0)
            partition_prefetch(p, select->seqs + i,
                               left < PARTITION_TOGETHER ? left : PARTITION_TOGETHER);
        if (!partition_alive(p, select->seqs[i])) continue;
        partition_clear(p, select->seqs[i]);
        changed++;
    }
    return changed;
}

static bool erase_cells(struct partition *p, const struct op_select *select, uint64_t seq) {
    struct column_set *set = select->tags ? &p->tags : &p->fields;
    bool touched = false;
    if (select->tags) tagindexes_leave(p, seq);
    for (size_t i = 0; i < select->n_names; i++) {
        struct column *column = column_set_find(set, select->names[i]);
        if (column) touched |= column_clear(column, seq);
    }
    if (select->tags) tagindexes_enter(p, seq);
    return touched;
}

static size_t apply_erase(struct partition *p, const struct op_select *select) {
    size_t changed = 0;
    if (select->all) {
        for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++)
            changed += erase_cells(p, select, seq);
        if (select->tags) matches_touch_all(p);
        return changed;
    }
    for (size_t i = 0; i < select->n; i++) changed += erase_cells(p, select, select->seqs[i]);
    if (select->tags) matches_touch(p, select->seqs, select->n);
    return changed;
}

static void apply_define(struct partition *p, const struct op_define *define) {
    partition_bound(p, define->bounds);
    for (size_t i = 0; i < define->n_fields; i++) {
        const struct op_column *field = &define->fields[i];
        struct column *column = column_set_find(&p->fields, field->name);
        if (!column) column = partition_add_column(p, &p->fields, field->name, &field->type);
        column->declared = true;
    }
}

size_t apply_to_partition(struct leases *leases, struct partition *p, const struct op *op) {
    switch (op->kind) {
    case OP_PUT: return apply_put(p, op);
    case OP_SAMPLE: return apply_sample(leases, p, op);
    case OP_DELIVER:
        ranks_deliver(&partition_task(p, op->select.task)->ranks, op->select.rank.rank,
                      op->select.rank.batch);
        return 0;
    case OP_DONE: apply_done(p, &op->select); return 0;
    case OP_ACK: return lease_ack(leases, p, &op->select);
    case OP_EXPIRE: return lease_expire(leases, p, &op->select);
    case OP_CONFIRM: once_confirm(leases, p, &op->select.once); return 0;
    case OP_NACK: return lease_nack(leases, p, &op->select);
    case OP_EXTEND: return lease_extend(leases, p, &op->select);
    case OP_RESET: return apply_reset(leases, p, &op->select);
    case OP_CLEAR: return apply_clear(p, &op->select);
    case OP_ERASE: return apply_erase(p, &op->select);
    case OP_DEFINE: apply_define(p, &op->define); return 0;
    case OP_EXPECT:
        p->has_expected = true;
        p->expected = op->expected;
        return 0;
    case OP_SEAL: p->sealed = true; return 0;
    case OP_DROP:
    case OP_ADOPT: break;
    }
    assert(!"op kind");
    return 0;
}
