/* See message.h. */
#include "benchmark/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis.h>

#include "base/mem.h"

static void add_piece(struct message *m, struct message_piece piece) {
    m->pieces = mem_grow(m->pieces, &m->pieces_capacity, m->n_pieces + 1, sizeof(*m->pieces));
    m->pieces[m->n_pieces++] = piece;
    m->bytes += piece.len;
}

void message_add(struct message *m, const void *bytes, size_t len) {
    if (!len) return;
    m->text = mem_grow(m->text, &m->text_capacity, m->text_len + len, 1);
    memcpy(m->text + m->text_len, bytes, len);
    struct message_piece *last = m->n_pieces ? &m->pieces[m->n_pieces - 1] : NULL;
    if (last && !last->lent) {
        last->len += len;
        m->bytes += len;
    } else {
        add_piece(m, (struct message_piece){NULL, m->text_len, len});
    }
    m->text_len += len;
}

void message_lend(struct message *m, const void *bytes, size_t len) {
    if (len) add_piece(m, (struct message_piece){bytes, 0, len});
}

static void add_header(struct message *m, char type, int64_t number) {
    char text[32];
    int len = snprintf(text, sizeof(text), "%c%" PRId64 "\r\n", type, number);
    message_add(m, text, (size_t)len);
}

void message_array(struct message *m, size_t n) {
    add_header(m, '*', (int64_t)n);
}

void message_integer(struct message *m, int64_t number) {
    add_header(m, ':', number);
}

void message_bulk(struct message *m, const void *bytes, size_t len) {
    add_header(m, '$', (int64_t)len);
    if (len >= MESSAGE_LEND)
        message_lend(m, bytes, len);
    else
        message_add(m, bytes, len);
    message_add(m, "\r\n", 2);
}

void message_word(struct message *m, const char *word) {
    message_bulk(m, word, strlen(word));
}

void message_number(struct message *m, uint64_t number) {
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    message_word(m, text);
}

size_t message_command(struct message *m, int argc, const char **argv, const size_t *lengths) {
    char *text = NULL;
    int len = redisFormatCommandArgv(&text, argc, argv, lengths);
    if (len < 0) abort(); /* hiredis fails here only where malloc does */
    message_add(m, text, (size_t)len);
    redisFreeCommand(text);
    return (size_t)len;
}

void message_seal(struct message *m) {
    m->iov = mem_alloc(m->n_pieces * sizeof(*m->iov));
    m->n_iov = m->n_pieces;
    for (size_t i = 0; i < m->n_pieces; i++) {
        const struct message_piece *p = &m->pieces[i];
        const char *from = p->lent ? p->lent : m->text + p->offset;
        m->iov[i] = (struct iovec){(char *)from, p->len};
    }
}

void message_flatten(const struct message *m, char *out) {
    for (size_t i = 0; i < m->n_iov; i++) {
        memcpy(out, m->iov[i].iov_base, m->iov[i].iov_len);
        out += m->iov[i].iov_len;
    }
}

void message_free(struct message *m) {
    mem_free(m->text);
    mem_free(m->pieces);
    mem_free(m->iov);
    *m = (struct message){0};
}
