/* See put.h. The plan goes: is it a write at all (names, NX, XX, IF), may the sample be in that group, does each value
 * fit its field (item by item), do the bounds admit it, is there memory. */
#include "store/put.h"

#include <stdio.h>

#include "store/bounds.h"
#include "store/literal.h"
#include "store/names.h"
#include "store/plan.h"

/* ---- names -------------------------------------------------------------------------------- */

static int put_check_names(const struct put *put, struct error *e) {
    int failed = names_check_partition(put->partition, e);
    if (!failed) failed = names_check_key("key", put->key, e);
    if (!failed && put->group.ptr) failed = names_check_key("group", put->group, e);
    if (!failed && put->if_tag.ptr) failed = names_check_word("tag", put->if_tag, e);
    for (size_t i = 0; !failed && i < put->n_tags; i++) {
        failed = names_check_word("tag", put->tags[i].name, e);
        if (!failed) failed = names_check_tag_value(put->tags[i].name, put->tags[i].value, e);
    }
    for (size_t i = 0; !failed && i < put->n_values; i++)
        failed = names_check_word("field", put->values[i].name, e);
    return failed;
}

static bool put_is_skipped(const struct put *put, const struct partition *p, uint64_t seq) {
    if (put->only == PUT_NX && seq != SEQ_NONE) return true;
    if (put->only == PUT_XX && seq == SEQ_NONE) return true;
    if (!put->if_tag.ptr) return false;
    struct span value;
    const struct column *tag = seq == SEQ_NONE ? NULL : column_set_find(&p->tags, put->if_tag);
    return !tag || !column_get(tag, seq, &value) || !span_equal(value, put->if_value);
}

static int put_check_group(const struct put *put, const struct partition *p, uint64_t seq,
                           struct error *e) {
    if (!put->group.ptr) return 0;
    bool joins;
    int failed = plan_group(p, put->partition, put->group, put->group_size, e);
    if (!failed) failed = plan_join(p, put->key, seq, put->group, &joins, e);
    if (!failed && joins)
        failed = plan_group_completes(p, put->group, put->group_size, put->key, e);
    if (!failed && joins) failed = plan_group_room(p, put->group, put->group_size, 1, put->key, e);
    return failed;
}

/* ---- values ------------------------------------------------------------------------------- */

/* A literal says its shape itself; base and number of dimensions come from the type given, else the field, else
 * it is str. */
static int put_read_text(const struct put_value *value, const struct dtype *field,
                         struct scratch *scratch, struct span *bytes, struct dtype *item,
                         struct error *e) {
    struct dtype type = {.base = DTYPE_STR};
    if (value->typed) {
        type = value->type;
    } else if (field) {
        type = *field;
        for (unsigned i = 0; i < type.dimensions; i++) type.shape[i] = DTYPE_STAR;
    }
    struct error why;
    if (literal_parse(value->bytes, &type, scratch, bytes, item, &why))
        return error_set(e, ERROR_SCHEMA, "field %s: %s", QUOTE(value->name), why.text);
    return 0;
}

/* Raw bytes that are no item of `type`: often a literal that was meant for TEXT. */
static int put_wrong_length(const struct put *put, const struct put_value *value,
                            const struct dtype *type, const struct dtype *field, struct error *e) {
    char got[2 * DTYPE_TEXT_MAX + 128];
    if (!value->typed && !dtype_shape_implied(type))
        snprintf(got, sizeof(got), "%zu bytes without a type to tell their shape",
                 value->bytes.len);
    else
        snprintf(got, sizeof(got),
                 "%zu bytes%s%s (FIELDS takes raw bytes, %s%llu; TEXT takes literals such as 0.5)",
                 value->bytes.len, value->typed ? " as " : "", value->typed ? DTYPE_NAME(type) : "",
                 dtype_stars(type) ? "in multiples of " : "here ",
                 (unsigned long long)dtype_fixed_bytes(type));
    return plan_misfit(value->name, field, got, put->key, e);
}

/* What a raw value is: by the type given, else by the field's, else bytes. */
static int put_read_raw(const struct put *put, const struct put_value *value,
                        const struct dtype *field, struct dtype *item, struct error *e) {
    static const struct dtype opaque = {.base = DTYPE_BYTES};
    const struct dtype *type = value->typed ? &value->type : field ? field : &opaque;
    if (!dtype_of_length(type, value->bytes.len, item))
        return put_wrong_length(put, value, type, field ? field : type, e);
    if (!dtype_bytes_valid(item->base, value->bytes))
        return plan_misfit(value->name, item,
                           item->base == DTYPE_BOOL ? "a byte that is neither 0 nor 1"
                                                    : "bytes that are not UTF-8",
                           put->key, e);
    return 0;
}

/* The sizes that the item's `*` have under the field's type, where they have to be kept. */
static const uint32_t *put_sizes(const struct dtype *type, const struct dtype *item,
                                 struct scratch *scratch) {
    if (dtype_shape_implied(type)) return NULL;
    uint32_t *sizes = scratch_alloc(scratch, dtype_stars(type), sizeof(*sizes)), *at = sizes;
    for (unsigned i = 0; i < type->dimensions; i++)
        if (type->shape[i] == DTYPE_STAR) *at++ = item->shape[i];
    return sizes;
}

