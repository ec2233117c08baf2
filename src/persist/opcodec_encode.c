/* See opcodec.h. */
#include "persist/opcodec.h"

#include <assert.h>

#include "base/mem.h"
#include "persist/opcodec_form.h"

/* ---- seqs --------------------------------------------------------------------------------- */

/* How many of the seqs make a run: one, or as many as rise by one above `top`. */
static size_t run_length(const uint64_t *seqs, size_t n, uint64_t top) {
    size_t length = 1;
    if (seqs[0] < top) return 1;
    while (length < n && seqs[length] == seqs[0] + length) length++;
    return length;
}

static void encode_seqs(struct pack *p, const uint64_t *seqs, size_t n) {
    uint64_t next = 0, top = 0; /* what would come next; one above all so far */
    for (size_t i = 0; i < n;) {
        size_t length = run_length(seqs + i, n - i, top);
        pack_signed(p, (int64_t)(seqs[i] - next));
        if (n > 1) pack_varint(p, length);
        i += length;
        next = seqs[i - 1] + 1;
        if (next > top) top = next;
    }
}

/* ---- values ------------------------------------------------------------------------------- */

static size_t values_length(const struct column_values *v, size_t n, size_t i) {
    if (!v->payload.ptr) return v->items[i].len;
    return v->lengths ? v->lengths[i] : v->payload.len / n;
}

static void encode_lengths(struct pack *p, const struct column_values *v, size_t n) {
    size_t first = values_length(v, n, 0);
    bool equal = true;
    for (size_t i = 1; i < n && equal; i++) equal = values_length(v, n, i) == first;
    pack_varint(p, equal ? first + 1 : 0);
    for (size_t i = 0; i < n && !equal; i++) pack_varint(p, values_length(v, n, i));
}

static void encode_copy(struct pack *p, const struct column_values *v, size_t n) {
    if (v->payload.ptr)
        pack_bytes(p, v->payload);
    else
        for (size_t i = 0; i < n; i++) pack_bytes(p, v->items[i]);
}

/* Values that were put into the column just now lie in a row: they begin where the first that is not empty lies. */
static void encode_ref(struct opcodec_out *out, const struct column *column, const uint64_t *seqs,
                       size_t total) {
    const struct cell *cell = column_cell(column, *seqs);
    while (!cell->length) cell = column_cell(column, *++seqs);
    struct chunk *chunk = arena_chunk(column->home->arena, cell->chunk);
    chunk_pin(chunk);
    out->refs = mem_grow(out->refs, &out->refs_capacity, out->n_refs + 1, sizeof(*out->refs));
    out->refs[out->n_refs++] = (struct opcodec_ref){
        .at = out->bytes.len,
        .bytes = span_of(chunk->memory + cell->offset, total),
        .chunk = chunk,
    };
    out->refs_bytes += total;
}

/* ---- OP_PUT ------------------------------------------------------------------------------- */

/* Most writes are small, and then nothing is looked up in the store. */
static const struct partition *encode_partition(const struct store *s, const struct op *op) {
    const struct partition *p = store_find(s, op->partition);
    assert(p);
    return p;
}

static void encode_keys(const struct store *s, const struct op *op, struct opcodec_out *out) {
    const struct op_put *put = &op->put;
    struct column_values keys = {.items = put->keys};
    size_t total = column_values_bytes(&keys, put->n_new);
    encode_lengths(&out->bytes, &keys, put->n_new);
    if (total < OPCODEC_COPY_MAX)
        encode_copy(&out->bytes, &keys, put->n_new);
    else
        encode_ref(out, &encode_partition(s, op)->keys, put->new_seqs, total);
}

static void encode_values(const struct store *s, const struct op *op, bool is_tag,
                          const struct op_column *column, struct opcodec_out *out) {
    const struct op_put *put = &op->put;
    const struct column_values *v = &column->values;
    size_t total = column_values_bytes(v, put->n);
    if (!is_tag && !dtype_shape_implied(&column->type))
        for (size_t i = 0; i < put->n * dtype_stars(&column->type); i++)
            pack_varint(&out->bytes, v->sizes[i]);
    else
        encode_lengths(&out->bytes, v, put->n);
    if (total < OPCODEC_COPY_MAX) {
        encode_copy(&out->bytes, v, put->n);
        return;
    }
    const struct partition *p = encode_partition(s, op);
    encode_ref(out, column_set_find(is_tag ? &p->tags : &p->fields, column->name), put->seqs,
               total);
}

static void encode_groups(struct pack *p, const struct op_put *put) {
    struct span before = {NULL, 0};
    uint32_t size = 0;
    for (size_t i = 0; i < put->n; i++) {
        struct span id = put->group_ids[i];
        if (!id.ptr) {
            pack_varint(p, OPCODEC_GROUP_NONE);
        } else if (before.ptr && size == put->group_sizes[i] && span_equal(id, before)) {
            pack_varint(p, OPCODEC_GROUP_SAME);
        } else {
            size = put->group_sizes[i];
            pack_varint(p, id.len + OPCODEC_GROUP_LENGTH);
            pack_bytes(p, id);
            pack_varint(p, size);
        }
        before = id;
    }
}

