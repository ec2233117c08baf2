/* What the server counts about itself. Plain numbers, added to where things happen. */
#ifndef TQ_SERVER_METRICS_H
#define TQ_SERVER_METRICS_H

#include <stddef.h>
#include <stdint.h>

enum { METRICS_SAMPLES = 16 };

/* A rate: the average over the last METRICS_SAMPLES ticks. */
struct metrics_rate {
    uint64_t per_second[METRICS_SAMPLES];
    uint64_t last; /* the counter at the last tick */
};

struct metrics {
    uint64_t connections; /* accepted */
    uint64_t rejected;    /* turned away at maxclients */
    uint64_t commands;    /* executed */
    uint64_t refused;     /* commands that a gate held back: unknown, arity, memory */
    uint64_t refused_oom; /* of these, for memory */
    uint64_t bytes_in, bytes_out;
    uint64_t bytes_read_directly; /* of bytes_in: straight into chunks */
    uint64_t bytes_sent_by_ref;   /* of bytes_out: straight from chunks */
    uint64_t protocol_errors;
    uint64_t output_cut; /* clients closed for not reading their replies */
    uint64_t halves_shed; /* half-sent commands that were discarded since memory was full */
    uint64_t timed_out;  /* clients closed for being idle */
    size_t memory_peak;  /* highest use seen at a tick */

    /* The ticks' own. */
    int64_t ticked_us;
    size_t tick;
    struct metrics_rate commands_rate, in_rate, out_rate;
};

/* Several times a second: sample the rates and the peak of memory. */
void metrics_tick(struct metrics *m, int64_t now_us, size_t memory_used);

/* Per second, lately. */
uint64_t metrics_per_second(const struct metrics_rate *rate);

/* CONFIG RESETSTAT. */
void metrics_reset(struct metrics *m);

#endif