static int put_plan_value(const struct put *put, const struct put_value *value,
                          const struct column *field, struct scratch *scratch,
                          struct op_column *out, struct error *e) {
    const struct dtype *type = field ? column_type(field) : NULL;
    struct span bytes = value->bytes;
    struct dtype item;
    int failed = value->text ? put_read_text(value, type, scratch, &bytes, &item, e)
                             : put_read_raw(put, value, type, &item, e);
    const struct dtype *given = value->typed ? &value->type : &item;
    if (!failed) failed = plan_merge(field, value->name, given, &item, put->key, &out->type, e);
    if (failed) return failed;
    out->name = value->name;
    out->values = (struct column_values){
        .payload = bytes.ptr ? bytes : span_of("", 0),
        .sizes = put_sizes(&out->type, &item, scratch),
        .adopt = value->text ? NULL : value->chunk,
    };
    return 0;
}

/* ---- the plan ----------------------------------------------------------------------------- */

static int put_plan_tags(const struct put *put, const struct partition *p, struct scratch *scratch,
                         struct op_put *out, struct error *e) {
    struct op_column *tags = scratch_zalloc(scratch, put->n_tags, sizeof(*tags));
    for (size_t i = 0; i < put->n_tags; i++) {
        struct span value = put->tags[i].value;
        tags[i].name = put->tags[i].name;
        tags[i].type.base = DTYPE_BYTES;
        tags[i].values.payload = value.ptr ? value : span_of("", 0);
    }
    out->tags = tags;
    out->n_tags = put->n_tags;
    return plan_columns(p ? &p->tags : NULL, "tag", PARTITION_TAGS_MAX, tags, put->n_tags,
                        put->partition, e);
}

static int put_plan_values(const struct put *put, const struct partition *p,
                           struct scratch *scratch, struct op_put *out, struct error *e) {
    struct op_column *columns = scratch_zalloc(scratch, put->n_values, sizeof(*columns));
    for (size_t i = 0; i < put->n_values; i++) {
        const struct put_value *value = &put->values[i];
        const struct column *field = p ? column_set_find(&p->fields, value->name) : NULL;
        int failed = put_plan_value(put, value, field, scratch, &columns[i], e);
        if (failed) return failed;
    }
    out->columns = columns;
    out->n_columns = put->n_values;
    return plan_columns(p ? &p->fields : NULL, "field", PARTITION_FIELDS_MAX, columns,
                        put->n_values, put->partition, e);
}

static void put_plan_sample(const struct put *put, const struct partition *p, uint64_t seq,
                            struct scratch *scratch, struct op_put *out) {
    uint64_t *at = scratch_alloc(scratch, 1, sizeof(*at));
    *at = seq != SEQ_NONE ? seq : p ? p->next_seq : 0;
    *out = (struct op_put){
        .n = 1, .seqs = at, .n_new = seq == SEQ_NONE, .new_seqs = at, .keys = &put->key};
    if (put->group.ptr) {
        uint32_t *size = scratch_alloc(scratch, 1, sizeof(*size));
        *size = (uint32_t)put->group_size;
        out->group_ids = &put->group;
        out->group_sizes = size;
    }
}

/* How many bytes the values have; of literals that shows when they are read. */
static int put_check_room(const struct put *put, const struct partition *p, struct scratch *scratch,
                          struct op_put *out, struct error *e) {
    struct op_put bare = *out;
    struct op_column *columns = scratch_zalloc(scratch, put->n_values, sizeof(*columns));
    for (size_t i = 0; i < put->n_values; i++) {
        columns[i].name = put->values[i].name;
        bool known = !put->values[i].text && put->values[i].bytes.ptr;
        columns[i].values.payload = known ? put->values[i].bytes : span_of("", 0);
    }
    bare.columns = columns;
    bare.n_columns = put->n_values;
    return bounds_check_put(p, &bare, e);
}

int put_plan(const struct store *s, const struct put *put, enum write_order order, int64_t now_ms,
             struct scratch *scratch, struct op *op, bool *skipped, struct error *e) {
    *skipped = false;
    int failed = put_check_names(put, e);
    if (failed) return failed;
    const struct partition *p = store_find(s, put->partition);
    uint64_t seq = p ? partition_find(p, put->key) : SEQ_NONE;
    if (put_is_skipped(put, p, seq)) {
        *skipped = true;
        return 0;
    }
    failed = put_check_group(put, p, seq, e);
    if (failed) return failed;
    *op = (struct op){.kind = OP_PUT, .partition = put->partition, .now_ms = now_ms};
    put_plan_sample(put, p, seq, scratch, &op->put);
    if (order == WRITE_BOUNDS_FIRST) failed = put_check_room(put, p, scratch, &op->put, e);
    if (!failed) failed = put_plan_tags(put, p, scratch, &op->put, e);
    if (!failed) failed = put_plan_values(put, p, scratch, &op->put, e);
    if (!failed) failed = bounds_check_put(p, &op->put, e);
    if (!failed) failed = plan_reserve(s, p, &op->put, e);
    return failed;
}
