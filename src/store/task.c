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
    for (; t->blocks.count && *steps; --*steps) {
        uint64_t number = blockindex_end(&t->blocks) - 1;
        mem_free(blockindex_get(&t->blocks, number));
        blockindex_set(&t->blocks, number, NULL);
    }
    return t->blocks.count == 0;
}

void task_free(struct task *t) {
    for (uint64_t number = t->blocks.first; number < blockindex_end(&t->blocks); number++)
        mem_free(blockindex_get(&t->blocks, number));
    blockindex_free(&t->blocks);
    mem_free(t->lease_slots);
    ranks_free(&t->ranks);
    mem_free((void *)t->name.ptr);
    mem_free(t);
}

static struct task_block *task_make_block(struct task *t, uint64_t seq) {
    struct task_block *block = blockindex_get(&t->blocks, block_number(seq));
    if (block) return block;
    block = mem_calloc(1, sizeof(*block));
    t->overhead += sizeof(*block);
    blockindex_set(&t->blocks, block_number(seq), block);
    return block;
}

bool task_consume(struct task *t, uint64_t seq) {
    struct task_block *block = task_make_block(t, seq);
    if (bits_get(block->consumed, block_row(seq))) return false;
    bits_set(block->consumed, block_row(seq));
    t->consumed++;
    return true;
}

void task_load(struct task *t, const struct range *range) {
    for (size_t i = 0; i < RANGE_BLOCKS; i++) {
        const uint64_t *bits = range->bits + i * BLOCK_WORDS;
        if (!bits_any(bits, BLOCK_WORDS)) continue;
        struct task_block *block = task_make_block(t, range->base + i * BLOCK_ROWS);
        for (unsigned w = 0; w < BLOCK_WORDS; w++) block->consumed[w] |= bits[w];
        t->consumed += bits_count(bits, BLOCK_WORDS);
    }
}

void task_lease(struct task *t, uint64_t seq) {
    bits_set(task_make_block(t, seq)->leased, block_row(seq));
    t->leased++;
}

bool task_unlease(struct task *t, uint64_t seq) {
    struct task_block *block = blockindex_get(&t->blocks, block_number(seq));
    if (!block || !bits_get(block->leased, block_row(seq))) return false;
    bits_clear(block->leased, block_row(seq));
    t->leased--;
    return true;
}

void task_hold(struct task *t, uint64_t seq) {
    struct task_block *block = task_make_block(t, seq);
    t->held += !bits_get(block->held, block_row(seq));
    bits_set(block->held, block_row(seq));
}

void task_unhold(struct task *t, uint64_t seq) {
    struct task_block *block = blockindex_get(&t->blocks, block_number(seq));
    if (!block || !bits_get(block->held, block_row(seq))) return;
    bits_clear(block->held, block_row(seq));
    t->held--;
}

/* No longer consumed; true when it was. */
static bool task_unconsume(struct task *t, uint64_t seq) {
    struct task_block *block = blockindex_get(&t->blocks, block_number(seq));
    if (!block) return false;
    unsigned row = block_row(seq);
    if (!bits_get(block->consumed, row)) return false;
    bits_clear(block->consumed, row);
    t->consumed--;
    return true;
}

bool task_clear(struct task *t, uint64_t seq) {
    task_unlease(t, seq);
    task_unhold(t, seq);
    return task_unconsume(t, seq);
}

bool task_forget(struct task *t, uint64_t seq) {
    if (block_number(seq) < t->hint) t->hint = block_number(seq);
    task_unhold(t, seq);
    return task_unconsume(t, seq);
}

void task_drop_block(struct task *t, uint64_t number) {
    struct task_block *block = blockindex_get(&t->blocks, number);
    if (!block) return;
    t->overhead -= sizeof(*block);
    blockindex_set(&t->blocks, number, NULL);
    mem_free(block);
}
