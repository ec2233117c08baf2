/* A column: one field, or one tag, or the keys, of all samples of a partition.
 *
 * A cell says where its value lies: (chunk, offset, length). Values written one by one are appended
 * to the column's open chunk, so that what was written in a row lies in a row and can be read out
 * as one range; a large value that arrived in a chunk of its own is adopted, not copied. A produced
 * bit a sample says whether there is a value; 64 samples are asked at once.
 *
 * A dense column that meets an item of another size becomes ragged. Cells written before keep
 * meaning what they meant: a column remembers its earlier types, a block of cells names the one
 * under which its shapes were kept. */
#ifndef TQ_STORE_COLUMN_H
#define TQ_STORE_COLUMN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/span.h"
#include "store/arena.h"
#include "store/blockindex.h"
#include "store/dtype.h"
#include "store/range.h"

struct cell {
    uint32_t chunk, offset, length; /* chunk 0: an empty value */
};

struct column_block {
    const uint64_t *produced; /* rowbits.h */
    uint16_t count;    /* produced cells */
    uint16_t capacity; /* rows in cells (and sizes) */
    uint8_t version;   /* index into the column's types: what `sizes` is laid out for */
    union {
        struct {
            struct cell *cells;
            uint32_t *sizes; /* capacity × stars, where shapes are not implied; else NULL */
        };
        struct { /* where capacity is 1; not of types that keep more than one size */
            struct cell cell;
            uint32_t size;
        };
    };
};

/* By row; where it is produced. */
static inline struct cell *column_cells(struct column_block *block) {
    return block->capacity == 1 ? &block->cell : block->cells;
}

/* Widening turns one size into `*` at a time at least: never more types than dimensions + 1. */
enum { COLUMN_TYPES_MAX = DTYPE_MAX_DIMS + 1 };

struct column;

/* Where the columns of a partition have their memory. Columns of few bytes write to one small chunk
 * together: a chunk each, of which most would be empty, would be most of what a tiny partition
 * takes. */
struct column_home {
    struct arena *arena;
    struct chunk_list chunks;
    struct chunk *small; /* pinned; NULL: none */
    uint32_t small_used;
    bool shares;     /* it is that of a partition: see compact.c */
    size_t overhead; /* bytes of the columns' blocks; partition.c adds its own */
};

/* A partition of one sample has several: fields are in an order that leaves no holes. */
struct column {
    const char *name; /* `name_len` bytes; owned, unless it begins with @: the server's own */
    const struct dtype *types; /* `version` + 1 of them, owned where they are not constants */
    struct blockindex blocks;
    uint64_t produced; /* cells */
    uint64_t bytes;    /* of their values */

    struct column_home *home;
    struct chunk *open; /* where small values go; pinned. NULL: none, or to home->small */
    uint32_t open_used;
    uint8_t name_len;
    uint8_t version; /* the current type's index */
    bool declared;   /* by TQ.CREATE: does not widen */
};

static inline struct span column_name(const struct column *c) {
    return span_of(c->name, c->name_len);
}

/* Values of one column for n samples, as an op carries them: borrowed, valid until applied. */
struct column_values {
    struct span payload;      /* back to back, in the order of the samples; or: */
    const struct span *items; /* n spans, when payload.ptr is NULL */
    const uint32_t *lengths;  /* n; NULL: all of payload.len / n bytes */
    const uint32_t *sizes; /* n × stars of the column's type, or NULL where shapes are implied */
    /* the payload lies in this chunk: it becomes the column's memory. The caller keeps its pin */
    struct chunk *adopt;
};

/* The total of the values' bytes. */
size_t column_values_bytes(const struct column_values *v, size_t n);

/* A column without cells. The name, of at most 255 bytes, is copied unless it begins with @. */
void column_init(struct column *c, struct span name, const struct dtype *type,
                 struct column_home *home);

/* Blocks, name and the open chunk's pin. Cells are not visited: their chunks go with the
 * partition's list (chunk_list_release), or were dropped before. */
void column_free(struct column *c);

/* Release the chunk that the column writes to. The next write opens another. */
void column_close(struct column *c);

/* The same for the one that columns share. */
void column_home_close(struct column_home *home);

/* The first part of column_free, in slices: frees at most *steps blocks and takes them off *steps.
 * True when none is left. The column is not read any more. */
bool column_shrink(struct column *c, size_t *steps);

/* As column_free, for a column that goes while its partition stays: drops every cell. */
void column_drop(struct column *c);

static inline const struct dtype *column_type(const struct column *c) {
    return &c->types[c->version];
}

/* From now on the column has this type: equal, or one that dtype_widen made of the present one. */
void column_widen(struct column *c, const struct dtype *type);

/* Write n cells; overwritten ones are dropped. Memory was reserved (column_reserve). */
void column_put(struct column *c, const uint64_t *seqs, size_t n, const struct column_values *v);

/* Write the cells of a range, `n` of them, none of which is there: what column_put does for samples
 * one by one goes block by block. The payload is adopted, the caller keeps its pin; it is NULL
 * where all values are empty. */
void column_load(struct column *c, const struct range *range, size_t n,
                 const struct column_values *v);

/* How many payload bytes arena_reserve must be asked for so that column_put of `len` bytes that are to be copied
 * cannot fail. `c` may be NULL for a column that does not exist yet. */
size_t column_reserve(const struct column *c, size_t len);

bool column_has(const struct column *c, uint64_t seq);

/* Is the value there? Its bytes stay valid until the store changes, longer under a pin of its chunk. */
bool column_get(const struct column *c, uint64_t seq, struct span *value);

/* The cell itself, NULL where not produced. */
const struct cell *column_cell(const struct column *c, uint64_t seq);

/* How many sizes a cell keeps under a type: 0 where its length implies its shape. */
static inline unsigned column_sizes_kept(const struct dtype *type) {
    return dtype_shape_implied(type) ? 0 : dtype_stars(type);
}

/* The concrete type (no `*`) of a produced cell. */
struct dtype column_item_type(const struct column *c, uint64_t seq);

/* The cell is gone; true when it was there. */
bool column_clear(struct column *c, uint64_t seq);

/* Move the value of a produced cell to where new values go, for compact.c: its chunk has one cell less. Same bytes, another
 * place. ERROR_OOM where there is none. */
int column_move(struct column *c, uint64_t seq);

/* Produced bits of block `number`, NULL where none. */
static inline const uint64_t *column_bits(const struct column *c, uint64_t number) {
    const struct column_block *block = blockindex_get(&c->blocks, number);
    return block ? block->produced : NULL;
}

#endif
