/* Layer 0: errors and quoting, scratch, numbers, patterns, bits, memory, hashes, UTF-8, the log. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/random.h"
#include "base/scratch.h"
#include "base/span.h"
#include "base/utf8.h"

#define S SPAN_LITERAL
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static uint64_t random_state = 1;

static uint64_t random_next(void) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state >> 33;
}

/* ---------------------------------------------------------------- spans, errors */

static void test_span_order(void **state) {
    (void)state;
    static const struct span sorted[] = {{NULL, 0}, S("\0"), S("\0\xff"), S("a"),    S("a\0"),
                                         S("a\0b"), S("aa"), S("b"),      S("\x80"), S("\xff")};
    for (int i = 0; i < (int)COUNT(sorted); i++) {
        for (int j = 0; j < (int)COUNT(sorted); j++) {
            int order = span_compare(sorted[i], sorted[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(span_equal(sorted[i], sorted[j]), i == j);
        }
    }
    assert_true(span_is(S("LiMit"), "limit"));
    assert_false(span_is(S("limits"), "limit"));
    assert_false(span_is(S("limi"), "limit"));
    assert_false(span_is(S("limi\0"), "limit"));
}

static void test_error_set(void **state) {
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, ERROR_SCHEMA, "field %s", "f"), ERROR_SCHEMA);
    assert_int_equal(e.code, ERROR_SCHEMA);
    assert_string_equal(e.text, "field f");
    assert_int_equal(error_set(NULL, ERROR_FULL, "%s", "nobody reads this"), ERROR_FULL);

    memset(&e, 'x', sizeof(e));
    error_set(&e, ERROR_ERR, "%0600d", 1);
    assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
    char path[4096];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    error_set(&e, ERROR_ERR, "can't open '%s': it is a pipe", path);
    assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
    assert_non_null(strstr(e.text, "p…p"));
    assert_memory_equal(e.text, "can't open 'ppp", 15);
    assert_string_equal(strstr(e.text, "p'"), "p': it is a pipe");
    for (size_t i = 0; i + 2 < sizeof(path); i += 2) memcpy(path + i, "ä", 2);
    for (const char *begin = "xy"; *begin; begin++) { /* no character is cut into pieces */
        error_set(&e, ERROR_ERR, "%s%s", begin, path);
        assert_true(utf8_is_valid(span_of(e.text, strlen(e.text))));
    }

    assert_string_equal(error_name(ERROR_NOPART), "NOPART");
    for (int code = 0; code < ERROR_CODES; code++) assert_non_null(error_name(code));
}

static void test_error_quote(void **state) {
    (void)state;
    assert_string_equal(QUOTE(S("key:1")), "'key:1'");
    assert_string_equal(QUOTE(((struct span){NULL, 0})), "''");
    assert_string_equal(QUOTE(S("a'b\\c\r\n\0\x7f\xc3\xa9")),
                        "'a\\'b\\\\c\\x0d\\x0a\\x00\\x7f\\xc3\\xa9'");
    /* At every length, and where an escape meets the end: whole, or cut with a mark. */
    char bytes[2 * ERROR_QUOTE_MAX];
    static const char fill[] = {'a', '\'', '\n'};
    static const size_t width[] = {1, 2, 4};
    for (size_t kind = 0; kind < COUNT(fill); kind++) {
        memset(bytes, fill[kind], sizeof(bytes));
        for (size_t len = 0; len < sizeof(bytes); len++) {
            struct quoted q;
            memset(&q, '#', sizeof(q));
            const char *text = error_quote(&q, span_of(bytes, len));
            size_t n = strnlen(text, sizeof(q.text));
            assert_true(n < sizeof(q.text) && text[0] == '\'' && text[n - 1] == '\'');
            if (len * width[kind] + 3 <= sizeof(q.text)) {
                assert_int_equal(n, len * width[kind] + 2);
                continue;
            }
            assert_true(n > sizeof(q.text) - 10);
            assert_memory_equal(text + n - 4, "…'", 4);
        }
    }
}

