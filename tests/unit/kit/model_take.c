/* Taking, and what is ready. */
#include "model.h"

#include <stdlib.h>

#include "base/mem.h"

/* ---- WHERE -------------------------------------------------------------------------------- */

/* A decimal number; 64 bits of mantissa hold every integer that counts as exact. */
static bool read_number(struct span text, long double *out) {
    char copy[64];
    bool digit = false;
    if (text.len == 0 || text.len >= sizeof(copy)) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!text.ptr[i] || !strchr("0123456789+-.eE", text.ptr[i])) return false;
        digit |= text.ptr[i] >= '0' && text.ptr[i] <= '9';
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *end;
    *out = strtold(copy, &end);
    return digit && *end == '\0';
}

static int compare(struct span a, struct span b) {
    long double x, y;
    if (read_number(a, &x) && read_number(b, &y)) return (x > y) - (x < y);
    size_t i = 0;
    while (i < a.len && i < b.len && a.ptr[i] == b.ptr[i]) i++;
    if (i == a.len || i == b.len) return (a.len > b.len) - (a.len < b.len);
    return (unsigned char)a.ptr[i] < (unsigned char)b.ptr[i] ? -1 : 1;
}

bool model_admits(const struct model_partition *p, const struct model_sample *sample,
                  const struct where *where) {
    for (size_t i = 0; i < where->n; i++) {
        const struct where_condition *c = &where->conditions[i];
        size_t tag = model_column(&p->tags, c->tag);
        if (tag == p->tags.n || !sample->tags[tag].produced) return false;
        int order = compare(span_of(sample->tags[tag].bytes, sample->tags[tag].len), c->value);
        bool holds[WHERE_OPERATORS] = {[WHERE_EQ] = order == 0,
                                       [WHERE_NE] = order != 0,
                                       [WHERE_LT] =
                                           order<0, [WHERE_LE] = order <= 0, [WHERE_GT] = order> 0,
                                       [WHERE_GE] = order >= 0};
        if (!holds[c->operator]) return false;
    }
    return true;
}

/* ---- readiness ---------------------------------------------------------------------------- */

static bool has_fields(const struct model_partition *p, const struct model_sample *sample,
                       const struct span *fields, size_t n_fields) {
    for (size_t i = 0; i < n_fields; i++) {
        size_t field = model_column(&p->fields, fields[i]);
        if (field == p->fields.n || !sample->fields[field].produced) return false;
    }
    return true;
}

bool model_is_ready(const struct model_partition *p, const struct model_sample *sample,
                    const struct span *fields, size_t n_fields, struct span task,
                    const struct where *where) {
    if (!p || !sample || !has_fields(p, sample, fields, n_fields)) return false;
    size_t t = task.ptr ? model_task(p, task) : p->n_tasks;
    if (t < p->n_tasks && sample->had[t]) return false;
    return model_admits(p, sample, where);
}

static bool is_ready_for(const struct model_partition *p, const struct model_sample *sample,
                         const struct take *take) {
    return model_is_ready(p, sample, take->fields, take->n_fields, take->task, &take->where);
}

/* ---- samplers ----------------------------------------------------------------------------- */

struct batch {
    uint64_t *seqs;
    size_t n;
};

static void pick_sequential(struct model_partition *p, const struct take *take,
                            struct batch *batch) {
    for (size_t i = 0; i < p->n && batch->n < take->count; i++)
        if (is_ready_for(p, p->samples[i], take)) batch->seqs[batch->n++] = p->samples[i]->seq;
}

static void pick_newest(struct model_partition *p, const struct take *take, struct batch *batch) {
    for (size_t i = p->n; i > 0 && batch->n < take->count; i--)
        if (is_ready_for(p, p->samples[i - 1], take))
            batch->seqs[batch->n++] = p->samples[i - 1]->seq;
}

/* The number in a sample's tag, times `sign`; less than all numbers where there is none. */
static long double worth(const struct model_partition *p, const struct model_sample *sample,
                         struct span tag, int sign) {
    size_t i = model_column(&p->tags, tag);
    long double number;
    if (i == p->tags.n || !sample->tags[i].produced) return -1e4000L;
    struct span text = span_of(sample->tags[i].bytes, sample->tags[i].len);
    return read_number(text, &number) ? sign * number : -1e4000L;
}

