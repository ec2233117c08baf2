/* TQ.MGET partition KEYS n key … [FIELDS m field …] [AS ROWS|TEXT] [MISSING ERROR|NULL|SKIP] */
#ifndef TQ_REQUEST_MGET_H
#define TQ_REQUEST_MGET_H

#include "request/form.h"

enum missing { MISSING_NULL, MISSING_ERROR, MISSING_SKIP };

struct mget {
    struct span partition;
    size_t n_keys, n_fields; /* n_fields 0: a map of what is there */
    const struct span *keys, *fields;
    enum form form;
    enum missing missing;
};

int request_mget_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct mget *out, struct error *e);

#endif
