/* See sample.h. */
#include "request/sample.h"

#include "base/number.h"

static int sample_count(struct args *a, void *request) {
    return args_number(a, "COUNT", 1, PARTITION_SAMPLES_MAX,
                       &((struct sample *)request)->take.count);
}

static int sample_fields(struct args *a, void *request) {
    struct take *take = &((struct sample *)request)->take;
    return args_fields(a, &take->n_fields, &take->fields);
}

static int sample_by(struct args *a, void *request) {
    struct take *take = &((struct sample *)request)->take;
    struct span name;
    int failed = args_bytes(a, "the sampler behind BY", &name);
    if (failed) return failed;
    take->sampler = sampler_find(name);
    if (!take->sampler)
        return error_set(a->error, ERROR_ERR, "BY: unknown sampler %s", QUOTE(name));
    uint64_t number;
    if (!take->sampler->takes_number || !args_left(a) ||
        !number_parse_u64(a->argv[a->at].bytes, &number))
        return 0;
    return args_number(a, "the number behind the sampler", 1, PARTITION_SAMPLES_MAX,
                       &take->args.number);
}

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
    *out = (struct sample){.take.sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->take.partition);
    if (!failed) failed = args_task(&a, &out->take.task);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
    return failed ? failed : sample_check(&out->take, e);
}
