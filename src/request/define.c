/* See define.h. */
#include "request/define.h"

#include "store/tagindex.h"

static int define_samples(struct args *a, void *request) {
    struct define *define = request;
    define->sets_samples = true;
    return args_number(a, "MAXSAMPLES", 0, PARTITION_SAMPLES_MAX, &define->bounds.samples);
}

static int define_bytes(struct args *a, void *request) {
    struct define *define = request;
    define->sets_bytes = true;
    return args_number(a, "MAXBYTES", 0, INT64_MAX, &define->bounds.bytes);
}

static int define_ahead(struct args *a, void *request) {
    struct define *define = request;
    define->sets_ahead = true;
    if (args_left(a) < 2)
        return error_set(a->error, ERROR_ERR, "syntax error: MAXAHEAD task n: %s",
                         args_left(a) ? "n is missing" : "task and n are missing");
    int failed = args_task(a, &define->bounds.ahead_task);
    return failed
               ? failed
               : args_number(a, "MAXAHEAD task n", 0, PARTITION_SAMPLES_MAX, &define->bounds.ahead);
}

/* A list that may be empty: 0 stands for none from now on. */
static int define_list(struct args *a, const char *what, uint64_t max, size_t *n,
                       const struct span **items) {
    size_t at = a->at;
    uint64_t count;
    if (args_left(a)) {
        int failed = args_number(a, what, 0, max, &count);
        if (failed || !count) return failed;
        a->at = at;
    }
    return args_list(a, what, n, items);
}

static int define_retire(struct args *a, void *request) {
    struct define *define = request;
    define->sets_retire = true;
    return define_list(a, "RETIRE", UINT32_MAX, &define->bounds.n_retire, &define->bounds.retire);
}

static int define_index(struct args *a, void *request) {
    struct define *define = request;
    define->sets_indexes = true;
    return define_list(a, "INDEX", TAGINDEX_MAX, &define->bounds.n_indexes,
                       &define->bounds.indexes);
}

static int define_fields(struct args *a, void *request) {
    struct define *define = request;
    int failed = args_count(a, "FIELDS", 2, &define->n_fields);
    if (failed) return failed;
    struct op_column *fields = scratch_zalloc(a->scratch, define->n_fields, sizeof(*fields));
    for (size_t i = 0; i < define->n_fields; i++) {
        fields[i].name = a->argv[a->at++].bytes;
        failed = dtype_parse(a->argv[a->at++].bytes, &fields[i].type, a->error);
        if (failed) return failed;
    }
    define->fields = fields;
    return 0;
}

static int define_or_alter(struct args *a, void *request) {
    ((struct define *)request)->or_alter = true;
    if (args_accept(a, "ALTER")) return 0;
    return error_set(a->error, ERROR_ERR, "syntax error: expected ALTER after OR");
}

/* Known, and refused by name: there is nothing to stripe over. */
static int define_stripes(struct args *a, void *request) {
    (void)request;
    return error_set(a->error, ERROR_ERR, "STRIPES needs shards, and this server has none");
}

int request_define_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                         struct define *out, struct error *e) {
    static const struct args_clause table[] = {
        {"MAXSAMPLES", define_samples, false}, {"MAXBYTES", define_bytes, false},
        {"MAXAHEAD", define_ahead, false},     {"RETIRE", define_retire, false},
        {"FIELDS", define_fields, false},      {"STRIPES", define_stripes, false},
        {"OR", define_or_alter, false},        {"INDEX", define_index, false},
    };
    *out = (struct define){0};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->partition);
    return failed ? failed : args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
}
