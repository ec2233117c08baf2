/* See compact.h. */
#include "store/compact.h"

#include <stddef.h>

#include "store/partition.h"

enum {
    MOVE_ROWS = 8,                   /* what a move costs, in rows looked at */
    RUNS_A_ROW = 8,                  /* runs that are looked at for the price of a row */
    JOIN_SPREAD = 4,                 /* see compact_join */
    SWEEP_LOOKS = 1024,              /* chunks that are looked at for one sweep, at most */
    STEP_LARGEST = 16 * 1024 * 1024, /* bytes alive in the chunks of a sweep of compact_step */
};

static void compact_spend(size_t *left, size_t n) {
    *left -= n < *left ? n : *left;
}

/* The partition of a chunk that several columns share, else NULL. */
static const struct partition *compact_partition(const struct chunk *chunk) {
    if (chunk->column) return NULL;
    const char *chunks = (const char *)chunk->owner;
    return (const struct partition *)(chunks - offsetof(struct partition, home.chunks));
}

/* The blocks that have the rows of the chunk's cells. */
static const struct blockindex *compact_blocks(const struct chunk *chunk) {
    const struct partition *p = compact_partition(chunk);
    return p ? &p->rows : &chunk->column->blocks;
}

/* The columns that may have cells in the chunk: its own, or those of the partition one after the
 * other. NULL behind the last. */
static struct column *compact_column(const struct chunk *chunk, size_t i) {
    if (chunk->column) return i ? NULL : chunk->column;
    const struct partition *p = compact_partition(chunk);
    if (i == 0) return (struct column *)&p->keys;
    if (--i < p->fields.count) return p->fields.columns[i];
    i -= p->fields.count;
    return i < p->tags.count ? p->tags.columns[i] : NULL;
}

/* ---- runs --------------------------------------------------------------------------------- */

/* The seqs of a run of which low halves are known: seqs with cells lie within 2^32 of the first
 * block. The last seq counts: earlier ones may lie before that block. False where the last one does
 * too: then nothing of the run is alive. */
static bool compact_run(const struct blockindex *blocks, struct chunk_run run, uint64_t *first,
                        uint64_t *last) {
    uint64_t base = blocks->first * BLOCK_ROWS;
    *last = base + (uint32_t)(run.last - (uint32_t)base);
    *first = *last - (uint32_t)(run.last - run.first);
    return block_number(*last) < blockindex_end(blocks);
}

/* Replace the runs by one that spans them, if it has at most JOIN_SPREAD times their seqs: then the
 * chunk can be emptied together with others of these rows. False where the runs lie apart. */
static bool compact_join(struct chunk *chunk, struct compact_budget *budget) {
    const struct blockindex *blocks = compact_blocks(chunk);
    uint64_t first = chunk->first, last = chunk->last, seqs = last + 1 - first, from, to;
    compact_spend(&budget->rows, chunk->n_others / RUNS_A_ROW);
    for (uint32_t i = 0; i < chunk->n_others; i++) {
        if (!compact_run(blocks, chunk->others[i], &from, &to)) continue;
        seqs += to + 1 - from;
        if (from < first) first = from;
        if (to > last) last = to;
    }
    if ((last - first) / JOIN_SPREAD > seqs) return false;
    chunk->first = first;
    chunk->last = last;
    chunk->n_others = 0;
    return true;
}

/* Go on with the next run; false where there is none. */
static bool compact_next_run(struct chunk *chunk, struct arena_sweep *sweep) {
    while (chunk->n_others) {
        struct chunk_run run = chunk->others[--chunk->n_others];
        sweep->column = 0;
        if (compact_run(compact_blocks(chunk), run, &sweep->next, &sweep->last)) return true;
    }
    return false;
}

/* ---- sweeps ------------------------------------------------------------------------------- */

/* May this chunk be emptied together with `chunk`, whose rows the sweep looks at? */
static bool compact_goes_along(struct chunk *other, const struct chunk *chunk, uint64_t largest,
                               const struct arena_sweep *sweep, struct compact_budget *budget) {
    return other->cells && other->column == chunk->column && other->owner == chunk->owner &&
           other->pins <= chunk->pins && other->live <= largest && compact_join(other, budget) &&
           other->first <= sweep->last && other->last >= sweep->next;
}

/* Begin to empty the chunk, and with it others of the same rows that are as dead or of which a
 * quarter is alive at most; no more than `largest` bytes are alive in the others. */
static void compact_begin(struct arena *arena, struct chunk *chunk, uint64_t largest,
                          struct compact_budget *budget) {
    struct arena_sweep *sweep = arena_sweep(arena);
    unsigned most = chunk->sparse > ARENA_SPARSE_QUARTER ? chunk->sparse : ARENA_SPARSE_QUARTER;
    chunk_set_sparse(chunk, ARENA_SPARSE_SWEPT);
    if (!chunk->cells) return; /* pinned: its column may be gone */
    bool joined = compact_join(chunk, budget);
    *sweep = (struct arena_sweep){.next = chunk->first, .last = chunk->last};
    if (!joined) return;
    uint64_t looks = sweep->last + 1 - sweep->next; /* what is saved may be no more than this */
    if (looks > SWEEP_LOOKS) looks = SWEEP_LOOKS;
    for (unsigned i = 1; i <= most; i++) {
        struct chunk *next = arena_first_sparse(arena, i);
        for (struct chunk *other; (other = next) && looks && budget->rows; looks--) {
            next = chunk_next_sparse(other);
            compact_spend(&budget->rows, 1);
            if (!compact_goes_along(other, chunk, largest, sweep, budget)) continue;
            chunk_set_sparse(other, ARENA_SPARSE_SWEPT);
            largest -= other->live;
            if (other->first < sweep->next) sweep->next = other->first;
            if (other->last > sweep->last) sweep->last = other->last;
        }
    }
}

