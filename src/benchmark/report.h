/* Results, and the forms in which they are given: a table for people, JSON, CSV, a plot.
 *
 * A result is printed as soon as it is there, and kept for the plot. JSON and CSV have the same
 * names for the same things; times are in microseconds or seconds, sizes in bytes, and the names
 * say which. */
#ifndef TQ_BENCHMARK_REPORT_H
#define TQ_BENCHMARK_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum report_form { REPORT_TABLE, REPORT_QUIET, REPORT_JSON, REPORT_CSV };

enum { REPORT_PEERS = 3 };

/* Of ours to the other's, by round. median 0: there is none. */
struct report_ratio {
    double median, min, max;
};

struct report_peer {
    char name[16];
    double gbit, rate; /* medians of the rounds; rate in samples or requests a second */
    double p50_us, p99_us, p999_us;        /* of a message, first byte sent to last byte received */
    double elapsed_s, cpu_s, client_cpu_s; /* on the clock, over all rounds; cpu_s: of the server */
    double cpu_request_s;                  /* of the server, a request: median of the rounds */
    uint64_t requests;
    size_t resident;
    uint64_t used_memory; /* 0: it does not say */
    struct report_ratio ratio;
    struct report_ratio p50_ratio, p99_ratio; /* of times: the smaller the better */
};

struct report_result {
    const char *scenario;
    const char *mix;                     /* NULL where there is no batch */
    size_t samples, fields, value_bytes; /* of a batch; samples 0: single commands */
    uint64_t payload_bytes;              /* of a batch */
    const char *transport;
    size_t connections, pipeline, rounds, waves;
    bool cold;
    uint64_t partition_samples; /* 0: the batch is all that there is */
    double cpu_ratio; /* server CPU time a request, to that of the first partition; 0: none */
    size_t n_peers;
    struct report_peer peers[REPORT_PEERS];
};

/* What the server holds beside what it was given. */
struct report_memory {
    const char *scenario, *state;
    size_t samples, fields, value_bytes;
    uint64_t payload_bytes, resident, resident_empty;
    double ratio;                             /* resident to payload */
    double overhead_sample, overhead_allowed; /* bytes a sample beyond payload; 0: not asked for */
};

struct report {
    enum report_form form;
    FILE *out;
    size_t printed;
    struct report_result *results; /* kept */
    size_t n, capacity;
};

/* Begin and end; between them any number of results. */
void report_begin(struct report *r, enum report_form form, FILE *out);
void report_end(struct report *r);

void report_add(struct report *r, const struct report_result *result);
void report_add_memory(struct report *r, const struct report_memory *m);

/* A remark beside the results; printed in the table form only. */
void report_note(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The forms, each in its file. */
void report_table(FILE *out, const struct report_result *result);
void report_table_memory(FILE *out, const struct report_memory *m);
void report_quiet(FILE *out, const struct report_result *result);
void report_json_begin(FILE *out);
void report_json(FILE *out, const struct report_result *result);
void report_json_memory(FILE *out, const struct report_memory *m);
void report_json_end(FILE *out);
void report_csv_begin(FILE *out);
void report_csv(FILE *out, const struct report_result *result);
void report_csv_memory(FILE *out, const struct report_memory *m);

#endif
