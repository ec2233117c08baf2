/* See timing.h. */
#include "benchmark/timing.h"

#include <stdio.h>
#include <time.h>

static int64_t read_ns(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t)) return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t timing_now_ns(void) {
    return read_ns(CLOCK_MONOTONIC);
}

int64_t timing_cpu_ns(pid_t pid) {
    clockid_t clock;
    if (pid <= 0 || clock_getcpuclockid(pid, &clock)) return 0;
    return read_ns(clock);
}

int64_t timing_own_cpu_ns(void) {
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

size_t timing_resident(pid_t pid) {
    char path[64], line[128];
    unsigned long long kib = 0;
    if (pid <= 0) return 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (fgets(line, sizeof(line), file) && sscanf(line, "VmRSS: %llu kB", &kib) != 1) continue;
    fclose(file);
    return (size_t)kib * 1024;
}
