/* What a batch scenario says to one kind of peer: its requests, and what it is to hear.
 *
 * The raw peer is spoken to in tq's words, so that it has to move exactly the same bytes. */
#ifndef TQ_BENCHMARK_SPEECH_H
#define TQ_BENCHMARK_SPEECH_H

#include <stdbool.h>
#include <stdint.h>

#include "benchmark/batch.h"
#include "benchmark/inlet.h"
#include "benchmark/message.h"
#include "benchmark/options.h"

enum { SPEECH_PARTITION_MAX = 32 };

struct speech {
    enum scenario scenario;
    const struct batch *batch;
    struct message *requests; /* one for each slot, or one for all */
    size_t n_requests;
    uint64_t replies;     /* to one request */
    struct message reply; /* tq's whole answer to one request */
    bool columns;         /* whether landing.c reads it, or rows.c */
    bool with_keys;       /* in rows */
    bool is_get;          /* whether the batch comes back */
    uint64_t values;      /* bulk strings in the answer */
};

/* A slot is a place in a pipeline: slot i of them all has its own partition, where the scenario
 * writes or takes, so that all in flight is stored at once. The batch must outlive the speech. */
void speech_make(struct speech *s, enum scenario scenario, bool to_redis, const struct batch *b,
                 size_t slots);
void speech_free(struct speech *s);

/* Whether each slot has a partition of its own, or all share that of slot 0. */
bool speech_has_slots(enum scenario scenario);

/* The partition of a slot, into `out` of SPEECH_PARTITION_MAX bytes. */
const char *speech_partition(size_t slot, char *out);

/* A reader for its answers; NULL and an error where there is no memory. */
struct inlet *speech_inlet(const struct speech *s, struct error *e);

/* Whether the last answer in a landing is the batch, byte by byte. */
int speech_check_landed(const struct speech *s, const struct inlet *in, struct error *e);

#endif
