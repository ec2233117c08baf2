/* A hash table of things that carry their own link.
 *
 * Nothing is allocated per entry and nothing is copied: whoever owns an entry embeds a struct
 * table_link in it, decides equality by a function, and frees the entry after taking it out. */
#ifndef TQ_SERVER_TABLE_H
#define TQ_SERVER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_link {
    struct table_link *next;
    uint64_t hash;
};

/* A zeroed table is empty. */
struct table {
    struct table_link **buckets;
    size_t size; /* of buckets: a power of two, or 0 */
    size_t count;
};

/* Is this the entry that `key` means? Asked for entries of the same hash only. */
typedef bool table_same(const struct table_link *link, const void *key);

struct table_link *table_find(const struct table *t, uint64_t hash, table_same *same,
                              const void *key);

/* The first link of the chain in which entries of that hash are, others among them; NULL: an empty
 * one. */
static inline struct table_link *table_bucket(const struct table *t, uint64_t hash) {
    return t->size ? t->buckets[hash & (t->size - 1)] : NULL;
}

void table_add(struct table *t, struct table_link *link, uint64_t hash);
/* The link must be in the table. */
void table_remove(struct table *t, struct table_link *link);
/* Frees the buckets; the entries are their owners'. */
void table_free(struct table *t);

/* From a link back to what holds it. */
#define TABLE_ENTRY(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

#endif