static bool encode_has_groups(const struct op_put *put) {
    for (size_t i = 0; put->group_ids && i < put->n; i++)
        if (put->group_ids[i].ptr) return true;
    return false;
}

static void encode_put(const struct store *s, const struct op *op, struct opcodec_out *out) {
    const struct op_put *put = &op->put;
    struct pack *p = &out->bytes;
    pack_varint(p, put->n);
    encode_seqs(p, put->seqs, put->n);
    pack_varint(p, put->n_new);
    if (put->n_new && put->n_new < put->n) pack_varint(p, put->new_seqs[0]);
    if (put->n_new) encode_keys(s, op, out);
    bool has_groups = encode_has_groups(put);
    pack_u8(p, has_groups);
    if (has_groups) encode_groups(p, put);
    pack_varint(p, put->n_tags);
    for (size_t i = 0; i < put->n_tags; i++) {
        pack_span(p, put->tags[i].name);
        encode_values(s, op, true, &put->tags[i], out);
    }
    pack_varint(p, put->n_columns);
    for (size_t i = 0; i < put->n_columns; i++) {
        pack_span(p, put->columns[i].name);
        dtype_pack(p, &put->columns[i].type);
        encode_values(s, op, false, &put->columns[i], out);
    }
}

/* ---- the others --------------------------------------------------------------------------- */

static void encode_rank(struct pack *p, const struct op_rank *rank) {
    pack_varint(p, rank->rank);
    pack_varint(p, rank->batch);
    pack_span(p, rank->fingerprint);
    if (!rank->slices) return;
    pack_varint(p, rank->n_slices);
    for (size_t i = 0; i <= rank->n_slices; i++)
        pack_varint(p, rank->slices[i] - (i ? rank->slices[i - 1] : 0));
}

static void encode_once(struct pack *p, enum op_kind kind, const struct op_once *once) {
    pack_span(p, once->holder);
    pack_varint(p, once->number);
    if (kind != OP_SAMPLE) return;
    pack_u64(p, once->request.low);
    pack_u64(p, once->request.high);
    pack_signed(p, once->held_until_ms);
}

static void encode_select(struct pack *p, const struct op *op) {
    const struct op_select *select = &op->select;
    const struct op_rank *rank = &select->rank;
    pack_u8(p, (uint8_t)((select->all ? OPCODEC_ALL : 0) | (select->task.ptr ? OPCODEC_TASK : 0) |
                         (select->lease.id ? OPCODEC_LEASE : 0) | (rank->given ? OPCODEC_RANK : 0) |
                         (rank->given && rank->slices ? OPCODEC_SLICES : 0) |
                         (select->n_names ? OPCODEC_NAMES : 0) | (select->tags ? OPCODEC_TAGS : 0) |
                         (select->once.holder.ptr ? OPCODEC_ONCE : 0)));
    pack_varint(p, select->n);
    if (!select->all) encode_seqs(p, select->seqs, select->n);
    if (select->task.ptr) pack_span(p, select->task);
    if (select->lease.id) {
        pack_varint(p, select->lease.id);
        if (opcodec_has_end(op->kind)) pack_signed(p, select->lease.ends_ms);
        if (opcodec_has_holder(op->kind)) pack_span(p, select->lease.holder);
        if (opcodec_has_request(op->kind, select->all)) pack_u64(p, select->lease.request);
    }
    if (rank->given) encode_rank(p, rank);
    if (select->once.holder.ptr) encode_once(p, op->kind, &select->once);
    if (!select->n_names) return;
    pack_varint(p, select->n_names);
    for (size_t i = 0; i < select->n_names; i++) pack_span(p, select->names[i]);
}

static void encode_define(struct pack *p, const struct op_define *define) {
    const struct bounds *bounds = define->bounds;
    pack_varint(p, bounds->samples);
    pack_varint(p, bounds->bytes);
    pack_varint(p, bounds->ahead);
    pack_optional(p, bounds->ahead_task);
    pack_varint(p, bounds->n_retire);
    for (size_t i = 0; i < bounds->n_retire; i++) pack_span(p, bounds->retire[i]);
    pack_varint(p, define->n_fields);
    for (size_t i = 0; i < define->n_fields; i++) {
        pack_span(p, define->fields[i].name);
        dtype_pack(p, &define->fields[i].type);
    }
    if (!bounds->n_indexes) return;
    pack_varint(p, bounds->n_indexes);
    for (size_t i = 0; i < bounds->n_indexes; i++) pack_span(p, bounds->indexes[i]);
}

/* The partitions are in the store by now; whose they are is all that is said. */
static void encode_adopt(struct pack *p, const struct op_adopt *adopt) {
    pack_span(p, adopt->source);
    pack_varint(p, adopt->n);
    for (size_t i = 0; i < adopt->n; i++) pack_span(p, adopt->partitions[i]->name);
}

