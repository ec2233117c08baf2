/* Rounds of small commands, for the scenarios that differ in whom they send them to. */
#ifndef TQ_BENCHMARK_SMALL_H
#define TQ_BENCHMARK_SMALL_H

#include "benchmark/measure.h"
#include "benchmark/scenario.h"

struct small_server {
    struct peer *peer;
    const char *name; /* in the report */
};

/* A round that the servers have had. */
struct small_round {
    struct measure_wave wave;
    const struct measure_peer *const *servers; /* in the plan's order */
};

struct small_plan {
    enum scenario scenario;                    /* as it is reported */
    enum scenario command;                     /* SCENARIO_PING, _PUT_ONE or _GET_ONE */
    struct small_server servers[REPORT_PEERS]; /* the first is compared with the others */
    size_t n;
    size_t connections, pipeline, requests; /* of a round, about so many */
    enum link_transport transport;
    int (*before)(void *context, struct error *e); /* each round, off the clock; NULL: nothing */
    /* Each round, when the servers have had theirs: the others have one. NULL: there are none. */
    int (*after)(void *context, const struct small_round *round, struct error *e);
    struct measure_peer *others[REPORT_PEERS]; /* in the report, after the servers */
    size_t n_others;                           /* with n at most REPORT_PEERS */
    void *context;
};

int small_run(struct bench *b, const struct small_plan *plan, struct error *e);

#endif
