/* See mput.h. */
#include "store/mput.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "store/bounds.h"
#include "store/names.h"
#include "store/plan.h"

/* ---- samples ------------------------------------------------------------------------------ */

/* Which samples are there, which are new: fills seqs, new_seqs and keys. */
static int mput_plan_samples(const struct mput *mput, const struct partition *p,
                             struct scratch *scratch, struct op_put *out, struct error *e) {
    uint64_t *hashes = scratch_alloc(scratch, mput->n, sizeof(*hashes));
    uint64_t *seqs = scratch_alloc(scratch, mput->n, sizeof(*seqs));
    uint64_t *new_seqs = scratch_alloc(scratch, mput->n, sizeof(*new_seqs));
    struct span *keys = scratch_alloc(scratch, mput->n, sizeof(*keys));
    for (size_t i = 0; i < mput->n; i++) {
        int failed = names_check_key("key", mput->keys[i], e);
        if (failed) return failed;
        hashes[i] = hash_bytes(mput->keys[i]);
    }
    if (p) keyindex_prefetch(&p->index, hashes, mput->n);
    int failed = plan_keys_differ(mput->keys, hashes, mput->n, scratch, e);
    if (failed) return failed;
    uint64_t next = p ? p->next_seq : 0;
    for (size_t i = 0; i < mput->n; i++) {
        seqs[i] = p ? partition_find_hashed(p, mput->keys[i], hashes[i]) : SEQ_NONE;
        if (seqs[i] != SEQ_NONE) continue;
        keys[out->n_new] = mput->keys[i];
        new_seqs[out->n_new++] = seqs[i] = next;
        next = partition_seq_after(next);
    }
    out->n = mput->n;
    out->seqs = seqs;
    out->new_seqs = new_seqs;
    out->keys = keys;
    return 0;
}

/* ---- groups ------------------------------------------------------------------------------- */

static int mput_plan_groups(const struct mput *mput, const struct partition *p,
                            struct scratch *scratch, struct op_put *out, struct error *e) {
    if (!mput->group_ids) return 0;
    uint32_t *sizes = scratch_alloc(scratch, mput->n, sizeof(*sizes));
    struct plan_member *joining = scratch_alloc(scratch, mput->n, sizeof(*joining));
    size_t n_joining = 0;
    uint64_t first_new = p ? p->next_seq : 0;
    for (size_t i = 0; i < mput->n; i++) {
        struct span group = mput->group_ids[i];
        uint64_t seq = out->seqs[i] >= first_new ? SEQ_NONE : out->seqs[i];
        bool joins;
        int failed = plan_group(p, mput->partition, group, mput->group_size, e);
        if (!failed) failed = plan_join(p, mput->keys[i], seq, group, &joins, e);
        if (!failed && joins)
            failed = plan_group_completes(p, group, mput->group_size, mput->keys[i], e);
        if (failed) return failed;
        sizes[i] = (uint32_t)mput->group_size;
        if (joins) joining[n_joining++] = (struct plan_member){group, mput->keys[i]};
    }
    out->group_ids = mput->group_ids;
    out->group_sizes = sizes;
    return plan_groups_room(p, joining, n_joining, mput->group_size, e);
}

/* ---- columns ------------------------------------------------------------------------------ */

/* The numbers of the shape part, as they lie there: unaligned. */
static uint32_t mput_size(const struct mput_column *column, size_t i) {
    uint32_t size;
    memcpy(&size, column->shape.ptr + i * sizeof(size), sizeof(size));
    return size;
}

static int mput_check_shape(const struct mput *mput, const struct mput_column *column,
                            struct error *e) {
    size_t each = dtype_is_variable(&column->type) ? 1 : dtype_stars(&column->type);
    size_t expected = mput->n * each * sizeof(uint32_t);
    if (column->shape.len == expected) return 0;
    return error_set(
        e, ERROR_SCHEMA, "field %s: the shape of %zu samples of %s has %zu bytes, got %zu",
        QUOTE(column->name), mput->n, DTYPE_NAME(&column->type), expected, column->shape.len);
}

static int mput_check_total(const struct mput *mput, const struct mput_column *column,
                            uint64_t expected, struct error *e) {
    if (column->payload.len == expected) return 0;
    return error_set(e, ERROR_SCHEMA,
                     "field %s: the payload of %zu samples of %s has %llu bytes, got %zu",
                     QUOTE(column->name), mput->n, DTYPE_NAME(&column->type),
                     (unsigned long long)expected, column->payload.len);
}

