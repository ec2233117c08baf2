/* See clear.h. */
#include "request/clear.h"

static int select_head(struct args *a, void *select) {
    return args_partition(a, &((struct select *)select)->partition);
}

static int select_keys(struct args *a, void *out) {
    struct select *select = out;
    return args_keys(a, &select->n_keys, &select->keys);
}

static int clear_fields(struct args *a, void *request) {
    struct clear *clear = request;
    clear->what = SELECT_FIELDS;
    return args_fields(a, &clear->n_names, &clear->names);
}

static int clear_tags(struct args *a, void *request) {
    struct clear *clear = request;
    clear->what = SELECT_TAGS;
    return args_tags(a, &clear->n_names, &clear->names);
}

#define CLEAR_NAMES "(m=integer name...)"

static const struct args_clause clear_clauses[] = {
    ARGS_CLAUSE("KEYS", ARGS_KEYS, select_keys),
    ARGS_MEMBER("WHERE", ARGS_WHERE, args_where, struct clear, select.where),
    ARGS_CLAUSE("FIELDS", CLEAR_NAMES, clear_fields, .choice = "what"),
    ARGS_CLAUSE("TAGS", CLEAR_NAMES, clear_tags, .choice = "what"),
    {0}};

static const struct args_clause reset_clauses[] = {
    ARGS_MEMBER("TASK", "task", args_task, struct reset, task),
    ARGS_CLAUSE("KEYS", ARGS_KEYS, select_keys),
    {0}};

const struct args_syntax request_clear_syntax = {sizeof(struct clear), "partition=key", select_head,
                                                 clear_clauses, NULL};
const struct args_syntax request_reset_syntax = {sizeof(struct reset), "partition=key", select_head,
                                                 reset_clauses, NULL};

_Static_assert(offsetof(struct clear, select) == 0 && offsetof(struct reset, select) == 0,
               "what both select comes first");
