/* See column.h. */
#include "store/column.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "store/rowbits.h"

/* The open chunk grows with the column, from one unit to this. */
enum { OPEN_MAX = 256 * 1024 };

enum {
    SMALL_FIRST = 64,   /* bytes of the first chunk that columns share */
    SMALL_MAX = 1024,   /* of the largest */
    SMALL_VALUE = 256,  /* of a value in one */
    SMALL_COLUMN = 512, /* of all values of a column that writes to one */
};

enum {
    RUN_GAP = 64,   /* a seq this close to the newest run of a chunk extends it */
    RUN_PART = 128, /* bytes of a chunk for each run: runs take a sixteenth of it at most */
};

/* The types without dimensions, for columns that never had another. */
#define SCALAR(name) [DTYPE_##name] = {.base = DTYPE_##name}
static const struct dtype column_scalars[DTYPE_BASES] = {
    SCALAR(BOOL), SCALAR(U8),  SCALAR(I8),  SCALAR(U16),    SCALAR(I16),    SCALAR(U32),
    SCALAR(I32),  SCALAR(U64), SCALAR(I64), SCALAR(F8E4M3), SCALAR(F8E5M2), SCALAR(F16),
    SCALAR(BF16), SCALAR(F32), SCALAR(F64), SCALAR(STR),    SCALAR(BYTES)};
#undef SCALAR

static const struct dtype *column_first_type(const struct dtype *type) {
    return type->dimensions ? mem_dup(type, sizeof(*type)) : &column_scalars[type->base];
}

static void column_free_types(struct column *c) {
    uintptr_t at = (uintptr_t)c->types - (uintptr_t)column_scalars;
    if (at >= sizeof(column_scalars)) mem_free((void *)c->types);
}

void column_init(struct column *c, struct span name, const struct dtype *type,
                 struct column_home *home) {
    assert(name.len <= UINT8_MAX);
    *c = (struct column){
        .name = name.ptr[0] == '@' ? name.ptr : mem_dup(name.ptr, name.len),
        .name_len = (uint8_t)name.len,
        .types = column_first_type(type),
        .home = home,
    };
}

/* How many sizes the block keeps of a cell. */
static unsigned block_kept(const struct column *c, const struct column_block *block) {
    return column_sizes_kept(&c->types[block->version]);
}

static size_t block_bytes(const struct column *c, const struct column_block *block) {
    size_t cell = sizeof(struct cell) + block_kept(c, block) * sizeof(uint32_t);
    size_t rows = block->capacity > 1 ? block->capacity : 0;
    return sizeof(*block) + rows * cell + rowbits_bytes(block->produced);
}

/* Where the type of the block keeps sizes. */
static uint32_t *block_sizes(struct column_block *block) {
    return block->capacity == 1 ? &block->size : block->sizes;
}

/* Room for so many rows, more than there are. */
static void block_grow(struct column *c, struct column_block *block, unsigned capacity) {
    unsigned kept = block_kept(c, block);
    if (kept > 1 && capacity == 1) capacity = 2;
    c->home->overhead -= block_bytes(c, block);
    if (capacity > 1) {
        struct column_block old = *block;
        bool is_array = old.capacity > 1;
        block->cells = mem_realloc(is_array ? old.cells : NULL, capacity * sizeof(old.cell));
        block->sizes = NULL;
        if (kept)
            block->sizes =
                mem_realloc(is_array ? old.sizes : NULL, capacity * kept * sizeof(old.size));
        if (old.capacity == 1) {
            block->cells[0] = old.cell;
            if (kept) block->sizes[0] = old.size;
        }
    }
    block->capacity = (uint16_t)capacity;
    c->home->overhead += block_bytes(c, block);
}

static void block_free(struct column *c, struct column_block *block) {
    c->home->overhead -= block_bytes(c, block);
    rowbits_free(block->produced);
    if (block->capacity > 1) {
        mem_free(block->cells);
        mem_free(block->sizes);
    }
    mem_free(block);
}

