/* What the server holds for what it was given: see scenario.h.
 *
 * Resident memory is what the system says, not the server. The rounds are those of a long run
 * whose samples change in size: each grows to the same amount of payload with values of another
 * size, is sampled and cleared, in whole or batch by batch; a store that fragments shows it in
 * the end. */
#include <stdio.h>

#include "benchmark/fill.h"
#include "benchmark/scenario.h"
#include "benchmark/timing.h"

#define PARTITION "benchmark:memory"

enum {
    ROUNDS = 20,
    VALUE_MIN = 1024, /* bytes: the smallest in the rounds */
    VALUE_USUAL = 32 * 1024,
    SMALL_VALUE = 64,
    SMALL_SAMPLES = 1000 * 1000,
    SMALL_BATCH = 1000,
    SAMPLE_ALLOWED = 100, /* bytes beyond payload */
    CELL_ALLOWED = 16,
};

struct memory_run {
    struct bench *bench;
    enum link_transport transport;
    size_t resident_empty;
};

static enum link_transport transport_of(const struct options *o) {
    return o->transports[LINK_TCP] ? LINK_TCP : LINK_UNIX;
}

static int begin(struct memory_run *run, struct bench *b, struct error *e) {
    *run = (struct memory_run){.bench = b, .transport = transport_of(b->options)};
    int failed = bench_renew(b, false, e);
    run->resident_empty = timing_resident(b->tq.pid);
    return failed;
}

static int put(struct memory_run *run, struct batch *batch, size_t times, struct error *e) {
    const struct bench *b = run->bench;
    return fill_partition(&b->tq.address, run->transport, (int)b->options->buffer, PARTITION, batch,
                          times, e);
}

static int clear(struct memory_run *run, struct error *e) {
    return control_do(&run->bench->tq.control, NULL, e, "TQ.CLEAR", PARTITION, NULL);
}

static int report(struct memory_run *run, enum scenario scenario, const char *state,
                  const struct batch *batch, size_t times, struct error *e) {
    struct bench *b = run->bench;
    int64_t samples = 0;
    int failed = control_do(&b->tq.control, &samples, e, "TQ.COUNT", PARTITION, NULL);
    if (failed) return failed;
    if (samples != (int64_t)(times * batch->samples))
        return error_set(e, ERROR_ERR, "%lld samples are there, %zu expected", (long long)samples,
                         times * batch->samples);
    struct report_memory m = {.scenario = options_scenario_name(scenario),
                              .state = state,
                              .samples = times * batch->samples,
                              .fields = batch->n_fields,
                              .value_bytes = batch->value_bytes,
                              .payload_bytes = times * batch->payload_bytes,
                              .resident = timing_resident(b->tq.pid),
                              .resident_empty = run->resident_empty};
    m.ratio = (double)m.resident / (double)m.payload_bytes;
    if (scenario == SCENARIO_MEMORY_SMALL) {
        double beyond = (double)m.resident - (double)m.resident_empty - (double)m.payload_bytes;
        m.overhead_sample = beyond / (double)m.samples;
        m.overhead_allowed = SAMPLE_ALLOWED + CELL_ALLOWED * (double)m.fields;
    }
    report_add_memory(&b->report, &m);
    return 0;
}

/* ---- large values -------------------------------------------------------------------------- */

/* Sample all that is there, a batch at a time; with `and_clear`, clear each batch by its keys. */
static int sample_all(struct memory_run *run, struct batch *batch, size_t times, bool and_clear,
                      struct error *e) {
    struct control *control = &run->bench->tq.control;
    char count[24], key[BATCH_KEY_LEN + 1] = "";
    int failed = 0;
    snprintf(count, sizeof(count), "%zu", batch->samples);
    for (size_t i = 0; i < times && !failed; i++)
        failed = control_do(control, NULL, e, "TQ.SAMPLE", PARTITION, "benchmark", "COUNT", count,
                            "FIELDS", "1", "f0", "AS", "KEYS", NULL);
    for (size_t i = 0; and_clear && i < times * batch->samples && !failed; i++) {
        batch_format_key(i, key);
        failed = control_do(control, NULL, e, "TQ.CLEAR", PARTITION, "KEYS", "1", key, NULL);
    }
    return failed;
}

/* Values of 1 KiB up to the largest, not in order and rarely a power of two. */
static size_t round_value(size_t round, size_t largest) {
    if (largest <= VALUE_MIN) return largest;
    size_t step = (largest - VALUE_MIN) / ROUNDS;
    return (VALUE_MIN + round * 7 % ROUNDS * step) & ~(size_t)3;
}

static int one_round(struct memory_run *run, size_t round, size_t peak, size_t largest,
                     struct error *e) {
    const struct options *o = run->bench->options;
    bool last = round == ROUNDS - 1;
    struct batch batch;
    size_t value = last ? largest : round_value(round, largest);
    int failed = batch_make(&batch, o->samples, o->fields, value, BATCH_MIX_DENSE, e);
    if (failed) return failed;
    size_t times = peak / batch.payload_bytes;
    if (!times) times = 1;
    failed = put(run, &batch, times, e);
    if (!failed && last) failed = report(run, SCENARIO_MEMORY, "after 20 rounds", &batch, times, e);
    if (!failed) failed = sample_all(run, &batch, times, round % 2, e);
    if (!failed) failed = clear(run, e);
    batch_free(&batch);
    return failed;
}

int scenario_memory(struct bench *b, struct error *e) {
    const struct options *o = b->options;
    struct memory_run run;
    struct batch batch;
    size_t largest = o->value_bytes ? o->value_bytes : VALUE_USUAL;
    int failed = begin(&run, b, e);
    if (failed) return failed;
    failed = batch_make(&batch, o->samples, o->fields, largest, BATCH_MIX_DENSE, e);
    if (failed) return failed;
    size_t peak = batch.payload_bytes;
    failed = put(&run, &batch, 1, e);
    if (!failed) failed = clear(&run, e);
    if (!failed) failed = put(&run, &batch, 1, e);
    if (!failed) failed = report(&run, SCENARIO_MEMORY, "after a warm put", &batch, 1, e);
    if (!failed) failed = clear(&run, e);
    batch_free(&batch);
    for (size_t i = 0; i < ROUNDS && !failed; i++) failed = one_round(&run, i, peak, largest, e);
    return failed;
}

/* ---- small values -------------------------------------------------------------------------- */

int scenario_memory_small(struct bench *b, struct error *e) {
    const struct options *o = b->options;
    struct memory_run run;
    struct batch batch;
    uint64_t samples = o->n_partitions ? o->partitions[o->n_partitions - 1] : SMALL_SAMPLES;
    size_t each = samples < SMALL_BATCH ? samples : SMALL_BATCH, times = samples / each;
    int failed = begin(&run, b, e);
    if (failed) return failed;
    failed = batch_make(&batch, each, o->fields, o->value_bytes ? o->value_bytes : SMALL_VALUE,
                        BATCH_MIX_DENSE, e);
    if (failed) return failed;
    failed = put(&run, &batch, times, e);
    if (!failed) failed = report(&run, SCENARIO_MEMORY_SMALL, "put once", &batch, times, e);
    if (!failed) failed = clear(&run, e);
    batch_free(&batch);
    return failed;
}
