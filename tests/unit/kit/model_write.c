/* Writes of the model: TQ.PUT and TQ.MPUT. */
#include "model.h"

#include "base/mem.h"

/* `joining`: how many others of the same command join this group before. */
static unsigned check_group(const struct model_partition *p, const struct model_sample *sample,
                            struct span id, uint64_t size, uint64_t joining) {
    if (model_check_key(id) || size < 1 || size > 65536) return MODEL_ERROR(ERROR_ERR);
    if (!p) return joining < size ? 0 : MODEL_ERROR(ERROR_ERR);
    if (p->group_size && p->group_size != size) return MODEL_ERROR(ERROR_ERR);
    size_t group = model_group(p, id);
    if (sample && sample->group != MODEL_NO_GROUP)
        return sample->group == group ? 0 : MODEL_ERROR(ERROR_ERR);
    bool begun = group < p->n_groups && p->groups[group].members;
    if (begun && p->groups[group].broken) return MODEL_ERROR(ERROR_ERR);
    if (!begun && p->bounds.ahead && size > p->bounds.ahead) return MODEL_ERROR(ERROR_ERR);
    uint64_t members = begun ? p->groups[group].members : 0;
    return members + joining < size ? 0 : MODEL_ERROR(ERROR_ERR);
}

/* Members of a group that has begun are not counted by MAXAHEAD. */
static bool counts_ahead(const struct model_partition *p, const struct model_sample *sample,
                         struct span group) {
    if (sample) return false;
    size_t at = p && group.ptr ? model_group(p, group) : 0;
    return !p || !group.ptr || at == p->n_groups || !p->groups[at].members;
}

/* What one value is, and what its field's type becomes. */
static unsigned read_value(const struct model_partition *p, const struct put_value *value,
                           struct scratch *scratch, struct span *bytes, struct dtype *item,
                           struct dtype *type) {
    size_t at = p ? model_column(&p->fields, value->name) : 0;
    const struct dtype *field = p && at < p->fields.n ? &p->fields.all[at].type : NULL;
    struct dtype read = {.base = value->text ? DTYPE_STR : DTYPE_BYTES};
    if (field) read = *field;
    for (unsigned i = 0; value->text && i < read.dimensions; i++) read.shape[i] = DTYPE_STAR;
    if (value->typed) read = value->type;
    *bytes = value->bytes;
    bool fits = value->text ? model_read_literal(value->bytes, &read, scratch, bytes, item)
                            : model_item_of_length(&read, value->bytes.len, item) &&
                                  model_bytes_fit(read.base, value->bytes);
    if (!fits) return MODEL_ERROR(ERROR_SCHEMA);
    *type = value->typed ? value->type : *item;
    if (field && !model_widen(field, item, type)) return MODEL_ERROR(ERROR_SCHEMA);
    if (field && p->fields.all[at].declared && !dtype_equal(type, field))
        return MODEL_ERROR(ERROR_SCHEMA);
    return 0;
}

/* The length of what a value would overwrite. */
static uint64_t overwrites(const struct model_partition *p, const struct model_sample *sample,
                           struct span field) {
    size_t at = p && sample ? model_column(&p->fields, field) : 0;
    bool there = p && sample && at < p->fields.n && sample->fields[at].produced;
    return there ? sample->fields[at].len : 0;
}

static unsigned check_put(const struct put *put) {
    unsigned errors = model_check_partition(put->partition) | model_check_key(put->key);
    if (put->group.ptr) errors |= model_check_key(put->group);
    if (put->if_tag.ptr) errors |= model_check_word(put->if_tag);
    for (size_t i = 0; i < put->n_tags; i++) {
        errors |= model_check_word(put->tags[i].name);
        if (put->tags[i].value.len > 4096) errors |= MODEL_ERROR(ERROR_ERR);
    }
    for (size_t i = 0; i < put->n_values; i++) errors |= model_check_word(put->values[i].name);
    return errors;
}

static unsigned check_put_twice(const struct put *put) {
    for (size_t i = 0; i < put->n_tags; i++)
        for (size_t j = 0; j < i; j++)
            if (span_equal(put->tags[i].name, put->tags[j].name)) return MODEL_ERROR(ERROR_ERR);
    for (size_t i = 0; i < put->n_values; i++)
        for (size_t j = 0; j < i; j++)
            if (span_equal(put->values[i].name, put->values[j].name)) return MODEL_ERROR(ERROR_ERR);
    return 0;
}

