/* See commands.h. */
#include "benchmark/commands.h"

#include <stdio.h>

#include "base/mem.h"

static void add_keys(struct message *m, const struct batch *b) {
    message_word(m, "KEYS");
    message_number(m, b->samples);
    for (size_t i = 0; i < b->samples; i++)
        message_bulk(m, batch_key(b, i).ptr, batch_key(b, i).len);
}

static void add_field_names(struct message *m, const struct batch *b) {
    message_word(m, "FIELDS");
    message_number(m, b->n_fields);
    for (size_t i = 0; i < b->n_fields; i++) message_word(m, b->fields[i].name);
}

static void add_form(struct message *m, enum commands_form form) {
    static const char *const words[] = {"ROWS", "COLUMNS", "KEYS"};
    message_word(m, "AS");
    message_word(m, words[form]);
}

/* The four parts of a column. */
static void add_column(struct message *m, const char *name, const char *type, struct span shape,
                       struct span payload) {
    message_word(m, name);
    message_word(m, type);
    message_bulk(m, shape.ptr, shape.len);
    message_bulk(m, payload.ptr, payload.len);
}

static struct span field_payload(const struct batch *b, size_t field) {
    return span_of(b->fields[field].payload, batch_column_bytes(b, field));
}

void commands_mput(struct message *m, const char *partition, const struct batch *b) {
    message_array(m, 4 + b->samples + 2 + 4 * b->n_fields);
    message_word(m, "TQ.MPUT");
    message_word(m, partition);
    add_keys(m, b);
    message_word(m, "COLUMNS");
    message_number(m, b->n_fields);
    for (size_t i = 0; i < b->n_fields; i++) {
        const struct batch_field *f = &b->fields[i];
        struct span shape = span_of(f->shape, f->shape ? b->samples * sizeof(*f->shape) : 0);
        add_column(m, f->name, f->type, shape, field_payload(b, i));
    }
}

void commands_mget(struct message *m, const char *partition, const struct batch *b,
                   enum commands_form form) {
    message_array(m, 4 + b->samples + 2 + b->n_fields + 2);
    message_word(m, "TQ.MGET");
    message_word(m, partition);
    add_keys(m, b);
    add_field_names(m, b);
    add_form(m, form);
}

void commands_sample(struct message *m, const char *partition, size_t count, const struct batch *b,
                     enum commands_form form) {
    message_array(m, 5 + 2 + b->n_fields + 2);
    message_word(m, "TQ.SAMPLE");
    message_word(m, partition);
    message_word(m, "benchmark");
    message_word(m, "COUNT");
    message_number(m, count);
    add_field_names(m, b);
    add_form(m, form);
}

/* ---- rows, in hiredis' words --------------------------------------------------------------- */

struct words {
    const char **argv;
    size_t *lengths;
    int argc;
};

static void words_new(struct words *w, size_t n) {
    *w = (struct words){mem_alloc(n * sizeof(*w->argv)), mem_alloc(n * sizeof(*w->lengths)), 0};
}

static void words_free(struct words *w) {
    mem_free(w->argv);
    mem_free(w->lengths);
}

static void words_add(struct words *w, struct span word) {
    w->argv[w->argc] = word.ptr;
    w->lengths[w->argc++] = word.len;
}

void commands_put_rows(struct message *m, const char *partition, const struct batch *b) {
    char(*names)[BATCH_NAME_MAX + 40] = mem_alloc(b->n_fields * sizeof(*names));
    char count[24];
    struct words w;
    words_new(&w, 5 + 2 * b->n_fields);
    snprintf(count, sizeof(count), "%zu", b->n_fields);
    for (size_t i = 0; i < b->n_fields; i++)
        snprintf(names[i], sizeof(*names), "%s:%s", b->fields[i].name, b->fields[i].type);
    for (size_t s = 0; s < b->samples; s++) {
        w.argc = 0;
        words_add(&w, SPAN_LITERAL("TQ.PUT"));
        words_add(&w, span_of_string(partition));
        words_add(&w, batch_key(b, s));
        words_add(&w, SPAN_LITERAL("FIELDS"));
        words_add(&w, span_of_string(count));
        for (size_t i = 0; i < b->n_fields; i++) {
            words_add(&w, span_of_string(names[i]));
            words_add(&w, batch_value(b, s, i));
        }
        message_command(m, w.argc, w.argv, w.lengths);
    }
    words_free(&w);
    mem_free(names);
}

static void add_hash_rows(struct message *m, const struct batch *b, const char *command,
                          bool with_values) {
    struct words w;
    words_new(&w, 2 + 2 * b->n_fields);
    for (size_t s = 0; s < b->samples; s++) {
        w.argc = 0;
        words_add(&w, span_of_string(command));
        words_add(&w, batch_key(b, s));
        for (size_t i = 0; i < b->n_fields; i++) {
            words_add(&w, span_of_string(b->fields[i].name));
            if (with_values) words_add(&w, batch_value(b, s, i));
        }
        message_command(m, w.argc, w.argv, w.lengths);
    }
    words_free(&w);
}

void commands_hset_rows(struct message *m, const struct batch *b) {
    add_hash_rows(m, b, "HSET", true);
}

void commands_hmget_rows(struct message *m, const struct batch *b) {
    add_hash_rows(m, b, "HMGET", false);
}

/* ---- replies ------------------------------------------------------------------------------- */

void commands_reply_columns(struct message *m, const struct batch *b) {
    message_array(m, 1 + b->n_fields);
    message_array(m, 4);
    add_column(m, "@key", "bytes", span_of(b->key_sizes, b->samples * sizeof(*b->key_sizes)),
               span_of(b->keys, b->samples * b->key_len));
    for (size_t i = 0; i < b->n_fields; i++) {
        message_array(m, 4);
        add_column(m, b->fields[i].name, b->fields[i].read_type, batch_read_shape(b, i),
                   field_payload(b, i));
    }
}

void commands_reply_rows(struct message *m, const struct batch *b, bool with_keys) {
    message_array(m, b->samples);
    for (size_t s = 0; s < b->samples; s++) {
        message_array(m, b->n_fields + with_keys);
        if (with_keys) message_bulk(m, batch_key(b, s).ptr, b->key_len);
        for (size_t i = 0; i < b->n_fields; i++)
            message_bulk(m, batch_value(b, s, i).ptr, batch_value(b, s, i).len);
    }
}
