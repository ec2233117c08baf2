/* See reply.h. Every verb ends in reply_room (a few contiguous bytes) or reply_copy (many, cut
 * where blocks end), so that the path of a small reply is one comparison and the stores. */
#include "wire/reply.h"

#include <math.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    REPLY_BLOCK = 16 * 1024,  /* bytes of a block, its head included */
    REPLY_SPARE = 256,        /* blocks that the pool keeps at most */
    REPLY_PLENTY = 4 << 20,   /* bytes of blocks in use, beyond which new ones are short at first */
    REPLY_SHORT = 12,         /* then: the first of a reply has the room of so many ranges */
    REPLY_HEADER = 1 + 20 + 2 /* type, number, CRLF */
};

/* A range by reference: it goes out when the first `at` bytes of its block's text have. */
struct reply_range {
    const char *bytes;
    size_t len, at;
    void (*release)(void *context);
    void *context;
};

struct reply_block {
    struct reply_block *next;
    size_t size;                /* of data: text from the front, ranges from the back */
    size_t text, text_sent;     /* bytes */
    size_t ranges, ranges_sent; /* count */
    size_t range_sent;          /* bytes of the first range not wholly sent */
    alignas(struct reply_range) char data[];
};

enum {
    REPLY_DATA = (REPLY_BLOCK - sizeof(struct reply_block)) / sizeof(struct reply_range) *
                 sizeof(struct reply_range)
};

struct reply_pool {
    struct reply_block *spare;
    size_t spares, bytes;
    char *waste; /* what discarding replies reserve: written, never read */
    size_t waste_size;
};

struct reply_pool *reply_pool_new(void) {
    return mem_calloc(1, sizeof(struct reply_pool));
}

void reply_pool_free(struct reply_pool *pool) {
    while (pool->spare) {
        struct reply_block *block = pool->spare;
        pool->spare = block->next;
        mem_free(block);
    }
    mem_free(pool->waste);
    mem_free(pool);
}

size_t reply_pool_bytes(const struct reply_pool *pool) {
    return pool->bytes + pool->waste_size;
}

size_t reply_pool_held(const struct reply_pool *pool) {
    return pool->bytes - pool->spares * (sizeof(struct reply_block) + REPLY_DATA);
}

/* Where many replies wait at once, a reply begins with a short block, and each next one has twice
 * the size of `last`, so that what is held follows what is written. */
static size_t reply_block_size(const struct reply_pool *pool, const struct reply_block *last) {
    if (reply_pool_held(pool) <= REPLY_PLENTY) return REPLY_DATA;
    size_t size = last ? 2 * last->size : REPLY_SHORT * sizeof(struct reply_range);
    return size < REPLY_DATA ? size : REPLY_DATA;
}

static struct reply_block *reply_pool_take(struct reply_pool *pool, const struct reply_block *last,
                                           size_t need) {
    struct reply_block *block = pool->spare;
    size_t size = reply_block_size(pool, last);
    if (need <= REPLY_DATA && size == REPLY_DATA && block) {
        pool->spare = block->next;
        pool->spares--;
    } else {
        const size_t unit = sizeof(struct reply_range);
        if (need > size) size = (need / unit + 1) * unit;
        block = mem_alloc(sizeof(*block) + size);
        pool->bytes += sizeof(*block) + size;
    }
    *block = (struct reply_block){.size = size};
    return block;
}

static void reply_pool_give(struct reply_pool *pool, struct reply_block *block) {
    if (block->size == REPLY_DATA && pool->spares < REPLY_SPARE) {
        block->next = pool->spare;
        pool->spare = block;
        pool->spares++;
        return;
    }
    pool->bytes -= sizeof(*block) + block->size;
    mem_free(block);
}

/* Memory for a discarding reply to fill; an outlier's goes with the next one. */
static char *reply_pool_waste(struct reply_pool *pool, size_t len) {
    if (len > pool->waste_size || pool->waste_size > REPLY_BLOCK) {
        mem_free(pool->waste);
        pool->waste_size = len > REPLY_BLOCK ? len : REPLY_BLOCK;
        pool->waste = mem_alloc(pool->waste_size);
    }
    return pool->waste;
}

static struct reply_range *reply_range(const struct reply_block *block, size_t i) {
    struct reply_range *end = (struct reply_range *)(uintptr_t)(block->data + block->size);
    return end - i - 1;
}

static size_t reply_free_bytes(const struct reply_block *block) {
    return block->size - block->ranges * sizeof(struct reply_range) - block->text;
}

/* A block with `need` bytes free at the end of the queue. Of a reply that is too long this is the
 * last one but for the rest of a verb. */
