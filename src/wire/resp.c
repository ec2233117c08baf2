/* See resp.h. The common case, a whole request of small bulks in one piece, runs through one loop
 * without leaving it; everything that can interrupt it (a bulk not yet there, a direct read) is a
 * state that the loop is entered with again. */
#include "wire/resp.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "wire/inline.h"

enum {
    RESP_ARGS_KEPT = 128,   /* argv that an idle connection may hold: 4 KiB */
    RESP_BYTES_AN_ARG = 16, /* on the wire, a guess: how far argv grows ahead of the arguments */
    RESP_DIGITS = 18        /* more than any limit needs, and no sum of them overflows 64 bits */
};

enum resp_state {
    RESP_START,      /* nothing of the request seen */
    RESP_LINE,       /* in an inline request */
    RESP_HEADER,     /* at a bulk's header */
    RESP_BULK,       /* at a bulk's bytes, in the run */
    RESP_DIRECT,     /* in the bytes of a direct read; its argument is the last of argv */
    RESP_DIRECT_END, /* behind them, at CRLF */
};

/* The run while it is looked at. */
struct resp_input {
    char *base, *at, *end;
};

/* Steps return RESP_COMMAND when they did what they were to do, so that the request goes on. */
#define RESP_DONE RESP_COMMAND

void resp_init(struct resp_parser *p, const struct resp_limits *limits,
               const struct resp_allocator *allocator) {
    *p = (struct resp_parser){.limits = limits, .allocator = allocator, .state = RESP_START};
}

static void resp_release(struct resp_parser *p) {
    for (size_t i = 0; i < p->argc; i++)
        if (p->argv[i].direct) p->allocator->release(p->allocator->context, p->argv[i].direct);
    p->held = 0;
}

void resp_free(struct resp_parser *p) {
    resp_release(p);
    mem_free(p->argv);
    *p = (struct resp_parser){.limits = p->limits, .allocator = p->allocator, .state = RESP_START};
}

void resp_next(struct resp_parser *p) {
    if (p->held) resp_release(p);
    if (p->capacity > RESP_ARGS_KEPT) {
        mem_free(p->argv);
        p->argv = NULL;
        p->capacity = 0;
    }
    p->argc = 0;
    p->position = 0;
    p->total = 0;
    p->refused = p->is_inline = p->shedding = false;
    p->state = RESP_START;
}

bool resp_shed(struct resp_parser *p) {
    if (p->state == RESP_START || p->state == RESP_LINE || p->shedding) return false;
    bool is_direct = p->state == RESP_DIRECT || p->state == RESP_DIRECT_END;
    resp_release(p);
    mem_free(p->argv);
    p->argv = NULL;
    p->capacity = 0;
    p->expected -= p->argc; /* of those left, each is taken off when it has come */
    p->expected += is_direct; /* the one that is read directly is counted already */
    p->argc = 0;
    p->direct_memory = NULL;
    p->shedding = p->refused = true;
    if (p->state == RESP_BULK) {
        p->direct_arrived = 0;
        p->state = RESP_DIRECT;
    }
    return true;
}

bool resp_is_shed(const struct resp_parser *p) {
    return p->shedding;
}

size_t resp_forget(struct resp_parser *p) {
    size_t bytes = p->shedding ? p->position : 0;
    p->position -= bytes;
    return bytes;
}

