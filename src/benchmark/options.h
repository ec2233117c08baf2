/* What the user asked for. Letters mean what they mean to redis-benchmark. */
#ifndef TQ_BENCHMARK_OPTIONS_H
#define TQ_BENCHMARK_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "benchmark/batch.h"
#include "benchmark/link.h"
#include "benchmark/report.h"

enum scenario {
    SCENARIO_MPUT,
    SCENARIO_MGET,
    SCENARIO_PUT,
    SCENARIO_GET,
    SCENARIO_SAMPLE,
    SCENARIO_SAMPLE_ROWS,
    SCENARIO_SAMPLE_KEYS,
    SCENARIO_PING,
    SCENARIO_PUT_ONE,
    SCENARIO_GET_ONE,
    SCENARIO_WAKE,
    SCENARIO_MEMORY,
    SCENARIO_MEMORY_SMALL,
    SCENARIO_SWEEP,
    SCENARIOS
};

enum { OPTIONS_LIST_MAX = 32 };

struct options_size {
    size_t samples, fields, value_bytes;
};

struct options {
    struct link_address address; /* of a running server, unless own_server */
    bool own_server;
    char server[LINK_HOST_MAX * 4]; /* the program to start */
    char *const *server_arguments;  /* NULL-terminated, what followed `--` */

    enum scenario scenarios[OPTIONS_LIST_MAX];
    size_t n_scenarios;
    size_t samples, fields;
    uint64_t value_bytes; /* 0: the scenario's own default */
    enum batch_mix mixes[BATCH_MIXES];
    size_t n_mixes;
    bool transports[LINK_TRANSPORTS];
    uint64_t connections, requests, pipeline; /* 0: the scenario's own default */
    uint64_t rounds;
    bool rounds_given;
    uint64_t buffer;                       /* of sockets, each way */
    uint64_t partitions[OPTIONS_LIST_MAX]; /* sizes for sample-keys */
    size_t n_partitions;
    struct options_size sizes[OPTIONS_LIST_MAX]; /* of the sweep; none: the default ones */
    size_t n_sizes;
    bool cold, warm, compare;
    enum report_form form;
    const char *plot;
    const char *directory; /* for what servers keep on disk; NULL: the run's own */
};

enum options_outcome { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

/* Read the command line. OPTIONS_WRONG: *e says what. */
enum options_outcome options_read(struct options *o, int argc, char **argv, struct error *e);

const char *options_scenario_name(enum scenario s);

/* The text of --help. */
extern const char options_help[];

#endif
