/* The reader for row replies, on hiredis: see inlet.h.
 *
 * hiredis builds a tree of objects from a reply unless it is told what to build instead: here
 * nothing is built, values are counted, and compared while that is asked for. Its own
 * redisBufferRead takes 16 KiB at a time, too little for large values, so the bytes are read
 * here and fed to it. It moves what it has not yet taken apart to the front of its buffer after
 * each reply, hence no reads much larger than a reply either. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <hiredis.h>

#include "base/mem.h"
#include "benchmark/inlet.h"

enum { READ_MIN = 16 * 1024, READ_MAX = 256 * 1024 };

#if HIREDIS_MAJOR >= 1
#define REPLY_COUNT size_t
#else
#define REPLY_COUNT int
#endif

struct rows {
    struct inlet inlet;
    redisReader *reader;
    char *buffer;
    size_t buffer_size;
    const struct batch *expected;
    bool with_keys;
    size_t sample, column; /* of the value that is expected next */
    struct error error;    /* the first thing that was wrong */
};

static struct rows *rows_of(const redisReadTask *task) {
    return task->privdata;
}

/* A value that is not the next one of the batch is kept as an error for fill to return. */
static void rows_check(struct rows *r, struct span value) {
    const struct batch *b = r->expected;
    size_t columns = b->n_fields + r->with_keys;
    if (r->error.code) return;
    struct span wanted = r->with_keys && r->column == 0
                             ? batch_key(b, r->sample)
                             : batch_value(b, r->sample, r->column - r->with_keys);
    if (!span_equal(value, wanted))
        error_set(&r->error, ERROR_ERR,
                  "sample %zu came back with a wrong value in column %zu: "
                  "%zu bytes, %zu expected",
                  r->sample, r->column, value.len, wanted.len);
    if (++r->column == columns) {
        r->column = 0;
        r->sample = (r->sample + 1) % b->samples;
    }
}

static void *on_string(const redisReadTask *task, char *text, size_t len) {
    struct rows *r = rows_of(task);
    if (task->type == REDIS_REPLY_ERROR) {
        if (!r->error.code) error_set(&r->error, ERROR_ERR, "%.*s", (int)len, text);
    } else if (task->type == REDIS_REPLY_STRING) {
        r->inlet.values++;
        r->inlet.value_bytes += len;
        if (r->expected) rows_check(r, span_of(text, len));
    }
    return r;
}

static void *on_array(const redisReadTask *task, REPLY_COUNT n) {
    (void)n;
    return rows_of(task);
}

static void *on_integer(const redisReadTask *task, long long number) {
    rows_of(task)->inlet.sum += number;
    rows_of(task)->inlet.last = number;
    return rows_of(task);
}

static void *on_nil(const redisReadTask *task) {
    rows_of(task)->inlet.nils++;
    return rows_of(task);
}

static void on_free(void *object) {
    (void)object;
}

static int rows_fill(struct inlet *in, int fd, struct error *e) {
    struct rows *r = (struct rows *)in;
    ssize_t got = read(fd, r->buffer, r->buffer_size);
    if (got == 0) return error_set(e, ERROR_ERR, "the server closed the connection");
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return 0;
        return error_set(e, ERROR_ERR, "can't read from the server: %s", strerror(errno));
    }
    redisReaderFeed(r->reader, r->buffer, (size_t)got);
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
            return error_set(e, ERROR_ERR, "hiredis can't read a reply: %s", r->reader->errstr);
        if (!reply) break;
        in->replies++;
    }
    if (r->error.code) {
        *e = r->error;
        return e->code;
    }
    return 0;
}

static void rows_free(struct inlet *in) {
    struct rows *r = (struct rows *)in;
    redisReaderFree(r->reader);
    mem_free(r->buffer);
    mem_free(r);
}

struct inlet *rows_new(size_t reply_bytes) {
    static const struct inlet_class class = {rows_fill, rows_free};
    static redisReplyObjectFunctions objects = {.createString = on_string,
                                                .createArray = on_array,
                                                .createInteger = on_integer,
                                                .createNil = on_nil,
                                                .freeObject = on_free};
    struct rows *r = mem_calloc(1, sizeof(*r));
    r->inlet.class = &class;
    r->reader = redisReaderCreateWithFunctions(&objects);
    if (!r->reader) abort(); /* as mem_alloc would */
    r->reader->privdata = r;
    r->reader->maxbuf = 0; /* keep the buffer between replies */
    r->buffer_size = reply_bytes < READ_MIN ? READ_MIN : reply_bytes;
    if (r->buffer_size > READ_MAX) r->buffer_size = READ_MAX;
    r->buffer = mem_alloc(r->buffer_size);
    return &r->inlet;
}

void rows_expect(struct inlet *in, const struct batch *b, bool with_keys) {
    struct rows *r = (struct rows *)in;
    r->expected = b;
    r->with_keys = with_keys;
    r->sample = r->column = 0;
    r->error = (struct error){0};
}
