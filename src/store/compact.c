/* See compact.h. */
#include "store/compact.h"

#include <stddef.h>

#include "store/partition.h"

/* The partition of a chunk that several columns share, else NULL. */
static const struct partition *compact_partition(const struct chunk *chunk) {
    if (chunk->column) return NULL;
    const char *chunks = (const char *)chunk->owner;
    return (const struct partition *)(chunks - offsetof(struct partition, home.chunks));
}

/* Whose low 32 bits are known: a column's seqs, and a partition's, lie within 2^32 of the first
 * piece's. */
static uint64_t compact_widen(const struct chunk *chunk, uint32_t low) {
    const struct partition *p = compact_partition(chunk);
    uint64_t first = (p ? p->rows.first : chunk->column->spine.first) * SPINE_ROWS;
    return first + (uint32_t)(low - (uint32_t)first);
}

/* Move the column's cell out if it points into the chunk; false when there is no memory to move
 * to. */
static bool compact_cell(struct chunk *chunk, struct column *c, uint64_t seq,
                         struct compact_budget *budget) {
    const struct cell *cell = column_cell(c, seq);
    if (!cell || cell->chunk != chunk->id) return true;
    budget->bytes -= cell->length < budget->bytes ? cell->length : budget->bytes;
    return column_move(c, seq) == 0;
}

static bool compact_set(struct chunk *chunk, const struct column_set *set, uint64_t seq,
                        struct compact_budget *budget) {
    budget->rows -= set->count < budget->rows ? set->count : budget->rows;
    for (size_t i = 0; i < set->count; i++)
        if (!compact_cell(chunk, set->columns[i], seq, budget)) return false;
    return true;
}

/* The same for all cells of a row that point into the chunk. */
static bool compact_row(struct chunk *chunk, uint64_t seq, struct compact_budget *budget) {
    const struct partition *p = compact_partition(chunk);
    budget->rows--;
    if (!p) return compact_cell(chunk, chunk->column, seq, budget);
    return compact_cell(chunk, (struct column *)&p->keys, seq, budget) &&
           compact_set(chunk, &p->fields, seq, budget) && compact_set(chunk, &p->tags, seq, budget);
}

/* Pass over the rows of the chunk's newest run that have no memory; false where that run is at an
 * end. Where the budget ends first the next call goes on. */
static bool compact_seek(struct chunk *chunk, struct compact_budget *budget) {
    const struct partition *p = compact_partition(chunk);
    const struct spine *spine = p ? &p->rows : &chunk->column->spine;
    uint64_t number = spine_number(chunk->first);
    if (number < spine->first) number = spine->first;
    for (; number < spine_end(spine) && !spine_get(spine, number) && budget->rows; number++)
        budget->rows--;
    if (number > spine_number(chunk->first)) chunk->first = number * SPINE_ROWS;
    return number < spine_end(spine) && chunk->first <= chunk->last;
}

/* Go on with the next run; false where there is none. Its last seq counts: earlier ones may be out
 * of the spine, and if that is too then nothing of the run is alive. */
static bool compact_next_run(struct chunk *chunk) {
    if (!chunk->others_count) return false;
    struct chunk_run run = chunk->others[--chunk->others_count];
    chunk->last = compact_widen(chunk, run.last);
    chunk->first = chunk->last - (uint32_t)(run.last - run.first);
    return true;
}

/* The chunk goes when its last cell is out, unless it is pinned. False where it has to wait for
 * another time. */
static bool compact_chunk(struct chunk *chunk, struct compact_budget *budget) {
    chunk_pin(chunk);
    bool done = chunk->cells == 0;
    while (!done && budget->rows && budget->bytes) {
        if (!compact_seek(chunk, budget)) {
            budget->rows -= budget->rows > 0;
            done = !compact_next_run(chunk); /* whatever cells it counts: calls have to end */
        } else if (budget->rows) {
            if (!compact_row(chunk, chunk->first, budget)) break;
            chunk->first++;
            done = chunk->cells == 0;
        }
    }
    if (done) chunk_set_sparse(chunk, ARENA_SPARSE_NONE);
    chunk_unpin(chunk);
    return done;
}

bool compact_step(struct arena *arena, size_t rows, size_t bytes) {
    struct compact_budget budget = {rows, bytes};
    for (unsigned i = 1; i <= ARENA_SPARSE_QUARTER; i++)
        for (struct chunk *chunk; (chunk = arena_first_sparse(arena, i));)
            if (!compact_chunk(chunk, &budget)) return true;
    return false;
}

/* The deadest chunk whose memory comes back once its cells are out. Pinned ones, and those that
 * need too much memory meanwhile, go to the end of their queue. */
static struct chunk *compact_choose(struct arena *arena, uint64_t largest) {
    int looks = 256; /* in all, whatever the number of pinned chunks */
    for (unsigned i = 1; i < ARENA_SPARSE_QUEUES; i++) {
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

bool compact_squeeze(struct arena *arena, uint64_t largest, struct compact_budget *budget) {
    if (!budget->rows || !budget->bytes || arena_is_held(arena)) return false;
    struct chunk *chunk = compact_choose(arena, largest);
    if (!chunk) return false;
    if (chunk->sparse == ARENA_SPARSE_OPEN) { /* it is freed, or waits in another queue now */
        budget->rows--;
        chunk_set_sparse(chunk, ARENA_SPARSE_NONE);
        column_close(chunk->column);
        return true;
    }
    struct compact_budget before = *budget;
    compact_chunk(chunk, budget);
    /* A call that moves nothing costs a row, so that a chunk that stays at the head of its queue
     * can't be chosen for ever. */
    if (budget->rows == before.rows && budget->bytes == before.bytes) budget->rows--;
    return true;
}
