/* How simdisk.c remembers things. For it and simdisk_crash.c alone. */
#ifndef TQ_TESTS_KIT_SIMDISK_NODE_H
#define TQ_TESTS_KIT_SIMDISK_NODE_H

#include "simdisk.h"

/* A write, or a truncation to `offset`. */
struct simdisk_change {
    bool truncates;
    uint64_t offset;
    size_t len;
    char *bytes;
};

enum { SIMDISK_NOTHING = -1 }; /* a name that stands for no node */

/* A name, and what it stood for: when the directory was synced, …, now. */
struct simdisk_entry {
    char *name;
    int *nodes;
    size_t n, capacity;
};

struct simdisk_node {
    bool directory;
    struct pack now, synced;
    uint64_t reserved;              /* room is kept up to there */
    struct simdisk_change *changes; /* from one to the other */
    size_t n_changes, changes_capacity;
    struct simdisk_entry *entries;
    size_t n_entries, entries_capacity;
};

struct simdisk {
    struct disk disk;
    struct simdisk_node **nodes; /* the first is "/"; none is ever freed */
    size_t n, capacity;
    void (*after)(void *context, struct simdisk *d);
    void *context;
    uint64_t operations, fails_at, limit;
    enum error_code fails_with;
};

extern const struct disk_ops simdisk_ops;

int simdisk_node_new(struct simdisk *d, bool directory);

/* From now on the name stands for that. */
void simdisk_entry_set(struct simdisk_entry *entry, int node);
struct simdisk_entry *simdisk_entry_add(struct simdisk_node *directory, const char *name);

static inline int simdisk_entry_now(const struct simdisk_entry *entry) {
    return entry->nodes[entry->n - 1];
}

/* What the change does to these bytes. */
void simdisk_change_apply(const struct simdisk_change *change, struct pack *bytes);

/* Nothing has changed since it was synced. */
void simdisk_node_settle(struct simdisk_node *node);

#endif
