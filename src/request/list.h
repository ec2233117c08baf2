/* TQ.LIST partition [CURSOR c] [COUNT n] [MATCH pattern] [WHERE …] [WITH TAGS] [WITH FIELDS]
 * TQ.COUNT partition [FIELDS m field …] [TASK task] [WHERE …] */
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

int request_list_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct list *out, struct error *e);
int request_count_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                        struct count *out, struct error *e);

#endif
