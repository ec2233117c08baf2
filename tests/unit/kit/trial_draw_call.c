/* Requests out of decisions: that sample, lease, and say what a partition may hold. */
#include <stdio.h>
#include <stdlib.h>

#include "trial.h"

static uint64_t below(struct trial *t, uint64_t n) {
    return source_below(&t->source, n);
}

/* ---- TQ.SAMPLE ---------------------------------------------------------------------------- */

static void draw_sampler(struct trial *t, struct sample_call *call) {
    static const char *const names[] = {"sequential", "Group", "GROUP",  "lifo",
                                        "MAX",        "min",   "random", "Priority"};
    static const double exponents[] = {1, 2, 0.5, 0, -1};
    uint64_t by = below(t, sizeof(names) / sizeof(names[0]) + 1);
    call->sampler = sampler_find(span_of_string(by ? names[by - 1] : "SEQUENTIAL"));
    call->args = (struct sampler_args){.exponent = 1};
    if (call->sampler->takes & SAMPLER_TAG) call->args.tag = trial_draw_tag(t);
    if (by == 2) call->args.number = 1 + below(t, 4);
    if (by == 2 && below(t, 4)) call->count *= call->args.number;
    if (by == 3 && below(t, 4)) call->count *= 2 + t->flavour[0] % 3;
    if (by == 8) call->args.exponent = exponents[below(t, 5)];
    if (call->sampler->random) {
        call->args.seed = below(t, 1000);
        call->args.seeded = below(t, 2);
    }
}

static void draw_balanced(struct trial *t, struct sample_call *call) {
    call->sampler = sampler_find(SPAN_LITERAL("Balanced"));
    call->args = (struct sampler_args){
        .tag = trial_draw_tag(t), .ranks = 1 + below(t, 4), .exponent = 1, .groups = below(t, 2)};
    if (call->args.groups && below(t, 2)) call->args.number = 1 + below(t, 4);
    if (call->args.number && below(t, 8)) call->count *= call->args.number;
    if (call->args.groups && !call->args.number && below(t, 8))
        call->count *= 2 + t->flavour[0] % 3;
    if (trial_rarely(t)) call->args.ranks = below(t, 2) * 65537;
    if (trial_rarely(t)) call->count = (UINT64_C(1) << 32) - below(t, 2);
}

/* COUNT, sampler, WHERE. */
static void draw_what(struct trial *t, struct sample_call *call) {
    call->count = 1 + below(t, below(t, 4) ? 5 : t->shape.keys);
    call->where = (struct where){0};
    if (below(t, 3) == 0) call->where = trial_draw_where(t, 2);
    if (call->ranked && below(t, 2))
        draw_balanced(t, call);
    else
        draw_sampler(t, call);
    if (trial_rarely(t)) call->count = (UINT64_C(1) << 32) + below(t, 2);
}

static struct span describe(struct trial *t, const struct sample_call *call) {
    const struct sampler_args *args = &call->args;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    fprintf(out, "%llu %s %.*s %llu %d %llu %g", (unsigned long long)call->count,
            call->sampler->name, SPAN_ARG(args->tag), (unsigned long long)args->ranks, args->groups,
            (unsigned long long)args->number, args->exponent);
    if (args->seeded) fprintf(out, " seed %llu", (unsigned long long)args->seed);
    for (size_t i = 0; i < call->where.n; i++) {
        const struct where_condition *c = &call->where.conditions[i];
        fprintf(out, " where %.*s %d ", SPAN_ARG(c->tag), c->operator);
        fwrite(c->value.ptr, 1, c->value.len, out);
    }
    fclose(out);
    char *copy = scratch_alloc(&t->scratch, len + 1, 1);
    memcpy(copy, text, len);
    free(text);
    return span_of(copy, len);
}

/* Which batch: one that was decided, as often as not. Numbers go up with the walk, and some come
 * again late. */
static void draw_batch(struct trial *t, struct sample_call *call) {
    const struct model_partition *p = model_find(&t->model, call->partition);
    call->batch = below(t, 2) + (below(t, 8) ? t->steps / 20 : 0);
    call->rank = below(t, 4);
    if (!p || p->n_batches == 0 || below(t, 2)) return;
    const struct model_batch *batch = &p->batches[below(t, p->n_batches)];
    call->task = p->tasks[batch->task];
    call->batch = batch->batch;
    if (below(t, 2)) call->rank = batch->rank;
}

/* A batch's number says what is asked for under it, so that ranks ask for the same; but for one
 * that does not, now and then. */
