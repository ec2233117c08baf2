/* See opcodec.h. Counts are held against what is left of the input before anything is allocated for them; a reader that
 * turned bad ends a loop at once or runs on through nothing. */
#include "persist/opcodec.h"

#include "persist/opcodec_form.h"

struct decoder {
    struct unpack *in;
    struct scratch *scratch;
    uint64_t samples; /* of the partition */
    bool has_indexes; /* OP_DEFINE */
    struct error *e;
};

static int decode_fail(struct decoder *d, const char *what) {
    unpack_fail(d->in);
    return error_set(d->e, ERROR_ERR, "an op with bad %s", what);
}

/* What came out so far is worth something. */
static int decode_check(struct decoder *d, const char *what) {
    return d->in->bad ? decode_fail(d, what) : 0;
}

/* A count of samples. Those of a run cost no bytes each, but they are all there, and no run has one twice. */
static size_t decode_samples(struct decoder *d) {
    uint64_t n = unpack_varint(d->in);
    uint64_t most = d->samples + unpack_left(d->in);
    if (n <= most) return (size_t)n;
    unpack_fail(d->in);
    return 0;
}

static int decode_seqs(struct decoder *d, size_t n, const uint64_t **out) {
    uint64_t *seqs = scratch_alloc(d->scratch, n, sizeof(*seqs)), next = 0;
    for (size_t i = 0; i < n;) {
        next += (uint64_t)unpack_signed(d->in);
        uint64_t length = n > 1 ? unpack_varint(d->in) : 1;
        if (d->in->bad || length < 1 || length > n - i) return decode_fail(d, "seqs");
        while (length--) seqs[i++] = next++;
    }
    *out = seqs;
    return 0;
}

static int decode_spans(struct decoder *d, const char *what, size_t *n, const struct span **out) {
    *n = unpack_count(d->in, 1);
    struct span *spans = scratch_alloc(d->scratch, *n, sizeof(*spans));
    for (size_t i = 0; i < *n; i++) spans[i] = unpack_span(d->in);
    *out = spans;
    return decode_check(d, what);
}

/* ---- values ------------------------------------------------------------------------------- */

static int decode_payload(struct decoder *d, uint64_t total, struct column_values *out) {
    out->payload = unpack_bytes(d->in, total);
    return decode_check(d, "values: they end early");
}

/* Each length takes a byte at least. */
static int decode_lengths(struct decoder *d, size_t n, struct column_values *out) {
    uint64_t length = unpack_varint(d->in), total = 0;
    if (length > 0) {
        length--;
        if (n && length > unpack_left(d->in) / n) return decode_fail(d, "length of values");
        return decode_payload(d, length * n, out);
    }
    if (unpack_left(d->in) < n) return decode_fail(d, "lengths of values");
    uint32_t *lengths = scratch_alloc(d->scratch, n, sizeof(*lengths));
    for (size_t i = 0; i < n; i++) {
        length = unpack_varint(d->in);
        if (length > UINT32_MAX) return decode_fail(d, "length of a value");
        lengths[i] = (uint32_t)length;
        total += length;
    }
    out->lengths = lengths;
    return decode_payload(d, total, out);
}

/* Lengths follow from sizes. */
static int decode_sizes(struct decoder *d, size_t n, const struct dtype *type,
                        struct column_values *out) {
    unsigned stars = dtype_stars(type);
    if (unpack_left(d->in) / stars < n) return decode_fail(d, "sizes of values");
    uint32_t *sizes = scratch_alloc(d->scratch, n * stars, sizeof(*sizes));
    uint32_t *lengths = scratch_alloc(d->scratch, n, sizeof(*lengths));
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        struct dtype item;
        for (unsigned s = 0; s < stars; s++) {
            uint64_t size = unpack_varint(d->in);
            if (size >= DTYPE_STAR) return decode_fail(d, "size of a value");
            sizes[i * stars + s] = (uint32_t)size;
        }
        if (!dtype_of_sizes(type, sizes + i * stars, &item))
            return decode_fail(d, "sizes of a value: it would have 4 GiB or more");
        lengths[i] = (uint32_t)dtype_fixed_bytes(&item);
        total += lengths[i];
    }
    out->sizes = sizes;
    out->lengths = lengths;
    return decode_payload(d, total, out);
}

/* ---- OP_PUT ------------------------------------------------------------------------------- */

static int decode_new_seqs(struct decoder *d, struct op_put *put) {
    put->n_new = (size_t)unpack_varint(d->in);
    if (d->in->bad || put->n_new > put->n) return decode_fail(d, "number of new samples");
    put->new_seqs = put->seqs;
    if (put->n_new == 0 || put->n_new == put->n) return 0;
    uint64_t first = unpack_varint(d->in);
    uint64_t *seqs = scratch_alloc(d->scratch, put->n_new, sizeof(*seqs));
    size_t n = 0;
    for (size_t i = 0; i < put->n; i++) {
        if (put->seqs[i] < first) continue;
        if (n == put->n_new) return decode_fail(d, "number of new samples");
        seqs[n++] = put->seqs[i];
    }
    put->new_seqs = seqs;
    return n == put->n_new ? decode_check(d, "first new seq")
                           : decode_fail(d, "number of new samples");
}