static struct reply_block *reply_grow(struct reply *r, size_t need) {
    struct reply_block *block = reply_pool_take(r->pool, r->last, need);
    r->blocks += sizeof(*block) + block->size;
    if (reply_pool_held(r->pool) > r->held) r->no_room = true;
    if (r->pending > r->most || r->no_room) r->discard = true;
    if (r->last)
        r->last->next = block;
    else
        r->first = block;
    return r->last = block;
}

static inline struct reply_block *reply_block_for(struct reply *r, size_t need) {
    struct reply_block *block = r->last;
    if (__builtin_expect(!block || reply_free_bytes(block) < need, 0)) block = reply_grow(r, need);
    return block;
}

/* `n` contiguous bytes that are part of the text from now on. */
static inline char *reply_room(struct reply *r, size_t n) {
    struct reply_block *block = reply_block_for(r, n);
    char *out = block->data + block->text;
    block->text += n;
    r->pending += n;
    return out;
}

static void reply_copy(struct reply *r, const char *bytes, size_t len) {
    while (len && !r->no_room) {
        struct reply_block *block = reply_block_for(r, 1);
        size_t n = reply_free_bytes(block);
        if (n > len) n = len;
        memcpy(reply_room(r, n), bytes, n);
        bytes += n;
        len -= n;
    }
}

/* Decimal digits of a number; returns how many. */
static inline size_t reply_digits(char *out, uint64_t value) {
    if (value < 10) {
        out[0] = (char)('0' + value);
        return 1;
    }
    char reversed[20];
    size_t n = 0;
    for (; value; value /= 10) reversed[n++] = (char)('0' + value % 10);
    for (size_t i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
    return n;
}

/* Type, number, CRLF at `out`; returns how many bytes. */
static inline size_t reply_header_at(char *out, char type, uint64_t number) {
    out[0] = type;
    size_t n = 1 + reply_digits(out + 1, number);
    memcpy(out + n, "\r\n", 2);
    return n + 2;
}

/* Take back what was reserved and not written. */
static inline void reply_trim(struct reply *r, size_t bytes) {
    r->last->text -= bytes;
    r->pending -= bytes;
}

static void reply_header(struct reply *r, char type, uint64_t number) {
    if (r->discard) return;
    size_t n = reply_header_at(reply_room(r, REPLY_HEADER), type, number);
    reply_trim(r, REPLY_HEADER - n);
}

#define REPLY_CONSTANT(r, literal)                                                                 \
    memcpy(reply_room((r), sizeof(literal) - 1), (literal), sizeof(literal) - 1)

void reply_init(struct reply *r, struct reply_pool *pool) {
    *r = (struct reply){.pool = pool, .protocol = 2, .most = SIZE_MAX, .held = SIZE_MAX};
}

static void reply_give(struct reply *r, struct reply_block *block) {
    r->blocks -= sizeof(*block) + block->size;
    reply_pool_give(r->pool, block);
}

/* Release what is left of a block, in order, and give it back. */
static void reply_drop_block(struct reply *r, struct reply_block *block) {
    while (block->ranges_sent < block->ranges) {
        struct reply_range *range = reply_range(block, block->ranges_sent++);
        range->release(range->context);
    }
    reply_give(r, block);
}

void reply_drop(struct reply *r) {
    while (r->first) {
        struct reply_block *block = r->first;
        r->first = block->next;
        reply_drop_block(r, block);
    }
    r->last = NULL;
    r->pending = 0;
    r->owed = 0;
}

void reply_status(struct reply *r, const char *text) {
    if (r->discard) return;
    size_t len = strlen(text);
    char *out = reply_room(r, len + 3);
    *out = '+';
    memcpy(out + 1, text, len);
    memcpy(out + 1 + len, "\r\n", 2);
}

void reply_error(struct reply *r, const struct error *e) {
    if (r->on_error) r->on_error(r->context, e);
    if (r->discard) return;
    const char *name = error_name(e->code);
    size_t name_len = strlen(name), len = strnlen(e->text, sizeof(e->text));
    char *out = reply_room(r, name_len + len + 4);
    *out++ = '-';
    memcpy(out, name, name_len);
    out += name_len;
    *out++ = ' ';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)e->text[i];
        *out++ = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    memcpy(out, "\r\n", 2);
}

void reply_errorf(struct reply *r, enum error_code code, const char *format, ...) {
    if (r->discard && !r->on_error) return;
    struct error e = {.code = code};
    va_list args;
    va_start(args, format);
    error_format(e.text, sizeof(e.text), format, args);
    va_end(args);
    reply_error(r, &e);
}

