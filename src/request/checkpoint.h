/* TQ.CHECKPOINT name [PARTITIONS n partition …] [META text]
 * TQ.RESTORE name [PARTITIONS n partition …] [REPLACE] */
#ifndef TQ_REQUEST_CHECKPOINT_H
#define TQ_REQUEST_CHECKPOINT_H

#include "request/args.h"

/* As asked for; borrowed. */
struct checkpoint_request {
    struct span name, text;
    size_t n_partitions; /* 0: all */
    const struct span *partitions;
    bool replace; /* restore: partitions that are there */
};

/* Names of partitions are checked, none is there twice. */
int request_checkpoint_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                             struct checkpoint_request *out, struct error *e);
int request_restore_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                          struct checkpoint_request *out, struct error *e);

#endif
