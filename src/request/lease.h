/* TQ.ACK partition task lease
 * TQ.NACK partition task lease [KEYS n key …]
 * TQ.EXTEND partition task lease ms
 * TQ.LEASES partition [TASK task] */
#ifndef TQ_REQUEST_LEASE_H
#define TQ_REQUEST_LEASE_H

#include "request/args.h"
#include "store/lease.h"

int request_ack_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                      struct lease_request *out, struct error *e);
int request_nack_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct lease_request *out, struct error *e);
int request_extend_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                         struct lease_request *out, int64_t *lease_ms, struct error *e);

/* task->ptr is NULL where none was given. */
int request_leases_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                         struct span *partition, struct span *task, struct error *e);

#endif
