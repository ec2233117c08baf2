/* See check.h. What a plan makes sure of, found again from the op alone. */
#include "store/check.h"

#include <stdio.h>

#include "base/hash.h"
#include "store/bounds.h"
#include "store/names.h"
#include "store/plan.h"

/* ---- samples ------------------------------------------------------------------------------ */

static bool put_is_new(const struct op_put *put, uint64_t seq) {
    return put->n_new && seq >= put->new_seqs[0];
}

/* Of the i-th sample, to name a culprit. */
static struct span put_key(const struct partition *p, const struct op_put *put, size_t i) {
    size_t before = 0;
    if (!put_is_new(put, put->seqs[i])) return partition_key(p, put->seqs[i]);
    for (size_t k = 0; k < i; k++) before += put_is_new(put, put->seqs[k]);
    return put->keys[before];
}

/* The partition's next ones, in order. */
static int check_new_seqs(const struct partition *p, const struct op *op, struct error *e) {
    const struct op_put *put = &op->put;
    uint64_t next = p ? p->next_seq : 0;
    for (size_t i = 0; i < put->n_new; i++, next = partition_seq_after(next))
        if (put->new_seqs[i] != next)
            return error_set(e, ERROR_ERR, "the next sample of partition %s is %llu, not %llu",
                             QUOTE(op->partition), (unsigned long long)next,
                             (unsigned long long)put->new_seqs[i]);
    return 0;
}

/* Seqs are those that are new, each once and in order, and others that are alive. */
static int check_seqs(const struct partition *p, const struct op *op, struct error *e) {
    const struct op_put *put = &op->put;
    size_t n_new = 0;
    for (size_t i = 0; i < put->n; i++) {
        uint64_t seq = put->seqs[i];
        bool good = put_is_new(put, seq) ? n_new < put->n_new && seq == put->new_seqs[n_new++]
                                         : p && partition_alive(p, seq);
        if (!good)
            return error_set(e, ERROR_ERR, "partition %s has no sample %llu", QUOTE(op->partition),
                             (unsigned long long)seq);
    }
    if (n_new == put->n_new) return 0;
    return error_set(e, ERROR_ERR, "partition %s: %zu of %zu new samples are written",
                     QUOTE(op->partition), n_new, put->n_new);
}

/* Their keys: as keys may be, none there already, none twice. */
static int check_keys(const struct partition *p, const struct op_put *put, struct scratch *scratch,
                      struct error *e) {
    uint64_t *hashes = scratch_alloc(scratch, put->n_new, sizeof(*hashes));
    for (size_t i = 0; i < put->n_new; i++) {
        int failed = names_check_key("key", put->keys[i], e);
        if (failed) return failed;
        hashes[i] = hash_bytes(put->keys[i]);
    }
    if (p) keyindex_prefetch(&p->index, hashes, put->n_new);
    for (size_t i = 0; p && i < put->n_new; i++)
        if (partition_find_hashed(p, put->keys[i], hashes[i]) != SEQ_NONE)
            return error_set(e, ERROR_ERR, "partition %s has key %s already", QUOTE(p->name),
                             QUOTE(put->keys[i]));
    return put->n_new > 1 ? plan_keys_differ(put->keys, hashes, put->n_new, scratch, e) : 0;
}

static int check_samples(const struct partition *p, const struct op *op, struct scratch *scratch,
                         struct error *e) {
    const struct op_put *put = &op->put;
    int failed = names_check_partition(op->partition, e);
    if (failed) return failed;
    if (put->n == 0 || put->n >= PARTITION_SAMPLES_MAX)
        return error_set(e, ERROR_ERR, "a write of %zu samples into partition %s", put->n,
                         QUOTE(op->partition));
    failed = check_new_seqs(p, op, e);
    if (!failed) failed = check_seqs(p, op, e);
    if (!failed) failed = check_distinct(op->partition, put->seqs, put->n, scratch, e);
    return failed ? failed : check_keys(p, put, scratch, e);
}

/* ---- groups ------------------------------------------------------------------------------- */

/* `key` is the i-th sample's; *size is 0 before the first group. */
static int check_group(const struct partition *p, const struct op *op, size_t i, struct span key,
                       uint32_t *size, bool *joins, struct error *e) {
    const struct op_put *put = &op->put;
    uint64_t seq = put_is_new(put, put->seqs[i]) ? SEQ_NONE : put->seqs[i];
    int failed = plan_group(p, op->partition, put->group_ids[i], put->group_sizes[i], e);
    if (failed) return failed;
    if (*size && put->group_sizes[i] != *size)
        return error_set(e, ERROR_ERR, "group %s has %u members, others of the write %u",
                         QUOTE(put->group_ids[i]), put->group_sizes[i], *size);
    *size = put->group_sizes[i];
    return plan_join(p, key, seq, put->group_ids[i], joins, e);
}

static int check_groups(const struct partition *p, const struct op *op, struct scratch *scratch,
                        struct error *e) {
    const struct op_put *put = &op->put;
    if (!put->group_ids) return 0;
    struct plan_member *joining = scratch_alloc(scratch, put->n, sizeof(*joining));
    size_t n_joining = 0, n_new = 0;
    uint32_t size = 0;
    for (size_t i = 0; i < put->n; i++) {
        bool joins, is_new = put_is_new(put, put->seqs[i]);
        struct span key = is_new ? put->keys[n_new++] : partition_key(p, put->seqs[i]);
        if (!put->group_ids[i].ptr) continue;
        int failed = check_group(p, op, i, key, &size, &joins, e);
        if (failed) return failed;
        if (joins) joining[n_joining++] = (struct plan_member){put->group_ids[i], key};
    }
    return plan_groups_room(p, joining, n_joining, size, e);
}

