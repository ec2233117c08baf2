/* The caller's part for a reply reader, for tests: bytes come in pieces of any size, and what the
 * reader makes of them goes into a transcript, so that two ways to feed the same bytes can be
 * compared, and one with what is expected.
 *
 * Direct memory has its exact size, so that a sanitizer sees a byte too many; requests of
 * `refuse_from` bytes and above are refused. A promise broken ends the process.
 *
 * In a transcript an item is its type byte and its value: `+OK`, `-ERR no`, `:5`, `,1.5`, `#1`,
 * `(12`, `_`, `*3`, `%2` (elements: a map of one pair), `~1`, `>2`, `|2`, `=[txt:x]` and `[bytes]`
 * for a bulk; `@` before the bracket says that it was read directly, `[~100]` that 100 bytes were
 * refused. A blank follows an item, `;` one that ends a reply, `>;` one that ends a push message;
 * `!` is an error. Elements are enclosed by nothing: their depth is checked, not written. */
#ifndef TQ_TESTS_SUPPORT_LISTEN_H
#define TQ_TESTS_SUPPORT_LISTEN_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/reply_reader.h"

#define LISTEN_CHECK(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct listen {
    struct reply_reader reader;
    struct reply_reader_limits limits; /* as they count: see reply_reader_limits */
    size_t refuse_from;
    char *direct; /* the memory that the reader has; NULL: none */
    size_t direct_len;
    bool was_refused;  /* the last bulk */
    uint64_t left[64]; /* elements still to come, by depth */
    bool about[64];    /* the aggregate of this depth is an attribute */
    size_t depth, replies, n_direct;
    bool broken;
    void (*seen)(void *context, const struct reply_item *item); /* each item; may be NULL */
    void *context;
    char *transcript; /* a C string */
    size_t len, size;
};

static void *listen_memory(void *context, size_t len) {
    struct listen *l = context;
    LISTEN_CHECK(!l->direct && len > 0 && len >= l->limits.direct_from);
    LISTEN_CHECK(len <= l->limits.max_bulk);
    l->was_refused = len >= l->refuse_from;
    if (l->was_refused) return NULL;
    l->direct = malloc(len);
    l->direct_len = len;
    l->n_direct++;
    return l->direct;
}

/* Not to be moved afterwards. */
static inline void listen_init(struct listen *l, const struct reply_reader_limits *limits,
                               size_t refuse_from) {
    *l = (struct listen){.limits = *limits, .refuse_from = refuse_from, .size = 256};
    l->transcript = calloc(1, l->size);
    reply_reader_init(&l->reader, limits, listen_memory, l);
    if (l->limits.buffer < REPLY_READER_MIN_BUFFER) l->limits.buffer = REPLY_READER_MIN_BUFFER;
    if (l->limits.direct_from > l->limits.buffer - 2) l->limits.direct_from = l->limits.buffer - 2;
}

static inline void listen_free(struct listen *l) {
    reply_reader_free(&l->reader);
    free(l->direct);
    free(l->transcript);
}

static inline void listen_write(struct listen *l, const char *bytes, size_t len) {
    if (l->size - l->len <= len) {
        l->size = (l->size + len) * 2;
        l->transcript = realloc(l->transcript, l->size);
    }
    memcpy(l->transcript + l->len, bytes, len);
    l->len += len;
    l->transcript[l->len] = '\0';
}

static inline void listen_print(struct listen *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void listen_print(struct listen *l, const char *format, ...) {
    char text[64];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    listen_write(l, text, (size_t)n);
}

static inline void listen_write_bytes(struct listen *l, struct span bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        bool plain = c >= ' ' && c < 0x7f && !strchr("[]\\@~;", c);
        listen_print(l, plain ? "%c" : "\\x%02x", c);
    }
}

/* A bulk: bytes are where they may be, and directly read if and only if they are long enough. */
static inline void listen_bulk(struct listen *l, const struct reply_item *item) {
    bool large = item->bytes.len >= l->limits.direct_from && item->bytes.len;
    LISTEN_CHECK(item->bytes.len <= l->limits.max_bulk);
    LISTEN_CHECK((item->is_direct || item->is_refused) == large);
    LISTEN_CHECK(item->is_refused == (large && l->was_refused));
    if (item->is_refused) {
        LISTEN_CHECK(!item->bytes.ptr);
        listen_print(l, "[~%zu]", item->bytes.len);
        return;
    }
    if (item->is_direct)
        LISTEN_CHECK(item->bytes.ptr == l->direct && item->bytes.len == l->direct_len);
    listen_print(l, item->is_direct ? "@[" : "[");
    listen_write_bytes(l, item->bytes);
    listen_print(l, "]");
}

