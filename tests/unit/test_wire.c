/* The RESP parser: what it accepts, refuses and reads directly, and that none of it depends on
 * where the pieces end. Transcripts are explained in support/feed.h; the reply writer is in
 * test_reply.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../support/feed.h"
#include "base/mem.h"

static const struct resp_limits LIMITS = {
    .max_args = 8, .max_bulk = 40, .max_inline = 48, .max_total = 64, .direct_from = 10};
enum { REFUSE_FROM = 30 };

#define PROTOCOL "!Protocol error: "

struct example {
    const char *input;
    size_t len;
    const char *transcript;
};

#define NINE "$9\r\n123456789\r\n"
#define EXAMPLE(input, transcript)                                                                 \
    { input, sizeof(input) - 1, transcript }

static const struct example EXAMPLES[] = {
    /* Arrays of bulks. */
    EXAMPLE("*1\r\n$4\r\nPING\r\n", "[PING];"),
    EXAMPLE("*2\r\n$3\r\nGET\r\n$4\r\n\0\r\n\xff\r\n", "[GET][\\x00\\x0d\\x0a\\xff];"),
    EXAMPLE("*3\r\n$1\r\na\r\n$0\r\n\r\n$0\r\n\r\n", "[a][][];"),
    EXAMPLE("*0\r\n*-1\r\n*-12\r\n*1\r\n$1\r\na\r\n", ";;;[a];"),
    EXAMPLE("*8\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n"
            "$1\r\nh\r\n*1\r\n$1\r\ni\r\n",
            "[a][b][c][d][e][f][g][h];[i];"),
    /* Landed from 10 bytes up, refused from 30 up, wherever they stand. */
    EXAMPLE("*1\r\n$9\r\n123456789\r\n", "[123456789];"),
    EXAMPLE("*1\r\n$10\r\n1234567890\r\n", "[@1234567890];"),
    EXAMPLE("*4\r\n$3\r\nPUT\r\n$11\r\n12345\r\n6789\r\n$1\r\nv\r\n$12\r\nabcdefghijkl\r\nPING\n",
            "[PUT][@12345\\x0d\\x0a6789][v][@abcdefghijkl];[PING];"),
    EXAMPLE("*3\r\n$10\r\nabcdefghij\r\n$30\r\n123456789012345678901234567890\r\n$1\r\nx\r\n"
            "*1\r\n$1\r\na\r\n",
            "[@abcdefghij][~30][x];[a];"),
    /* Inline. */
    EXAMPLE("PING\r\nPING\n  \t get  key\t\r\n", "[PING];[PING];[get][key];"),
    EXAMPLE("\r\n\n   \r\n\r\r\nx\r\n", ";;;;[x];"),
    EXAMPLE("set k \"a\\x41\\n\\r\\t\\b\\a\\\"\\\\\\q\\x4g\" ''\r\n",
            "[set][k][aA\\x0a\\x0d\\x09\\x08\\x07\"\\x5cqx4g][];"),
    EXAMPLE("a 'b \\' \\n \"c' d\"e f\"\r\n", "[a][b\\x20'\\x20\\x5cn\\x20\"c][de\\x20f];"),
    EXAMPLE("a\0b \xff\n", "[a\\x00b][\\xff];"),
    EXAMPLE("1 2 3 4 5 6 7 8\n*1\r\n$1\r\na\r\n", "[1][2][3][4][5][6][7][8];[a];"),
    EXAMPLE("0123456789abcdef0123456789abcdef0123456789abcdef\r\nx\n",
            "[0123456789abcdef0123456789abcdef0123456789abcdef];[x];"),
    /* Not whole yet. */
    EXAMPLE("*", ""),
    EXAMPLE("*1\r\n$4\r\nPING\r", ""),
    EXAMPLE("PING\r", ""),
    EXAMPLE("*1\r\n$12\r\nabcdefghijkl\r", ""),
    /* Headers that are none. */
    EXAMPLE("*\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*x\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*1x\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*+1\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*01\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*-0\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*--1\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*1\n$1\r\na\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*1\r$1\r\na\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*18446744073709551617\r\n", PROTOCOL "invalid multibulk length"),
    EXAMPLE("*9\r\n", PROTOCOL "invalid multibulk length: 9 arguments, a request has at most 8"),
    EXAMPLE("*3000000000\r\n",
            PROTOCOL "invalid multibulk length: 3000000000 arguments, a request has at most 8"),
    EXAMPLE("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", PROTOCOL "expected '$', got 'f'"),
    EXAMPLE("*1\r\n\0", PROTOCOL "expected '$', got '\\x00'"),
    EXAMPLE("*2\r\n$1\r\na\r\n*1\r\n", PROTOCOL "expected '$', got '*'"),
    EXAMPLE("*1\r\n$\r\n", PROTOCOL "invalid bulk length"),
    EXAMPLE("*1\r\n$-1\r\n", PROTOCOL "invalid bulk length"),
    EXAMPLE("*1\r\n$-10\r\n", PROTOCOL "invalid bulk length"),
    EXAMPLE("*1\r\n$blabla\r\n", PROTOCOL "invalid bulk length"),
    EXAMPLE("*1\r\n$00\r\n\r\n", PROTOCOL "invalid bulk length"),
    EXAMPLE("*2\r\n$1\r\na\r\n$09\r\n123456789\r\n", PROTOCOL "invalid bulk length"),
    EXAMPLE("*2\r\n$1\r\na\r\n$1\n\na\r\n---", PROTOCOL "invalid bulk length"),
    EXAMPLE("*1\r\n$9999999999999999999999\r\n", PROTOCOL "invalid bulk length"),
    /* Beyond a limit, which the error names. */
    EXAMPLE("*1\r\n$41\r\n", PROTOCOL "invalid bulk length: 41 bytes, a bulk has at most 40"),
    EXAMPLE("*1\r\n$999999999999999999\r\n",
            PROTOCOL "invalid bulk length: 999999999999999999 bytes, a bulk has at most 40"),
    EXAMPLE("*3\r\n$30\r\n123456789012345678901234567890\r\n$30\r\n"
            "123456789012345678901234567890\r\n$5\r\n",
            PROTOCOL "request too large: its arguments hold at most 64 bytes in all"),
    EXAMPLE("*3\r\n$40\r\n1234567890123456789012345678901234567890\r\n$20\r\n"
            "12345678901234567890\r\n$4\r\nabcd\r\n",
            "[~40][@12345678901234567890][abcd];"),
    EXAMPLE("*8\r\n" NINE NINE NINE NINE NINE NINE NINE "$2\r\n",
            PROTOCOL "request too large: its arguments hold at most 64 bytes in all"),
    EXAMPLE("*6\r\n" NINE NINE NINE NINE NINE "$20\r\n",
            PROTOCOL "request too large: its arguments hold at most 64 bytes in all"),
    EXAMPLE("*8\r\n" NINE NINE NINE NINE NINE NINE NINE "$1\r\nx\r\n",
            "[123456789][123456789][123456789][123456789][123456789][123456789][123456789][x];"),
    EXAMPLE("*6\r\n" NINE NINE NINE NINE NINE "$19\r\n1234567890123456789\r\n",
            "[123456789][123456789][123456789][123456789][123456789][@1234567890123456789];"),
    EXAMPLE("0123456789abcdef0123456789abcdef0123456789abcdefX\n",
            PROTOCOL "too big inline request: at most 48 bytes"),
    EXAMPLE("0123456789abcdef0123456789abcdef0123456789abcdefXY",
            PROTOCOL "too big inline request: at most 48 bytes"),
    EXAMPLE("1 2 3 4 5 6 7 8 9\n", PROTOCOL "more than 8 arguments"),
    /* Out of step. */
    EXAMPLE("*1\r\n$4\r\nPINGS\r\n",
            PROTOCOL "expected CRLF after a bulk of 4 bytes, got 'S\\x0d'"),
    EXAMPLE("*2\r\n$1\r\na\r\n$4\r\nPING\n\n------",
            PROTOCOL "expected CRLF after a bulk of 4 bytes, got '\\x0a\\x0a'"),
    EXAMPLE("*1\r\n$10\r\n12345678901\r\n",
            PROTOCOL "expected CRLF after a bulk of 10 bytes, got '1\\x0d'"),
    EXAMPLE("set \"\"\"k\"\"\" v\r\n", PROTOCOL "unbalanced quotes in request"),
    EXAMPLE("set \"k\r\n", PROTOCOL "unbalanced quotes in request"),
    EXAMPLE("set 'k\\'\r\n", PROTOCOL "unbalanced quotes in request"),
    EXAMPLE("set 'k'v\r\n", PROTOCOL "unbalanced quotes in request"),
    EXAMPLE("set \"k\\\r\n", PROTOCOL "unbalanced quotes in request"),
    EXAMPLE("set \"k\\x\n", PROTOCOL "unbalanced quotes in request"),
    EXAMPLE("ok\r\nset \"k\\\"\r\nPING\r\n", "[ok];" PROTOCOL "unbalanced quotes in request"),
};
enum { N_EXAMPLES = sizeof(EXAMPLES) / sizeof(*EXAMPLES) };

