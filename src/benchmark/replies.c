/* See replies.h. */
#include "benchmark/replies.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "benchmark/memory.h"
#include "wire/reply_reader.h"

enum {
    COLUMNS_BUFFER = 16 * 1024,
    COLUMNS_DIRECT_FROM = 4096,
    ROWS_BUFFER_MIN = 16 * 1024, /* about a reply long, within these bounds */
    ROWS_BUFFER_MAX = 256 * 1024,
};

struct replies {
    struct reply_reader reader;
    struct replies_counts counts;
    struct memory memory;
    bool keeps;        /* column replies */
    size_t used;       /* bytes of the memory, by the reply that is being read */
    struct span *kept; /* the values of the last reply, and of the one that is being read */
    size_t n_kept, last_kept, max_kept;
    const struct batch *expected; /* row replies */
    bool with_keys;
    size_t sample, column; /* of the value that is expected next */
    struct error error;    /* the first thing that was wrong */
};

static void fail(struct replies *r, const struct error *e) {
    if (!r->error.code) r->error = *e;
}

/* Memory for a value; NULL, and r->error says why, if the reply is larger than expected. */
static void *value_memory(void *context, size_t len) {
    struct replies *r = context;
    struct error e;
    if (len <= r->memory.size - r->used) return r->memory.bytes + r->used;
    error_set(&e, ERROR_ERR, "a reply of more than the %zu bytes expected", r->memory.size);
    fail(r, &e);
    return NULL;
}

/* ---- values -------------------------------------------------------------------------------- */

static void keep(struct replies *r, const struct reply_item *item) {
    struct error e;
    struct span value = item->bytes;
    if (r->n_kept == r->max_kept) {
        error_set(&e, ERROR_ERR, "a reply of more than the %zu values expected", r->max_kept);
        fail(r, &e);
        return;
    }
    if (value.len && !item->is_direct) {
        char *memory = value_memory(r, value.len);
        if (!memory) return;
        memcpy(memory, value.ptr, value.len);
        value.ptr = memory;
    }
    r->kept[r->n_kept++] = value;
    r->used += value.len;
}

static void compare(struct replies *r, struct span value) {
    const struct batch *b = r->expected;
    struct error e;
    bool is_key = r->with_keys && r->column == 0;
    struct span wanted =
        is_key ? batch_key(b, r->sample) : batch_value(b, r->sample, r->column - r->with_keys);
    if (!span_equal(value, wanted)) {
        error_set(&e, ERROR_ERR,
                  "sample %zu came back with a wrong value in column %zu: %zu bytes, %zu expected",
                  r->sample, r->column, value.len, wanted.len);
        fail(r, &e);
    }
    if (++r->column < b->n_fields + r->with_keys) return;
    r->column = 0;
    r->sample = (r->sample + 1) % b->samples;
}

static void take(struct replies *r, const struct reply_item *item) {
    struct error e;
    switch (item->kind) {
    case REPLY_ITEM_ERROR:
        error_set(&e, ERROR_ERR, "%.*s", SPAN_ARG(item->bytes));
        fail(r, &e);
        break;
    case REPLY_ITEM_INTEGER: r->counts.sum += item->integer; break;
    case REPLY_ITEM_NULL:
        r->counts.nils++;
        if (r->keeps) keep(r, item);
        break;
    case REPLY_ITEM_BULK:
        r->counts.values++;
        if (item->is_refused) break;
        if (r->keeps) keep(r, item);
        if (r->expected) compare(r, item->bytes);
        break;
    default: break;
    }
    if (!item->ends_reply) return;
    r->counts.replies++;
    r->last_kept = r->n_kept;
    r->n_kept = r->used = 0;
}

int replies_fill(struct replies *r, int fd, struct error *e) {
    struct iovec iov[2];
    struct reply_item item;
    enum reply_reader_status status;
    size_t n = reply_reader_room(&r->reader, iov);
    ssize_t got = readv(fd, iov, (int)n);
    if (got == 0) return error_set(e, ERROR_ERR, "the server closed the connection");
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return 0;
        return error_set(e, ERROR_ERR, "can't read from the server: %s", strerror(errno));
    }
    reply_reader_received(&r->reader, (size_t)got);
    while ((status = reply_reader_next(&r->reader, &item, e)) == REPLY_READER_ITEM) take(r, &item);
    if (status == REPLY_READER_BROKEN) return e->code;
    if (r->error.code) *e = r->error;
    return r->error.code;
}

/* ---- life ---------------------------------------------------------------------------------- */

static struct replies *replies_new(const struct reply_reader_limits *limits, size_t memory,
                                   struct error *e) {
    struct replies *r = mem_calloc(1, sizeof(*r));
    if (memory && memory_map(&r->memory, memory, true, e)) {
        mem_free(r);
        return NULL;
    }
    reply_reader_init(&r->reader, limits, value_memory, r);
    return r;
}

struct replies *replies_new_columns(size_t capacity, size_t values, struct error *e) {
    static const struct reply_reader_limits limits = {
        .buffer = COLUMNS_BUFFER, .direct_from = COLUMNS_DIRECT_FROM, .max_bulk = SIZE_MAX};
    struct replies *r = replies_new(&limits, capacity, e);
    if (!r) return NULL;
    r->keeps = true;
    r->max_kept = values;
    r->kept = mem_calloc(values ? values : 1, sizeof(*r->kept));
    return r;
}

struct replies *replies_new_rows(size_t reply_bytes, size_t longest, struct error *e) {
    size_t buffer = reply_bytes;
    if (buffer < ROWS_BUFFER_MIN) buffer = ROWS_BUFFER_MIN;
    if (buffer > ROWS_BUFFER_MAX) buffer = ROWS_BUFFER_MAX;
    struct reply_reader_limits limits = {
        .buffer = buffer, .direct_from = buffer / 2, .max_bulk = SIZE_MAX};
    return replies_new(&limits, longest < limits.direct_from ? 0 : longest, e);
}

void replies_free(struct replies *r) {
    if (!r) return;
    reply_reader_free(&r->reader);
    memory_unmap(&r->memory);
    mem_free(r->kept);
    mem_free(r);
}

/* ---- what came ----------------------------------------------------------------------------- */

const struct replies_counts *replies_count(const struct replies *r) {
    return &r->counts;
}

struct span replies_value(const struct replies *r, size_t i) {
    return i < r->last_kept ? r->kept[i] : span_of("", 0);
}

size_t replies_values(const struct replies *r) {
    return r->last_kept;
}

void replies_expect(struct replies *r, const struct batch *b, bool with_keys) {
    r->expected = b;
    r->with_keys = with_keys;
    r->sample = r->column = 0;
}
