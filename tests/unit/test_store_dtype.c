/* Types: what text means which type, and how the sizes of items follow from lengths and shapes. */
#include "kit/test.h"

#include "store/dtype.h"

static struct dtype type_of(const char *text) {
    struct dtype type;
    struct error e = {0};
    if (dtype_parse(span_of_string(text), &type, &e)) fail_msg("%s: %s", text, e.text);
    return type;
}

static void assert_type(const struct dtype *type, const char *text) {
    assert_string_equal(DTYPE_NAME(type), text);
}

static void test_parse_and_format_agree(void **state) {
    (void)state;
    static const char *const texts[] = {
        "bool",
        "u8",
        "i8",
        "u16",
        "i16",
        "u32",
        "i32",
        "u64",
        "i64",
        "f8e4m3",
        "f8e5m2",
        "f16",
        "bf16",
        "f32",
        "f64",
        "str",
        "bytes",
        "f32[8]",
        "f32[3,224,224]",
        "i64[*]",
        "f32[*,128]",
        "f32[128,*]",
        "u8[0]",
        "f64[*,0]",
        "i16[*,*,*,*,*,*,*,*]",
        "bool[1,1,1,1,1,1,1,1]",
        "u8[4294967294]",
        "u8[0,4294967294,4294967294]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct dtype type = type_of(texts[i]);
        assert_type(&type, texts[i]);
    }
    struct dtype longest = type_of("f8e4m3[0,4294967294,4294967294,4294967294,4294967294,"
                                   "4294967294,4294967294,4294967294]");
    assert_int_equal(strlen(DTYPE_NAME(&longest)), 6 + 1 + 2 + 7 * 10 + 6 + 1);
}

static void test_large_sizes_are_named(void **state) {
    (void)state;
    struct dtype type;
    struct error e = {0};
    assert_int_equal(dtype_parse(SPAN_LITERAL("f32[2,4294967295]"), &type, &e), ERROR_ERR);
    assert_non_null(strstr(e.text, "size '4294967295' is too large, sizes end at 4294967294"));
    assert_int_equal(dtype_parse(SPAN_LITERAL("u8[99999999999999999999]"), &type, &e), ERROR_ERR);
    assert_non_null(strstr(e.text, "size '99999999999999999999' is too large"));
    assert_int_equal(dtype_parse(SPAN_LITERAL("f32[0,4294967294]"), &type, &e), 0);
}

static void test_parse_refuses(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "f",
        "f31",
        "F32",
        "f32 ",
        " f32",
        "f32[",
        "f32[]",
        "f32[8",
        "f32[8]]",
        "f32[8]x",
        "f32[[8]]",
        "f32[,8]",
        "f32[8,]",
        "f32[8,,8]",
        "f32[-1]",
        "f32[+1]",
        "f32[ 8]",
        "f32[1.0]",
        "f32[**]",
        "f32[1,2,3,4,5,6,7,8,9]",
        "str[*]",
        "bytes[4]",
        "f32]",
        "[8]",
        "u8[4294967295]",
        "u8[4294967296]",
        "u8[18446744073709551617]",
        "f32[1073741824]",
        "u8[65536,65536]",
        "f64[*,536870912]",
        "u8[4294967294,4294967294,4294967294,4294967294,2]",
        "f32[99999999999999999999999999]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct dtype type = {.base = 77};
        struct error e = {0};
        if (dtype_parse(span_of_string(texts[i]), &type, &e) != ERROR_ERR)
            fail_msg("'%s' was taken for a type", texts[i]);
        assert_int_equal(e.code, ERROR_ERR);
        assert_true(strlen(e.text) > 0);
        assert_int_equal(type.base, 77);
    }
    struct dtype type;
    assert_int_equal(dtype_parse(span_of("f32\0", 4), &type, NULL), ERROR_ERR);
}

static void test_parse_limits(void **state) {
    (void)state;
    struct dtype type = type_of("u8[65535,65537]"); /* 2^32 - 1 bytes: the longest item */
    assert_int_equal(dtype_fixed_bytes(&type), UINT32_MAX);
    type = type_of("f32[1073741823]");
    assert_int_equal(dtype_fixed_bytes(&type), UINT32_MAX - 3);
    type = type_of("f64[*,536870911]");
    assert_int_equal(dtype_fixed_bytes(&type), UINT64_C(536870911) * 8);
}

