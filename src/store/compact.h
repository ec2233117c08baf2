/* Compaction: chunks of which little is alive are moved out, so that one surviving cell never holds a large chunk.
 *
 * A chunk notes the runs of seqs that its cells have. Of values written in order these are few, and
 * a look at their rows finds the survivors. Of small values of samples all over the partition the
 * notes would take more than the values do: such a chunk has a run that spans nearly all rows (see
 * column.c). Therefore a sweep goes over the rows of a column once, and empties all sparse chunks
 * of the column that have cells there: its cost grows with the rows, not with rows x chunks. There is
 * one sweep at a time; it goes on where the budget of the call before ended.
 *
 * Nothing that anyone sees changes: the same values lie elsewhere. Whoever reads the old place (a reply, a snapshot)
 * has it pinned, and it stays until they are done. */
#ifndef TQ_STORE_COMPACT_H
#define TQ_STORE_COMPACT_H

#include <stdbool.h>
#include <stddef.h>

#include "store/arena.h"

struct compact_budget {
    size_t rows;  /* that may still be looked at; a value that is moved counts as 8 */
    size_t bytes; /* that may still be moved */
};

/* Empty chunks of which a quarter is alive or less, with a budget of so many rows and bytes, beyond
 * which it goes by a block of rows or a value at most. True where there is more to do. */
bool compact_step(struct arena *arena, size_t rows, size_t bytes);

/* Call where memory is short: moves the cells of the deadest chunks out, whatever their share, if
 * no more than `largest` bytes of them are alive: until they are all out they take memory twice.
 * What it does is taken off *budget. False where nothing can be gained now: no chunk has dead bytes
 * that a move would free, all are pinned, the arena is held, or the budget is used up. What moves
 * is packed without gaps, so that calls end: at most 7 bytes are moved for one that died. */
bool compact_squeeze(struct arena *arena, uint64_t largest, struct compact_budget *budget);

#endif
