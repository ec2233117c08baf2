/* TQ.CREATE partition [OR ALTER] [MAXSAMPLES n] [MAXBYTES b] [MAXAHEAD task n] [RETIRE n task …]
 *     [INDEX n tag[^p] …] [FIELDS m name type …]
 * TQ.ALTER, the same but for OR ALTER. A bound of 0 is none, and so are RETIRE and INDEX of 0. */
#ifndef TQ_REQUEST_DEFINE_H
#define TQ_REQUEST_DEFINE_H

#include "request/args.h"
#include "store/bounds.h"

/* Fills in all but out->alter. */
int request_define_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                         struct define *out, struct error *e);

#endif
