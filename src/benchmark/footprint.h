/* What a server and its children hold in memory, together.
 *
 * A page that several of them have is counted once: each process counts it by its share (the Pss of
 * /proc/PID/smaps_rollup), and shares add up to one. Counted are pages of their own (the heap,
 * copies on write) and of shared memory (payload); not those of files, which the system may drop. Page
 * tables are counted too: a child has its own. */
#ifndef TQ_BENCHMARK_FOOTPRINT_H
#define TQ_BENCHMARK_FOOTPRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* In bytes; 0 where the system does not say. Takes its time: it looks at every page, and holds
 * the process up a little. */
uint64_t footprint_of(pid_t pid);

/* The first child of its main thread, 0: none. Quick, and the process does not notice. */
pid_t footprint_child(pid_t pid);

#endif
