/* See lease.h. */
#include "request/lease.h"

static int lease_head(struct args *a, struct lease_request *out) {
    *out = (struct lease_request){0};
    int failed = args_partition(a, &out->partition);
    if (!failed) failed = args_task(a, &out->task);
    return failed ? failed : args_bytes(a, "the lease", &out->id);
}

int request_ack_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                      struct lease_request *out, struct error *e) {
    struct args a = args_open(argv, argc, scratch, e);
    int failed = lease_head(&a, out);
    return failed ? failed : args_end(&a);
}

static int nack_keys(struct args *a, void *request) {
    struct lease_request *nack = request;
    return args_keys(a, &nack->n_keys, &nack->keys);
}

int request_nack_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                       struct lease_request *out, struct error *e) {
    static const struct args_clause table[] = {{"KEYS", nack_keys, false}};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = lease_head(&a, out);
    return failed ? failed : args_clauses(&a, table, sizeof(table) / sizeof(table[0]), out);
}

int request_extend_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                         struct lease_request *out, int64_t *lease_ms, struct error *e) {
    struct args a = args_open(argv, argc, scratch, e);
    int failed = lease_head(&a, out);
    uint64_t ms = 0;
    if (!failed) failed = args_number(&a, "the lease's milliseconds", 1, ARGS_TIME_MAX, &ms);
    *lease_ms = (int64_t)ms;
    return failed ? failed : args_end(&a);
}

static int leases_task(struct args *a, void *request) {
    return args_task(a, request);
}

int request_leases_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                         struct span *partition, struct span *task, struct error *e) {
    static const struct args_clause table[] = {{"TASK", leases_task, false}};
    *task = (struct span){0};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, partition);
    return failed ? failed : args_clauses(&a, table, sizeof(table) / sizeof(table[0]), task);
}
