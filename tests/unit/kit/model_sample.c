/* What is ready, and what a TQ.SAMPLE is to be answered. */
#include "model.h"

#include <stdlib.h>

/* ---- WHERE -------------------------------------------------------------------------------- */

/* A decimal number; 64 bits of mantissa hold every integer that counts as exact. */
bool model_read_number(struct span text, long double *out) {
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

static bool model_has_exponent(struct span text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == 'e' || text.ptr[i] == 'E') return true;
    return false;
}

/* As numbers where both are plain decimals, else byte by byte. */
static bool model_equal(struct span a, struct span b) {
    long double x, y;
    if (!model_has_exponent(a) && !model_has_exponent(b) && model_read_number(a, &x) &&
        model_read_number(b, &y))
        return x == y;
    return span_equal(a, b);
}

static int compare(struct span a, struct span b) {
    long double x, y;
    if (model_read_number(a, &x) && model_read_number(b, &y)) return (x > y) - (x < y);
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
        struct span value = span_of(sample->tags[tag].bytes, sample->tags[tag].len);
        int order = compare(value, c->value);
        bool equal = model_equal(value, c->value);
        bool holds[WHERE_OPERATORS] = {[WHERE_EQ] = equal,
                                       [WHERE_NE] = !equal,
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
    if (t < p->n_tasks && (sample->consumed[t] || sample->lease[t])) return false;
    return model_admits(p, sample, where);
}

bool model_ready_for(const struct model_partition *p, const struct model_sample *sample,
                     const struct sample_call *call) {
    return model_is_ready(p, sample, call->fields, call->n_fields, call->task, &call->where);
}

bool model_is_by(const struct sample_call *call, const char *name) {
    return span_is(span_of_string(call->sampler->name), name);
}

/* ---- what is wrong ------------------------------------------------------------------------ */

/* The size of the groups that are asked for, 0 where there are none yet. */
static uint64_t group_size(const struct model_partition *p, const struct sample_call *call) {
    return call->args.number ? call->args.number : p ? p->group_size : 0;
}

static unsigned check_sampler(const struct model_partition *p, const struct sample_call *call) {
    static const uint64_t most = UINT64_C(1) << 32; /* samples of a partition */
    bool balanced = model_is_by(call, "BALANCED");
    uint64_t ranks = call->args.ranks, size = group_size(p, call);
    bool wrong = call->count > most;
    if (balanced) wrong |= !call->ranked || ranks < 1 || ranks > 65536 || call->rank >= ranks;
    if (balanced && ranks) wrong |= call->count > most / ranks;
    if (model_is_by(call, "GROUP") || (balanced && call->args.groups))
        wrong |= size && call->count % size;
    return wrong ? MODEL_ERROR(ERROR_ERR) : 0;
}

/* More than its producers may be ahead can never be ready. */
static unsigned check_ahead(const struct model_partition *p, const struct sample_call *call) {
    uint64_t ranks = call->args.ranks ? call->args.ranks : 1;
    bool much = p->bounds.ahead && span_equal(call->task, p->bounds.ahead_task) &&
                call->at_least * ranks > p->bounds.ahead;
    return much ? MODEL_ERROR(ERROR_FULL) : 0;
}

/* ---- what was decided before -------------------------------------------------------------- */

static unsigned look_up(const struct model_partition *p, const struct sample_call *call,
                        struct scratch *scratch, struct model_answer *answer) {
    size_t task = model_task(p, call->task);
    const struct model_batch *batch = model_batch(p, task, call->rank, call->batch);
    for (uint64_t r = 0; !batch && model_is_by(call, "BALANCED") && r < call->args.ranks; r++)
        if (model_batch(p, task, r, call->batch)) return MODEL_ERROR(ERROR_NOKEY);
    if (!batch)
        return model_is_done(p, task, call->rank, call->batch) ? MODEL_ERROR(ERROR_NOKEY) : 0;
    if (!batch->n) return MODEL_ERROR(ERROR_NOKEY);
    if (!span_equal(batch->fingerprint, call->fingerprint)) return MODEL_ERROR(ERROR_ERR);
    answer->outcome = SAMPLE_BATCH;
    answer->remembered = true;
    answer->n = batch->n;
    answer->seqs = scratch_alloc(scratch, batch->n, sizeof(*answer->seqs));
    memcpy(answer->seqs, batch->seqs, batch->n * sizeof(*answer->seqs));
    return 0;
}

/* ---- taking ------------------------------------------------------------------------------- */

static bool is_complete(const struct model_partition *p, const struct sample_call *call) {
    if (!p->sealed && !(p->has_expected && p->written >= p->expected)) return false;
    for (size_t i = 0; i < p->n; i++)
        if (!has_fields(p, p->samples[i], call->fields, call->n_fields)) return false;
    return true;
}

static bool has_leased(const struct model_partition *p, struct span task) {
    size_t t = model_task(p, task);
    for (size_t i = 0; t < p->n_tasks && i < p->n; i++)
        if (p->samples[i]->lease[t]) return true;
    return false;
}

static void decide(struct model_partition *p, const struct sample_call *call,
                   struct scratch *scratch, struct model_answer *answer) {
    uint64_t ranks = call->args.ranks ? call->args.ranks : 1, ready = 0;
    bool complete = is_complete(p, call);
    answer->seqs = scratch_alloc(scratch, p->n, sizeof(*answer->seqs));
    model_pick(p, call, answer);
    bool enough = answer->total >= call->at_least * ranks;
    if (answer->total > 0 && (enough || complete)) {
        answer->outcome = SAMPLE_BATCH;
        answer->n = answer->total / ranks;
    } else if (complete && !has_leased(p, call->task)) {
        answer->outcome = SAMPLE_END;
    }
    for (size_t i = 0; i < p->n; i++) ready += model_ready_for(p, p->samples[i], call);
    if (model_is_by(call, "GROUP") || call->args.groups) ready = answer->found;
    if (ready < call->at_least * ranks) answer->most_missing = call->at_least * ranks - ready;
}

unsigned model_sample_call(struct model *m, const struct sample_call *call, struct scratch *scratch,
                           struct model_answer *answer) {
    struct model_partition *p = model_find(m, call->partition);
    *answer = (struct model_answer){.outcome = SAMPLE_WAIT, .most_missing = p ? 1 : call->at_least};
    unsigned errors = check_sampler(p, call);
    if (errors || !p) return errors;
    if (call->ranked) errors = look_up(p, call, scratch, answer);
    if (call->once.holder.ptr) errors = model_look_once(p, call, scratch, answer);
    if (answer->remembered) return 0;
    errors |= check_ahead(p, call);
    if (!errors) decide(p, call, scratch, answer);
    return errors;
}
