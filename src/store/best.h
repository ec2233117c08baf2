/* The best few of many: a heap with room for so many, the worst of them on top, so that one look tells whether another
 * one is good enough. O(log room) each that is, O(1) each that is not. */
#ifndef TQ_STORE_BEST_H
#define TQ_STORE_BEST_H

#include <stddef.h>
#include <stdint.h>

/* Better: the larger value, then the larger rest, then the lower seq. Values are not NaN. */
struct best_entry {
    double value;
    int64_t rest;
    uint64_t seq;
};

struct best {
    struct best_entry *entries; /* the caller's, `room` of them */
    size_t n, room;
};

void best_offer(struct best *b, struct best_entry entry);

/* Best first. After this nothing can be offered. */
void best_sort(struct best *b);

#endif
