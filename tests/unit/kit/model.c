/* The model's data: what there is, and how it goes. */
#include "model.h"

#include "base/mem.h"

struct span model_own(struct span bytes) {
    return span_of(mem_dup(bytes.ptr, bytes.len), bytes.len);
}

void model_let_go(struct span *owned) {
    mem_free((void *)owned->ptr);
    *owned = span_of(NULL, 0);
}

/* ---- freeing ------------------------------------------------------------------------------ */

static void free_sample(struct model_sample *sample) {
    model_let_go(&sample->key);
    for (size_t i = 0; i < MODEL_COLUMNS; i++) {
        mem_free(sample->fields[i].bytes);
        mem_free(sample->tags[i].bytes);
    }
    mem_free(sample);
}

static void free_columns(struct model_columns *columns) {
    for (size_t i = 0; i < columns->n; i++) model_let_go(&columns->all[i].name);
}

static void free_partition(struct model_partition *p) {
    while (p->n) free_sample(p->samples[--p->n]);
    mem_free(p->samples);
    free_columns(&p->fields);
    free_columns(&p->tags);
    for (size_t i = 0; i < p->n_tasks; i++) model_let_go(&p->tasks[i]);
    for (size_t i = 0; i < p->n_groups; i++) model_let_go(&p->groups[i].id);
    mem_free(p->groups);
    while (p->n_leases) model_end_lease(p, 0);
    mem_free(p->leases);
    while (p->n_onces) model_drop_once(p, 0);
    mem_free(p->onces);
    while (p->n_replies) model_drop_reply(p, 0);
    mem_free(p->replies);
    while (p->n_batches) model_drop_batch(p, 0);
    mem_free(p->batches);
    mem_free(p->done);
    model_let_go(&p->bounds.ahead_task);
    for (size_t i = 0; i < p->bounds.n_retire; i++) model_let_go(&p->bounds.retire[i]);
    for (size_t i = 0; i < p->bounds.n_indexes; i++) model_let_go(&p->bounds.indexes[i]);
    model_let_go(&p->name);
    *p = (struct model_partition){0};
}

void model_free(struct model *m) {
    for (size_t i = 0; i < MODEL_PARTITIONS; i++) free_partition(&m->partitions[i]);
}

/* ---- looking ------------------------------------------------------------------------------ */

struct model_partition *model_find(struct model *m, struct span name) {
    for (size_t i = 0; i < MODEL_PARTITIONS; i++)
        if (m->partitions[i].name.len && span_equal(m->partitions[i].name, name))
            return &m->partitions[i];
    return NULL;
}

struct model_sample *model_sample(struct model_partition *p, struct span key) {
    for (size_t i = 0; p && i < p->n; i++)
        if (span_equal(p->samples[i]->key, key)) return p->samples[i];
    return NULL;
}

struct model_sample *model_by_seq(struct model_partition *p, uint64_t seq) {
    for (size_t i = 0; p && i < p->n; i++)
        if (p->samples[i]->seq == seq) return p->samples[i];
    return NULL;
}

size_t model_column(const struct model_columns *columns, struct span name) {
    size_t i = 0;
    while (i < columns->n && !span_equal(columns->all[i].name, name)) i++;
    return i;
}

size_t model_task(const struct model_partition *p, struct span name) {
    size_t i = 0;
    while (i < p->n_tasks && !span_equal(p->tasks[i], name)) i++;
    return i;
}

size_t model_group(const struct model_partition *p, struct span id) {
    size_t i = 0;
    while (i < p->n_groups && !span_equal(p->groups[i].id, id)) i++;
    return i;
}

struct model_batch *model_batch(const struct model_partition *p, size_t task, uint64_t rank,
                                uint64_t batch) {
    for (size_t i = 0; i < p->n_batches; i++) {
        struct model_batch *b = &p->batches[i];
        if (b->task == task && b->rank == rank && b->batch == batch) return b;
    }
    return NULL;
}

/* ---- names -------------------------------------------------------------------------------- */

