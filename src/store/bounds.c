/* See bounds.h. */
#include "store/bounds.h"

#include <stdlib.h>
#include <string.h>

#include "store/names.h"
#include "store/plan.h"
#include "store/tagindex.h"

/* ---- new samples -------------------------------------------------------------------------- */

static int bounds_check_end(const struct partition *p, uint64_t n, struct span key,
                            struct error *e) {
    if (p->sealed)
        return error_set(e, ERROR_FULL, "partition %s is sealed, no room for new sample %s",
                         QUOTE(p->name), QUOTE(key));
    if (p->has_expected && p->written + n > p->expected)
        return error_set(e, ERROR_FULL,
                         "partition %s expects %llu samples and has had %llu, no room for %llu "
                         "more from %s on",
                         QUOTE(p->name), (unsigned long long)p->expected,
                         (unsigned long long)p->written, (unsigned long long)n, QUOTE(key));
    uint64_t first = p->samples ? p->rows.first : block_number(p->next_seq);
    uint64_t next = partition_seq_behind(p->next_seq, n);
    if (partition_can_span(first, next)) return 0;
    return error_set(e, ERROR_FULL,
                     "partition %s can't have samples %llu to %llu at once, no room for %s",
                     QUOTE(p->name), (unsigned long long)(first * BLOCK_ROWS),
                     (unsigned long long)next - 1, QUOTE(key));
}

/* New samples that MAXAHEAD counts: not those that join a group which has begun, and which its task
 * waits for. */
static uint64_t bounds_count_ahead(const struct partition *p, const struct op_put *put) {
    if (!put->group_ids || !p->groups->count) return put->n_new;
    uint64_t n = 0;
    for (size_t i = 0; i < put->n; i++) {
        if (put->seqs[i] < p->next_seq) continue;
        struct span group = put->group_ids[i];
        n += !group.ptr || groups_find(p->groups, group) == GROUP_NONE;
    }
    return n;
}

/* Samples that the task has still to consume. A group that lost a member never completes again:
 * what is left of it holds nobody back. */
static uint64_t bounds_ahead(const struct partition *p) {
    const struct task *task = partition_task(p, p->bounds->ahead_task);
    return p->samples - (task ? task->consumed : 0) - p->stranded;
}

static int bounds_check_ahead(const struct partition *p, uint64_t n, struct span key,
                              struct error *e) {
    const struct bounds *bounds = p->bounds;
    uint64_t ahead = bounds->ahead && n ? bounds_ahead(p) : 0;
    if (!bounds->ahead || !n || ahead + n <= bounds->ahead) return 0;
    if (n > bounds->ahead)
        return error_set(
            e, ERROR_FULL,
            "%llu new samples from %s on are more than MAXAHEAD %llu of partition %s and can never "
            "fit: write fewer at once",
            (unsigned long long)n, QUOTE(key), (unsigned long long)bounds->ahead, QUOTE(p->name));
    return error_set(
        e, ERROR_FULL,
        "partition %s is %llu samples ahead of task %s, MAXAHEAD is %llu, no room for %s",
        QUOTE(p->name), (unsigned long long)ahead, QUOTE(bounds->ahead_task),
        (unsigned long long)bounds->ahead, QUOTE(key));
}

static int bounds_check_samples(const struct partition *p, uint64_t n, struct span key,
                                struct error *e) {
    const struct bounds *bounds = p->bounds;
    int failed = bounds_check_end(p, n, key, e);
    if (failed || !bounds->samples || p->samples + n <= bounds->samples) return failed;
    if (n > bounds->samples)
        return error_set(e, ERROR_FULL,
                         "%llu new samples from %s on are more than MAXSAMPLES %llu of partition "
                         "%s and can never "
                         "fit: write fewer at once",
                         (unsigned long long)n, QUOTE(key), (unsigned long long)bounds->samples,
                         QUOTE(p->name));
    return error_set(e, ERROR_FULL,
                     "partition %s has %llu samples of MAXSAMPLES %llu, no room for %s",
                     QUOTE(p->name), (unsigned long long)p->samples,
                     (unsigned long long)bounds->samples, QUOTE(key));
}

