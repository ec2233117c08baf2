/* See arena.h. */
#include "store/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

#ifdef TQ_SANITIZERS
#include <sanitizer/asan_interface.h>
#define ARENA_POISON(ptr, len) __asan_poison_memory_region(ptr, len)
#define ARENA_UNPOISON(ptr, len) __asan_unpoison_memory_region(ptr, len)
#else
#define ARENA_POISON(ptr, len) ((void)(ptr), (void)(len))
#define ARENA_UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif

/* Sizes in units fall into bins: below STEPS one bin a size, above it STEPS bins for each power of two. */
enum { STEP_BITS = 3, STEPS = 1 << STEP_BITS, LEVELS = 32, SLAB_HEADERS = 128 };

#define REGION_BYTES (UINT64_C(1) << 30)

struct arena_region {
    struct arena_region *next;
    char *memory;
    size_t bytes;
    size_t units_used;
};

TAILQ_HEAD(chunk_queue, chunk);

struct header_slab {
    struct header_slab *next;
    struct chunk headers[SLAB_HEADERS];
};

struct arena {
    size_t region_bytes;
    struct arena_region *regions;
    uint32_t levels;       /* bit l: some bin of level l has a chunk */
    uint8_t steps[LEVELS]; /* bit s: bin (l, s) has one */
    struct chunk *bins[LEVELS][STEPS];
    struct chunk **chunks; /* by id */
    size_t chunks_capacity;
    uint32_t chunks_end; /* ids given out so far */
    uint32_t *spare_ids;
    size_t n_spare, spare_capacity;
    struct header_slab *slabs;
    struct chunk *headers; /* unused headers, linked by next */
    size_t units_used, chunks_used;
    struct chunk_queue idle; /* free and resident, the longest idle first */
    size_t units_idle;
    size_t keep; /* bytes that stay resident though idle */
    struct chunk_queue sparse[ARENA_SPARSE_QUEUES]; /* the first is not used */
    struct arena_sweep sweep;
    unsigned deferrals;
    struct chunk *deferred; /* given back while frees are deferred, linked by next */
    size_t units_deferred;
    int64_t now_ms;
    size_t page; /* bytes; the granule in which the system takes memory back */
    uint64_t purges_failed;
};

/* ---- bins --------------------------------------------------------------------------------- */

struct bin {
    unsigned level, step;
};

static struct bin bin_of(uint32_t units) {
    if (units < STEPS) return (struct bin){0, units};
    unsigned top = 31u - (unsigned)__builtin_clz(units);
    return (struct bin){top - STEP_BITS + 1, (units >> (top - STEP_BITS)) - STEPS};
}

static void bin_add(struct arena *arena, struct chunk *chunk) {
    struct bin bin = bin_of(chunk->units);
    struct chunk **head = &arena->bins[bin.level][bin.step];
    chunk->previous = NULL;
    chunk->next = *head;
    if (*head) (*head)->previous = chunk;
    *head = chunk;
    arena->steps[bin.level] |= (uint8_t)(1u << bin.step);
    arena->levels |= 1u << bin.level;
}

static void bin_remove(struct arena *arena, struct chunk *chunk) {
    struct bin bin = bin_of(chunk->units);
    struct chunk **head = &arena->bins[bin.level][bin.step];
    if (chunk->previous)
        chunk->previous->next = chunk->next;
    else
        *head = chunk->next;
    if (chunk->next) chunk->next->previous = chunk->previous;
    if (*head) return;
    arena->steps[bin.level] &= (uint8_t) ~(1u << bin.step);
    if (!arena->steps[bin.level]) arena->levels &= ~(1u << bin.level);
}

/* A free chunk of at least `units`, if there is one. The first of its own bin may fit; every one of a higher bin
 * does; before a region is mapped for it, the rest of its own bin is looked through. */
static struct chunk *bin_find(const struct arena *arena, uint32_t units) {
    struct bin bin = bin_of(units);
    struct chunk *own = arena->bins[bin.level][bin.step];
    if (own && own->units >= units) return own;
    unsigned steps = arena->steps[bin.level] & (~0u << (bin.step + 1));
    if (steps) return arena->bins[bin.level][__builtin_ctz(steps)];
    uint32_t levels = bin.level + 1 < LEVELS ? arena->levels & (~0u << (bin.level + 1)) : 0;
    if (!levels) {
        while (own && own->units < units) own = own->next;
        return own;
    }
    unsigned level = (unsigned)__builtin_ctz(levels);
    return arena->bins[level][__builtin_ctz(arena->steps[level])];
}