/* A cell less is alive in the chunk, or the column writes to it no longer. */
static void chunk_check_sparse(struct chunk *chunk, const struct column *c) {
    size_t size = chunk_size(chunk);
    if (chunk == c->home->small) return;
    if (chunk == c->open) {
        bool sparse = c->open_used - chunk->live >= size / 8;
        chunk_set_sparse(chunk, sparse ? ARENA_SPARSE_OPEN : ARENA_SPARSE_NONE);
        return;
    }
    unsigned eighths = chunk->sparse ? chunk->sparse : ARENA_SPARSE_MOST + 1;
    if (chunk->live * 8 > (eighths - 1) * size && chunk->live * 8 <= eighths * size) return;
    if (chunk->sparse == ARENA_SPARSE_SWEPT) return;
    eighths = (unsigned)((chunk->live * 8 + size - 1) / size);
    bool gains = eighths <= ARENA_SPARSE_QUARTER ||
                 (eighths <= ARENA_SPARSE_MOST && size - chunk->live >= ARENA_UNIT);
    chunk_set_sparse(chunk, gains ? eighths : ARENA_SPARSE_NONE);
}

void column_close(struct column *c) {
    struct chunk *chunk = c->open;
    if (!chunk) return;
    c->open = NULL;
    chunk_trim(chunk, c->open_used);
    c->open_used = 0;
    if (chunk->cells)
        chunk_check_sparse(chunk, c);
    else
        chunk_set_sparse(chunk, ARENA_SPARSE_NONE);
    chunk_unpin(chunk);
}

void column_home_close(struct column_home *home) {
    struct chunk *chunk = home->small;
    if (!chunk) return;
    home->small = NULL;
    chunk_trim(chunk, home->small_used);
    home->small_used = 0;
    if (chunk->cells) chunk_check_sparse(chunk, &(struct column){.home = home});
    chunk_unpin(chunk);
}

bool column_shrink(struct column *c, size_t *steps) {
    for (; c->blocks.count && *steps; --*steps) {
        uint64_t number = blockindex_end(&c->blocks) - 1;
        struct column_block *block = blockindex_get(&c->blocks, number);
        if (block) block_free(c, block);
        blockindex_set(&c->blocks, number, NULL);
    }
    return c->blocks.count == 0;
}

void column_free(struct column *c) {
    column_close(c);
    for (uint64_t number = c->blocks.first; number < blockindex_end(&c->blocks); number++) {
        struct column_block *block = blockindex_get(&c->blocks, number);
        if (block) block_free(c, block);
    }
    blockindex_free(&c->blocks);
    column_free_types(c);
    if (c->name && c->name[0] != '@') mem_free((void *)c->name);
    c->name = NULL;
}

static void cell_drop(struct column *c, const struct cell *cell) {
    c->bytes -= cell->length;
    c->produced--;
    if (!cell->chunk) return;
    struct chunk *chunk = arena_chunk(c->home->arena, cell->chunk);
    chunk->live -= cell->length;
    if (chunk->cells > 1) chunk_check_sparse(chunk, c);
    chunk_drop_cell(chunk);
}

/* Make room for another run; false where the chunk is too small for one more. */
static bool chunk_run_room(struct chunk *chunk) {
    size_t most = chunk_size(chunk) / RUN_PART, capacity = chunk->others_capacity;
    if (chunk->n_others < capacity) return true;
    if (capacity >= most) return false;
    capacity = capacity ? 2 * capacity : 4;
    if (capacity > most) capacity = most;
    chunk->others = mem_realloc(chunk->others, capacity * sizeof(*chunk->others));
    chunk->others_capacity = (uint32_t)capacity;
    return true;
}

/* Note the seq of a cell that points into the chunk, so that compact.c finds the cell. Where there
 * is no room for another run the newest one is extended, and spans seqs without cells: a note for
 * each cell would take more than small values do. */
