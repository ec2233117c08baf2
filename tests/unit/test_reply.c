/* The reply writer: what each verb writes in either protocol, and that whatever the socket takes of
 * it, the bytes come in order and every reference is released once, as soon as it is sent. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/reply.h"

/* A reply, the bytes that should come out of it, and those that did. */
struct sink {
    struct reply_pool *pool;
    struct reply reply;
    char *expected, *got;
    size_t expected_len, got_len, size;
    struct sink_ref *refs;
    size_t n_refs, n_released;
};

/* A range by reference: where its last byte stands in the stream. */
struct sink_ref {
    struct sink *sink;
    size_t end;
    bool released;
};

enum { SINK_SIZE = 4 << 20, SINK_REFS = 4096 };

static void sink_open(struct sink *s, int protocol) {
    *s = (struct sink){.pool = reply_pool_new(), .size = SINK_SIZE};
    reply_init(&s->reply, s->pool);
    s->reply.protocol = protocol;
    s->expected = malloc(s->size);
    s->got = malloc(s->size);
    s->refs = calloc(SINK_REFS, sizeof(*s->refs));
}

static void sink_close(struct sink *s) {
    reply_drop(&s->reply);
    assert_int_equal(s->n_released, s->n_refs);
    reply_pool_free(s->pool);
    free(s->expected);
    free(s->got);
    free(s->refs);
}

static void sink_expect(struct sink *s, const void *bytes, size_t len) {
    assert_true(s->expected_len + len <= s->size);
    if (len) memcpy(s->expected + s->expected_len, bytes, len);
    s->expected_len += len;
}

static void sink_expect_text(struct sink *s, const char *text) {
    sink_expect(s, text, strlen(text));
}

static void sink_release(void *context) {
    struct sink_ref *l = context;
    assert_false(l->released);
    assert_ptr_equal(l, &l->sink->refs[l->sink->n_released]); /* in order */
    l->released = true;
    l->sink->n_released++;
}

/* The next reference; its range ends `ahead` bytes behind what is expected so far. */
static struct sink_ref *sink_add_ref(struct sink *s, size_t ahead) {
    assert_true(s->n_refs < SINK_REFS);
    struct sink_ref *l = &s->refs[s->n_refs++];
    *l = (struct sink_ref){.sink = s, .end = s->expected_len + ahead};
    return l;
}

/* The socket takes up to `bytes` of what is offered in up to `max` pieces. */
static void sink_take(struct sink *s, size_t max, size_t bytes) {
    struct iovec iov[64];
    assert_true(max <= 64);
    size_t n = reply_peek(&s->reply, iov, max), taken = 0;
    assert_true(n <= max);
    assert_true((n == 0) == (s->reply.pending == 0));
    for (size_t i = 0; i < n && taken < bytes; i++) {
        assert_true(iov[i].iov_len > 0);
        size_t part = iov[i].iov_len < bytes - taken ? iov[i].iov_len : bytes - taken;
        assert_true(s->got_len + part <= s->expected_len);
        memcpy(s->got + s->got_len, iov[i].iov_base, part);
        s->got_len += part;
        taken += part;
    }
    reply_sent(&s->reply, taken);
    assert_int_equal(s->reply.pending, s->expected_len - s->got_len);
    /* Released: all that are wholly sent, and no other. */
    for (size_t i = s->n_released; i < s->n_refs; i++) assert_true(s->refs[i].end > s->got_len);
    if (s->n_released) assert_true(s->refs[s->n_released - 1].end <= s->got_len);
}

static void sink_check(struct sink *s) {
    while (s->reply.pending) sink_take(s, 64, SIZE_MAX);
    assert_int_equal(s->got_len, s->expected_len);
    assert_memory_equal(s->got, s->expected, s->got_len);
    assert_int_equal(s->n_released, s->n_refs);
    assert_null(s->reply.first);
}