/* ---- headers and numbers ------------------------------------------------------------------ */

static void header_free(struct arena *arena, struct chunk *chunk) {
    chunk->next = arena->headers;
    arena->headers = chunk;
}

static struct chunk *header_new(struct arena *arena) {
    if (!arena->headers) {
        struct header_slab *slab = mem_alloc(sizeof(*slab));
        slab->next = arena->slabs;
        arena->slabs = slab;
        for (size_t i = 0; i < SLAB_HEADERS; i++) header_free(arena, &slab->headers[i]);
    }
    struct chunk *chunk = arena->headers;
    arena->headers = chunk->next;
    *chunk = (struct chunk){.arena = arena};
    return chunk;
}

static void chunk_number(struct arena *arena, struct chunk *chunk) {
    if (arena->n_spare) {
        chunk->id = arena->spare_ids[--arena->n_spare];
    } else {
        chunk->id = ++arena->chunks_end;
        arena->chunks = mem_grow(arena->chunks, &arena->chunks_capacity, (size_t)chunk->id + 1,
                                 sizeof(*arena->chunks));
    }
    arena->chunks[chunk->id] = chunk;
}

static void chunk_unnumber(struct arena *arena, struct chunk *chunk) {
    arena->chunks[chunk->id] = NULL;
    arena->spare_ids = mem_grow(arena->spare_ids, &arena->spare_capacity, arena->n_spare + 1,
                                sizeof(*arena->spare_ids));
    arena->spare_ids[arena->n_spare++] = chunk->id;
}

struct chunk *arena_chunk(const struct arena *arena, uint32_t id) {
    return arena->chunks[id];
}

/* ---- regions ------------------------------------------------------------------------------ */

static struct arena_region *region_map(size_t bytes, struct error *e) {
    int fd = memfd_create("tq-payload", MFD_CLOEXEC);
    if (fd < 0) {
        error_set(e, ERROR_OOM, "memfd_create: %s", strerror(errno));
        return NULL;
    }
    void *memory = MAP_FAILED;
    if (ftruncate(fd, (off_t)bytes) == 0)
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        error_set(e, ERROR_OOM, "can't map %zu bytes for payload: %s", bytes, strerror(errno));
    close(fd);
    if (memory == MAP_FAILED) return NULL;
    struct arena_region *region = mem_alloc(sizeof(*region));
    *region = (struct arena_region){.memory = memory, .bytes = bytes};
    ARENA_POISON(memory, bytes);
    return region;
}

static int arena_add_region(struct arena *arena, size_t need, struct error *e) {
    size_t bytes = (need + arena->region_bytes - 1) / arena->region_bytes * arena->region_bytes;
    struct arena_region *region = region_map(bytes, e);
    if (!region) return ERROR_OOM;
    region->next = arena->regions;
    arena->regions = region;
    struct chunk *all = header_new(arena);
    all->memory = region->memory;
    all->units = (uint32_t)(bytes / ARENA_GRAIN);
    all->region = region;
    bin_add(arena, all);
    return 0;
}

struct arena *arena_new(size_t region_bytes, struct error *e) {
    struct arena *arena = mem_calloc(1, sizeof(*arena));
    arena->region_bytes = region_bytes ? region_bytes : REGION_BYTES;
    arena->page = (size_t)sysconf(_SC_PAGESIZE);
    TAILQ_INIT(&arena->idle);
    for (size_t i = 0; i < ARENA_SPARSE_QUEUES; i++) TAILQ_INIT(&arena->sparse[i]);
    if (arena_add_region(arena, arena->region_bytes, e)) {
        arena_free(arena);
        return NULL;
    }
    return arena;
}

void arena_free(struct arena *arena) {
    while (arena->regions) {
        struct arena_region *region = arena->regions;
        arena->regions = region->next;
        ARENA_UNPOISON(region->memory, region->bytes);
        munmap(region->memory, region->bytes);
        mem_free(region);
    }
    for (uint32_t id = 1; id <= arena->chunks_end; id++)
        if (arena->chunks[id]) mem_free(arena->chunks[id]->others);
    while (arena->slabs) {
        struct header_slab *slab = arena->slabs;
        arena->slabs = slab->next;
        mem_free(slab);
    }
    mem_free(arena->chunks);
    mem_free(arena->spare_ids);
    mem_free(arena);
}

