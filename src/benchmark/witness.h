/* When the machine stood still.
 *
 * A virtual machine may be stopped by its host, as a whole, for longer than any server pauses; its
 * clock goes on, and a latency then tells of the host. Who sits inside can see it: on each processor
 * a witness of real-time priority sleeps for a moment, again and again, and notes when it woke late.
 * While all processors are late at once hardly any task of this system can be the cause: the machine
 * stood. While some are, it was either a stop of that processor or work of the kernel
 * that can't be interrupted, which may be a server's: that is told, but is no excuse.
 *
 * When a stop began is known to one sleep, 0.2 ms, and a machine that gets its processors in
 * crumbs has a hundred stops in a second: that adds up. So the two figures err on opposite sides.
 * All stood at least so long: each from when it was due. Any stood at most so long: each from when
 * it was seen last; in the rest all processors were seen at work. One thread may ask. Where w is NULL
 * nothing ever stood. */
#ifndef TQ_BENCHMARK_WITNESS_H
#define TQ_BENCHMARK_WITNESS_H

#include <stdint.h>

#include "base/error.h"

struct witness;

/* NULL and an error where real-time priority is not permitted: lateness would prove nothing. */
struct witness *witness_start(struct error *e);
void witness_stop(struct witness *w);

/* The machine's clock: time as of timing_now_ns, but it stands while the machine stands. */
int64_t witness_clock_ns(struct witness *w);

/* Waits until all is known that was before `until`. Of what follows, only of such times is all
 * known. */
void witness_settle(const struct witness *w, int64_t until);

/* Of the time from..to: how long all processors stood at least, and any of them at most. */
int64_t witness_all_ns(struct witness *w, int64_t from, int64_t to);
int64_t witness_any_ns(struct witness *w, int64_t from, int64_t to);

/* When the machine's clock has gone on by `ns` since `from`. */
int64_t witness_after(struct witness *w, int64_t from, int64_t ns);

#endif
