/* See table.h. Chains in buckets, doubled when there are as many entries as buckets. */
#include "server/table.h"

#include "base/mem.h"

enum { TABLE_FIRST = 16 };

static void table_double(struct table *t) {
    size_t size = t->size ? t->size * 2 : TABLE_FIRST;
    struct table_link **buckets = mem_calloc(size, sizeof(*buckets));
    for (size_t i = 0; i < t->size; i++) {
        for (struct table_link *link = t->buckets[i], *next; link; link = next) {
            next = link->next;
            link->next = buckets[link->hash & (size - 1)];
            buckets[link->hash & (size - 1)] = link;
        }
    }
    mem_free(t->buckets);
    t->buckets = buckets;
    t->size = size;
}

struct table_link *table_find(const struct table *t, uint64_t hash, table_same *same,
                              const void *key) {
    if (!t->size) return NULL;
    for (struct table_link *link = t->buckets[hash & (t->size - 1)]; link; link = link->next)
        if (link->hash == hash && same(link, key)) return link;
    return NULL;
}

void table_add(struct table *t, struct table_link *link, uint64_t hash) {
    if (t->count == t->size) table_double(t);
    struct table_link **bucket = &t->buckets[hash & (t->size - 1)];
    link->hash = hash;
    link->next = *bucket;
    *bucket = link;
    t->count++;
}

void table_remove(struct table *t, struct table_link *link) {
    struct table_link **at = &t->buckets[link->hash & (t->size - 1)];
    while (*at != link) at = &(*at)->next;
    *at = link->next;
    t->count--;
}

void table_free(struct table *t) {
    mem_free(t->buckets);
    *t = (struct table){0};
}
