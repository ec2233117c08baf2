/* The server's part for a RESP parser, for tests: bytes come in pieces of any size, and what the
 * parser makes of them goes into a transcript, so that two ways to feed the same bytes can be
 * compared, and one with what is expected.
 *
 * It is as unkind as a server may be. The run lives in an allocation of its exact size that moves
 * whenever something is added, so that a sanitizer sees a span that still points at the old place
 * or a read past the end. Landings are counted, some are refused, every second one is taken over
 * from the parser. A promise broken ends the process.
 *
 * In a transcript a request is `[GET][key];`, with \xNN for what is not printable. `@` opens an
 * argument that was read directly, `[~100]` is one of 100 bytes that was refused; `!` is an
 * error. */
#ifndef TQ_TESTS_SUPPORT_FEED_H
#define TQ_TESTS_SUPPORT_FEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/resp.h"

#define FEED_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct feed {
    struct resp_limits limits;
    size_t refuse_from; /* direct reads of this size and above are refused */
    struct resp_allocator allocator;
    struct resp_parser parser;
    char *run;
    size_t run_len;
    size_t live;     /* memory not released */
    size_t n_direct; /* direct reads ever begun */
    bool array; /* the request that is parsed is an array, not a line (it may unquote to a '*') */
    bool broken;
    void (*seen)(const struct resp_parser *p); /* each request; may be NULL */
    char *transcript;                          /* a C string */
    size_t transcript_len, transcript_size;
};

struct feed_direct {
    size_t len;
    bool live;
    char bytes[];
};

static void *feed_allocate(void *context, size_t len, void **memory) {
    struct feed *f = context;
    FEED_CHECK(len > 0 && len >= f->limits.direct_from && len <= f->limits.max_bulk);
    if (len >= f->refuse_from) return NULL;
    struct feed_direct *direct = malloc(sizeof(*direct) + len);
    *direct = (struct feed_direct){.len = len, .live = true};
    *memory = direct->bytes;
    f->live++;
    f->n_direct++;
    return direct;
}

static void feed_release(void *context, void *handle) {
    struct feed *f = context;
    struct feed_direct *direct = handle;
    FEED_CHECK(direct->live && f->live > 0);
    direct->live = false;
    f->live--;
    free(direct);
}

/* Not to be moved afterwards. Memory is refused from `refuse_from` bytes up. */
static inline void feed_init(struct feed *f, const struct resp_limits *limits, size_t refuse_from) {
    *f = (struct feed){.limits = *limits, .refuse_from = refuse_from};
    f->allocator = (struct resp_allocator){f, feed_allocate, feed_release};
    f->transcript_size = 256;
    f->transcript = calloc(1, f->transcript_size);
    resp_init(&f->parser, &f->limits, &f->allocator);
}

/* The connection ends, wherever it is. */
static inline void feed_free(struct feed *f) {
    resp_free(&f->parser);
    FEED_CHECK(f->live == 0);
    free(f->run);
    free(f->transcript);
}

static inline void feed_write(struct feed *f, const char *bytes, size_t len) {
    if (f->transcript_size - f->transcript_len <= len) {
        f->transcript_size = (f->transcript_size + len) * 2;
        f->transcript = realloc(f->transcript, f->transcript_size);
    }
    memcpy(f->transcript + f->transcript_len, bytes, len);
    f->transcript_len += len;
    f->transcript[f->transcript_len] = '\0';
}

static inline void feed_write_bytes(struct feed *f, struct span bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        char text[8];
        bool plain = c > ' ' && c < 0x7f && !strchr("[]\\@~", c);
        int n = snprintf(text, sizeof(text), plain ? "%c" : "\\x%02x", c);
        feed_write(f, text, (size_t)n);
    }
}

static inline void feed_write_arg(struct feed *f, const struct resp_arg *arg) {
    char text[32];
    if (arg->refused) {
        int n = snprintf(text, sizeof(text), "[~%zu]", arg->bytes.len);
        feed_write(f, text, (size_t)n);
        return;
    }
    feed_write(f, arg->direct ? "[@" : "[", arg->direct ? 2 : 1);
    feed_write_bytes(f, arg->bytes);
    feed_write(f, "]", 1);
}

/* Is the argument where it may be? */
static inline void feed_check_arg(const struct feed *f, const struct resp_arg *arg) {
    if (arg->refused) {
        FEED_CHECK(!arg->bytes.ptr && !arg->direct && arg->bytes.len >= f->refuse_from);
    } else if (arg->direct) {
        const struct feed_direct *direct = arg->direct;
        FEED_CHECK(direct->live && direct->len == arg->bytes.len);
        FEED_CHECK(arg->bytes.ptr == direct->bytes);
    } else {
        size_t at = (size_t)(arg->bytes.ptr - f->run);
        FEED_CHECK(at <= f->parser.used && arg->bytes.len <= f->parser.used - at);
        FEED_CHECK(arg->bytes.len < f->limits.direct_from || !f->array || !arg->bytes.len);
    }
}

static inline void feed_request(struct feed *f) {
    struct resp_parser *p = &f->parser;
    bool refused = false;
    FEED_CHECK(p->used > 0 && p->used <= f->run_len && p->argc <= f->limits.max_args);
    for (size_t i = 0; i < p->argc; i++) {
        struct resp_arg *arg = &p->argv[i];
        feed_check_arg(f, arg);
        feed_write_arg(f, arg);
        refused |= arg->refused;
    }
    FEED_CHECK(p->refused == refused);
    if (f->seen) f->seen(p);
    for (size_t i = 1; i < p->argc; i += 2) { /* taken over */
        if (p->argv[i].direct) feed_release(f, p->argv[i].direct);
        p->argv[i].direct = NULL;
    }
    feed_write(f, ";", 1);
    size_t used = p->used;
    resp_next(p);
    FEED_CHECK(f->live == 0 && p->used == used);
}

/* The run, moved: `skip` bytes less at its front, `len` more at its end. */
static inline void feed_move(struct feed *f, size_t skip, const char *bytes, size_t len) {
    size_t keep = f->run_len - skip;
    char *run = malloc(keep + len);
    FEED_CHECK(run || keep + len == 0);
    if (keep) memcpy(run, f->run + skip, keep);
    if (len) memcpy(run + keep, bytes, len);
    free(f->run);
    f->run = run;
    f->run_len = keep + len;
}

static inline enum resp_status feed_parse(struct feed *f, struct error *error) {
    f->array = f->run_len && *f->run == '*';
    return resp_parse(&f->parser, span_of(f->run, f->run_len), error);
}

/* One read: first into the memory of the direct read, where there is one, then behind the run. */
static inline void feed_piece(struct feed *f, const char *bytes, size_t len) {
    if (f->broken) return;
    void *memory = NULL;
    size_t n = resp_direct_read(&f->parser, &memory);
    if (n) {
        FEED_CHECK(resp_outstanding(&f->parser) == (memory ? n : 0));
        if (n > len) n = len;
        if (memory) memcpy(memory, bytes, n);
        resp_direct_arrived(&f->parser, n);
    }
    feed_move(f, 0, bytes + n, len - n);

    struct error error;
    enum resp_status status;
    while ((status = feed_parse(f, &error)) == RESP_COMMAND) {
        feed_request(f);
        feed_move(f, f->parser.used, NULL, 0);
    }
    if (status == RESP_MORE) return;
    FEED_CHECK(error.code == ERROR_ERR);
    feed_write(f, "!", 1);
    feed_write(f, error.text, strlen(error.text));
    f->broken = true;
}

#endif
