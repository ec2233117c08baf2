/* Requests at times that are fixed in advance, whatever the replies do.
 *
 * Who waits for a reply before it asks again sends nothing while a server pauses, and so hardly sees
 * the pause. Here request k is due at k / rate seconds, and its latency counts from then: a pause of
 * 50 ms at 1,000 requests a second is 50 late replies. Several lanes, each to a server of its own,
 * send at the same times from one thread: what they all see at once is the machine's, or this
 * process's, and not a server's. */
#ifndef TQ_BENCHMARK_OPENLOOP_H
#define TQ_BENCHMARK_OPENLOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "benchmark/inlet.h"
#include "benchmark/link.h"
#include "benchmark/series.h"

enum { OPENLOOP_LANES = 2 };

struct openloop_lane {
    int fd;
    struct inlet *inlet; /* each request gets one reply */
    /* Request `number`; stays until the next one is asked for. */
    struct span (*next)(void *context, uint64_t number);
    void *context;
    struct series us; /* of a run, in the order of the requests */
};

/* Connected; NULL `next` and *l closed after a failure. */
int openloop_open(struct openloop_lane *l, const struct link_address *a,
                  enum link_transport transport, int buffer, struct error *e);
void openloop_close(struct openloop_lane *l);

struct openloop {
    struct openloop_lane *lanes;
    size_t n;
    double rate; /* requests a second, each lane */
    /* Asked now and then; when it says no, no more are sent, and replies are waited for. Quick. */
    bool (*goes_on)(void *context, double seconds);
    void *context;
};

/* Adds to the lanes' series. */
int openloop_run(const struct openloop *o, struct error *e);

/* The longest of a lane, in µs, and of what is left of each of its latencies when what the other lane saw at
 * the same time is taken off. */
double openloop_longest(const struct openloop_lane *l);
double openloop_longest_beyond(const struct openloop_lane *l, const struct openloop_lane *other,
                               double rate);

#endif
