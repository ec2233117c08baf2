/* See mget.h. */
#include "request/mget.h"

static int mget_head(struct args *a, void *request) {
    struct mget *mget = request;
    mget->missing = MISSING_DEFAULT;
    return args_partition_keys(a, &mget->partition, &mget->n_keys, &mget->keys);
}

static int mget_fields(struct args *a, void *request) {
    struct mget *mget = request;
    return args_fields(a, &mget->n_fields, &mget->fields);
}

/* What is missing is null among rows; a column has no place for it. */
static int mget_finish(struct args *a, void *request) {
    struct mget *mget = request;
    bool columns = mget->form == FORM_COLUMNS;
    if (mget->missing == MISSING_DEFAULT) mget->missing = columns ? MISSING_ERROR : MISSING_NULL;
    if (!columns || mget->missing != MISSING_NULL) return 0;
    return error_set(a->error, ERROR_ERR, "MISSING NULL does not go with AS COLUMNS");
}

static const struct args_clause mget_clauses[] = {
    ARGS_CLAUSE("FIELDS", ARGS_FIELDS, mget_fields),
    ARGS_MEMBER("AS", "(ROWS|TEXT|COLUMNS)", args_choice, struct mget, form),
    ARGS_MEMBER("MISSING", "(ERROR|NULL|SKIP)", args_choice, struct mget, missing),
    {0}};

const struct args_syntax request_mget_syntax = {sizeof(struct mget), "partition=key KEYS" ARGS_KEYS,
                                                mget_head, mget_clauses, mget_finish};
