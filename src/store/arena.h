/* Payload memory.
 *
 * Payload lives in chunks, cut from large regions that the arena maps once and recycles for ever:
 * steady work faults in no page. Regions are backed by memfds, shared memory that a fork does not
 * copy; what backs them is this file's secret. Once a cell in a chunk is published its bytes never
 * change, so a reply, a snapshot or a log can refer to a chunk while the store goes on: each reader
 * has a pin.
 *
 * A chunk lives as long as cells point into it or pins hold it. Chunks are known by number, which
 * is what cells store: (chunk, offset, length), never a pointer.
 *
 * Free memory is found by two-level segregated fit (Masmano, Ripoll, Crespo, Real: "TLSF: a new
 * dynamic memory allocator for real-time systems", ECRTS 2004): constant time, good fit, neighbours
 * coalesced; with the headers kept outside, so that payload pages hold payload only.
 *
 * A fork shares the regions. So that a child can read what was there when it began, its parent
 * defers frees: chunks that are given back meanwhile keep their bytes until it resumes them. */
#ifndef TQ_STORE_ARENA_H
#define TQ_STORE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"

enum {
    ARENA_GRAIN = 64,           /* chunks are multiples of it, */
    ARENA_UNIT = 1024,          /* and those of more than half of this are multiples of this */
    ARENA_IDLE_MS = 300 * 1000, /* longer than the pauses of a training loop */
};

/* The longest chunk: offsets and lengths in cells have 32 bits. */
#define ARENA_CHUNK_MAX UINT32_MAX

struct arena;
struct column;

/* Low halves of the first and the last of a run of seqs. */
struct chunk_run {
    uint32_t first, last;
};

struct chunk {
    char *memory;
    uint32_t id;    /* in struct cell; 0 is no chunk */
    uint32_t cells; /* published cells that point in here */
    uint32_t pins;  /* others who read or fill it */
    uint32_t units; /* its size in ARENA_GRAIN */

    /* Kept by the column whose cells these are (column.c), so that it can move them out. */
    struct column *column; /* NULL: of several columns of its owner */
    uint64_t live;        /* bytes of the cells */
    uint64_t first, last; /* the newest run of seqs that cells have */
    struct chunk_run *others; /* the runs before it; their number is bounded by the chunk's size */
    uint32_t n_others, others_capacity;

    /* The arena's own. */
    struct arena *arena;
    struct arena_region *region;
    struct chunk *before, *after;  /* neighbours in memory */
    struct chunk *next, *previous; /* in a free list or in its owner's list */
    struct chunk_list *owner;
    TAILQ_ENTRY(chunk) queue; /* free, resident, not purged: idle; in use and sparse: sparse */
    int64_t idle_ms;          /* free since */
    /* free: how many of its units may be backed by memory, the lowest as a rule */
    uint32_t resident;
    bool in_use;
    uint8_t sparse; /* which sparse queue it is in, an enum arena_sparse; 0: none */
    bool is_purged; /* free: only parts of pages are resident, not in the idle queue */
};

/* The chunks of one owner (a partition), so that they can be given back together. */
struct chunk_list {
    struct chunk *first;
};

struct arena_stats {
    size_t allocated;     /* bytes in chunks, those whose free is deferred included */
    size_t deferred;      /* given back, but their free is deferred */
    size_t mapped;        /* bytes of address space in all regions */
    size_t free_recycled; /* bytes that are free and were used before: still backed by memory */
    size_t chunks;
    size_t regions;
    size_t regions_free;    /* with no chunk in use */
    uint64_t purges_failed; /* times the system refused to take free memory back */
};

/* `region_bytes` is how much address space to map at a time, 0 for the default. Memory is taken
 * from the system only as it is touched. NULL and an error where the system has no memfd. */
struct arena *arena_new(size_t region_bytes, struct error *e);

/* All chunks become invalid. */
void arena_free(struct arena *arena);

