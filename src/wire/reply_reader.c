/* See reply_reader.h. */
#include "wire/reply_reader.h"

#include <string.h>

#include "base/mem.h"
#include "base/number.h"

enum reader_state {
    READER_LINE,   /* at an item's line */
    READER_BULK,   /* at the bytes of a bulk, in the buffer */
    READER_DIRECT, /* in the bytes of a bulk that is read directly, or skipped */
    READER_CRLF,   /* behind them */
};

/* Steps return REPLY_READER_ITEM if they completed an item, and this if the next step can go on. */
enum { READER_GO_ON = -1 };

void reply_reader_init(struct reply_reader *r, const struct reply_reader_limits *limits,
                       reply_reader_memory *memory, void *context) {
    *r = (struct reply_reader){.limits = *limits, .memory = memory, .context = context};
    if (r->limits.buffer < REPLY_READER_MIN_BUFFER) r->limits.buffer = REPLY_READER_MIN_BUFFER;
    /* What is not read directly must fit into the buffer, with its CRLF. */
    if (r->limits.direct_from > r->limits.buffer - 2) r->limits.direct_from = r->limits.buffer - 2;
    r->buffer = mem_alloc(r->limits.buffer);
    r->state = READER_LINE;
}

void reply_reader_free(struct reply_reader *r) {
    mem_free(r->buffer);
    *r = (struct reply_reader){0};
}

static int reader_broken(struct error *error, const char *what, struct span line) {
    error_set(error, ERROR_ERR, "reply is not RESP: %s, got %s", what, QUOTE(line));
    return REPLY_READER_BROKEN;
}

/* ---- input --------------------------------------------------------------------------------- */

size_t reply_reader_room(struct reply_reader *r, struct iovec iov[2]) {
    size_t n = 0, held = r->end - r->start;
    if (r->start) memmove(r->buffer, r->buffer + r->start, held);
    r->start = 0;
    r->end = held;
    if (r->state == READER_DIRECT && r->direct)
        iov[n++] = (struct iovec){r->direct + r->arrived, r->bulk - r->arrived};
    iov[n++] = (struct iovec){r->buffer + r->end, r->limits.buffer - r->end};
    return n;
}

void reply_reader_received(struct reply_reader *r, size_t bytes) {
    size_t left = r->bulk - r->arrived;
    if (r->state == READER_DIRECT && r->direct) {
        size_t part = bytes < left ? bytes : left;
        r->arrived += part;
        bytes -= part;
    }
    r->end += bytes;
}

/* ---- places -------------------------------------------------------------------------------- */

/* An item is complete, and with it the aggregates of which it is the last element. Elements of an
 * attribute complete the attribute only: the item that it is about is still to come. */
static void reader_complete(struct reply_reader *r, struct reply_item *item) {
    item->in_push = r->in_push;
    while (r->depth) {
        if (--r->levels[r->depth - 1].left) return;
        if (r->levels[--r->depth].is_attribute) return;
    }
    item->ends_reply = true;
    r->in_push = false;
}

static int reader_aggregate(struct reply_reader *r, struct reply_item *item, int64_t count,
                            struct error *error) {
    bool has_pairs = item->kind == REPLY_ITEM_MAP || item->kind == REPLY_ITEM_ATTRIBUTE;
    bool is_attribute = item->kind == REPLY_ITEM_ATTRIBUTE;
    uint64_t most = has_pairs ? REPLY_READER_MOST_ELEMENTS / 2 : REPLY_READER_MOST_ELEMENTS;
    if ((uint64_t)count > most) {
        error_set(error, ERROR_ERR, "reply too large: %lld elements in one aggregate, at most %llu",
                  (long long)count, (unsigned long long)most);
        return REPLY_READER_BROKEN;
    }
    item->count = (uint64_t)count * (has_pairs ? 2 : 1);
    if (item->kind == REPLY_ITEM_PUSH && r->depth == 0) r->in_push = true;
    item->in_push = r->in_push;
    if (!item->count) {
        if (!is_attribute) reader_complete(r, item);
        return REPLY_READER_ITEM;
    }
    if (r->depth == REPLY_READER_DEPTH) {
        error_set(error, ERROR_ERR, "reply nested deeper than %d", REPLY_READER_DEPTH);
        return REPLY_READER_BROKEN;
    }
    r->levels[r->depth].left = item->count;
    r->levels[r->depth++].is_attribute = is_attribute;
    return REPLY_READER_ITEM;
}

