/* See check.h. OP_PUT is in check_put.c. */
#include "store/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "store/bounds.h"
#include "store/names.h"
#include "store/sampler.h"

/* ---- samples ------------------------------------------------------------------------------ */

static int check_alive(const struct partition *p, const struct op_select *select, struct error *e) {
    if (select->all)
        return error_set(e, ERROR_ERR, "an op on all samples of partition %s that has to name them",
                         QUOTE(p->name));
    for (size_t i = 0; i < select->n; i++)
        if (!partition_alive(p, select->seqs[i]))
            return error_set(e, ERROR_ERR, "partition %s has no sample %llu", QUOTE(p->name),
                             (unsigned long long)select->seqs[i]);
    return 0;
}

static int check_twice(struct span partition, uint64_t seq, struct error *e) {
    return error_set(e, ERROR_ERR, "sample %llu of partition %s is there twice",
                     (unsigned long long)seq, QUOTE(partition));
}

/* Seqs that rise differ; others go through a table of open addressing. */
int check_distinct(struct span partition, const uint64_t *seqs, size_t n, struct scratch *scratch,
                   struct error *e) {
    size_t rising = n ? 1 : 0, slots = 2;
    while (rising < n && seqs[rising] > seqs[rising - 1]) rising++;
    if (rising == n) return 0;
    while (slots < 2 * n) slots *= 2;
    uint32_t *table = scratch_zalloc(scratch, slots, sizeof(*table)); /* index + 1, 0: free */
    for (size_t i = 0; i < n; i++) {
        struct span bytes = span_of(&seqs[i], sizeof(*seqs));
        size_t at = hash_bytes(bytes) & (slots - 1);
        for (; table[at]; at = (at + 1) & (slots - 1))
            if (seqs[table[at] - 1] == seqs[i]) return check_twice(partition, seqs[i], e);
        table[at] = (uint32_t)i + 1;
    }
    return 0;
}

/* ---- sampling ----------------------------------------------------------------------------- */

/* Neither consumed nor leased. */
static int check_left(const struct task *task, const struct op_select *select, struct error *e) {
    for (size_t i = 0; task && i < select->n; i++)
        if (task_has_consumed(task, select->seqs[i]) || task_is_leased(task, select->seqs[i]))
            return error_set(e, ERROR_ERR, "task %s has had sample %llu", QUOTE(task->name),
                             (unsigned long long)select->seqs[i]);
    return 0;
}

static int check_end(const struct op_lease *lease, struct error *e) {
    if (lease->ends_ms >= 0 && lease->ends_ms < LEASE_NEVER) return 0;
    return error_set(e, ERROR_ERR, "lease %llu ends at %lld", (unsigned long long)lease->id,
                     (long long)lease->ends_ms);
}

static int check_new_lease(const struct store *s, const struct op_select *select, struct error *e) {
    const struct op_lease *lease = &select->lease;
    uint64_t last = store_leases(s)->last_id;
    if (!lease->id) return 0;
    if (lease->id <= last || lease->id > LEASE_ID_MAX)
        return error_set(e, ERROR_ERR, "lease %llu is not above the last one, %llu, or too high",
                         (unsigned long long)lease->id, (unsigned long long)last);
    if (select->rank.given)
        return error_set(e, ERROR_ERR, "lease %llu is for a rank", (unsigned long long)lease->id);
    return check_end(lease, e);
}

static int check_rank(const struct op_select *select, struct error *e) {
    const struct op_rank *rank = &select->rank;
    if (!rank->given || !rank->slices) return 0;
    bool good = rank->n_slices <= SAMPLER_RANKS_MAX && rank->rank < rank->n_slices &&
                rank->slices[0] == 0 && rank->slices[rank->n_slices] == select->n;
    for (size_t r = 0; good && r < rank->n_slices; r++)
        good = rank->slices[r] < rank->slices[r + 1];
    if (good) return 0;
    return error_set(
        e, ERROR_ERR, "batch %llu of rank %llu: the shares of %zu ranks do not split %zu samples",
        (unsigned long long)rank->batch, (unsigned long long)rank->rank, rank->n_slices, select->n);
}

