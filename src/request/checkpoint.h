/* TQ.CHECKPOINT and TQ.RESTORE: their clauses are in checkpoint.c. */
#ifndef TQ_REQUEST_CHECKPOINT_H
#define TQ_REQUEST_CHECKPOINT_H

#include "request/args.h"

/* Borrowed. Names of partitions are checked, none is there twice. */
struct checkpoint_request {
    struct span name, text;
    size_t n_partitions; /* 0: all */
    const struct span *partitions;
    bool replace; /* restore: partitions that are there */
};

extern const struct args_syntax request_checkpoint_syntax, request_restore_syntax;

#endif
