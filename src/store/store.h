/* The store: partitions of samples, in columns.
 *
 * This is the module's main header. A store is opened with store_new; several may exist side by
 * side. Data is changed by store_apply alone. What a client wants is first planned against the
 * present state (put.h, sample.h, clear.h), which checks everything and reserves memory; the op
 * that comes out is then applied and cannot fail. Reading needs no plan: find the partition, look
 * up samples, borrow values (partition.h, column.h).
 *
 * No socket, no file, no clock in here: time comes in as an argument. */
#ifndef TQ_STORE_STORE_H
#define TQ_STORE_STORE_H

#include <stdint.h>

#include "base/error.h"
#include "store/arena.h"
#include "store/lease.h"
#include "store/op.h"
#include "store/partition.h"

struct store;

/* NULL and an error where the system has no memory for payload. */
struct store *store_new(struct error *e);
void store_free(struct store *s);

/* Ids of leases that are given from now on have not been given before, by a store that this one was
 * saved from either, nor by one whose last minutes were lost: they begin with the time of day, up
 * to LEASE_ID_BEGIN_MAX (the year 2108), else behind the last one. Holds of ONCE are bounded
 * (once_bound). Called once, before clients are served. */
void store_begin_leases(struct store *s, int64_t now_ms);

struct arena *store_arena(const struct store *s);
const struct leases *store_leases(const struct store *s);

/* Called after each op was applied, with the op. One hook; NULL takes it out. */
void store_on_change(struct store *s, void (*hook)(void *context, const struct op *op),
                     void *context);

/* Do what the op says. The op has been planned against the present state, or was applied before to
 * a store in the same state. Returns how many samples it changed: new ones (OP_PUT), consumed or
 * leased (OP_SAMPLE, OP_ACK), given back (OP_EXPIRE, OP_NACK), held (OP_EXTEND), unconsumed
 * (OP_RESET), touched (OP_CLEAR, OP_ERASE), dropped and adopted partitions (OP_DROP, OP_ADOPT),
 * else 0. */
size_t store_apply(struct store *s, const struct op *op);

/* NULL where unknown. Valid until the next change. */
struct partition *store_find(const struct store *s, struct span name);

size_t store_partitions(const struct store *s);

/* How much memory ops about tasks (samples that are consumed, leases, ranks, holders, names in
 * bounds) have taken, less what they and the clearing of samples have given back of it. Indexes are
 * not in it. Counted from the time at which a partition came into the store, whatever it brought
 * with it: only differences mean something. */
int64_t store_task_bytes(const struct store *s);

/* Walk over partitions: *cursor is 0 to begin and 0 again at the end, when NULL is returned. A partition present throughout
 * is seen exactly once, whatever comes and goes meanwhile. */
struct partition *store_next(const struct store *s, uint64_t *cursor);

/* Housekeeping, in small steps: mostly dead chunks are moved out, memory long idle goes back to the system. True where there
 * is more to do soon. Changes nothing that anyone sees. */
bool store_tick(struct store *s, int64_t now_ms);

/* Move live bytes out of the deadest chunk, for memory: compact_squeeze. */
struct compact_budget;
bool store_squeeze(struct store *s, uint64_t largest, struct compact_budget *budget);

/* What bounds the kept answers of WHERE (matches.h): set `most`, or free them with
 * match_cache_drop. */
struct match_cache;
struct match_cache *store_matches(struct store *s);

/* A dropped partition is unknown and its payload is given back at once. Its indexes, which take
 * time per sample to free, are freed by store_reclaim: at most about `steps` blocks of 1,024
 * samples (or single groups) a call. They count in mem_used until then. */
bool store_is_reclaiming(const struct store *s);
void store_reclaim(struct store *s, size_t steps);

/* Indexes that were declared, or loaded, when samples were there are built by
 * store_build_indexes: at most `samples` of them enter a call (tagindex.h). What the indexes are
 * going to take until they are complete, in bytes; 0: all are. Indexes that are declared no longer
 * are freed by store_reclaim. */
size_t store_building_bytes(const struct store *s);
bool store_is_building(const struct store *s);
void store_build_indexes(struct store *s, size_t samples);

struct store_stats {
    uint64_t partitions, samples;
    uint64_t payload_bytes;  /* of field values alive */
    uint64_t live_bytes;     /* what is alive in chunks: payload, keys, tags */
    uint64_t overhead_bytes; /* keys, tags, indexes, bit sets, cells */
    struct arena_stats arena;
};

/* Walks over partitions and their columns. */
void store_stats(const struct store *s, struct store_stats *out);

#endif
