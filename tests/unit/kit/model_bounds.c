/* What is said about a partition as a whole, in the model: bounds, ends, declared fields, what is retired. */
#include "model.h"

#include "base/mem.h"

unsigned model_check_partition(struct span name) {
    return name.len >= 1 && name.len <= 255 ? 0 : MODEL_ERROR(ERROR_ERR);
}

/* ---- room --------------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct model_partition *p) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->n; i++)
        for (size_t f = 0; f < p->fields.n; f++)
            if (p->samples[i]->fields[f].produced) bytes += p->samples[i]->fields[f].len;
    return bytes;
}

static uint64_t ahead_of(const struct model_partition *p, struct span task) {
    size_t t = model_task(p, task);
    uint64_t ahead = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t group = p->samples[i]->group;
        if (group != MODEL_NO_GROUP && p->groups[group].broken) continue;
        ahead += t == p->n_tasks || !p->samples[i]->consumed[t];
    }
    return ahead;
}

/* Refused for good where the partition has ended or the write alone is too much. `added`: those
 * made that MAXAHEAD counts. */
unsigned model_check_room(struct model *m, const struct model_partition *p, uint64_t made,
                          uint64_t added, uint64_t comes, uint64_t goes) {
    m->retryable = false;
    if (!p || !made) return 0;
    const struct model_bounds *b = &p->bounds;
    bool ended = p->sealed || (p->has_expected && p->written + made > p->expected);
    bool samples = b->samples && p->n + made > b->samples;
    bool ahead = added && b->ahead && ahead_of(p, b->ahead_task) + added > b->ahead;
    bool bytes = comes > goes && b->bytes && bytes_of(p) - goes + comes > b->bytes;
    bool never = ended || (samples && made > b->samples) || (ahead && added > b->ahead) ||
                 (bytes && comes > b->bytes);
    bool full = ended || samples || ahead || bytes;
    m->retryable = full && !never;
    return full ? MODEL_ERROR(ERROR_FULL) : 0;
}

/* ---- ends --------------------------------------------------------------------------------- */

unsigned model_expect(struct model *m, struct span partition, uint64_t samples) {
    struct model_partition *p = model_find(m, partition);
    if (model_check_partition(partition)) return MODEL_ERROR(ERROR_ERR);
    if (p && p->written > samples) return MODEL_ERROR(ERROR_FULL);
    p = model_make_partition(m, partition);
    p->has_expected = true;
    p->expected = samples;
    return 0;
}

unsigned model_seal(struct model *m, struct span partition) {
    if (model_check_partition(partition)) return MODEL_ERROR(ERROR_ERR);
    model_make_partition(m, partition)->sealed = true;
    return 0;
}

/* ---- TQ.CREATE, TQ.ALTER ------------------------------------------------------------------ */

/* tag, or tag^p. */
static unsigned check_index(struct span name) {
    for (size_t i = 0; i < name.len; i++) {
        long double exponent;
        if (name.ptr[i] != '^') continue;
        if (!model_read_number(span_of(name.ptr + i + 1, name.len - i - 1), &exponent))
            return MODEL_ERROR(ERROR_ERR);
        return model_check_word(span_of(name.ptr, i));
    }
    return model_check_word(name);
}

static unsigned check_define(const struct model_partition *p, const struct define *define) {
    unsigned errors = model_check_partition(define->partition);
    if (define->sets_ahead) errors |= model_check_word(define->bounds.ahead_task);
    for (size_t i = 0; i < define->bounds.n_retire; i++) {
        errors |= model_check_word(define->bounds.retire[i]);
        for (size_t j = 0; j < i; j++)
            if (span_equal(define->bounds.retire[i], define->bounds.retire[j]))
                errors |= MODEL_ERROR(ERROR_ERR);
    }
    for (size_t i = 0; i < define->bounds.n_indexes; i++) {
        errors |= check_index(define->bounds.indexes[i]);
        for (size_t j = 0; j < i; j++)
            if (span_equal(define->bounds.indexes[i], define->bounds.indexes[j]))
                errors |= MODEL_ERROR(ERROR_ERR);
    }
    for (size_t i = 0; i < define->n_fields; i++) {
        errors |= model_check_word(define->fields[i].name);
        for (size_t j = 0; j < i; j++)
            if (span_equal(define->fields[i].name, define->fields[j].name))
                errors |= MODEL_ERROR(ERROR_ERR);
        size_t at = p ? model_column(&p->fields, define->fields[i].name) : 0;
        if (p && at < p->fields.n && !dtype_equal(&p->fields.all[at].type, &define->fields[i].type))
            errors |= MODEL_ERROR(ERROR_SCHEMA);
    }
    if (define->alter && !p) errors |= MODEL_ERROR(ERROR_NOPART);
    if (!define->alter && !define->or_alter && p) errors |= MODEL_ERROR(ERROR_ERR);
    return errors;
}