/* ---- bytes -------------------------------------------------------------------------------- */

static uint64_t bounds_overwritten(const struct partition *p, const struct op_put *put,
                                   const struct op_column *column) {
    const struct column *field = column_set_find(&p->fields, column->name);
    uint64_t bytes = 0;
    for (size_t i = 0; field && i < put->n; i++) {
        const struct cell *cell = column_cell(field, put->seqs[i]);
        if (cell) bytes += cell->length;
    }
    return bytes;
}

/* Bytes of values that come, and of those that go for them. */
struct bounds_bytes {
    uint64_t comes, goes;
};

static struct bounds_bytes bounds_count_bytes(const struct partition *p, const struct op_put *put) {
    struct bounds_bytes bytes = {0};
    for (size_t i = 0; p->bounds->bytes && i < put->n_columns; i++) {
        bytes.comes += column_values_bytes(&put->columns[i].values, put->n);
        bytes.goes += bounds_overwritten(p, put, &put->columns[i]);
    }
    return bytes;
}

static int bounds_check_bytes(const struct partition *p, struct bounds_bytes bytes,
                              struct error *e) {
    uint64_t present = partition_bytes(p);
    if (bytes.comes <= bytes.goes || present - bytes.goes + bytes.comes <= p->bounds->bytes)
        return 0;
    if (bytes.comes > p->bounds->bytes)
        return error_set(e, ERROR_FULL,
                         "values of %llu bytes are more than MAXBYTES %llu of partition %s and can "
                         "never fit: write fewer at once",
                         (unsigned long long)bytes.comes, (unsigned long long)p->bounds->bytes,
                         QUOTE(p->name));
    return error_set(
        e, ERROR_FULL, "partition %s has %llu bytes of MAXBYTES %llu, no room for %llu more",
        QUOTE(p->name), (unsigned long long)present, (unsigned long long)p->bounds->bytes,
        (unsigned long long)(bytes.comes - bytes.goes));
}

/* Others may make room, unless the partition has ended or the write alone is too much for one of the bounds. */
static bool bounds_may_pass(const struct partition *p, uint64_t n, uint64_t n_ahead,
                            struct bounds_bytes bytes) {
    const struct bounds *bounds = p->bounds;
    if (bounds_check_end(p, n, span_of("", 0), NULL)) return false;
    return (!bounds->samples || n <= bounds->samples) &&
           (!bounds->ahead || n_ahead <= bounds->ahead) &&
           (bytes.comes <= bytes.goes || bytes.comes <= bounds->bytes);
}

bool bounds_hold_back(const struct partition *p, const struct op_put *put) {
    if (!p || !put->n_new) return false;
    const struct bounds *bounds = p->bounds;
    return bounds->samples || bounds->bytes || p->sealed || p->has_expected ||
           (bounds->ahead && bounds_count_ahead(p, put));
}

int bounds_check_put(const struct partition *p, const struct op_put *put, struct error *e) {
    if (!p || !put->n_new) return 0;
    struct bounds_bytes bytes = bounds_count_bytes(p, put);
    uint64_t n_ahead = p->bounds->ahead ? bounds_count_ahead(p, put) : 0;
    int failed = bounds_check_samples(p, put->n_new, put->keys[0], e);
    if (!failed) failed = bounds_check_ahead(p, n_ahead, put->keys[0], e);
    if (!failed) failed = bounds_check_bytes(p, bytes, e);
    if (failed && e) e->retryable = bounds_may_pass(p, put->n_new, n_ahead, bytes);
    return failed;
}

int bounds_check_sample(const struct partition *p, struct span task, uint64_t at_least,
                        struct error *e) {
    const struct bounds *bounds = p->bounds;
    if (!bounds->ahead || at_least <= bounds->ahead || !span_equal(task, bounds->ahead_task))
        return 0;
    return error_set(
        e, ERROR_FULL,
        "task %s can't find %llu samples in partition %s, which MAXAHEAD keeps at %llu",
        QUOTE(task), (unsigned long long)at_least, QUOTE(p->name),
        (unsigned long long)bounds->ahead);
}

