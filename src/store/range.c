/* See range.h. */
#include "store/range.h"

#include <string.h>

#include "store/partition.h"

/* The bits of the block with this number, NULL where there is none. */
typedef const uint64_t *range_bits(const void *context, uint64_t number);

static bool range_fill(struct range *range, uint64_t base, range_bits *bits_of,
                       const void *context) {
    bool any = false;
    range->base = base;
    for (size_t i = 0; i < RANGE_BLOCKS; i++) {
        const uint64_t *bits = bits_of(context, block_number(base) + i);
        uint64_t *out = range->bits + i * BLOCK_WORDS;
        if (bits)
            memcpy(out, bits, BLOCK_WORDS * sizeof(*out));
        else
            memset(out, 0, BLOCK_WORDS * sizeof(*out));
        any |= bits && bits_any(bits, BLOCK_WORDS);
    }
    return any;
}

static const uint64_t *bits_alive(const void *context, uint64_t number) {
    const struct row_block *block =
        blockindex_get(&((const struct partition *)context)->rows, number);
    return block ? block->alive : NULL;
}

static const uint64_t *bits_of_cells(const void *context, uint64_t number) {
    return column_bits(context, number);
}

static const uint64_t *bits_consumed(const void *context, uint64_t number) {
    const struct task_block *block = task_block(context, number);
    return block ? block->consumed : NULL;
}

bool range_of_alive(struct range *range, const struct partition *p, uint64_t base) {
    return range_fill(range, base, bits_alive, p);
}

bool range_of_cells(struct range *range, const struct column *c, uint64_t base) {
    return range_fill(range, base, bits_of_cells, c);
}

bool range_of_consumed(struct range *range, const struct task *t, uint64_t base) {
    return range_fill(range, base, bits_consumed, t);
}