/* ---- chunks ------------------------------------------------------------------------------- */

size_t arena_round(size_t len) {
    size_t unit = len > ARENA_UNIT / 2 ? ARENA_UNIT : ARENA_GRAIN;
    return (len + unit - 1) / unit * unit;
}

static uint32_t units_of(size_t len) {
    return (uint32_t)(arena_round(len) / ARENA_GRAIN);
}

/* Cut a free or used chunk behind `units`; what is behind becomes a chunk that is in no bin yet. */
static struct chunk *chunk_split(struct chunk *chunk, uint32_t units) {
    struct chunk *rest = header_new(chunk->arena);
    rest->region = chunk->region;
    rest->memory = chunk->memory + (size_t)units * ARENA_GRAIN;
    rest->units = chunk->units - units;
    rest->before = chunk;
    rest->after = chunk->after;
    if (rest->after) rest->after->before = rest;
    chunk->after = rest;
    chunk->units = units;
    return rest;
}

/* Append `chunk` to the free neighbour before it, which is in no bin. */
static void chunk_join(struct chunk *into, struct chunk *chunk) {
    into->units += chunk->units;
    into->after = chunk->after;
    if (into->after) into->after->before = into;
    header_free(chunk->arena, chunk);
}

/* A free chunk that has not been purged since memory joined it, and that may be resident. */
static bool chunk_is_purgeable(const struct chunk *chunk) {
    return chunk->resident > 0 && !chunk->is_purged;
}

/* Out of the bins and the idle queue: to be used, joined or purged. */
static void chunk_unbin(struct chunk *chunk) {
    struct arena *arena = chunk->arena;
    bin_remove(arena, chunk);
    arena->units_idle -= chunk->resident;
    if (chunk_is_purgeable(chunk)) TAILQ_REMOVE(&arena->idle, chunk, queue);
}

static void chunk_rebin(struct chunk *chunk) {
    struct arena *arena = chunk->arena;
    bin_add(arena, chunk);
    arena->units_idle += chunk->resident;
    if (!chunk_is_purgeable(chunk)) return;
    chunk->idle_ms = arena->now_ms;
    TAILQ_INSERT_TAIL(&arena->idle, chunk, queue);
}

/* Memory that was used until now goes to its bin, as one with free neighbours. */
static void chunk_bin(struct chunk *chunk) {
    chunk->in_use = false;
    chunk->resident = chunk->units;
    if (chunk->after && !chunk->after->in_use) {
        chunk_unbin(chunk->after);
        chunk->resident += chunk->after->resident;
        chunk_join(chunk, chunk->after);
    }
    if (chunk->before && !chunk->before->in_use) {
        struct chunk *before = chunk->before;
        chunk_unbin(before);
        before->resident += chunk->resident;
        chunk_join(before, chunk);
        chunk = before;
    }
    chunk->is_purged = false;
    chunk_rebin(chunk);
}

/* ---- memory back to the system ------------------------------------------------------------ */

/* Give the whole pages inside a free chunk back to the system. The chunk stays free. Parts of pages
 * at its ends stay resident and count as such; a second purge could not free them, so the chunk
 * leaves the idle queue until it is joined with a neighbour. Returns false if the system refuses:
 * then the chunk counts as resident as before and goes to the tail of the idle queue. */
static bool chunk_purge(struct chunk *chunk) {
    struct arena *arena = chunk->arena;
    uintptr_t first = (uintptr_t)chunk->memory, last = first + chunk_size(chunk);
    uintptr_t begin = (first + arena->page - 1) / arena->page * arena->page;
    uintptr_t end = last / arena->page * arena->page;
    uint32_t ends = chunk->units;
    bool failed = false;
    chunk_unbin(chunk);
    if (begin < end) {
        failed = madvise((void *)begin, end - begin, MADV_REMOVE) != 0;
        ends -= (uint32_t)((end - begin) / ARENA_GRAIN);
    }
    if (failed) {
        arena->purges_failed++;
    } else {
        if (chunk->resident > ends) chunk->resident = ends;
        chunk->is_purged = true;
    }
    chunk_rebin(chunk);
    return !failed;
}

/* Call before `units` that were never touched are used although free resident memory exists (it
 * does not fit): gives as much of the latter back, so that fragmentation costs address space, not
 * memory. A sixteenth of the memory in use may stay resident. Ends at the first refusal of the
 * system. */