static void test_element_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned size;
    } sizes[] = {{"bool", 1}, {"u8", 1},     {"i8", 1},     {"u16", 2}, {"i16", 2},  {"u32", 4},
                 {"i32", 4},  {"u64", 8},    {"i64", 8},    {"f16", 2}, {"bf16", 2}, {"f32", 4},
                 {"f64", 8},  {"f8e4m3", 1}, {"f8e5m2", 1}, {"str", 1}, {"bytes", 1}};
    assert_int_equal(sizeof(sizes) / sizeof(sizes[0]), DTYPE_BASES);
    for (size_t i = 0; i < DTYPE_BASES; i++) {
        struct dtype type = type_of(sizes[i].text);
        assert_int_equal(dtype_element_size(type.base), sizes[i].size);
        assert_int_equal(dtype_is_variable(&type), i >= DTYPE_BASES - 2);
    }
}

static void test_shape_implied(void **state) {
    (void)state;
    static const struct {
        const char *text;
        unsigned stars;
        bool implied;
    } types[] = {{"f32", 0, true},       {"f32[3]", 0, true},    {"f32[0]", 0, true},
                 {"f32[*]", 1, true},    {"f32[*,3]", 1, true},  {"f32[*,0]", 1, false},
                 {"f32[0,*]", 1, false}, {"f32[*,*]", 2, false}, {"f32[*,3,*]", 2, false},
                 {"str", 0, true},       {"bytes", 0, true}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct dtype type = type_of(types[i].text);
        assert_int_equal(dtype_stars(&type), types[i].stars);
        assert_int_equal(dtype_shape_implied(&type), types[i].implied);
    }
}

