/* What taking a batch costs when the partition is large: see scenario.h.
 *
 * TQ.SAMPLE AS KEYS moves next to nothing, so what is measured is the choosing. The samples are
 * taken from the oldest on, reset off the clock when they run out. The server's processor time
 * for one call, compared between a small and a large partition, says whether the partition's
 * size matters. */
#include "benchmark/commands.h"
#include "benchmark/fill.h"
#include "benchmark/measure.h"
#include "benchmark/scenario.h"

#define PARTITION "benchmark:keys"

enum { CALLS = 1000, FILL_BATCH = 8192, PARTITION_SAMPLES = 10000 };

struct keys_run {
    struct bench *bench;
    struct batch batch; /* one small field; as many samples as a call takes, or as go in at once */
    struct request_writer request;
    const struct iovec *iov;
    size_t n_iov;
    size_t calls, sent; /* of a wave */
    struct replies_counts before;
    struct drive drive;
    struct measure_peer measure;
};

static bool next_call(void *context, size_t connection, struct drive_message *m) {
    struct keys_run *run = context;
    (void)connection;
    if (run->sent == run->calls) return false;
    run->sent++;
    *m = (struct drive_message){run->iov, run->n_iov, 1};
    return true;
}

static int before_wave(void *context, struct error *e) {
    struct keys_run *run = context;
    run->sent = 0;
    run->before = drive_counts(&run->drive);
    return control_do(&run->bench->tq.control, NULL, e, "TQ.RESET", PARTITION, NULL);
}

static int after_wave(void *context, struct error *e) {
    struct keys_run *run = context;
    uint64_t keys = drive_counts(&run->drive).values - run->before.values;
    uint64_t wanted = run->calls * run->bench->options->samples;
    if (keys == wanted) return 0;
    return error_set(e, ERROR_ERR, "a wave of %zu calls brought %llu keys, %llu expected",
                     run->calls, (unsigned long long)keys, (unsigned long long)wanted);
}

/* A partition of at least so many samples; *samples becomes how many. */
static int fill(struct keys_run *run, enum link_transport transport, uint64_t *samples,
                struct error *e) {
    size_t times = (*samples + FILL_BATCH - 1) / FILL_BATCH;
    size_t each = (*samples + times - 1) / times;
    const struct peer *tq = &run->bench->tq;
    int failed = batch_make(&run->batch, each, 1, 1, BATCH_MIX_DENSE, e);
    if (failed) return failed;
    *samples = times * each;
    return fill_partition(&tq->address, transport, (int)run->bench->options->buffer, PARTITION,
                          &run->batch, times, e);
}

static int connect_run(struct keys_run *run, enum link_transport transport, struct error *e) {
    size_t count = run->bench->options->samples;
    struct replies *replies = replies_new_columns(count * BATCH_KEY_LEN, count, e);
    if (!replies) return e->code;
    return drive_open(&run->drive, &run->bench->tq.address, transport,
                      (int)run->bench->options->buffer, 1, 1, &replies, e);
}

static int rounds(struct keys_run *run, uint64_t samples, enum link_transport transport,
                  struct error *e) {
    const struct options *o = run->bench->options;
    uint64_t calls = o->requests ? o->requests : CALLS, room = samples / o->samples;
    run->calls = calls < room ? calls : room;
    size_t waves = (calls + run->calls - 1) / run->calls;
    struct measure_wave wave = {0, run->calls, run->calls};
    commands_sample(&run->request, PARTITION, o->samples, &run->batch, COMMANDS_KEYS);
    run->iov = request_writer_iov(&run->request, &run->n_iov);
    int failed = connect_run(run, transport, e);
    if (!failed) failed = measure_warm_up(&run->measure, e);
    for (size_t r = 0; r < o->rounds && !failed; r++)
        failed = measure_round(&run->measure, &wave, waves, e);
    return failed;
}

static void finish(struct keys_run *run) {
    struct error ignored;
    drive_close(&run->drive);
    request_writer_free(&run->request);
    batch_free(&run->batch);
    measure_free(&run->measure);
    if (run->bench->tq.running)
        control_do(&run->bench->tq.control, NULL, &ignored, "TQ.CLEAR", PARTITION, NULL);
}

/* One partition; *cpu_s is the processor time of a call in the first one, 0 in the first. */
static int run_partition(struct bench *b, uint64_t samples, enum link_transport transport,
                         double *cpu_s, struct error *e) {
    const struct options *o = b->options;
    struct keys_run run = {.bench = b};
    int failed = bench_renew(b, false, e);
    if (failed) return failed;
    run.measure = (struct measure_peer){.name = "tq",
                                        .pid = b->tq.pid,
                                        .drive = &run.drive,
                                        .source = {next_call, &run},
                                        .context = &run,
                                        .before = before_wave,
                                        .after = after_wave};
    failed = fill(&run, transport, &samples, e);
    if (!failed) failed = rounds(&run, samples, transport, e);
    if (!failed) {
        struct measure_peer *measures[1] = {&run.measure};
        struct report_result r = {.scenario = options_scenario_name(SCENARIO_SAMPLE_KEYS),
                                  .samples = o->samples,
                                  .fields = 1,
                                  .transport = link_transport_name(transport),
                                  .connections = 1,
                                  .pipeline = 1,
                                  .rounds = o->rounds,
                                  .waves = run.measure.requests / o->rounds,
                                  .partition_samples = samples};
        measure_summarise(measures, 1, &r);
        double each = r.peers[0].cpu_request_s;
        if (*cpu_s > 0) r.cpu_ratio = each / *cpu_s;
        if (!*cpu_s) *cpu_s = each;
        report_add(&b->report, &r);
    }
    finish(&run);
    return failed;
}

int scenario_sample_keys(struct bench *b, enum link_transport transport, struct error *e) {
    static const uint64_t usual[] = {PARTITION_SAMPLES};
    const struct options *o = b->options;
    const uint64_t *partitions = o->n_partitions ? o->partitions : usual;
    size_t n = o->n_partitions ? o->n_partitions : 1;
    double cpu_s = 0;
    for (size_t i = 0; i < n; i++) {
        if (partitions[i] < o->samples)
            return error_set(e, ERROR_ERR,
                             "a partition of %llu samples is less than a batch of %zu",
                             (unsigned long long)partitions[i], o->samples);
        int failed = run_partition(b, partitions[i], transport, &cpu_s, e);
        if (failed) return failed;
    }
    return 0;
}