/* Again and again the best of those that are left. */
static void pick_best(struct model_partition *p, const struct take *take, struct batch *batch,
                      int sign) {
    bool *had = calloc(p->n + 1, sizeof(*had));
    for (size_t best; batch->n < take->count; batch->seqs[batch->n++] = p->samples[best]->seq) {
        best = p->n;
        for (size_t i = 0; i < p->n; i++) {
            if (had[i] || !is_ready_for(p, p->samples[i], take)) continue;
            if (best == p->n || worth(p, p->samples[i], take->args.tag, sign) >
                                    worth(p, p->samples[best], take->args.tag, sign))
                best = i;
        }
        if (best == p->n) break;
        had[best] = true;
    }
    free(had);
}

/* n ready samples whose seqs follow each other; from the oldest on, none twice. */
static void pick_runs(struct model_partition *p, const struct take *take, struct batch *batch) {
    uint64_t size = take->args.number;
    for (size_t i = 0; i + size <= p->n && batch->n + size <= take->count;) {
        bool whole = true;
        for (size_t j = 0; j < size; j++)
            whole &= p->samples[i + j]->seq == p->samples[i]->seq + j &&
                     is_ready_for(p, p->samples[i + j], take);
        for (size_t j = 0; whole && j < size; j++) batch->seqs[batch->n++] = p->samples[i + j]->seq;
        i += whole ? size : 1;
    }
}

static void pick_groups(struct model_partition *p, const struct take *take, struct batch *batch) {
    for (size_t i = 0; i < p->n && batch->n + p->group_size <= take->count; i++) {
        size_t g = p->samples[i]->group;
        if (g == MODEL_NO_GROUP) continue;
        bool oldest = true, whole = !p->groups[g].broken && p->groups[g].members == p->group_size;
        for (size_t j = 0; j < p->n; j++) {
            if (p->samples[j]->group != g) continue;
            oldest &= j >= i;
            whole &= is_ready_for(p, p->samples[j], take);
        }
        for (size_t j = 0; oldest && whole && j < p->n; j++)
            if (p->samples[j]->group == g) batch->seqs[batch->n++] = p->samples[j]->seq;
    }
}

static bool is_by(const struct take *take, const char *name) {
    return span_is(span_of_string(take->sampler->name), name);
}

static void pick(struct model_partition *p, const struct take *take, struct batch *batch) {
    if (is_by(take, "SEQUENTIAL"))
        pick_sequential(p, take, batch);
    else if (is_by(take, "LIFO"))
        pick_newest(p, take, batch);
    else if (is_by(take, "MAX") || is_by(take, "MIN"))
        pick_best(p, take, batch, is_by(take, "MAX") ? 1 : -1);
    else if (take->args.number)
        pick_runs(p, take, batch);
    else if (p->group_size)
        pick_groups(p, take, batch);
}

/* ---- taking ------------------------------------------------------------------------------- */

static unsigned check_take(const struct model_partition *p, const struct take *take) {
    if (!is_by(take, "GROUP")) return 0;
    uint64_t size = take->args.number ? take->args.number : p ? p->group_size : 0;
    return size && take->count % size ? MODEL_ERROR(ERROR_ERR) : 0;
}

static bool is_complete(const struct model_partition *p, const struct take *take) {
    if (!p->sealed && !(p->has_expected && p->written >= p->expected)) return false;
    for (size_t i = 0; i < p->n; i++)
        if (!has_fields(p, p->samples[i], take->fields, take->n_fields)) return false;
    return true;
}

static void consume(struct model_partition *p, const struct take *take, const struct batch *batch) {
    size_t task = model_task(p, take->task);
    if (task == p->n_tasks) p->tasks[p->n_tasks++] = model_own(take->task);
    for (size_t i = 0; i < batch->n; i++) model_by_seq(p, batch->seqs[i])->had[task] = true;
}

unsigned model_take(struct model *m, const struct take *take, struct scratch *scratch,
                    enum take_outcome *outcome, uint64_t **seqs, size_t *n) {
    struct model_partition *p = model_find(m, take->partition);
    struct batch batch = {0};
    *outcome = TAKE_WAIT;
    *n = 0;
    unsigned errors = check_take(p, take);
    if (errors || !p) return errors;
    batch.seqs = scratch_alloc(scratch, p->n, sizeof(*batch.seqs));
    pick(p, take, &batch);
    bool enough = batch.n >= take->at_least, complete = is_complete(p, take);
    if (batch.n > 0 && (enough || complete)) {
        *outcome = TAKE_BATCH;
        *seqs = batch.seqs;
        *n = batch.n;
        if (!take->keep) consume(p, take, &batch);
    } else if (complete) {
        *outcome = TAKE_END;
    }
    return 0;
}
