/* See thresholds.h. */
#include "server/thresholds.h"

#include "base/mem.h"

void thresholds_free(struct thresholds *t) {
    mem_free(t->heap);
    *t = (struct thresholds){0};
}

static void thresholds_set(struct thresholds *t, size_t place, struct threshold *entry) {
    t->heap[place] = entry;
    entry->place = place;
}

/* Moves an entry towards the root as long as its parent has a higher threshold. */
static void thresholds_rise(struct thresholds *t, size_t place) {
    struct threshold *entry = t->heap[place];
    for (; place > 1 && t->heap[place / 2]->value > entry->value; place /= 2)
        thresholds_set(t, place, t->heap[place / 2]);
    thresholds_set(t, place, entry);
}

/* Moves an entry towards the leaves as long as a child has a lower threshold. */
static void thresholds_sink(struct thresholds *t, size_t place) {
    struct threshold *entry = t->heap[place];
    for (size_t child; (child = 2 * place) <= t->n; place = child) {
        if (child < t->n && t->heap[child + 1]->value < t->heap[child]->value) child++;
        if (t->heap[child]->value >= entry->value) break;
        thresholds_set(t, place, t->heap[child]);
    }
    thresholds_set(t, place, entry);
}

void thresholds_add(struct thresholds *t, struct threshold *entry, uint64_t value) {
    t->heap = mem_grow(t->heap, &t->capacity, t->n + 2, sizeof(struct threshold *));
    entry->value = value;
    thresholds_set(t, ++t->n, entry);
    thresholds_rise(t, t->n);
}

void thresholds_remove(struct thresholds *t, struct threshold *entry) {
    size_t place = entry->place;
    if (!place) return;
    entry->place = 0;
    struct threshold *last = t->heap[t->n--];
    if (last == entry) return;
    thresholds_set(t, place, last);
    thresholds_rise(t, place);
    thresholds_sink(t, last->place);
}

struct threshold *thresholds_pop(struct thresholds *t, uint64_t count) {
    struct threshold *first = t->n ? t->heap[1] : NULL;
    if (!first || first->value > count) return NULL;
    thresholds_remove(t, first);
    return first;
}
