/* See mem.h. jemalloc takes malloc's place when it is linked; all that is asked of it by name is
 * how much this thread holds. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TQ_SANITIZERS
/* Part of every sanitizer's runtime, but gcc ships no header that says so. */
size_t __sanitizer_get_current_allocated_bytes(void);
#else
#include <jemalloc/jemalloc.h>
#endif

static void *mem_checked(void *ptr, size_t size) {
    if (ptr) return ptr;
    fprintf(stderr, "tq: out of memory allocating %zu bytes\n", size);
    abort();
}

void *mem_alloc(size_t size) {
    return mem_checked(malloc(size ? size : 1), size);
}

void *mem_calloc(size_t count, size_t size) {
    return mem_checked(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *mem_realloc(void *ptr, size_t size) {
    return mem_checked(realloc(ptr, size ? size : 1), size);
}

void *mem_dup(const void *ptr, size_t size) {
    void *copy = mem_alloc(size);
    if (size) memcpy(copy, ptr, size);
    return copy;
}

void mem_free(void *ptr) {
    free(ptr);
}

void *mem_grow(void *vector, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity) return vector;
    if (need > SIZE_MAX / 2 / size) mem_checked(NULL, SIZE_MAX);
    size_t wanted = *capacity ? *capacity : 8;
    while (wanted < need) wanted *= 2;
    *capacity = wanted;
    return mem_realloc(vector, wanted * size);
}

#ifdef TQ_SANITIZERS
size_t mem_used(void) {
    return __sanitizer_get_current_allocated_bytes();
}

const char *mem_allocator(void) {
    return "libc";
}

void mem_trim(void) {
}
#else
size_t mem_used(void) {
    static __thread uint64_t *allocated, *deallocated;
    if (!allocated) {
        size_t size = sizeof(uint64_t *);
        if (mallctl("thread.allocatedp", &allocated, &size, NULL, 0)) return 0;
        if (mallctl("thread.deallocatedp", &deallocated, &size, NULL, 0)) return 0;
    }
    return (size_t)(*allocated - *deallocated);
}

const char *mem_allocator(void) {
    return "jemalloc-" JEMALLOC_VERSION;
}

#define MEM_STRING_OF(x) #x
#define MEM_STRING(x) MEM_STRING_OF(x)

void mem_trim(void) {
    mallctl("arena." MEM_STRING(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
}
#endif