/* ---- retiring ----------------------------------------------------------------------------- */

/* By a rank or by ONCE, of any task. */
static bool retire_is_held(const struct partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->n_tasks; i++)
        if (p->tasks[i]->held && task_is_held(p->tasks[i], seq)) return true;
    return false;
}

static bool retire_is_done(const struct partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->bounds->n_retire; i++) {
        const struct task *task = partition_task(p, p->bounds->retire[i]);
        if (!task || !task_has_consumed(task, seq)) return false;
    }
    return !retire_is_held(p, seq);
}

/* The members of a group go together, when all exist and all were consumed. A broken group is not
 * waited for. */
static bool retire_group_is_done(const struct partition *p, const struct group *group) {
    if (group->members < group->size && !group->broken) return false;
    for (uint32_t i = 0; i < group->members; i++)
        if (!retire_is_done(p, group->seqs[i])) return false;
    return true;
}

static int retire_compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Of the groups of consumed samples, in any order and with repetitions, those that are done;
 * returns how many members they have. */
static uint64_t retire_groups(const struct partition *p, uint32_t *groups, size_t *n) {
    uint64_t members = 0;
    size_t kept = 0;
    qsort(groups, *n, sizeof(*groups), retire_compare);
    for (size_t i = 0; i < *n; i++) {
        const struct group *group = groups_get(p->groups, groups[i]);
        if ((i && groups[i] == groups[i - 1]) || !retire_group_is_done(p, group)) continue;
        members += group->members;
        groups[kept++] = groups[i];
    }
    *n = kept;
    return members;
}

static const uint64_t *retire_everyone(const struct partition *p, struct scratch *scratch) {
    uint64_t *seqs = scratch_alloc(scratch, p->samples, sizeof(*seqs));
    size_t n = 0;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++) seqs[n++] = seq;
    return seqs;
}

bool bounds_name_task(const struct partition *p, struct span task) {
    const struct bounds *bounds = p->bounds;
    if (bounds->ahead_task.ptr && span_equal(bounds->ahead_task, task)) return true;
    for (size_t i = 0; i < bounds->n_retire; i++)
        if (span_equal(bounds->retire[i], task)) return true;
    return false;
}

bool retire_plan(const struct store *s, struct span partition, const uint64_t *seqs, size_t n,
                 int64_t now_ms, struct scratch *scratch, struct op *op) {
    const struct partition *p = store_find(s, partition);
    if (!p || !p->bounds->n_retire) return false;
    if (!seqs) seqs = retire_everyone(p, scratch), n = p->samples;
    uint64_t *single = scratch_alloc(scratch, n, sizeof(*single));
    uint32_t *groups = scratch_alloc(scratch, n, sizeof(*groups));
    size_t n_single = 0, n_groups = 0;
    for (size_t i = 0; i < n; i++) {
        if (!partition_alive(p, seqs[i]) || !retire_is_done(p, seqs[i])) continue;
        uint32_t group = partition_group(p, seqs[i]);
        if (group == GROUP_NONE)
            single[n_single++] = seqs[i];
        else
            groups[n_groups++] = group;
    }
    uint64_t members = retire_groups(p, groups, &n_groups);
    uint64_t *out = scratch_alloc(scratch, n_single + members, sizeof(*out)), *at = out;
    memcpy(at, single, n_single * sizeof(*at));
    at += n_single;
    for (size_t i = 0; i < n_groups; i++) {
        const struct group *group = groups_get(p->groups, groups[i]);
        memcpy(at, group->seqs, group->members * sizeof(*at));
        at += group->members;
    }
    *op = (struct op){.kind = OP_CLEAR,
                      .partition = partition,
                      .now_ms = now_ms,
                      .select = {.n = (size_t)(at - out), .seqs = out}};
    return at > out;
}

