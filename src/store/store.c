/* See store.h. Partitions sit in a table of slots that are reused: a slot is a cursor that survives changes. */
#include "store/store.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/apply.h"
#include "store/compact.h"
#include "store/matches.h"
#include "store/tagindex.h"

/* A partition whose indexes are not complete. */
struct store_building {
    struct partition *partition;
    size_t bytes; /* that its indexes are going to take */
    TAILQ_ENTRY(store_building) link;
};

struct store {
    struct arena *arena;
    struct partition **slots; /* NULL: free */
    size_t slots_end, slots_capacity;
    uint32_t *spare;
    size_t n_spare, spare_capacity;
    struct keyindex index; /* name → slot */
    struct leases leases;
    struct partition *dropped; /* to be freed by store_reclaim, linked by `dropped` */
    struct tag_index *removed; /* likewise: of partitions that are there */
    TAILQ_HEAD(, store_building) building;
    size_t building_bytes; /* of all */
    void (*hook)(void *context, const struct op *op);
    void *hook_context;
    uint64_t last_serial; /* of partitions */
    int64_t task_bytes;   /* of all partitions */
    struct match_cache matches;
};

struct store *store_new(struct error *e) {
    struct arena *arena = arena_new(0, e);
    if (!arena) return NULL;
    struct store *s = mem_calloc(1, sizeof(*s));
    s->arena = arena;
    TAILQ_INIT(&s->leases.holds);
    TAILQ_INIT(&s->building);
    match_cache_init(&s->matches);
    return s;
}

void store_begin_leases(struct store *s, int64_t now_ms) {
    enum { LEASES_A_MS_BITS = 21 }; /* more than can be given */
    uint64_t ms = (uint64_t)now_ms, first = ms << LEASES_A_MS_BITS;
    bool is_far = ms > LEASE_ID_BEGIN_MAX >> LEASES_A_MS_BITS;
    if (!is_far && first > s->leases.last_id) s->leases.last_id = first;
    once_bound(&s->leases, now_ms);
}

struct arena *store_arena(const struct store *s) {
    return s->arena;
}

const struct leases *store_leases(const struct store *s) {
    return &s->leases;
}

void store_on_change(struct store *s, void (*hook)(void *context, const struct op *op),
                     void *context) {
    s->hook = hook;
    s->hook_context = context;
}

static bool slot_has_name(const void *context, uint32_t slot, struct span name) {
    const struct store *s = context;
    return span_equal(s->slots[slot]->name, name);
}

struct partition *store_find(const struct store *s, struct span name) {
    uint32_t slot = keyindex_find(&s->index, hash_bytes(name), name, slot_has_name, s);
    return slot == KEYINDEX_NONE ? NULL : s->slots[slot];
}

static struct partition *store_put_in(struct store *s, struct partition *p) {
    if (s->n_spare) {
        p->slot = s->spare[--s->n_spare];
    } else {
        p->slot = (uint32_t)s->slots_end++;
        s->slots = mem_grow(s->slots, &s->slots_capacity, s->slots_end, sizeof(*s->slots));
    }
    keyindex_add(&s->index, hash_bytes(p->name), p->slot);
    p->serial = ++s->last_serial;
    p->match_cache = &s->matches;
    return s->slots[p->slot] = p;
}

/* ---- indexes ------------------------------------------------------------------------------ */

static void store_end_building(struct store *s, struct partition *p) {
    if (!p->building) return;
    TAILQ_REMOVE(&s->building, p->building, link);
    s->building_bytes -= p->building->bytes;
    mem_free(p->building);
    p->building = NULL;
}

/* The partition enters the list of those that are built, or stays in it. */
static void store_keep_building(struct store *s, struct partition *p) {
    if (!p->building) {
        p->building = mem_calloc(1, sizeof(*p->building));
        p->building->partition = p;
        TAILQ_INSERT_TAIL(&s->building, p->building, link);
    }
    s->building_bytes -= p->building->bytes;
    p->building->bytes = tagindexes_missing(p);
    s->building_bytes += p->building->bytes;
}

/* Call after declarations of the partition have changed, or came with it. */
static void store_note_indexes(struct store *s, struct partition *p) {
    tagindexes_remove(p, &s->removed);
    if (tagindexes_are_complete(p))
        store_end_building(s, p);
    else
        store_keep_building(s, p);
}

bool store_is_building(const struct store *s) {
    return !TAILQ_EMPTY(&s->building);
}

size_t store_building_bytes(const struct store *s) {
    return s->building_bytes;
}

void store_build_indexes(struct store *s, size_t samples) {
    while (samples && !TAILQ_EMPTY(&s->building)) {
        struct partition *p = TAILQ_FIRST(&s->building)->partition;
        if (tagindexes_build(p, &samples))
            store_end_building(s, p);
        else
            store_keep_building(s, p);
        if (samples) samples--;
    }
}

/* ---- partitions that come and go ---------------------------------------------------------- */

