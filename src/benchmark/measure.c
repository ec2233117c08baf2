/* See measure.h. */
#include "benchmark/measure.h"

#include <stdio.h>

#include "benchmark/interrupt.h"
#include "benchmark/timing.h"

int measure_blame(const struct measure_peer *p, struct error *e) {
    struct error cause = *e;
    return error_set(e, cause.code, "%s: %.*s", p->name, ERROR_TEXT_MAX - 32, cause.text);
}

static int one_wave(struct measure_peer *p, struct drive_time *time, int64_t *cpu_ns,
                    int64_t *client_ns, struct error *e) {
    int failed = interrupt_check(e);
    if (!failed && p->before) failed = p->before(p->context, e);
    if (failed) return failed;
    int64_t cpu = timing_cpu_ns(p->pid), own = timing_own_cpu_ns();
    failed = drive_run(p->drive, &p->source, time, e);
    *client_ns = timing_own_cpu_ns() - own;
    *cpu_ns = timing_cpu_ns(p->pid) - cpu;
    if (!failed && p->after) failed = p->after(p->context, e);
    return failed ? measure_blame(p, e) : 0;
}

int measure_warm_up(struct measure_peer *p, struct error *e) {
    struct drive_time time = {0};
    int64_t cpu, own;
    return one_wave(p, &time, &cpu, &own, e);
}

/* What a round has done in so much time. */
static void keep_round(struct measure_peer *p, const struct measure_wave *wave, size_t waves,
                       int64_t elapsed, int64_t server_ns) {
    double seconds = (double)elapsed / 1e9;
    series_add(&p->gbit, (double)(wave->payload_bytes * waves) * 8 / 1e9 / seconds);
    series_add(&p->rate, (double)(wave->samples * waves) / seconds);
    series_add(&p->cpu_us, (double)server_ns / 1e3 / (double)(wave->requests * waves));
    p->cpu_ns += server_ns;
    p->elapsed_ns += elapsed;
    p->requests += wave->requests * waves;
    size_t resident = timing_resident(p->pid);
    if (resident > p->resident) p->resident = resident;
}

int measure_round(struct measure_peer *p, const struct measure_wave *wave, size_t waves,
                  struct error *e) {
    int64_t elapsed = 0, server_ns = 0;
    for (size_t i = 0; i < waves; i++) {
        struct drive_time time = {.latency_us = &p->latency_us};
        int64_t cpu, own;
        int failed = one_wave(p, &time, &cpu, &own, e);
        if (failed) return failed;
        elapsed += time.elapsed_ns;
        server_ns += cpu;
        p->client_cpu_ns += own;
    }
    keep_round(p, wave, waves, elapsed, server_ns);
    return 0;
}

/* Round by round: the rates must not be sorted yet. */
struct report_ratio measure_ratio(const struct series *own, const struct series *peer) {
    struct series ratios = {0};
    for (size_t i = 0; i < own->n && i < peer->n; i++)
        series_add(&ratios, own->values[i] / peer->values[i]);
    struct report_ratio r = {series_median(&ratios), series_quantile(&ratios, 0),
                             series_quantile(&ratios, 1)};
    series_free(&ratios);
    return r;
}

static void summarise(struct measure_peer *p, struct report_peer *out) {
    snprintf(out->name, sizeof(out->name), "%s", p->name);
    out->gbit = series_median(&p->gbit);
    out->rate = series_median(&p->rate);
    out->p50_us = series_quantile(&p->latency_us, 0.5);
    out->p99_us = series_quantile(&p->latency_us, 0.99);
    out->p999_us = series_quantile(&p->latency_us, 0.999);
    out->elapsed_s = (double)p->elapsed_ns / 1e9;
    out->cpu_s = (double)p->cpu_ns / 1e9;
    out->cpu_request_s = series_median(&p->cpu_us) / 1e6;
    out->client_cpu_s = (double)p->client_cpu_ns / 1e9;
    out->requests = p->requests;
    out->resident = p->resident;
    out->used_memory = p->used_memory;
}

void measure_summarise(struct measure_peer *const *peers, size_t n, struct report_result *r) {
    r->n_peers = n;
    for (size_t i = 1; i < n; i++)
        r->peers[i].ratio = measure_ratio(&peers[0]->rate, &peers[i]->rate);
    for (size_t i = 0; i < n; i++) summarise(peers[i], &r->peers[i]);
}

void measure_free(struct measure_peer *p) {
    series_free(&p->gbit);
    series_free(&p->rate);
    series_free(&p->cpu_us);
    series_free(&p->latency_us);
}