/* A number that got a batch gets no other one. */
static int check_once(const struct partition *p, const struct op *op, struct error *e) {
    const struct op_select *select = &op->select;
    const struct op_once *once = &select->once;
    if (!once->holder.ptr) return 0;
    bool held = once->held_until_ms > 0 && once->held_until_ms <= op->now_ms + ONCE_HOLD_MS;
    const struct once *entry = once_find(p, once->holder);
    if (once->holder.len < 1 || once->holder.len > ONCE_HOLDER_MAX || select->rank.given ||
        (select->lease.id ? once->held_until_ms != 0 : !held))
        return error_set(e, ERROR_ERR, "holder %s of a batch, held until %lld", QUOTE(once->holder),
                         (long long)once->held_until_ms);
    if (!entry || once->number > entry->number ||
        (once->number == entry->number && !once_has_batch(entry)))
        return 0;
    return error_set(e, ERROR_ERR, "holder %s takes for call %llu after call %llu",
                     QUOTE(once->holder), (unsigned long long)once->number,
                     (unsigned long long)entry->number);
}

static int check_confirm(const struct partition *p, const struct op_once *once, struct error *e) {
    const struct once *entry = once->holder.ptr ? once_find(p, once->holder) : NULL;
    if (entry &&
        (once->number > entry->number || (once->number == entry->number && entry->held_until_ms)))
        return 0;
    return error_set(e, ERROR_ERR, "holder %s has nothing to confirm with call %llu",
                     QUOTE(once->holder), (unsigned long long)once->number);
}

static int check_sample(const struct store *s, const struct partition *p, const struct op *op,
                        struct scratch *scratch, struct error *e) {
    const struct op_select *select = &op->select;
    const struct task *task = partition_task(p, select->task);
    int failed = names_check_word("task", select->task, e);
    if (failed) return failed;
    if (!task && p->n_tasks >= PARTITION_TASKS_MAX)
        return error_set(e, ERROR_FULL, "partition %s has %d tasks already, no room for %s",
                         QUOTE(p->name), PARTITION_TASKS_MAX, QUOTE(select->task));
    if (select->n == 0)
        return error_set(e, ERROR_ERR, "task %s takes no samples", QUOTE(select->task));
    failed = check_alive(p, select, e);
    if (!failed) failed = check_left(task, select, e);
    if (!failed) failed = check_distinct(p->name, select->seqs, select->n, scratch, e);
    if (!failed) failed = check_new_lease(s, select, e);
    if (!failed) failed = check_rank(select, e);
    return failed ? failed : check_once(p, op, e);
}

static int check_deliver(const struct partition *p, const struct op_select *select,
                         struct error *e) {
    const struct task *task = partition_task(p, select->task);
    const struct op_rank *rank = &select->rank;
    if (task && rank->given && ranks_find(&task->ranks, rank->rank, rank->batch)) return 0;
    return error_set(e, ERROR_ERR, "task %s has no batch %llu of rank %llu", QUOTE(select->task),
                     (unsigned long long)rank->batch, (unsigned long long)rank->rank);
}

static int check_done(const struct partition *p, const struct op_select *select, struct error *e) {
    int failed = names_check_word("task", select->task, e);
    if (failed) return failed;
    if (!select->rank.given)
        return error_set(e, ERROR_ERR, "task %s: no rank is done", QUOTE(select->task));
    if (!partition_task(p, select->task) && p->n_tasks >= PARTITION_TASKS_MAX)
        return error_set(e, ERROR_FULL, "partition %s has %d tasks already, no room for %s",
                         QUOTE(p->name), PARTITION_TASKS_MAX, QUOTE(select->task));
    return 0;
}

/* ---- leases ------------------------------------------------------------------------------- */

/* One lease may not give back what another holds. A sample may be named twice, as a client may. */
static int check_held(const struct lease *lease, const struct op_select *select,
                      struct scratch *scratch, struct error *e) {
    uint64_t *held = scratch_alloc(scratch, lease->n, sizeof(*held));
    memcpy(held, lease->seqs, lease->n * sizeof(*held));
    qsort(held, lease->n, sizeof(*held), seq_compare);
    for (size_t i = 0; i < select->n; i++) {
        uint64_t seq = select->seqs[i];
        if (task_is_leased(lease->task, seq) &&
            bsearch(&seq, held, lease->n, sizeof(*held), seq_compare))
            continue;
        return error_set(e, ERROR_ERR, "lease %llu does not hold sample %llu",
                         (unsigned long long)lease->id, (unsigned long long)seq);
    }
    return 0;
}

/* A repeated NACK is answered, not applied. */
static int check_nack(const struct partition *p, const struct lease *lease,
                      const struct op_select *select, struct error *e) {
    uint64_t request = select->lease.request;
    if (request >= ENDED_KEYS_MIN && !ended_find(p->ended, lease->task, lease->id, request))
        return 0;
    return error_set(e, ERROR_ERR,
                     "lease %llu: a NACK %llu that was applied before, or has no keys",
                     (unsigned long long)lease->id, (unsigned long long)request);
}

