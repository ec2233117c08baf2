/* See spine.h. */
#include "store/spine.h"

#include <string.h>

#include "base/mem.h"

/* An array with room for `count` entries, the present ones from `shift` on. */
static void spine_grow(struct spine *s, size_t count, size_t shift) {
    size_t words = count < 4 ? 4 : 1 + count + count / 2;
    void **pieces = mem_alloc(words * sizeof(*pieces));
    pieces[0] = (void *)words;
    if (s->start) {
        memcpy(pieces + 1 + shift, s->pieces + s->start, s->count * sizeof(*pieces));
        mem_free(s->pieces);
    } else if (s->count) {
        pieces[1 + shift] = s->pieces;
    }
    s->pieces = pieces;
    s->start = 1;
}

/* Make room so that entries for `first` … `end` - 1 exist, new ones NULL. */
static void spine_cover(struct spine *s, uint64_t first, uint64_t end) {
    size_t count = (size_t)(end - first), shift = (size_t)(s->first - first);
    if (s->start || count > 1) {
        if (shift >= s->start || s->start - shift + count > (size_t)s->pieces[0])
            spine_grow(s, count, shift);
        else
            s->start -= (uint32_t)shift;
        memset(s->pieces + s->start, 0, shift * sizeof(*s->pieces));
        size_t filled = shift + s->count;
        memset(s->pieces + s->start + filled, 0, (count - filled) * sizeof(*s->pieces));
    }
    s->first = first;
    s->count = (uint32_t)count;
}

static void spine_drop_ends(struct spine *s) {
    while (s->count && !spine_get(s, s->first)) {
        s->start += s->start > 0;
        s->first++;
        s->count--;
    }
    while (s->count && !spine_get(s, spine_end(s) - 1)) s->count--;
    if (s->count == 0) spine_free(s);
}

void spine_set(struct spine *s, uint64_t number, void *piece) {
    if (s->count == 0) {
        if (!piece) return;
        s->first = number;
    }
    uint64_t first = number < s->first ? number : s->first;
    uint64_t end = number >= spine_end(s) ? number + 1 : spine_end(s);
    if (end - first != s->count) spine_cover(s, first, end);
    if (s->start)
        s->pieces[s->start + (number - s->first)] = piece;
    else
        s->pieces = piece;
    if (!piece) spine_drop_ends(s);
}

void spine_free(struct spine *s) {
    if (s->start) mem_free(s->pieces);
    *s = (struct spine){0};
}
