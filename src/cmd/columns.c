/* See columns.h. */
#include "cmd/columns.h"

#include "cmd/render.h"
#include "server/client.h"
#include "server/server.h"

int columns_open(struct client *c, const struct partition *p, const uint64_t *seqs, size_t n,
                 const struct column *const *fields, const struct span *names, size_t n_fields,
                 struct columns *out, struct error *e) {
    out->n = 1 + n_fields;
    out->columns = scratch_alloc(&c->server->scratch, out->n, sizeof(*out->columns));
    gather_open(&out->columns[0], &p->keys, seqs, n);
    for (size_t i = 0; i < n_fields; i++) {
        size_t have = fields[i] ? gather_open(&out->columns[1 + i], fields[i], seqs, n) : 0;
        if (have == n && fields[i]) continue;
        if (n == 0)
            return error_set(e, ERROR_NOTREADY, "partition %s has no field %s", QUOTE(p->name),
                             QUOTE(names[i]));
        return error_set(e, ERROR_NOTREADY, "sample %s has no field %s",
                         QUOTE(partition_key(p, seqs[have])), QUOTE(names[i]));
    }
    return 0;
}

static void columns_write_payload(struct client *c, struct gather *gather) {
    struct gather_run run;
    reply_bulk_begin(&c->reply, gather->bytes);
    while (gather_next(gather, &run)) {
        if (run.bytes.len < RENDER_REF_FROM)
            reply_bulk_copy(&c->reply, run.bytes);
        else
            render_ref(c, run.bytes, run.chunk);
    }
    reply_bulk_end(&c->reply);
}

static void columns_write_shape(struct client *c, const struct gather *gather) {
    size_t len = gather_shape_bytes(gather);
    char *shape = scratch_alloc(&c->server->scratch, 1, len);
    gather_shape(gather, shape);
    reply_bulk(&c->reply, span_of(shape, len));
}

void columns_write(struct client *c, struct columns *columns) {
    reply_array(&c->reply, columns->n);
    for (size_t i = 0; i < columns->n; i++) {
        struct gather *gather = &columns->columns[i];
        reply_array(&c->reply, 4);
        reply_bulk(&c->reply, column_name(gather->column));
        reply_text(&c->reply, DTYPE_NAME(&gather->type));
        columns_write_shape(c, gather);
        columns_write_payload(c, gather);
    }
}
