/* See task.h. */
#include "store/task.h"

#include "base/mem.h"

struct task *task_new(struct span name) {
    struct task *t = mem_calloc(1, sizeof(*t));
    t->name = span_of(mem_dup(name.ptr, name.len), name.len);
    t->overhead = sizeof(*t) + name.len;
    return t;
}

bool task_shrink(struct task *t, size_t *steps) {
    for (; t->spine.count && *steps; --*steps) {
        uint64_t number = spine_end(&t->spine) - 1;
        mem_free(spine_get(&t->spine, number));
        spine_set(&t->spine, number, NULL);
    }
    return t->spine.count == 0;
}

void task_free(struct task *t) {
    for (uint64_t number = t->spine.first; number < spine_end(&t->spine); number++)
        mem_free(spine_get(&t->spine, number));
    spine_free(&t->spine);
    mem_free(t->lease_slots);
    ranks_free(&t->ranks);
    mem_free((void *)t->name.ptr);
    mem_free(t);
}

static struct task_piece *task_make_piece(struct task *t, uint64_t seq) {
    struct task_piece *piece = spine_get(&t->spine, spine_number(seq));
    if (piece) return piece;
    piece = mem_calloc(1, sizeof(*piece));
    t->overhead += sizeof(*piece);
    spine_set(&t->spine, spine_number(seq), piece);
    return piece;
}

bool task_consume(struct task *t, uint64_t seq) {
    struct task_piece *piece = task_make_piece(t, seq);
    if (bits_get(piece->consumed, spine_row(seq))) return false;
    bits_set(piece->consumed, spine_row(seq));
    t->consumed++;
    return true;
}

void task_load(struct task *t, const struct range *range) {
    for (size_t i = 0; i < RANGE_PIECES; i++) {
        const uint64_t *bits = range->bits + i * SPINE_WORDS;
        if (!bits_any(bits, SPINE_WORDS)) continue;
        struct task_piece *piece = task_make_piece(t, range->base + i * SPINE_ROWS);
        for (unsigned w = 0; w < SPINE_WORDS; w++) piece->consumed[w] |= bits[w];
        t->consumed += bits_count(bits, SPINE_WORDS);
    }
}

void task_lease(struct task *t, uint64_t seq) {
    bits_set(task_make_piece(t, seq)->leased, spine_row(seq));
    t->leased++;
}

bool task_unlease(struct task *t, uint64_t seq) {
    struct task_piece *piece = spine_get(&t->spine, spine_number(seq));
    if (!piece || !bits_get(piece->leased, spine_row(seq))) return false;
    bits_clear(piece->leased, spine_row(seq));
    t->leased--;
    return true;
}

void task_hold(struct task *t, uint64_t seq) {
    struct task_piece *piece = task_make_piece(t, seq);
    t->held += !bits_get(piece->held, spine_row(seq));
    bits_set(piece->held, spine_row(seq));
}

void task_unhold(struct task *t, uint64_t seq) {
    struct task_piece *piece = spine_get(&t->spine, spine_number(seq));
    if (!piece || !bits_get(piece->held, spine_row(seq))) return;
    bits_clear(piece->held, spine_row(seq));
    t->held--;
}

/* No longer consumed; true when it was. */
static bool task_unconsume(struct task *t, uint64_t seq) {
    struct task_piece *piece = spine_get(&t->spine, spine_number(seq));
    if (!piece) return false;
    unsigned row = spine_row(seq);
    if (!bits_get(piece->consumed, row)) return false;
    bits_clear(piece->consumed, row);
    t->consumed--;
    return true;
}

bool task_clear(struct task *t, uint64_t seq) {
    task_unlease(t, seq);
    task_unhold(t, seq);
    return task_unconsume(t, seq);
}

bool task_forget(struct task *t, uint64_t seq) {
    if (spine_number(seq) < t->hint) t->hint = spine_number(seq);
    task_unhold(t, seq);
    return task_unconsume(t, seq);
}

void task_drop_piece(struct task *t, uint64_t number) {
    struct task_piece *piece = spine_get(&t->spine, number);
    if (!piece) return;
    t->overhead -= sizeof(*piece);
    spine_set(&t->spine, number, NULL);
    mem_free(piece);
}