static bool is_skipped(const struct put *put, const struct model_partition *p,
                       const struct model_sample *sample) {
    if (put->only == PUT_NX && sample) return true;
    if (put->only == PUT_XX && !sample) return true;
    if (!put->if_tag.ptr) return false;
    size_t tag = sample ? model_column(&p->tags, put->if_tag) : 0;
    if (!sample || tag == p->tags.n || !sample->tags[tag].produced) return true;
    return !span_equal(span_of(sample->tags[tag].bytes, sample->tags[tag].len), put->if_value);
}

unsigned model_put(struct model *m, const struct put *put, struct scratch *scratch, bool *skipped,
                   size_t *made) {
    static const struct dtype bytes_type = {.base = DTYPE_BYTES};
    unsigned errors = check_put(put);
    *skipped = false;
    *made = 0;
    if (errors) return errors; /* before anything is asked of the sample */
    struct model_partition *p = model_find(m, put->partition);
    struct model_sample *sample = model_sample(p, put->key);
    if (is_skipped(put, p, sample)) {
        *skipped = true;
        return 0;
    }
    errors |= check_put_twice(put);
    if (put->group.ptr) errors |= check_group(p, sample, put->group, put->group_size, 0);
    struct span *bytes = scratch_alloc(scratch, put->n_values, sizeof(*bytes));
    struct dtype *items = scratch_alloc(scratch, put->n_values, sizeof(*items));
    struct dtype *types = scratch_alloc(scratch, put->n_values, sizeof(*types));
    uint64_t comes = 0, goes = 0;
    for (size_t i = 0; i < put->n_values; i++) {
        errors |= read_value(p, &put->values[i], scratch, &bytes[i], &items[i], &types[i]);
        comes += bytes[i].len;
        goes += overwrites(p, sample, put->values[i].name);
    }
    errors |= model_check_room(m, p, !sample, counts_ahead(p, sample, put->group), comes, goes);
    if (errors) return errors;

    p = model_make_partition(m, put->partition);
    if (!sample) {
        sample = model_make_sample(p, put->key);
        *made = 1;
    }
    if (put->group.ptr) model_join(p, sample, put->group, put->group_size);
    for (size_t i = 0; i < put->n_tags; i++)
        model_write(&p->tags, sample->tags, put->tags[i].name, &bytes_type, &bytes_type,
                    put->tags[i].value);
    for (size_t i = 0; i < put->n_values; i++)
        model_write(&p->fields, sample->fields, put->values[i].name, &types[i], &items[i],
                    bytes[i]);
    return 0;
}

/* ---- TQ.MPUT ------------------------------------------------------------------------------ */

struct read_column {
    struct dtype type; /* of the field, afterwards */
    struct dtype *items;
    struct span *bytes;
};

static uint32_t shape_number(const struct mput_column *column, size_t i) {
    uint32_t number;
    memcpy(&number, column->shape.ptr + 4 * i, 4);
    return number;
}

/* One column item by item: shapes, lengths, values. */
static unsigned read_items(const struct mput *mput, const struct mput_column *column,
                           struct read_column *out) {
    bool text = column->type.base == DTYPE_STR || column->type.base == DTYPE_BYTES;
    unsigned each = text;
    for (unsigned d = 0; d < column->type.dimensions; d++)
        each += column->type.shape[d] == DTYPE_STAR;
    if (column->shape.len != mput->n * each * 4) return MODEL_ERROR(ERROR_SCHEMA);
    size_t used = 0, number = 0;
    for (size_t i = 0; i < mput->n; i++) {
        struct dtype *item = &out->items[i];
        *item = column->type;
        for (unsigned d = 0; d < item->dimensions; d++) {
            if (column->type.shape[d] != DTYPE_STAR) continue;
            item->shape[d] = shape_number(column, number++);
            if (item->shape[d] == DTYPE_STAR) return MODEL_ERROR(ERROR_SCHEMA);
        }
        uint64_t len = text ? shape_number(column, number++) : model_item_bytes(item);
        if (len > column->payload.len - used) return MODEL_ERROR(ERROR_SCHEMA);
        out->bytes[i] = span_of(len ? column->payload.ptr + used : "", len);
        used += len;
        if (!model_bytes_fit(item->base, out->bytes[i])) return MODEL_ERROR(ERROR_SCHEMA);
    }
    return used == column->payload.len ? 0 : MODEL_ERROR(ERROR_SCHEMA);
}

