/* Entries by threshold: which of them has a growing count reached?
 *
 * A binary heap, the lowest threshold first. An entry is part of what waits and stores its own
 * place, so that it can be taken out from anywhere. Adding and removing are O(log n). */
#ifndef TQ_SERVER_THRESHOLDS_H
#define TQ_SERVER_THRESHOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct threshold {
    uint64_t value;
    size_t place; /* in the heap, from 1 on; 0: in none */
};

/* Zeroed: empty. The entries are borrowed. */
struct thresholds {
    struct threshold **heap; /* heap[0] is not used */
    size_t n, capacity;
};

void thresholds_free(struct thresholds *t);

/* The entry is in no heap. */
void thresholds_add(struct thresholds *t, struct threshold *entry, uint64_t value);

/* No effect if the entry is in no heap. */
void thresholds_remove(struct thresholds *t, struct threshold *entry);

/* Removes and returns an entry whose threshold is not above `count`; NULL if there is none. */
struct threshold *thresholds_pop(struct thresholds *t, uint64_t count);

#endif
