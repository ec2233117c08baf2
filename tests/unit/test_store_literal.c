/* Literals: what people write becomes the value they meant or an error, and what is rendered reads back. */
#include "kit/test.h"

#include <math.h>
#include <stdio.h>

#include "kit/source.h"
#include "store/literal.h"

static struct scratch scratch;

static int reset_scratch(void **state) {
    (void)state;
    scratch_free(&scratch);
    return 0;
}

static struct dtype type_of(const char *text) {
    struct dtype type;
    struct error e = {0};
    if (dtype_parse(span_of_string(text), &type, &e)) fail_msg("%s: %s", text, e.text);
    return type;
}

static struct span parse(const char *type_text, struct span text, struct dtype *item) {
    struct dtype type = type_of(type_text);
    struct span bytes;
    struct error e = {0};
    if (literal_parse(text, &type, &scratch, &bytes, item, &e))
        fail_msg("%s as %s: %s", text.ptr, type_text, e.text);
    return bytes;
}

static void assert_parses(const char *type_text, const char *text, const char *item_text,
                          const void *expected, size_t len) {
    struct dtype item;
    struct span bytes = parse(type_text, span_of_string(text), &item);
    assert_string_equal(DTYPE_NAME(&item), item_text);
    assert_int_equal(bytes.len, len);
    if (len) assert_memory_equal(bytes.ptr, expected, len);
}

static void assert_refuses(const char *type_text, struct span text) {
    struct dtype type = type_of(type_text), item;
    struct span bytes;
    struct error e = {0};
    if (literal_parse(text, &type, &scratch, &bytes, &item, &e) != ERROR_SCHEMA)
        fail_msg("'%.*s' was taken for a %s", SPAN_ARG(text), type_text);
    assert_int_equal(e.code, ERROR_SCHEMA);
    assert_true(strlen(e.text) > 0);
}

static void assert_says(const char *type_text, struct span text, const char *message) {
    struct dtype type = type_of(type_text), item;
    struct span bytes;
    struct error e = {0};
    assert_int_equal(literal_parse(text, &type, &scratch, &bytes, &item, &e), ERROR_SCHEMA);
    assert_non_null(strstr(e.text, message));
}

static void test_numbers_out_of_range(void **state) {
    (void)state;
    assert_says("f32", SPAN_LITERAL("1e39"), "'1e39' is out of range of type f32");
    assert_says("f64", SPAN_LITERAL("1e309"), "'1e309' is out of range of type f64");
    assert_says("f16[2]", SPAN_LITERAL("[1,70000]"), "'70000' is out of range of type f16[2]");
    assert_says("u8", SPAN_LITERAL("-1"), "'-1' is out of range of type u8");
    assert_says("i8", SPAN_LITERAL("128"), "'128' is out of range of type i8");
    assert_says("i8", SPAN_LITERAL("1.5"), "expected a value of type i8 at '1.5'");
    assert_says("f32", SPAN_LITERAL("x"), "expected a value of type f32 at 'x'");
}

/* ---- numbers ------------------------------------------------------------------------------ */

static void test_integer_limits(void **state) {
    (void)state;
    static const struct {
        const char *type, *low, *below, *high, *above;
    } limits[] = {
        {"u8", "0", "-1", "255", "256"},
        {"i8", "-128", "-129", "127", "128"},
        {"u16", "0", "-1", "65535", "65536"},
        {"i16", "-32768", "-32769", "32767", "32768"},
        {"u32", "0", "-1", "4294967295", "4294967296"},
        {"i32", "-2147483648", "-2147483649", "2147483647", "2147483648"},
        {"u64", "0", "-1", "18446744073709551615", "18446744073709551616"},
        {"i64", "-9223372036854775808", "-9223372036854775809", "9223372036854775807",
         "9223372036854775808"},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const char *const good[] = {limits[i].low, limits[i].high};
        for (size_t j = 0; j < 2; j++) {
            struct dtype item;
            struct span bytes = parse(limits[i].type, span_of_string(good[j]), &item);
            assert_int_equal(bytes.len, dtype_element_size(item.base));
            struct span back = literal_render(&item, bytes, &scratch);
            assert_true(span_equal(back, span_of_string(good[j])));
        }
        assert_refuses(limits[i].type, span_of_string(limits[i].below));
        assert_refuses(limits[i].type, span_of_string(limits[i].above));
    }
    assert_parses("i16", "-2", "i16", "\xfe\xff", 2);
    assert_parses("u32", "258", "u32", "\2\1\0\0", 4);
}

