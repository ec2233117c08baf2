/* The reader for column replies: see inlet.h.
 *
 * RESP2 as a walk over a tree whose shape is not known beforehand: a stack of how many elements
 * are still to come at each depth. While a bulk is on its way, one readv fills its place in the
 * memory first and what follows it into the small buffer, so that a column of 30 MB costs a
 * handful of system calls and no copy. */
#include "benchmark/inlet.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/number.h"

enum { HEAD_BYTES = 16384, DEPTH_MAX = 8, LINE_MAX_BYTES = 1024 };

struct place {
    size_t offset, len;
};

struct landing {
    struct inlet inlet;
    struct memory memory;
    struct place *places;
    size_t n_places, last_places, places_max;
    size_t used;              /* of the memory, by the reply on its way */
    uint64_t left[DEPTH_MAX]; /* elements still to come, by depth */
    size_t depth;
    size_t bulk_left; /* payload of the bulk on its way that is still to come */
    size_t skip;      /* of the CR LF behind it */
    char head[HEAD_BYTES];
    size_t head_start, head_end;
};

static int protocol_error(struct error *e, struct span line) {
    return error_set(e, ERROR_ERR, "a reply that is not RESP: %s", QUOTE(line));
}

/* An element is complete, and with it perhaps the arrays that it ends. */
static void element_over(struct landing *l) {
    while (l->depth) {
        if (--l->left[l->depth - 1]) return;
        l->depth--;
    }
    l->inlet.replies++;
    l->last_places = l->n_places;
    l->n_places = 0;
    l->used = 0;
}

static int begin_bulk(struct landing *l, int64_t len, struct error *e) {
    if (l->n_places == l->places_max)
        return error_set(e, ERROR_ERR, "a reply of more than the %zu values expected",
                         l->places_max);
    if (len >= 0 && (uint64_t)len > l->memory.size - l->used)
        return error_set(e, ERROR_ERR, "a reply of more than the %zu bytes expected",
                         l->memory.size);
    size_t bytes = len < 0 ? 0 : (size_t)len;
    l->places[l->n_places++] = (struct place){l->used, bytes};
    if (len < 0) {
        l->inlet.nils++;
        element_over(l);
        return 0;
    }
    l->inlet.values++;
    l->inlet.value_bytes += bytes;
    l->bulk_left = bytes;
    l->skip = 2;
    return 0;
}

static int begin_array(struct landing *l, int64_t n, struct error *e) {
    if (n <= 0) {
        if (n < 0) l->inlet.nils++;
        element_over(l);
        return 0;
    }
    if (l->depth == DEPTH_MAX)
        return error_set(e, ERROR_ERR, "a reply nested deeper than %d", DEPTH_MAX);
    l->left[l->depth++] = (uint64_t)n;
    return 0;
}

static int take_line(struct landing *l, struct span line, struct error *e) {
    struct span rest = span_of(line.ptr + 1, line.len ? line.len - 1 : 0);
    int64_t number = 0;
    if (!line.len) return protocol_error(e, line);
    if (line.ptr[0] == '-') return error_set(e, ERROR_ERR, "%.*s", SPAN_ARG(rest));
    if (line.ptr[0] == '+') {
        element_over(l);
        return 0;
    }
    if (!strchr(":$*", line.ptr[0]) || !number_parse_i64(rest, &number))
        return protocol_error(e, line);
    if (line.ptr[0] == '$') return begin_bulk(l, number, e);
    if (line.ptr[0] == '*') return begin_array(l, number, e);
    l->inlet.sum += number;
    l->inlet.last = number;
    element_over(l);
    return 0;
}

/* Payload that came along in the small buffer, and the line end behind it. */
static bool take_bulk(struct landing *l) {
    size_t held = l->head_end - l->head_start;
    size_t part = held < l->bulk_left ? held : l->bulk_left;
    struct place *place = &l->places[l->n_places - 1];
    memcpy(l->memory.bytes + l->used + place->len - l->bulk_left, l->head + l->head_start, part);
    l->head_start += part;
    l->bulk_left -= part;
    held -= part;
    part = held < l->skip ? held : l->skip;
    l->head_start += part;
    l->skip -= part;
    if (l->bulk_left || l->skip) return false;
    l->used += place->len;
    element_over(l);
    return true;
}

static int take_head(struct landing *l, struct error *e) {
    for (;;) {
        if (l->bulk_left || l->skip) {
            if (!take_bulk(l)) break;
            continue;
        }
        const char *start = l->head + l->head_start;
        size_t held = l->head_end - l->head_start;
        const char *end = memchr(start, '\n', held);
        if (!end) {
            if (held > LINE_MAX_BYTES) return protocol_error(e, span_of(start, held));
            break;
        }
        size_t len = (size_t)(end - start);
        l->head_start += len + 1;
        if (!len || end[-1] != '\r') return protocol_error(e, span_of(start, len));
        int code = take_line(l, span_of(start, len - 1), e);
        if (code) return code;
    }
    size_t held = l->head_end - l->head_start;
    memmove(l->head, l->head + l->head_start, held);
    l->head_start = 0;
    l->head_end = held;
    return 0;
}

static int landing_fill(struct inlet *in, int fd, struct error *e) {
    struct landing *l = (struct landing *)in;
    struct iovec iov[2];
    int n = 0;
    size_t landing = l->bulk_left;
    if (landing) {
        size_t arrived = l->places[l->n_places - 1].len - landing;
        iov[n++] = (struct iovec){l->memory.bytes + l->used + arrived, landing};
    }
    iov[n++] = (struct iovec){l->head + l->head_end, HEAD_BYTES - l->head_end};
    ssize_t got = readv(fd, iov, n);
    if (got == 0) return error_set(e, ERROR_ERR, "the server closed the connection");
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return 0;
        return error_set(e, ERROR_ERR, "can't read from the server: %s", strerror(errno));
    }
    size_t part = (size_t)got < landing ? (size_t)got : landing;
    l->bulk_left -= part;
    l->head_end += (size_t)got - part;
    return take_head(l, e);
}

static void landing_free(struct inlet *in) {
    struct landing *l = (struct landing *)in;
    memory_unmap(&l->memory);
    mem_free(l->places);
    mem_free(l);
}

struct inlet *landing_new(size_t capacity, size_t values, struct error *e) {
    static const struct inlet_class class = {landing_fill, landing_free};
    struct landing *l = mem_calloc(1, sizeof(*l));
    l->inlet.class = &class;
    if (memory_map(&l->memory, capacity, true, e)) {
        mem_free(l);
        return NULL;
    }
    l->places_max = values;
    l->places = mem_calloc(values, sizeof(*l->places));
    return &l->inlet;
}

struct span landing_value(const struct inlet *in, size_t i) {
    const struct landing *l = (const struct landing *)in;
    if (i >= l->last_places) return span_of("", 0);
    return span_of(l->memory.bytes + l->places[i].offset, l->places[i].len);
}

size_t landing_values(const struct inlet *in) {
    return ((const struct landing *)in)->last_places;
}
