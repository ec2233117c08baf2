/* TQ.LIST and TQ.COUNT: their clauses are in list.c. */
#ifndef TQ_REQUEST_LIST_H
#define TQ_REQUEST_LIST_H

#include "request/args.h"

struct list {
    struct span partition;
    uint64_t cursor;   /* the next seq to look at; 0 begins */
    uint64_t count;    /* samples to examine */
    struct span match; /* ptr NULL: all */
    struct where where;
    bool with_tags, with_fields;
};

struct count {
    struct span partition, task; /* task.ptr NULL: whatever its consumption */
    size_t n_fields;
    const struct span *fields;
    struct where where;
};

extern const struct args_syntax request_list_syntax, request_count_syntax;

#endif