static int decode_keys(struct decoder *d, struct op_put *put) {
    struct column_values values = {0};
    if (put->n_new == 0) return 0;
    int failed = decode_lengths(d, put->n_new, &values);
    if (failed) return failed;
    struct span *keys = scratch_alloc(d->scratch, put->n_new, sizeof(*keys));
    const char *at = values.payload.ptr;
    for (size_t i = 0; i < put->n_new; i++) {
        keys[i] = span_of(at, values.lengths ? values.lengths[i] : values.payload.len / put->n_new);
        at += keys[i].len;
    }
    put->keys = keys;
    return 0;
}

static int decode_groups(struct decoder *d, struct op_put *put) {
    uint8_t has_groups = unpack_u8(d->in);
    if (has_groups > 1 || unpack_left(d->in) < has_groups * put->n) return decode_fail(d, "groups");
    if (!has_groups) return decode_check(d, "groups");
    struct span *ids = scratch_zalloc(d->scratch, put->n, sizeof(*ids));
    uint32_t *sizes = scratch_zalloc(d->scratch, put->n, sizeof(*sizes));
    for (size_t i = 0; i < put->n; i++) {
        uint64_t form = unpack_varint(d->in);
        if (form == OPCODEC_GROUP_NONE) continue;
        if (form == OPCODEC_GROUP_SAME) {
            if (i == 0 || !ids[i - 1].ptr) return decode_fail(d, "groups: the same as none");
            ids[i] = ids[i - 1];
            sizes[i] = sizes[i - 1];
            continue;
        }
        ids[i] = unpack_bytes(d->in, form - OPCODEC_GROUP_LENGTH);
        uint64_t size = unpack_varint(d->in);
        if (size > UINT32_MAX) return decode_fail(d, "size of a group");
        sizes[i] = (uint32_t)size;
    }
    put->group_ids = ids;
    put->group_sizes = sizes;
    return decode_check(d, "groups");
}

static int decode_tags(struct decoder *d, struct op_put *put) {
    put->n_tags = unpack_count(d->in, 2);
    struct op_column *tags = scratch_zalloc(d->scratch, put->n_tags, sizeof(*tags));
    int failed = decode_check(d, "tags");
    for (size_t i = 0; !failed && i < put->n_tags; i++) {
        tags[i].name = unpack_span(d->in);
        tags[i].type.base = DTYPE_BYTES;
        failed = decode_lengths(d, put->n, &tags[i].values);
    }
    put->tags = tags;
    return failed;
}

static int decode_columns(struct decoder *d, struct op_put *put) {
    put->n_columns = unpack_count(d->in, 4);
    struct op_column *columns = scratch_zalloc(d->scratch, put->n_columns, sizeof(*columns));
    int failed = decode_check(d, "columns");
    for (size_t i = 0; !failed && i < put->n_columns; i++) {
        columns[i].name = unpack_span(d->in);
        failed = dtype_unpack(d->in, &columns[i].type, d->e);
        if (failed) break;
        failed = dtype_shape_implied(&columns[i].type)
                     ? decode_lengths(d, put->n, &columns[i].values)
                     : decode_sizes(d, put->n, &columns[i].type, &columns[i].values);
    }
    put->columns = columns;
    return failed;
}

static int decode_put(struct decoder *d, struct op_put *put) {
    put->n = decode_samples(d);
    int failed = decode_check(d, "number of samples");
    if (!failed) failed = decode_seqs(d, put->n, &put->seqs);
    if (!failed) failed = decode_new_seqs(d, put);
    if (!failed) failed = decode_keys(d, put);
    if (!failed) failed = decode_groups(d, put);
    if (!failed) failed = decode_tags(d, put);
    return failed ? failed : decode_columns(d, put);
}

/* ---- the others --------------------------------------------------------------------------- */

static int decode_rank(struct decoder *d, bool has_slices, struct op_rank *rank) {
    rank->given = true;
    rank->rank = unpack_varint(d->in);
    rank->batch = unpack_varint(d->in);
    rank->fingerprint = unpack_span(d->in);
    if (!has_slices) return decode_check(d, "rank");
    rank->n_slices = unpack_count(d->in, 1);
    size_t *slices = scratch_alloc(d->scratch, rank->n_slices + 1, sizeof(*slices));
    for (size_t i = 0; i <= rank->n_slices; i++)
        slices[i] = (i ? slices[i - 1] : 0) + (size_t)unpack_varint(d->in);
    rank->slices = slices;
    return decode_check(d, "shares of ranks");
}