static void write_all_verbs(struct reply *r) {
    reply_status(r, "OK");
    reply_errorf(r, ERROR_SCHEMA, "field '%s'\r\nis\tf32\x7f", "x");
    reply_error(r, &(struct error){.code = ERROR_ERR, .text = "a\x01…b"});
    reply_integer(r, -7);
    reply_double(r, 0.5);
    reply_boolean(r, true);
    reply_boolean(r, false);
    reply_bulk(r, span_of("a\0\r\nb", 5));
    reply_bulk(r, (struct span){NULL, 0});
    reply_text(r, "text");
    reply_verbatim(r, SPAN_LITERAL("some text"));
    reply_null(r);
    reply_null_array(r);
    reply_array(r, 0);
    reply_array(r, 12);
    reply_map(r, 6);
    reply_set(r, 3);
    reply_push(r, 2);
}

static void test_verbs_in_resp2(void **state) {
    (void)state;
    struct sink s;
    sink_open(&s, 2);
    write_all_verbs(&s.reply);
    sink_expect_text(&s, "+OK\r\n-SCHEMA field 'x'  is f32 \r\n-ERR a …b\r\n:-7\r\n$3\r\n0.5\r\n"
                         ":1\r\n:0\r\n$5\r\na");
    sink_expect(&s, "\0\r\nb\r\n$0\r\n\r\n", 12);
    sink_expect_text(&s, "$4\r\ntext\r\n$9\r\nsome text\r\n$-1\r\n*-1\r\n*0\r\n*12\r\n*12\r\n"
                         "*3\r\n*2\r\n");
    sink_check(&s);
    sink_close(&s);
}

static void test_verbs_in_resp3(void **state) {
    (void)state;
    struct sink s;
    sink_open(&s, 3);
    write_all_verbs(&s.reply);
    sink_expect_text(&s, "+OK\r\n-SCHEMA field 'x'  is f32 \r\n-ERR a …b\r\n:-7\r\n,0.5\r\n"
                         "#t\r\n#f\r\n$5\r\na");
    sink_expect(&s, "\0\r\nb\r\n$0\r\n\r\n", 12);
    sink_expect_text(&s, "$4\r\ntext\r\n=13\r\ntxt:some text\r\n_\r\n_\r\n*0\r\n*12\r\n%6\r\n"
                         "~3\r\n>2\r\n");
    sink_check(&s);
    sink_close(&s);
}

static void test_integers(void **state) {
    (void)state;
    struct sink s;
    sink_open(&s, 3);
    char text[32];
    for (int shift = 0; shift < 64; shift++) {
        for (int64_t off = -11; off <= 11; off++) {
            int64_t value = (int64_t)((UINT64_C(1) << shift) + (uint64_t)off);
            reply_integer(&s.reply, value);
            snprintf(text, sizeof(text), ":%" PRId64 "\r\n", value);
            sink_expect_text(&s, text);
        }
    }
    for (uint64_t power = 1; power <= UINT64_MAX / 10; power *= 10) {
        for (uint64_t value = power - 1; value != power + 2; value++) {
            reply_array(&s.reply, value);
            snprintf(text, sizeof(text), "*%" PRIu64 "\r\n", value);
            sink_expect_text(&s, text);
        }
    }
    reply_array(&s.reply, SIZE_MAX);
    sink_expect_text(&s, "*18446744073709551615\r\n");
    sink_check(&s);
    sink_close(&s);
}

static void test_doubles(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } examples[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e300, "1e+300"},
        {5e-324, "4.94065645841247e-324"},
        {123456789012345, "123456789012345"},
        {__builtin_inf(), "inf"},
        {-__builtin_inf(), "-inf"},
        {__builtin_nan(""), "nan"},
    };
    struct sink s;
    sink_open(&s, 3);
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
        char text[64];
        s.reply.protocol = 3;
        reply_double(&s.reply, examples[i].value);
        s.reply.protocol = 2;
        reply_double(&s.reply, examples[i].value);
        snprintf(text, sizeof(text), ",%s\r\n$%zu\r\n%s\r\n", examples[i].text,
                 strlen(examples[i].text), examples[i].text);
        sink_expect_text(&s, text);
    }
    sink_check(&s);
    sink_close(&s);
}

