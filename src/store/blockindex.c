/* See blockindex.h. */
#include "store/blockindex.h"

#include <string.h>

#include "base/mem.h"

/* An array with room for `count` entries, the present ones from `shift` on. */
static void blockindex_grow(struct blockindex *s, size_t count, size_t shift) {
    size_t words = count < 4 ? 4 : 1 + count + count / 2;
    void **blocks = mem_alloc(words * sizeof(*blocks));
    blocks[0] = (void *)words;
    if (s->start) {
        memcpy(blocks + 1 + shift, s->blocks + s->start, s->count * sizeof(*blocks));
        mem_free(s->blocks);
    } else if (s->count) {
        blocks[1 + shift] = s->blocks;
    }
    s->blocks = blocks;
    s->start = 1;
}

/* Make room so that entries for `first` … `end` - 1 exist, new ones NULL. */
static void blockindex_cover(struct blockindex *s, uint64_t first, uint64_t end) {
    size_t count = (size_t)(end - first), shift = (size_t)(s->first - first);
    if (s->start || count > 1) {
        if (shift >= s->start || s->start - shift + count > (size_t)s->blocks[0])
            blockindex_grow(s, count, shift);
        else
            s->start -= (uint32_t)shift;
        memset(s->blocks + s->start, 0, shift * sizeof(*s->blocks));
        size_t filled = shift + s->count;
        memset(s->blocks + s->start + filled, 0, (count - filled) * sizeof(*s->blocks));
    }
    s->first = first;
    s->count = (uint32_t)count;
}

static void blockindex_drop_ends(struct blockindex *s) {
    while (s->count && !blockindex_get(s, s->first)) {
        s->start += s->start > 0;
        s->first++;
        s->count--;
    }
    while (s->count && !blockindex_get(s, blockindex_end(s) - 1)) s->count--;
    if (s->count == 0) blockindex_free(s);
}

void blockindex_set(struct blockindex *s, uint64_t number, void *block) {
    if (s->count == 0) {
        if (!block) return;
        s->first = number;
    }
    uint64_t first = number < s->first ? number : s->first;
    uint64_t end = number >= blockindex_end(s) ? number + 1 : blockindex_end(s);
    if (end - first != s->count) blockindex_cover(s, first, end);
    if (s->start)
        s->blocks[s->start + (number - s->first)] = block;
    else
        s->blocks = block;
    if (!block) blockindex_drop_ends(s);
}

void blockindex_free(struct blockindex *s) {
    if (s->start) mem_free(s->blocks);
    *s = (struct blockindex){0};
}