/* ---- lines --------------------------------------------------------------------------------- */

static int reader_bulk_header(struct reply_reader *r, enum reply_item_kind kind, int64_t length,
                              struct error *error) {
    if ((uint64_t)length > r->limits.max_bulk) {
        error_set(error, ERROR_ERR, "reply too large: a bulk of %lld bytes, at most %zu",
                  (long long)length, r->limits.max_bulk);
        return REPLY_READER_BROKEN;
    }
    r->kind = kind;
    r->bulk = (size_t)length;
    r->arrived = 0;
    r->state = READER_BULK;
    if (r->bulk >= r->limits.direct_from && r->bulk) {
        r->direct = r->memory ? r->memory(r->context, r->bulk) : NULL;
        r->state = READER_DIRECT;
    }
    return READER_GO_ON;
}

/* Lines whose text is a length or a count. */
static int reader_counted(struct reply_reader *r, struct reply_item *item, struct span line,
                          struct error *error) {
    static const struct {
        char type;
        enum reply_item_kind kind;
        bool is_bulk, may_be_null;
    } types[] = {
        {'$', REPLY_ITEM_BULK, true, true},      {'*', REPLY_ITEM_ARRAY, false, true},
        {'%', REPLY_ITEM_MAP, false, false},     {'~', REPLY_ITEM_SET, false, false},
        {'>', REPLY_ITEM_PUSH, false, false},    {'|', REPLY_ITEM_ATTRIBUTE, false, false},
        {'=', REPLY_ITEM_VERBATIM, true, false}, {'!', REPLY_ITEM_ERROR, true, false},
    };
    int64_t count;
    size_t i = 0, n = sizeof(types) / sizeof(*types);
    while (i < n && types[i].type != line.ptr[0]) i++;
    if (i == n) return reader_broken(error, "no type has this first byte", span_of(line.ptr, 1));
    if (!number_parse_i64(span_of(line.ptr + 1, line.len - 1), &count) ||
        count < (types[i].may_be_null ? -1 : 0))
        return reader_broken(error, "expected a length or a count", line);
    item->kind = count < 0 ? REPLY_ITEM_NULL : types[i].kind;
    if (count < 0) {
        reader_complete(r, item);
        return REPLY_READER_ITEM;
    }
    if (!types[i].is_bulk) return reader_aggregate(r, item, count, error);
    if (item->kind == REPLY_ITEM_VERBATIM && count < 4)
        return reader_broken(error, "expected a verbatim text of at least 4 bytes", line);
    return reader_bulk_header(r, item->kind, count, error);
}

