/* See footprint.h. */
#include "benchmark/footprint.h"

#include <stdio.h>

/* The sum of these lines of a file of /proc, in bytes. */
static uint64_t sum_lines(pid_t pid, const char *name, const char *const *formats) {
    char path[64], line[256];
    unsigned long long kib, sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (fgets(line, sizeof(line), file))
        for (size_t i = 0; formats[i]; i++)
            if (sscanf(line, formats[i], &kib) == 1) sum += kib * 1024;
    fclose(file);
    return sum;
}

static uint64_t footprint_of_one(pid_t pid) {
    static const char *const pages[] = {"Pss_Anon: %llu kB", "Pss_Shmem: %llu kB", NULL};
    static const char *const tables[] = {"VmPTE: %llu kB", NULL};
    uint64_t sum = sum_lines(pid, "smaps_rollup", pages);
    return sum ? sum + sum_lines(pid, "status", tables) : 0;
}

pid_t footprint_child(pid_t pid) {
    char path[64];
    int child = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    if (fscanf(file, "%d", &child) != 1) child = 0;
    fclose(file);
    return child;
}

uint64_t footprint_of(pid_t pid) {
    pid_t child = footprint_child(pid);
    return footprint_of_one(pid) + (child ? footprint_of_one(child) : 0);
}
