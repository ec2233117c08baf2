/* TQ.PUT partition key [GROUP id size] [NX|XX] [IF tag value] [TAGS …] [FIELDS …] [TEXT …] [BLOCK ms] */
#ifndef TQ_REQUEST_PUT_H
#define TQ_REQUEST_PUT_H

#include "request/args.h"
#include "store/put.h"

/* Values that landed name their chunk (resp_arg.landing); the arguments keep it. */
int request_put_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                      struct put *out, struct args_block *block, struct error *e);

#endif
