/* See keyindex.h. Of a hash's upper 32 bits, the tag, the topmost choose the page and the lowest the
 * place in it. */
#include "store/keyindex.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

enum {
    PAGE_FIRST = 2,   /* slots of a new index' only page */
    PAGE_SPLIT = 512, /* slots from which on a full page splits instead of doubling */
    HALF_FULL = PAGE_SPLIT / 16 * 7, /* names in either half of a page that splits */
    DEPTH_MAX = 26,                  /* 2^32 names need no more */
    ENTRY_NAMES =
        32, /* the directory has at most one entry for so many names; honest hashes need one for 180 */
    SORT_BITS =
        9, /* of tags: so many places at once can be written to, and read, without waiting for a TLB */
};

/* Apart from its slots: of large indexes, directory and pages stay in the cache, and a name costs one wait for memory, for its slot. Slots
 * alone are a power of two in bytes, which the allocator has a size for. */
struct keyindex_page {
    struct keyindex_slot *slots;
    uint32_t mask; /* slots - 1 */
    uint32_t count;
    unsigned depth; /* how many bits of the tag all names in here share */
};

static uint32_t keyindex_tag(uint64_t hash) {
    return (uint32_t)(hash >> 32);
}

static size_t keyindex_place(const struct keyindex *index, uint32_t tag) {
    return index->depth ? tag >> (32 - index->depth) : 0;
}

static size_t page_bytes(uint32_t slots) {
    return sizeof(struct keyindex_page) + slots * sizeof(struct keyindex_slot);
}

static struct keyindex_page *page_new(struct keyindex *index, uint32_t slots, unsigned depth) {
    struct keyindex_page *page = mem_alloc(sizeof(*page));
    *page = (struct keyindex_page){
        .slots = mem_alloc(slots * sizeof(*page->slots)), .mask = slots - 1, .depth = depth};
    memset(page->slots, 0xff, slots * sizeof(*page->slots));
    index->bytes += page_bytes(slots);
    return page;
}

static void page_free(struct keyindex *index, struct keyindex_page *page) {
    index->bytes -= page_bytes(page->mask + 1);
    mem_free(page->slots);
    mem_free(page);
}

static void page_insert(struct keyindex_page *page, struct keyindex_slot slot) {
    uint32_t at = slot.tag & page->mask;
    while (page->slots[at].value != KEYINDEX_NONE) at = (at + 1) & page->mask;
    page->slots[at] = slot;
    page->count++;
}

/* Pages stay at most seven eighths full, and a slot is free. */
static bool page_is_full(const struct keyindex_page *page) {
    return page->count >= (page->mask + 1) * 7 / 8;
}

/* A quarter as full as it may be: what a page becomes then, it is half as full as it may be, so
 * many names come or go before it changes again. */
static bool page_is_sparse(const struct keyindex_page *page) {
    return page->count < (page->mask + 1) * 7 / 32;
}

static void page_insert_all(struct keyindex_page *page, const struct keyindex_page *from) {
    for (uint32_t i = 0; i <= from->mask; i++)
        if (from->slots[i].value != KEYINDEX_NONE) page_insert(page, from->slots[i]);
}

/* Let the directory entries of the page that shares `depth` bits with the tag point to `page`. */
static void keyindex_point(struct keyindex *index, uint32_t tag, unsigned depth,
                           struct keyindex_page *page) {
    size_t span = (size_t)1 << (index->depth - depth);
    size_t first = keyindex_place(index, tag) & ~(span - 1);
    for (size_t i = 0; i < span; i++) index->directory[first + i] = page;
}

static void keyindex_double(struct keyindex *index) {
    size_t entries = (size_t)1 << index->depth;
    index->directory = mem_realloc(index->directory, 2 * entries * sizeof(*index->directory));
    for (size_t i = entries; i-- > 0;)
        index->directory[2 * i] = index->directory[2 * i + 1] = index->directory[i];
    index->depth++;
    index->n_deepest = 0;
    index->bytes += entries * sizeof(*index->directory);
}

/* No page is as deep as the directory, so its entries are pairs of the same page. */
static void keyindex_halve(struct keyindex *index) {
    size_t entries = (size_t)1 << --index->depth;
    for (size_t i = 0; i < entries; i++) index->directory[i] = index->directory[2 * i];
    for (size_t i = 0; i + 1 < entries; i += 2)
        if (index->directory[i] != index->directory[i + 1]) index->n_deepest += 2;
    index->directory = mem_realloc(index->directory, entries * sizeof(*index->directory));
    index->bytes -= entries * sizeof(*index->directory);
}

