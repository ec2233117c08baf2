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

/* How many sizes the piece keeps of a cell. */
static unsigned piece_kept(const struct column *c, const struct column_piece *piece) {
    return column_sizes_kept(&c->types[piece->version]);
}

static size_t piece_bytes(const struct column *c, const struct column_piece *piece) {
    size_t cell = sizeof(struct cell) + piece_kept(c, piece) * sizeof(uint32_t);
    size_t rows = piece->capacity > 1 ? piece->capacity : 0;
    return sizeof(*piece) + rows * cell + rowbits_bytes(piece->produced);
}

/* Where the type of the piece keeps sizes. */
static uint32_t *piece_sizes(struct column_piece *piece) {
    return piece->capacity == 1 ? &piece->size : piece->sizes;
}

/* Room for so many rows, more than there are. */
static void piece_grow(struct column *c, struct column_piece *piece, unsigned capacity) {
    unsigned kept = piece_kept(c, piece);
    if (kept > 1 && capacity == 1) capacity = 2;
    c->home->overhead -= piece_bytes(c, piece);
    if (capacity > 1) {
        struct column_piece old = *piece;
        bool is_array = old.capacity > 1;
        piece->cells = mem_realloc(is_array ? old.cells : NULL, capacity * sizeof(old.cell));
        piece->sizes = NULL;
        if (kept)
            piece->sizes =
                mem_realloc(is_array ? old.sizes : NULL, capacity * kept * sizeof(old.size));
        if (old.capacity == 1) {
            piece->cells[0] = old.cell;
            if (kept) piece->sizes[0] = old.size;
        }
    }
    piece->capacity = (uint16_t)capacity;
    c->home->overhead += piece_bytes(c, piece);
}

static void piece_free(struct column *c, struct column_piece *piece) {
    c->home->overhead -= piece_bytes(c, piece);
    rowbits_free(piece->produced);
    if (piece->capacity > 1) {
        mem_free(piece->cells);
        mem_free(piece->sizes);
    }
    mem_free(piece);
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
    for (; c->spine.count && *steps; --*steps) {
        uint64_t number = spine_end(&c->spine) - 1;
        struct column_piece *piece = spine_get(&c->spine, number);
        if (piece) piece_free(c, piece);
        spine_set(&c->spine, number, NULL);
    }
    return c->spine.count == 0;
}

void column_free(struct column *c) {
    column_close(c);
    for (uint64_t number = c->spine.first; number < spine_end(&c->spine); number++) {
        struct column_piece *piece = spine_get(&c->spine, number);
        if (piece) piece_free(c, piece);
    }
    spine_free(&c->spine);
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
    if (chunk->others_count < capacity) return true;
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
        chunk->others_count = 0;
    } else if ((seq + RUN_GAP < chunk->first || seq > chunk->last + RUN_GAP) &&
               chunk_run_room(chunk)) {
        chunk->others[chunk->others_count++] =
            (struct chunk_run){(uint32_t)chunk->first, (uint32_t)chunk->last};
        chunk->first = chunk->last = seq;
    } else {
        if (seq < chunk->first) chunk->first = seq;
        if (seq > chunk->last) chunk->last = seq;
    }
    chunk->live += length;
}

