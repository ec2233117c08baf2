/* TQ.PUT: its clauses are in put.c. */
#ifndef TQ_REQUEST_PUT_H
#define TQ_REQUEST_PUT_H

#include "request/args.h"
#include "store/put.h"

/* Values that were read directly name their chunk (resp_arg.direct); the arguments keep it. */
struct put_request {
    struct put put;
    struct args_block block;
};

extern const struct args_syntax request_put_syntax;

#endif