static void draw_ranked(struct trial *t, struct sample_call *call) {
    call->ranked = true;
    draw_batch(t, call);
    if (below(t, 12)) {
        struct source kept = t->source;
        t->source = source_of_seed(call->batch * 8 + t->flavour[1] % 8);
        draw_what(t, call);
        t->source = kept;
    } else {
        draw_what(t, call);
    }
    if (call->args.ranks) call->rank %= call->args.ranks;
    if (trial_rarely(t)) call->rank = below(t, 2) ? UINT64_MAX : call->args.ranks;
    call->fingerprint = describe(t, call);
    call->finishes = call->batch > 0 && below(t, 3) == 0;
    if (call->finishes) call->done = call->batch - 1 - (below(t, 4) ? 0 : below(t, call->batch));
    if (call->sampler->random && !call->args.seeded) call->args.seed = below(t, 1000);
}

static void draw_holder(struct trial *t, struct sample_call *call) {
    static const char *const holders[] = {"", "127.0.0.1:4711", "trainer-0"};
    call->holder = span_of_string(holders[below(t, 3)]);
    call->lease_ms = trial_draw_ms(t);
}

/* As often as not the call that a holder sent last. */
static void draw_once(struct trial *t, struct sample_call *call) {
    static const char *const holders[] = {"a", "worker-1", "worker-22"};
    const struct model_partition *p = model_find(&t->model, call->partition);
    call->once = (struct op_once){.holder = span_of_string(holders[below(t, 3)]),
                                  .number = below(t, 4),
                                  .request = {trial_rarely(t), 7}};
    if (!p || p->n_onces == 0 || below(t, 8) == 0) return;
    const struct model_once *once = &p->onces[below(t, p->n_onces)];
    call->once.holder = once->holder;
    call->once.number = once->number + below(t, 2);
    if (trial_rarely(t)) call->once.number--;
}

/* Those that some sample has, as a rule. */
static void draw_fields(struct trial *t, struct sample_call *call) {
    const struct model_partition *p = model_find(&t->model, call->partition);
    struct span *fields = scratch_alloc(&t->scratch, 2, sizeof(*fields));
    call->n_fields = below(t, 4) ? 1 : 2;
    for (size_t i = 0; i < call->n_fields; i++) fields[i] = trial_draw_field(t);
    call->fields = fields;
    if (!p || p->n == 0 || below(t, 8) == 0) return;
    const struct model_sample *sample = p->samples[below(t, p->n)];
    size_t n = 0, first = below(t, p->fields.n + 1);
    for (size_t i = 0; i < p->fields.n && n < call->n_fields; i++) {
        size_t at = (first + i) % p->fields.n;
        if (sample->fields[at].produced) fields[n++] = p->fields.all[at].name;
    }
}

void trial_draw_call(struct trial *t, struct sample_call *call) {
    *call = (struct sample_call){.partition = trial_draw_partition(t), .task = trial_draw_task(t)};
    uint64_t kind = below(t, 8);
    if (kind < 3)
        draw_ranked(t, call);
    else
        draw_what(t, call);
    if (kind == 3 && trial_rarely(t)) draw_balanced(t, call);
    if (kind == 4) call->keep = true;
    if (kind == 5 || kind == 6) draw_holder(t, call);
    if (!call->ranked && !call->keep && below(t, 2)) draw_once(t, call);
    call->at_least = below(t, 2) ? call->count : 1 + below(t, below(t, 2) ? call->count : 1);
    draw_fields(t, call);
}

/* ---- leases ------------------------------------------------------------------------------- */

/* How long a lease lasts: about as the clock goes, a moment, or for ever. */
int64_t trial_draw_ms(struct trial *t) {
    if (trial_rarely(t)) return INT64_MAX - (int64_t)below(t, 2);
    return 1 + (int64_t)below(t, below(t, 4) ? 4 * ARENA_IDLE_MS : 10);
}

static struct span lease_text(struct trial *t, uint64_t id) {
    char *text = scratch_alloc(&t->scratch, 24, 1);
    return span_of(text, (size_t)snprintf(text, 24, "%llu", (unsigned long long)id));
}

static void draw_keys(struct trial *t, struct lease_request *request) {
    const struct model_partition *p = model_find(&t->model, request->partition);
    request->n_keys = 1 + below(t, 8);
    struct span *keys = scratch_alloc(&t->scratch, request->n_keys, sizeof(*keys));
    for (size_t i = 0; i < request->n_keys; i++)
        keys[i] = p && p->n && below(t, 8) ? p->samples[below(t, p->n)]->key : trial_draw_key(t);
    request->keys = keys;
}

