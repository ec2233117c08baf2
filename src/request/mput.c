/* See mput.h. */
#include "request/mput.h"

/* KEYS comes first: lists of other clauses are as long as that of the keys. */
static int mput_head(struct args *a, void *request) {
    struct mput *mput = request;
    return args_partition_keys(a, &mput->partition, &mput->n, &mput->keys);
}

/* n plain arguments, one for each key: no count of their own. They have to be there. */
static const struct span *mput_each(struct args *a, size_t n) {
    struct span *items = scratch_alloc(a->scratch, n, sizeof(*items));
    for (size_t i = 0; i < n; i++) items[i] = a->argv[a->at++].bytes;
    return items;
}

static int mput_groups(struct args *a, void *request) {
    struct mput *mput = request;
    int failed = args_number(a, "GROUPS' size", 1, GROUP_SIZE_MAX, &mput->group_size);
    if (failed) return failed;
    if (args_left(a) < mput->n)
        return args_fail(a,
                         "GROUPS: expected an id for each of the %zu keys, but only %zu follow%s",
                         mput->n, args_left(a), args_left(a) == 1 ? "s" : "");
    mput->group_ids = mput_each(a, mput->n);
    return 0;
}

static int mput_tags(struct args *a, void *request) {
    struct mput *mput = request;
    int failed = args_count(a, "TAGS", 1 + mput->n, &mput->n_tags);
    if (failed) return failed;
    struct mput_tag *tags = scratch_alloc(a->scratch, mput->n_tags, sizeof(*tags));
    for (size_t i = 0; i < mput->n_tags; i++) {
        tags[i].name = a->argv[a->at++].bytes;
        tags[i].values = mput_each(a, mput->n);
    }
    mput->tags = tags;
    return 0;
}

static int mput_columns(struct args *a, void *request) {
    struct mput *mput = request;
    int failed = args_count(a, "COLUMNS", 4, &mput->n_columns);
    if (failed) return failed;
    struct mput_column *columns = scratch_zalloc(a->scratch, mput->n_columns, sizeof(*columns));
    for (size_t i = 0; i < mput->n_columns; i++) {
        columns[i].name = a->argv[a->at++].bytes;
        failed = dtype_parse(a->argv[a->at++].bytes, &columns[i].type, a->error);
        if (failed) return failed;
        columns[i].shape = a->argv[a->at++].bytes;
        const struct resp_arg *payload = &a->argv[a->at++];
        columns[i].payload = payload->bytes;
        columns[i].chunk = payload->direct;
    }
    mput->columns = columns;
    return 0;
}

static const struct args_clause mput_clauses[] = {
    ARGS_ENUM("NX", struct mput, only, PUT_NX, .choice = "only"),
    ARGS_ENUM("XX", struct mput, only, PUT_XX, .choice = "only"),
    ARGS_CLAUSE("GROUPS", "(size=integer id...)", mput_groups),
    ARGS_CLAUSE("TAGS", "(m=integer tag(name value...)...)", mput_tags),
    ARGS_CLAUSE("COLUMNS", "(c=integer column(name type shape payload)...)", mput_columns),
    ARGS_MEMBER("BLOCK", ARGS_BLOCK, args_block, struct mput_request, block),
    {0}};

/* With KEYS alone, the samples that are missing are made. */
const struct args_syntax request_mput_syntax = {
    sizeof(struct mput_request), "partition=key KEYS" ARGS_KEYS, mput_head, mput_clauses, NULL};
