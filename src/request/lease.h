/* TQ.ACK, TQ.NACK, TQ.EXTEND and TQ.LEASES: their arguments are in lease.c. */
#ifndef TQ_REQUEST_LEASE_H
#define TQ_REQUEST_LEASE_H

#include "request/args.h"
#include "store/lease.h"

struct extend_request {
    struct lease_request lease;
    uint64_t ms;
};

struct leases_request {
    struct span partition, task; /* task.ptr NULL: of all tasks */
};

extern const struct args_syntax request_ack_syntax, request_nack_syntax, request_extend_syntax,
    request_leases_syntax;

#endif
