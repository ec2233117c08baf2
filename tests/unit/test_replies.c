/* The reply reader: what it reads, refuses and reads directly, that none of it depends on where the
 * pieces end, and that it reads what the reply writer writes. Transcripts: see support/listen.h. */
#include "kit/test.h"

#include "../support/listen.h"
#include "kit/source.h"
#include "wire/reply.h"

static const struct reply_reader_limits LIMITS = {.buffer = 128, .direct_from = 10, .max_bulk = 40};
enum { REFUSE_FROM = 30 };

struct example {
    const char *input;
    size_t len;
    const char *transcript;
};

#define EXAMPLE(input, transcript)                                                                 \
    { input, sizeof(input) - 1, transcript }
#define NOT_RESP "!reply is not RESP: "
#define FOUR "*1\r\n*1\r\n*1\r\n*1\r\n"
#define SIXTEEN FOUR FOUR FOUR FOUR
#define SIXTEEN_SEEN "*1 *1 *1 *1 *1 *1 *1 *1 *1 *1 *1 *1 *1 *1 *1 *1 "
#define TWENTY "01234567890123456789"
#define HUNDRED TWENTY TWENTY TWENTY TWENTY TWENTY

static const struct example EXAMPLES[] = {
    /* RESP2. */
    EXAMPLE("+OK\r\n-ERR no\r\n:-5\r\n+\r\n", "+OK;-ERR no;:-5;+;"),
    EXAMPLE("$4\r\nab\r\n\r\n$0\r\n\r\n$-1\r\n", "[ab\\x0d\\x0a];[];_;"),
    EXAMPLE("*2\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n:7\r\n", "*2 :1 *2 [a] *0;:7;"),
    EXAMPLE("*-1\r\n*0\r\n*1\r\n*-1\r\n", "_;*0;*1 _;"),
    EXAMPLE("*3\r\n$-1\r\n$-1\r\n:0\r\n", "*3 _ _ :0;"),
    /* RESP3. */
    EXAMPLE("_\r\n#t\r\n#f\r\n,1.5\r\n,-inf\r\n,1e3\r\n(123456789012345678901234567890\r\n(-1\r\n",
            "_;#1;#0;,1.5;,-inf;,1000;(123456789012345678901234567890;(-1;"),
    EXAMPLE("%1\r\n+a\r\n:1\r\n~2\r\n:1\r\n:2\r\n%0\r\n", "%2 +a :1;~2 :1 :2;%0;"),
    EXAMPLE("=7\r\ntxt:abc\r\n!6\r\nERR no\r\n", "=[txt:abc];-ERR no;"),
    /* A push message answers no request; what follows it does. */
    EXAMPLE(">2\r\n+a\r\n*1\r\n+b\r\n+c\r\n>0\r\n", ">2 +a *1 +b>;+c;>0>;"),
    EXAMPLE("*2\r\n>1\r\n+a\r\n+b\r\n", "*2 >1 +a +b;"),
    /* An attribute is not the item that it is about, nor an element. */
    EXAMPLE("|1\r\n+a\r\n*1\r\n:1\r\n:2\r\n|0\r\n:3\r\n", "|2 +a *1 :1 :2;|0 :3;"),
    EXAMPLE("*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n|1\r\n|1\r\n+x\r\n+y\r\n+c\r\n+d\r\n:2\r\n+e\r\n",
            "*2 |2 +a +b :1 |2 |2 +x +y +c +d :2;+e;"),
    /* Read directly from 10 bytes up, refused from 30 up. */
    EXAMPLE("$9\r\n123456789\r\n$10\r\n1234567890\r\n", "[123456789];@[1234567890];"),
    EXAMPLE(
        "*3\r\n$12\r\nabc\r\ndef\r\ngh\r\n$30\r\n123456789012345678901234567890\r\n:1\r\n+a\r\n",
        "*3 @[abc\\x0d\\x0adef\\x0d\\x0agh] [~30] :1;+a;"),
    EXAMPLE("!12\r\nERR 12345678\r\n=11\r\ntxt:1234567\r\n", "-@[ERR 12345678];=@[txt:1234567];"),
    /* Not whole yet. */
    EXAMPLE("+OK\r", ""),
    EXAMPLE("$3\r\nabc\r", ""),
    EXAMPLE("$12\r\nabcdefghijkl\r", ""),
    EXAMPLE("*2\r\n:1\r\n", "*2 :1 "),
    EXAMPLE("|1\r\n+a\r\n+b\r\n", "|2 +a +b "),
    /* Not RESP. */
    EXAMPLE("PONG\r\n", NOT_RESP "no type has this first byte, got 'P'"),
    EXAMPLE("\r\n", NOT_RESP "expected a line that ends with CRLF, got '\\x0d\\x0a'"),
    EXAMPLE("+a\n", NOT_RESP "expected a line that ends with CRLF, got '+a\\x0a'"),
    EXAMPLE("+a\rb\r\n", NOT_RESP "expected a line that ends with CRLF, got '+a\\x0db\\x0d\\x0a'"),
    EXAMPLE(":1\r\n:x\r\n", ":1;" NOT_RESP "expected a value of the line's type, got ':x'"),
    EXAMPLE(":\r\n", NOT_RESP "expected a value of the line's type, got ':'"),
    EXAMPLE("#true\r\n", NOT_RESP "expected a value of the line's type, got '#true'"),
    EXAMPLE(",x\r\n", NOT_RESP "expected a value of the line's type, got ',x'"),
    EXAMPLE("(-\r\n", NOT_RESP "expected a value of the line's type, got '(-'"),
    EXAMPLE("_x\r\n", NOT_RESP "expected a value of the line's type, got '_x'"),
    EXAMPLE("$\r\n", NOT_RESP "expected a length or a count, got '$'"),
    EXAMPLE("$?\r\n", NOT_RESP "expected a length or a count, got '$?'"),
    EXAMPLE("$-2\r\n", NOT_RESP "expected a length or a count, got '$-2'"),
    EXAMPLE("*-2\r\n", NOT_RESP "expected a length or a count, got '*-2'"),
    EXAMPLE("%-1\r\n", NOT_RESP "expected a length or a count, got '%-1'"),
    EXAMPLE("=-1\r\n", NOT_RESP "expected a length or a count, got '=-1'"),
    EXAMPLE("*99999999999999999999\r\n",
            NOT_RESP "expected a length or a count, got '*99999999999999999999'"),
    EXAMPLE("=3\r\nabc\r\n", NOT_RESP "expected a verbatim text of at least 4 bytes, got '=3'"),
    EXAMPLE("$1\r\nab\r\n", NOT_RESP "expected CRLF after a bulk, got 'b\\x0d'"),
    EXAMPLE("$10\r\n1234567890\n\n", NOT_RESP "expected CRLF after a bulk, got '\\x0a\\x0a'"),
    /* Beyond a limit. */
    EXAMPLE("$41\r\n", "!reply too large: a bulk of 41 bytes, at most 40"),
    EXAMPLE("$9223372036854775807\r\n",
            "!reply too large: a bulk of 9223372036854775807 bytes, at most 40"),
    EXAMPLE("*4294967297\r\n",
            "!reply too large: 4294967297 elements in one aggregate, at most 4294967296"),
    EXAMPLE("%2147483649\r\n",
            "!reply too large: 2147483649 elements in one aggregate, at most 2147483648"),
    EXAMPLE("*4294967296\r\n:1\r\n", "*4294967296 :1 "),
    EXAMPLE(SIXTEEN SIXTEEN ":1\r\n:2\r\n", SIXTEEN_SEEN SIXTEEN_SEEN ":1;:2;"),
    EXAMPLE(SIXTEEN SIXTEEN "*0\r\n", SIXTEEN_SEEN SIXTEEN_SEEN "*0;"),
    EXAMPLE(SIXTEEN SIXTEEN "*1\r\n", SIXTEEN_SEEN SIXTEEN_SEEN "!reply nested deeper than 32"),
    /* A line of 128 bytes with its CRLF is the longest. */
    EXAMPLE("+" HUNDRED "0123456789012345678901234\r\n:1\r\n",
            "+" HUNDRED "0123456789012345678901234;:1;"),
};
enum { N_EXAMPLES = sizeof(EXAMPLES) / sizeof(*EXAMPLES) };

