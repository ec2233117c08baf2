/* See lease.h. */
#include "request/lease.h"

static int lease_head(struct args *a, void *request) {
    struct lease_request *lease = request;
    int failed = args_partition(a, &lease->partition);
    if (!failed) failed = args_task(a, &lease->task);
    return failed ? failed : args_bytes(a, "the lease", &lease->id);
}

static int extend_head(struct args *a, void *request) {
    struct extend_request *extend = request;
    int failed = lease_head(a, &extend->lease);
    return failed ? failed
                  : args_number(a, "the lease's milliseconds", 1, ARGS_TIME_MAX, &extend->ms);
}

static int leases_head(struct args *a, void *request) {
    return args_partition(a, &((struct leases_request *)request)->partition);
}

static int nack_keys(struct args *a, void *request) {
    struct lease_request *nack = request;
    return args_keys(a, &nack->n_keys, &nack->keys);
}

static const struct args_clause nack_clauses[] = {ARGS_CLAUSE("KEYS", ARGS_KEYS, nack_keys), {0}};
static const struct args_clause leases_clauses[] = {
    ARGS_MEMBER("TASK", "task", args_task, struct leases_request, task), {0}};

#define LEASE_HEAD "partition=key task lease"

const struct args_syntax request_ack_syntax = {sizeof(struct lease_request), LEASE_HEAD, lease_head,
                                               NULL, NULL};
const struct args_syntax request_nack_syntax = {sizeof(struct lease_request), LEASE_HEAD,
                                                lease_head, nack_clauses, NULL};
const struct args_syntax request_extend_syntax = {
    sizeof(struct extend_request), LEASE_HEAD " ms=integer", extend_head, NULL, NULL};
const struct args_syntax request_leases_syntax = {sizeof(struct leases_request), "partition=key",
                                                  leases_head, leases_clauses, NULL};
