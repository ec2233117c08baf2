/* See commands.h. */
#include "benchmark/commands.h"

#include <stdio.h>

static void add_keys(struct request_writer *w, const struct batch *b) {
    request_writer_word(w, "KEYS");
    request_writer_number(w, (int64_t)b->samples);
    for (size_t i = 0; i < b->samples; i++) request_writer_arg(w, batch_key(b, i));
}

static void add_field_names(struct request_writer *w, const struct batch *b) {
    request_writer_word(w, "FIELDS");
    request_writer_number(w, (int64_t)b->n_fields);
    for (size_t i = 0; i < b->n_fields; i++) request_writer_word(w, b->fields[i].name);
}

static void add_form(struct request_writer *w, enum commands_form form) {
    static const char *const words[] = {"ROWS", "COLUMNS", "KEYS"};
    request_writer_word(w, "AS");
    request_writer_word(w, words[form]);
}

static struct span field_payload(const struct batch *b, size_t field) {
    return span_of(b->fields[field].payload, batch_column_bytes(b, field));
}

void commands_mput(struct request_writer *w, const char *partition, const struct batch *b) {
    request_writer_begin(w, 4 + b->samples + 2 + 4 * b->n_fields);
    request_writer_word(w, "TQ.MPUT");
    request_writer_word(w, partition);
    add_keys(w, b);
    request_writer_word(w, "COLUMNS");
    request_writer_number(w, (int64_t)b->n_fields);
    for (size_t i = 0; i < b->n_fields; i++) {
        const struct batch_field *f = &b->fields[i];
        request_writer_word(w, f->name);
        request_writer_word(w, f->type);
        request_writer_ref(w, span_of(f->shape, f->shape ? b->samples * sizeof(*f->shape) : 0));
        request_writer_ref(w, field_payload(b, i));
    }
}

void commands_mget(struct request_writer *w, const char *partition, const struct batch *b,
                   enum commands_form form) {
    request_writer_begin(w, 4 + b->samples + 2 + b->n_fields + 2);
    request_writer_word(w, "TQ.MGET");
    request_writer_word(w, partition);
    add_keys(w, b);
    add_field_names(w, b);
    add_form(w, form);
}

void commands_sample(struct request_writer *w, const char *partition, size_t count,
                     const struct batch *b, enum commands_form form) {
    request_writer_begin(w, 5 + 2 + b->n_fields + 2);
    request_writer_word(w, "TQ.SAMPLE");
    request_writer_word(w, partition);
    request_writer_word(w, "benchmark");
    request_writer_word(w, "COUNT");
    request_writer_number(w, (int64_t)count);
    add_field_names(w, b);
    add_form(w, form);
}

/* ---- rows ---------------------------------------------------------------------------------- */

void commands_put_rows(struct request_writer *w, const char *partition, const struct batch *b) {
    char name[BATCH_NAME_MAX + 40];
    for (size_t s = 0; s < b->samples; s++) {
        request_writer_begin(w, 5 + 2 * b->n_fields);
        request_writer_word(w, "TQ.PUT");
        request_writer_word(w, partition);
        request_writer_arg(w, batch_key(b, s));
        request_writer_word(w, "FIELDS");
        request_writer_number(w, (int64_t)b->n_fields);
        for (size_t i = 0; i < b->n_fields; i++) {
            snprintf(name, sizeof(name), "%s:%s", b->fields[i].name, b->fields[i].type);
            request_writer_word(w, name);
            request_writer_ref(w, batch_value(b, s, i));
        }
    }
}

void commands_hset_rows(struct request_writer *w, const struct batch *b) {
    for (size_t s = 0; s < b->samples; s++) {
        request_writer_begin(w, 2 + 2 * b->n_fields);
        request_writer_word(w, "HSET");
        request_writer_arg(w, batch_key(b, s));
        for (size_t i = 0; i < b->n_fields; i++) {
            request_writer_word(w, b->fields[i].name);
            request_writer_ref(w, batch_value(b, s, i));
        }
    }
}

void commands_hmget_rows(struct request_writer *w, const struct batch *b) {
    for (size_t s = 0; s < b->samples; s++) {
        request_writer_begin(w, 2 + b->n_fields);
        request_writer_word(w, "HMGET");
        request_writer_arg(w, batch_key(b, s));
        for (size_t i = 0; i < b->n_fields; i++) request_writer_word(w, b->fields[i].name);
    }
}

size_t commands_words(struct request_writer *w, size_t argc, const char *const *argv) {
    size_t before = w->bytes;
    request_writer_begin(w, argc);
    for (size_t i = 0; i < argc; i++) request_writer_word(w, argv[i]);
    return w->bytes - before;
}

/* ---- replies ------------------------------------------------------------------------------- */

/* The batch's memory is released with the batch. */
static void keep(void *context) {
    (void)context;
}

static void reply_column(struct reply *r, const char *name, const char *type, struct span shape,
                         struct span payload) {
    reply_array(r, 4);
    reply_text(r, name);
    reply_text(r, type);
    reply_ref(r, shape, keep, NULL);
    reply_ref(r, payload, keep, NULL);
}

void commands_reply_columns(struct reply *r, const struct batch *b) {
    reply_array(r, 1 + b->n_fields);
    reply_column(r, "@key", "bytes", span_of(b->key_sizes, b->samples * sizeof(*b->key_sizes)),
                 span_of(b->keys, b->samples * BATCH_KEY_LEN));
    for (size_t i = 0; i < b->n_fields; i++)
        reply_column(r, b->fields[i].name, b->fields[i].read_type, batch_read_shape(b, i),
                     field_payload(b, i));
}

void commands_reply_rows(struct reply *r, const struct batch *b, bool with_keys) {
    reply_array(r, b->samples);
    for (size_t s = 0; s < b->samples; s++) {
        reply_array(r, b->n_fields + with_keys);
        if (with_keys) reply_bulk(r, batch_key(b, s));
        for (size_t i = 0; i < b->n_fields; i++) reply_ref(r, batch_value(b, s, i), keep, NULL);
    }
}