void reply_integer(struct reply *r, int64_t value) {
    if (r->discard) return;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *out = reply_room(r, REPLY_HEADER);
    size_t sign = value < 0;
    size_t n = sign + reply_header_at(out + sign, ':', magnitude);
    if (sign) memcpy(out, ":-", 2);
    reply_trim(r, REPLY_HEADER - n);
}

/* Fewest digits that read back as the same double; returns how many bytes, below 32. */
static size_t reply_double_text(char out[32], double value) {
    if (isnan(value)) return (size_t)snprintf(out, 32, "nan");
    if (isinf(value)) return (size_t)snprintf(out, 32, value < 0 ? "-inf" : "inf");
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value) break;
    }
    return (size_t)n;
}

void reply_double(struct reply *r, double value) {
    char text[32];
    size_t len = reply_double_text(text, value);
    if (r->protocol < 3) {
        reply_bulk(r, span_of(text, len));
        return;
    }
    if (r->discard) return;
    char *out = reply_room(r, len + 3);
    *out = ',';
    memcpy(out + 1, text, len);
    memcpy(out + 1 + len, "\r\n", 2);
}

void reply_boolean(struct reply *r, bool value) {
    if (r->discard) return;
    if (r->protocol < 3)
        memcpy(reply_room(r, 4), value ? ":1\r\n" : ":0\r\n", 4);
    else
        memcpy(reply_room(r, 4), value ? "#t\r\n" : "#f\r\n", 4);
}

void reply_bulk(struct reply *r, struct span bytes) {
    if (r->discard) return;
    struct reply_block *block = r->last;
    const size_t around = REPLY_HEADER + 2;
    if (!block || reply_free_bytes(block) < around ||
        reply_free_bytes(block) - around < bytes.len) {
        reply_header(r, '$', bytes.len);
        reply_copy(r, bytes.ptr, bytes.len);
        REPLY_CONSTANT(r, "\r\n");
        return;
    }
    char *out = block->data + block->text, *at = out;
    at += reply_header_at(at, '$', bytes.len);
    if (bytes.len) memcpy(at, bytes.ptr, bytes.len);
    at += bytes.len;
    memcpy(at, "\r\n", 2);
    size_t n = (size_t)(at + 2 - out);
    block->text += n;
    r->pending += n;
}

void reply_text(struct reply *r, const char *text) {
    reply_bulk(r, span_of_string(text));
}

void reply_verbatim(struct reply *r, struct span text) {
    if (r->protocol < 3) {
        reply_bulk(r, text);
        return;
    }
    if (r->discard) return;
    reply_header(r, '=', (uint64_t)text.len + 4);
    REPLY_CONSTANT(r, "txt:");
    reply_copy(r, text.ptr, text.len);
    REPLY_CONSTANT(r, "\r\n");
}

void reply_null(struct reply *r) {
    if (r->discard) return;
    if (r->protocol < 3)
        REPLY_CONSTANT(r, "$-1\r\n");
    else
        REPLY_CONSTANT(r, "_\r\n");
}

void reply_null_array(struct reply *r) {
    if (r->discard) return;
    if (r->protocol < 3)
        REPLY_CONSTANT(r, "*-1\r\n");
    else
        REPLY_CONSTANT(r, "_\r\n");
}

void reply_array(struct reply *r, size_t items) {
    reply_header(r, '*', items);
}

void reply_map(struct reply *r, size_t pairs) {
    if (r->protocol < 3)
        reply_header(r, '*', (uint64_t)pairs * 2);
    else
        reply_header(r, '%', pairs);
}

void reply_set(struct reply *r, size_t items) {
    reply_header(r, r->protocol < 3 ? '*' : '~', items);
}

void reply_push(struct reply *r, size_t items) {
    reply_header(r, r->protocol < 3 ? '*' : '>', items);
}

void reply_ref(struct reply *r, struct span bytes, void (*release)(void *context), void *context) {
    reply_bulk_begin(r, bytes.len);
    reply_bulk_ref(r, bytes, release, context);
    reply_bulk_end(r);
}

/* A wrong count would put the client out of step for good, which is worse than an end. */
static void reply_miscounted(const struct reply *r, size_t len) {
    fprintf(stderr, "tq: %zu bytes supplied of a bulk that lacks %zu\n", len, r->owed);
    abort();
}

static void reply_supply(struct reply *r, size_t len) {
    if (len > r->owed) reply_miscounted(r, len);
    r->owed -= len;
}

void reply_bulk_begin(struct reply *r, size_t len) {
    if (r->owed) reply_miscounted(r, 0);
    r->owed = len;
    reply_header(r, '$', len);
}

void reply_bulk_copy(struct reply *r, struct span bytes) {
    reply_supply(r, bytes.len);
    if (!r->discard) reply_copy(r, bytes.ptr, bytes.len);
}