static void check_transcript(struct feed *f, const struct example *e) {
    assert_string_equal(f->transcript, e->transcript);
    feed_free(f);
}

static void test_examples_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        struct feed f;
        feed_init(&f, &LIMITS, REFUSE_FROM);
        feed_piece(&f, EXAMPLES[i].input, EXAMPLES[i].len);
        check_transcript(&f, &EXAMPLES[i]);
    }
}

static void test_examples_cut_in_two(void **state) {
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        const struct example *e = &EXAMPLES[i];
        for (size_t cut = 0; cut <= e->len; cut++) {
            struct feed f;
            feed_init(&f, &LIMITS, REFUSE_FROM);
            feed_piece(&f, e->input, cut);
            feed_piece(&f, e->input + cut, e->len - cut);
            check_transcript(&f, e);
        }
    }
}

static void test_examples_byte_by_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        struct feed f;
        feed_init(&f, &LIMITS, REFUSE_FROM);
        for (size_t at = 0; at < EXAMPLES[i].len; at++) feed_piece(&f, EXAMPLES[i].input + at, 1);
        check_transcript(&f, &EXAMPLES[i]);
    }
}

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* All examples that do not end in an error, as one stream, in random pieces. */
static void test_stream_in_random_pieces(void **state) {
    (void)state;
    static char input[8192];
    char expected[8192] = "";
    size_t len = 0;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        const struct example *e = &EXAMPLES[i];
        size_t n = strlen(e->transcript);
        if (!n || e->transcript[n - 1] != ';') continue;
        memcpy(input + len, e->input, e->len);
        len += e->len;
        strcat(expected, e->transcript);
    }
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint64_t random = seed;
        size_t largest = 1 + random_next(&random) % 60;
        struct feed f;
        feed_init(&f, &LIMITS, REFUSE_FROM);
        for (size_t at = 0, n; at < len; at += n) {
            n = 1 + random_next(&random) % largest;
            if (n > len - at) n = len - at;
            feed_piece(&f, input + at, n);
        }
        assert_string_equal(f.transcript, expected);
        feed_free(&f);
    }
}

