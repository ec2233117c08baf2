/* See metrics.h. */
#include "server/metrics.h"

static void rate_tick(struct metrics_rate *rate, size_t tick, uint64_t counter,
                      int64_t elapsed_us) {
    rate->per_second[tick % METRICS_SAMPLES] =
        (counter - rate->last) * 1000000 / (uint64_t)elapsed_us;
    rate->last = counter;
}

void metrics_tick(struct metrics *m, int64_t now_us, size_t memory_used) {
    int64_t elapsed = now_us - m->ticked_us;
    if (memory_used > m->memory_peak) m->memory_peak = memory_used;
    if (elapsed <= 0) return;
    rate_tick(&m->commands_rate, m->tick, m->commands, elapsed);
    rate_tick(&m->in_rate, m->tick, m->bytes_in, elapsed);
    rate_tick(&m->out_rate, m->tick, m->bytes_out, elapsed);
    m->tick++;
    m->ticked_us = now_us;
}

uint64_t metrics_per_second(const struct metrics_rate *rate) {
    uint64_t sum = 0;
    for (size_t i = 0; i < METRICS_SAMPLES; i++) sum += rate->per_second[i];
    return sum / METRICS_SAMPLES;
}

void metrics_reset(struct metrics *m) {
    int64_t ticked_us = m->ticked_us;
    *m = (struct metrics){.ticked_us = ticked_us};
}
