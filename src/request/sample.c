/* See sample.h. */
#include "request/sample.h"

#include "base/hash.h"
#include "base/number.h"
#include "store/names.h"

static int sample_count(struct args *a, void *request) {
    return args_number(a, "COUNT", 1, PARTITION_SAMPLES_MAX,
                       &((struct sample *)request)->take.count);
}

static int sample_fields(struct args *a, void *request) {
    struct take *take = &((struct sample *)request)->take;
    return args_fields(a, &take->n_fields, &take->fields);
}

/* ---- BY ----------------------------------------------------------------------------------- */

static int by_tag(struct args *a, struct sampler_args *out) {
    int failed = args_bytes(a, "the tag behind the sampler", &out->tag);
    return failed ? failed : names_check_word("tag", out->tag, a->error);
}

static int by_ranks(struct args *a, struct sampler_args *out) {
    return args_number(a, "the number of ranks", 1, SAMPLER_RANKS_MAX, &out->ranks);
}

/* What is no number belongs to the next clause. */
static int by_number(struct args *a, struct sampler_args *out) {
    uint64_t number;
    if (!args_left(a) || !number_parse_u64(a->argv[a->at].bytes, &number)) return 0;
    return args_number(a, "the number behind the sampler", 1, PARTITION_SAMPLES_MAX, &out->number);
}

static int by_groups(struct args *a, struct sampler_args *out) {
    out->groups = args_accept(a, "GROUP");
    return out->groups ? by_number(a, out) : 0;
}

static int by_exponent(struct args *a, struct sampler_args *out) {
    struct span text;
    if (!args_accept(a, "EXPONENT")) return 0;
    int failed = args_bytes(a, "EXPONENT", &text);
    if (failed || number_parse_double(text, false, &out->exponent)) return failed;
    return error_set(a->error, ERROR_ERR, "EXPONENT: expected a decimal number, got %s",
                     QUOTE(text));
}

static int by_seed(struct args *a, struct sampler_args *out) {
    out->seeded = args_accept(a, "SEED");
    return out->seeded ? args_number(a, "SEED", 0, UINT64_MAX, &out->seed) : 0;
}

static int sample_by(struct args *a, void *request) {
    static const struct {
        enum sampler_takes what;
        int (*parse)(struct args *a, struct sampler_args *out);
    } table[] = {
        {SAMPLER_TAG, by_tag},       {SAMPLER_RANKS, by_ranks},       {SAMPLER_GROUPS, by_groups},
        {SAMPLER_NUMBER, by_number}, {SAMPLER_EXPONENT, by_exponent}, {SAMPLER_SEED, by_seed},
    };
    struct take *take = &((struct sample *)request)->take;
    struct span name;
    int failed = args_bytes(a, "the sampler behind BY", &name);
    if (failed) return failed;
    take->sampler = sampler_find(name);
    if (!take->sampler)
        return error_set(a->error, ERROR_ERR, "BY: unknown sampler %s", QUOTE(name));
    for (size_t i = 0; !failed && i < sizeof(table) / sizeof(table[0]); i++)
        if (take->sampler->takes & table[i].what) failed = table[i].parse(a, &take->args);
    if (take->sampler->random && !take->args.seeded)
        hash_random(&take->args.seed, sizeof(take->args.seed));
    return failed;
}

/* ---- the other clauses -------------------------------------------------------------------- */

static int sample_where(struct args *a, void *request) {
    return args_where(a, &((struct sample *)request)->take.where);
}

static int sample_at_least(struct args *a, void *request) {
    return args_number(a, "ATLEAST", 1, PARTITION_SAMPLES_MAX,
                       &((struct sample *)request)->take.at_least);
}

static int sample_keep(struct args *a, void *request) {
    (void)a;
    ((struct sample *)request)->take.keep = true;
    return 0;
}

static int sample_lease(struct args *a, void *request) {
    uint64_t ms = 0;
    int failed = args_number(a, "LEASE", 1, INT64_MAX, &ms);
    ((struct sample *)request)->take.lease_ms = (int64_t)ms;
    return failed;
}

static int sample_block(struct args *a, void *request) {
    return args_block(a, &((struct sample *)request)->block);
}

static int sample_as(struct args *a, void *request) {
    return form_parse(a, true, &((struct sample *)request)->form);
}

/* What only shows once all clauses are known. */
static int sample_check(struct take *take, struct error *e) {
    if (!take->count) return error_set(e, ERROR_ERR, "syntax error: COUNT is missing");
    if (!take->n_fields) return error_set(e, ERROR_ERR, "syntax error: FIELDS is missing");
    if (!take->at_least) take->at_least = take->count;
    if (take->at_least > take->count)
        return error_set(e, ERROR_ERR, "ATLEAST %llu is more than COUNT %llu",
                         (unsigned long long)take->at_least, (unsigned long long)take->count);
    if (take->keep && take->lease_ms)
        return error_set(e, ERROR_ERR, "syntax error: KEEP takes nothing, so there is no LEASE");
    return 0;
}

int request_sample_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                         struct sample *out, struct error *e) {
    static const struct args_clause table[] = {
        {"COUNT", sample_count, false},
        {"FIELDS", sample_fields, false},
        {"BY", sample_by, false},
        {"WHERE", sample_where, false},
        {"ATLEAST", sample_at_least, false},
        {"KEEP", sample_keep, false},
        {"LEASE", sample_lease, false},
        {"BLOCK", sample_block, false},
        {"AS", sample_as, false},
    };
    *out = (struct sample){.take.sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL")),
                           .take.args.exponent = 1};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->take.partition);
    if (!failed) failed = args_task(&a, &out->take.task);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
    return failed ? failed : sample_check(&out->take, e);
}