/* A connection may end anywhere: no memory of a direct read stays behind. feed_free checks. */
static void test_connection_lost_anywhere(void **state) {
    (void)state;
    static const char input[] = "*3\r\n$11\r\n12345\r\n6789\r\n$1\r\nv\r\n$12\r\nabcdefghijkl\r\n";
    size_t most = 0;
    for (size_t cut = 0; cut < sizeof(input); cut++) {
        struct feed f;
        feed_init(&f, &LIMITS, REFUSE_FROM);
        feed_piece(&f, input, cut);
        if (f.live > most) most = f.live;
        feed_free(&f);
    }
    assert_int_equal(most, 2);
}

/* What a bulk is missing is known once its header is there, unless it is read directly. */
static void test_what_a_bulk_is_missing(void **state) {
    (void)state;
    static char run[] = "*3\r\n$4\r\nPING\r\n$9\r\nabcdefghi\r\n$20\r\nabc";
    enum { FIRST = 8, FIRST_END = 14, SECOND = 18, SECOND_END = 29 }; /* CRLF included */
    struct error e;
    struct feed f;
    feed_init(&f, &LIMITS, REFUSE_FROM);
    for (size_t len = 1; len < sizeof(run); len++) {
        size_t missing = 0;
        if (len >= FIRST && len < FIRST_END) missing = FIRST_END - len;
        if (len >= SECOND && len < SECOND_END) missing = SECOND_END - len;
        assert_int_equal(resp_parse(&f.parser, span_of(run, len), &e), RESP_MORE);
        assert_int_equal(resp_missing(&f.parser, len), missing);
    }
    feed_free(&f);
}

