/* TQ.CLEAR partition [KEYS n key …] [WHERE …] [FIELDS m field … | TAGS m tag …]
 * TQ.RESET partition [TASK task] [KEYS n key …] */
#ifndef TQ_REQUEST_CLEAR_H
#define TQ_REQUEST_CLEAR_H

#include "request/args.h"
#include "store/select.h"

int request_clear_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                        struct clear *out, struct error *e);
int request_reset_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                        struct reset *out, struct error *e);

#endif
