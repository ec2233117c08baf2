/* See list.h. */
#include "request/list.h"

#include "base/glob.h"

/* ---- TQ.LIST ------------------------------------------------------------------------------ */

static int list_head(struct args *a, void *request) {
    enum { COUNT_DEFAULT = 1000 };
    struct list *list = request;
    list->count = COUNT_DEFAULT;
    return args_partition(a, &list->partition);
}

static int list_match(struct args *a, void *request) {
    struct list *list = request;
    int failed = args_bytes(a, "MATCH's pattern", &list->match);
    if (!list->match.ptr) list->match.ptr = "";
    return failed ? failed : glob_check(list->match, a->error);
}

static const struct args_clause list_clauses[] = {
    ARGS_CLAUSE("CURSOR", "c", args_integer, .member = offsetof(struct list, cursor),
                .max = UINT64_MAX), /* a string to clients */
    ARGS_NUMBER("COUNT", "n", struct list, count, 1, UINT32_MAX),
    ARGS_CLAUSE("MATCH", "pattern=pattern", list_match),
    ARGS_MEMBER("WHERE", ARGS_WHERE, args_where, struct list, where),
    ARGS_MEMBER("WITH TAGS", "", args_flag, struct list, with_tags),
    ARGS_MEMBER("WITH FIELDS", "", args_flag, struct list, with_fields),
    {0}};

/* Without a partition, partitions are listed: cmd/list.c. */
const struct args_syntax request_list_syntax = {sizeof(struct list), "[partition=key]", list_head,
                                                list_clauses, NULL};

/* ---- TQ.COUNT ----------------------------------------------------------------------------- */

static int count_head(struct args *a, void *request) {
    return args_partition(a, &((struct count *)request)->partition);
}

static int count_fields(struct args *a, void *request) {
    struct count *count = request;
    return args_fields(a, &count->n_fields, &count->fields);
}

static const struct args_clause count_clauses[] = {
    ARGS_CLAUSE("FIELDS", ARGS_FIELDS, count_fields),
    ARGS_MEMBER("TASK", "task", args_task, struct count, task),
    ARGS_MEMBER("WHERE", ARGS_WHERE, args_where, struct count, where),
    {0}};

const struct args_syntax request_count_syntax = {sizeof(struct count), "partition=key", count_head,
                                                 count_clauses, NULL};
