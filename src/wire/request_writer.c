/* See request_writer.h. */
#include "wire/request_writer.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static void writer_add_piece(struct request_writer *w, const char *ref, size_t len) {
    w->pieces = mem_grow(w->pieces, &w->pieces_capacity, w->n_pieces + 1, sizeof(*w->pieces));
    w->pieces[w->n_pieces++] = (struct request_piece){ref, len};
}

static void writer_copy(struct request_writer *w, const void *bytes, size_t len) {
    if (!len) return;
    w->text = mem_grow(w->text, &w->text_capacity, w->text_len + len, 1);
    memcpy(w->text + w->text_len, bytes, len);
    w->text_len += len;
    w->bytes += len;
    if (w->n_pieces && !w->pieces[w->n_pieces - 1].ref)
        w->pieces[w->n_pieces - 1].len += len;
    else
        writer_add_piece(w, NULL, len);
}

static void writer_header(struct request_writer *w, char type, size_t number) {
    char text[32];
    int len = snprintf(text, sizeof(text), "%c%zu\r\n", type, number);
    writer_copy(w, text, (size_t)len);
}

static void writer_check(bool is_right, const char *what) {
    if (is_right) return;
    fprintf(stderr, "request_writer: %s\n", what);
    abort();
}

void request_writer_begin(struct request_writer *w, size_t argc) {
    writer_check(w->due == 0, "the request before has fewer arguments than announced");
    writer_header(w, '*', argc);
    w->due = argc;
}

static void writer_begin_arg(struct request_writer *w, size_t len) {
    writer_check(w->due > 0, "more arguments than announced");
    w->due--;
    writer_header(w, '$', len);
}

void request_writer_arg(struct request_writer *w, struct span bytes) {
    writer_begin_arg(w, bytes.len);
    writer_copy(w, bytes.ptr, bytes.len);
    writer_copy(w, "\r\n", 2);
}

void request_writer_ref(struct request_writer *w, struct span bytes) {
    if (bytes.len < REQUEST_REF_FROM) {
        request_writer_arg(w, bytes);
        return;
    }
    writer_begin_arg(w, bytes.len);
    writer_add_piece(w, bytes.ptr, bytes.len);
    w->bytes += bytes.len;
    writer_copy(w, "\r\n", 2);
}

void request_writer_word(struct request_writer *w, const char *word) {
    request_writer_arg(w, span_of_string(word));
}

void request_writer_number(struct request_writer *w, int64_t number) {
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, number);
    request_writer_arg(w, span_of(text, (size_t)len));
}

void request_writer_argv(struct request_writer *w, size_t argc, const struct span *argv) {
    request_writer_begin(w, argc);
    for (size_t i = 0; i < argc; i++) request_writer_arg(w, argv[i]);
}

const struct iovec *request_writer_iov(struct request_writer *w, size_t *n) {
    writer_check(w->due == 0, "the last request has fewer arguments than announced");
    char *text = w->text;
    w->iov = mem_grow(w->iov, &w->iov_capacity, w->n_pieces, sizeof(*w->iov));
    for (size_t i = 0; i < w->n_pieces; i++) {
        const struct request_piece *piece = &w->pieces[i];
        w->iov[i] = (struct iovec){piece->ref ? (char *)piece->ref : text, piece->len};
        if (!piece->ref) text += piece->len;
    }
    *n = w->n_pieces;
    return w->iov;
}

void request_writer_clear(struct request_writer *w) {
    w->bytes = w->text_len = w->n_pieces = w->due = 0;
}

void request_writer_free(struct request_writer *w) {
    mem_free(w->text);
    mem_free(w->pieces);
    mem_free(w->iov);
    *w = (struct request_writer){0};
}
