/* See scratch.h. Blocks double in size; a reset keeps the last one unless a giant command made
 * it huge, so that one outlier does not hold its memory for ever. */
#include "base/scratch.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum { SCRATCH_FIRST = 512, SCRATCH_KEEP = 1024 * 1024 };

struct scratch_block {
    struct scratch_block *older;
    size_t size, used;
    alignas(max_align_t) char bytes[];
};

static struct scratch_block *scratch_add_block(struct scratch *s, size_t need) {
    size_t size = s->block ? s->block->size * 2 : SCRATCH_FIRST;
    while (size < need) size *= 2;
    struct scratch_block *block = mem_alloc(sizeof(*block) + size);
    *block = (struct scratch_block){.older = s->block, .size = size};
    s->block = block;
    return block;
}

void *scratch_alloc(struct scratch *s, size_t count, size_t size) {
    const size_t align = alignof(max_align_t);
    size_t need = (count * size + align - 1) / align * align;
    struct scratch_block *block = s->block;
    if (!block || block->size - block->used < need) block = scratch_add_block(s, need);
    void *out = block->bytes + block->used;
    block->used += need;
    return out;
}

void *scratch_zalloc(struct scratch *s, size_t count, size_t size) {
    void *out = scratch_alloc(s, count, size);
    return memset(out, 0, count * size);
}

void scratch_reset(struct scratch *s) {
    struct scratch_block *keep = NULL;
    while (s->block) {
        struct scratch_block *block = s->block;
        s->block = block->older;
        if (!keep && block->size <= SCRATCH_KEEP)
            keep = block;
        else
            mem_free(block);
    }
    if (keep) {
        keep->older = NULL;
        keep->used = 0;
    }
    s->block = keep;
}

void scratch_free(struct scratch *s) {
    while (s->block) {
        struct scratch_block *block = s->block;
        s->block = block->older;
        mem_free(block);
    }
}
