/* Requests at times that are fixed in advance, whatever the replies do.
 *
 * Who waits for a reply before it asks again sends nothing while a server pauses, and so hardly sees
 * the pause. Here request k is due at k / rate seconds, and its latency counts from then: a pause of
 * 50 ms at 1,000 requests a second is 50 late replies. Several lanes, each to a server of its own,
 * send at the same times from one thread.
 *
 * The times are those of the machine's clock (witness.h). By a clock that goes on while the machine
 * stands, a second of that would make a thousand requests due at one instant, and their queue would
 * pass for a server's pause. */
#ifndef TQ_BENCHMARK_OPENLOOP_H
#define TQ_BENCHMARK_OPENLOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "benchmark/inlet.h"
#include "benchmark/link.h"
#include "benchmark/series.h"
#include "benchmark/witness.h"

enum { OPENLOOP_LANES = 2 };

struct openloop_lane {
    int fd;
    struct inlet *inlet; /* each request gets one reply */
    /* Request `number`; stays until the next one is asked for. */
    struct span (*next)(void *context, uint64_t number);
    void *context;
    /* Of the last run, in the order of the requests: when replies came, since its begin; latencies by
     * the clock, by the machine's, and of that what all processors were seen at work. */
    struct series came_ns, clock_us, machine_us, beyond_us;
};

/* Connected; NULL `next` and *l closed after a failure. */
int openloop_open(struct openloop_lane *l, const struct link_address *a,
                  enum link_transport transport, int buffer, struct error *e);
void openloop_close(struct openloop_lane *l);

struct openloop {
    struct openloop_lane *lanes;
    size_t n;
    double rate;             /* requests a second, each lane */
    struct witness *witness; /* NULL: the machine's clock is the clock */
    /* Asked now and then; when it says no, no more are sent, and replies are waited for. Quick. */
    bool (*goes_on)(void *context, double seconds);
    void *context;
};

/* How long it took, and how long the machine stood meanwhile; in seconds, by the clock. */
struct openloop_time {
    double took_s, stood_s;
};

/* Fills the lanes' series anew. */
int openloop_run(const struct openloop *o, struct openloop_time *time, struct error *e);

#endif
