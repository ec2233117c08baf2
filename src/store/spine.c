/* See spine.h. */
#include "store/spine.h"

#include <string.h>

#include "base/mem.h"

/* Make room so that entries for `first` … `end` - 1 exist, new ones NULL. */
static void spine_cover(struct spine *s, uint64_t first, uint64_t end) {
    size_t count = (size_t)(end - first), shift = (size_t)(s->first - first);
    if (shift > s->start || s->start - shift + count > s->capacity) {
        size_t capacity = count == 1 ? 1 : count < 4 ? 4 : count + count / 2;
        void **pieces = mem_alloc(capacity * sizeof(*pieces));
        if (s->count) memcpy(pieces + shift, s->pieces + s->start, s->count * sizeof(*pieces));
        mem_free(s->pieces);
        s->pieces = pieces;
        s->capacity = (uint32_t)capacity;
        s->start = 0;
    } else {
        s->start -= (uint32_t)shift;
    }
    memset(s->pieces + s->start, 0, shift * sizeof(*s->pieces));
    size_t filled = shift + s->count;
    memset(s->pieces + s->start + filled, 0, (count - filled) * sizeof(*s->pieces));
    s->first = first;
    s->count = (uint32_t)count;
}

static void spine_drop_ends(struct spine *s) {
    while (s->count && !s->pieces[s->start]) {
        s->start++;
        s->first++;
        s->count--;
    }
    while (s->count && !s->pieces[s->start + s->count - 1]) s->count--;
    if (s->count == 0) s->start = 0;
}

void spine_set(struct spine *s, uint64_t number, void *piece) {
    if (s->count == 0) {
        if (!piece) return;
        s->first = number;
        s->start = 0;
    }
    uint64_t first = number < s->first ? number : s->first;
    uint64_t end = number >= spine_end(s) ? number + 1 : spine_end(s);
    if (end - first != s->count) spine_cover(s, first, end);
    s->pieces[s->start + (number - s->first)] = piece;
    if (!piece) spine_drop_ends(s);
}

void spine_free(struct spine *s) {
    mem_free(s->pieces);
    *s = (struct spine){0};
}