/* An error is one line, as long as it may be, whatever is in it. */
static void test_errors_are_one_line(void **state) {
    (void)state;
    struct sink s;
    sink_open(&s, 2);
    struct error e = {.code = ERROR_NOKEY};
    for (size_t i = 0; i < sizeof(e.text); i++) e.text[i] = (char)(i % 255 + 1); /* no end */
    reply_error(&s.reply, &e);
    struct iovec iov[2];
    assert_int_equal(reply_peek(&s.reply, iov, 2), 1);
    char *line = iov[0].iov_base;
    size_t len = iov[0].iov_len;
    assert_int_equal(len, strlen("-NOKEY ") + sizeof(e.text) + 2);
    assert_memory_equal(line, "-NOKEY ", 7);
    assert_memory_equal(line + len - 2, "\r\n", 2);
    for (size_t i = 0; i < len - 2; i++)
        assert_true((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
    sink_close(&s);
}

static char *pattern(size_t len) {
    char *bytes = malloc(len + 1);
    for (size_t i = 0; i < len; i++) bytes[i] = (char)(i * 131 + i / 251);
    return bytes;
}

static void sink_bulk(struct sink *s, const char *bytes, size_t len) {
    char header[32];
    snprintf(header, sizeof(header), "$%zu\r\n", len);
    sink_expect_text(s, header);
    sink_expect(s, bytes, len);
    sink_expect(s, "\r\n", 2);
}

static void count_release(void *context) {
    ++*(int *)context;
}

static void sink_write_ref(struct sink *s, const char *bytes, size_t len) {
    char header[32];
    int n = snprintf(header, sizeof(header), "$%zu\r\n", len);
    if (len >= REPLY_REF_FROM) {
        struct sink_ref *l = sink_add_ref(s, (size_t)n + len);
        reply_ref(&s->reply, span_of(bytes, len), sink_release, l);
        assert_false(l->released);
    } else {
        int released = 0;
        reply_ref(&s->reply, span_of(bytes, len), count_release, &released);
        assert_int_equal(released, 1);
    }
    sink_bulk(s, bytes, len);
}

/* Around the size of a block, at every fill of the block that comes before. */
static void test_bulks_cross_blocks(void **state) {
    (void)state;
    enum { BLOCK = 16 * 1024 };
    char *bytes = pattern(3 * BLOCK);
    for (size_t before = BLOCK - 200; before < BLOCK; before++) {
        struct sink s;
        sink_open(&s, 2);
        static const size_t sizes[] = {0, 1, 60, BLOCK - 100, BLOCK, BLOCK + 1, 3 * BLOCK};
        reply_bulk(&s.reply, span_of(bytes, before));
        sink_bulk(&s, bytes, before);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            reply_bulk(&s.reply, span_of(bytes, sizes[i]));
            sink_bulk(&s, bytes, sizes[i]);
        }
        sink_check(&s);
        sink_close(&s);
    }
    free(bytes);
}

/* One reply with everything in it, sent n bytes at a time. */
static void test_partial_sends(void **state) {
    (void)state;
    char *bytes = pattern(REPLY_REF_FROM + 3);
    for (size_t step = 1; step < REPLY_REF_FROM + 40; step += step < 70 ? 1 : 31) {
        struct sink s;
        sink_open(&s, 2);
        sink_write_ref(&s, bytes, REPLY_REF_FROM);
        sink_write_ref(&s, bytes, REPLY_REF_FROM + 3);
        reply_array(&s.reply, 2);
        sink_expect_text(&s, "*2\r\n");
        for (size_t i = 0; s.reply.pending; i++) sink_take(&s, 1 + i % 5, step);
        sink_check(&s);
        sink_close(&s);
    }
    free(bytes);
}

static void test_small_refs_are_copied(void **state) {
    (void)state;
    struct sink s;
    sink_open(&s, 2);
    char *bytes = pattern(REPLY_REF_FROM);
    sink_write_ref(&s, bytes, 0);
    sink_write_ref(&s, NULL, 0);
    sink_write_ref(&s, bytes, REPLY_REF_FROM - 1);
    assert_int_equal(s.n_refs, 0);
    memset(bytes, 0, REPLY_REF_FROM); /* released: the memory may change */
    sink_check(&s);
    sink_close(&s);
    free(bytes);
}

/* A bulk in parts: reserved, copied, by reference; all of them, and none. */
static void test_bulk_in_parts(void **state) {
    (void)state;
    char *bytes = pattern(40000);
    struct sink s;
    sink_open(&s, 2);
    struct reply *r = &s.reply;
    reply_bulk_begin(r, 40000);
    memcpy(reply_bulk_reserve(r, 17000), bytes, 17000); /* more than a block holds */
    reply_bulk_copy(r, span_of(bytes + 17000, 3000));
    struct sink_ref *l = sink_add_ref(&s, 8 + 30000);
    reply_bulk_ref(r, span_of(bytes + 20000, 10000), sink_release, l);
    memcpy(reply_bulk_reserve(r, 10000), bytes + 30000, 10000);
    reply_bulk_end(r);
    sink_bulk(&s, bytes, 40000);
    reply_bulk_begin(r, 0);
    reply_bulk_end(r);
    sink_bulk(&s, NULL, 0);
    sink_check(&s);
    sink_close(&s);
    free(bytes);
}

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void random_verb(struct sink *s, uint64_t *random, const char *bytes) {
    size_t len = random_next(random) % 100;
    switch (random_next(random) % 8) {
    case 0:
        len = REPLY_REF_FROM - 2 + random_next(random) % 5000;
        /* fall through */
    case 1: sink_write_ref(s, bytes, len); break;
    case 2:
        len *= 300;
        reply_bulk(&s->reply, span_of(bytes, len));
        sink_bulk(s, bytes, len);
        break;
    case 3:
        reply_bulk_begin(&s->reply, len);
        memcpy(reply_bulk_reserve(&s->reply, len), bytes, len);
        reply_bulk_end(&s->reply);
        sink_bulk(s, bytes, len);
        break;
    case 4:
        reply_status(&s->reply, "OK");
        sink_expect_text(s, "+OK\r\n");
        break;
    case 5:
        for (int i = 0; i < 20; i++) sink_take(s, 1 + random_next(random) % 64, len * 50);
        break;
    default: reply_bulk(&s->reply, span_of(bytes, len)); sink_bulk(s, bytes, len);
    }
}

static void test_random_replies(void **state) {
    (void)state;
    char *bytes = pattern(64 * 1024);
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct sink s;
        uint64_t random = seed;
        sink_open(&s, 2);
        for (int i = 0; i < 800; i++) random_verb(&s, &random, bytes);
        sink_check(&s);
        sink_close(&s);
    }
    free(bytes);
}

