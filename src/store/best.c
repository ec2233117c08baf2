/* See best.h. */
#include "store/best.h"

#include <stdbool.h>

static bool best_is_worse(const struct best_entry *a, const struct best_entry *b) {
    if (a->value != b->value) return a->value < b->value;
    if (a->rest != b->rest) return a->rest < b->rest;
    return a->seq > b->seq;
}

/* Put `entry` where the place `at` has become free: up from there, towards the top. */
static void best_rise(struct best_entry *heap, size_t at, struct best_entry entry) {
    while (at > 0 && best_is_worse(&entry, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = entry;
}

/* Put `entry` where the top has become free. */
static void best_sink(struct best_entry *heap, size_t n, struct best_entry entry) {
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && best_is_worse(&heap[child + 1], &heap[child])) child++;
        if (!best_is_worse(&heap[child], &entry)) break;
        heap[at] = heap[child];
    }
    heap[at] = entry;
}

void best_offer(struct best *b, struct best_entry entry) {
    if (b->n < b->room)
        best_rise(b->entries, b->n++, entry);
    else if (b->room && best_is_worse(&b->entries[0], &entry))
        best_sink(b->entries, b->n, entry);
}

void best_sort(struct best *b) {
    for (size_t left = b->n; left > 1; left--) {
        struct best_entry last = b->entries[left - 1];
        b->entries[left - 1] = b->entries[0];
        best_sink(b->entries, left - 1, last);
    }
}
