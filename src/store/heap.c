/* See heap.h. */
#include "store/heap.h"

#include <stdbool.h>

static bool heap_is_less(const struct heap_entry *a, const struct heap_entry *b) {
    if (a->key != b->key) return a->key < b->key;
    if (a->rest != b->rest) return a->rest < b->rest;
    return a->item > b->item;
}

void heap_push(struct heap *h, struct heap_entry entry) {
    size_t at = h->n++;
    for (; at > 0 && heap_is_less(&entry, &h->entries[(at - 1) / 2]); at = (at - 1) / 2)
        h->entries[at] = h->entries[(at - 1) / 2];
    h->entries[at] = entry;
}

/* Put an entry where the top has become free. */
static void heap_sink(struct heap *h, struct heap_entry entry) {
    struct heap_entry *all = h->entries;
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < h->n; at = child) {
        if (child + 1 < h->n && heap_is_less(&all[child + 1], &all[child])) child++;
        if (!heap_is_less(&all[child], &entry)) break;
        all[at] = all[child];
    }
    all[at] = entry;
}

struct heap_entry heap_pop(struct heap *h) {
    struct heap_entry top = h->entries[0];
    struct heap_entry last = h->entries[--h->n];
    if (h->n) heap_sink(h, last);
    return top;
}

void heap_moved(struct heap *h) {
    heap_sink(h, h->entries[0]);
}

void heap_keep(struct heap *h, size_t room, struct heap_entry entry) {
    if (h->n < room)
        heap_push(h, entry);
    else if (room && heap_is_less(&h->entries[0], &entry))
        heap_sink(h, entry);
}

void heap_sort(struct heap *h) {
    size_t n = h->n;
    while (h->n > 1) {
        struct heap_entry top = heap_pop(h);
        h->entries[h->n] = top;
    }
    h->n = n;
}