/* Groups of the samples, each once, ascending; returns how many. What a rank is done with may have
 * been cleared before, with its group. */
static size_t retire_groups_of(const struct partition *p, const uint64_t *seqs, size_t n,
                               uint32_t *groups) {
    size_t found = 0, kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!partition_alive(p, seqs[i])) continue;
        uint32_t group = partition_group(p, seqs[i]);
        if (group != GROUP_NONE) groups[found++] = group;
    }
    qsort(groups, found, sizeof(*groups), retire_compare);
    for (size_t i = 0; i < found; i++)
        if (!i || groups[i] != groups[i - 1]) groups[kept++] = groups[i];
    return kept;
}

uint64_t retire_bound(const struct partition *p, const uint64_t *seqs, size_t n,
                      struct scratch *scratch) {
    if (!p || !p->bounds->n_retire) return 0;
    if (!seqs) return p->samples;
    if (!p->groups->count) return n;
    uint32_t *groups = scratch_alloc(scratch, n, sizeof(*groups));
    size_t n_groups = retire_groups_of(p, seqs, n, groups);
    uint64_t bound = n;
    for (size_t i = 0; i < n_groups; i++) bound += groups_get(p->groups, groups[i])->members;
    return bound;
}

const uint64_t *retire_left_alone(const struct partition *p, const struct op *clear,
                                  struct scratch *scratch, size_t *n) {
    const struct op_select *select = &clear->select;
    *n = 0;
    if (!p || clear->kind != OP_CLEAR || !p->bounds->n_retire || !p->groups->count) return NULL;
    uint32_t *groups = scratch_alloc(scratch, select->n, sizeof(*groups));
    size_t n_groups = retire_groups_of(p, select->seqs, select->n, groups), members = 0;
    for (size_t i = 0; i < n_groups; i++) members += groups_get(p->groups, groups[i])->members;
    uint64_t *seqs = scratch_alloc(scratch, members, sizeof(*seqs));
    for (size_t i = 0; i < n_groups; i++) {
        const struct group *group = groups_get(p->groups, groups[i]);
        memcpy(seqs + *n, group->seqs, group->members * sizeof(*seqs));
        *n += group->members;
    }
    return seqs;
}

/* ---- what is said about a partition -------------------------------------------------------- */

static int define_check_indexes(const struct bounds *bounds, struct error *e) {
    struct tagindex_spec specs[TAGINDEX_MAX];
    if (bounds->n_indexes > TAGINDEX_MAX)
        return error_set(e, ERROR_ERR, "INDEX: expected at most %d tags, got %zu", TAGINDEX_MAX,
                         bounds->n_indexes);
    for (size_t i = 0; i < bounds->n_indexes; i++) {
        int failed = tagindex_parse(bounds->indexes[i], &specs[i], e);
        if (failed) return failed;
        for (size_t k = 0; k < i; k++)
            if (tagindex_spec_equal(&specs[k], &specs[i]))
                return error_set(e, ERROR_ERR, "INDEX: tag %s is named twice",
                                 QUOTE(bounds->indexes[i]));
    }
    return 0;
}

static int define_check_names(const struct define *define, struct error *e) {
    const struct bounds *bounds = &define->bounds;
    int failed = names_check_partition(define->partition, e);
    if (!failed && define->sets_ahead) failed = names_check_word("task", bounds->ahead_task, e);
    for (size_t i = 0; !failed && i < bounds->n_retire; i++)
        failed = names_check_word("task", bounds->retire[i], e);
    for (size_t i = 0; !failed && i < define->n_fields; i++)
        failed = names_check_word("field", define->fields[i].name, e);
    return failed;
}

static int define_check_fields(const struct define *define, const struct partition *p,
                               struct error *e) {
    for (size_t i = 0; p && i < define->n_fields; i++) {
        const struct op_column *field = &define->fields[i];
        const struct column *column = column_set_find(&p->fields, field->name);
        if (column && !dtype_equal(column_type(column), &field->type))
            return error_set(e, ERROR_SCHEMA, "field %s is %s, can't declare it %s",
                             QUOTE(field->name), DTYPE_NAME(column_type(column)),
                             DTYPE_NAME(&field->type));
    }
    return plan_columns(p ? &p->fields : NULL, "field", PARTITION_FIELDS_MAX, define->fields,
                        define->n_fields, define->partition, e);
}

