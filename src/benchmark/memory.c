/* See memory.h. */
#include "benchmark/memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int memory_map(struct memory *m, size_t size, bool fault_in, struct error *e) {
    *m = (struct memory){0};
    if (!size) size = 1;
    int fd = memfd_create("tq-benchmark", MFD_CLOEXEC);
    if (fd < 0) return error_set(e, ERROR_OOM, "memfd_create: %s", strerror(errno));
    void *bytes = MAP_FAILED;
    if (!ftruncate(fd, (off_t)size))
        bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int failed = 0;
    if (bytes == MAP_FAILED)
        failed = error_set(e, ERROR_OOM, "can't map %zu bytes: %s", size, strerror(errno));
    close(fd);
    if (failed) return failed;
    if (fault_in) memset(bytes, 1, size);
    *m = (struct memory){bytes, size};
    return 0;
}

void memory_unmap(struct memory *m) {
    if (m->bytes) munmap(m->bytes, m->size);
    *m = (struct memory){0};
}

size_t memory_available(void) {
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file) return SIZE_MAX;
    char line[128];
    unsigned long long kib, found = 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) found = kib;
    fclose(file);
    return found ? (size_t)found * 1024 : SIZE_MAX;
}
