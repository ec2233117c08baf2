/* See render.h. */
#include "cmd/render.h"

#include "server/client.h"
#include "server/server.h"
#include "store/literal.h"

static void render_release(void *chunk) {
    chunk_unpin(chunk);
}

void render_ref(struct client *c, struct span bytes, struct chunk *chunk) {
    chunk_pin(chunk);
    c->server->metrics.bytes_sent_by_ref += bytes.len;
    reply_bulk_ref(&c->reply, bytes, render_release, chunk);
}

static void render_raw(struct client *c, const struct column *column, uint64_t seq,
                       struct span value) {
    if (value.len < RENDER_REF_FROM) {
        reply_bulk(&c->reply, value);
        return;
    }
    reply_bulk_begin(&c->reply, value.len);
    render_ref(c, value, arena_chunk(column->home->arena, column_cell(column, seq)->chunk));
    reply_bulk_end(&c->reply);
}

void render_value(struct client *c, const struct column *column, uint64_t seq, enum form form) {
    struct span value;
    if (!column || !column_get(column, seq, &value)) {
        reply_null(&c->reply);
    } else if (form == FORM_TEXT) {
        struct dtype item = column_item_type(column, seq);
        reply_bulk(&c->reply, literal_render(&item, value, &c->server->scratch));
    } else {
        render_raw(c, column, seq, value);
    }
}

const struct column **render_columns(struct client *c, const struct partition *p, size_t n,
                                     const struct span *fields) {
    const struct column **columns = scratch_alloc(&c->server->scratch, n, sizeof(*columns));
    for (size_t i = 0; i < n; i++) columns[i] = p ? column_set_find(&p->fields, fields[i]) : NULL;
    return columns;
}

uint64_t render_estimate(const struct client *c, const struct partition *p, const uint64_t *seqs,
                         size_t n, const struct column *const *columns, size_t n_columns) {
    enum { AROUND = 16 }; /* a value's header and line ends, about */
    size_t hard = c->server->clients->output_limits[CLIENT_NORMAL].hard;
    uint64_t around = (uint64_t)n * (1 + n_columns) * AROUND;
    if (!hard || !p || around + c->reply.pending <= hard / 2) {
        /* Each of n samples has at most what all of them have together. */
        uint64_t most = p ? partition_live(p) : 0;
        if (!hard || !p || (n && most <= (hard / 2) / n)) return 0;
    }
    uint64_t bytes = around;
    for (size_t i = 0; i < n; i++) {
        if (seqs[i] == SEQ_NONE) continue;
        bytes += partition_key(p, seqs[i]).len;
        for (size_t f = 0; f < n_columns; f++) {
            const struct cell *cell = columns[f] ? column_cell(columns[f], seqs[i]) : NULL;
            bytes += cell ? cell->length : 0;
        }
    }
    return bytes;
}

void render_map(struct client *c, const struct partition *p, uint64_t seq, enum form form) {
    size_t n = 0;
    for (size_t i = 0; i < p->fields.count; i++) n += column_has(p->fields.columns[i], seq);
    reply_map(&c->reply, n);
    for (size_t i = 0; i < p->fields.count; i++) {
        const struct column *column = p->fields.columns[i];
        if (!column_has(column, seq)) continue;
        reply_bulk(&c->reply, column_name(column));
        render_value(c, column, seq, form);
    }
}
