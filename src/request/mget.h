/* TQ.MGET: its clauses are in mget.c. */
#ifndef TQ_REQUEST_MGET_H
#define TQ_REQUEST_MGET_H

#include "request/args.h"
#include "request/form.h"

/* In the order of the usage of MISSING. */
enum missing { MISSING_ERROR, MISSING_NULL, MISSING_SKIP, MISSING_DEFAULT };

struct mget {
    struct span partition;
    size_t n_keys, n_fields; /* n_fields 0: what is there (ROWS, TEXT), what all have (COLUMNS) */
    const struct span *keys, *fields;
    enum form form;
    enum missing missing; /* never MISSING_DEFAULT */
};

extern const struct args_syntax request_mget_syntax;

#endif
