/* Small allocations.
 *
 * Indexes, bit sets, names: things that are small next to the payload. They come from malloc
 * (jemalloc, where it is linked). When the system has no memory left for these there is nothing
 * sensible to answer to anyone, so running out ends the process with a message; what can be large
 * because a client says so is payload, comes from the arena and fails with -OOM. */
#ifndef TQ_BASE_MEM_H
#define TQ_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *ptr, size_t size);
void *mem_dup(const void *ptr, size_t size);
void mem_free(void *ptr);

/* Bytes handed out and not yet freed by the calling thread, in O(1): the main thread's figure
 * is what the server holds beside payload. */
size_t mem_used(void);

/* The allocator's name and version, for INFO: "jemalloc-5.3.0", or "libc" in sanitizer builds. */
const char *mem_allocator(void);

/* Grow a vector: room for at least `need` items of `size` bytes, doubling, so that appending is
 * constant on average. *capacity is in items. Returns the (moved) vector. */
void *mem_grow(void *vector, size_t *capacity, size_t need, size_t size);

/* Pages that the allocator keeps for reuse go back to the system. Takes about a millisecond for a
 * hundred megabytes. */
void mem_trim(void);

#endif
