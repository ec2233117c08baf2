/* See mput.h. */
#include "request/mput.h"

struct mput_clauses {
    struct mput *mput;
    struct args_block *block;
};

/* n plain arguments, one for each key: no count of their own. */
static int mput_each(struct args *a, const char *what, size_t n, const struct span **out) {
    if (args_left(a) < n)
        return error_set(a->error, ERROR_ERR, "%s: expected one for each of the %zu keys, got %zu",
                         what, n, args_left(a));
    struct span *items = scratch_alloc(a->scratch, n, sizeof(*items));
    for (size_t i = 0; i < n; i++) items[i] = a->argv[a->at++].bytes;
    *out = items;
    return 0;
}

static int mput_groups(struct args *a, void *request) {
    struct mput *mput = ((struct mput_clauses *)request)->mput;
    int failed = args_number(a, "GROUPS' size", 1, GROUP_SIZE_MAX, &mput->group_size);
    return failed ? failed : mput_each(a, "GROUPS", mput->n, &mput->group_ids);
}

static int mput_tags(struct args *a, void *request) {
    struct mput *mput = ((struct mput_clauses *)request)->mput;
    int failed = args_count(a, "TAGS", 1 + mput->n, &mput->n_tags);
    if (failed) return failed;
    struct mput_tag *tags = scratch_alloc(a->scratch, mput->n_tags, sizeof(*tags));
    for (size_t i = 0; i < mput->n_tags; i++) {
        tags[i].name = a->argv[a->at++].bytes;
        failed = mput_each(a, "TAGS", mput->n, &tags[i].values);
        if (failed) return failed;
    }
    mput->tags = tags;
    return 0;
}

static int mput_columns(struct args *a, void *request) {
    struct mput *mput = ((struct mput_clauses *)request)->mput;
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
        columns[i].landed = payload->landing;
    }
    mput->columns = columns;
    return 0;
}

static int mput_nx(struct args *a, void *request) {
    struct mput *mput = ((struct mput_clauses *)request)->mput;
    if (mput->only)
        return error_set(a->error, ERROR_ERR, "syntax error: NX and XX exclude each other");
    mput->only = PUT_NX;
    return 0;
}

static int mput_xx(struct args *a, void *request) {
    struct mput *mput = ((struct mput_clauses *)request)->mput;
    if (mput->only)
        return error_set(a->error, ERROR_ERR, "syntax error: NX and XX exclude each other");
    mput->only = PUT_XX;
    return 0;
}

static int mput_block(struct args *a, void *request) {
    return args_block(a, ((struct mput_clauses *)request)->block);
}

int request_mput_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct mput *out, struct args_block *block, struct error *e) {
    static const struct args_clause table[] = {
        {"COLUMNS", mput_columns, false}, {"TAGS", mput_tags, false},
        {"GROUPS", mput_groups, false},   {"NX", mput_nx, false},
        {"XX", mput_xx, false},           {"BLOCK", mput_block, false},
    };
    *out = (struct mput){0};
    *block = (struct args_block){0};
    struct mput_clauses clauses = {out, block};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->partition);
    if (!failed && !args_accept(&a, "KEYS"))
        failed = error_set(e, ERROR_ERR, "syntax error: KEYS has to follow the partition");
    if (!failed) failed = args_keys(&a, &out->n, &out->keys);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), &clauses);
    return failed; /* with KEYS alone, those that are missing are made */
}
