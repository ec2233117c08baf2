/* See mput.h. */
#include "store/mput.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "store/bounds.h"
#include "store/names.h"
#include "store/plan.h"

/* Which samples of the batch are written: all, or those that NX and XX admit. */
struct mput_picked {
    size_t n;
    const size_t *places; /* ascending; NULL: all */
};

static size_t mput_place(const struct mput_picked *picked, size_t i) {
    return picked->places ? picked->places[i] : i;
}

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

/* Takes the samples out of the plan that NX or XX skip. New ones are all written, or none. */
static void mput_pick(const struct mput *mput, const struct partition *p, struct scratch *scratch,
                      struct op_put *out, struct mput_picked *picked) {
    *picked = (struct mput_picked){.n = mput->n};
    if (mput->only == PUT_ALWAYS) return;
    uint64_t first_new = p ? p->next_seq : 0;
    size_t *places = scratch_alloc(scratch, mput->n, sizeof(*places)), n = 0;
    uint64_t *seqs = scratch_alloc(scratch, mput->n, sizeof(*seqs));
    for (size_t i = 0; i < mput->n; i++) {
        bool there = out->seqs[i] < first_new;
        if (there != (mput->only == PUT_XX)) continue;
        seqs[n] = out->seqs[i];
        places[n++] = i;
    }
    if (mput->only == PUT_XX) out->n_new = 0;
    if (n == mput->n) return;
    out->n = n;
    out->seqs = seqs;
    *picked = (struct mput_picked){n, places};
}

static const struct span *mput_pick_spans(const struct span *all, const struct mput_picked *picked,
                                          struct scratch *scratch) {
    if (!picked->places) return all;
    struct span *out = scratch_alloc(scratch, picked->n, sizeof(*out));
    for (size_t i = 0; i < picked->n; i++) out[i] = all[picked->places[i]];
    return out;
}

/* ---- groups ------------------------------------------------------------------------------- */

/* Names and size of all groups are checked. Samples that are skipped join none, so it does not
 * matter which group they are in. */