static void test_of_length(void **state) {
    (void)state;
    static const struct {
        const char *type;
        uint64_t length;
        const char *item; /* NULL: does not fit */
    } cases[] = {
        {"f32", 4, "f32"},
        {"f32", 3, NULL},
        {"f32", 0, NULL},
        {"f32", 8, NULL},
        {"f32[2,3]", 24, "f32[2,3]"},
        {"f32[2,3]", 25, NULL},
        {"f32[0]", 0, "f32[0]"},
        {"f32[0]", 4, NULL},
        {"f32[*]", 0, "f32[0]"},
        {"f32[*]", 40, "f32[10]"},
        {"f32[*]", 41, NULL},
        {"f32[*,128]", 1024, "f32[2,128]"},
        {"f32[128,*]", 1024, "f32[128,2]"},
        {"f32[*,128]", 516, NULL},
        {"f32[*,0]", 0, NULL},
        {"f32[*,*]", 16, NULL},
        {"u8[*]", UINT32_MAX - 1, "u8[4294967294]"},
        {"u8[*]", (uint64_t)UINT32_MAX + 1, NULL},
        {"bytes", 0, "bytes"},
        {"bytes", UINT32_MAX, "bytes"},
        {"bytes", (uint64_t)UINT32_MAX + 1, NULL},
        {"str", 5, "str"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dtype type = type_of(cases[i].type), item;
        bool fits = dtype_of_length(&type, cases[i].length, &item);
        assert_int_equal(fits, cases[i].item != NULL);
        if (fits) assert_type(&item, cases[i].item);
    }
}

/* A `*` that took the size 2^32 - 1 from a length would read as a `*` again. */
static void test_a_length_never_makes_a_star(void **state) {
    (void)state;
    struct dtype type = type_of("u8[*]"), item;
    if (dtype_of_length(&type, UINT32_MAX, &item)) assert_int_equal(dtype_stars(&item), 0);
}

static void test_of_sizes(void **state) {
    (void)state;
    struct dtype type = type_of("f32[*,3,*]"), item;
    assert_true(dtype_of_sizes(&type, (uint32_t[]){2, 5}, &item));
    assert_type(&item, "f32[2,3,5]");
    assert_true(dtype_of_sizes(&type, (uint32_t[]){0, UINT32_MAX - 1}, &item));
    assert_int_equal(dtype_fixed_bytes(&item), 0);
    assert_false(dtype_of_sizes(&type, (uint32_t[]){65536, 65536}, &item));
    assert_false(dtype_of_sizes(&type, (uint32_t[]){1, DTYPE_STAR}, &item));
    type = type_of("u8[*,*]");
    assert_true(dtype_of_sizes(&type, (uint32_t[]){65535, 65537}, &item));
    assert_false(dtype_of_sizes(&type, (uint32_t[]){65536, 65536}, &item));
    type = type_of("f32[7]");
    assert_true(dtype_of_sizes(&type, NULL, &item));
    assert_type(&item, "f32[7]");
}

static void test_widen(void **state) {
    (void)state;
    static const struct {
        const char *field, *item, *wide; /* NULL: no match */
    } cases[] = {
        {"f32", "f32", "f32"},
        {"f32", "f64", NULL},
        {"f32", "f32[1]", NULL},
        {"f32[3]", "f32[3]", "f32[3]"},
        {"f32[3]", "f32[4]", "f32[*]"},
        {"f32[*]", "f32[4]", "f32[*]"},
        {"f32[3]", "f32[0]", "f32[*]"},
        {"f32[3,4]", "f32[3,5]", "f32[3,*]"},
        {"f32[3,4]", "f32[2,5]", "f32[*,*]"},
        {"f32[*,4]", "f32[3,5]", "f32[*,*]"},
        {"f32[*,4]", "f32[3]", NULL},
        {"str", "str", "str"},
        {"str", "bytes", NULL},
        {"bytes", "u8", NULL},
        {"u8[1,1,1,1,1,1,1,1]", "u8[2,2,2,2,2,2,2,2]", "u8[*,*,*,*,*,*,*,*]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dtype field = type_of(cases[i].field), item = type_of(cases[i].item), wide;
        bool matches = dtype_widen(&field, &item, &wide);
        assert_int_equal(matches, cases[i].wide != NULL);
        if (!matches) continue;
        assert_type(&wide, cases[i].wide);
        struct dtype again;
        assert_true(dtype_widen(&wide, &item, &again));
        assert_true(dtype_equal(&wide, &again));
    }
}

static void test_equal(void **state) {
    (void)state;
    struct dtype a = type_of("f32[3,*]"), b = type_of("f32[3,*]");
    b.shape[5] = 99; /* behind its dimensions nothing counts */
    assert_true(dtype_equal(&a, &b));
    const char *const others[] = {"f32[3,1]", "f32[3]", "i32[3,*]", "f32[*,3]", "f32"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        b = type_of(others[i]);
        assert_false(dtype_equal(&a, &b));
    }
}

static void test_bytes_valid(void **state) {
    (void)state;
    assert_true(dtype_bytes_valid(DTYPE_BOOL, span_of("\0\1\1\0", 4)));
    assert_true(dtype_bytes_valid(DTYPE_BOOL, span_of("", 0)));
    assert_false(dtype_bytes_valid(DTYPE_BOOL, span_of("\0\1\2", 3)));
    assert_false(dtype_bytes_valid(DTYPE_BOOL, span_of("\xff", 1)));
    assert_true(dtype_bytes_valid(DTYPE_STR, SPAN_LITERAL("gr\xc3\xbc\xc3\x9f")));
    assert_false(dtype_bytes_valid(DTYPE_STR, SPAN_LITERAL("gr\xfc\xdf")));
    assert_true(dtype_bytes_valid(DTYPE_STR, span_of("a\0b", 3)));
    assert_true(dtype_bytes_valid(DTYPE_BYTES, SPAN_LITERAL("\xff\xfe")));
    assert_true(dtype_bytes_valid(DTYPE_F32, SPAN_LITERAL("\xff\xff\xff\xff")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_sizes_are_named),
        cmocka_unit_test(test_parse_and_format_agree),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_parse_limits),
        cmocka_unit_test(test_element_sizes),
        cmocka_unit_test(test_shape_implied),
        cmocka_unit_test(test_of_length),
        cmocka_unit_test(test_a_length_never_makes_a_star),
        cmocka_unit_test(test_of_sizes),
        cmocka_unit_test(test_widen),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_bytes_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
