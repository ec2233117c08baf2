/* One peer under measurement, and the rounds in which peers take turns.
 *
 * The speed of a machine changes from minute to minute. So the peers of a scenario alternate, round
 * by round, and the order is reversed each time; a ratio is taken within a round, and the median of
 * the rounds is reported. A round is a number of waves; a wave is what the source yields at once,
 * and only that is timed. Clearing what was put and checking what came back is off the clock. */
#ifndef TQ_BENCHMARK_MEASURE_H
#define TQ_BENCHMARK_MEASURE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "benchmark/drive.h"
#include "benchmark/report.h"
#include "benchmark/series.h"

/* What a wave does in all: known before, the same for all peers of a scenario. */
struct measure_wave {
    uint64_t payload_bytes, samples, requests;
};

struct measure_peer {
    const char *name;
    pid_t pid; /* 0: its processor time is not known */
    struct drive *drive;
    struct drive_source source;
    void *context;
    /* Each may be NULL. Before a wave: resets the source and the server. After it: checks what
     * came back. */
    int (*before)(void *context, struct error *e);
    int (*after)(void *context, struct error *e);

    /* What was measured. */
    struct series gbit, rate, cpu_us; /* a value a round; cpu_us: of the server, a request */
    struct series latency_us;         /* a value a message */
    int64_t elapsed_ns, cpu_ns, client_cpu_ns;
    uint64_t requests;
    size_t resident;      /* the most that was seen at the end of a round */
    uint64_t used_memory; /* as the server reports it; set by the scenario */
};

/* Run so many waves on the clock as one round. */
int measure_round(struct measure_peer *p, const struct measure_wave *wave, size_t waves,
                  struct error *e);

/* One wave whose figures are thrown away. */
int measure_warm_up(struct measure_peer *p, struct error *e);

/* Put the peer's name before the error's text; returns its code. */
int measure_blame(const struct measure_peer *p, struct error *e);

/* Of two series with a value a round, not sorted yet. */
struct report_ratio measure_ratio(const struct series *own, const struct series *peer);

/* Say in *r what was measured of `n` peers, of which the first is the one that the others are
 * compared with. All have had the same number of rounds. */
void measure_summarise(struct measure_peer *const *peers, size_t n, struct report_result *r);

void measure_free(struct measure_peer *p);

#endif