/* ---------------------------------------------------------------- numbers */

static void test_parse_integers(void **state) {
    (void)state;
    uint64_t u;
    int64_t i;
    assert_true(number_parse_u64(S("0"), &u) && u == 0);
    assert_true(number_parse_u64(S("007"), &u) && u == 7);
    assert_true(number_parse_u64(S("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(number_parse_i64(S("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(number_parse_i64(S("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(number_parse_i64(S("-0"), &i) && i == 0);

    u = 77;
    i = 77;
    static const struct span bad[] = {S(""),
                                      S("-"),
                                      S("+1"),
                                      S(" 1"),
                                      S("1 "),
                                      S("1\0"),
                                      S("--1"),
                                      S("0x1"),
                                      S("1.0"),
                                      S("1e3"),
                                      S("a"),
                                      S("\xb2"),
                                      S("18446744073709551616"),
                                      S("99999999999999999999"),
                                      S("100000000000000000000")};
    for (size_t k = 0; k < COUNT(bad); k++) {
        assert_false(number_parse_u64(bad[k], &u));
        assert_false(number_parse_i64(bad[k], &i));
    }
    assert_false(number_parse_u64(S("-1"), &u));
    assert_false(number_parse_i64(S("9223372036854775808"), &i));
    assert_false(number_parse_i64(S("-9223372036854775809"), &i));
    assert_false(number_parse_i64(S("-18446744073709551615"), &i));
    assert_true(u == 77 && i == 77); /* untouched */
}

static void test_parse_doubles(void **state) {
    (void)state;
    static const struct {
        struct span text;
        double value;
    } good[] = {{S("0"), 0},      {S("-1"), -1},
                {S("+2.5"), 2.5}, {S(".5"), .5},
                {S("5."), 5},     {S("1e3"), 1000},
                {S("1E-2"), .01}, {S("-1.5e+2"), -150},
                {S("0.1"), 0.1},  {S("1e-400"), 0},
                {S("00.50"), .5}, {S("1.7976931348623157e308"), 1.7976931348623157e308}};
    double d;
    for (size_t k = 0; k < COUNT(good); k++) {
        assert_true(number_parse_double(good[k].text, false, &d));
        assert_true(d == good[k].value);
    }
    static const struct span bad[] = {S(""),    S("."),     S("-"),   S("e5"),    S("1e"),
                                      S("1e+"), S("0x10"),  S("1 "),  S(" 1"),    S("1\0"),
                                      S("1,5"), S("1.2.3"), S("--1"), S("infin"), S("nan(1)")};
    d = 77;
    for (size_t k = 0; k < COUNT(bad); k++) {
        assert_false(number_parse_double(bad[k], false, &d));
        assert_false(number_parse_double(bad[k], true, &d));
    }
    assert_false(number_parse_double(S("inf"), false, &d));
    assert_false(number_parse_double(S("NaN"), false, &d));
    assert_false(number_parse_double(S("1e999"), false, &d));
    assert_true(d == 77);
    assert_true(number_parse_double(S("-Inf"), true, &d) && d == -INFINITY);
    assert_true(number_parse_double(S("nan"), true, &d) && isnan(d));
    assert_true(number_parse_double(S("1e999"), true, &d) && d == INFINITY);
    char zeros[600];
    memset(zeros, '0', sizeof(zeros));
    assert_true(number_parse_double(span_of(zeros, 500), false, &d) && d == 0);
    assert_false(number_parse_double(span_of(zeros, 600), false, &d));
}

static void check_order(struct span a, struct span b, int expected) {
    int order = number_order(a, b), back = number_order(b, a);
    assert_int_equal((order > 0) - (order < 0), expected);
    assert_int_equal((back > 0) - (back < 0), -expected);
}

/* Whatever way a number is read, it is the nearest double: what strtod says. */
static void test_parse_doubles_as_strtod(void **state) {
    (void)state;
    static const char bytes[] = "01234567899999.-+e";
    char text[24];
    unsigned numbers = 0;
    for (unsigned round = 0; round < 200000; round++) {
        size_t len = 1 + random_next() % 21;
        for (size_t i = 0; i < len; i++) /* signs and exponents seldom */
            text[i] = bytes[random_next() % (i == 0 || random_next() % 9 == 0 ? 18 : 15)];
        text[len] = '\0';
        double value, expected = strtod(text, NULL);
        if (!number_parse_double(span_of(text, len), false, &value)) continue;
        assert_memory_equal(&value, &expected, sizeof(value));
        numbers++;
    }
    assert_true(numbers > 20000);
}

static void test_number_order(void **state) {
    (void)state;
    check_order(S("10"), S("9"), 1);
    check_order(S("1"), S("1.0"), 0);
    check_order(S("1e3"), S("999.5"), 1);
    check_order(S("-2"), S("-10"), 1);
    check_order(S("007"), S("7"), 0);
    /* Integers of 64 bits exactly, where doubles would see no difference. */
    check_order(S("9007199254740993"), S("9007199254740992"), 1);
    check_order(S("-9223372036854775808"), S("-9223372036854775807"), -1);
    check_order(S("18446744073709551615"), S("18446744073709551614"), 1);
    check_order(S("9223372036854775808"), S("9223372036854775807"), 1);
    check_order(S("-1"), S("18446744073709551615"), -1);
    /* Bytes, as soon as one side is no number. */
    check_order(S("10"), S("9x"), -1);
    check_order(S("abc"), S("abd"), -1);
    check_order(S(""), S("0"), -1);
    check_order(S("nan "), S("1"), 1);
    check_order(S("a\0b"), S("a"), 1);
    check_order(S("1\0"), S("1"), 1);
    /* The numbers of MAX and MIN: exponents, infinities. */
    check_order(S("inf"), S("1"), 1);
    check_order(S("-inf"), S("-1e308"), -1);
    check_order(S("1e999"), S("2"), 1);
    check_order(S("1e999"), S("infinity"), 0);
    check_order(S("9007199254740993"), S("9007199254740992.0"), 1);
    /* nan has no order with a number, the order of its bytes with others. */
    assert_int_equal(number_order(S("nan"), S("nan")), NUMBER_UNORDERED);
    assert_int_equal(number_order(S("nan"), S("1")), NUMBER_UNORDERED);
    assert_int_equal(number_order(S("-inf"), S("-nan")), NUMBER_UNORDERED);
    check_order(S("nan"), S("nab"), 1);
}

static void check_equal(struct span a, struct span b, bool equal) {
    assert_int_equal(number_equal(a, b), equal);
    assert_int_equal(number_equal(b, a), equal);
}

static void test_number_equal(void **state) {
    (void)state;
    check_equal(S("1"), S("+01.0"), true);
    check_equal(S("0"), S("-0.0"), true);
    check_equal(S(".5"), S("0.50"), true);
    check_equal(S("9007199254740993"), S("9007199254740992"), false);
    check_equal(S("x"), S("x"), true);
    check_equal(S(""), S("0"), false);
    check_equal(S("1\0"), S("1"), false);
    /* An exponent makes an id, not a number. */
    check_equal(S("0e123456"), S("0e654321"), false);
    check_equal(S("0e12"), S("0"), false);
    check_equal(S("1e10"), S("10000000000"), false);
    check_equal(S("1e10"), S("1e10"), true);
    check_equal(S("1E10"), S("1e10"), false);
    check_equal(S("inf"), S("inf"), true);
    check_equal(S("1e999"), S("inf"), false);
    check_equal(S("nan"), S("nan"), false);
    check_equal(S("nan"), S("1"), false);
}

static void check_number(struct span text, double value, int64_t rest) {
    struct number number = {NAN, 0};
    assert_true(number_parse(text, &number));
    assert_true(number.value == value);
    assert_int_equal(number.rest, rest);
}

static void test_number_parse(void **state) {
    (void)state;
    check_number(S("0"), 0, 0);
    check_number(S("-1.5e1"), -15, 0);
    check_number(S("9007199254740993"), 9007199254740992.0, 1);
    check_number(S("-9007199254740993"), -9007199254740992.0, -1);
    check_number(S("-9223372036854775808"), -0x1p63, 0);
    check_number(S("9223372036854775807"), 0x1p63, -1);
    check_number(S("18446744073709551615"), 0x1p64, -1);
    check_number(S("18446744073709551616"), 0x1p64, 0);
    check_number(S("inf"), INFINITY, 0);
    check_number(S("-1e999"), -INFINITY, 0);
    struct number untouched = {7, 7};
    assert_false(number_parse(S("nan"), &untouched));
    assert_false(number_parse(S(""), &untouched));
    assert_false(number_parse(S("0x1"), &untouched));
    assert_false(number_parse(S(" 1"), &untouched));
    assert_true(untouched.value == 7 && untouched.rest == 7);
}

/* ---------------------------------------------------------------- patterns */

static void test_glob_examples(void **state) {
    (void)state;
    static const struct {
        struct span pattern, text;
        bool matches;
    } examples[] = {
        {S("*"), S(""), true},
        {S(""), S(""), true},
        {S(""), S("a"), false},
        {S("a*"), S("abc"), true},
        {S("*c"), S("abc"), true},
        {S("*b*"), S("abc"), true},
        {S("a*c*e"), S("abcde"), true},
        {S("a*c*f"), S("abcde"), false},
        {S("?"), S(""), false},
        {S("a?c"), S("abc"), true},
        {S("a?c"), S("a\0c"), true},
        {S("h[ae]llo"), S("hallo"), true},
        {S("h[ae]llo"), S("hillo"), false},
        {S("h[^e]llo"), S("hallo"), true},
        {S("h[^e]llo"), S("hello"), false},
        {S("h[a-c]llo"), S("hbllo"), true},
        {S("h[a-c]llo"), S("hdllo"), false},
        {S("h[c-a]llo"), S("hbllo"), true},
        {S("[a\\-c]"), S("b"), false},
        {S("[a\\]]"), S("]"), true},
        {S("[\\\\]"), S("\\"), true},
        {S("[]"), S("a"), false},
        {S("\\*"), S("*"), true},
        {S("\\*"), S("x"), false},
        {S("a\\"), S("a\\"), true},
        {S("["), S("["), false},
        {S("[a"), S("a"), true},
        {S("[^"), S("a"), true},
        {S("train@*"), S("train@12"), true},
        {S("train@?"), S("train@12"), false},
        {S("\xff*"), S("\xff\0"), true},
        {S("ab"), S("a"), false},
        {S("ABC"), S("abc"), false},
    };
    for (size_t i = 0; i < COUNT(examples); i++)
        assert_int_equal(glob_match(examples[i].pattern, examples[i].text, false),
                         examples[i].matches);
    assert_true(glob_match(S("A[B-C]*"), S("aCx"), true));
    assert_false(glob_match(S("A[B-C]*"), S("aDx"), true));
}

/* The obvious matcher, for patterns of * ? \ and letters. */
static bool glob_naive(struct span p, struct span t) {
    if (p.len == 0) return t.len == 0;
    struct span rest = span_of(p.ptr + 1, p.len - 1);
    if (*p.ptr == '*') {
        for (size_t i = 0; i <= t.len; i++)
            if (glob_naive(rest, span_of(t.ptr + i, t.len - i))) return true;
        return false;
    }
    char c = *p.ptr;
    bool any = c == '?';
    if (c == '\\' && rest.len) {
        c = *rest.ptr;
        rest = span_of(rest.ptr + 1, rest.len - 1);
    }
    return t.len && (any || *t.ptr == c) && glob_naive(rest, span_of(t.ptr + 1, t.len - 1));
}

static void test_glob_against_the_obvious(void **state) {
    (void)state;
    static const char pattern_bytes[] = "**ab?\\", text_bytes[] = "aab*";
    char pattern[8], text[10];
    size_t matched = 0;
    for (int round = 0; round < 200000; round++) {
        size_t p = random_next() % (sizeof(pattern) + 1), t = random_next() % (sizeof(text) + 1);
        for (size_t i = 0; i < p; i++) pattern[i] = pattern_bytes[random_next() % 6];
        for (size_t i = 0; i < t; i++) text[i] = text_bytes[random_next() % 4];
        bool expected = glob_naive(span_of(pattern, p), span_of(text, t));
        assert_int_equal(glob_match(span_of(pattern, p), span_of(text, t), false), expected);
        matched += expected;
    }
    assert_true(matched > 10000);
}

/* The same for long patterns, which another matcher takes: behind a run that only itself matches,
 * one element and one byte each. */
static void test_glob_of_long_patterns(void **state) {
    (void)state;
    enum { RUN = 300 };
    static const char pattern_bytes[] = "**ab?\\", text_bytes[] = "aab*";
    char pattern[RUN + 6], text[RUN + 9];
    size_t matched = 0;
    memset(pattern, 'x', RUN);
    memset(text, 'x', RUN);
    for (int round = 0; round < 20000; round++) {
        size_t p = random_next() % 7, t = random_next() % 10;
        for (size_t i = 0; i < p; i++) pattern[RUN + i] = pattern_bytes[random_next() % 6];
        for (size_t i = 0; i < t; i++) text[RUN + i] = text_bytes[random_next() % 4];
        bool expected = glob_naive(span_of(pattern + RUN, p), span_of(text + RUN, t));
        assert_int_equal(glob_match(span_of(pattern, RUN + p), span_of(text, RUN + t), false),
                         expected);
        matched += expected;
    }
    assert_true(matched > 1000);
    char sets[1024];
    for (size_t i = 0; i < sizeof(sets); i += 8) memcpy(sets + i, "[^b]*[a]", 8);
    char as[1024];
    memset(as, 'a', sizeof(as));
    assert_true(glob_match(span_of(sets, sizeof(sets)), span_of(as, sizeof(as)), false));
    as[1000] = 'b';
    assert_true(glob_match(span_of(sets, sizeof(sets)), span_of(as, sizeof(as)), false));
    as[1023] = 'b';
    assert_false(glob_match(span_of(sets, sizeof(sets)), span_of(as, sizeof(as)), false));
}

/* A pattern that makes naive matchers take for ever takes pattern × text steps. */
static void test_glob_is_never_exponential(void **state) {
    (void)state;
    char pattern[4000], text[20000];
    for (size_t i = 0; i < sizeof(pattern); i += 2) memcpy(pattern + i, "*a", 2);
    pattern[sizeof(pattern) - 1] = 'b';
    memset(text, 'a', sizeof(text));
    assert_false(glob_match(span_of(pattern, sizeof(pattern)), span_of(text, sizeof(text)), false));
}

/* ---------------------------------------------------------------- bits */

static void test_bits(void **state) {
    (void)state;
    enum { WORDS = 5, BITS = WORDS * 64 };
    uint64_t words[WORDS] = {0};
    bool model[BITS] = {false};
    assert_false(bits_any(words, WORDS));
    for (int round = 0; round < 20000; round++) {
        size_t i = random_next() % BITS;
        model[i] = random_next() % 2;
        if (model[i])
            bits_set(words, i);
        else
            bits_clear(words, i);
        assert_int_equal(bits_get(words, i), model[i]);
    }
    size_t count = 0;
    for (size_t i = 0; i < BITS; i++) {
        assert_int_equal(bits_get(words, i), model[i]);
        count += model[i];
    }
    assert_int_equal(bits_count(words, WORDS), count);
    assert_true(bits_any(words, WORDS));
    assert_false(bits_any(words, 0));
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(bits_lowest((UINT64_C(1) << i) | (UINT64_C(1) << 63)), i);
    for (unsigned i = 0; i < 64; i++) assert_int_equal(bits_highest((UINT64_C(1) << i) | 1), i);
    for (unsigned i = 0; i < 64; i++) assert_int_equal(bits_ranked(UINT64_MAX, i), i);
    assert_int_equal(bits_ranked(UINT64_C(0x8000000000000108), 0), 3);
    assert_int_equal(bits_ranked(UINT64_C(0x8000000000000108), 1), 8);
    assert_int_equal(bits_ranked(UINT64_C(0x8000000000000108), 2), 63);
}

/* ---------------------------------------------------------------- random numbers */

static void test_random(void **state) {
    (void)state;
    struct random r = random_of_seed(1234567), again = r;
    /* The reference implementation's first words for this seed. */
    assert_true(random_word(&r) == UINT64_C(6457827717110365317));
    assert_true(random_word(&r) == UINT64_C(3203168211198807973));
    assert_true(random_word(&again) == UINT64_C(6457827717110365317));
    unsigned times[6] = {0};
    double sum = 0;
    for (unsigned i = 0; i < 60000; i++) {
        times[random_below(&r, 6)]++;
        double unit = random_unit(&r);
        assert_true(unit > 0 && unit < 1);
        sum += unit;
        assert_int_equal(random_below(&r, 1), 0);
    }
    for (unsigned i = 0; i < 6; i++) assert_in_range(times[i], 9500, 10500);
    assert_true(sum > 29500 && sum < 30500);
    uint64_t half = 0; /* of a range that does not divide 2^64: two thirds of it */
    for (unsigned i = 0; i < 30000; i++)
        half += random_below(&r, UINT64_C(3) << 62) < UINT64_C(2) << 62;
    assert_in_range(half, 19500, 20500);
}

/* ---------------------------------------------------------------- memory */

static void test_scratch_hands_out_disjoint_memory(void **state) {
    (void)state;
    struct scratch s = {0};
    enum { N = 500 };
    for (int round = 0; round < 20; round++) {
        unsigned char *ptrs[N];
        size_t sizes[N];
        for (size_t i = 0; i < N; i++) {
            sizes[i] = random_next() % (i % 50 ? 300 : 50000);
            ptrs[i] = i % 2 ? scratch_alloc(&s, sizes[i], 1) : scratch_zalloc(&s, 1, sizes[i]);
            assert_non_null(ptrs[i]);
            assert_int_equal((uintptr_t)ptrs[i] % _Alignof(max_align_t), 0);
            for (size_t k = 0; i % 2 == 0 && k < sizes[i]; k++) assert_int_equal(ptrs[i][k], 0);
            memset(ptrs[i], (int)(i % 255 + 1), sizes[i]);
        }
        for (size_t i = 0; i < N; i++)
            for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(ptrs[i][k], i % 255 + 1);
        scratch_reset(&s);
    }
    scratch_free(&s);
    scratch_free(&s); /* empty and ready again */
}

static void test_scratch_keeps_a_moderate_block(void **state) {
    (void)state;
    size_t before = mem_used();
    struct scratch s = {0};
    scratch_alloc(&s, 100, 100);
    scratch_reset(&s);
    size_t small = mem_used();
    assert_true(small > before);
    for (int i = 0; i < 100; i++) {
        scratch_alloc(&s, 100, 100);
        scratch_reset(&s);
    }
    assert_int_equal(mem_used(), small); /* no malloc on the steady path */
    for (int i = 0; i < 100; i++) scratch_alloc(&s, 1, 300 * 1024);
    scratch_alloc(&s, 1, 64 << 20);
    scratch_reset(&s);
    assert_true(mem_used() - before < 2 << 20);
    scratch_free(&s);
    assert_int_equal(mem_used(), before);
}

static void test_mem(void **state) {
    (void)state;
    size_t before = mem_used(), capacity = 0;
    int *vector = NULL;
    for (int i = 0; i < 10000; i++) {
        vector = mem_grow(vector, &capacity, (size_t)i + 1, sizeof(*vector));
        assert_true(capacity > (size_t)i && capacity <= 2 * (size_t)i + 8);
        vector[i] = i;
    }
    for (int i = 0; i < 10000; i++) assert_int_equal(vector[i], i);
    int *same = mem_grow(vector, &capacity, 1, sizeof(*vector));
    assert_ptr_equal(same, vector);
    assert_true(mem_used() >= before + capacity * sizeof(*vector));

    char *copy = mem_dup("abc", 4), *empty = mem_dup(NULL, 0), *zeros = mem_calloc(1000, 3);
    assert_string_equal(copy, "abc");
    assert_non_null(empty);
    for (size_t i = 0; i < 3000; i++) assert_int_equal(zeros[i], 0);
    copy = mem_realloc(copy, 100000);
    assert_string_equal(copy, "abc");
    mem_free(copy);
    mem_free(empty);
    mem_free(zeros);
    mem_free(NULL);
    mem_free(vector);
    assert_int_equal(mem_used(), before);
    assert_true(strlen(mem_allocator()) > 0);
}

static void grow_past_everything(void) {
    size_t capacity = 0;
    mem_grow(NULL, &capacity, SIZE_MAX / 2 + 2, 1);
}

static void grow_past_everything_in_bytes(void) {
    size_t capacity = 0;
    mem_grow(NULL, &capacity, SIZE_MAX / 32, 64);
}

static void ends_the_process(void (*run)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(2);
        alarm(120); /* an endless loop is a failure too */
        run();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_mem_grow_never_wraps(void **state) {
    (void)state;
    ends_the_process(grow_past_everything);
    ends_the_process(grow_past_everything_in_bytes);
}

/* ---------------------------------------------------------------- hashes, time, UTF-8 */

static void test_hash(void **state) {
    (void)state;
    enum { KEYS = 2000 };
    static uint64_t first[KEYS], second[KEYS];
    char key[600];
    memset(key, 'k', sizeof(key));
    for (int round = 0; round < 2; round++) {
        uint64_t *out = round ? second : first;
        hash_init();
        for (size_t i = 0; i < KEYS; i++) {
            memcpy(key, &i, sizeof(i));
            out[i] = hash_bytes(span_of(key, 8 + i % 500)); /* every way XXH3 has by length */
            assert_true(out[i] == hash_bytes(span_of(key, 8 + i % 500)));
        }
        assert_true(hash_bytes(span_of(NULL, 0)) == hash_bytes(S("")));
    }
    /* Keys differ from each other, and each secret gives other hashes. */
    for (size_t i = 0; i < KEYS; i++) {
        assert_true(first[i] != second[i]);
        for (size_t j = 0; j < i; j++) assert_true(first[i] != first[j]);
    }
    uint64_t a[40] = {0}, b[40] = {0};
    hash_random(a, sizeof(a));
    hash_random(b, sizeof(b));
    for (size_t i = 0; i < COUNT(a); i++) assert_true(a[i] && a[i] != b[i]);
    hash_random(a, 0);
}

static void test_clock(void **state) {
    (void)state;
    int64_t last = clock_monotonic_us();
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_monotonic_us();
        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_wall_us() > INT64_C(1577836800) * 1000000); /* 2020 */
}

/* Every code point and every pair of lead and second byte, against the definition. */
static void test_utf8(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        char s[4];
        size_t n = 1;
        if (c < 0x80) {
            s[0] = (char)c;
        } else {
            n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
            for (size_t i = n; i-- > 1;) s[i] = (char)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
            s[0] = (char)(0xf00 >> n | c >> 6 * (n - 1));
        }
        bool valid = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
        assert_int_equal(utf8_is_valid(span_of(s, n)), valid);
        if (n > 1) assert_int_equal(utf8_valid_prefix(span_of(s, n - 1)), 0);
    }
    static const struct span bad[] = {S("\x80"),
                                      S("\xc0\x80"),
                                      S("\xc1\xbf"),
                                      S("\xe0\x9f\xbf"),
                                      S("\xf0\x8f\xbf\xbf"),
                                      S("\xf5\x80\x80\x80"),
                                      S("\xff"),
                                      S("\xc3("),
                                      S("\xe2\x82(")};
    for (size_t before = 0; before < 20; before++) {
        for (size_t i = 0; i < COUNT(bad); i++) {
            char text[64];
            memset(text, 'a', sizeof(text));
            memcpy(text + before, bad[i].ptr, bad[i].len);
            assert_int_equal(utf8_valid_prefix(span_of(text, sizeof(text))), before);
        }
    }
    assert_true(utf8_is_valid((struct span){NULL, 0}));
    assert_true(utf8_is_valid(S("naïve … 漢字 😀 and more text")));
}

/* ---------------------------------------------------------------- the log */

static size_t read_file(const char *path, char *out, size_t room) {
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, out, room - 1);
    assert_true(n >= 0);
    close(fd);
    out[n] = '\0';
    return (size_t)n;
}

static void test_log(void **state) {
    (void)state;
    char path[] = "test_log_XXXXXX", text[8192], long_text[3000];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(log_descriptor(), STDERR_FILENO);
    assert_int_equal(log_open(path, NULL), 0);
    int descriptor = log_descriptor();
    assert_true(descriptor != STDERR_FILENO);

    struct error e;
    assert_int_equal(log_open("/nowhere/at/all", &e), ERROR_ERR);
    assert_non_null(strstr(e.text, "/nowhere/at/all"));
    assert_int_equal(log_descriptor(), descriptor); /* it stays where it was */

    log_verbose("not at this level");
    log_notice("notice %d", 1);
    log_set_level(LOG_DEBUG);
    log_debug("debug");
    log_set_level(LOG_WARNING);
    log_notice("no longer");
    memset(long_text, 'x', sizeof(long_text));
    log_warning("%.*s", (int)sizeof(long_text), long_text);
    log_set_level(LOG_NOTICE);
    assert_int_equal(log_open("", NULL), 0);
    assert_int_equal(log_descriptor(), STDERR_FILENO);

    size_t n = read_file(path, text, sizeof(text));
    unlink(path);
    int pid = 0, end = 0;
    char *line = text;
    assert_int_equal(sscanf(line, "%d %*2d %*3s %*4d %*2d:%*2d:%*2d.%*3d * notice 1%n", &pid, &end),
                     1);
    assert_int_equal(pid, getpid());
    assert_int_equal(line[end], '\n');
    line = strchr(line, '\n') + 1;
    assert_non_null(strstr(line, " . debug\n"));
    line = strchr(line, '\n') + 1;
    assert_non_null(strstr(line, " # xxx"));
    assert_ptr_equal(strchr(line, '\n'), text + n - 1); /* cut, and still one line */
    assert_true(text + n - line > 900);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span_order),
        cmocka_unit_test(test_error_set),
        cmocka_unit_test(test_error_quote),
        cmocka_unit_test(test_parse_integers),
        cmocka_unit_test(test_parse_doubles),
        cmocka_unit_test(test_parse_doubles_as_strtod),
        cmocka_unit_test(test_number_order),
        cmocka_unit_test(test_number_equal),
        cmocka_unit_test(test_number_parse),
        cmocka_unit_test(test_glob_examples),
        cmocka_unit_test(test_glob_against_the_obvious),
        cmocka_unit_test(test_glob_of_long_patterns),
        cmocka_unit_test(test_glob_is_never_exponential),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_scratch_hands_out_disjoint_memory),
        cmocka_unit_test(test_scratch_keeps_a_moderate_block),
        cmocka_unit_test(test_mem),
        cmocka_unit_test(test_mem_grow_never_wraps),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
