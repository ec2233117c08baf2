/* See mget.h. */
#include "request/mget.h"

static int mget_fields(struct args *a, void *request) {
    struct mget *mget = request;
    return args_fields(a, &mget->n_fields, &mget->fields);
}

static int mget_as(struct args *a, void *request) {
    return form_parse(a, false, &((struct mget *)request)->form);
}

static int mget_missing(struct args *a, void *request) {
    struct mget *mget = request;
    if (args_accept(a, "ERROR"))
        mget->missing = MISSING_ERROR;
    else if (args_accept(a, "NULL"))
        mget->missing = MISSING_NULL;
    else if (args_accept(a, "SKIP"))
        mget->missing = MISSING_SKIP;
    else
        return error_set(a->error, ERROR_ERR, "MISSING: expected ERROR, NULL or SKIP");
    return 0;
}

/* What is missing is null among rows; a column has no place for it. */
static int mget_settle_missing(struct mget *mget, struct error *e) {
    bool columns = mget->form == FORM_COLUMNS;
    if (mget->missing == MISSING_DEFAULT) mget->missing = columns ? MISSING_ERROR : MISSING_NULL;
    if (!columns || mget->missing != MISSING_NULL) return 0;
    return error_set(e, ERROR_ERR, "MISSING NULL does not go with AS COLUMNS");
}

int request_mget_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct mget *out, struct error *e) {
    static const struct args_clause table[] = {
        {"FIELDS", mget_fields, false}, {"AS", mget_as, false}, {"MISSING", mget_missing, false}};
    *out = (struct mget){0};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->partition);
    if (!failed && !args_accept(&a, "KEYS"))
        failed = error_set(e, ERROR_ERR, "syntax error: KEYS has to follow the partition");
    if (!failed) failed = args_keys(&a, &out->n_keys, &out->keys);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
    return failed ? failed : mget_settle_missing(out, e);
}