static struct span define_keep(struct span name, struct scratch *scratch) {
    if (!name.ptr) return name;
    return span_of(memcpy(scratch_alloc(scratch, name.len, 1), name.ptr, name.len), name.len);
}

static const struct span *define_keep_all(const struct span *names, size_t n,
                                          struct scratch *scratch) {
    struct span *copy = scratch_alloc(scratch, n, sizeof(*copy));
    for (size_t i = 0; i < n; i++) copy[i] = define_keep(names[i], scratch);
    return copy;
}

/* What was asked for over what there is; copied, as applying the op replaces the partition's own. */
static const struct bounds *define_merge(const struct define *define, const struct partition *p,
                                         struct scratch *scratch) {
    struct bounds *bounds = scratch_zalloc(scratch, 1, sizeof(*bounds));
    if (p) *bounds = *p->bounds;
    if (define->sets_samples) bounds->samples = define->bounds.samples;
    if (define->sets_bytes) bounds->bytes = define->bounds.bytes;
    if (define->sets_ahead) {
        bounds->ahead = define->bounds.ahead;
        bounds->ahead_task = define->bounds.ahead_task;
    }
    if (define->sets_retire) {
        bounds->n_retire = define->bounds.n_retire;
        bounds->retire = define->bounds.retire;
    }
    if (define->sets_indexes) {
        bounds->n_indexes = define->bounds.n_indexes;
        bounds->indexes = define->bounds.indexes;
    }
    bounds->retire = define_keep_all(bounds->retire, bounds->n_retire, scratch);
    bounds->indexes = define_keep_all(bounds->indexes, bounds->n_indexes, scratch);
    bounds->ahead_task = define_keep(bounds->ahead_task, scratch);
    return bounds;
}

int define_plan(const struct store *s, const struct define *define, int64_t now_ms,
                struct scratch *scratch, struct op *op, struct error *e) {
    int failed = define_check_names(define, e);
    if (!failed)
        failed = names_check_distinct("RETIRE: ", "task", define->bounds.retire,
                                      define->bounds.n_retire, scratch, e);
    if (!failed) failed = define_check_indexes(&define->bounds, e);
    if (failed) return failed;
    const struct partition *p = store_find(s, define->partition);
    if (define->alter && !p)
        return error_set(e, ERROR_NOPART, "no partition %s", QUOTE(define->partition));
    if (!define->alter && !define->or_alter && p)
        return error_set(e, ERROR_ERR, "partition %s exists already", QUOTE(define->partition));
    failed = define_check_fields(define, p, e);
    *op = (struct op){.kind = OP_DEFINE, .partition = define->partition, .now_ms = now_ms};
    op->define =
        (struct op_define){define_merge(define, p, scratch), define->n_fields, define->fields};
    return failed;
}

int expect_plan(const struct store *s, struct span partition, uint64_t samples, int64_t now_ms,
                struct op *op, struct error *e) {
    int failed = names_check_partition(partition, e);
    if (failed) return failed;
    const struct partition *p = store_find(s, partition);
    if (p && p->written > samples)
        return error_set(e, ERROR_FULL, "partition %s has had %llu samples, can't expect %llu",
                         QUOTE(partition), (unsigned long long)p->written,
                         (unsigned long long)samples);
    *op = (struct op){
        .kind = OP_EXPECT, .partition = partition, .now_ms = now_ms, .expected = samples};
    return 0;
}

int seal_plan(struct span partition, int64_t now_ms, struct op *op, struct error *e) {
    int failed = names_check_partition(partition, e);
    if (failed) return failed;
    *op = (struct op){.kind = OP_SEAL, .partition = partition, .now_ms = now_ms};
    return 0;
}