static void arena_trade(struct arena *arena, uint32_t units) {
    size_t spare = arena->units_used / 16;
    struct chunk *chunk;
    while (units > 0 && arena->units_idle > spare &&
           arena->units_idle * ARENA_GRAIN > arena->keep && (chunk = TAILQ_FIRST(&arena->idle))) {
        uint32_t before = chunk->resident;
        if (!chunk_purge(chunk)) return;
        uint32_t freed = before - chunk->resident;
        units -= freed < units ? freed : units;
    }
}

/* ---- taking and giving back --------------------------------------------------------------- */

struct chunk *arena_take(struct arena *arena, size_t len) {
    assert(len > 0 && len <= ARENA_CHUNK_MAX);
    uint32_t units = units_of(len);
    struct chunk *chunk = bin_find(arena, units);
    if (!chunk) {
        if (arena_add_region(arena, (size_t)units * ARENA_GRAIN, NULL)) return NULL;
        chunk = bin_find(arena, units);
    }
    chunk_unbin(chunk);
    uint32_t resident = chunk->resident < units ? chunk->resident : units;
    if (chunk->units > units) {
        struct chunk *rest = chunk_split(chunk, units);
        rest->resident = chunk->resident - resident;
        rest->is_purged = chunk->is_purged;
        chunk_rebin(rest);
    }
    chunk->in_use = true;
    chunk->is_purged = false;
    if (resident < units) arena_trade(arena, units - resident);
    chunk->next = chunk->previous = NULL;
    chunk->pins = 1;
    chunk_number(arena, chunk);

    chunk->region->units_used += units;
    arena->units_used += units;
    arena->chunks_used++;
    ARENA_UNPOISON(chunk->memory, len);
    return chunk;
}

int arena_reserve(struct arena *arena, size_t len, struct error *e) {
    size_t units = (len + ARENA_GRAIN - 1) / ARENA_GRAIN;
    if (units == 0) return 0;
    if (units <= UINT32_MAX / 2 && bin_find(arena, (uint32_t)units)) return 0;
    return arena_add_region(arena, units * ARENA_GRAIN, e);
}

static void chunk_unlink(struct chunk *chunk) {
    if (!chunk->owner) return;
    if (chunk->previous)
        chunk->previous->next = chunk->next;
    else
        chunk->owner->first = chunk->next;
    if (chunk->next) chunk->next->previous = chunk->previous;
    chunk->owner = NULL;
}

/* Memory that nobody points at any more is free again. */
static void chunk_release(struct chunk *chunk) {
    struct arena *arena = chunk->arena;
    chunk->region->units_used -= chunk->units;
    arena->units_used -= chunk->units;
    ARENA_POISON(chunk->memory, chunk_size(chunk));
    chunk_bin(chunk);
}

static void chunk_give_back(struct chunk *chunk) {
    struct arena *arena = chunk->arena;
    chunk_unlink(chunk);
    chunk_set_sparse(chunk, ARENA_SPARSE_NONE);
    chunk_unnumber(arena, chunk);
    mem_free(chunk->others);
    chunk->others = NULL;
    chunk->n_others = chunk->others_capacity = 0;
    chunk->column = NULL;
    chunk->live = 0;
    arena->chunks_used--;
    if (!arena->deferrals) {
        chunk_release(chunk);
        return;
    }
    chunk->next = arena->deferred;
    arena->deferred = chunk;
    arena->units_deferred += chunk->units;
}

void arena_defer_frees(struct arena *arena) {
    arena->deferrals++;
}

bool arena_defers_frees(const struct arena *arena) {
    return arena->deferrals > 0;
}

void arena_resume_frees(struct arena *arena) {
    assert(arena->deferrals > 0);
    arena->deferrals--;
}

/* Some of what was deferred: giving back all at once could take long. */
static void arena_drain(struct arena *arena) {
    enum { CHUNKS = 16 * 1024 }; /* a millisecond or two */
    for (int i = 0; i < CHUNKS && arena->deferred && !arena->deferrals; i++) {
        struct chunk *chunk = arena->deferred;
        arena->deferred = chunk->next;
        arena->units_deferred -= chunk->units;
        chunk_release(chunk);
    }
}

void arena_tick(struct arena *arena, int64_t now_ms) {
    arena->now_ms = now_ms;
    arena_drain(arena);
    for (struct chunk *chunk; (chunk = TAILQ_FIRST(&arena->idle));) {
        if (now_ms - chunk->idle_ms < ARENA_IDLE_MS) return;
        if ((arena->units_used + arena->units_idle) * ARENA_GRAIN <= arena->keep) return;
        if (!chunk_purge(chunk)) return;
    }
}

