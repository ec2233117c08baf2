/* TQ.CLEAR and TQ.RESET: their clauses are in clear.c. */
#ifndef TQ_REQUEST_CLEAR_H
#define TQ_REQUEST_CLEAR_H

#include "request/args.h"
#include "store/select.h"

extern const struct args_syntax request_clear_syntax, request_reset_syntax;

#endif
