/* The scenarios: each puts its peers together, lets measure.h run them, and reports.
 *
 * A scenario leaves nothing behind on the server but memory that is free again. Names of partitions
 * begin with "benchmark:", so that a running server's own data is never touched. */
#ifndef TQ_BENCHMARK_SCENARIO_H
#define TQ_BENCHMARK_SCENARIO_H

#include "base/error.h"
#include "benchmark/options.h"
#include "benchmark/peer.h"
#include "benchmark/report.h"
#include "benchmark/workdir.h"

/* What all scenarios share. */
struct bench {
    const struct options *options;
    struct workdir workdir;
    char files[WORKDIR_FILES_MAX]; /* in which servers that are started get a directory each */
    struct peer tq, redis;
    char redis_program[LINK_HOST_MAX * 4];
    bool has_redis; /* and it is wanted */
    struct report report;
};

/* A fresh process for each peer of this run's own, or a check that the running one still
 * answers. */
int bench_renew(struct bench *b, bool with_redis, struct error *e);

/* A batch scenario (mput … sample-rows) once. */
struct batch_case {
    enum scenario scenario;
    struct options_size size;
    enum batch_mix mix;
    enum link_transport transport;
    bool cold;
};
int scenario_batch(struct bench *b, const struct batch_case *c, struct error *e);

/* mput and mget over the sizes. */
int scenario_sweep(struct bench *b, enum batch_mix mix, enum link_transport transport,
                   struct error *e);

/* sample-keys, over all partition sizes. */
int scenario_sample_keys(struct bench *b, enum link_transport transport, struct error *e);

/* ping, put-one, get-one. */
int scenario_small(struct bench *b, enum scenario scenario, enum link_transport transport,
                   struct error *e);

/* wake. */
int scenario_wake(struct bench *b, enum link_transport transport, struct error *e);

/* What the server holds in memory for what it was given. */
int scenario_memory(struct bench *b, struct error *e);
int scenario_memory_small(struct bench *b, struct error *e);

/* All that the options ask for. */
int scenario_run_all(struct bench *b, struct error *e);

#endif
