/* A heap: the least entry is on top. O(log n) for each that comes or goes.
 *
 * Turned round it keeps the best few of many: the least of those kept is on top, so that one look tells whether another
 * one is good enough. */
#ifndef TQ_STORE_HEAP_H
#define TQ_STORE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Less: the smaller key, then the smaller rest, then the larger item. Keys are not NaN. */
struct heap_entry {
    double key;
    int64_t rest;
    uint64_t item;
};

struct heap {
    struct heap_entry *entries; /* the caller's, with room for all that is pushed */
    size_t n;
};

void heap_push(struct heap *h, struct heap_entry entry);

/* The top goes. There is one. */
struct heap_entry heap_pop(struct heap *h);

/* The top has become greater. */
void heap_moved(struct heap *h);

/* The heap holds the greatest `room` of all that were kept so. */
void heap_keep(struct heap *h, size_t room, struct heap_entry entry);

/* The entries are sorted, greatest first, and no heap any more. */
void heap_sort(struct heap *h);

#endif
