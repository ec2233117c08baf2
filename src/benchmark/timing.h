/* Clocks: what time it is, and what a process has used. */
#ifndef TQ_BENCHMARK_TIMING_H
#define TQ_BENCHMARK_TIMING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Nanoseconds since some point in the past. */
int64_t timing_now_ns(void);

/* Processor time that all threads of a process have used, in nanoseconds, exact to the call: the
 * ticks of /proc/PID/stat are too coarse for a call of 50 µs. 0 where there is no such process
 * here. */
int64_t timing_cpu_ns(pid_t pid);

/* The same of this process. */
int64_t timing_own_cpu_ns(void);

/* Resident memory of a process in bytes, by /proc/PID/status; 0 where there is none. */
size_t timing_resident(pid_t pid);

#endif
