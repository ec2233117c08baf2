/* What a batch scenario sends to one kind of peer: its requests, and the replies that it expects.
 *
 * The raw peer gets tq's requests, so that it has to move exactly the same bytes. */
#ifndef TQ_BENCHMARK_WORKLOAD_H
#define TQ_BENCHMARK_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "benchmark/batch.h"
#include "benchmark/options.h"
#include "benchmark/replies.h"
#include "wire/reply.h"
#include "wire/request_writer.h"

enum { WORKLOAD_PARTITION_MAX = 32 };

/* One message: a request, or a pipeline of them, that is sent as a whole. */
struct workload_request {
    struct request_writer writer;
    const struct iovec *iov;
    size_t n_iov;
};

struct workload {
    enum scenario scenario;
    const struct batch *batch;
    struct workload_request *requests; /* one for each slot, or one for all */
    size_t n_requests;
    uint64_t replies;   /* to one request */
    struct reply reply; /* tq's whole answer to one request */
    struct reply_pool *pool;
    bool columns;    /* replies are columns, not rows */
    bool with_keys;  /* in rows */
    bool is_get;     /* the batch comes back */
    uint64_t values; /* bulk strings in the answer */
};

/* A slot is a place in a pipeline: slot i of them all has its own partition, where the scenario
 * writes or samples, so that all in flight is stored at once. The batch must outlive the
 * workload. */
void workload_make(struct workload *w, enum scenario scenario, bool to_redis, const struct batch *b,
                   size_t slots);
void workload_free(struct workload *w);

/* Whether each slot has a partition of its own, or all share that of slot 0. */
bool workload_has_slots(enum scenario scenario);

/* The partition of a slot, into `out` of WORKLOAD_PARTITION_MAX bytes. */
const char *workload_partition(size_t slot, char *out);

/* A reader for its answers; NULL and an error where there is no memory. */
struct replies *workload_replies(const struct workload *w, struct error *e);

/* Whether the last column reply is the batch, byte by byte. */
int workload_check_columns(const struct workload *w, const struct replies *r, struct error *e);

#endif