static void test_bools(void **state) {
    (void)state;
    assert_parses("bool", "true", "bool", "\1", 1);
    assert_parses("bool", "FALSE", "bool", "\0", 1);
    assert_parses("bool[4]", "[1,0,True,false]", "bool[4]", "\1\0\1\0", 4);
    assert_refuses("bool", SPAN_LITERAL("2"));
    assert_refuses("bool", SPAN_LITERAL("yes"));
    assert_refuses("bool", SPAN_LITERAL(""));
    struct dtype item = type_of("bool[2]");
    assert_true(span_equal(literal_render(&item, span_of("\0\1", 2), &scratch),
                           SPAN_LITERAL("[false,true]")));
}

static void test_no_numbers(void **state) {
    (void)state;
    static const char *const types[] = {"i32", "u8", "f32", "f64", "f16", "bf16", "f8e4m3"};
    static const struct span texts[] = {
        SPAN_LITERAL(""),
        SPAN_LITERAL(" "),
        SPAN_LITERAL("x"),
        SPAN_LITERAL("1 2"),
        SPAN_LITERAL("1,2"),
        SPAN_LITERAL("[1]"),
        SPAN_LITERAL("1]"),
        SPAN_LITERAL("0x10"),
        SPAN_LITERAL("1e"),
        SPAN_LITERAL("--1"),
        SPAN_LITERAL("1_000"),
        SPAN_LITERAL("1\0"),
        SPAN_LITERAL("\0"
                     "1"),
        SPAN_LITERAL("true"),
        SPAN_LITERAL("."),
        SPAN_LITERAL("-"),
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++)
            assert_refuses(types[i], texts[j]);
    assert_refuses("i32", SPAN_LITERAL("1.0"));
    assert_refuses("i32", SPAN_LITERAL("1e3"));
    assert_refuses("i32", SPAN_LITERAL("inf"));
}

static void test_floats(void **state) {
    (void)state;
    float half = 0.5f, tenth = 0.1f, huge = 3.4028234e38f;
    assert_parses("f32", "0.5", "f32", &half, 4);
    assert_parses("f32", " +.5e0\n", "f32", &half, 4);
    assert_parses("f32", "0.1", "f32", &tenth, 4);
    assert_parses("f32", "3.4028234663852886e38", "f32", &huge, 4);
    assert_refuses("f32", SPAN_LITERAL("3.5e38"));
    assert_refuses("f16", SPAN_LITERAL("65520"));
    assert_refuses("f8e4m3", SPAN_LITERAL("480"));
    assert_refuses("f64", SPAN_LITERAL("1e999"));
    assert_refuses("f32", SPAN_LITERAL("-1e999"));
    double value;
    struct dtype item;
    memcpy(&value, parse("f64", SPAN_LITERAL("-Infinity"), &item).ptr, sizeof(value));
    assert_true(isinf(value) && value < 0);
    memcpy(&value, parse("f64", SPAN_LITERAL("nan"), &item).ptr, sizeof(value));
    assert_true(isnan(value));
    assert_parses("f16", "inf", "f16", "\0\x7c", 2);
    assert_refuses("f8e4m3", SPAN_LITERAL("inf"));
    /* Decimal to float in one rounding: by way of a double this would round down. */
    float once = 0x1.000002p0f;
    assert_parses("f32", "1.00000005960464477540", "f32", &once, 4);
}

/* 400 digits and a point: too large, however it is written. */
static void test_overlong_floats_are_not_infinite(void **state) {
    (void)state;
    char digits[402];
    memset(digits, '9', 400);
    digits[400] = '.';
    static const char *const types[] = {"f64", "f32", "f16", "bf16", "f8e5m2"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_refuses(types[i], span_of(digits, 400));
        assert_refuses(types[i], span_of(digits, 401));
    }
    char longer[600];
    memset(longer, '1', sizeof(longer));
    assert_refuses("f64", span_of(longer, sizeof(longer)));
}

/* ---- shapes ------------------------------------------------------------------------------- */

static void test_nested_shapes(void **state) {
    (void)state;
    assert_parses("u8[2,3]", "[[1,2,3],[4,5,6]]", "u8[2,3]", "\1\2\3\4\5\6", 6);
    assert_parses("u8[2,3]", " [ [ 1 , 2,3 ] ,\n[4,5,\t6]] ", "u8[2,3]", "\1\2\3\4\5\6", 6);
    assert_parses("u8[*,*]", "[[1,2],[3,4],[5,6]]", "u8[3,2]", "\1\2\3\4\5\6", 6);
    assert_parses("u8[2,*]", "[[1],[2]]", "u8[2,1]", "\1\2", 2);
    assert_parses("u8[*]", "[]", "u8[0]", "", 0);
    assert_parses("u8[*]", "[ ]", "u8[0]", "", 0);
    assert_parses("u8[*,3]", "[]", "u8[0,3]", "", 0);
    assert_parses("u8[*,*,*]", "[[],[]]", "u8[2,0,0]", "", 0);
    assert_parses("u8[2,0]", "[[],[]]", "u8[2,0]", "", 0);
    assert_parses("u8[1,1,1,1,1,1,1,*]", "[[[[[[[[7,8]]]]]]]]", "u8[1,1,1,1,1,1,1,2]", "\7\10", 2);
}