static int mput_plan_groups(const struct mput *mput, const struct partition *p,
                            const struct mput_picked *picked, struct scratch *scratch,
                            struct op_put *out, struct error *e) {
    if (!mput->group_ids) return 0;
    uint32_t *sizes = scratch_alloc(scratch, picked->n, sizeof(*sizes));
    struct plan_member *joining = scratch_alloc(scratch, picked->n, sizeof(*joining));
    size_t n_joining = 0;
    uint64_t first_new = p ? p->next_seq : 0;
    for (size_t i = 0; i < mput->n; i++) {
        int failed = plan_group(p, mput->partition, mput->group_ids[i], mput->group_size, e);
        if (failed) return failed;
    }
    out->group_ids = mput_pick_spans(mput->group_ids, picked, scratch);
    out->group_sizes = sizes;
    for (size_t i = 0; i < picked->n; i++) {
        struct span group = out->group_ids[i], key = mput->keys[mput_place(picked, i)];
        uint64_t seq = out->seqs[i] >= first_new ? SEQ_NONE : out->seqs[i];
        bool joins;
        int failed = plan_join(p, key, seq, group, &joins, e);
        if (!failed && joins) failed = plan_group_completes(p, group, mput->group_size, key, e);
        if (failed) return failed;
        sizes[i] = (uint32_t)mput->group_size;
        if (joins) joining[n_joining++] = (struct plan_member){group, key};
    }
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
    const char *hint = each ? "lengths are u32, little-endian, sample by sample"
                            : "a fixed shape belongs into the type, as in f32[4]";
    return error_set(
        e, ERROR_SCHEMA, "field %s: the shape of %zu samples of %s has %zu bytes, got %zu: %s",
        QUOTE(column->name), mput->n, DTYPE_NAME(&column->type), expected, column->shape.len, hint);
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

/* One item of a ragged column. */
static int mput_read_item(const struct mput *mput, const struct mput_column *column, size_t i,
                          struct dtype *item, struct error *e) {
    unsigned stars = dtype_stars(&column->type);
    uint32_t sizes[DTYPE_MAX_DIMS];
    for (unsigned s = 0; s < stars; s++) {
        sizes[s] = mput_size(column, i * stars + s);
        if (sizes[s] == DTYPE_STAR)
            return error_set(e, ERROR_SCHEMA, "field %s: sample %s has size %u, sizes end at %u",
                             QUOTE(column->name), QUOTE(mput->keys[i]), DTYPE_STAR, DTYPE_STAR - 1);
    }
    if (dtype_of_sizes(&column->type, sizes, item)) return 0;
    return error_set(e, ERROR_SCHEMA, "field %s: sample %s of %s would have 4 GiB or more",
                     QUOTE(column->name), QUOTE(mput->keys[i]), DTYPE_NAME(&column->type));
}

/* Lengths of the items of a ragged column; the narrowest type that holds them all, and the one that
 * holds those that are written. */
static int mput_read_ragged(const struct mput *mput, const struct mput_column *column,
                            const struct mput_picked *picked, uint32_t *lengths,
                            struct dtype narrow[2], struct error *e) {
    uint64_t total = 0;
    for (size_t i = 0, n = 0; i < mput->n; i++) {
        struct dtype item;
        int failed = mput_read_item(mput, column, i, &item, e);
        if (failed) return failed;
        lengths[i] = (uint32_t)dtype_fixed_bytes(&item);
        total += lengths[i];
        if (i == 0) narrow[0] = item;
        dtype_widen(&narrow[0], &item, &narrow[0]);
        if (n == picked->n || mput_place(picked, n) != i) continue;
        if (n++ == 0) narrow[1] = item;
        dtype_widen(&narrow[1], &item, &narrow[1]);
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

/* How long each item is: *lengths stays NULL for a dense column, where all are equal. `narrow`: of
 * all samples, and of those that are written. */
static int mput_read_lengths(const struct mput *mput, const struct mput_column *column,
                             const struct mput_picked *picked, struct scratch *scratch,
                             const uint32_t **lengths, struct dtype narrow[2], struct error *e) {
    int failed = mput_check_shape(mput, column, e);
    if (failed) return failed;
    narrow[0] = narrow[1] = column->type;
    if (!dtype_is_variable(&column->type) && dtype_stars(&column->type) == 0)
        return mput_check_total(mput, column, mput->n * dtype_fixed_bytes(&column->type), e);
    uint32_t *out = scratch_alloc(scratch, mput->n, sizeof(*out));
    *lengths = out;
    if (dtype_is_variable(&column->type)) return mput_read_variable(mput, column, out, e);
    return mput_read_ragged(mput, column, picked, out, narrow, e);
}

/* Sizes of the field's `*` for each item that is written, where they have to be kept. */
static const uint32_t *mput_sizes(const struct mput_column *column,
                                  const struct mput_picked *picked, const struct dtype *field,
                                  struct scratch *scratch) {
    if (dtype_shape_implied(field)) return NULL;
    unsigned kept = dtype_stars(field), given = dtype_stars(&column->type);
    uint32_t *sizes = scratch_alloc(scratch, picked->n * kept, sizeof(*sizes)), *at = sizes;
    for (size_t i = 0; i < picked->n; i++) {
        size_t from = mput_place(picked, i) * given;
        for (unsigned d = 0; d < field->dimensions; d++) {
            bool star = column->type.shape[d] == DTYPE_STAR;
            uint32_t size = star ? mput_size(column, from++) : column->type.shape[d];
            if (field->shape[d] == DTYPE_STAR) *at++ = size;
        }
    }
    return sizes;
}

/* Bytes of the values that are written. */
static uint64_t mput_picked_bytes(const struct mput_column *column,
                                  const struct mput_picked *picked, const uint32_t *lengths) {
    if (!picked->places) return column->payload.len;
    if (!lengths) return picked->n * dtype_fixed_bytes(&column->type);
    uint64_t bytes = 0;
    for (size_t i = 0; i < picked->n; i++) bytes += lengths[picked->places[i]];
    return bytes;
}

/* The values that are written, copied together. */
static struct column_values mput_pick_values(const struct mput *mput,
                                             const struct mput_column *column,
                                             const struct mput_picked *picked,
                                             const uint32_t *lengths, struct scratch *scratch) {
    size_t dense = lengths ? 0 : dtype_fixed_bytes(&column->type), n = 0, offset = 0;
    size_t bytes = (size_t)mput_picked_bytes(column, picked, lengths);
    char *payload = scratch_alloc(scratch, 1, bytes), *at = payload;
    uint32_t *out = lengths ? scratch_alloc(scratch, picked->n, sizeof(*out)) : NULL;
    for (size_t i = 0; i < mput->n && n < picked->n; i++) {
        size_t len = lengths ? lengths[i] : dense;
        if (picked->places[n] == i) {
            if (len) memcpy(at, column->payload.ptr + offset, len);
            at += len;
            if (out) out[n] = (uint32_t)len;
            n++;
        }
        offset += len;
    }
    return (struct column_values){.payload = span_of(payload, bytes), .lengths = out};
}

static int mput_plan_column(const struct mput *mput, const struct mput_column *column,
                            const struct partition *p, const struct mput_picked *picked,
                            struct scratch *scratch, struct op_column *out, struct error *e) {
    int failed = names_check_word("field", column->name, e);
    if (failed) return failed;
    const struct column *field = p ? column_set_find(&p->fields, column->name) : NULL;
    const uint32_t *lengths = NULL;
    struct dtype narrow[2];
    failed = mput_read_lengths(mput, column, picked, scratch, &lengths, narrow, e);
    if (!failed) failed = mput_check_values(mput, column, lengths, e);
    if (!failed)
        failed = plan_merge(field, column->name, &column->type, &narrow[0], mput->keys[0],
                            &out->type, e);
    if (!failed && picked->n && picked->places)
        failed = plan_merge(field, column->name, &column->type, &narrow[1],
                            mput->keys[picked->places[0]], &out->type, e);
    if (failed) return failed;
    out->name = column->name;
    if (picked->places)
        out->values = mput_pick_values(mput, column, picked, lengths, scratch);
    else
        out->values = (struct column_values){
            .payload = column->payload.ptr ? column->payload : span_of("", 0),
            .lengths = lengths,
            .adopt = column->chunk,
        };
    out->values.sizes = mput_sizes(column, picked, &out->type, scratch);
    return 0;
}

static int mput_plan_columns(const struct mput *mput, const struct partition *p,
                             const struct mput_picked *picked, struct scratch *scratch,
                             struct op_put *out, struct error *e) {
    struct op_column *columns = scratch_zalloc(scratch, mput->n_columns, sizeof(*columns));
    for (size_t i = 0; i < mput->n_columns; i++) {
        int failed = mput_plan_column(mput, &mput->columns[i], p, picked, scratch, &columns[i], e);
        if (failed) return failed;
    }
    out->columns = columns;
    out->n_columns = mput->n_columns;
    return plan_columns(p ? &p->fields : NULL, "field", PARTITION_FIELDS_MAX, columns,
                        mput->n_columns, mput->partition, e);
}

static int mput_plan_tags(const struct mput *mput, const struct partition *p,
                          const struct mput_picked *picked, struct scratch *scratch,
                          struct op_put *out, struct error *e) {
    struct op_column *tags = scratch_zalloc(scratch, mput->n_tags, sizeof(*tags));
    for (size_t i = 0; i < mput->n_tags; i++) {
        const struct mput_tag *tag = &mput->tags[i];
        int failed = names_check_word("tag", tag->name, e);
        for (size_t k = 0; !failed && k < mput->n; k++)
            failed = names_check_tag_value(tag->name, tag->values[k], e);
        if (failed) return failed;
        tags[i].name = tag->name;
        tags[i].type.base = DTYPE_BYTES;
        tags[i].values.items = mput_pick_spans(tag->values, picked, scratch);
    }
    out->tags = tags;
    out->n_tags = mput->n_tags;
    return plan_columns(p ? &p->tags : NULL, "tag", PARTITION_TAGS_MAX, tags, mput->n_tags,
                        mput->partition, e);
}

/* The bounds alone, for what the values' lengths say. */
static int mput_check_room(const struct mput *mput, const struct partition *p,
                           const struct mput_picked *picked, struct scratch *scratch,
                           const struct op_put *out, struct error *e) {
    struct op_put bare = *out;
    struct op_column *columns = scratch_zalloc(scratch, mput->n_columns, sizeof(*columns));
    for (size_t i = 0; i < mput->n_columns; i++) {
        const struct mput_column *column = &mput->columns[i];
        const uint32_t *lengths = NULL;
        struct dtype narrow[2];
        int failed = !picked->places
                         ? 0
                         : mput_read_lengths(mput, column, picked, scratch, &lengths, narrow, e);
        if (failed) return failed;
        uint64_t bytes = mput_picked_bytes(column, picked, lengths);
        columns[i].name = column->name;
        columns[i].values.payload =
            span_of(column->payload.ptr ? column->payload.ptr : "", (size_t)bytes);
    }
    bare.columns = columns;
    bare.n_columns = mput->n_columns;
    return bounds_check_put(p, &bare, e);
}

int mput_plan(const struct store *s, const struct mput *mput, enum write_order order,
              int64_t now_ms, struct scratch *scratch, struct op *op, bool *skipped,
              struct error *e) {
    *skipped = false;
    int failed = names_check_partition(mput->partition, e);
    if (failed) return failed;
    const struct partition *p = store_find(s, mput->partition);
    struct op_put *put = &op->put;
    struct mput_picked picked;
    *op = (struct op){.kind = OP_PUT, .partition = mput->partition, .now_ms = now_ms};
    failed = mput_plan_samples(mput, p, scratch, put, e);
    if (failed) return failed;
    mput_pick(mput, p, scratch, put, &picked);
    failed = mput_plan_groups(mput, p, &picked, scratch, put, e);
    if (!failed && order == WRITE_BOUNDS_FIRST)
        failed = mput_check_room(mput, p, &picked, scratch, put, e);
    if (!failed) failed = mput_plan_tags(mput, p, &picked, scratch, put, e);
    if (!failed) failed = mput_plan_columns(mput, p, &picked, scratch, put, e);
    *skipped = !failed && picked.n == 0; /* what is wrong with the batch is said all the same */
    if (failed || *skipped) return failed;
    failed = bounds_check_put(p, put, e);
    return failed ? failed : plan_reserve(s, p, put, e);
}