static size_t store_drop(struct store *s, struct partition *p) {
    if (!p) return 0;
    store_end_building(s, p);
    keyindex_remove(&s->index, hash_bytes(p->name), p->slot);
    s->slots[p->slot] = NULL;
    s->spare = mem_grow(s->spare, &s->spare_capacity, s->n_spare + 1, sizeof(*s->spare));
    s->spare[s->n_spare++] = p->slot;
    for (size_t i = 0; i < p->n_tasks; i++) lease_drop_all(&s->leases, p->tasks[i]);
    once_leave(&s->leases, p);
    s->task_bytes -= p->task_bytes;
    partition_release(p);
    p->dropped = s->dropped;
    s->dropped = p;
    return 1;
}

bool store_is_reclaiming(const struct store *s) {
    return s->dropped || s->removed;
}

void store_reclaim(struct store *s, size_t steps) {
    if (!tagindex_removed_shrink(&s->removed, &steps)) return;
    while (s->dropped && steps) {
        struct partition *p = s->dropped;
        if (!partition_shrink(p, &steps)) return;
        s->dropped = p->dropped;
        partition_free(p);
        if (steps) steps--;
    }
}

/* One that replaces another sits where that one sat: walks see it once. */
static size_t store_adopt(struct store *s, const struct op_adopt *adopt, int64_t now_ms) {
    for (size_t i = 0; i < adopt->n; i++) {
        struct partition *p = adopt->partitions[i];
        store_drop(s, store_find(s, p->name));
        store_put_in(s, p);
        store_note_indexes(s, p);
        p->task_bytes = 0; /* counted from here on, whatever loading it left */
        for (size_t t = 0; t < p->n_tasks; t++) lease_adopt_all(&s->leases, p->tasks[t]);
    }
    once_adopt(&s->leases, adopt, now_ms);
    if (adopt->last_lease > s->leases.last_id) s->leases.last_id = adopt->last_lease;
    return adopt->n;
}

void store_free(struct store *s) {
    for (size_t i = 0; i < s->slots_end; i++) store_drop(s, s->slots[i]);
    store_reclaim(s, SIZE_MAX);
    leases_free(&s->leases);
    mem_free(s->slots);
    mem_free(s->spare);
    keyindex_free(&s->index);
    arena_free(s->arena);
    mem_free(s);
}

size_t store_partitions(const struct store *s) {
    return s->index.count;
}

struct partition *store_next(const struct store *s, uint64_t *cursor) {
    for (uint64_t slot = *cursor; slot < s->slots_end; slot++) {
        if (!s->slots[slot]) continue;
        *cursor = slot + 1;
        return s->slots[slot];
    }
    *cursor = 0;
    return NULL;
}

struct match_cache *store_matches(struct store *s) {
    return &s->matches;
}

int64_t store_task_bytes(const struct store *s) {
    return s->task_bytes;
}

static bool store_is_about_tasks(enum op_kind kind) {
    switch (kind) {
    case OP_PUT:
    case OP_EXPECT:
    case OP_SEAL:
    case OP_CLEAR:
    case OP_ERASE:
    case OP_DROP:
    case OP_ADOPT: return false;
    default: return true;
    }
}

/* An op that concerns one partition. What an op frees of a partition that was loaded may be more than
 * the ops since have taken: the partition's part is then 0, and dropping it gives no more back. */
static size_t store_apply_to(struct store *s, struct partition *p, const struct op *op) {
    size_t used = mem_used();
    int64_t before = p->task_bytes;
    size_t changed = apply_to_partition(&s->leases, p, op);
    if (store_is_about_tasks(op->kind)) p->task_bytes += (int64_t)(mem_used() - used);
    s->task_bytes += p->task_bytes - before;
    if (p->task_bytes < 0) p->task_bytes = 0;
    return changed;
}

size_t store_apply(struct store *s, const struct op *op) {
    struct partition *p = store_find(s, op->partition);
    bool creates =
        op->kind == OP_PUT || op->kind == OP_EXPECT || op->kind == OP_SEAL || op->kind == OP_DEFINE;
    size_t changed = 0;
    if (op->kind == OP_DROP) {
        changed = store_drop(s, p);
    } else if (op->kind == OP_ADOPT) {
        changed = store_adopt(s, &op->adopt, op->now_ms);
    } else if (p || creates) {
        if (!p) p = store_put_in(s, partition_new(op->partition, s->arena));
        changed = store_apply_to(s, p, op);
        if (op->kind == OP_DEFINE) store_note_indexes(s, p);
    }
    if (s->hook) s->hook(s->hook_context, op);
    return changed;
}

bool store_tick(struct store *s, int64_t now_ms) {
    enum { ROWS = 384 * 1024, BYTES = 4 * 1024 * 1024 }; /* 2 to 5 ms */
    arena_tick(s->arena, now_ms);
    return compact_step(s->arena, ROWS, BYTES);
}

bool store_squeeze(struct store *s, uint64_t largest, struct compact_budget *budget) {
    return compact_squeeze(s->arena, largest, budget);
}

void store_stats(const struct store *s, struct store_stats *out) {
    *out = (struct store_stats){.partitions = store_partitions(s),
                                .overhead_bytes = s->index.bytes + s->leases.overhead};
    arena_stats(s->arena, &out->arena);
    uint64_t cursor = 0;
    for (struct partition *p; (p = store_next(s, &cursor));) {
        out->samples += p->samples;
        out->payload_bytes += partition_bytes(p);
        out->live_bytes += partition_live(p);
        out->overhead_bytes += partition_overhead(p);
    }
}