/* Dropped anywhere: what was not sent is released then, once (sink_close counts). */
static void test_drop(void **state) {
    (void)state;
    char *bytes = pattern(8000);
    for (size_t sent = 0; sent < 5000; sent += 7) {
        struct sink s;
        sink_open(&s, 2);
        for (int i = 0; i < 5; i++) sink_write_ref(&s, bytes, REPLY_REF_FROM);
        for (size_t left = sent; left; left -= left > 900 ? 900 : left)
            sink_take(&s, 8, left > 900 ? 900 : left);
        assert_true(s.n_released < 5);
        reply_drop(&s.reply);
        assert_int_equal(s.n_released, 5);
        assert_int_equal(s.reply.pending, 0);
        s.expected_len = s.got_len = s.n_refs = s.n_released = 0;
        reply_status(&s.reply, "OK"); /* usable as before */
        sink_expect_text(&s, "+OK\r\n");
        sink_check(&s);
        sink_close(&s);
    }
    free(bytes);
}

static void test_discard(void **state) {
    (void)state;
    char *bytes = pattern(20000);
    struct sink s;
    sink_open(&s, 2);
    s.reply.discard = true;
    for (int protocol = 2; protocol <= 3; protocol++) {
        s.reply.protocol = protocol;
        write_all_verbs(&s.reply);
    }
    int released = 0;
    reply_ref(&s.reply, span_of(bytes, 20000), count_release, &released);
    assert_int_equal(released, 1);
    static const size_t sizes[] = {1, 100, 60000, 50, 200000, 0};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        reply_bulk_begin(&s.reply, sizes[i]);
        char *room = reply_bulk_reserve(&s.reply, sizes[i]);
        assert_non_null(room);
        memset(room, 1, sizes[i]); /* ASan looks */
        reply_bulk_end(&s.reply);
    }
    assert_int_equal(s.reply.pending, 0);
    assert_null(s.reply.first);
    assert_true(reply_pool_bytes(s.pool) < 20000); /* the 200,000 are gone again */
    s.reply.discard = false;
    reply_integer(&s.reply, 3);
    sink_expect_text(&s, ":3\r\n");
    sink_check(&s);
    sink_close(&s);
    free(bytes);
}

