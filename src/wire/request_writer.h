/* RESP requests, written for a socket.
 *
 * Requests are appended one after the other, as arrays of bulks. Headers and small arguments are
 * copied into one run of text; a large argument can be taken by reference, so that a request of
 * 300 MB is some KiB of text around memory that stays where it is. The result is a list of iovecs,
 * which can be sent any number of times. */
#ifndef TQ_WIRE_REQUEST_WRITER_H
#define TQ_WIRE_REQUEST_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"

enum {
    /* Shorter arguments are copied also where they may be taken by reference: an iovec of its own
     * costs the kernel as much as copying this many bytes. As REPLY_REF_FROM. */
    REQUEST_REF_FROM = 2048
};

struct request_piece {
    const char *ref; /* NULL: the next `len` bytes of the text */
    size_t len;
};

/* A zeroed writer is empty. */
struct request_writer {
    size_t bytes; /* of all that was written: what goes over the wire */

    /* The writer's own. */
    char *text;
    size_t text_len, text_capacity;
    struct request_piece *pieces;
    size_t n_pieces, pieces_capacity;
    struct iovec *iov;
    size_t iov_capacity;
    size_t due; /* arguments of the last request that are still to come */
};

/* Begin a request of exactly `argc` arguments, the command's name included. Each of the functions
 * below adds one. Another number of them is a bug and ends the process. */
void request_writer_begin(struct request_writer *w, size_t argc);
void request_writer_arg(struct request_writer *w, struct span bytes); /* copied */
void request_writer_word(struct request_writer *w, const char *word);
void request_writer_number(struct request_writer *w, int64_t number);

/* By reference from REQUEST_REF_FROM bytes up: such bytes stay the caller's, and must neither move
 * nor change as long as the writer's iovecs are used. */
void request_writer_ref(struct request_writer *w, struct span bytes);

/* A whole request, its arguments copied. */
void request_writer_argv(struct request_writer *w, size_t argc, const struct span *argv);

/* What to send; valid until the next change of the writer. *n is 0 where nothing was written. */
const struct iovec *request_writer_iov(struct request_writer *w, size_t *n);

void request_writer_clear(struct request_writer *w); /* empty again; its memory is kept */
void request_writer_free(struct request_writer *w);

#endif
