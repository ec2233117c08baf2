/* The model's samplers. Where chance or a heuristic chooses, they say what is to be chosen from:
 * model_sampled.c looks at the choice. */
#include "model.h"

#include <stdlib.h>

/* How many samples make a batch, for all ranks. */
static uint64_t most(const struct sample_call *call) {
    return call->count * (call->args.ranks ? call->args.ranks : 1);
}

static void pick_sequential(struct model_partition *p, const struct sample_call *call,
                            struct model_answer *a) {
    for (size_t i = 0; i < p->n && a->total < most(call); i++)
        if (model_ready_for(p, p->samples[i], call)) a->seqs[a->total++] = p->samples[i]->seq;
}

static void pick_newest(struct model_partition *p, const struct sample_call *call,
                        struct model_answer *a) {
    for (size_t i = p->n; i > 0 && a->total < most(call); i--)
        if (model_ready_for(p, p->samples[i - 1], call))
            a->seqs[a->total++] = p->samples[i - 1]->seq;
}

/* The number in a sample's tag, times `sign`; less than all numbers where there is none. */
static long double worth(const struct model_partition *p, const struct model_sample *sample,
                         struct span tag, int sign) {
    size_t i = model_column(&p->tags, tag);
    long double number;
    if (i == p->tags.n || !sample->tags[i].produced) return -1e4000L;
    struct span text = span_of(sample->tags[i].bytes, sample->tags[i].len);
    return model_read_number(text, &number) ? sign * number : -1e4000L;
}

/* Again and again the best of those that are left. */
static void pick_best(struct model_partition *p, const struct sample_call *call,
                      struct model_answer *a, int sign) {
    bool *picked = calloc(p->n + 1, sizeof(*picked));
    for (size_t best; a->total < most(call); a->seqs[a->total++] = p->samples[best]->seq) {
        best = p->n;
        for (size_t i = 0; i < p->n; i++) {
            if (picked[i] || !model_ready_for(p, p->samples[i], call)) continue;
            if (best == p->n || worth(p, p->samples[i], call->args.tag, sign) >
                                    worth(p, p->samples[best], call->args.tag, sign))
                best = i;
        }
        if (best == p->n) break;
        picked[best] = true;
    }
    free(picked);
}

/* n ready samples whose seqs follow each other; from the oldest on, none twice. */
static void pick_runs(struct model_partition *p, const struct sample_call *call,
                      struct model_answer *a) {
    uint64_t size = call->args.number;
    for (size_t i = 0; i + size <= p->n && a->total + size <= most(call);) {
        bool whole = true;
        for (size_t j = 0; j < size; j++)
            whole &= p->samples[i + j]->seq == p->samples[i]->seq + j &&
                     model_ready_for(p, p->samples[i + j], call);
        for (size_t j = 0; whole && j < size; j++) a->seqs[a->total++] = p->samples[i + j]->seq;
        i += whole ? size : 1;
    }
}

static void pick_groups(struct model_partition *p, const struct sample_call *call,
                        struct model_answer *a) {
    for (size_t i = 0; i < p->n && a->total + p->group_size <= most(call); i++) {
        size_t g = p->samples[i]->group;
        if (g == MODEL_NO_GROUP) continue;
        bool oldest = true, whole = !p->groups[g].broken && p->groups[g].members == p->group_size;
        for (size_t j = 0; j < p->n; j++) {
            if (p->samples[j]->group != g) continue;
            oldest &= j >= i;
            whole &= model_ready_for(p, p->samples[j], call);
        }
        for (size_t j = 0; oldest && whole && j < p->n; j++)
            if (p->samples[j]->group == g) a->seqs[a->total++] = p->samples[j]->seq;
    }
}

/* All that is ready; how many of it are taken. */
static void pick_any(struct model_partition *p, const struct sample_call *call,
                     struct model_answer *a) {
    for (size_t i = 0; i < p->n; i++)
        if (model_ready_for(p, p->samples[i], call)) a->seqs[a->of++] = p->samples[i]->seq;
    a->total = a->of < most(call) ? a->of : most(call);
}

size_t model_unit(const struct model_partition *p, const struct sample_call *call) {
    if (!call->args.groups) return 1;
    return call->args.number ? call->args.number : p->group_size;
}

/* The oldest, as many units for each rank as for the others; the ranks they go to are not foreseen. */
static void pick_balanced(struct model_partition *p, const struct sample_call *call,
                          struct model_answer *a) {
    if (!call->args.groups)
        pick_sequential(p, call, a);
    else if (call->args.number)
        pick_runs(p, call, a);
    else if (p->group_size)
        pick_groups(p, call, a);
    a->found = a->total;
    while (a->total && a->total / model_unit(p, call) % call->args.ranks)
        a->total -= model_unit(p, call);
    a->of = a->total;
}

void model_pick(struct model_partition *p, const struct sample_call *call, struct model_answer *a) {
    if (model_is_by(call, "SEQUENTIAL"))
        pick_sequential(p, call, a);
    else if (model_is_by(call, "LIFO"))
        pick_newest(p, call, a);
    else if (model_is_by(call, "MAX") || model_is_by(call, "MIN"))
        pick_best(p, call, a, model_is_by(call, "MAX") ? 1 : -1);
    else if (model_is_by(call, "RANDOM") || model_is_by(call, "PRIORITY"))
        pick_any(p, call, a);
    else if (model_is_by(call, "BALANCED"))
        pick_balanced(p, call, a);
    else if (call->args.number)
        pick_runs(p, call, a);
    else if (p->group_size)
        pick_groups(p, call, a);
    if (!model_is_by(call, "BALANCED")) a->found = a->total;
}