static void chunk_add_cell(struct chunk *chunk, struct column *c, uint64_t seq, uint32_t length) {
    if (chunk->cells++ == 0) {
        chunk->column = chunk == c->home->small ? NULL : c;
        chunk->first = chunk->last = seq;
        chunk->n_others = 0;
    } else if ((seq + RUN_GAP < chunk->first || seq > chunk->last + RUN_GAP) &&
               chunk_run_room(chunk)) {
        chunk->others[chunk->n_others++] =
            (struct chunk_run){(uint32_t)chunk->first, (uint32_t)chunk->last};
        chunk->first = chunk->last = seq;
    } else {
        if (seq < chunk->first) chunk->first = seq;
        if (seq > chunk->last) chunk->last = seq;
    }
    chunk->live += length;
}

void column_drop(struct column *c) {
    for (uint64_t number = c->blocks.first; number < blockindex_end(&c->blocks); number++) {
        struct column_block *block = blockindex_get(&c->blocks, number);
        if (!block) continue;
        for (unsigned row = 0; row < block->capacity; row++)
            if (bits_get(block->produced, row)) cell_drop(c, column_cells(block) + row);
    }
    column_free(c);
}

/* ---- shapes ------------------------------------------------------------------------------- */

void column_widen(struct column *c, const struct dtype *type) {
    if (dtype_equal(column_type(c), type)) return;
    assert(c->version + 1 < COLUMN_TYPES_MAX);
    size_t n = c->version + 1u;
    struct dtype *types = mem_alloc((n + 1) * sizeof(*types));
    memcpy(types, c->types, n * sizeof(*types));
    types[n] = *type;
    column_free_types(c);
    c->types = types;
    c->version++;
}

static struct dtype block_item_type(const struct column *c, struct column_block *block,
                                    unsigned row) {
    const struct dtype *type = &c->types[block->version];
    unsigned kept = block_kept(c, block);
    struct dtype item;
    bool known = kept ? dtype_of_sizes(type, block_sizes(block) + row * kept, &item)
                      : dtype_of_length(type, column_cells(block)[row].length, &item);
    assert(known);
    (void)known;
    return item;
}

/* Bring a block's shapes into the layout of the current type. At most once a block and type. */
static void block_upgrade(struct column *c, struct column_block *block) {
    if (block->version == c->version) return;
    const struct dtype *type = column_type(c);
    unsigned kept = column_sizes_kept(type);
    if (kept > 1 && block->capacity == 1) block_grow(c, block, 2);
    uint32_t *sizes = kept ? mem_calloc((size_t)block->capacity * kept, sizeof(*sizes)) : NULL;
    for (unsigned row = 0; kept && row < block->capacity; row++) {
        if (!bits_get(block->produced, row)) continue;
        struct dtype item = block_item_type(c, block, row);
        for (unsigned i = 0, star = 0; i < type->dimensions; i++)
            if (type->shape[i] == DTYPE_STAR) sizes[row * kept + star++] = item.shape[i];
    }
    c->home->overhead -= block_bytes(c, block);
    if (block->capacity > 1) {
        mem_free(block->sizes);
        block->sizes = sizes;
    } else if (block->capacity == 1) {
        if (kept) block->size = sizes[0];
        mem_free(sizes);
    }
    block->version = c->version;
    c->home->overhead += block_bytes(c, block);
}

struct dtype column_item_type(const struct column *c, uint64_t seq) {
    return block_item_type(c, blockindex_get(&c->blocks, block_number(seq)), block_row(seq));
}

/* ---- writing ------------------------------------------------------------------------------ */

/* The block of a seq, in the current layout and with space for its row. */
static struct column_block *column_block_for(struct column *c, uint64_t seq) {
    struct column_block *block = blockindex_get(&c->blocks, block_number(seq));
    if (!block) {
        block = mem_calloc(1, sizeof(*block));
        block->produced = rowbits_none();
        block->version = c->version;
        c->home->overhead += sizeof(*block);
        blockindex_set(&c->blocks, block_number(seq), block);
    }
    unsigned row = block_row(seq);
    if (row >= block->capacity) block_grow(c, block, block_capacity(row));
    block_upgrade(c, block);
    return block;
}

