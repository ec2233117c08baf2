/* Layer 0: packed bytes there and back, and checksums. */
#include "kit/test.h"

#include <string.h>

#include "base/checksum.h"
#include "base/mem.h"
#include "base/pack.h"

#define S SPAN_LITERAL
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const uint64_t numbers[] = {0,          1,          127,       128,        16383,     16384,
                                   UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX};

static void test_integers_are_little_endian(void **state) {
    (void)state;
    struct pack p = {0};
    pack_u8(&p, 0xfe);
    pack_u32(&p, 0x01020304);
    pack_u64(&p, 0x1112131415161718);
    assert_int_equal(p.len, 13);
    assert_memory_equal(p.bytes, "\xfe\x04\x03\x02\x01\x18\x17\x16\x15\x14\x13\x12\x11", 13);
    struct unpack u = unpack_of(pack_span_of(&p));
    assert_int_equal(unpack_u8(&u), 0xfe);
    assert_int_equal(unpack_u32(&u), 0x01020304);
    assert_true(unpack_u64(&u) == 0x1112131415161718);
    assert_false(u.bad);
    assert_int_equal(unpack_left(&u), 0);
    assert_int_equal(unpack_u8(&u), 0);
    assert_true(u.bad);
    pack_free(&p);
    assert_null(p.bytes);
}

static void test_varints(void **state) {
    (void)state;
    struct pack p = {0};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        size_t before = p.len;
        pack_varint(&p, numbers[i]);
        assert_int_equal(p.len - before, pack_varint_len(numbers[i]));
        pack_signed(&p, (int64_t)numbers[i]);
        pack_signed(&p, -(int64_t)(numbers[i] & INT64_MAX));
    }
    struct unpack u = unpack_of(pack_span_of(&p));
    for (size_t i = 0; i < COUNT(numbers); i++) {
        assert_true(unpack_varint(&u) == numbers[i]);
        assert_true(unpack_signed(&u) == (int64_t)numbers[i]);
        assert_true(unpack_signed(&u) == -(int64_t)(numbers[i] & INT64_MAX));
    }
    assert_false(u.bad);
    assert_int_equal(unpack_left(&u), 0);
    pack_clear(&p);
    pack_varint(&p, 300);
    pack_signed(&p, -2);
    assert_memory_equal(p.bytes, "\xac\x02\x03", 3);
    pack_free(&p);
}

static void test_bad_varints(void **state) {
    (void)state;
    static const struct span bad[] = {
        S(""),
        S("\x80"),
        S("\x80\x00"),                                 /* 0, longer than need be */
        S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), /* 65 bits */
        S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"),
        S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct unpack u = unpack_of(bad[i]);
        assert_int_equal(unpack_varint(&u), 0);
        assert_true(u.bad);
        assert_int_equal(unpack_left(&u), 0);
    }
}

static void test_spans(void **state) {
    (void)state;
    char *large = mem_calloc(1, 1000);
    struct pack p = {0};
    pack_span(&p, S("abc"));
    pack_span(&p, span_of(NULL, 0));
    pack_optional(&p, span_of(NULL, 0));
    pack_optional(&p, S(""));
    pack_optional(&p, S("de"));
    pack_bytes(&p, S("raw"));
    pack_span(&p, span_of(large, 1000));
    struct unpack u = unpack_of(pack_span_of(&p));
    struct span abc = unpack_span(&u);
    assert_true(span_equal(abc, S("abc")));
    assert_ptr_equal(abc.ptr, p.bytes + 1); /* borrowed */
    struct span empty = unpack_span(&u);
    assert_true(empty.ptr && empty.len == 0);
    assert_null(unpack_optional(&u).ptr);
    empty = unpack_optional(&u);
    assert_true(empty.ptr && empty.len == 0);
    assert_true(span_equal(unpack_optional(&u), S("de")));
    assert_true(span_equal(unpack_bytes(&u, 3), S("raw")));
    assert_true(span_equal(unpack_span(&u), span_of(large, 1000)));
    assert_false(u.bad);
    for (size_t cut = 0; cut < p.len; cut++) { /* wherever the input ends */
        u = unpack_of(span_of(p.bytes, cut));
        for (int i = 0; i < 2; i++) unpack_span(&u);
        for (int i = 0; i < 3; i++) unpack_optional(&u);
        unpack_bytes(&u, 3);
        unpack_span(&u);
        assert_true(u.bad);
    }
    pack_free(&p);
    mem_free(large);
}

static void test_counts_are_justified(void **state) {
    (void)state;
    struct unpack u = unpack_of(S("\x03"
                                  "abcdef"));
    assert_int_equal(unpack_count(&u, 2), 3);
    assert_false(u.bad);
    u = unpack_of(S("\x03"
                    "abcde"));
    assert_int_equal(unpack_count(&u, 2), 0);
    assert_true(u.bad);
    u = unpack_of(S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    assert_int_equal(unpack_count(&u, 16), 0);
    assert_true(u.bad);
    u = unpack_of(span_of(NULL, 0));
    assert_int_equal(unpack_bytes(&u, UINT64_MAX).len, 0);
    assert_true(u.bad);
}

static void test_checksums(void **state) {
    (void)state;
    /* What other implementations of XXH3 find, with seed 0. */
    assert_true(checksum64(span_of(NULL, 0)) == 0x2d06800538d394c2);
    struct checksum128 none = checksum128(S(""));
    assert_true(none.low == 0x6001c324468d497f && none.high == 0x99aa06d3014798d8);

    char bytes[5000];
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (char)(i * i + i / 7);
    struct checksum *c = checksum_new();
    for (size_t len = 0; len <= sizeof(bytes); len += 1 + len / 3) {
        checksum_reset(c);
        for (size_t at = 0, step = 1; at < len; at += step, step = step * 2 + 1) {
            if (step > len - at) step = len - at;
            checksum_add(c, span_of(bytes + at, step));
        }
        checksum_add(c, span_of(NULL, 0));
        struct span whole = span_of(bytes, len);
        assert_true(checksum_end64(c) == checksum64(whole));
        assert_true(checksum128_equal(checksum_end128(c), checksum128(whole)));
    }
    bytes[77] ^= 1;
    assert_false(checksum128_equal(checksum_end128(c), checksum128(span_of(bytes, 5000))));
    checksum_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_little_endian),
        cmocka_unit_test(test_varints),
        cmocka_unit_test(test_bad_varints),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_counts_are_justified),
        cmocka_unit_test(test_checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