/* The bytes of a direct read go where the parser says, and only there. */
static void test_direct_read(void **state) {
    (void)state;
    struct feed f;
    feed_init(&f, &LIMITS, REFUSE_FROM);
    feed_piece(&f, "*2\r\n$20\r\nabc", 12);
    void *memory = NULL;
    assert_int_equal(resp_direct_read(&f.parser, &memory), 17);
    struct feed_direct *direct = f.parser.argv[0].direct;
    assert_ptr_equal(memory, direct->bytes + 3);
    assert_int_equal(resp_held(&f.parser), 3); /* as far as it has arrived */
    assert_int_equal(resp_outstanding(&f.parser), 17);
    memcpy(memory, "defghijklmnopqrst", 17);
    resp_direct_arrived(&f.parser, 16);
    assert_int_equal(resp_direct_read(&f.parser, &memory), 1);
    assert_ptr_equal(memory, direct->bytes + 19);
    resp_direct_arrived(&f.parser, 1);
    assert_int_equal(resp_direct_read(&f.parser, &memory), 0);
    feed_piece(&f, "\r\n$35\r\n", 7);
    assert_int_equal(resp_direct_read(&f.parser, &memory), 35);
    assert_null(memory); /* refused */
    assert_int_equal(resp_held(&f.parser), 20);
    resp_direct_arrived(&f.parser, 35);
    feed_piece(&f, "\r\n", 2);
    assert_string_equal(f.transcript, "[@abcdefghijklmnopqrst][~35];");
    assert_int_equal(resp_held(&f.parser), 0);
    feed_free(&f);
}

/* A request that is shed at any place keeps nothing of its bulks in the run, ends as refused where
 * it ends, and the next one is whole. */
static void test_shed_anywhere(void **state) {
    (void)state;
    static const char bytes[] = "*4\r\n$3\r\nabc\r\n$12\r\n0123456789ab\r\n$0\r\n\r\n$20\r\n"
                                "01234567890123456789\r\n";
    enum { LEN = sizeof(bytes) - 1, HEADER = 22 };
    for (size_t at = 1; at < LEN; at++) {
        struct feed f; /* for its direct reads */
        feed_init(&f, &LIMITS, SIZE_MAX);
        struct resp_parser *p = &f.parser;
        char run[LEN + 16];
        size_t len = 0, fed = 0;
        bool shed = false;
        enum resp_status status = RESP_MORE;
        while (status == RESP_MORE && fed < LEN) {
            void *memory;
            size_t direct = resp_direct_read(p, &memory);
            if (direct) {
                if (memory) *(char *)memory = bytes[fed];
                resp_direct_arrived(p, 1);
            } else {
                run[len++] = bytes[fed];
            }
            fed++;
            status = resp_parse(p, span_of(run, len), NULL);
            if (fed == at && status == RESP_MORE && resp_shed(p)) {
                shed = true;
                status = resp_parse(p, span_of(run, len), NULL);
                assert_int_equal(resp_held(p) + resp_outstanding(p), 0);
                assert_false(resp_shed(p));
            }
            size_t done = status == RESP_MORE ? resp_forget(p) : 0;
            memmove(run, run + done, len -= done);
            if (shed && status == RESP_MORE) assert_true(len <= HEADER);
        }
        assert_int_equal(status, RESP_COMMAND);
        assert_int_equal(fed, LEN);
        assert_int_equal(p->used, len);
        assert_int_equal(p->refused, shed);
        assert_int_equal(p->argc, shed ? 0 : 4);
        assert_int_equal(shed, at >= 4);
        resp_next(p);
        memcpy(run, "*1\r\n$1\r\nx\r\n", 11);
        assert_int_equal(resp_parse(p, span_of(run, 11), NULL), RESP_COMMAND);
        assert_int_equal(p->argc, 1);
        assert_false(p->refused);
        resp_next(p);
        feed_free(&f);
    }
}

static const struct resp_limits WIDE = {.max_args = 1 << 20,
                                        .max_bulk = (size_t)1 << 62,
                                        .max_inline = 64 * 1024,
                                        .max_total = (size_t)1 << 62,
                                        .direct_from = SIZE_MAX};