static void test_shapes_that_do_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *type, *text;
    } cases[] = {
        {"u8[3]", "[1,2]"},
        {"u8[3]", "[1,2,3,4]"},
        {"u8[3]", "1"},
        {"u8[3]", "[[1,2,3]]"},
        {"u8[3]", "[1,2,3"},
        {"u8[3]", "1,2,3]"},
        {"u8[3]", "[1,2,3]]"},
        {"u8[3]", "[1,2,,3]"},
        {"u8[3]", "[1,2,3,]"},
        {"u8[3]", "[,1,2,3]"},
        {"u8[3]", "[1 2 3]"},
        {"u8[3]", "[1;2;3]"},
        {"u8[2,2]", "[1,2,3,4]"},
        {"u8[2,2]", "[[1,2],[3]]"},
        {"u8[*,*]", "[[1,2],[3]]"},
        {"u8[*,*]", "[[1],[]]"},
        {"u8[*,*]", "[[],[1]]"},
        {"u8[*,*]", "[]x"},
        {"u8[*,3]", "[[]]"},
        {"u8[2,0]", "[]"},
        {"u8[0]", "[1]"},
        {"u8[*]", ""},
        {"u8[*]", "["},
        {"u8[*]", "]"},
        {"u8", "[]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refuses(cases[i].type, span_of_string(cases[i].text));
}

static void test_text_is_itself(void **state) {
    (void)state;
    const char *text = "[1, \"gr\xc3\xbc\xc3\x9f\"]";
    assert_parses("str", text, "str", text, strlen(text));
    assert_parses("bytes", "\xff\xfe", "bytes", "\xff\xfe", 2);
    assert_parses("str", "", "str", "", 0);
    assert_refuses("str", SPAN_LITERAL("\xff\xfe"));
}

/* ---- back and forth ----------------------------------------------------------------------- */

static void assert_reads_back(const char *type_text, struct span bytes) {
    struct dtype type = type_of(type_text), item;
    struct span text = literal_render(&type, bytes, &scratch);
    assert_true(text.len <= 30);
    struct span back = parse(type_text, text, &item);
    if (!span_equal(back, bytes)) fail_msg("%s %.*s", type_text, SPAN_ARG(text));
}

static void test_small_floats_read_back(void **state) {
    (void)state;
    static const struct {
        const char *type;
        unsigned size;
        uint32_t magnitude, largest;
    } formats[] = {{"f16", 2, 0x7fff, 0x7c00},
                   {"bf16", 2, 0x7fff, 0x7f80},
                   {"f8e4m3", 1, 0x7f, 0x7e},
                   {"f8e5m2", 1, 0x7f, 0x7c}};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        for (uint32_t code = 0; code < 1u << (8 * formats[i].size); code++) {
            if ((code & formats[i].magnitude) > formats[i].largest) continue; /* NaN */
            assert_reads_back(formats[i].type, span_of(&code, formats[i].size));
            scratch_reset(&scratch);
        }
    }
}

static void test_numbers_read_back(void **state) {
    (void)state;
    static const char *const types[] = {"u8",  "i8",  "u16", "i16", "u32",
                                        "i32", "u64", "i64", "f32", "f64"};
    struct source source = source_of_seed(1);
    for (uint64_t round = 0; round < test_rounds(20000); round++) {
        uint64_t bits = source_word(&source) >> source_below(&source, 64);
        double d;
        float f;
        memcpy(&d, &bits, sizeof(d));
        memcpy(&f, &bits, sizeof(f));
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            struct dtype type = type_of(types[i]);
            if (type.base == DTYPE_F64 && isnan(d)) continue;
            if (type.base == DTYPE_F32 && isnan(f)) continue;
            assert_reads_back(types[i], span_of(&bits, dtype_element_size(type.base)));
        }
        scratch_reset(&scratch);
    }
}