void reply_bulk_ref(struct reply *r, struct span bytes, void (*release)(void *context),
                    void *context) {
    reply_supply(r, bytes.len);
    if (r->discard || bytes.len < REPLY_REF_FROM) {
        if (!r->discard) reply_copy(r, bytes.ptr, bytes.len);
        release(context);
        return;
    }
    struct reply_block *block = reply_block_for(r, sizeof(struct reply_range));
    *reply_range(block, block->ranges++) =
        (struct reply_range){bytes.ptr, bytes.len, block->text, release, context};
    r->pending += bytes.len;
    if (r->pending > r->most) r->discard = true;
}

char *reply_bulk_reserve(struct reply *r, size_t len) {
    reply_supply(r, len);
    if (r->discard) return reply_pool_waste(r->pool, len);
    return reply_room(r, len);
}

void reply_bulk_end(struct reply *r) {
    if (r->owed) reply_miscounted(r, 0);
    if (!r->discard) REPLY_CONSTANT(r, "\r\n");
}

struct reply_mark reply_try(struct reply *r, size_t most, size_t held) {
    size_t least = reply_pool_held(r->pool) + sizeof(struct reply_block) + REPLY_DATA;
    r->most = most;
    r->held = held > least ? held : least;
    r->no_room = false;
    return (struct reply_mark){.last = r->last,
                               .text = r->last ? r->last->text : 0,
                               .ranges = r->last ? r->last->ranges : 0,
                               .pending = r->pending,
                               .discard = r->discard};
}

static void reply_drop_behind(struct reply *r, const struct reply_mark *mark) {
    struct reply_block *block = mark->last ? mark->last->next : r->first;
    r->last = mark->last;
    if (mark->last)
        mark->last->next = NULL;
    else
        r->first = NULL;
    for (struct reply_block *next; block; block = next) {
        next = block->next;
        reply_drop_block(r, block);
    }
}

void reply_take_back(struct reply *r, const struct reply_mark *mark) {
    struct reply_block *last = mark->last;
    for (size_t i = mark->ranges; last && i < last->ranges; i++) {
        struct reply_range *range = reply_range(last, i);
        range->release(range->context);
    }
    if (last) {
        last->ranges = mark->ranges;
        last->text = mark->text;
    }
    reply_drop_behind(r, mark);
    r->pending = mark->pending;
    r->owed = 0;
    r->discard = mark->discard;
    r->most = r->held = SIZE_MAX;
    r->no_room = false;
}

bool reply_fits(struct reply *r, const struct reply_mark *mark) {
    bool is_long = r->pending > r->most && r->pending > mark->pending;
    if (is_long || r->no_room) {
        reply_take_back(r, mark);
        return false;
    }
    r->most = r->held = SIZE_MAX;
    return true;
}

size_t reply_peek(const struct reply *r, struct iovec *iov, size_t max) {
    size_t n = 0;
    for (struct reply_block *block = r->first; block && n < max; block = block->next) {
        size_t text = block->text_sent, skip = block->range_sent;
        for (size_t i = block->ranges_sent; i < block->ranges && n < max; i++) {
            const struct reply_range *range = reply_range(block, i);
            if (range->at > text) {
                iov[n++] = (struct iovec){block->data + text, range->at - text};
                text = range->at;
                if (n == max) return n;
            }
            iov[n++] = (struct iovec){(void *)(uintptr_t)(range->bytes + skip), range->len - skip};
            skip = 0;
        }
        if (n < max && block->text > text)
            iov[n++] = (struct iovec){block->data + text, block->text - text};
    }
    return n;
}

/* Take up to `bytes` off the front of what is left of `len`, of which *sent are gone. */
static size_t reply_advance(size_t *sent, size_t len, size_t bytes) {
    size_t n = len - *sent < bytes ? len - *sent : bytes;
    *sent += n;
    return n;
}

void reply_sent(struct reply *r, size_t bytes) {
    struct reply_block *block;
    r->pending -= bytes;
    while ((block = r->first)) {
        bool is_ref = block->ranges_sent < block->ranges;
        struct reply_range *range = is_ref ? reply_range(block, block->ranges_sent) : NULL;
        size_t stop = is_ref ? range->at : block->text;
        bytes -= reply_advance(&block->text_sent, stop, bytes);
        if (block->text_sent < stop) return;
        if (is_ref) {
            bytes -= reply_advance(&block->range_sent, range->len, bytes);
            if (block->range_sent < range->len) return;
            block->ranges_sent++;
            block->range_sent = 0;
            range->release(range->context);
            continue;
        }
        r->first = block->next;
        if (!r->first) r->last = NULL;
        reply_give(r, block);
    }
}