static void check_transcript(struct listen *l, const struct example *e) {
    assert_string_equal(l->transcript, e->transcript);
    listen_free(l);
}

static void test_examples_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        struct listen l;
        listen_init(&l, &LIMITS, REFUSE_FROM);
        listen_piece(&l, EXAMPLES[i].input, EXAMPLES[i].len);
        check_transcript(&l, &EXAMPLES[i]);
    }
}

static void test_examples_cut_in_two(void **state) {
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++)
        for (size_t cut = 1; cut < EXAMPLES[i].len; cut++) {
            struct listen l;
            listen_init(&l, &LIMITS, REFUSE_FROM);
            listen_piece(&l, EXAMPLES[i].input, cut);
            listen_piece(&l, EXAMPLES[i].input + cut, EXAMPLES[i].len - cut);
            check_transcript(&l, &EXAMPLES[i]);
        }
}

static void test_examples_byte_by_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        struct listen l;
        listen_init(&l, &LIMITS, REFUSE_FROM);
        for (size_t k = 0; k < EXAMPLES[i].len; k++) listen_piece(&l, EXAMPLES[i].input + k, 1);
        check_transcript(&l, &EXAMPLES[i]);
    }
}

static void test_line_without_end_is_bounded(void **state) {
    (void)state;
    for (size_t piece = 1; piece < 200; piece += 66) {
        struct listen l;
        char line[200];
        memset(line, 'x', sizeof(line));
        line[0] = '+';
        listen_init(&l, &LIMITS, REFUSE_FROM);
        for (size_t at = 0; at < sizeof(line) && !l.broken; at += piece)
            listen_piece(&l, line + at, sizeof(line) - at < piece ? sizeof(line) - at : piece);
        assert_true(l.broken);
        assert_non_null(strstr(l.transcript, "a line is too long"));
        listen_free(&l);
    }
}