void column_drop(struct column *c) {
    for (uint64_t number = c->spine.first; number < spine_end(&c->spine); number++) {
        struct column_piece *piece = spine_get(&c->spine, number);
        if (!piece) continue;
        for (unsigned row = 0; row < piece->capacity; row++)
            if (bits_get(piece->produced, row)) cell_drop(c, column_cells(piece) + row);
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

static struct dtype piece_item_type(const struct column *c, struct column_piece *piece,
                                    unsigned row) {
    const struct dtype *type = &c->types[piece->version];
    unsigned kept = piece_kept(c, piece);
    struct dtype item;
    bool known = kept ? dtype_of_sizes(type, piece_sizes(piece) + row * kept, &item)
                      : dtype_of_length(type, column_cells(piece)[row].length, &item);
    assert(known);
    (void)known;
    return item;
}

/* Bring a piece's shapes into the layout of the current type. At most once a piece and type. */
static void piece_upgrade(struct column *c, struct column_piece *piece) {
    if (piece->version == c->version) return;
    const struct dtype *type = column_type(c);
    unsigned kept = column_sizes_kept(type);
    if (kept > 1 && piece->capacity == 1) piece_grow(c, piece, 2);
    uint32_t *sizes = kept ? mem_calloc((size_t)piece->capacity * kept, sizeof(*sizes)) : NULL;
    for (unsigned row = 0; kept && row < piece->capacity; row++) {
        if (!bits_get(piece->produced, row)) continue;
        struct dtype item = piece_item_type(c, piece, row);
        for (unsigned i = 0, star = 0; i < type->dimensions; i++)
            if (type->shape[i] == DTYPE_STAR) sizes[row * kept + star++] = item.shape[i];
    }
    c->home->overhead -= piece_bytes(c, piece);
    if (piece->capacity > 1) {
        mem_free(piece->sizes);
        piece->sizes = sizes;
    } else if (piece->capacity == 1) {
        if (kept) piece->size = sizes[0];
        mem_free(sizes);
    }
    piece->version = c->version;
    c->home->overhead += piece_bytes(c, piece);
}

struct dtype column_item_type(const struct column *c, uint64_t seq) {
    return piece_item_type(c, spine_get(&c->spine, spine_number(seq)), spine_row(seq));
}

/* ---- writing ------------------------------------------------------------------------------ */

/* The piece of a seq, in the current layout and with room for its row. */
static struct column_piece *column_piece_for(struct column *c, uint64_t seq) {
    struct column_piece *piece = spine_get(&c->spine, spine_number(seq));
    if (!piece) {
        piece = mem_calloc(1, sizeof(*piece));
        piece->produced = rowbits_none();
        piece->version = c->version;
        c->home->overhead += sizeof(*piece);
        spine_set(&c->spine, spine_number(seq), piece);
    }
    unsigned row = spine_row(seq);
    if (row >= piece->capacity) piece_grow(c, piece, spine_capacity(row));
    piece_upgrade(c, piece);
    return piece;
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

/* Nothing in a chunk that is written to is alive or lent: a steady stream goes round in the same
 * memory. But what a child sees in it stays. */
static bool chunk_is_idle(const struct chunk *chunk, const struct column *c) {
    return chunk && chunk->cells == 0 && chunk->pins == 1 && !arena_is_held(c->home->arena);
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
    struct column_piece *piece = column_piece_for(c, seq);
    unsigned row = spine_row(seq);
    if (bits_get(piece->produced, row)) {
        cell_drop(c, column_cells(piece) + row);
    } else {
        c->home->overhead += rowbits_set(&piece->produced, row);
        piece->count++;
    }
    column_cells(piece)[row] = cell;
    unsigned kept = column_sizes_kept(column_type(c));
    if (kept) memcpy(piece_sizes(piece) + row * kept, sizes, kept * sizeof(*sizes));
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

static void piece_load(struct column *c, struct column_piece *piece, const uint64_t *bits,
                       struct column_loading *l) {
    unsigned kept = column_sizes_kept(column_type(c));
    struct cell *cells = column_cells(piece);
    for (unsigned w = 0; w < SPINE_WORDS; w++) {
        for (uint64_t left = bits[w]; left; left &= left - 1, l->at++) {
            unsigned row = w * 64 + bits_lowest(left);
            uint32_t length = l->values->lengths ? l->values->lengths[l->at] : l->each;
            cells[row] = length ? (struct cell){l->chunk, l->offset, length} : (struct cell){0};
            if (kept)
                memcpy(piece_sizes(piece) + row * kept, l->values->sizes + l->at * kept,
                       kept * sizeof(uint32_t));
            l->offset += length;
        }
    }
    c->home->overhead += rowbits_add(&piece->produced, bits);
    piece->count = (uint16_t)bits_count(piece->produced, SPINE_WORDS);
}

static unsigned piece_last_row(const uint64_t *bits) {
    unsigned w = SPINE_WORDS - 1;
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
    for (size_t i = 0; i < RANGE_PIECES; i++)
        if (bits_any(range->bits + i * SPINE_WORDS, SPINE_WORDS))
            chunk->last = range->base + i * SPINE_ROWS + SPINE_ROWS - 1;
    chunk->others_count = 0;
}

void column_load(struct column *c, const struct range *range, size_t n,
                 const struct column_values *v) {
    struct column_loading l = {.values = v, .each = n ? (uint32_t)(v->payload.len / n) : 0};
    if (v->adopt) {
        l.chunk = v->adopt->id;
        l.offset = (uint32_t)(v->payload.ptr - v->adopt->memory);
        chunk_add_range(v->adopt, c, range, v, n);
    }
    for (size_t i = 0; i < RANGE_PIECES; i++) {
        const uint64_t *bits = range->bits + i * SPINE_WORDS;
        if (!bits_any(bits, SPINE_WORDS)) continue;
        uint64_t seq = range->base + i * SPINE_ROWS + piece_last_row(bits);
        piece_load(c, column_piece_for(c, seq), bits, &l);
    }
    c->produced += n;
    c->bytes += v->payload.len;
}

/* ---- reading and clearing ----------------------------------------------------------------- */

const struct cell *column_cell(const struct column *c, uint64_t seq) {
    struct column_piece *piece = spine_get(&c->spine, spine_number(seq));
    unsigned row = spine_row(seq);
    return piece && bits_get(piece->produced, row) ? column_cells(piece) + row : NULL;
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
    struct column_piece *piece = spine_get(&c->spine, spine_number(seq));
    unsigned row = spine_row(seq);
    if (!piece || !bits_get(piece->produced, row)) return false;
    cell_drop(c, column_cells(piece) + row);
    c->home->overhead += rowbits_clear(&piece->produced, row);
    if (--piece->count == 0) {
        spine_set(&c->spine, spine_number(seq), NULL);
        piece_free(c, piece);
    }
    return true;
}

int column_move(struct column *c, uint64_t seq) {
    struct column_piece *piece = spine_get(&c->spine, spine_number(seq));
    struct cell *cell = column_cells(piece) + spine_row(seq), old = *cell;
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
