/* See group.h. */
#include "store/group.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

static bool group_has_id(const void *context, uint32_t number, struct span id) {
    const struct groups *gs = context;
    return span_equal(gs->table[number]->id, id);
}

uint32_t groups_find(const struct groups *gs, struct span id) {
    return keyindex_find(&gs->index, hash_bytes(id), id, group_has_id, gs);
}

static size_t group_bytes(const struct group *g) {
    return sizeof(*g) + g->capacity * sizeof(g->seqs[0]) + g->id.len;
}

static void group_free(struct group *g) {
    mem_free((void *)g->id.ptr);
    mem_free(g->memory);
    mem_free(g);
}

const struct groups groups_none;

struct groups *groups_own(const struct groups **gs) {
    if (*gs == &groups_none) *gs = mem_calloc(1, sizeof(**gs));
    return (struct groups *)*gs;
}

void groups_drop(const struct groups **gs) {
    if (*gs == &groups_none) return;
    groups_free((struct groups *)*gs);
    mem_free((struct groups *)*gs);
    *gs = &groups_none;
}

bool groups_shrink(struct groups *gs, size_t *steps) {
    for (; gs->end && *steps; --*steps) {
        struct group *g = gs->table[--gs->end];
        if (g) group_free(g);
    }
    return gs->end == 0;
}

void groups_free(struct groups *gs) {
    for (size_t i = 0; i < gs->end; i++)
        if (gs->table[i]) group_free(gs->table[i]);
    mem_free(gs->table);
    mem_free(gs->spare);
    keyindex_free(&gs->index);
    *gs = (struct groups){0};
}

uint32_t groups_make(struct groups *gs, struct span id, uint32_t size) {
    struct group *g = mem_calloc(1, sizeof(*g));
    g->id = span_of(mem_dup(id.ptr, id.len), id.len);
    g->size = size;
    uint32_t number;
    if (gs->n_spare) {
        number = gs->spare[--gs->n_spare];
    } else {
        number = (uint32_t)gs->end++;
        gs->table = mem_grow(gs->table, &gs->capacity, gs->end, sizeof(*gs->table));
    }
    gs->table[number] = g;
    gs->size = size;
    gs->count++;
    gs->bytes += group_bytes(g);
    keyindex_add(&gs->index, hash_bytes(id), number);
    return number;
}

/* Room for one more member behind the last one. */
static void group_grow(struct groups *gs, struct group *g) {
    size_t before = (size_t)(g->seqs - g->memory);
    if (before + g->members < g->capacity) return;
    if (before) {
        memmove(g->memory, g->seqs, g->members * sizeof(*g->seqs));
    } else {
        size_t capacity = g->capacity ? 2 * g->capacity : g->size < 16 ? g->size : 16;
        gs->bytes += (capacity - g->capacity) * sizeof(*g->seqs);
        g->memory = mem_realloc(g->memory, capacity * sizeof(*g->seqs));
        g->capacity = capacity;
    }
    g->seqs = g->memory;
}

void groups_add(struct groups *gs, uint32_t number, uint64_t seq) {
    struct group *g = gs->table[number];
    group_grow(gs, g);
    uint32_t at = g->members++;
    for (; at > 0 && g->seqs[at - 1] > seq; at--) g->seqs[at] = g->seqs[at - 1];
    g->seqs[at] = seq;
}

uint32_t groups_join(struct groups *gs, struct span id, uint32_t size, uint64_t seq) {
    uint32_t number = groups_find(gs, id);
    if (number == KEYINDEX_NONE) number = groups_make(gs, id, size);
    groups_add(gs, number, seq);
    return number;
}

void groups_break(struct groups *gs, uint32_t number) {
    struct group *g = gs->table[number];
    gs->broken += !g->broken;
    g->broken = true;
}

static uint32_t group_find(const struct group *g, uint64_t seq) {
    uint32_t low = 0, high = g->members;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (g->seqs[middle] < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void groups_leave(struct groups *gs, uint32_t number, uint64_t seq) {
    struct group *g = gs->table[number];
    uint32_t at = group_find(g, seq);
    g->members--;
    if (at < g->members / 2 || at == 0) {
        memmove(g->seqs + 1, g->seqs, at * sizeof(*g->seqs));
        g->seqs++;
    } else {
        memmove(g->seqs + at, g->seqs + at + 1, (g->members - at) * sizeof(*g->seqs));
    }
    groups_break(gs, number);
    if (g->members > 0) return;

    keyindex_remove(&gs->index, hash_bytes(g->id), number);
    gs->bytes -= group_bytes(g);
    gs->broken--;
    gs->table[number] = NULL;
    gs->spare = mem_grow(gs->spare, &gs->spare_capacity, gs->n_spare + 1, sizeof(*gs->spare));
    gs->spare[gs->n_spare++] = number;
    group_free(g);
    if (--gs->count == 0) gs->size = 0;
}