/* An idle connection holds nothing, and after a burst the pool keeps only a little. */
static void test_pool_gives_memory_back(void **state) {
    (void)state;
    enum { KEPT = 4 << 20, BURST = 64 << 20 };
    size_t before = mem_used();
    struct reply_pool *pool = reply_pool_new();
    char *bytes = pattern(100000);
    size_t with_bytes = mem_used();
    struct reply many[64];
    for (int i = 0; i < 64; i++) {
        reply_init(&many[i], pool);
        for (int j = 0; j < 11; j++) reply_bulk(&many[i], span_of(bytes, 100000));
        reply_bulk_begin(&many[i], 100000);
        memset(reply_bulk_reserve(&many[i], 100000), 1, 100000);
        reply_bulk_end(&many[i]);
    }
    assert_true(reply_pool_bytes(pool) >= BURST);
    for (int i = 0; i < 64; i++) {
        reply_sent(&many[i], many[i].pending);
        assert_null(many[i].first);
    }
    assert_true(reply_pool_bytes(pool) <= KEPT);
    assert_true(mem_used() - with_bytes <= KEPT + (KEPT >> 4));
    size_t steady = mem_used();
    for (int i = 0; i < 1000; i++) {
        reply_bulk(&many[0], span_of(bytes, 100000));
        reply_sent(&many[0], many[0].pending);
    }
    assert_int_equal(mem_used(), steady);
    reply_pool_free(pool);
    free(bytes);
    assert_int_equal(mem_used(), before);
}

static void in_child(void (*run)(struct reply *r)) {
    struct sink s;
    sink_open(&s, 2);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL); /* not cmocka's, nor a sanitizer's */
        if (!freopen("/dev/null", "w", stderr)) _exit(2);
        run(&s.reply);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    sink_close(&s);
}

static void bulk_too_long(struct reply *r) {
    reply_bulk_begin(r, 5);
    reply_bulk_copy(r, SPAN_LITERAL("abc"));
    reply_bulk_copy(r, SPAN_LITERAL("def"));
}

static void bulk_too_short(struct reply *r) {
    reply_bulk_begin(r, 5);
    reply_bulk_copy(r, SPAN_LITERAL("abcd"));
    reply_bulk_end(r);
}

static void bulk_in_bulk(struct reply *r) {
    reply_bulk_begin(r, 5);
    reply_bulk_begin(r, 5);
}

static void test_miscounted_bulks_end_the_process(void **state) {
    (void)state;
    in_child(bulk_too_long);
    in_child(bulk_too_short);
    in_child(bulk_in_bulk);
}

/* ---- replies that are perhaps too long ---------------------------------------------------- */

/* `n` bulks, every third one by reference. */
static void write_bulks(struct reply *r, size_t n, size_t len, int *released) {
    static char bytes[40000];
    assert_true(len <= sizeof(bytes));
    reply_array(r, n);
    for (size_t i = 0; i < n; i++) {
        if (i % 3 == 2)
            reply_ref(r, span_of(bytes, len), count_release, released);
        else
            reply_bulk(r, span_of(bytes, len));
    }
    reply_bulk_begin(r, 10);
    memset(reply_bulk_reserve(r, 10), 'r', 10);
    reply_bulk_end(r);
}