static uint32_t open_size_next(const struct column *c) {
    if (!c || !c->open) return ARENA_UNIT;
    size_t size = chunk_size(c->open) * 2;
    return size < OPEN_MAX ? (uint32_t)size : OPEN_MAX;
}

/* Does the next value go to the chunk that columns share? */
static bool column_shares(const struct column *c, size_t len) {
    return !c->open && c->home->shares && len <= SMALL_VALUE && c->bytes + len <= SMALL_COLUMN;
}

/* Of a column that is to come it is not known here whether it will share one, whose size is at most
 * a unit. */
size_t column_reserve(const struct column *c, size_t len) {
    if (len == 0 || (c && c->open && chunk_size(c->open) - c->open_used >= len)) return 0;
    if (c && column_shares(c, len)) return SMALL_MAX;
    size_t size = open_size_next(c);
    size_t need = len > size ? len : size;
    return arena_round(need);
}

/* No cell in a chunk that is written to is alive, and no reader has a pin on it: a steady stream
 * goes round in the same memory. But what a child sees in it stays. */
static bool chunk_is_idle(const struct chunk *chunk, const struct column *c) {
    return chunk && chunk->cells == 0 && chunk->pins == 1 && !arena_defers_frees(c->home->arena);
}

/* The same as column_room, in the chunk that columns share. */
static char *column_room_small(struct column *c, size_t len, size_t most, struct chunk **chunk,
                               uint32_t *offset) {
    struct column_home *home = c->home;
    if (chunk_is_idle(home->small, c)) home->small_used = 0;
    if (!home->small || chunk_size(home->small) - home->small_used < len) {
        size_t size = home->small ? chunk_size(home->small) * 4 : SMALL_FIRST;
        if (size > most) size = most;
        if (size > SMALL_MAX) size = SMALL_MAX;
        size = arena_round(size < len ? len : size); /* it is used to its end */
        column_home_close(home);
        home->small = arena_take(home->arena, size);
        assert(home->small); /* reserved */
        chunk_own(home->small, &home->chunks);
    }
    *chunk = home->small;
    *offset = home->small_used;
    home->small_used += (uint32_t)len;
    return home->small->memory + *offset;
}

/* Room for `len` bytes in a row: in the open chunk, in a new one of at most `most` bytes (or
 * `len`), or, for a long run, in one of its own. Returns the memory, and where it is in *chunk and
 * *offset. */
static char *column_room(struct column *c, size_t len, size_t most, struct chunk **chunk,
                         uint32_t *offset) {
    if (column_shares(c, len)) return column_room_small(c, len, most, chunk, offset);
    if (chunk_is_idle(c->open, c)) {
        c->open_used = 0;
        chunk_set_sparse(c->open, ARENA_SPARSE_NONE);
    }
    if (c->open && chunk_size(c->open) - c->open_used >= len) {
        *chunk = c->open;
        *offset = c->open_used;
        c->open_used += (uint32_t)len;
        return c->open->memory + *offset;
    }
    size_t size = open_size_next(c);
    if (size > most) size = most;
    bool opens =
        len <= OPEN_MAX && (len < size / 2 || !c->open || chunk_size(c->open) == c->open_used);
    if (len > size) size = len;
    if (opens) size = arena_round(size); /* an open chunk is used to its end */
    *chunk = arena_take(c->home->arena, size);
    assert(*chunk); /* reserved */
    chunk_own(*chunk, &c->home->chunks);
    *offset = 0;
    if (opens) {
        column_close(c);
        c->open = *chunk;
        c->open_used = (uint32_t)len;
        return c->open->memory;
    }
    return (*chunk)->memory; /* of its own; pinned until column_put has set its cells */
}