static inline void listen_value(struct listen *l, const struct reply_item *item) {
    static const char types[] = "+-:,#(_\0=*%~>|"; /* by kind; of a bulk, none */
    if (item->kind != REPLY_ITEM_BULK) listen_write(l, &types[item->kind], 1);
    switch (item->kind) {
    case REPLY_ITEM_ERROR:
        if (item->is_direct || item->is_refused) {
            listen_bulk(l, item);
            break;
        }
        /* fall through */
    case REPLY_ITEM_STATUS:
    case REPLY_ITEM_BIG_NUMBER: listen_write_bytes(l, item->bytes); break;
    case REPLY_ITEM_INTEGER:
    case REPLY_ITEM_BOOLEAN: listen_print(l, "%" PRId64, item->integer); break;
    case REPLY_ITEM_DOUBLE: /* the sign of a nan says nothing */
        listen_print(l, "%.17g", isnan(item->number) ? fabs(item->number) : item->number);
        break;
    case REPLY_ITEM_NULL: break;
    case REPLY_ITEM_BULK:
    case REPLY_ITEM_VERBATIM: listen_bulk(l, item); break;
    default: listen_print(l, "%" PRIu64, item->count);
    }
}

/* Counts elements as well as the reader does: is the item at the depth where it must be, and does
 * it end the reply where it must? */
static inline void listen_check_place(struct listen *l, const struct reply_item *item) {
    bool is_aggregate = item->kind >= REPLY_ITEM_ARRAY;
    bool is_attribute = item->kind == REPLY_ITEM_ATTRIBUTE;
    bool is_open = is_aggregate && item->count > 0;
    LISTEN_CHECK(item->depth == l->depth && l->depth <= REPLY_READER_DEPTH);
    if (is_open) {
        LISTEN_CHECK(item->count <= REPLY_READER_MOST_ELEMENTS && !item->ends_reply);
        l->left[l->depth] = item->count;
        l->about[l->depth++] = is_attribute;
        return;
    }
    bool counts = !is_attribute;
    while (counts && l->depth && --l->left[l->depth - 1] == 0) counts = !l->about[--l->depth];
    LISTEN_CHECK(item->ends_reply == (counts && l->depth == 0));
}

static inline void listen_item(struct listen *l, const struct reply_item *item) {
    listen_check_place(l, item);
    listen_value(l, item);
    if (item->ends_reply) {
        listen_print(l, item->in_push ? ">;" : ";");
        l->replies += !item->in_push;
    } else {
        listen_print(l, " ");
    }
    if (l->seen) l->seen(l->context, item);
    if (item->is_direct) {
        free(l->direct);
        l->direct = NULL;
    }
}

static inline void listen_drain(struct listen *l) {
    struct reply_item item;
    struct error error;
    enum reply_reader_status status;
    while ((status = reply_reader_next(&l->reader, &item, &error)) == REPLY_READER_ITEM)
        listen_item(l, &item);
    if (status == REPLY_READER_MORE) return;
    LISTEN_CHECK(error.code == ERROR_ERR);
    listen_print(l, "!");
    listen_write(l, error.text, strlen(error.text));
    l->broken = true;
}

/* One read, or as many as the piece needs. */
static inline void listen_piece(struct listen *l, const char *bytes, size_t len) {
    while (len && !l->broken) {
        struct iovec iov[2];
        size_t n = reply_reader_room(&l->reader, iov), got = 0;
        LISTEN_CHECK(n == 1 || n == 2);
        for (size_t i = 0; i < n; i++) {
            size_t part = iov[i].iov_len < len - got ? iov[i].iov_len : len - got;
            if (part) memcpy(iov[i].iov_base, bytes + got, part);
            got += part;
        }
        LISTEN_CHECK(got > 0);
        reply_reader_received(&l->reader, got);
        listen_drain(l);
        bytes += got;
        len -= got;
    }
}

#endif