void opcodec_encode(const struct store *s, const struct op *op, struct opcodec_out *out) {
    struct pack *p = &out->bytes;
    pack_u8(p, opcodec_kind(op));
    pack_span(p, op->partition);
    pack_signed(p, op->now_ms);
    switch (op->kind) {
    case OP_PUT: encode_put(s, op, out); return;
    case OP_SAMPLE:
    case OP_DELIVER:
    case OP_DONE:
    case OP_CONFIRM:
    case OP_ACK:
    case OP_EXPIRE:
    case OP_NACK:
    case OP_EXTEND:
    case OP_RESET:
    case OP_CLEAR:
    case OP_ERASE: encode_select(p, op); return;
    case OP_DEFINE: encode_define(p, &op->define); return;
    case OP_EXPECT: pack_varint(p, op->expected); return;
    case OP_ADOPT: encode_adopt(p, &op->adopt); return;
    case OP_SEAL:
    case OP_DROP: return;
    }
    assert(!"op kind");
}

/* ---- bounds ------------------------------------------------------------------------------- */

enum {
    BOUND_SMALL = 5,   /* a length, count or size of up to 32 bits */
    BOUND_NUMBER = 10, /* any other */
    BOUND_TYPE = 2 + DTYPE_MAX_DIMS * BOUND_SMALL,
};

static size_t bound_spans(const struct span *spans, size_t n) {
    size_t bytes = n * BOUND_NUMBER;
    for (size_t i = 0; i < n; i++) bytes += spans[i].len;
    return bytes;
}

static size_t bound_columns(const struct op_column *columns, size_t n_columns, size_t n) {
    size_t bytes = BOUND_NUMBER;
    for (size_t i = 0; i < n_columns; i++) {
        size_t stars = dtype_stars(&columns[i].type);
        bytes += BOUND_NUMBER + columns[i].name.len + BOUND_TYPE + BOUND_NUMBER +
                 n * (stars > 1 ? stars : 1) * BOUND_SMALL +
                 column_values_bytes(&columns[i].values, n);
    }
    return bytes;
}

static size_t bound_put(const struct op_put *put) {
    size_t bytes = 4 * BOUND_NUMBER + put->n * 2 * BOUND_NUMBER + BOUND_NUMBER +
                   bound_spans(put->keys, put->n_new);
    if (put->group_ids) bytes += bound_spans(put->group_ids, put->n) + put->n * BOUND_SMALL;
    bytes += bound_columns(put->tags, put->n_tags, put->n);
    return bytes + bound_columns(put->columns, put->n_columns, put->n);
}

static size_t bound_select(const struct op_select *select) {
    const struct op_rank *rank = &select->rank;
    size_t bytes = 16 * BOUND_NUMBER + select->task.len + select->lease.holder.len +
                   rank->fingerprint.len + select->once.holder.len;
    if (!select->all) bytes += select->n * 2 * BOUND_NUMBER;
    if (rank->slices) bytes += (rank->n_slices + 1) * BOUND_NUMBER;
    return bytes + bound_spans(select->names, select->n_names);
}

static size_t bound_define(const struct op_define *define) {
    const struct bounds *bounds = define->bounds;
    size_t bytes = 6 * BOUND_NUMBER + bounds->ahead_task.len;
    bytes += bound_spans(bounds->retire, bounds->n_retire);
    bytes += BOUND_NUMBER + bound_spans(bounds->indexes, bounds->n_indexes);
    for (size_t i = 0; i < define->n_fields; i++)
        bytes += BOUND_NUMBER + define->fields[i].name.len + BOUND_TYPE;
    return bytes;
}

static size_t bound_adopt(const struct op_adopt *adopt) {
    return 2 * BOUND_NUMBER + adopt->source.len + adopt->n * (BOUND_NUMBER + UINT8_MAX);
}

size_t opcodec_bound(const struct op *op) {
    size_t bytes = 1 + BOUND_NUMBER + op->partition.len + BOUND_NUMBER;
    switch (op->kind) {
    case OP_PUT: return bytes + bound_put(&op->put);
    case OP_DEFINE: return bytes + bound_define(&op->define);
    case OP_EXPECT: return bytes + BOUND_NUMBER;
    case OP_ADOPT: return bytes + bound_adopt(&op->adopt);
    case OP_SEAL:
    case OP_DROP: return bytes;
    default: return bytes + bound_select(&op->select);
    }
}

/* ---- out ---------------------------------------------------------------------------------- */

void opcodec_out_clear(struct opcodec_out *out) {
    for (size_t i = 0; i < out->n_refs; i++) chunk_unpin(out->refs[i].chunk);
    out->n_refs = 0;
    out->refs_bytes = 0;
    pack_clear(&out->bytes);
}

void opcodec_out_free(struct opcodec_out *out) {
    opcodec_out_clear(out);
    pack_free(&out->bytes);
    mem_free(out->refs);
    *out = (struct opcodec_out){0};
}