unsigned model_check_word(struct span name) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-@";
    if (name.len < 1 || name.len > 255 || name.ptr[0] == '@') return MODEL_ERROR(ERROR_ERR);
    for (size_t i = 0; i < name.len; i++)
        if (!name.ptr[i] || !strchr(allowed, name.ptr[i])) return MODEL_ERROR(ERROR_ERR);
    return 0;
}

unsigned model_check_key(struct span key) {
    return key.len >= 1 && key.len <= 1024 ? 0 : MODEL_ERROR(ERROR_ERR);
}

/* ---- making ------------------------------------------------------------------------------- */

struct model_partition *model_make_partition(struct model *m, struct span name) {
    struct model_partition *p = model_find(m, name);
    for (size_t i = 0; !p && i < MODEL_PARTITIONS; i++)
        if (m->partitions[i].name.len == 0) p = &m->partitions[i];
    if (p->name.len == 0) p->name = model_own(name);
    return p;
}

size_t model_make_task(struct model_partition *p, struct span name) {
    size_t task = model_task(p, name);
    if (task == p->n_tasks) p->tasks[p->n_tasks++] = model_own(name);
    return task;
}

struct model_sample *model_make_sample(struct model_partition *p, struct span key) {
    p->samples = mem_grow(p->samples, &p->capacity, p->n + 1, sizeof(*p->samples));
    struct model_sample *sample = p->samples[p->n++] = mem_alloc(sizeof(*sample));
    *sample =
        (struct model_sample){.key = model_own(key), .seq = p->written++, .group = MODEL_NO_GROUP};
    return sample;
}

void model_join(struct model_partition *p, struct model_sample *sample, struct span id,
                uint64_t size) {
    if (sample->group != MODEL_NO_GROUP) return;
    sample->group = model_group(p, id);
    if (sample->group == p->n_groups) {
        p->groups = mem_grow(p->groups, &p->groups_capacity, ++p->n_groups, sizeof(*p->groups));
        p->groups[sample->group] = (struct model_group){.id = model_own(id)};
    }
    p->groups[sample->group].members++;
    p->group_size = size;
}

void model_write(struct model_columns *columns, struct model_cell *cells, struct span name,
                 const struct dtype *type, const struct dtype *item, struct span bytes) {
    size_t i = model_column(columns, name);
    if (i == columns->n) columns->all[columns->n++].name = model_own(name);
    columns->all[i].type = *type;
    mem_free(cells[i].bytes);
    cells[i] = (struct model_cell){
        .produced = true, .item = *item, .bytes = mem_dup(bytes.ptr, bytes.len), .len = bytes.len};
}

/* ---- going -------------------------------------------------------------------------------- */

static void leave_group(struct model_partition *p, const struct model_sample *sample) {
    if (sample->group == MODEL_NO_GROUP) return;
    struct model_group *group = &p->groups[sample->group];
    group->broken = true;
    if (--group->members) return;
    model_let_go(&group->id); /* its place stays, so that indexes do; nothing has an empty id */
    size_t left = 0;
    for (size_t i = 0; i < p->n_groups; i++) left += p->groups[i].members;
    if (left == 0) p->group_size = 0;
}

void model_drop_batch(struct model_partition *p, size_t at) {
    model_let_go(&p->batches[at].fingerprint);
    mem_free(p->batches[at].seqs);
    p->batches[at] = p->batches[--p->n_batches];
}

void model_unbatch(struct model_partition *p, size_t task, uint64_t seq, bool forget) {
    for (size_t b = p->n_batches; b-- > 0;) {
        struct model_batch *batch = &p->batches[b];
        size_t kept = 0;
        if (task < p->n_tasks && batch->task != task) continue;
        for (size_t i = 0; i < batch->n; i++)
            if (batch->seqs[i] != seq) batch->seqs[kept++] = batch->seqs[i];
        bool lost = kept < batch->n;
        batch->n = kept;
        if (kept == 0 && lost && forget) model_drop_batch(p, b);
    }
}

void model_end_lease(struct model_partition *p, size_t at) {
    for (size_t i = 0; i < p->n; i++)
        for (size_t t = 0; t < MODEL_TASKS; t++)
            if (p->samples[i]->lease[t] == p->leases[at].id) p->samples[i]->lease[t] = 0;
    model_let_go(&p->leases[at].holder);
    p->leases[at] = p->leases[--p->n_leases];
}