static int decode_lease(struct decoder *d, enum op_kind kind, bool all, struct op_lease *lease) {
    lease->id = unpack_varint(d->in);
    if (opcodec_has_end(kind)) lease->ends_ms = unpack_signed(d->in);
    if (opcodec_has_holder(kind)) lease->holder = unpack_span(d->in);
    if (opcodec_has_request(kind, all)) lease->request = unpack_u64(d->in);
    bool has_id = lease->id && lease->id <= LEASE_ID_MAX;
    return has_id ? decode_check(d, "lease") : decode_fail(d, "lease: its id is none");
}

static int decode_once(struct decoder *d, enum op_kind kind, struct op_once *once) {
    once->holder = unpack_span(d->in);
    once->number = unpack_varint(d->in);
    if (kind != OP_SAMPLE) return decode_check(d, "holder");
    once->request.low = unpack_u64(d->in);
    once->request.high = unpack_u64(d->in);
    once->held_until_ms = unpack_signed(d->in);
    return decode_check(d, "holder");
}

static int decode_select(struct decoder *d, enum op_kind kind, struct op_select *select) {
    uint8_t flags = unpack_u8(d->in);
    if ((flags & OPCODEC_SLICES) && !(flags & OPCODEC_RANK)) return decode_fail(d, "flags");
    select->all = flags & OPCODEC_ALL;
    select->tags = flags & OPCODEC_TAGS;
    select->n = select->all ? (size_t)unpack_varint(d->in) : decode_samples(d);
    int failed = decode_check(d, "number of samples");
    if (!failed && !select->all) failed = decode_seqs(d, select->n, &select->seqs);
    if (!failed && (flags & OPCODEC_TASK)) {
        select->task = unpack_span(d->in);
        failed = decode_check(d, "task");
    }
    if (!failed && (flags & OPCODEC_LEASE))
        failed = decode_lease(d, kind, select->all, &select->lease);
    if (!failed && (flags & OPCODEC_RANK))
        failed = decode_rank(d, flags & OPCODEC_SLICES, &select->rank);
    if (!failed && (flags & OPCODEC_ONCE)) failed = decode_once(d, kind, &select->once);
    if (!failed && (flags & OPCODEC_NAMES))
        failed = decode_spans(d, "names", &select->n_names, &select->names);
    return failed;
}

static int decode_define(struct decoder *d, bool has_indexes, struct op_define *define) {
    struct bounds *bounds = scratch_zalloc(d->scratch, 1, sizeof(*bounds));
    bounds->samples = unpack_varint(d->in);
    bounds->bytes = unpack_varint(d->in);
    bounds->ahead = unpack_varint(d->in);
    bounds->ahead_task = unpack_optional(d->in);
    define->bounds = bounds;
    int failed = decode_spans(d, "bounds", &bounds->n_retire, &bounds->retire);
    if (failed) return failed;
    define->n_fields = unpack_count(d->in, 3);
    struct op_column *fields = scratch_zalloc(d->scratch, define->n_fields, sizeof(*fields));
    for (size_t i = 0; !failed && i < define->n_fields; i++) {
        fields[i].name = unpack_span(d->in);
        failed = dtype_unpack(d->in, &fields[i].type, d->e);
    }
    define->fields = fields;
    if (!failed) failed = decode_check(d, "fields");
    if (!failed && has_indexes)
        failed = decode_spans(d, "indexes", &bounds->n_indexes, &bounds->indexes);
    if (!failed && has_indexes && !bounds->n_indexes) failed = decode_fail(d, "indexes");
    return failed;
}

/* ---- ops ---------------------------------------------------------------------------------- */

static int decode_body(struct decoder *d, struct op *op) {
    switch (op->kind) {
    case OP_PUT: return decode_put(d, &op->put);
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
    case OP_ERASE: return decode_select(d, op->kind, &op->select);
    case OP_DEFINE: return decode_define(d, d->has_indexes, &op->define);
    case OP_EXPECT: op->expected = unpack_varint(d->in); return decode_check(d, "number");
    case OP_ADOPT:
        op->adopt.source = unpack_span(d->in);
        return decode_spans(d, "partitions", &op->adopt.n_names, &op->adopt.names);
    case OP_SEAL:
    case OP_DROP: return 0;
    }
    return decode_fail(d, "kind");
}

int opcodec_decode(const struct store *s, struct unpack *in, struct scratch *scratch, struct op *op,
                   struct error *e) {
    struct decoder d = {.in = in, .scratch = scratch, .e = e};
    *op = (struct op){.kind = (enum op_kind)unpack_u8(in)};
    d.has_indexes = (unsigned)op->kind == OPCODEC_DEFINE_INDEXES;
    if (d.has_indexes) op->kind = OP_DEFINE;
    op->partition = unpack_span(in);
    op->now_ms = unpack_signed(in);
    int failed = decode_check(&d, "beginning");
    if (failed) return failed;
    const struct partition *p = s ? store_find(s, op->partition) : NULL;
    d.samples = p ? p->samples : s ? 0 : OPCODEC_BLIND_MAX;
    return decode_body(&d, op);
}