static void set_name(struct span *name, struct span to) {
    model_let_go(name);
    *name = model_own(to);
}

unsigned model_define(struct model *m, const struct define *define) {
    unsigned errors = check_define(model_find(m, define->partition), define);
    if (errors) return errors;
    struct model_partition *p = model_make_partition(m, define->partition);
    struct model_bounds *b = &p->bounds;
    if (define->sets_samples) b->samples = define->bounds.samples;
    if (define->sets_bytes) b->bytes = define->bounds.bytes;
    if (define->sets_ahead) {
        b->ahead = define->bounds.ahead;
        set_name(&b->ahead_task, define->bounds.ahead_task);
    }
    while (define->sets_retire && b->n_retire) model_let_go(&b->retire[--b->n_retire]);
    for (size_t i = 0; define->sets_retire && i < define->bounds.n_retire; i++)
        b->retire[b->n_retire++] = model_own(define->bounds.retire[i]);
    while (define->sets_indexes && b->n_indexes) model_let_go(&b->indexes[--b->n_indexes]);
    for (size_t i = 0; define->sets_indexes && i < define->bounds.n_indexes; i++)
        b->indexes[b->n_indexes++] = model_own(define->bounds.indexes[i]);
    for (size_t i = 0; i < define->n_fields; i++) {
        size_t at = model_column(&p->fields, define->fields[i].name);
        if (at == p->fields.n)
            p->fields.all[p->fields.n++] = (struct model_column){
                .name = model_own(define->fields[i].name), .type = define->fields[i].type};
        p->fields.all[at].declared = true;
    }
    return 0;
}

/* ---- RETIRE ------------------------------------------------------------------------------- */

/* Given to a rank that is not done with it. */
static bool is_awaited(const struct model_partition *p, uint64_t seq) {
    for (size_t b = 0; b < p->n_batches; b++) {
        const struct model_batch *batch = &p->batches[b];
        if (model_is_done(p, batch->task, batch->rank, batch->batch)) continue;
        for (size_t i = 0; i < batch->n; i++)
            if (batch->seqs[i] == seq) return true;
    }
    return false;
}

static bool is_done(const struct model_partition *p, const struct model_sample *sample) {
    for (size_t i = 0; i < p->bounds.n_retire; i++) {
        size_t task = model_task(p, p->bounds.retire[i]);
        if (task == p->n_tasks || !sample->consumed[task]) return false;
    }
    return !is_awaited(p, sample->seq) && !model_holds(p, sample->seq);
}

/* Alone, or with all its group; of a group that lost somebody, with those that are left. */
static bool retires(const struct model_partition *p, const struct model_sample *sample) {
    if (!is_done(p, sample)) return false;
    if (sample->group == MODEL_NO_GROUP) return true;
    const struct model_group *group = &p->groups[sample->group];
    if (group->members < p->group_size && !group->broken) return false;
    for (size_t i = 0; i < p->n; i++)
        if (p->samples[i]->group == sample->group && !is_done(p, p->samples[i])) return false;
    return true;
}

uint64_t *model_retire(struct model *m, struct span partition, struct scratch *scratch,
                       size_t *retired) {
    struct model_partition *p = model_find(m, partition);
    *retired = 0;
    if (!p || p->bounds.n_retire == 0) return NULL;
    uint64_t *out = scratch_alloc(scratch, p->n, sizeof(*out));
    for (size_t i = 0; i < p->n; i++)
        if (retires(p, p->samples[i])) out[(*retired)++] = p->samples[i]->seq;
    for (size_t i = p->n, left = *retired; i-- > 0;)
        if (left && p->samples[i]->seq == out[left - 1]) {
            model_clear_sample(p, i);
            left--;
        }
    return out;
}
