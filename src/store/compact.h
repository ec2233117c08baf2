/* Compaction: chunks of which little is alive are moved out, so that one surviving cell never holds a large chunk.
 *
 * Nothing that anyone sees changes: the same values lie elsewhere. Whoever reads the old place (a reply, a snapshot)
 * has it pinned, and it stays until they are done. */
#ifndef TQ_STORE_COMPACT_H
#define TQ_STORE_COMPACT_H

#include <stdbool.h>
#include <stddef.h>

#include "store/arena.h"

struct compact_budget {
    size_t rows, bytes; /* that may still be looked at, and moved */
};

/* Look at up to `rows` rows of sparse chunks and move up to `bytes`; a chunk that takes longer goes on next time. True where
 * there is more to do. */
bool compact_step(struct arena *arena, size_t rows, size_t bytes);

/* Call where memory lacks: moves the cells of the deadest chunk out, whatever its share, if no more
 * than `largest` bytes of it are alive: until they are all out they take memory twice. What it does
 * is taken off *budget. False where nothing can be gained now: no chunk has dead bytes that a move
 * would free, all are pinned, the arena is held, or the budget is used up. What moves is packed
 * without gaps, so that calls end: at most 7 bytes are moved for one that died. */
bool compact_squeeze(struct arena *arena, uint64_t largest, struct compact_budget *budget);

#endif