/* argv grows with what arrives, not with what is announced, and shrinks again. */
static void test_argv_grows_with_arguments(void **state) {
    (void)state;
    enum { ARGS = 100000, SMALL = 16 * 1024 };
    struct resp_parser p;
    resp_init(&p, &WIDE, NULL);
    size_t room = 32 + ARGS * 7, len = 0, before = mem_used();
    char *run = malloc(room);
    size_t run_memory = mem_used() - before;
    len = (size_t)sprintf(run, "*%d\r\n", ARGS);
    assert_int_equal(resp_parse(&p, span_of(run, len), NULL), RESP_MORE);
    assert_true(mem_used() - before - run_memory < SMALL);
    for (size_t i = 0; i < ARGS; i++) {
        memcpy(run + len, "$1\r\nx\r\n", 7);
        len += 7;
        if (i == 1000) {
            assert_int_equal(resp_parse(&p, span_of(run, len), NULL), RESP_MORE);
            assert_true(mem_used() - before - run_memory < 8 * SMALL);
        }
    }
    assert_int_equal(resp_parse(&p, span_of(run, len), NULL), RESP_COMMAND);
    assert_int_equal(p.argc, ARGS);
    for (size_t i = 0; i < ARGS; i++) assert_true(p.argv[i].bytes.ptr[0] == 'x');
    assert_true(resp_held(&p) >= ARGS * sizeof(*p.argv));
    resp_next(&p);
    assert_int_equal(resp_held(&p), 0);
    assert_true(mem_used() - before - run_memory < SMALL);
    resp_free(&p);
    free(run);
    assert_int_equal(mem_used(), before);
}

/* The steady path of a connection allocates nothing. */
static void test_steady_path_allocates_nothing(void **state) {
    (void)state;
    static char put[] = "*4\r\n$6\r\nTQ.PUT\r\n$1\r\np\r\n$1\r\nk\r\n$3\r\nabc\r\n";
    struct resp_parser p;
    resp_init(&p, &WIDE, NULL);
    size_t held = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(resp_parse(&p, span_of(put, sizeof(put) - 1), NULL), RESP_COMMAND);
        resp_next(&p);
        if (i == 0) held = mem_used();
    }
    assert_int_equal(mem_used(), held);
    resp_free(&p);
}

/* Lengths near the top of size_t go through every comparison unharmed. */
static void test_huge_lengths_do_not_wrap(void **state) {
    (void)state;
    char run[] = "*3\r\n$1\r\na\r\n$999999999999999999\r\nxyz";
    struct resp_limits limits = WIDE;
    limits.max_bulk = limits.max_total = SIZE_MAX;
    struct resp_parser p;
    resp_init(&p, &limits, NULL);
    for (size_t len = 1; len < sizeof(run); len++)
        assert_int_equal(resp_parse(&p, span_of(run, len), NULL), RESP_MORE);
    resp_free(&p);

    char line[] = "PING\r\n";
    limits.max_inline = SIZE_MAX;
    resp_init(&p, &limits, NULL);
    for (size_t len = 1; len < sizeof(line) - 1; len++)
        assert_int_equal(resp_parse(&p, span_of(line, len), NULL), RESP_MORE);
    assert_int_equal(resp_parse(&p, span_of(line, sizeof(line) - 1), NULL), RESP_COMMAND);
    resp_free(&p);
}

/* A parser that broke off is empty after resp_free and may start anew. */
static void test_free_leaves_a_fresh_parser(void **state) {
    (void)state;
    struct feed f;
    feed_init(&f, &LIMITS, REFUSE_FROM);
    feed_piece(&f, "*2\r\n$10\r\nabcdefghij\r\n:", 22);
    assert_true(f.broken);
    resp_free(&f.parser);
    assert_int_equal(f.live, 0);
    char run[] = "PING\n";
    assert_int_equal(resp_parse(&f.parser, span_of(run, 5), NULL), RESP_COMMAND);
    assert_int_equal(f.parser.argc, 1);
    feed_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_whole),
        cmocka_unit_test(test_examples_cut_in_two),
        cmocka_unit_test(test_examples_byte_by_byte),
        cmocka_unit_test(test_stream_in_random_pieces),
        cmocka_unit_test(test_connection_lost_anywhere),
        cmocka_unit_test(test_what_a_bulk_is_missing),
        cmocka_unit_test(test_direct_read),
        cmocka_unit_test(test_shed_anywhere),
        cmocka_unit_test(test_argv_grows_with_arguments),
        cmocka_unit_test(test_steady_path_allocates_nothing),
        cmocka_unit_test(test_huge_lengths_do_not_wrap),
        cmocka_unit_test(test_free_leaves_a_fresh_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