/* The bytes of a large bulk go where the caller said: the first iovec is its memory, all that is
 * left of it, and the second the buffer. */
static void test_large_bulk_is_read_directly(void **state) {
    (void)state;
    enum { LEN = 1000000 };
    const struct reply_reader_limits limits = {.buffer = 256, .direct_from = 64, .max_bulk = LEN};
    struct listen l;
    struct iovec iov[2];
    listen_init(&l, &limits, SIZE_MAX);
    assert_int_equal(reply_reader_room(&l.reader, iov), 1);
    listen_piece(&l, "*2\r\n$1000000\r\nabc", 17);
    assert_int_equal(reply_reader_room(&l.reader, iov), 2);
    assert_ptr_equal(iov[0].iov_base, l.direct + 3);
    assert_int_equal(iov[0].iov_len, LEN - 3);
    assert_int_equal(iov[1].iov_len, 256);
    memset(iov[0].iov_base, 'x', LEN - 3);
    memcpy(iov[1].iov_base, "\r\n:1\r\n", 6);
    reply_reader_received(&l.reader, LEN + 3);
    assert_memory_equal(l.direct, "abcx", 4);
    assert_int_equal(l.replies, 0);
    listen_drain(&l);
    assert_int_equal(l.n_direct, 1);
    assert_int_equal(l.replies, 1);
    listen_free(&l);
}

/* Without memory a large bulk is skipped, whatever its size, and the reader needs no more of its
 * own. */
static void test_large_bulk_without_memory_is_skipped(void **state) {
    (void)state;
    const struct reply_reader_limits limits = {
        .buffer = 128, .direct_from = 64, .max_bulk = SIZE_MAX};
    struct reply_reader r;
    struct reply_item item;
    struct error error;
    struct iovec iov[2];
    const size_t len = 1000;
    reply_reader_init(&r, &limits, NULL, NULL);
    assert_int_equal(reply_reader_room(&r, iov), 1);
    memcpy(iov[0].iov_base, "$1000\r\n", 7);
    reply_reader_received(&r, 7);
    size_t sent = 0;
    while (reply_reader_next(&r, &item, &error) == REPLY_READER_MORE) {
        assert_true(sent < len + 2);
        assert_int_equal(reply_reader_room(&r, iov), 1);
        size_t part = iov[0].iov_len < len + 2 - sent ? iov[0].iov_len : len + 2 - sent;
        for (size_t i = 0; i < part; i++)
            ((char *)iov[0].iov_base)[i] = "x\r\n"[sent + i < len ? 0 : sent + i - len + 1];
        reply_reader_received(&r, part);
        sent += part;
    }
    assert_int_equal(sent, len + 2);
    assert_true(item.is_refused && item.ends_reply && !item.bytes.ptr);
    assert_int_equal(item.bytes.len, len);
    reply_reader_free(&r);
}

/* ---- what the writer writes ---------------------------------------------------------------- */

