/* See gather.h. */
#include "store/gather.h"

/* Does an item's shape need more than its length to be compared? */
static bool gather_by_length(const struct column *column) {
    return dtype_shape_implied(column_type(column));
}

static size_t gather_lengths(struct gather *g) {
    uint32_t first = 0;
    bool equal = true;
    for (size_t i = 0; i < g->n; i++) {
        const struct cell *cell = column_cell(g->column, g->seqs[i]);
        if (!cell) return i;
        if (i == 0) first = cell->length;
        equal &= cell->length == first;
        g->bytes += cell->length;
    }
    if (g->n && equal) dtype_of_length(&g->type, first, &g->type);
    return g->n;
}

static size_t gather_items(struct gather *g) {
    for (size_t i = 0; i < g->n; i++) {
        const struct cell *cell = column_cell(g->column, g->seqs[i]);
        if (!cell) return i;
        struct dtype item = column_item_type(g->column, g->seqs[i]);
        if (i == 0)
            g->type = item;
        else
            dtype_widen(&g->type, &item, &g->type);
        g->bytes += cell->length;
    }
    return g->n;
}

size_t gather_open(struct gather *g, const struct column *column, const uint64_t *seqs, size_t n) {
    *g = (struct gather){.column = column, .seqs = seqs, .n = n, .type = *column_type(column)};
    return gather_by_length(column) ? gather_lengths(g) : gather_items(g);
}

size_t gather_shape_bytes(const struct gather *g) {
    size_t each = dtype_is_variable(&g->type) ? 1 : dtype_stars(&g->type);
    return g->n * each * sizeof(uint32_t);
}

void gather_shape(const struct gather *g, char *out) {
    if (gather_shape_bytes(g) == 0) return;
    for (size_t i = 0; i < g->n; i++) {
        if (dtype_is_variable(&g->type)) {
            memcpy(out, &column_cell(g->column, g->seqs[i])->length, sizeof(uint32_t));
            out += sizeof(uint32_t);
            continue;
        }
        struct dtype item = column_item_type(g->column, g->seqs[i]);
        for (unsigned d = 0; d < g->type.dimensions; d++) {
            if (g->type.shape[d] != DTYPE_STAR) continue;
            memcpy(out, &item.shape[d], sizeof(uint32_t));
            out += sizeof(uint32_t);
        }
    }
}

bool gather_next(struct gather *g, struct gather_run *run) {
    const struct cell *cell = NULL;
    while (g->at < g->n && (cell = column_cell(g->column, g->seqs[g->at]))->length == 0) g->at++;
    if (g->at == g->n) return false;
    uint64_t end = (uint64_t)cell->offset + cell->length;
    run->chunk = arena_chunk(g->column->home->arena, cell->chunk);
    const char *begin = run->chunk->memory + cell->offset;
    for (g->at++; g->at < g->n; g->at++) {
        const struct cell *next = column_cell(g->column, g->seqs[g->at]);
        if (next->length == 0) continue;
        if (next->chunk != cell->chunk || next->offset != end) break;
        end += next->length;
    }
    run->bytes = span_of(begin, end - cell->offset);
    return true;
}
