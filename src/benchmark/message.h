/* One command or one reply, ready to be sent: small headers of its own, payload lent.
 *
 * A batch of 300 MB is described in a few KiB of headers around the columns, which stay where they
 * are, so that sending copies nothing in this process and thousands of messages may share one
 * payload. Built once, sent many times. */
#ifndef TQ_BENCHMARK_MESSAGE_H
#define TQ_BENCHMARK_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"

enum { MESSAGE_LEND = 4096 }; /* shorter values are copied into the headers */

struct message_piece {
    const char *lent; /* NULL: in the headers, at `offset` */
    size_t offset, len;
};

struct message {
    char *text; /* the headers; owned */
    size_t text_len, text_capacity;
    struct message_piece *pieces;
    size_t n_pieces, pieces_capacity;
    struct iovec *iov; /* what message_seal made of the pieces */
    size_t n_iov;
    size_t bytes; /* of all pieces */
};

/* Append bytes, copied. */
void message_add(struct message *m, const void *bytes, size_t len);

/* Append bytes that stay the caller's and must outlive the message. */
void message_lend(struct message *m, const void *bytes, size_t len);

/* Append RESP: `*n`, `$len …` (lent from MESSAGE_LEND bytes up), a bulk of a C string, a number
 * as a bulk, `:n`. */
void message_array(struct message *m, size_t n);
void message_bulk(struct message *m, const void *bytes, size_t len);
void message_word(struct message *m, const char *word);
void message_number(struct message *m, uint64_t number);
void message_integer(struct message *m, int64_t number);

/* Append a whole command as hiredis writes it; returns its length. */
size_t message_command(struct message *m, int argc, const char **argv, const size_t *lengths);

/* Nothing is appended from here on; iov and n_iov are what to send. */
void message_seal(struct message *m);

/* Write all of a sealed message out in one run, m->bytes of it. */
void message_flatten(const struct message *m, char *out);

void message_free(struct message *m);

#endif