void model_clear_sample(struct model_partition *p, size_t at) {
    leave_group(p, p->samples[at]);
    model_unbatch(p, p->n_tasks, p->samples[at]->seq, false);
    model_unonce(p, p->n_tasks, p->samples[at]->seq, false);
    free_sample(p->samples[at]);
    memmove(&p->samples[at], &p->samples[at + 1], (--p->n - at) * sizeof(*p->samples));
}

static bool erase(const struct clear *clear, struct model_partition *p,
                  struct model_sample *sample) {
    bool touched = false;
    for (size_t i = 0; i < clear->n_names; i++) {
        bool tags = clear->what == SELECT_TAGS;
        struct model_columns *columns = tags ? &p->tags : &p->fields;
        size_t at = model_column(columns, clear->names[i]);
        struct model_cell *cell = &(tags ? sample->tags : sample->fields)[at];
        if (at == columns->n || !cell->produced) continue;
        mem_free(cell->bytes);
        *cell = (struct model_cell){0};
        touched = true;
    }
    return touched;
}

static bool is_selected(const struct select *select, const struct model_partition *p,
                        const struct model_sample *sample) {
    bool named = !select->keys;
    for (size_t i = 0; select->keys && i < select->n_keys; i++)
        named |= span_equal(select->keys[i], sample->key);
    return named && model_admits(p, sample, &select->where);
}

size_t model_clear(struct model *m, const struct clear *clear) {
    struct model_partition *p = model_find(m, clear->select.partition);
    size_t changed = 0;
    if (!p) return 0;
    if (clear->what == SELECT_SAMPLES && !clear->select.keys && clear->select.where.n == 0) {
        free_partition(p);
        return 1;
    }
    for (size_t i = p->n; i-- > 0;) {
        if (!is_selected(&clear->select, p, p->samples[i])) continue;
        if (clear->what == SELECT_SAMPLES)
            model_clear_sample(p, i);
        else if (!erase(clear, p, p->samples[i]))
            continue;
        changed++;
    }
    return changed;
}

/* Leases and batches too, where no samples are named. */
static void forget_task(struct model_partition *p, size_t task) {
    for (size_t i = p->n_leases; i-- > 0;)
        if (p->leases[i].task == task) model_end_lease(p, i);
    for (size_t i = p->n_batches; i-- > 0;)
        if (p->batches[i].task == task) model_drop_batch(p, i);
    for (size_t i = p->n_done; i-- > 0;)
        if (p->done[i].task == task) p->done[i] = p->done[--p->n_done];
    for (size_t i = p->n_replies; i-- > 0;)
        if (p->replies[i].task == task) model_drop_reply(p, i);
    for (size_t i = p->n_onces; i-- > 0;)
        if (p->onces[i].task == task) model_drop_once(p, i);
}

unsigned model_reset(struct model *m, const struct reset *reset, size_t *changed) {
    struct model_partition *p = model_find(m, reset->select.partition);
    bool whole = !reset->select.keys && reset->select.where.n == 0, concerned[MODEL_TASKS];
    *changed = 0;
    if (!p) return MODEL_ERROR(ERROR_NOPART);
    for (size_t t = 0; t < p->n_tasks; t++) {
        concerned[t] = !reset->task.ptr || span_equal(p->tasks[t], reset->task);
        if (concerned[t] && whole) forget_task(p, t);
    }
    for (size_t i = 0; i < p->n; i++) {
        struct model_sample *sample = p->samples[i];
        bool was_consumed = false;
        if (!is_selected(&reset->select, p, sample)) continue;
        for (size_t t = 0; t < p->n_tasks; t++) {
            if (!concerned[t]) continue;
            was_consumed |= sample->consumed[t];
            sample->consumed[t] = false;
            model_unbatch(p, t, sample->seq, true);
            model_unonce(p, t, sample->seq, true);
        }
        *changed += was_consumed;
    }
    return 0;
}
