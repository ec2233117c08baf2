/* See define.h. */
#include "request/define.h"

#include "store/tagindex.h"

static int create_head(struct args *a, void *request) {
    return args_partition(a, &((struct define *)request)->partition);
}

static int alter_head(struct args *a, void *request) {
    ((struct define *)request)->alter = true;
    return create_head(a, request);
}

static int define_ahead(struct args *a, void *request) {
    struct define *define = request;
    int failed = args_task(a, &define->bounds.ahead_task);
    return failed ? failed
                  : args_number(a, "MAXAHEAD's n", 0, PARTITION_SAMPLES_MAX, &define->bounds.ahead);
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
    return define_list(a, "RETIRE", UINT32_MAX, &define->bounds.n_retire, &define->bounds.retire);
}

static int define_index(struct args *a, void *request) {
    struct define *define = request;
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

/* Known, and refused by name: there is nothing to stripe over. */
static int define_stripes(struct args *a, void *request) {
    (void)request;
    return error_set(a->error, ERROR_ERR, "STRIPES needs shards, and this server has none");
}

static int define_finish(struct args *a, void *request) {
    struct define *define = request;
    define->sets_samples = args_has(a, "MAXSAMPLES");
    define->sets_bytes = args_has(a, "MAXBYTES");
    define->sets_ahead = args_has(a, "MAXAHEAD");
    define->sets_retire = args_has(a, "RETIRE");
    define->sets_indexes = args_has(a, "INDEX");
    return 0;
}

static const struct args_clause define_clauses[] = {
    ARGS_MEMBER("OR ALTER", "", args_flag, struct define, or_alter), /* of TQ.CREATE only */
    ARGS_NUMBER("MAXSAMPLES", "n", struct define, bounds.samples, 0, PARTITION_SAMPLES_MAX),
    ARGS_NUMBER("MAXBYTES", "b", struct define, bounds.bytes, 0, INT64_MAX),
    ARGS_CLAUSE("MAXAHEAD", "ahead(task n=integer)", define_ahead),
    ARGS_CLAUSE("RETIRE", "(n=integer task...)", define_retire),
    ARGS_CLAUSE("INDEX", "(n=integer tag...)", define_index),
    ARGS_CLAUSE("FIELDS", "(m=integer field(name type)...)", define_fields),
    ARGS_CLAUSE("STRIPES", "n=integer", define_stripes, .is_hidden = true),
    {0}};

const struct args_syntax request_create_syntax = {sizeof(struct define), "partition=key",
                                                  create_head, define_clauses, define_finish};
const struct args_syntax request_alter_syntax = {sizeof(struct define), "partition=key", alter_head,
                                                 define_clauses + 1, define_finish};