/* bool and str are checked as a whole; where str values meet, no character may be cut. */
static int mput_check_values(const struct mput *mput, const struct mput_column *column,
                             const uint32_t *lengths, struct error *e) {
    size_t bad = mput->n;
    if (column->type.base != DTYPE_STR && column->type.base != DTYPE_BOOL) return 0;
    if (!dtype_bytes_valid(column->type.base, column->payload)) bad = 0;
    const char *at = column->payload.ptr ? column->payload.ptr : "";
    for (size_t i = 0; lengths && column->type.base == DTYPE_STR && i < mput->n; i++) {
        if (bad == 0 ? !utf8_is_valid(span_of(at, lengths[i]))
                     : lengths[i] && (*at & 0xc0) == 0x80) {
            bad = i;
            break;
        }
        at += lengths[i];
    }
    if (bad == mput->n) return 0;
    return plan_misfit(column->name, &column->type,
                       column->type.base == DTYPE_BOOL ? "a byte that is neither 0 nor 1"
                                                       : "bytes that are not UTF-8",
                       mput->keys[bad], e);
}

/* Lengths of the items of a ragged column, and the narrowest type that holds them all. */
static int mput_read_ragged(const struct mput *mput, const struct mput_column *column,
                            uint32_t *lengths, struct dtype *narrow, struct error *e) {
    unsigned stars = dtype_stars(&column->type);
    uint64_t total = 0;
    for (size_t i = 0; i < mput->n; i++) {
        uint32_t sizes[DTYPE_MAX_DIMS];
        for (unsigned s = 0; s < stars; s++) {
            sizes[s] = mput_size(column, i * stars + s);
            if (sizes[s] == DTYPE_STAR)
                return error_set(
                    e, ERROR_SCHEMA, "field %s: sample %s has size %u, sizes end at %u",
                    QUOTE(column->name), QUOTE(mput->keys[i]), DTYPE_STAR, DTYPE_STAR - 1);
        }
        struct dtype item;
        if (!dtype_of_sizes(&column->type, sizes, &item))
            return error_set(e, ERROR_SCHEMA, "field %s: sample %s of %s would have 4 GiB or more",
                             QUOTE(column->name), QUOTE(mput->keys[i]), DTYPE_NAME(&column->type));
        lengths[i] = (uint32_t)dtype_fixed_bytes(&item);
        total += lengths[i];
        if (i == 0) *narrow = item;
        dtype_widen(narrow, &item, narrow);
    }
    return mput_check_total(mput, column, total, e);
}

static int mput_read_variable(const struct mput *mput, const struct mput_column *column,
                              uint32_t *lengths, struct error *e) {
    uint64_t total = 0;
    for (size_t i = 0; i < mput->n; i++) {
        lengths[i] = mput_size(column, i);
        total += lengths[i];
    }
    return mput_check_total(mput, column, total, e);
}

/* How long each item is: *lengths stays NULL for a dense column, where all are equal. */
static int mput_read_lengths(const struct mput *mput, const struct mput_column *column,
                             struct scratch *scratch, const uint32_t **lengths,
                             struct dtype *narrow, struct error *e) {
    int failed = mput_check_shape(mput, column, e);
    if (failed) return failed;
    *narrow = column->type;
    if (!dtype_is_variable(&column->type) && dtype_stars(&column->type) == 0)
        return mput_check_total(mput, column, mput->n * dtype_fixed_bytes(&column->type), e);
    uint32_t *out = scratch_alloc(scratch, mput->n, sizeof(*out));
    *lengths = out;
    if (dtype_is_variable(&column->type)) return mput_read_variable(mput, column, out, e);
    return mput_read_ragged(mput, column, out, narrow, e);
}

/* Sizes of the field's `*` for each item, where they have to be kept. */
static const uint32_t *mput_sizes(const struct mput *mput, const struct mput_column *column,
                                  const struct dtype *field, struct scratch *scratch) {
    if (dtype_shape_implied(field)) return NULL;
    unsigned kept = dtype_stars(field), given = dtype_stars(&column->type);
    uint32_t *sizes = scratch_alloc(scratch, mput->n * kept, sizeof(*sizes)), *at = sizes;
    for (size_t i = 0; i < mput->n; i++) {
        size_t from = i * given;
        for (unsigned d = 0; d < field->dimensions; d++) {
            bool star = column->type.shape[d] == DTYPE_STAR;
            uint32_t size = star ? mput_size(column, from++) : column->type.shape[d];
            if (field->shape[d] == DTYPE_STAR) *at++ = size;
        }
    }
    return sizes;
}

