/* TQ.MGET partition KEYS n key … [FIELDS m field …] [AS ROWS|TEXT|COLUMNS]
 * [MISSING ERROR|NULL|SKIP] */
#ifndef TQ_REQUEST_MGET_H
#define TQ_REQUEST_MGET_H

#include "request/form.h"

enum missing { MISSING_DEFAULT, MISSING_NULL, MISSING_ERROR, MISSING_SKIP };

struct mget {
    struct span partition;
    size_t n_keys, n_fields; /* n_fields 0: what is there (ROWS, TEXT), what all have (COLUMNS) */
    const struct span *keys, *fields;
    enum form form;
    enum missing missing; /* never MISSING_DEFAULT */
};

int request_mget_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct mget *out, struct error *e);

#endif