static bool reader_is_big_number(struct span text) {
    size_t sign = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+');
    for (size_t i = sign; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    return text.len > sign;
}

/* Lines that are a whole item. -1: it is none of them. */
static int reader_scalar(struct reply_item *item, struct span line) {
    struct span text = span_of(line.ptr + 1, line.len - 1);
    switch (line.ptr[0]) {
    case '+': item->kind = REPLY_ITEM_STATUS; break;
    case '-': item->kind = REPLY_ITEM_ERROR; break;
    case ':': item->kind = REPLY_ITEM_INTEGER; return number_parse_i64(text, &item->integer);
    case ',': item->kind = REPLY_ITEM_DOUBLE; return number_parse_double(text, true, &item->number);
    case '_': item->kind = REPLY_ITEM_NULL; return text.len == 0;
    case '#':
        item->kind = REPLY_ITEM_BOOLEAN;
        item->integer = text.len == 1 && text.ptr[0] == 't';
        return text.len == 1 && (text.ptr[0] == 't' || text.ptr[0] == 'f');
    case '(':
        item->kind = REPLY_ITEM_BIG_NUMBER;
        item->bytes = text;
        return reader_is_big_number(text);
    default: return -1;
    }
    item->bytes = text;
    return 1;
}

/* The line that the buffer holds, without its CRLF, and the buffer behind it. */
static int reader_take_line(struct reply_reader *r, struct span *line, struct error *error) {
    const char *start = r->buffer + r->start;
    size_t held = r->end - r->start;
    const char *newline = memchr(start + r->scanned, '\n', held - r->scanned);
    if (!newline) {
        r->scanned = held;
        if (held < r->limits.buffer) return REPLY_READER_MORE;
        return reader_broken(error, "a line is too long", span_of(start, held));
    }
    size_t len = (size_t)(newline - start);
    r->scanned = 0;
    r->start += len + 1;
    if (len < 2 || memchr(start, '\r', len) != newline - 1)
        return reader_broken(error, "expected a line that ends with CRLF", span_of(start, len + 1));
    *line = span_of(start, len - 1);
    return READER_GO_ON;
}

static int reader_line(struct reply_reader *r, struct reply_item *item, struct error *error) {
    struct span line;
    int outcome = reader_take_line(r, &line, error);
    if (outcome != READER_GO_ON) return outcome;
    *item = (struct reply_item){.depth = r->depth};
    int is_valid = reader_scalar(item, line);
    if (is_valid < 0) return reader_counted(r, item, line, error);
    if (!is_valid) return reader_broken(error, "expected a value of the line's type", line);
    reader_complete(r, item);
    return REPLY_READER_ITEM;
}

/* ---- bulks --------------------------------------------------------------------------------- */

/* The bulk and its CRLF, `bytes` behind r->start. */
static int reader_end_bulk(struct reply_reader *r, struct reply_item *item, size_t bytes,
                           struct error *error) {
    const char *crlf = r->buffer + r->start + bytes;
    if (crlf[0] != '\r' || crlf[1] != '\n')
        return reader_broken(error, "expected CRLF after a bulk", span_of(crlf, 2));
    *item = (struct reply_item){.kind = r->kind, .depth = r->depth};
    bool is_direct = r->state == READER_CRLF;
    item->bytes = span_of(is_direct ? r->direct : r->buffer + r->start, r->bulk);
    item->is_direct = is_direct && r->direct;
    item->is_refused = is_direct && !r->direct;
    r->start += bytes + 2;
    r->state = READER_LINE;
    reader_complete(r, item);
    return REPLY_READER_ITEM;
}

/* What came along in the buffer moves to the direct memory. */
static int reader_fill_direct(struct reply_reader *r) {
    size_t held = r->end - r->start, left = r->bulk - r->arrived;
    size_t part = held < left ? held : left;
    if (r->direct) memcpy(r->direct + r->arrived, r->buffer + r->start, part);
    r->arrived += part;
    r->start += part;
    if (r->arrived < r->bulk) return REPLY_READER_MORE;
    r->state = READER_CRLF;
    return READER_GO_ON;
}

static int reader_step(struct reply_reader *r, struct reply_item *item, struct error *error) {
    size_t held = r->end - r->start;
    switch (r->state) {
    case READER_LINE: return reader_line(r, item, error);
    case READER_DIRECT: return reader_fill_direct(r);
    case READER_BULK:
        return held < r->bulk + 2 ? REPLY_READER_MORE : reader_end_bulk(r, item, r->bulk, error);
    default: return held < 2 ? REPLY_READER_MORE : reader_end_bulk(r, item, 0, error);
    }
}

enum reply_reader_status reply_reader_next(struct reply_reader *r, struct reply_item *item,
                                           struct error *error) {
    int outcome;
    do {
        outcome = reader_step(r, item, error);
    } while (outcome == READER_GO_ON);
    return (enum reply_reader_status)outcome;
}
