/* See list.h. */
#include "request/list.h"

#include "base/glob.h"

enum { LIST_COUNT_DEFAULT = 1000 };

static int list_cursor(struct args *a, void *request) {
    return args_number(a, "CURSOR", 0, UINT64_MAX, &((struct list *)request)->cursor);
}

static int list_count(struct args *a, void *request) {
    return args_number(a, "COUNT", 1, UINT32_MAX, &((struct list *)request)->count);
}

static int list_match(struct args *a, void *request) {
    struct list *list = request;
    int failed = args_bytes(a, "MATCH's pattern", &list->match);
    if (!list->match.ptr) list->match.ptr = "";
    return failed ? failed : glob_check(list->match, a->error);
}

static int list_where(struct args *a, void *request) {
    return args_where(a, &((struct list *)request)->where);
}

static int list_with(struct args *a, void *request) {
    struct list *list = request;
    bool *with = NULL;
    if (args_accept(a, "TAGS"))
        with = &list->with_tags;
    else if (args_accept(a, "FIELDS"))
        with = &list->with_fields;
    else
        return error_set(a->error, ERROR_ERR, "WITH: expected TAGS or FIELDS");
    if (*with) return error_set(a->error, ERROR_ERR, "syntax error: the same WITH is there twice");
    *with = true;
    return 0;
}

int request_list_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct list *out, struct error *e) {
    static const struct args_clause table[] = {
        {"CURSOR", list_cursor, false}, {"COUNT", list_count, false}, {"MATCH", list_match, false},
        {"WHERE", list_where, false},   {"WITH", list_with, true},
    };
    *out = (struct list){.count = LIST_COUNT_DEFAULT};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->partition);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
    return failed;
}

static int count_fields(struct args *a, void *request) {
    struct count *count = request;
    return args_fields(a, &count->n_fields, &count->fields);
}

static int count_task(struct args *a, void *request) {
    return args_task(a, &((struct count *)request)->task);
}

static int count_where(struct args *a, void *request) {
    return args_where(a, &((struct count *)request)->where);
}

int request_count_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                        struct count *out, struct error *e) {
    static const struct args_clause table[] = {{"FIELDS", count_fields, false},
                                               {"TASK", count_task, false},
                                               {"WHERE", count_where, false}};
    *out = (struct count){0};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->partition);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
    return failed;
}
