/* RESP requests, parsed as they arrive.
 *
 * A request is an array of bulk strings, or an inline line as a person types it. Input comes in
 * pieces that end anywhere, so the parser keeps its place: payload is never looked at twice, and
 * of what it does look at only a header line cut in the middle (at most 22 bytes) is read again.
 *
 * The caller owns the input: one contiguous run that begins with the first byte of the request
 * being parsed. Arguments are spans into that run, offsets inside until the request is whole, so
 * the run may move between calls. The exception is what makes tq fast: a bulk of at least
 * `direct_from` bytes does not pass through the run. As soon as its length is known the parser asks
 * the caller for memory of that size (a chunk that may later become a column) and the bytes are
 * read from the socket straight into it; only what came along in the read that held its header is
 * copied.
 *
 * What is accepted is what Redis accepts, with two things that it leaves to luck made strict: CR
 * is followed by LF, and a bulk is as long as it said. The outcome depends on the bytes alone,
 * never on where the pieces end.
 *
 * Independent of the store: the memory of a direct read is an opaque pointer here. */
#ifndef TQ_WIRE_RESP_H
#define TQ_WIRE_RESP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/span.h"

struct resp_limits {
    size_t max_args;   /* arguments of one request */
    size_t max_bulk;   /* bytes of one bulk */
    size_t max_inline; /* bytes of an inline request, its line end not counted */
    size_t max_total;  /* bytes of all bulks of one request together */
    size_t direct_from; /* a bulk from this size up (and not empty) is read directly */
};

/* Memory that large bulks are read into directly. */
struct resp_allocator {
    void *context;
    /* Memory for `len` bytes at *memory; returns its handle, or NULL where there is none: then the
     * bulk is read and thrown away, and its argument is marked as refused. */
    void *(*allocate)(void *context, size_t len, void **memory);
    /* Memory that the caller did not take over. */
    void (*release)(void *context, void *direct);
};

struct resp_arg {
    struct span bytes; /* {NULL, len} when refused */
    /* handle of its memory if it was read directly, else NULL. A caller that takes it over sets
     * this to NULL; what is left is released by resp_next or resp_free */
    void *direct;
    bool refused;
};

enum resp_status {
    RESP_COMMAND, /* argc, argv are a whole request (argc may be 0: an empty line or array) */
    RESP_MORE,    /* more input is needed */
    RESP_BROKEN,  /* not RESP, or beyond a limit: `error` says why; the connection is lost */
};

struct resp_parser {
    /* Read by the caller after RESP_COMMAND; valid until resp_next. */
    size_t argc;
    struct resp_arg *argv; /* NULL as long as there never was an argument */
    size_t used;           /* bytes of the run that the request took */
    bool refused;          /* some argument was; after resp_shed argc is 0 */
    bool is_inline;        /* the request is a line of text */

    /* The parser's own. */
    const struct resp_limits *limits;
    const struct resp_allocator *allocator;
    size_t capacity; /* of argv */
    size_t position; /* first byte of the run not looked at yet */
    size_t expected; /* arguments that the header announced */
    size_t total;    /* bytes of the bulks so far, announced ones included */
    size_t held;     /* bytes of the direct reads of this request */
    size_t bulk;     /* length of the bulk being read */
    size_t direct_arrived; /* bytes of the direct read in progress that have arrived */
    char *direct_memory;
    int state;
    bool shedding; /* resp_shed was called for this request */
};

/* `limits` and `allocator` are borrowed for the parser's life. Limits may change between
 * requests. */
void resp_init(struct resp_parser *p, const struct resp_limits *limits,
               const struct resp_allocator *allocator);

/* Releases memory of direct reads that nobody took over, also of a request that is not whole. */
void resp_free(struct resp_parser *p);

/* Look at the run again after bytes were added at its end or to the memory of the direct read. The
 * run must be memory that may be written: quoted inline arguments are decoded where they stand.
 * After RESP_BROKEN only resp_free is allowed. */
enum resp_status resp_parse(struct resp_parser *p, struct span run, struct error *error);

/* After RESP_COMMAND: done with this request, releases memory of direct reads that nobody took
 * over. The next run begins `used` bytes further on (`used` stays as it is). */
void resp_next(struct resp_parser *p);

/* How many bytes the direct read in progress still needs; 0 when there is none. *memory is where
 * they go, NULL when they are to be thrown away. The caller reads there and says how many came, at
 * most that many. One readv may fill that memory and go on at the end of the run: call
 * resp_direct_arrived first, then parse the longer run. */
size_t resp_direct_read(const struct resp_parser *p, void **memory);
void resp_direct_arrived(struct resp_parser *p, size_t bytes);

/* Memory is short: what the request in progress holds is released, and what is still to come of it
 * is read and thrown away, also what the run has of it: parse the run again. It ends as a whole
 * request that is refused, without arguments. False where nothing of the request is parsed, it is
 * inline, or shed already: then what it holds is in the run. */
bool resp_shed(struct resp_parser *p);
bool resp_is_shed(const struct resp_parser *p);

/* After RESP_MORE for a request that is shed: how many bytes of the run's beginning are needed no
 * more. The next run begins behind them. */
size_t resp_forget(struct resp_parser *p);

/* Bytes of the request in progress held outside the run (direct reads as far as they have arrived,
 * and a large argv): for the query buffer's limit. */
size_t resp_held(const struct resp_parser *p);

/* Bytes that memory was taken for and that have not arrived. */
size_t resp_outstanding(const struct resp_parser *p);

/* How many bytes the bulk in progress needs behind a run of `len` bytes, its CRLF included; 0 where
 * its length is not known yet, or it is read directly. */
size_t resp_missing(const struct resp_parser *p, size_t len);

/* True if part of a request was parsed, also where nothing of it is kept (it is shed, or memory for
 * a direct read was refused). A header that is not whole lies in the run alone and is not seen
 * here. */
bool resp_is_half(const struct resp_parser *p);

#endif