static void test_shortest_form(void **state) {
    (void)state;
    static const struct {
        const char *type, *text;
    } cases[] = {{"f32", "0.1"},  {"f64", "0.1"},    {"f16", "0.1"},      {"f32", "1e+10"},
                 {"f32", "-0"},   {"f64", "1e-320"}, {"f32", "16777216"}, {"bf16", "3.1e+38"},
                 {"f32", "-inf"}, {"f64", "nan"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dtype item;
        struct span bytes = parse(cases[i].type, span_of_string(cases[i].text), &item);
        struct span text = literal_render(&item, bytes, &scratch);
        if (!span_equal(text, span_of_string(cases[i].text)))
            fail_msg("%s: %s became %.*s", cases[i].type, cases[i].text, SPAN_ARG(text));
    }
}

/* ---- cutting ------------------------------------------------------------------------------ */

static struct span render(const char *type_text, const void *bytes, size_t len) {
    struct dtype item = type_of(type_text);
    return literal_render(&item, span_of(bytes, len), &scratch);
}

static void test_cutting_text(void **state) {
    (void)state;
    char text[LITERAL_CUT + 8];
    memset(text, 'a', sizeof(text));
    assert_true(span_equal(render("str", text, LITERAL_CUT), span_of(text, LITERAL_CUT)));
    for (size_t wide_at = LITERAL_CUT - 5; wide_at <= LITERAL_CUT; wide_at++) {
        memset(text, 'a', sizeof(text));
        memcpy(text + wide_at, "\xf0\x9f\x98\x80", 4); /* never half of it */
        struct span cut = render("str", text, sizeof(text));
        size_t kept = wide_at + 4 <= LITERAL_CUT ? LITERAL_CUT : wide_at;
        if (wide_at == LITERAL_CUT - 5) kept = LITERAL_CUT;
        assert_int_equal(cut.len, kept + strlen("…"));
        assert_memory_equal(cut.ptr, text, kept);
        assert_memory_equal(cut.ptr + kept, "…", strlen("…"));
    }
}

static void test_cutting_numbers(void **state) {
    (void)state;
    uint8_t many[1000] = {0};
    struct span cut = render("u8[1000]", many, sizeof(many));
    assert_int_equal(cut.len, LITERAL_CUT + strlen("…"));
    assert_memory_equal(cut.ptr + LITERAL_CUT, "…", strlen("…"));
    cut = render("u8[4294967294,0]", "", 0); /* shape without end, nothing in it */
    assert_true(cut.len <= LITERAL_CUT + strlen("…"));
    assert_memory_equal(cut.ptr, "[[],[],", 7);
    assert_true(span_equal(render("u8[0,4294967294]", "", 0), SPAN_LITERAL("[]")));
    assert_true(span_equal(render("u8[2,2]", "\1\2\3\4", 4), SPAN_LITERAL("[[1,2],[3,4]]")));
    assert_true(
        span_equal(render("u8[1,1,1,1,1,1,1,1]", "\5", 1), SPAN_LITERAL("[[[[[[[[5]]]]]]]]")));
}

static void test_bytes_that_are_no_text(void **state) {
    (void)state;
    assert_true(span_equal(render("bytes",
                                  "a\xff"
                                  "b",
                                  3),
                           SPAN_LITERAL("a\\xffb")));
    assert_true(span_equal(render("bytes", "\xc3\xbc\xc3", 3), SPAN_LITERAL("\xc3\xbc\\xc3")));
    assert_true(span_equal(render("bytes", "", 0), SPAN_LITERAL("")));
    char wild[1000];
    memset(wild, '\xff', sizeof(wild));
    struct span cut = render("bytes", wild, sizeof(wild));
    assert_int_equal(cut.len, LITERAL_CUT + strlen("…")); /* 64 times \xff */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_numbers_out_of_range, reset_scratch),
        cmocka_unit_test_teardown(test_integer_limits, reset_scratch),
        cmocka_unit_test_teardown(test_bools, reset_scratch),
        cmocka_unit_test_teardown(test_no_numbers, reset_scratch),
        cmocka_unit_test_teardown(test_floats, reset_scratch),
        cmocka_unit_test_teardown(test_overlong_floats_are_not_infinite, reset_scratch),
        cmocka_unit_test_teardown(test_nested_shapes, reset_scratch),
        cmocka_unit_test_teardown(test_shapes_that_do_not_fit, reset_scratch),
        cmocka_unit_test_teardown(test_text_is_itself, reset_scratch),
        cmocka_unit_test_teardown(test_small_floats_read_back, reset_scratch),
        cmocka_unit_test_teardown(test_numbers_read_back, reset_scratch),
        cmocka_unit_test_teardown(test_shortest_form, reset_scratch),
        cmocka_unit_test_teardown(test_cutting_text, reset_scratch),
        cmocka_unit_test_teardown(test_cutting_numbers, reset_scratch),
        cmocka_unit_test_teardown(test_bytes_that_are_no_text, reset_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
