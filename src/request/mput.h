/* TQ.MPUT: its clauses are in mput.c. */
#ifndef TQ_REQUEST_MPUT_H
#define TQ_REQUEST_MPUT_H

#include "request/args.h"
#include "store/mput.h"

/* Payloads that were read directly name their chunk (resp_arg.direct); the arguments keep it. */
struct mput_request {
    struct mput mput;
    struct args_block block;
};

extern const struct args_syntax request_mput_syntax;

#endif