/* One page becomes two, told apart by the next bit of the tag. */
static void keyindex_split(struct keyindex *index, struct keyindex_page *old, uint32_t tag) {
    if (old->depth == index->depth) keyindex_double(index);
    unsigned depth = old->depth + 1;
    uint32_t bit = UINT32_C(1) << (32 - depth);
    struct keyindex_page *low = page_new(index, old->mask + 1, depth);
    struct keyindex_page *high = page_new(index, old->mask + 1, depth);
    for (uint32_t i = 0; i <= old->mask; i++)
        if (old->slots[i].value != KEYINDEX_NONE)
            page_insert(old->slots[i].tag & bit ? high : low, old->slots[i]);
    keyindex_point(index, tag & ~bit, depth, low);
    keyindex_point(index, tag | bit, depth, high);
    if (depth == index->depth) index->n_deepest += 2;
    page_free(index, old);
}

static struct keyindex_page *keyindex_resize_page(struct keyindex *index, struct keyindex_page *old,
                                                  uint32_t slots, uint32_t tag) {
    struct keyindex_page *page = page_new(index, slots, old->depth);
    page_insert_all(page, old);
    keyindex_point(index, tag, old->depth, page);
    page_free(index, old);
    return page;
}

/* Tags that the next bits do not tell apart must not blow up the directory: rather let their page grow. */
static bool keyindex_may_split(const struct keyindex *index, const struct keyindex_page *page) {
    if (page->mask + 1 < PAGE_SPLIT) return false;
    if (page->depth < index->depth) return true;
    return index->depth < DEPTH_MAX && (size_t)2 << index->depth <= index->count / ENTRY_NAMES;
}

void keyindex_free(struct keyindex *index) {
    size_t entries = index->directory ? (size_t)1 << index->depth : 0;
    for (size_t i = 0; i < entries;) {
        struct keyindex_page *page = index->directory[i];
        i += page ? (size_t)1 << (index->depth - page->depth) : 1;
        if (page) page_free(index, page);
    }
    mem_free(index->directory);
    *index = (struct keyindex){0};
}

/* A page that splits leaves two that are half as full as it may be: as many pages are made as leave none emptier than that. */
size_t keyindex_reserve(struct keyindex *index, size_t n) {
    assert(!index->directory);
    while (index->depth < DEPTH_MAX && n >> index->depth >= 2 * HALF_FULL) index->depth++;
    if (index->depth == 0) return 0; /* one page grows fast enough */
    size_t entries = (size_t)1 << index->depth;
    index->directory = mem_calloc(entries, sizeof(*index->directory));
    index->bytes += entries * sizeof(*index->directory);
    return entries;
}

void keyindex_make_pages(struct keyindex *index, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        index->directory[i] = page_new(index, PAGE_SPLIT, index->depth);
    index->n_deepest += (uint32_t)(to - from);
}

uint32_t keyindex_find(const struct keyindex *index, uint64_t hash, struct span name,
                       keyindex_same *same, const void *context) {
    if (!index->directory) return KEYINDEX_NONE;
    uint32_t tag = keyindex_tag(hash);
    const struct keyindex_page *page = index->directory[keyindex_place(index, tag)];
    for (uint32_t at = tag & page->mask;; at = (at + 1) & page->mask) {
        struct keyindex_slot slot = page->slots[at];
        if (slot.value == KEYINDEX_NONE) return KEYINDEX_NONE;
        if (slot.tag == tag && same(context, slot.value, name)) return slot.value;
    }
}

/* A page says how many slots it has and where: so first some pages are fetched, then their slots. */
void keyindex_prefetch(const struct keyindex *index, const uint64_t *hashes, size_t n) {
    enum { TOGETHER = 16 };
    const struct keyindex_page *pages[TOGETHER];
    if (!index->directory) return;
    for (size_t i = 0, count; i < n; i += count) {
        count = n - i < TOGETHER ? n - i : TOGETHER;
        for (size_t k = 0; k < count; k++) {
            pages[k] = index->directory[keyindex_place(index, keyindex_tag(hashes[i + k]))];
            __builtin_prefetch(pages[k]);
        }
        for (size_t k = 0; k < count; k++)
            __builtin_prefetch(&pages[k]->slots[keyindex_tag(hashes[i + k]) & pages[k]->mask]);
    }
}

/* The page where a new name of this tag goes: it has room. */
static struct keyindex_page *keyindex_room(struct keyindex *index, uint32_t tag) {
    if (!index->directory) {
        index->directory = mem_alloc(sizeof(*index->directory));
        index->bytes += sizeof(*index->directory);
        index->directory[0] = page_new(index, PAGE_FIRST, 0);
    }
    struct keyindex_page *page;
    while (page_is_full(page = index->directory[keyindex_place(index, tag)])) {
        if (keyindex_may_split(index, page))
            keyindex_split(index, page, tag);
        else
            keyindex_resize_page(index, page, 2 * (page->mask + 1), tag);
    }
    return page;
}

void keyindex_add(struct keyindex *index, uint64_t hash, uint32_t value) {
    uint32_t tag = keyindex_tag(hash);
    page_insert(keyindex_room(index, tag), (struct keyindex_slot){tag, value});
    index->count++;
}