/* ---- values ------------------------------------------------------------------------------- */

/* The type that the column has from now on: its own, or one that is wider. */
static int check_type(const struct column *present, const struct op_column *column,
                      struct error *e) {
    const struct dtype *type = &column->type;
    struct dtype wide;
    if (!dtype_is_valid(type))
        return error_set(e, ERROR_ERR, "field %s has no valid type", QUOTE(column->name));
    if (!present || dtype_equal(column_type(present), type)) return 0;
    if (!present->declared && dtype_widen(column_type(present), type, &wide) &&
        dtype_equal(&wide, type))
        return 0;
    return error_set(e, ERROR_SCHEMA, "field %s is %s and can't become %s", QUOTE(column->name),
                     DTYPE_NAME(column_type(present)), DTYPE_NAME(type));
}

/* How values are given: all bytes accounted for, sizes where they have to be kept and nowhere else. */
static int check_form(const struct op_put *put, const struct op_column *column, struct error *e) {
    const struct column_values *v = &column->values;
    bool good = dtype_shape_implied(&column->type) == !v->sizes;
    uint64_t total = v->payload.len;
    if (v->payload.ptr && v->lengths) {
        total = 0;
        for (size_t i = 0; i < put->n; i++) total += v->lengths[i];
    } else if (v->payload.ptr) {
        good = good && total % put->n == 0;
    }
    good = good && total == v->payload.len;
    if (good) return 0;
    return error_set(e, ERROR_SCHEMA, "%s: %zu bytes for %zu samples of %s do not come out even",
                     QUOTE(column->name), v->payload.len, put->n, DTYPE_NAME(&column->type));
}

static struct span values_item(const struct op_put *put, const struct column_values *v, size_t i,
                               const char *at) {
    if (!v->payload.ptr) return v->items[i];
    return span_of(at, v->lengths ? v->lengths[i] : v->payload.len / put->n);
}

/* Has an item of the type, with these sizes where they are kept, this length? */
static bool item_fits(const struct dtype *type, const uint32_t *sizes, uint64_t len) {
    struct dtype item;
    if (!sizes) return dtype_of_length(type, len, &item);
    return dtype_of_sizes(type, sizes, &item) && dtype_fixed_bytes(&item) == len;
}

static int check_values(const struct partition *p, const struct op_put *put,
                        const struct op_column *column, struct error *e) {
    const struct column_values *v = &column->values;
    const struct dtype *type = &column->type;
    const char *at = v->payload.ptr;
    unsigned stars = dtype_stars(type);
    for (size_t i = 0; i < put->n; i++) {
        struct span value = values_item(put, v, i, at);
        if (at) at += value.len;
        if (!item_fits(type, v->sizes ? v->sizes + i * stars : NULL, value.len)) {
            char got[32];
            snprintf(got, sizeof(got), "%zu bytes", value.len);
            return plan_misfit(column->name, type, got, put_key(p, put, i), e);
        }
        if (!dtype_bytes_valid(type->base, value))
            return plan_misfit(column->name, type, "bytes that are none", put_key(p, put, i), e);
    }
    return 0;
}

static int check_fields(const struct partition *p, const struct op *op, struct error *e) {
    const struct op_put *put = &op->put;
    const struct column_set *set = p ? &p->fields : NULL;
    for (size_t i = 0; i < put->n_columns; i++) {
        const struct op_column *column = &put->columns[i];
        int failed = names_check_word("field", column->name, e);
        if (!failed)
            failed = check_type(set ? column_set_find(set, column->name) : NULL, column, e);
        if (!failed) failed = check_form(put, column, e);
        if (!failed) failed = check_values(p, put, column, e);
        if (failed) return failed;
    }
    return plan_columns(set, "field", PARTITION_FIELDS_MAX, put->columns, put->n_columns,
                        op->partition, e);
}

static int check_tags(const struct partition *p, const struct op *op, struct error *e) {
    static const struct dtype bytes = {.base = DTYPE_BYTES};
    const struct op_put *put = &op->put;
    for (size_t i = 0; i < put->n_tags; i++) {
        const struct op_column *tag = &put->tags[i];
        int failed = names_check_word("tag", tag->name, e);
        if (!failed && !dtype_equal(&tag->type, &bytes))
            failed = error_set(e, ERROR_ERR, "tag %s has a type", QUOTE(tag->name));
        if (!failed) failed = check_form(put, tag, e);
        const char *at = tag->values.payload.ptr;
        for (size_t k = 0; !failed && k < put->n; k++) {
            struct span value = values_item(put, &tag->values, k, at);
            if (at) at += value.len;
            failed = names_check_tag_value(tag->name, value, e);
        }
        if (failed) return failed;
    }
    return plan_columns(p ? &p->tags : NULL, "tag", PARTITION_TAGS_MAX, put->tags, put->n_tags,
                        op->partition, e);
}

/* ---- all ---------------------------------------------------------------------------------- */

int check_put(const struct store *s, const struct partition *p, const struct op *op,
              struct scratch *scratch, struct error *e) {
    int failed = check_samples(p, op, scratch, e);
    if (!failed) failed = check_groups(p, op, scratch, e);
    if (!failed) failed = check_tags(p, op, e);
    if (!failed) failed = check_fields(p, op, e);
    if (!failed) failed = bounds_check_put(p, &op->put, e);
    return failed ? failed : plan_reserve(s, p, &op->put, e);
}
