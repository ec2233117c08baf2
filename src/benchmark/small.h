/* Rounds of small commands, for the scenarios that differ in whom they send them to. */
#ifndef TQ_BENCHMARK_SMALL_H
#define TQ_BENCHMARK_SMALL_H

#include "benchmark/scenario.h"

struct small_server {
    struct peer *peer;
    const char *name; /* in the report */
};

struct small_plan {
    enum scenario scenario;                    /* as it is reported */
    enum scenario command;                     /* SCENARIO_PING, _PUT_ONE or _GET_ONE */
    struct small_server servers[REPORT_PEERS]; /* the first is compared with the others */
    size_t n;
    size_t connections, pipeline, requests; /* of a round, about so many */
    enum link_transport transport;
    int (*before)(void *context, struct error *e); /* each round, off the clock; NULL: nothing */
    void *context;
};

int small_run(struct bench *b, const struct small_plan *plan, struct error *e);

#endif