/* How large a chunk for `len` bytes is. */
size_t arena_round(size_t len);

/* A chunk of at least `len` bytes (1 to ARENA_CHUNK_MAX), pinned once for the caller, with no
 * cells and no owner, contents undefined. NULL where the system gives no more address space. */
struct chunk *arena_take(struct arena *arena, size_t len);

/* Make sure that calls of arena_take for `len` bytes in total, each rounded up by arena_round,
 * succeed from here on: what a write reserves before it changes anything. */
int arena_reserve(struct arena *arena, size_t len, struct error *e);

/* Free memory goes back to the system when nobody has wanted it for ARENA_IDLE_MS, but for what arena_prefault
 * asked to keep; to be called now and then. Time is whatever clock the caller likes. */
void arena_tick(struct arena *arena, int64_t now_ms);

/* Replace the system's page size, for tests: a multiple of ARENA_UNIT. */
void arena_set_page(struct arena *arena, size_t page);

/* From now on, and until as many calls of arena_resume_frees, no memory of a chunk that is in use
 * now is used again: O(1). */
void arena_defer_frees(struct arena *arena);
/* What was given back meanwhile is free within a few ticks. */
void arena_resume_frees(struct arena *arena);
/* While it does, the owner of a chunk must not write again where others may read. */
bool arena_defers_frees(const struct arena *arena);

/* Back `bytes` of free memory now instead of when it is first touched, and keep as much. ERROR_OOM where the system
 * has not so much. */
int arena_prefault(struct arena *arena, size_t bytes, struct error *e);

/* Chunks with dead bytes wait in queues for compact.c: by how many eighths of them are alive,
 * rounded up, and those that their column still writes to in a queue of their own. */
enum arena_sparse {
    ARENA_SPARSE_NONE,
    ARENA_SPARSE_QUARTER = 2, /* up to here a quarter is alive or less */
    ARENA_SPARSE_MOST = 7,
    ARENA_SPARSE_OPEN,
    ARENA_SPARSE_SWEPT, /* those that compact.c is emptying: they stay until it is done */
    ARENA_SPARSE_QUEUES,
};

/* Move the chunk to the end of a queue, unless it is in that one already. */
void chunk_set_sparse(struct chunk *chunk, unsigned sparse);

/* The first chunk of a queue; NULL: it is empty. */
struct chunk *arena_first_sparse(const struct arena *arena, unsigned sparse);

/* The one behind it in its queue; NULL: it is the last. */
struct chunk *chunk_next_sparse(const struct chunk *chunk);

/* How far the chunks in ARENA_SPARSE_SWEPT are emptied, for compact.c alone. */
struct arena_sweep {
    uint64_t next, last; /* seqs that are still to be looked at */
    size_t column;       /* of the block of `next`: columns before this one are done */
};
struct arena_sweep *arena_sweep(struct arena *arena);

/* Give back what is behind the first `len` bytes (at least 1) of a chunk. */
void chunk_trim(struct chunk *chunk, size_t len);

struct chunk *arena_chunk(const struct arena *arena, uint32_t id);

static inline size_t chunk_size(const struct chunk *chunk) {
    return (size_t)chunk->units * ARENA_GRAIN;
}

/* Put a chunk on an owner's list; it has none yet. */
void chunk_own(struct chunk *chunk, struct chunk_list *owner);

void chunk_pin(struct chunk *chunk);
/* The last one to let go gives the memory back. */
void chunk_unpin(struct chunk *chunk);

/* One cell less points into it. */
void chunk_drop_cell(struct chunk *chunk);

/* The owner goes: no cell is left in any of its chunks. Those that nobody pins are free at once, the
 * others when they are unpinned. Time: per chunk. */
void chunk_list_release(struct chunk_list *owner);

void arena_stats(const struct arena *arena, struct arena_stats *out);

/* Bytes in chunks: arena_stats.allocated alone, for the check on every write. */
size_t arena_allocated(const struct arena *arena);

#endif
