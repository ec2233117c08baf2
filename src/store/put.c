/* See put.h. The plan goes: is it a write at all (names, NX, XX, IF), may the sample be there (bounds, groups), does each value
 * fit its field (item by item), is there memory. */
#include "store/put.h"

#include <stdio.h>

#include "store/literal.h"
#include "store/names.h"

/* ---- names -------------------------------------------------------------------------------- */

static int put_check_names(const struct put *put, struct error *e) {
    int failed = names_check_partition(put->partition, e);
    if (!failed) failed = names_check_key("key", put->key, e);
    if (!failed && put->group.ptr) failed = names_check_key("group", put->group, e);
    if (!failed && put->if_tag.ptr) failed = names_check_word("tag", put->if_tag, e);
    for (size_t i = 0; !failed && i < put->n_tags; i++) {
        failed = names_check_word("tag", put->tags[i].name, e);
        if (!failed && put->tags[i].value.len > NAMES_TAG_VALUE_MAX)
            failed = error_set(e, ERROR_ERR, "tag %s: a value has at most %d bytes, got %zu",
                               QUOTE(put->tags[i].name), NAMES_TAG_VALUE_MAX,
                               put->tags[i].value.len);
    }
    for (size_t i = 0; !failed && i < put->n_values; i++)
        failed = names_check_word("field", put->values[i].name, e);
    return failed;
}

/* A field or tag named twice in one command would have two values at once. */
static int put_check_twice(const char *what, const struct op_column *columns, size_t n,
                           struct error *e) {
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (span_equal(columns[i].name, columns[j].name))
                return error_set(e, ERROR_ERR, "%s %s is named twice", what,
                                 QUOTE(columns[i].name));
    return 0;
}

static bool put_is_held(const struct put *put, const struct partition *p, uint64_t seq) {
    if (put->only == PUT_NX && seq != SEQ_NONE) return true;
    if (put->only == PUT_XX && seq == SEQ_NONE) return true;
    if (!put->if_tag.ptr) return false;
    struct span value;
    const struct column *tag = seq == SEQ_NONE ? NULL : column_set_find(&p->tags, put->if_tag);
    return !tag || !column_get(tag, seq, &value) || !span_equal(value, put->if_value);
}

/* ---- bounds and groups -------------------------------------------------------------------- */

static int put_check_bounds(const struct put *put, const struct partition *p, struct error *e) {
    if (!p) return 0;
    if (p->sealed)
        return error_set(e, ERROR_FULL, "partition %s is sealed, no room for new sample %s",
                         QUOTE(p->name), QUOTE(put->key));
    if (p->has_expected && p->written >= p->expected)
        return error_set(e, ERROR_FULL,
                         "partition %s expects %llu samples and has had them, no room for %s",
                         QUOTE(p->name), (unsigned long long)p->expected, QUOTE(put->key));
    if (p->samples && p->next_seq - p->rows.first * SPINE_ROWS >= PARTITION_SAMPLES_MAX - 1)
        return error_set(e, ERROR_FULL, "partition %s spans 2^32 samples, no room for %s",
                         QUOTE(p->name), QUOTE(put->key));
    return 0;
}

