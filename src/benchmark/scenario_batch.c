/* Batches, in columns and rows: see scenario.h. */
#include "benchmark/batch_peer.h"
#include "benchmark/scenario.h"

#include <stdio.h>

#include "benchmark/units.h"

enum {
    ROUND_BYTES = 1000 * 1000 * 1000, /* that a round moves unless -n says otherwise */
    WAVES_MIN = 2,
    WAVES_MAX = 300,
};

static size_t at_least_one(uint64_t n) {
    return n ? n : 1;
}

static size_t waves_of(const struct options *o, const struct batch_setting *s) {
    uint64_t each = s->connections * s->pipeline;
    if (s->cold) return 1;
    if (o->requests) return (o->requests + each - 1) / each;
    uint64_t waves = ROUND_BYTES / at_least_one(s->batch->payload_bytes * each);
    return waves < WAVES_MIN ? WAVES_MIN : waves > WAVES_MAX ? WAVES_MAX : waves;
}

/* Better an error now than an out-of-memory kill later. */
static int check_memory(const struct batch_case *c, size_t slots, bool compare, struct error *e) {
    struct units_text need_text, there_text;
    uint64_t batch = batch_bytes(c->size.samples, c->size.fields, c->size.value_bytes);
    uint64_t need = batch * (3 + 2 * slots + (compare ? 3 + slots : 0)), there = memory_available();
    if (need <= there) return 0;
    return error_set(
        e, ERROR_OOM, "%s of %zu×%zu×%zu bytes needs about %s of memory, and %s are free",
        options_scenario_name(c->scenario), c->size.samples, c->size.fields, c->size.value_bytes,
        units_bytes(need, &need_text), units_bytes(there, &there_text));
}

/* ---- rounds -------------------------------------------------------------------------------- */

static int note_memory(struct batch_peer *p, struct error *e) {
    int64_t used = 0;
    int failed = p->server ? peer_used_memory(p->server, &used, e) : 0;
    p->measure.used_memory = (uint64_t)used;
    return failed;
}

static int warm_rounds(struct batch_peer *peers, size_t n, const struct measure_wave *wave,
                       size_t rounds, size_t waves, struct error *e) {
    int failed = 0;
    for (size_t i = 0; i < n && !failed; i++) failed = batch_peer_open(&peers[i], e);
    for (size_t r = 0; r < rounds && !failed; r++)
        for (size_t i = 0; i < n && !failed; i++)
            failed = measure_round(&peers[r % 2 ? n - 1 - i : i].measure, wave, waves, e);
    for (size_t i = 0; i < n && !failed; i++) failed = note_memory(&peers[i], e);
    for (size_t i = 0; i < n; i++) batch_peer_close(&peers[i]);
    return failed;
}

/* Everything anew for a single wave. */
static int cold_round(struct batch_peer *p, const struct measure_wave *wave, struct error *e) {
    int failed = p->server ? peer_restart(p->server, e) : 0;
    if (failed) return failed;
    failed = batch_peer_open(p, e);
    if (!failed) failed = measure_round(&p->measure, wave, 1, e);
    if (!failed) failed = note_memory(p, e);
    if (!failed) failed = batch_peer_prove(p, e);
    batch_peer_close(p);
    return failed;
}

static int cold_rounds(struct batch_peer *peers, size_t n, const struct measure_wave *wave,
                       size_t rounds, struct error *e) {
    int failed = 0;
    for (size_t r = 0; r < rounds && !failed; r++)
        for (size_t i = 0; i < n && !failed; i++)
            failed = cold_round(&peers[r % 2 ? n - 1 - i : i], wave, e);
    return failed;
}

/* ---- the scenario -------------------------------------------------------------------------- */

static size_t make_peers(struct bench *b, const struct batch_setting *s, struct batch_peer *out) {
    size_t n = 0;
    bool sampling = s->scenario == SCENARIO_SAMPLE || s->scenario == SCENARIO_SAMPLE_ROWS;
    batch_peer_make(&out[n++], BATCH_PEER_TQ, s, &b->tq);
    if (b->options->compare) batch_peer_make(&out[n++], BATCH_PEER_RAW, s, NULL);
    if (b->has_redis && !sampling) batch_peer_make(&out[n++], BATCH_PEER_REDIS, s, &b->redis);
    return n;
}

static int run_setting(struct bench *b, const struct batch_setting *s, struct error *e) {
    const struct options *o = b->options;
    const struct batch *batch = s->batch;
    struct batch_peer peers[REPORT_PEERS];
    struct measure_peer *measures[REPORT_PEERS];
    uint64_t messages = s->connections * s->pipeline;
    struct measure_wave wave = {batch->payload_bytes * messages, batch->samples * messages,
                                messages};
    size_t n = make_peers(b, s, peers), waves = waves_of(o, s);
    for (size_t i = 0; i < n; i++) measures[i] = &peers[i].measure;
    int failed = s->cold ? cold_rounds(peers, n, &wave, o->rounds, e)
                         : warm_rounds(peers, n, &wave, o->rounds, waves, e);
    if (!failed) {
        struct report_result r = {.scenario = options_scenario_name(s->scenario),
                                  .mix = batch_mix_name(batch->mix),
                                  .samples = batch->samples,
                                  .fields = batch->n_fields,
                                  .value_bytes = batch->value_bytes,
                                  .payload_bytes = batch->payload_bytes,
                                  .transport = link_transport_name(s->transport),
                                  .connections = s->connections,
                                  .pipeline = s->pipeline,
                                  .rounds = o->rounds,
                                  .waves = waves,
                                  .cold = s->cold};
        measure_summarise(measures, n, &r);
        report_add(&b->report, &r);
    }
    for (size_t i = 0; i < n; i++) batch_peer_free(&peers[i]);
    return failed;
}

int scenario_batch(struct bench *b, const struct batch_case *c, struct error *e) {
    const struct options *o = b->options;
    char raw_path[WORKDIR_PATH_MAX + 16];
    struct batch batch;
    struct batch_setting setting = {.scenario = c->scenario,
                                    .batch = &batch,
                                    .transport = c->transport,
                                    .buffer = (int)o->buffer,
                                    .connections = at_least_one(o->connections),
                                    .pipeline = at_least_one(o->pipeline),
                                    .cold = c->cold,
                                    .raw_path = raw_path};
    snprintf(raw_path, sizeof(raw_path), "%s/raw.sock", b->workdir.path);
    int failed = check_memory(c, setting.connections * setting.pipeline, o->compare, e);
    if (!failed) failed = bench_renew(b, true, e);
    if (!failed)
        failed =
            batch_make(&batch, c->size.samples, c->size.fields, c->size.value_bytes, c->mix, e);
    if (failed) return failed;
    failed = run_setting(b, &setting, e);
    batch_free(&batch);
    return failed;
}