static int mput_plan_column(const struct mput *mput, const struct mput_column *column,
                            const struct partition *p, struct scratch *scratch,
                            struct op_column *out, struct error *e) {
    int failed = names_check_word("field", column->name, e);
    if (failed) return failed;
    const struct column *field = p ? column_set_find(&p->fields, column->name) : NULL;
    const uint32_t *lengths = NULL;
    struct dtype narrow;
    failed = mput_read_lengths(mput, column, scratch, &lengths, &narrow, e);
    if (!failed) failed = mput_check_values(mput, column, lengths, e);
    if (!failed)
        failed =
            plan_merge(field, column->name, &column->type, &narrow, mput->keys[0], &out->type, e);
    if (failed) return failed;
    out->name = column->name;
    out->values = (struct column_values){
        .payload = column->payload.ptr ? column->payload : span_of("", 0),
        .lengths = lengths,
        .sizes = mput_sizes(mput, column, &out->type, scratch),
        .adopt = column->landed,
    };
    return 0;
}

static int mput_plan_columns(const struct mput *mput, const struct partition *p,
                             struct scratch *scratch, struct op_put *out, struct error *e) {
    struct op_column *columns = scratch_zalloc(scratch, mput->n_columns, sizeof(*columns));
    for (size_t i = 0; i < mput->n_columns; i++) {
        int failed = mput_plan_column(mput, &mput->columns[i], p, scratch, &columns[i], e);
        if (failed) return failed;
    }
    out->columns = columns;
    out->n_columns = mput->n_columns;
    return plan_columns(p ? &p->fields : NULL, "field", PARTITION_FIELDS_MAX, columns,
                        mput->n_columns, mput->partition, e);
}

static int mput_plan_tags(const struct mput *mput, const struct partition *p,
                          struct scratch *scratch, struct op_put *out, struct error *e) {
    struct op_column *tags = scratch_zalloc(scratch, mput->n_tags, sizeof(*tags));
    for (size_t i = 0; i < mput->n_tags; i++) {
        const struct mput_tag *tag = &mput->tags[i];
        int failed = names_check_word("tag", tag->name, e);
        for (size_t k = 0; !failed && k < mput->n; k++)
            failed = names_check_tag_value(tag->name, tag->values[k], e);
        if (failed) return failed;
        tags[i].name = tag->name;
        tags[i].type.base = DTYPE_BYTES;
        tags[i].values.items = tag->values;
    }
    out->tags = tags;
    out->n_tags = mput->n_tags;
    return plan_columns(p ? &p->tags : NULL, "tag", PARTITION_TAGS_MAX, tags, mput->n_tags,
                        mput->partition, e);
}

static int mput_check_room(const struct mput *mput, const struct partition *p,
                           struct scratch *scratch, const struct op_put *out, struct error *e) {
    struct op_put bare = *out;
    struct op_column *columns = scratch_zalloc(scratch, mput->n_columns, sizeof(*columns));
    for (size_t i = 0; i < mput->n_columns; i++) {
        columns[i].name = mput->columns[i].name;
        struct span payload = mput->columns[i].payload;
        columns[i].values.payload = payload.ptr ? payload : span_of("", 0);
    }
    bare.columns = columns;
    bare.n_columns = mput->n_columns;
    return bounds_check_put(p, &bare, e);
}

static int mput_plan_all(const struct store *s, const struct mput *mput, enum write_order order,
                         int64_t now_ms, struct scratch *scratch, struct op *op, struct error *e) {
    int failed = names_check_partition(mput->partition, e);
    if (failed) return failed;
    const struct partition *p = store_find(s, mput->partition);
    *op = (struct op){.kind = OP_PUT, .partition = mput->partition, .now_ms = now_ms};
    failed = mput_plan_samples(mput, p, scratch, &op->put, e);
    if (!failed) failed = mput_plan_groups(mput, p, scratch, &op->put, e);
    if (!failed && order == WRITE_BOUNDS_FIRST)
        failed = mput_check_room(mput, p, scratch, &op->put, e);
    if (!failed) failed = mput_plan_tags(mput, p, scratch, &op->put, e);
    if (!failed) failed = mput_plan_columns(mput, p, scratch, &op->put, e);
    if (!failed) failed = bounds_check_put(p, &op->put, e);
    if (!failed) failed = plan_reserve(s, p, &op->put, e);
    return failed;
}

/* ---- NX, XX ------------------------------------------------------------------------------- */

/* The places of samples that are to be written; returns how many. */
static size_t mput_pick(const struct mput *mput, const struct partition *p, size_t *places) {
    size_t n = 0;
    for (size_t i = 0; i < mput->n; i++) {
        bool there = p && partition_find(p, mput->keys[i]) != SEQ_NONE;
        if (there == (mput->only == PUT_XX)) places[n++] = i;
    }
    return n;
}