/* A reply of random verbs, of so many elements, and its transcript. */
static void write_random(struct source *s, struct reply *r, size_t depth) {
    static const double numbers[] = {0, -1.5, 1e300, 0.1, INFINITY, -INFINITY};
    char text[300];
    size_t len = source_below(s, sizeof(text)), n = source_below(s, 4);
    for (size_t i = 0; i < len; i++) text[i] = (char)source_below(s, 256);
    switch (source_below(s, depth > 4 ? 8 : 13)) {
    case 0: reply_status(r, "OK"); return;
    case 1: reply_errorf(r, ERROR_NOKEY, "there is no %zu", len); return;
    case 2: reply_integer(r, (int64_t)source_word(s)); return;
    case 3: reply_double(r, numbers[source_below(s, 6)]); return;
    case 4: reply_boolean(r, len % 2); return;
    case 5: reply_bulk(r, span_of(text, len)); return;
    case 6: reply_verbatim(r, span_of(text, len)); return;
    case 7: reply_null(r); return;
    case 8: reply_null_array(r); return;
    case 9:
        reply_map(r, n);
        n *= 2;
        break;
    case 10: reply_set(r, n); break;
    case 11: reply_push(r, n); break;
    default: reply_array(r, n);
    }
    while (n--) write_random(s, r, depth + 1);
}

/* Everything that is written is read, reply by reply, in pieces. */
static void test_reads_what_is_written(void **state) {
    (void)state;
    static const struct reply_reader_limits limits = {
        .buffer = 512, .direct_from = 100, .max_bulk = 4096};
    struct reply_pool *pool = reply_pool_new();
    for (uint64_t seed = 0; seed < test_rounds(500); seed++) {
        struct source s = source_of_seed(seed);
        struct reply r;
        struct listen l;
        reply_init(&r, pool);
        r.protocol = seed % 2 ? 2 : 3;
        size_t n = 1 + source_below(&s, 5);
        for (size_t i = 0; i < n; i++) {
            if (r.protocol == 3) reply_array(&r, 1); /* else a push may stand alone */
            write_random(&s, &r, 1);
        }
        listen_init(&l, &limits, SIZE_MAX);
        while (r.pending) {
            struct iovec iov;
            assert_int_equal(reply_peek(&r, &iov, 1), 1);
            size_t part = 1 + source_below(&s, iov.iov_len);
            listen_piece(&l, iov.iov_base, part);
            reply_sent(&r, part);
        }
        assert_false(l.broken);
        assert_int_equal(l.transcript[l.len - 1], ';');
        assert_int_equal(l.replies, n);
        listen_free(&l);
        reply_drop(&r);
    }
    reply_pool_free(pool);
}

static void check_written(struct reply *r, const char *transcript) {
    struct listen l;
    listen_init(&l, &LIMITS, SIZE_MAX);
    while (r->pending) {
        struct iovec iov;
        reply_peek(r, &iov, 1);
        listen_piece(&l, iov.iov_base, iov.iov_len);
        reply_sent(r, iov.iov_len);
    }
    assert_string_equal(l.transcript, transcript);
    listen_free(&l);
}

static void write_each(struct reply *r) {
    reply_status(r, "OK");
    reply_errorf(r, ERROR_SCHEMA, "no");
    reply_double(r, 2.5);
    reply_boolean(r, true);
    reply_verbatim(r, SPAN_LITERAL("a"));
    reply_null(r);
    reply_null_array(r);
    reply_map(r, 1);
    reply_text(r, "k");
    reply_integer(r, INT64_MIN);
    reply_set(r, 0);
}

static void test_values_are_those_written(void **state) {
    (void)state;
    struct reply_pool *pool = reply_pool_new();
    struct reply r;
    reply_init(&r, pool);
    write_each(&r);
    check_written(&r, "+OK;-SCHEMA no;[2.5];:1;[a];_;_;*2 [k] :-9223372036854775808;*0;");
    r.protocol = 3;
    write_each(&r);
    check_written(&r, "+OK;-SCHEMA no;,2.5;#1;=[txt:a];_;_;%2 [k] :-9223372036854775808;~0;");
    reply_drop(&r);
    reply_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_whole),
        cmocka_unit_test(test_examples_cut_in_two),
        cmocka_unit_test(test_examples_byte_by_byte),
        cmocka_unit_test(test_line_without_end_is_bounded),
        cmocka_unit_test(test_large_bulk_is_read_directly),
        cmocka_unit_test(test_large_bulk_without_memory_is_skipped),
        cmocka_unit_test(test_reads_what_is_written),
        cmocka_unit_test(test_values_are_those_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
