/* See consumer.h. */
#include "store/consumer.h"

#include "base/mem.h"

struct consumer *consumer_new(struct span name) {
    struct consumer *t = mem_calloc(1, sizeof(*t));
    t->name = span_of(mem_dup(name.ptr, name.len), name.len);
    t->overhead = sizeof(*t) + name.len;
    return t;
}

bool consumer_shrink(struct consumer *t, size_t *steps) {
    for (; t->spine.count && *steps; --*steps) {
        uint64_t number = spine_end(&t->spine) - 1;
        mem_free(spine_get(&t->spine, number));
        spine_set(&t->spine, number, NULL);
    }
    return t->spine.count == 0;
}

void consumer_free(struct consumer *t) {
    for (uint64_t number = t->spine.first; number < spine_end(&t->spine); number++)
        mem_free(spine_get(&t->spine, number));
    spine_free(&t->spine);
    mem_free(t->lease_slots);
    ranks_free(&t->ranks);
    mem_free((void *)t->name.ptr);
    mem_free(t);
}

static struct consumer_piece *consumer_make_piece(struct consumer *t, uint64_t seq) {
    struct consumer_piece *piece = spine_get(&t->spine, spine_number(seq));
    if (piece) return piece;
    piece = mem_calloc(1, sizeof(*piece));
    t->overhead += sizeof(*piece);
    spine_set(&t->spine, spine_number(seq), piece);
    return piece;
}

bool consumer_take(struct consumer *t, uint64_t seq) {
    struct consumer_piece *piece = consumer_make_piece(t, seq);
    if (bits_get(piece->consumed, spine_row(seq))) return false;
    bits_set(piece->consumed, spine_row(seq));
    t->consumed++;
    return true;
}

void consumer_load(struct consumer *t, const struct range *range) {
    for (size_t i = 0; i < RANGE_PIECES; i++) {
        const uint64_t *bits = range->bits + i * SPINE_WORDS;
        if (!bits_any(bits, SPINE_WORDS)) continue;
        struct consumer_piece *piece = consumer_make_piece(t, range->base + i * SPINE_ROWS);
        for (unsigned w = 0; w < SPINE_WORDS; w++) piece->consumed[w] |= bits[w];
        t->consumed += bits_count(bits, SPINE_WORDS);
    }
}

void consumer_lease(struct consumer *t, uint64_t seq) {
    bits_set(consumer_make_piece(t, seq)->leased, spine_row(seq));
    t->leased++;
}

bool consumer_release(struct consumer *t, uint64_t seq) {
    struct consumer_piece *piece = spine_get(&t->spine, spine_number(seq));
    if (!piece || !bits_get(piece->leased, spine_row(seq))) return false;
    bits_clear(piece->leased, spine_row(seq));
    t->leased--;
    return true;
}

void consumer_hold(struct consumer *t, uint64_t seq) {
    struct consumer_piece *piece = consumer_make_piece(t, seq);
    t->held += !bits_get(piece->held, spine_row(seq));
    bits_set(piece->held, spine_row(seq));
}

void consumer_unhold(struct consumer *t, uint64_t seq) {
    struct consumer_piece *piece = spine_get(&t->spine, spine_number(seq));
    if (!piece || !bits_get(piece->held, spine_row(seq))) return;
    bits_clear(piece->held, spine_row(seq));
    t->held--;
}

/* No longer consumed; true when it was. */
static bool consumer_unconsume(struct consumer *t, uint64_t seq) {
    struct consumer_piece *piece = spine_get(&t->spine, spine_number(seq));
    if (!piece) return false;
    unsigned row = spine_row(seq);
    if (!bits_get(piece->consumed, row)) return false;
    bits_clear(piece->consumed, row);
    t->consumed--;
    return true;
}

bool consumer_clear(struct consumer *t, uint64_t seq) {
    consumer_release(t, seq);
    consumer_unhold(t, seq);
    return consumer_unconsume(t, seq);
}

bool consumer_forget(struct consumer *t, uint64_t seq) {
    if (spine_number(seq) < t->hint) t->hint = spine_number(seq);
    consumer_unhold(t, seq);
    return consumer_unconsume(t, seq);
}

void consumer_drop_piece(struct consumer *t, uint64_t number) {
    struct consumer_piece *piece = spine_get(&t->spine, number);
    if (!piece) return;
    t->overhead -= sizeof(*piece);
    spine_set(&t->spine, number, NULL);
    mem_free(piece);
}