static int check_lease(const struct partition *p, const struct op *op, struct scratch *scratch,
                       struct error *e) {
    const struct op_select *select = &op->select;
    const struct task *task = partition_task(p, select->task);
    const struct lease *lease = task ? lease_find(task, select->lease.id) : NULL;
    if (!lease)
        return error_set(e, ERROR_NOLEASE, "task %s has no lease %llu", QUOTE(select->task),
                         (unsigned long long)select->lease.id);
    bool gives_back = op->kind == OP_EXPIRE || op->kind == OP_NACK;
    if (op->kind == OP_NACK && !select->all) {
        int failed = check_nack(p, lease, select, e);
        if (failed) return failed;
    }
    if (gives_back && !select->all) return check_held(lease, select, scratch, e);
    if (!select->all || select->n != lease->n)
        return error_set(e, ERROR_ERR, "lease %llu has %zu samples, not %zu",
                         (unsigned long long)lease->id, lease->n, select->n);
    return op->kind == OP_EXTEND ? check_end(&select->lease, e) : 0;
}

/* ---- what is said about a partition -------------------------------------------------------- */

static int check_types(const struct op_define *define, struct error *e) {
    for (size_t i = 0; i < define->n_fields; i++)
        if (!dtype_is_valid(&define->fields[i].type))
            return error_set(e, ERROR_ERR, "field %s has no valid type",
                             QUOTE(define->fields[i].name));
    return 0;
}

/* As if it had been asked for. */
static int check_define(const struct store *s, const struct partition *p, const struct op *op,
                        struct scratch *scratch, struct error *e) {
    const struct bounds *bounds = op->define.bounds;
    struct op made;
    struct define define = {
        .partition = op->partition,
        .alter = p != NULL,
        .sets_ahead = bounds->ahead || bounds->ahead_task.ptr,
        .sets_retire = true,
        .sets_indexes = true,
        .bounds = *bounds,
        .n_fields = op->define.n_fields,
        .fields = op->define.fields,
    };
    int failed = check_types(&op->define, e);
    return failed ? failed : define_plan(s, &define, op->now_ms, scratch, &made, e);
}

/* ---- all ---------------------------------------------------------------------------------- */

static int check_present(const struct partition *p, const struct op *op, struct scratch *scratch,
                         const struct store *s, struct error *e) {
    const struct op_select *select = &op->select;
    if (!p) return error_set(e, ERROR_NOPART, "no partition %s", QUOTE(op->partition));
    switch (op->kind) {
    case OP_SAMPLE: return check_sample(s, p, op, scratch, e);
    case OP_DELIVER: return check_deliver(p, select, e);
    case OP_DONE: return check_done(p, select, e);
    case OP_CONFIRM: return check_confirm(p, &select->once, e);
    case OP_ACK:
    case OP_EXPIRE:
    case OP_NACK:
    case OP_EXTEND: return check_lease(p, op, scratch, e);
    case OP_CLEAR: return check_alive(p, select, e);
    case OP_RESET:
    case OP_ERASE: return select->all ? 0 : check_alive(p, select, e);
    case OP_DROP: return 0;
    default: return error_set(e, ERROR_ERR, "an op of unknown kind %d", (int)op->kind);
    }
}

int op_check_time(const struct op *op, struct error *e) {
    if (op->now_ms >= 0 && op->now_ms <= OP_TIME_MAX) return 0;
    return error_set(e, ERROR_ERR, "an op of the time %lld", (long long)op->now_ms);
}

int op_check(const struct store *s, const struct op *op, struct scratch *scratch, struct error *e) {
    const struct partition *p = store_find(s, op->partition);
    struct op made;
    int failed = op_check_time(op, e);
    if (failed) return failed;
    switch (op->kind) {
    case OP_PUT: return check_put(s, p, op, scratch, e);
    case OP_DEFINE: return check_define(s, p, op, scratch, e);
    case OP_EXPECT: return expect_plan(s, op->partition, op->expected, op->now_ms, &made, e);
    case OP_ADOPT:
        return error_set(e, ERROR_ERR, "partitions of snapshot %s are not loaded",
                         QUOTE(op->adopt.source));
    case OP_SEAL: return seal_plan(op->partition, op->now_ms, &made, e);
    default: return check_present(p, op, scratch, s, e);
    }
}
