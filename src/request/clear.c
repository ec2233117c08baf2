/* See clear.h. */
#include "request/clear.h"

static int clear_keys(struct args *a, void *request) {
    struct select *select = &((struct clear *)request)->select;
    return args_keys(a, &select->n_keys, &select->keys);
}

static int clear_where(struct args *a, void *request) {
    return args_where(a, &((struct clear *)request)->select.where);
}

static int clear_what(struct args *a, struct clear *clear, enum select_names what) {
    if (clear->what != SELECT_SAMPLES)
        return error_set(a->error, ERROR_ERR, "syntax error: FIELDS and TAGS exclude each other");
    clear->what = what;
    return 0;
}

static int clear_fields(struct args *a, void *request) {
    struct clear *clear = request;
    int failed = clear_what(a, clear, SELECT_FIELDS);
    return failed ? failed : args_fields(a, &clear->n_names, &clear->names);
}

static int clear_tags(struct args *a, void *request) {
    struct clear *clear = request;
    int failed = clear_what(a, clear, SELECT_TAGS);
    return failed ? failed : args_tags(a, &clear->n_names, &clear->names);
}

int request_clear_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                        struct clear *out, struct error *e) {
    static const struct args_clause table[] = {
        {"KEYS", clear_keys, false},
        {"WHERE", clear_where, false},
        {"FIELDS", clear_fields, false},
        {"TAGS", clear_tags, false},
    };
    *out = (struct clear){0};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->select.partition);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
    return failed;
}

static int reset_keys(struct args *a, void *request) {
    struct select *select = &((struct reset *)request)->select;
    return args_keys(a, &select->n_keys, &select->keys);
}

static int reset_task(struct args *a, void *request) {
    return args_task(a, &((struct reset *)request)->task);
}

int request_reset_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                        struct reset *out, struct error *e) {
    static const struct args_clause table[] = {{"KEYS", reset_keys, false},
                                               {"TASK", reset_task, false}};
    *out = (struct reset){0};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->select.partition);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
    return failed;
}