static size_t resp_minimum(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Room for one more argument, and for those that the rest of the run may hold, so that a large
 * request that is there is made room for once. A header alone makes room for nothing. */
static struct resp_arg *resp_add(struct resp_parser *p, const struct resp_input *in) {
    if (p->argc == p->capacity) {
        size_t near = 1 + (size_t)(in->end - in->at) / RESP_BYTES_AN_ARG;
        size_t need = p->argc + near;
        if (need > p->expected && p->expected > p->argc) need = p->expected;
        p->argv = mem_grow(p->argv, &p->capacity, need, sizeof(*p->argv));
    }
    return &p->argv[p->argc++];
}

/* A number and CRLF, from behind the type byte, with all that is not one known by its first wrong
 * byte. Leaves the input behind it when it is whole, else where it was. */
static enum resp_status resp_number(struct resp_input *in, int64_t *value) {
    const char *at = in->at + 1, *end = in->end;
    bool negative = at < end && *at == '-';
    const char *digits = at += negative;
    int64_t sum = 0;
    for (; at < end && (unsigned char)(*at - '0') <= 9; at++) {
        if (at - digits == RESP_DIGITS || (at > digits && sum == 0)) return RESP_BROKEN;
        sum = sum * 10 + (*at - '0');
    }
    if (at == end) return RESP_MORE;
    if (*at != '\r' || at == digits || (negative && sum == 0)) return RESP_BROKEN;
    if (++at == end) return RESP_MORE;
    if (*at != '\n') return RESP_BROKEN;
    *value = negative ? -sum : sum;
    in->at += at + 1 - in->at;
    return RESP_DONE;
}

static enum resp_status resp_array_header(struct resp_parser *p, struct resp_input *in,
                                          struct error *error) {
    int64_t count;
    enum resp_status status = resp_number(in, &count);
    if (status == RESP_BROKEN)
        error_set(error, ERROR_ERR, "Protocol error: invalid multibulk length");
    if (status != RESP_DONE) return status;
    if (count > 0 && (uint64_t)count > p->limits->max_args) {
        error_set(error, ERROR_ERR,
                  "Protocol error: invalid multibulk length: %" PRId64
                  " arguments, a request has at most %zu",
                  count, p->limits->max_args);
        return RESP_BROKEN;
    }
    p->expected = count > 0 ? (size_t)count : 0;
    p->state = RESP_HEADER;
    return RESP_DONE;
}

/* A bulk whose bytes do not pass through the run. */
static void resp_begin_direct(struct resp_parser *p, const struct resp_input *in) {
    void *memory = NULL;
    if (p->shedding) {
        p->direct_memory = NULL;
        p->direct_arrived = 0;
        p->state = RESP_DIRECT;
        return;
    }
    void *direct = p->allocator->allocate(p->allocator->context, p->bulk, &memory);
    struct resp_arg *arg = resp_add(p, in);
    if (!direct) memory = NULL;
    *arg = (struct resp_arg){{memory, p->bulk}, direct, !direct};
    if (direct)
        p->held += p->bulk;
    else
        p->refused = true;
    p->direct_memory = memory;
    p->direct_arrived = 0;
    p->state = RESP_DIRECT;
}

static enum resp_status resp_bulk_beyond(const struct resp_parser *p, int64_t length,
                                         struct error *error) {
    if (length < 0)
        error_set(error, ERROR_ERR, "Protocol error: invalid bulk length");
    else if ((uint64_t)length > p->limits->max_bulk)
        error_set(error, ERROR_ERR,
                  "Protocol error: invalid bulk length: %" PRId64 " bytes, a bulk has at most %zu",
                  length, p->limits->max_bulk);
    else
        error_set(error, ERROR_ERR,
                  "Protocol error: request too large: its arguments hold at most %zu bytes in all",
                  p->limits->max_total);
    return RESP_BROKEN;
}

static enum resp_status resp_bulk_header(struct resp_parser *p, struct resp_input *in,
                                         struct error *error) {
    if (in->at == in->end) return RESP_MORE;
    if (*in->at != '$') {
        error_set(error, ERROR_ERR, "Protocol error: expected '$', got %s",
                  QUOTE(span_of(in->at, 1)));
        return RESP_BROKEN;
    }
    int64_t length;
    enum resp_status status = resp_number(in, &length);
    if (status == RESP_BROKEN) return resp_bulk_beyond(p, -1, error);
    if (status != RESP_DONE) return status;
    if (length < 0 || (uint64_t)length > p->limits->max_bulk ||
        (uint64_t)length > p->limits->max_total - p->total)
        return resp_bulk_beyond(p, length, error);
    p->bulk = (size_t)length;
    p->total += p->bulk;
    if ((p->bulk >= p->limits->direct_from || p->shedding) && p->bulk > 0)
        resp_begin_direct(p, in);
    else
        p->state = RESP_BULK;
    return RESP_DONE;
}

/* The CRLF that ends a bulk, `at` bytes from here. */
static enum resp_status resp_bulk_end(struct resp_parser *p, struct resp_input *in, size_t at,
                                      struct error *error) {
    if (in->at[at] != '\r' || in->at[at + 1] != '\n') {
        error_set(error, ERROR_ERR,
                  "Protocol error: expected CRLF after a bulk of %zu bytes, got %s", p->bulk,
                  QUOTE(span_of(in->at + at, 2)));
        return RESP_BROKEN;
    }
    in->at += at + 2;
    p->state = RESP_HEADER;
    p->expected -= p->shedding;
    return RESP_DONE;
}

static enum resp_status resp_bulk(struct resp_parser *p, struct resp_input *in,
                                  struct error *error) {
    size_t there = (size_t)(in->end - in->at);
    if (there < 2 || there - 2 < p->bulk) return RESP_MORE;
    if (!p->shedding) *resp_add(p, in) = (struct resp_arg){{in->at, p->bulk}, NULL, false};
    return resp_bulk_end(p, in, p->bulk, error);
}

/* What came along in the run moves to the memory of the direct read. */
static enum resp_status resp_fill(struct resp_parser *p, struct resp_input *in) {
    size_t n = resp_minimum((size_t)(in->end - in->at), p->bulk - p->direct_arrived);
    if (p->direct_memory) memcpy(p->direct_memory + p->direct_arrived, in->at, n);
    p->direct_arrived += n;
    in->at += n;
    if (p->direct_arrived < p->bulk) return RESP_MORE;
    p->state = RESP_DIRECT_END;
    return RESP_DONE;
}

static enum resp_status resp_step(struct resp_parser *p, struct resp_input *in,
                                  struct error *error) {
    switch (p->state) {
    case RESP_HEADER: return resp_bulk_header(p, in, error);
    case RESP_BULK: return resp_bulk(p, in, error);
    case RESP_DIRECT: return resp_fill(p, in);
    default:
        if (in->end - in->at < 2) return RESP_MORE;
        return resp_bulk_end(p, in, 0, error);
    }
}

static enum resp_status resp_inline(struct resp_parser *p, struct resp_input *in,
                                    struct error *error) {
    size_t limit = p->limits->max_inline, seen = (size_t)(in->at - in->base);
    size_t length = (size_t)(in->end - in->base);
    /* A line of the longest length allowed has its line end right behind. */
    size_t look = length > limit && length - limit > 2 ? limit + 2 : length;
    char *newline = look > seen ? memchr(in->at, '\n', look - seen) : NULL;
    char *end = newline;
    if (newline && newline > in->base && newline[-1] == '\r') end--;
    if (newline ? (size_t)(end - in->base) > limit : look > limit && look - limit > 1) {
        error_set(error, ERROR_ERR, "Protocol error: too big inline request: at most %zu bytes",
                  limit);
        return RESP_BROKEN;
    }
    in->at = newline ? newline + 1 : in->end;
    if (!newline) return RESP_MORE;

    struct inline_line line = {.at = in->base, .end = end};
    struct span bytes;
    p->expected = 0;
    while (inline_next(&line, &bytes)) {
        if (p->argc == p->limits->max_args) {
            error_set(error, ERROR_ERR, "Protocol error: more than %zu arguments",
                      p->limits->max_args);
            return RESP_BROKEN;
        }
        *resp_add(p, in) = (struct resp_arg){bytes, NULL, false};
    }
    if (!line.unbalanced) return RESP_DONE;
    error_set(error, ERROR_ERR, "Protocol error: unbalanced quotes in request");
    return RESP_BROKEN;
}

static bool resp_is_crlf(const char *at) {
    return memcmp(at, "\r\n", 2) == 0;
}

/* The short cut that makes small commands fast: bulks of up to four digits that are wholly there
 * and within limits, as many as argv has room for. Stops before the first that is anything else;
 * the steps above see that one from its first byte. */
static void resp_small_bulks(struct resp_parser *p, struct resp_input *in) {
    const struct resp_limits *limits = p->limits;
    size_t below = resp_minimum(limits->direct_from, limits->max_bulk);
    size_t left = limits->max_total - p->total;
    struct resp_arg *arg = p->argv + p->argc;
    struct resp_arg *stop = p->argv + resp_minimum(p->expected, p->capacity);
    char *at = in->at, *end = in->end;
    for (; arg < stop && end - at >= 8 && *at == '$'; arg++) {
        char *digit = at + 1;
        size_t length = 0;
        while (digit < at + 5 && (unsigned char)(*digit - '0') <= 9)
            length = length * 10 + (size_t)(*digit++ - '0');
        if (digit == at + 1 || (at[1] == '0' && digit > at + 2) || !resp_is_crlf(digit)) break;
        char *bytes = digit + 2;
        if (length >= below || length > left || end - bytes < (ptrdiff_t)length + 2 ||
            !resp_is_crlf(bytes + length))
            break;
        *arg = (struct resp_arg){{bytes, length}, NULL, false};
        left -= length;
        at = bytes + length + 2;
    }
    in->at = at;
    p->argc = (size_t)(arg - p->argv);
    p->total = limits->max_total - left;
}

static enum resp_status resp_request(struct resp_parser *p, struct resp_input *in,
                                     struct error *error) {
    if (p->state == RESP_START) {
        if (*in->at == '*') {
            enum resp_status status = resp_array_header(p, in, error);
            if (status != RESP_DONE) return status;
        } else {
            p->state = RESP_LINE;
            p->is_inline = true;
        }
    }
    if (p->state == RESP_LINE) return resp_inline(p, in, error);
    while (p->argc < p->expected || p->state != RESP_HEADER) {
        if (p->state == RESP_HEADER && p->argc < p->capacity) {
            resp_small_bulks(p, in);
            if (p->argc == p->expected) break;
        }
        enum resp_status status = resp_step(p, in, error);
        if (status != RESP_DONE) return status;
    }
    return RESP_DONE;
}

/* Arguments [from, to) that lie in the run: from one kind of place to the other. Between calls they
 * are offsets, kept in the pointer's place; each is turned at most once each way. */
static void resp_to_offsets(struct resp_parser *p, size_t from, const char *base) {
    for (size_t i = from; i < p->argc; i++) {
        struct resp_arg *arg = &p->argv[i];
        if (!arg->direct && !arg->refused)
            arg->bytes.ptr = (const char *)((uintptr_t)arg->bytes.ptr - (uintptr_t)base);
    }
}

static void resp_to_pointers(struct resp_parser *p, size_t to, const char *base) {
    for (size_t i = 0; i < to; i++) {
        struct resp_arg *arg = &p->argv[i];
        if (!arg->direct && !arg->refused) arg->bytes.ptr = base + (uintptr_t)arg->bytes.ptr;
    }
}

enum resp_status resp_parse(struct resp_parser *p, struct span run, struct error *error) {
    if (run.len == p->position) return RESP_MORE;
    char *base = (char *)(uintptr_t)run.ptr;
    struct resp_input in = {base, base + p->position, base + run.len};
    size_t known = p->argc;
    enum resp_status status = resp_request(p, &in, error);
    p->position = (size_t)(in.at - base);
    if (status == RESP_COMMAND) {
        p->used = p->position;
        resp_to_pointers(p, known, base);
    } else if (status == RESP_MORE) {
        resp_to_offsets(p, known, base);
    }
    return status;
}

size_t resp_direct_read(const struct resp_parser *p, void **memory) {
    if (p->state != RESP_DIRECT) return 0;
    *memory = p->direct_memory ? p->direct_memory + p->direct_arrived : NULL;
    return p->bulk - p->direct_arrived;
}

void resp_direct_arrived(struct resp_parser *p, size_t bytes) {
    p->direct_arrived += resp_minimum(bytes, p->bulk - p->direct_arrived);
}

size_t resp_missing(const struct resp_parser *p, size_t len) {
    size_t need = p->position + p->bulk + 2;
    return p->state == RESP_BULK && need > len ? need - len : 0;
}

bool resp_is_half(const struct resp_parser *p) {
    return p->state != RESP_START;
}

size_t resp_held(const struct resp_parser *p) {
    size_t argv = p->capacity > RESP_ARGS_KEPT ? p->capacity * sizeof(*p->argv) : 0;
    return p->held - resp_outstanding(p) + argv;
}

size_t resp_outstanding(const struct resp_parser *p) {
    return p->state == RESP_DIRECT && p->direct_memory ? p->bulk - p->direct_arrived : 0;
}