static void column_set(struct column *c, uint64_t seq, struct cell cell, const uint32_t *sizes) {
    struct column_block *block = column_block_for(c, seq);
    unsigned row = block_row(seq);
    if (bits_get(block->produced, row)) {
        cell_drop(c, column_cells(block) + row);
    } else {
        c->home->overhead += rowbits_set(&block->produced, row);
        block->count++;
    }
    column_cells(block)[row] = cell;
    unsigned kept = column_sizes_kept(column_type(c));
    if (kept) memcpy(block_sizes(block) + row * kept, sizes, kept * sizeof(*sizes));
    c->bytes += cell.length;
    c->produced++;
}

size_t column_values_bytes(const struct column_values *v, size_t n) {
    if (v->payload.ptr) return v->payload.len;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += v->items[i].len;
    return bytes;
}

static void values_copy(char *to, const struct column_values *v, size_t n) {
    if (v->payload.ptr) {
        memcpy(to, v->payload.ptr, v->payload.len);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (v->items[i].len) memcpy(to, v->items[i].ptr, v->items[i].len);
        to += v->items[i].len;
    }
}

static uint32_t values_length(const struct column_values *v, size_t n, size_t i) {
    if (!v->payload.ptr) return (uint32_t)v->items[i].len;
    return v->lengths ? v->lengths[i] : (uint32_t)(v->payload.len / n);
}

void column_put(struct column *c, const uint64_t *seqs, size_t n, const struct column_values *v) {
    struct chunk *chunk = v->adopt;
    uint32_t offset = 0;
    size_t bytes = column_values_bytes(v, n);
    bool own = false;
    if (chunk) {
        offset = (uint32_t)(v->payload.ptr - chunk->memory);
        if (!chunk->owner) chunk_own(chunk, &c->home->chunks);
    } else if (bytes) {
        values_copy(column_room(c, bytes, SIZE_MAX, &chunk, &offset), v, n);
        own = chunk != c->open && chunk != c->home->small;
    }
    unsigned kept = column_sizes_kept(column_type(c));
    for (size_t i = 0; i < n; i++) {
        uint32_t length = values_length(v, n, i);
        struct cell cell = {length ? chunk->id : 0, length ? offset : 0, length};
        if (length) chunk_add_cell(chunk, c, seqs[i], length);
        column_set(c, seqs[i], cell, v->sizes ? v->sizes + i * kept : NULL);
        offset += length;
    }
    if (own) {
        chunk_trim(chunk, bytes);
        chunk_unpin(chunk);
    }
}

/* ---- loading ------------------------------------------------------------------------------ */

/* Where the values of a range have got to. */
struct column_loading {
    const struct column_values *values;
    uint32_t chunk, offset, each; /* each: the length of all, where there are no lengths */
    size_t at;
};

static void block_load(struct column *c, struct column_block *block, const uint64_t *bits,
                       struct column_loading *l) {
    unsigned kept = column_sizes_kept(column_type(c));
    struct cell *cells = column_cells(block);
    for (unsigned w = 0; w < BLOCK_WORDS; w++) {
        for (uint64_t left = bits[w]; left; left &= left - 1, l->at++) {
            unsigned row = w * 64 + bits_lowest(left);
            uint32_t length = l->values->lengths ? l->values->lengths[l->at] : l->each;
            cells[row] = length ? (struct cell){l->chunk, l->offset, length} : (struct cell){0};
            if (kept)
                memcpy(block_sizes(block) + row * kept, l->values->sizes + l->at * kept,
                       kept * sizeof(uint32_t));
            l->offset += length;
        }
    }
    c->home->overhead += rowbits_add(&block->produced, bits);
    block->count = (uint16_t)bits_count(block->produced, BLOCK_WORDS);
}

static unsigned block_last_row(const uint64_t *bits) {
    unsigned w = BLOCK_WORDS - 1;
    while (!bits[w]) w--;
    return w * 64 + bits_highest(bits[w]);
}

