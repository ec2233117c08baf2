/* TQ.CREATE and TQ.ALTER: their clauses are in define.c. A bound of 0 is none, and so are RETIRE
 * and INDEX of 0. */
#ifndef TQ_REQUEST_DEFINE_H
#define TQ_REQUEST_DEFINE_H

#include "request/args.h"
#include "store/bounds.h"

extern const struct args_syntax request_create_syntax, request_alter_syntax;

#endif