void arena_set_page(struct arena *arena, size_t page) {
    assert(page >= ARENA_GRAIN && page % ARENA_GRAIN == 0);
    arena->page = page;
}

void chunk_trim(struct chunk *chunk, size_t len) {
    uint32_t units = units_of(len ? len : 1);
    if (units >= chunk->units) return;
    struct chunk *rest = chunk_split(chunk, units);
    chunk->region->units_used -= rest->units;
    chunk->arena->units_used -= rest->units;
    ARENA_POISON(rest->memory, chunk_size(rest));
    rest->in_use = true;
    chunk_bin(rest);
}

void chunk_own(struct chunk *chunk, struct chunk_list *owner) {
    assert(!chunk->owner);
    chunk->owner = owner;
    chunk->previous = NULL;
    chunk->next = owner->first;
    if (owner->first) owner->first->previous = chunk;
    owner->first = chunk;
}

void chunk_set_sparse(struct chunk *chunk, unsigned sparse) {
    struct chunk_queue *queues = chunk->arena->sparse;
    if (chunk->sparse == sparse) return;
    if (chunk->sparse) TAILQ_REMOVE(&queues[chunk->sparse], chunk, queue);
    if (sparse) TAILQ_INSERT_TAIL(&queues[sparse], chunk, queue);
    chunk->sparse = (uint8_t)sparse;
}

struct chunk *arena_first_sparse(const struct arena *arena, unsigned sparse) {
    return TAILQ_FIRST(&arena->sparse[sparse]);
}

struct chunk *chunk_next_sparse(const struct chunk *chunk) {
    return TAILQ_NEXT(chunk, queue);
}

struct arena_sweep *arena_sweep(struct arena *arena) {
    return &arena->sweep;
}

void chunk_pin(struct chunk *chunk) {
    chunk->pins++;
}

void chunk_unpin(struct chunk *chunk) {
    assert(chunk->pins > 0);
    if (--chunk->pins == 0 && chunk->cells == 0) chunk_give_back(chunk);
}

void chunk_drop_cell(struct chunk *chunk) {
    assert(chunk->cells > 0);
    if (--chunk->cells == 0 && chunk->pins == 0) chunk_give_back(chunk);
}

void chunk_list_release(struct chunk_list *owner) {
    while (owner->first) {
        struct chunk *chunk = owner->first;
        chunk->cells = 0;
        chunk->column = NULL;
        chunk_set_sparse(chunk, ARENA_SPARSE_NONE);
        if (chunk->pins)
            chunk_unlink(chunk);
        else
            chunk_give_back(chunk);
    }
}

/* In pieces that are held until the last one is there. */
int arena_prefault(struct arena *arena, size_t bytes, struct error *e) {
    const size_t piece = REGION_BYTES;
    size_t n = (bytes + piece - 1) / piece, taken = 0;
    struct chunk **chunks = mem_alloc(n * sizeof(*chunks));
    int failed = arena_reserve(arena, bytes, e);
    for (size_t left = bytes; !failed && left > 0; taken++) {
        size_t len = left < piece ? left : piece;
        struct chunk *chunk = chunks[taken] = arena_take(arena, len);
        left -= len;
        if (madvise(chunk->memory, len, MADV_POPULATE_WRITE))
            failed =
                error_set(e, ERROR_OOM, "can't fault in %zu bytes: %s", bytes, strerror(errno));
    }
    for (size_t i = 0; i < taken; i++) chunk_unpin(chunks[i]);
    mem_free(chunks);
    arena->keep = failed ? 0 : bytes;
    return failed;
}

void arena_stats(const struct arena *arena, struct arena_stats *out) {
    *out = (struct arena_stats){.allocated = arena_allocated(arena),
                                .deferred = arena->units_deferred * ARENA_GRAIN,
                                .chunks = arena->chunks_used,
                                .purges_failed = arena->purges_failed,
                                .free_recycled = arena->units_idle * ARENA_GRAIN};
    for (const struct arena_region *region = arena->regions; region; region = region->next) {
        out->mapped += region->bytes;
        out->regions++;
        out->regions_free += region->units_used == 0;
    }
}

size_t arena_allocated(const struct arena *arena) {
    return arena->units_used * ARENA_GRAIN;
}
