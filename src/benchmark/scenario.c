/* Runs what the options ask for, in the order they ask it: see scenario.h. */
#include "benchmark/scenario.h"

enum { VALUE_BYTES = 32 * 1024 };

static int renew(struct peer *p, struct error *e) {
    if (p->program) return peer_restart(p, e);
    if (p->running) return control_do(&p->control, NULL, e, "PING", NULL);
    return peer_start(p, e);
}

int bench_renew(struct bench *b, bool with_redis, struct error *e) {
    int failed = renew(&b->tq, e);
    if (!failed && with_redis && b->has_redis) failed = renew(&b->redis, e);
    return failed;
}

static bool is_batch(enum scenario s) {
    return s <= SCENARIO_SAMPLE_ROWS;
}

static int run_batches(struct bench *b, enum scenario scenario, enum batch_mix mix,
                       enum link_transport transport, struct error *e) {
    const struct options *o = b->options;
    size_t value_bytes = o->value_bytes ? o->value_bytes : VALUE_BYTES;
    struct batch_case c = {scenario, {o->samples, o->fields, value_bytes}, mix, transport, false};
    int failed = o->warm ? scenario_batch(b, &c, e) : 0;
    c.cold = true;
    if (!failed && o->cold) failed = scenario_batch(b, &c, e);
    return failed;
}

static int run_over(struct bench *b, enum scenario s, enum link_transport transport,
                    struct error *e) {
    const struct options *o = b->options;
    if (s == SCENARIO_SAMPLE_KEYS) return scenario_sample_keys(b, transport, e);
    if (s == SCENARIO_WAKE) return scenario_wake(b, transport, e);
    if (!is_batch(s) && s != SCENARIO_SWEEP) return scenario_small(b, s, transport, e);
    int failed = 0;
    for (size_t i = 0; i < o->n_mixes && !failed; i++)
        failed = is_batch(s) ? run_batches(b, s, o->mixes[i], transport, e)
                             : scenario_sweep(b, o->mixes[i], transport, e);
    return failed;
}

static int run(struct bench *b, enum scenario s, struct error *e) {
    int failed = 0;
    if (s == SCENARIO_MEMORY) return scenario_memory(b, e);
    if (s == SCENARIO_MEMORY_SMALL) return scenario_memory_small(b, e);
    for (int t = 0; t < LINK_TRANSPORTS && !failed; t++)
        if (b->options->transports[t]) failed = run_over(b, s, (enum link_transport)t, e);
    return failed;
}

int scenario_run_all(struct bench *b, struct error *e) {
    int failed = 0;
    for (size_t i = 0; i < b->options->n_scenarios && !failed; i++)
        failed = run(b, b->options->scenarios[i], e);
    return failed;
}