/* Move the column's cells of these rows of one block out of the chunks that are swept. False where
 * the budget or the memory ends before: then what is left is found by calling again. */
static bool compact_block(struct column *c, uint64_t first, uint64_t last,
                          struct compact_budget *budget) {
    struct column_block *block = blockindex_get(&c->blocks, block_number(first));
    if (!block) return true;
    const struct cell *cells = column_cells(block);
    unsigned row = block_row(first), end = block_row(last) + 1;
    compact_spend(&budget->rows, block->count < end - row ? block->count : end - row);
    for (unsigned w = row / 64; w <= (end - 1) / 64; w++) {
        uint64_t left = block->produced[w] & range_mask(w, row, end);
        for (; left; left &= left - 1) {
            unsigned at = w * 64 + bits_lowest(left);
            if (!cells[at].chunk) continue;
            if (arena_chunk(c->home->arena, cells[at].chunk)->sparse != ARENA_SPARSE_SWEPT)
                continue;
            if (!budget->bytes) return false;
            compact_spend(&budget->bytes, cells[at].length);
            compact_spend(&budget->rows, MOVE_ROWS);
            if (column_move(c, first - row + at)) return false;
        }
    }
    return true;
}

/* The next column of the block, or the next block. The chunk may be gone then. False as
 * compact_block. */
static bool compact_advance(const struct chunk *chunk, struct arena_sweep *sweep,
                            struct compact_budget *budget) {
    const struct blockindex *blocks = compact_blocks(chunk);
    uint64_t begin = blocks->first * BLOCK_ROWS, end = blockindex_end(blocks) * BLOCK_ROWS;
    uint64_t next = sweep->next < begin ? begin : sweep->next, last = next | (BLOCK_ROWS - 1);
    if (last > sweep->last) last = sweep->last;
    compact_spend(&budget->rows, 1);
    struct column *c = compact_column(chunk, sweep->column);
    bool is_last = !compact_column(chunk, sweep->column + 1);
    if (next >= end) {
        last = sweep->last;
    } else if (c && next <= last) {
        if (!compact_block(c, next, last, budget)) return false;
        if (!is_last) {
            sweep->column++;
            return true;
        }
    }
    sweep->next = last + 1;
    sweep->column = 0;
    return true;
}

/* Go on with the sweep. Chunks go when their last cell is out, unless they are pinned. True when
 * it is done, whatever cells they count then: calls have to end. */
static bool compact_sweep(struct arena *arena, struct compact_budget *budget) {
    struct arena_sweep *sweep = arena_sweep(arena);
    for (struct chunk *chunk; (chunk = arena_first_sparse(arena, ARENA_SPARSE_SWEPT));) {
        if (!chunk->cells || (sweep->next > sweep->last && !compact_next_run(chunk, sweep))) {
            chunk_set_sparse(chunk, ARENA_SPARSE_NONE);
        } else if (!budget->rows || !budget->bytes || !compact_advance(chunk, sweep, budget)) {
            return false;
        }
    }
    return true;
}

bool compact_step(struct arena *arena, size_t rows, size_t bytes) {
    struct compact_budget budget = {rows, bytes};
    while (compact_sweep(arena, &budget)) {
        struct chunk *chunk = NULL;
        for (unsigned i = 1; i <= ARENA_SPARSE_QUARTER && !chunk; i++)
            chunk = arena_first_sparse(arena, i);
        if (!chunk) return false;
        compact_begin(arena, chunk, STEP_LARGEST, &budget);
    }
    return true;
}

/* The deadest chunk whose memory comes back once its cells are out. Pinned ones, and those that
 * need too much memory meanwhile, go to the end of their queue. */
static struct chunk *compact_choose(struct arena *arena, uint64_t largest) {
    int looks = 256; /* in all, whatever the number of pinned chunks */
    for (unsigned i = 1; i <= ARENA_SPARSE_OPEN; i++) {
        unsigned pins = i == ARENA_SPARSE_OPEN; /* its column's own */
        const struct chunk *passed = NULL;
        struct chunk *chunk;
        while ((chunk = arena_first_sparse(arena, i)) && chunk != passed) {
            if (chunk->pins == pins && chunk->live <= largest) return chunk;
            if (!looks--) return NULL;
            if (!passed) passed = chunk;
            chunk_set_sparse(chunk, ARENA_SPARSE_NONE);
            chunk_set_sparse(chunk, i);
        }
    }
    return NULL;
}

/* Call while no sweep goes on: begin one, or close a chunk that is written to, which is freed or
 * waits in another queue then. False where nothing can be gained. */
static bool compact_squeeze_next(struct arena *arena, uint64_t largest,
                                 struct compact_budget *budget) {
    struct chunk *chunk = compact_choose(arena, largest);
    if (!chunk) return false;
    if (chunk->sparse == ARENA_SPARSE_OPEN) {
        chunk_set_sparse(chunk, ARENA_SPARSE_NONE);
        column_close(chunk->column);
    } else {
        compact_begin(arena, chunk, largest - chunk->live, budget);
    }
    return true;
}

bool compact_squeeze(struct arena *arena, uint64_t largest, struct compact_budget *budget) {
    if (!budget->rows || !budget->bytes || arena_defers_frees(arena)) return false;
    compact_spend(&budget->rows, 1); /* so that calls end whatever they find */
    return !compact_sweep(arena, budget) || compact_squeeze_next(arena, largest, budget);
}