/* By the topmost bits of the tag, which are those that choose the page. */
static void slots_sort(const struct keyindex_slot *slots, size_t n, struct keyindex_slot *out) {
    size_t places[1 << SORT_BITS] = {0}, at = 0;
    for (size_t i = 0; i < n; i++) places[slots[i].tag >> (32 - SORT_BITS)]++;
    for (size_t i = 0; i < 1 << SORT_BITS; i++) {
        size_t count = places[i];
        places[i] = at;
        at += count;
    }
    for (size_t i = 0; i < n; i++) out[places[slots[i].tag >> (32 - SORT_BITS)]++] = slots[i];
}

static bool keyindex_add_slot(struct keyindex *index, struct keyindex_slot slot,
                              keyindex_same_key *same_key, const void *context) {
    struct keyindex_page *page = keyindex_room(index, slot.tag);
    uint32_t at = slot.tag & page->mask;
    for (; page->slots[at].value != KEYINDEX_NONE; at = (at + 1) & page->mask)
        if (page->slots[at].tag == slot.tag && same_key(context, page->slots[at].value, slot.value))
            return false;
    page->slots[at] = slot;
    page->count++;
    index->count++;
    return true;
}

uint32_t keyindex_add_all(struct keyindex *index, const struct keyindex_slot *slots, size_t n,
                          struct keyindex_slot *spare, keyindex_same_key *same_key,
                          const void *context) {
    enum { AHEAD = 16 };
    slots_sort(slots, n, spare);
    for (size_t i = 0; i < n; i++) {
        if (index->directory && i + AHEAD < n) {
            uint32_t tag = spare[i + AHEAD].tag;
            const struct keyindex_page *page = index->directory[keyindex_place(index, tag)];
            __builtin_prefetch(&page->slots[tag & page->mask]);
        }
        if (!keyindex_add_slot(index, spare[i], same_key, context)) return spare[i].value;
    }
    return KEYINDEX_NONE;
}

/* Close the gap at `hole`: whatever probed past it moves up (Knuth, TAOCP 3, 6.4, algorithm R). */
static void page_close_gap(struct keyindex_page *page, uint32_t hole) {
    for (uint32_t at = (hole + 1) & page->mask; page->slots[at].value != KEYINDEX_NONE;
         at = (at + 1) & page->mask) {
        uint32_t home = page->slots[at].tag & page->mask;
        if (((at - home) & page->mask) < ((at - hole) & page->mask)) continue;
        page->slots[hole] = page->slots[at];
        hole = at;
    }
    page->slots[hole].value = KEYINDEX_NONE;
}

/* The page that differs in its last bit alone; NULL where that has split further, or where both
 * together are more than half as full as a page may be. */
static struct keyindex_page *keyindex_mate(const struct keyindex *index,
                                           const struct keyindex_page *page, uint32_t tag) {
    if (page->depth == 0) return NULL;
    uint32_t bit = UINT32_C(1) << (32 - page->depth);
    struct keyindex_page *mate = index->directory[keyindex_place(index, tag ^ bit)];
    return mate->depth == page->depth && page->count + mate->count <= HALF_FULL ? mate : NULL;
}

/* Two pages become one, which has the room. */
static struct keyindex_page *keyindex_join(struct keyindex *index, struct keyindex_page *page,
                                           struct keyindex_page *mate, uint32_t tag) {
    struct keyindex_page *into = page->count < mate->count ? mate : page;
    struct keyindex_page *from = into == page ? mate : page;
    if (into->depth == index->depth) index->n_deepest -= 2;
    page_insert_all(into, from);
    into->depth--;
    keyindex_point(index, tag, into->depth, into);
    page_free(index, from);
    while (index->depth && index->n_deepest == 0) keyindex_halve(index);
    return into;
}

/* Pages of a directory have PAGE_SPLIT slots at least, and join; only pages beyond that, and an
 * only page, become smaller. */
static void keyindex_shrink(struct keyindex *index, struct keyindex_page *page, uint32_t tag) {
    while (page_is_sparse(page)) {
        struct keyindex_page *mate = keyindex_mate(index, page, tag);
        if (mate)
            page = keyindex_join(index, page, mate, tag);
        else if (page->depth == 0 || page->mask + 1 > PAGE_SPLIT)
            page = keyindex_resize_page(index, page, (page->mask + 1) / 2, tag);
        else
            return;
    }
}

void keyindex_remove(struct keyindex *index, uint64_t hash, uint32_t value) {
    uint32_t tag = keyindex_tag(hash);
    struct keyindex_page *page = index->directory[keyindex_place(index, tag)];
    uint32_t at = tag & page->mask;
    while (page->slots[at].value != value) {
        assert(page->slots[at].value != KEYINDEX_NONE);
        at = (at + 1) & page->mask;
    }
    page_close_gap(page, at);
    page->count--;
    index->count--;
    if (page_is_sparse(page)) keyindex_shrink(index, page, tag);
    /* Pages without a name to lose, made ahead or by a split, do not join. */
    if (index->count == 0 && index->depth) keyindex_free(index);
}
