/* TQ.MPUT partition KEYS n key … [GROUPS size id …] [TAGS m {name value×n} …] [COLUMNS c {name type shape payload} …] [BLOCK ms] */
#ifndef TQ_REQUEST_MPUT_H
#define TQ_REQUEST_MPUT_H

#include "request/args.h"
#include "store/mput.h"

/* Payloads that landed name their chunk (resp_arg.landing); the arguments keep it. */
int request_mput_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct mput *out, struct args_block *block, struct error *e);

#endif