static unsigned read_column(const struct mput *mput, const struct mput_column *column,
                            const struct model_partition *p, struct scratch *scratch,
                            struct read_column *out) {
    out->items = scratch_alloc(scratch, mput->n, sizeof(*out->items));
    out->bytes = scratch_alloc(scratch, mput->n, sizeof(*out->bytes));
    unsigned errors = model_check_word(column->name) | read_items(mput, column, out);
    if (errors) return errors;
    out->type = column->type;
    size_t at = p ? model_column(&p->fields, column->name) : 0;
    if (!p || at == p->fields.n) return 0;
    out->type = p->fields.all[at].type;
    for (size_t i = 0; i < mput->n; i++)
        if (!model_widen(&out->type, &out->items[i], &out->type)) return MODEL_ERROR(ERROR_SCHEMA);
    if (p->fields.all[at].declared && !dtype_equal(&out->type, &p->fields.all[at].type))
        return MODEL_ERROR(ERROR_SCHEMA);
    return 0;
}

static unsigned check_mput_names(const struct mput *mput) {
    unsigned errors = model_check_partition(mput->partition);
    for (size_t i = 0; i < mput->n; i++) {
        errors |= model_check_key(mput->keys[i]);
        for (size_t j = 0; j < i; j++)
            if (span_equal(mput->keys[i], mput->keys[j])) errors |= MODEL_ERROR(ERROR_ERR);
    }
    for (size_t i = 0; i < mput->n_columns; i++)
        for (size_t j = 0; j < i; j++)
            if (span_equal(mput->columns[i].name, mput->columns[j].name))
                errors |= MODEL_ERROR(ERROR_ERR);
    for (size_t i = 0; i < mput->n_tags; i++) {
        errors |= model_check_word(mput->tags[i].name);
        for (size_t j = 0; j < i; j++)
            if (span_equal(mput->tags[i].name, mput->tags[j].name))
                errors |= MODEL_ERROR(ERROR_ERR);
        for (size_t k = 0; k < mput->n; k++)
            if (mput->tags[i].values[k].len > 4096) errors |= MODEL_ERROR(ERROR_ERR);
    }
    return errors;
}

static unsigned check_mput_groups(const struct mput *mput, struct model_partition *p,
                                  struct model_sample *const *samples) {
    unsigned errors = 0;
    for (size_t i = 0; mput->group_ids && i < mput->n; i++) {
        uint64_t joining = 0;
        for (size_t j = 0; j < i; j++) {
            bool joins = !samples[j] || samples[j]->group == MODEL_NO_GROUP;
            joining += joins && span_equal(mput->group_ids[i], mput->group_ids[j]);
        }
        errors |= check_group(p, samples[i], mput->group_ids[i], mput->group_size, joining);
    }
    return errors;
}

static void write_mput(struct model_partition *p, struct model_sample *sample,
                       const struct mput *mput, size_t i, const struct read_column *columns) {
    static const struct dtype bytes_type = {.base = DTYPE_BYTES};
    if (mput->group_ids) model_join(p, sample, mput->group_ids[i], mput->group_size);
    for (size_t t = 0; t < mput->n_tags; t++)
        model_write(&p->tags, sample->tags, mput->tags[t].name, &bytes_type, &bytes_type,
                    mput->tags[t].values[i]);
    for (size_t c = 0; c < mput->n_columns; c++)
        model_write(&p->fields, sample->fields, mput->columns[c].name, &columns[c].type,
                    &columns[c].items[i], columns[c].bytes[i]);
}

unsigned model_mput(struct model *m, const struct mput *mput, struct scratch *scratch,
                    size_t *made) {
    struct model_partition *p = model_find(m, mput->partition);
    struct model_sample **samples = scratch_alloc(scratch, mput->n, sizeof(*samples));
    uint64_t missing = 0, ahead = 0;
    for (size_t i = 0; i < mput->n; i++) {
        missing += (samples[i] = model_sample(p, mput->keys[i])) == NULL;
        ahead +=
            counts_ahead(p, samples[i], mput->group_ids ? mput->group_ids[i] : span_of(NULL, 0));
    }
    *made = 0;
    unsigned errors = check_mput_names(mput) | check_mput_groups(mput, p, samples);
    struct read_column *columns = scratch_alloc(scratch, mput->n_columns, sizeof(*columns));
    for (size_t c = 0; c < mput->n_columns; c++)
        errors |= read_column(mput, &mput->columns[c], p, scratch, &columns[c]);
    uint64_t comes = 0, goes = 0;
    for (size_t c = 0; !errors && c < mput->n_columns; c++)
        for (size_t i = 0; i < mput->n; i++) {
            comes += columns[c].bytes[i].len;
            goes += overwrites(p, samples[i], mput->columns[c].name);
        }
    errors |= model_check_room(m, p, missing, ahead, comes, goes);
    if (errors) return errors;
    p = model_make_partition(m, mput->partition);
    for (size_t i = 0; i < mput->n; i++) {
        if (!samples[i]) samples[i] = model_make_sample(p, mput->keys[i]);
        write_mput(p, samples[i], mput, i, columns);
    }
    *made = missing;
    return 0;
}