static size_t peek_all(struct reply *r, char *out, size_t size) {
    struct iovec iov[512];
    size_t n = reply_peek(r, iov, 512), len = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(len + iov[i].iov_len <= size);
        memcpy(out + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    assert_int_equal(len, r->pending);
    return len;
}

/* What was there before stays as it was, what was written behind it goes, and references are
 * released once; then the reply goes on. */
static void test_too_long(void **state) {
    (void)state;
    enum { SIZE = 1 << 20, MOST = 100000 };
    struct reply_pool *pool = reply_pool_new();
    char *before = malloc(SIZE), *after = malloc(SIZE);
    for (size_t first = 0; first < 40; first++) {
        for (size_t n = 1; n < 60; n += 7) {
            struct reply r;
            int kept = 0, gone = 0;
            reply_init(&r, pool);
            if (first) write_bulks(&r, first, first * 50, &kept);
            size_t len = peek_all(&r, before, SIZE);
            int short_ones = kept; /* too short for references */
            struct reply_mark mark = reply_try(&r, len + MOST, SIZE_MAX);
            write_bulks(&r, n, 40000, &gone);
            bool fits = n * 40000 <= MOST;
            assert_true(r.pending <= len + MOST + 40000 + 20 * 1024);
            assert_int_equal(reply_fits(&r, &mark), fits);
            if (!fits) {
                assert_int_equal(gone, n / 3);
                assert_int_equal(peek_all(&r, after, SIZE), len);
                assert_memory_equal(before, after, len);
                assert_false(r.discard);
            }
            mark = reply_try(&r, SIZE_MAX, SIZE_MAX);
            size_t pending = r.pending;
            int again = 0;
            write_bulks(&r, 3, 5000, &again);
            assert_int_equal(again, 0);
            reply_take_back(&r, &mark);
            assert_int_equal(again, 1);
            assert_int_equal(r.pending, pending);
            reply_status(&r, "OK");
            assert_int_equal(r.pending, pending + 5);
            assert_int_equal(kept, short_ones); /* not released before it is sent */
            reply_drop(&r);
        }
    }
    free(before);
    free(after);
    reply_pool_free(pool);
}

/* A reply that discards goes on doing so. */
static void test_too_long_discarded(void **state) {
    (void)state;
    struct reply_pool *pool = reply_pool_new();
    struct reply r;
    int released = 0;
    reply_init(&r, pool);
    r.discard = true;
    struct reply_mark mark = reply_try(&r, 10, SIZE_MAX);
    write_bulks(&r, 30, 30000, &released);
    assert_true(reply_fits(&r, &mark));
    assert_int_equal(released, 10);
    assert_true(r.discard);
    assert_int_equal(r.pending, 0);
    reply_pool_free(pool);
}

/* The limit on all replies of a pool: beyond it a reply stops within a block, a short one fits. */
static void test_no_room(void **state) {
    (void)state;
    enum { HELD = 100000, BLOCK = 16 * 1024 };
    struct reply_pool *pool = reply_pool_new();
    struct reply other, r;
    char *bytes = calloc(1, 10 * HELD);
    reply_init(&other, pool);
    reply_init(&r, pool);
    reply_bulk(&other, span_of(bytes, HELD - 2 * BLOCK));
    reply_status(&r, "OK");
    size_t held = reply_pool_held(pool), pending = r.pending;
    for (int i = 0; i < 2; i++) {
        struct reply_mark mark = reply_try(&r, SIZE_MAX, HELD);
        int released = 0;
        if (i) write_bulks(&r, 30, 30000, &released);
        reply_bulk(&r, span_of(bytes, 10 * HELD));
        reply_bulk(&r, span_of(bytes, 10 * HELD));
        assert_true(reply_pool_held(pool) <= HELD + 3 * BLOCK);
        assert_true(r.no_room);
        assert_false(reply_fits(&r, &mark));
        assert_int_equal(released, i ? 10 : 0);
        assert_int_equal(r.pending, pending);
        assert_int_equal(reply_pool_held(pool), held);
    }
    struct reply_mark mark = reply_try(&r, SIZE_MAX, 0);
    reply_bulk(&r, span_of(bytes, BLOCK / 2));
    reply_bulk(&r, span_of(bytes, BLOCK / 4));
    assert_true(reply_fits(&r, &mark));
    reply_bulk(&r, span_of(bytes, 10 * HELD)); /* without a limit again */
    assert_true(r.pending > 10 * HELD);
    reply_drop(&r);
    reply_drop(&other);
    assert_int_equal(reply_pool_held(pool), 0);
    free(bytes);
    reply_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verbs_in_resp2),
        cmocka_unit_test(test_verbs_in_resp3),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_errors_are_one_line),
        cmocka_unit_test(test_bulks_cross_blocks),
        cmocka_unit_test(test_partial_sends),
        cmocka_unit_test(test_small_refs_are_copied),
        cmocka_unit_test(test_bulk_in_parts),
        cmocka_unit_test(test_random_replies),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(test_pool_gives_memory_back),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_too_long_discarded),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_miscounted_bulks_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