static int put_check_group(const struct put *put, const struct partition *p, uint64_t seq,
                           struct error *e) {
    if (!put->group.ptr) return 0;
    if (put->group_size < 1 || put->group_size > GROUP_SIZE_MAX)
        return error_set(e, ERROR_ERR, "group %s: expected a size of 1 to %d, got %llu",
                         QUOTE(put->group), GROUP_SIZE_MAX, (unsigned long long)put->group_size);
    if (!p) return 0;
    if (p->groups.size && p->groups.size != put->group_size)
        return error_set(e, ERROR_ERR, "group %s: the groups of partition %s have %u members, not "
                         "%llu", QUOTE(put->group), QUOTE(p->name), p->groups.size,
                         (unsigned long long)put->group_size);
    uint32_t number = groups_find(&p->groups, put->group);
    uint32_t present = seq == SEQ_NONE ? GROUP_NONE : partition_group(p, seq);
    if (present != GROUP_NONE) {
        if (present == number) return 0;
        return error_set(e, ERROR_ERR, "sample %s is in group %s and can't join %s",
                         QUOTE(put->key), QUOTE(groups_get(&p->groups, present)->id),
                         QUOTE(put->group));
    }
    if (number != GROUP_NONE && groups_get(&p->groups, number)->members >= put->group_size)
        return error_set(e, ERROR_ERR, "group %s has its %llu members, no room for sample %s",
                         QUOTE(put->group), (unsigned long long)put->group_size, QUOTE(put->key));
    return 0;
}

/* ---- values ------------------------------------------------------------------------------- */

static int put_misfit(const struct put *put, const struct put_value *value,
                      const struct dtype *field, const char *got, struct error *e) {
    return error_set(e, ERROR_SCHEMA, "field %s is %s, got %s for sample %s", QUOTE(value->name),
                     DTYPE_NAME(field), got, QUOTE(put->key));
}

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

/* What a raw value is: by the type given, else by the field's, else bytes. */
static int put_read_raw(const struct put *put, const struct put_value *value,
                        const struct dtype *field, struct dtype *item, struct error *e) {
    static const struct dtype opaque = {.base = DTYPE_BYTES};
    const struct dtype *type = value->typed ? &value->type : field ? field : &opaque;
    if (!dtype_of_length(type, value->bytes.len, item)) {
        char got[DTYPE_TEXT_MAX + 96];
        if (value->typed)
            snprintf(got, sizeof(got), "%zu bytes as %s", value->bytes.len, DTYPE_NAME(type));
        else
            snprintf(got, sizeof(got), "%zu bytes%s", value->bytes.len,
                     dtype_shape_implied(type) ? "" : " without a type to tell their shape");
        return put_misfit(put, value, field ? field : type, got, e);
    }
    if (!dtype_bytes_valid(item->base, value->bytes))
        return put_misfit(put, value, item,
                          item->base == DTYPE_BOOL ? "a byte that is neither 0 nor 1"
                                                   : "bytes that are not UTF-8", e);
    return 0;
}

/* The field's type once the item is in it. */
static int put_merge_type(const struct put *put, const struct put_value *value,
                          const struct column *field, const struct dtype *item, struct dtype *out,
                          struct error *e) {
    if (!field) {
        *out = value->typed ? value->type : *item;
        return 0;
    }
    if (!dtype_widen(column_type(field), item, out) ||
        (field->declared && !dtype_equal(column_type(field), out)))
        return put_misfit(put, value, column_type(field), DTYPE_NAME(item), e);
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
    if (!failed) failed = put_merge_type(put, value, field, &item, &out->type, e);
    if (failed) return failed;
    out->name = value->name;
    out->values = (struct column_values){
        .payload = bytes.ptr ? bytes : span_of("", 0),
        .sizes = put_sizes(&out->type, &item, scratch),
        .adopt = value->text ? NULL : value->landed,
    };
    return 0;
}

/* ---- the plan ----------------------------------------------------------------------------- */

static int put_plan_tags(const struct put *put, const struct partition *p,
                         struct scratch *scratch, struct op_put *out, struct error *e) {
    struct op_column *tags = scratch_zalloc(scratch, put->n_tags, sizeof(*tags));
    size_t added = 0;
    for (size_t i = 0; i < put->n_tags; i++) {
        struct span value = put->tags[i].value;
        tags[i].name = put->tags[i].name;
        tags[i].type.base = DTYPE_BYTES;
        tags[i].values.payload = value.ptr ? value : span_of("", 0);
        added += !p || !column_set_find(&p->tags, tags[i].name);
    }
    out->tags = tags;
    out->n_tags = put->n_tags;
    if ((p ? p->tags.count : 0) + added > PARTITION_TAGS_MAX)
        return error_set(e, ERROR_FULL, "partition %s: no room for more than %d tags",
                         QUOTE(put->partition), PARTITION_TAGS_MAX);
    return put_check_twice("tag", tags, put->n_tags, e);
}

