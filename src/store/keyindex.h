/* From names to small numbers, without a pause.
 *
 * A hash index that grows to hundreds of millions of keys must not stop the server to rehash. This one is
 * extendible hashing (Fagin, Nievergelt, Pippenger, Strong: "Extendible hashing — a fast access
 * method for dynamic files", ACM TODS 1979): a directory of pages; a page that is full splits in two,
 * and the directory, a few bytes for hundreds of keys, doubles now and then. A page is a table with
 * linear probing whose removals shift back what follows, so there are no tombstones and no clean-up.
 * Two pages that are nearly empty join, and the directory halves: what is left of a large index
 * takes about 40 bytes a name, and an index that became empty 64 bytes.
 *
 * The index holds 32 bits of hash and a 32-bit value a slot, not the names: who owns these compares them. */
#ifndef TQ_STORE_KEYINDEX_H
#define TQ_STORE_KEYINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define KEYINDEX_NONE UINT32_MAX /* no such name; values stay below it */

/* A name in the index: 32 bits of its hash, and what it stands for. */
struct keyindex_slot {
    uint32_t tag, value; /* value KEYINDEX_NONE: free */
};

struct keyindex {
    struct keyindex_page **directory; /* 2^depth entries; NULL while empty */
    uint32_t depth : 6;
    uint32_t n_deepest : 26; /* pages with one entry of the directory; counted from depth 1 on. With
                                2^26 pages an index takes more than 200 GB */
    uint32_t count;          /* names: each value stands for one at most */
    size_t bytes;            /* memory of pages and directory */
};

/* Is `name` the one that `value` stands for? */
typedef bool keyindex_same(const void *context, uint32_t value, struct span name);

/* A zeroed struct keyindex is empty. */
void keyindex_free(struct keyindex *index);

/* An empty index gets room for the pages that `n` names would make it grow to, of which most then
 * need not move; returns how many there are. All have to be made, in order, before the index is
 * used for anything but keyindex_free. */
size_t keyindex_reserve(struct keyindex *index, size_t n);

/* Pages `from` to `to`: about 4 microseconds each. */
void keyindex_make_pages(struct keyindex *index, size_t from, size_t to);

uint32_t keyindex_find(const struct keyindex *index, uint64_t hash, struct span name,
                       keyindex_same *same, const void *context);

/* The name must not be there yet. */
void keyindex_add(struct keyindex *index, uint64_t hash, uint32_t value);

static inline struct keyindex_slot keyindex_slot_of(uint64_t hash, uint32_t value) {
    return (struct keyindex_slot){(uint32_t)(hash >> 32), value};
}

/* Do two values stand for the same name? */
typedef bool keyindex_same_key(const void *context, uint32_t a, uint32_t b);

/* Add many names, in the order of the places they go to: memory of an index that no cache holds is then gone through once, with its
 * pages one after the other, where in any other order each name waits for one. `spare` has room for n; the order of `slots` stays.
 * Returns the value of a name that is there already or comes twice, KEYINDEX_NONE where all are in. */
uint32_t keyindex_add_all(struct keyindex *index, const struct keyindex_slot *slots, size_t n,
                          struct keyindex_slot *spare, keyindex_same_key *same_key,
                          const void *context);

/* The pair must be there. */
void keyindex_remove(struct keyindex *index, uint64_t hash, uint32_t value);

/* Bring the slots of these hashes into the cache, ahead of so many finds: memory is waited for once, not
 * n times. For no more than what a cache holds, a few thousand. */
void keyindex_prefetch(const struct keyindex *index, const uint64_t *hashes, size_t n);

#endif
