/* Compaction: chunks of which little is alive are moved out, so that one surviving cell never holds a large chunk.
 *
 * Nothing that anyone sees changes: the same values lie elsewhere. Whoever reads the old place (a reply, a snapshot)
 * has it pinned, and it stays until they are done. */
#ifndef TQ_STORE_COMPACT_H
#define TQ_STORE_COMPACT_H

#include <stdbool.h>
#include <stddef.h>

#include "store/arena.h"

/* Look at up to `rows` rows of sparse chunks and move up to `bytes`; a chunk that takes longer goes on next time. True where
 * there is more to do. */
bool compact_step(struct arena *arena, size_t rows, size_t bytes);

#endif