static int put_plan_values(const struct put *put, const struct partition *p,
                           struct scratch *scratch, struct op_put *out, struct error *e) {
    struct op_column *columns = scratch_zalloc(scratch, put->n_values, sizeof(*columns));
    size_t added = 0;
    for (size_t i = 0; i < put->n_values; i++) {
        const struct put_value *value = &put->values[i];
        const struct column *field = p ? column_set_find(&p->fields, value->name) : NULL;
        int failed = put_plan_value(put, value, field, scratch, &columns[i], e);
        if (failed) return failed;
        added += !field;
    }
    out->columns = columns;
    out->n_columns = put->n_values;
    if ((p ? p->fields.count : 0) + added > PARTITION_FIELDS_MAX)
        return error_set(e, ERROR_FULL, "partition %s: no room for more than %d fields",
                         QUOTE(put->partition), PARTITION_FIELDS_MAX);
    return put_check_twice("field", columns, put->n_values, e);
}

static size_t put_reserve_columns(const struct column_set *set, const struct op_column *columns,
                                  size_t n) {
    size_t need = 0;
    for (size_t i = 0; i < n; i++)
        if (!columns[i].values.adopt)
            need += column_reserve(set ? column_set_find(set, columns[i].name) : NULL,
                                   columns[i].values.payload.len);
    return need;
}

static int put_reserve(const struct store *s, const struct partition *p, const struct put *put,
                       const struct op_put *out, struct error *e) {
    size_t need = out->n_new ? column_reserve(p ? &p->keys : NULL, put->key.len) : 0;
    need += put_reserve_columns(p ? &p->tags : NULL, out->tags, out->n_tags);
    need += put_reserve_columns(p ? &p->fields : NULL, out->columns, out->n_columns);
    return arena_reserve(store_arena(s), need, e);
}

static void put_plan_sample(const struct put *put, const struct partition *p, uint64_t seq,
                            struct scratch *scratch, struct op_put *out) {
    uint64_t *at = scratch_alloc(scratch, 1, sizeof(*at));
    *at = seq != SEQ_NONE ? seq : p ? p->next_seq : 0;
    *out = (struct op_put){.n = 1, .seqs = at, .n_new = seq == SEQ_NONE, .keys = &put->key};
    if (put->group.ptr) {
        uint32_t *size = scratch_alloc(scratch, 1, sizeof(*size));
        *size = (uint32_t)put->group_size;
        out->group_ids = &put->group;
        out->group_sizes = size;
    }
}

int put_plan(const struct store *s, const struct put *put, int64_t now_ms, struct scratch *scratch,
             struct op *op, bool *held, struct error *e) {
    *held = false;
    int failed = put_check_names(put, e);
    if (failed) return failed;
    const struct partition *p = store_find(s, put->partition);
    uint64_t seq = p ? partition_find(p, put->key) : SEQ_NONE;
    if (put_is_held(put, p, seq)) {
        *held = true;
        return 0;
    }
    if (seq == SEQ_NONE) failed = put_check_bounds(put, p, e);
    if (!failed) failed = put_check_group(put, p, seq, e);
    if (failed) return failed;
    *op = (struct op){.kind = OP_PUT, .partition = put->partition, .now_ms = now_ms};
    put_plan_sample(put, p, seq, scratch, &op->put);
    failed = put_plan_tags(put, p, scratch, &op->put, e);
    if (!failed) failed = put_plan_values(put, p, scratch, &op->put, e);
    if (!failed) failed = put_reserve(s, p, put, &op->put, e);
    return failed;
}