static const struct span *mput_picked_spans(const struct span *all, const size_t *places, size_t n,
                                            struct scratch *scratch) {
    struct span *out = scratch_alloc(scratch, n, sizeof(*out));
    for (size_t i = 0; i < n; i++) out[i] = all[places[i]];
    return out;
}

/* The column of the picked samples alone: its bytes are copied together. `whole` is what was made
 * of all of it. */
static struct mput_column mput_picked_column(const struct mput *mput,
                                             const struct mput_column *from,
                                             const struct op_column *whole, const size_t *places,
                                             size_t n, struct scratch *scratch) {
    const uint32_t *lengths = whole->values.lengths;
    size_t dense = lengths ? 0 : dtype_fixed_bytes(&from->type), total = 0;
    size_t a_shape = mput->n ? from->shape.len / mput->n : 0;
    uint64_t *offsets = scratch_alloc(scratch, mput->n + 1, sizeof(*offsets));
    offsets[0] = 0;
    for (size_t i = 0; i < mput->n; i++)
        offsets[i + 1] = offsets[i] + (lengths ? lengths[i] : dense);
    for (size_t i = 0; i < n; i++) total += offsets[places[i] + 1] - offsets[places[i]];
    char *payload = scratch_alloc(scratch, 1, total), *at = payload;
    char *shape = scratch_alloc(scratch, 1, n * a_shape);
    for (size_t i = 0; i < n; i++) {
        size_t len = offsets[places[i] + 1] - offsets[places[i]];
        if (len) memcpy(at, from->payload.ptr + offsets[places[i]], len);
        at += len;
        if (a_shape) memcpy(shape + i * a_shape, from->shape.ptr + places[i] * a_shape, a_shape);
    }
    return (struct mput_column){.name = from->name,
                                .type = from->type,
                                .shape = span_of(shape, n * a_shape),
                                .payload = span_of(payload, total)};
}

/* The same batch without the samples that are held back. */
static struct mput mput_picked(const struct mput *mput, const struct op_put *whole,
                               const size_t *places, size_t n, struct scratch *scratch) {
    struct mput out = *mput;
    struct mput_tag *tags = scratch_alloc(scratch, mput->n_tags, sizeof(*tags));
    struct mput_column *columns = scratch_alloc(scratch, mput->n_columns, sizeof(*columns));
    for (size_t i = 0; i < mput->n_tags; i++)
        tags[i] = (struct mput_tag){mput->tags[i].name,
                                    mput_picked_spans(mput->tags[i].values, places, n, scratch)};
    for (size_t i = 0; i < mput->n_columns; i++)
        columns[i] =
            mput_picked_column(mput, &mput->columns[i], &whole->columns[i], places, n, scratch);
    out.only = PUT_ALWAYS;
    out.n = n;
    out.keys = mput_picked_spans(mput->keys, places, n, scratch);
    if (mput->group_ids) out.group_ids = mput_picked_spans(mput->group_ids, places, n, scratch);
    out.tags = tags;
    out.columns = columns;
    return out;
}

/* Everything that is wrong with the batch is said, whatever is held back of it. */
static int mput_check(const struct mput *mput, const struct partition *p, struct scratch *scratch,
                      struct op_put *out, struct error *e) {
    int failed = names_check_partition(mput->partition, e);
    if (!failed) failed = mput_plan_samples(mput, p, scratch, out, e);
    if (!failed) failed = mput_plan_tags(mput, p, scratch, out, e);
    if (!failed) failed = mput_plan_columns(mput, p, scratch, out, e);
    return failed;
}

int mput_plan(const struct store *s, const struct mput *mput, enum write_order order,
              int64_t now_ms, struct scratch *scratch, struct op *op, bool *held, struct error *e) {
    *held = false;
    if (mput->only == PUT_ALWAYS) return mput_plan_all(s, mput, order, now_ms, scratch, op, e);
    const struct partition *p = store_find(s, mput->partition);
    struct op_put whole = {0};
    int failed = mput_check(mput, p, scratch, &whole, e);
    if (failed) return failed;
    size_t *places = scratch_alloc(scratch, mput->n, sizeof(*places));
    size_t n = mput_pick(mput, p, places);
    *held = n == 0;
    if (n == 0) return 0;
    struct mput picked = *mput;
    if (n < mput->n) picked = mput_picked(mput, &whole, places, n, scratch);
    return mput_plan_all(s, &picked, order, now_ms, scratch, op, e);
}