/* One that there is, as a rule. */
void trial_draw_lease(struct trial *t, struct lease_request *request) {
    static const char *const bad[] = {"", "0", "-1", "x", "99999999999999999999"};
    *request = (struct lease_request){.partition = trial_draw_partition(t)};
    const struct model_partition *p = model_find(&t->model, request->partition);
    request->task = trial_draw_task(t);
    request->id = lease_text(t, t->model.last_lease - below(t, 3));
    if (p && p->n_leases && below(t, 16)) {
        const struct model_lease *lease = &p->leases[below(t, p->n_leases)];
        request->id = lease_text(t, lease->id);
        if (below(t, 16)) request->task = p->tasks[lease->task];
    }
    if (p && p->n_replies && below(t, 4) == 0) {
        const struct model_reply *reply = &p->replies[below(t, p->n_replies)];
        request->id = lease_text(t, reply->lease);
        request->task = p->tasks[reply->task];
    }
    if (trial_rarely(t)) request->id = span_of_string(bad[below(t, 5)]);
    struct source kept = t->source;
    if (below(t, 2) == 0) return;
    if (below(t, 2)) t->source = source_of_seed(t->model.last_lease / 8); /* the same keys again */
    draw_keys(t, request);
    t->source = kept;
}

/* ---- TQ.CREATE, TQ.ALTER ------------------------------------------------------------------ */

static void draw_bounds(struct trial *t, struct define *define) {
    struct span *tasks = scratch_alloc(&t->scratch, MODEL_RETIRE, sizeof(*tasks));
    define->sets_samples = below(t, 3) == 0;
    define->sets_bytes = below(t, 3) == 0;
    define->sets_ahead = below(t, 3) == 0;
    define->sets_retire = below(t, 4) == 0;
    if (define->sets_samples && below(t, 2)) define->bounds.samples = 1 + below(t, t->shape.keys);
    if (define->sets_bytes && below(t, 2)) define->bounds.bytes = below(t, 100 * t->shape.keys);
    if (define->sets_ahead) define->bounds.ahead_task = trial_draw_task(t);
    if (define->sets_ahead && below(t, 2)) define->bounds.ahead = 1 + below(t, t->shape.keys);
    if (!define->sets_retire) return;
    define->bounds.n_retire = 1 + below(t, 2);
    for (size_t i = 0; i < define->bounds.n_retire; i++) tasks[i] = trial_draw_task(t);
    if (trial_rarely(t)) tasks[0] = SPAN_LITERAL("not a task");
    define->bounds.retire = tasks;
}

/* A tag, or one with an exponent that draw_sampler knows. */
static struct span draw_index(struct trial *t) {
    static const char *const exponents[] = {"", "^1", "^2", "^0.5", "^0", "^-1"};
    struct span tag = trial_draw_tag(t);
    const char *exponent = exponents[below(t, 2) ? 0 : below(t, 6)];
    if (trial_rarely(t)) exponent = "^x";
    size_t len = tag.len + strlen(exponent);
    char *text = scratch_alloc(&t->scratch, len + 1, 1);
    snprintf(text, len + 1, "%.*s%s", SPAN_ARG(tag), exponent);
    return span_of(text, len);
}

static void draw_indexes(struct trial *t, struct define *define) {
    struct span *tags = scratch_alloc(&t->scratch, MODEL_INDEXES, sizeof(*tags));
    define->sets_indexes = below(t, 2);
    if (!define->sets_indexes) return;
    define->bounds.n_indexes = below(t, MODEL_INDEXES + 1);
    for (size_t i = 0; i < define->bounds.n_indexes; i++) tags[i] = draw_index(t);
    if (trial_rarely(t)) tags[0] = SPAN_LITERAL("not a tag");
    define->bounds.indexes = tags;
}

void trial_draw_define(struct trial *t, struct define *define) {
    *define = (struct define){.partition = trial_draw_partition(t)};
    const struct model_partition *p = model_find(&t->model, define->partition);
    define->alter = below(t, 16) ? p != NULL : p == NULL;
    define->or_alter = below(t, 4) == 0;
    if (define->or_alter) define->alter = false;
    if (trial_rarely(t)) define->partition = span_of_string("");
    draw_bounds(t, define);
    draw_indexes(t, define);
    define->n_fields = below(t, 3);
    struct op_column *fields = scratch_zalloc(&t->scratch, define->n_fields, sizeof(*fields));
    for (size_t i = 0; i < define->n_fields; i++) {
        fields[i].name = trial_rarely(t) ? SPAN_LITERAL("@no") : trial_draw_field(t);
        size_t at = p ? model_column(&p->fields, fields[i].name) : 0;
        fields[i].type = trial_draw_type(t, fields[i].name);
        if (p && at < p->fields.n && below(t, 8))
            fields[i].type = p->fields.all[at].type;
        else if (fields[i].type.dimensions && below(t, 2))
            fields[i].type.shape[0] = DTYPE_STAR;
    }
    define->fields = fields;
}