/* All cells with bytes of this range lie in the chunk, which had none. */
static void chunk_add_range(struct chunk *chunk, struct column *c, const struct range *range,
                            const struct column_values *v, size_t n) {
    size_t cells = n;
    for (size_t i = 0; v->lengths && i < n; i++) cells -= v->lengths[i] == 0;
    if (!chunk->owner) chunk_own(chunk, &c->home->chunks);
    chunk->column = c;
    chunk->cells = (uint32_t)cells;
    chunk->live = v->payload.len;
    chunk->first = range->base + range_next(range, 0);
    chunk->last = range->base;
    for (size_t i = 0; i < RANGE_BLOCKS; i++)
        if (bits_any(range->bits + i * BLOCK_WORDS, BLOCK_WORDS))
            chunk->last = range->base + i * BLOCK_ROWS + BLOCK_ROWS - 1;
    chunk->n_others = 0;
}

void column_load(struct column *c, const struct range *range, size_t n,
                 const struct column_values *v) {
    struct column_loading l = {.values = v, .each = n ? (uint32_t)(v->payload.len / n) : 0};
    if (v->adopt) {
        l.chunk = v->adopt->id;
        l.offset = (uint32_t)(v->payload.ptr - v->adopt->memory);
        chunk_add_range(v->adopt, c, range, v, n);
    }
    for (size_t i = 0; i < RANGE_BLOCKS; i++) {
        const uint64_t *bits = range->bits + i * BLOCK_WORDS;
        if (!bits_any(bits, BLOCK_WORDS)) continue;
        uint64_t seq = range->base + i * BLOCK_ROWS + block_last_row(bits);
        block_load(c, column_block_for(c, seq), bits, &l);
    }
    c->produced += n;
    c->bytes += v->payload.len;
}

/* ---- reading and clearing ----------------------------------------------------------------- */

const struct cell *column_cell(const struct column *c, uint64_t seq) {
    struct column_block *block = blockindex_get(&c->blocks, block_number(seq));
    unsigned row = block_row(seq);
    return block && bits_get(block->produced, row) ? column_cells(block) + row : NULL;
}

bool column_has(const struct column *c, uint64_t seq) {
    return column_cell(c, seq) != NULL;
}

bool column_get(const struct column *c, uint64_t seq, struct span *value) {
    const struct cell *cell = column_cell(c, seq);
    if (!cell) return false;
    *value = span_of("", 0);
    if (cell->chunk) {
        const struct chunk *chunk = arena_chunk(c->home->arena, cell->chunk);
        *value = span_of(chunk->memory + cell->offset, cell->length);
    }
    return true;
}

bool column_clear(struct column *c, uint64_t seq) {
    struct column_block *block = blockindex_get(&c->blocks, block_number(seq));
    unsigned row = block_row(seq);
    if (!block || !bits_get(block->produced, row)) return false;
    cell_drop(c, column_cells(block) + row);
    c->home->overhead += rowbits_clear(&block->produced, row);
    if (--block->count == 0) {
        blockindex_set(&c->blocks, block_number(seq), NULL);
        block_free(c, block);
    }
    return true;
}

int column_move(struct column *c, uint64_t seq) {
    struct column_block *block = blockindex_get(&c->blocks, block_number(seq));
    struct cell *cell = column_cells(block) + block_row(seq), old = *cell;
    int failed = arena_reserve(c->home->arena, column_reserve(c, old.length), NULL);
    if (failed) return failed;
    struct chunk *from = arena_chunk(c->home->arena, old.chunk), *to;
    /* No chunk is opened that is larger than what moves: a move must not cost memory. */
    char *memory = column_room(c, old.length, arena_round(from->live), &to, &cell->offset);
    memcpy(memory, from->memory + old.offset, old.length);
    cell->chunk = to->id;
    chunk_add_cell(to, c, seq, old.length);
    if (to != c->open && to != c->home->small) {
        chunk_trim(to, old.length);
        chunk_unpin(to);
    }
    from->live -= old.length;
    chunk_drop_cell(from);
    return 0;
}
