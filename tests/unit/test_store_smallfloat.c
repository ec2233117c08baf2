/* Floats of 8 and 16 bits, code by code.
 *
 * Codes of one sign are in the order of their values, so three things pin a format down: a few
 * anchors known from its specification, that decoding is strictly monotonic, and that encoding picks the nearer
 * of two neighbours (the even one in the middle). */
#include "kit/test.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "store/smallfloat.h"

struct format {
    const char *name;
    const struct smallfloat *format;
    unsigned bits;
    uint16_t largest, one, smallest_normal; /* codes */
    double largest_value, smallest_normal_value, smallest_value;
};

static const struct format formats[] = {
    {"f16", &SMALLFLOAT_F16, 16, 0x7bff, 0x3c00, 0x0400, 65504, 0x1p-14, 0x1p-24},
    {"bf16", &SMALLFLOAT_BF16, 16, 0x7f7f, 0x3f80, 0x0080, 0x1.fep127, 0x1p-126, 0x1p-133},
    {"f8e4m3", &SMALLFLOAT_E4M3, 8, 0x7e, 0x38, 0x08, 448, 0x1p-6, 0x1p-9},
    {"f8e5m2", &SMALLFLOAT_E5M2, 8, 0x7b, 0x3c, 0x04, 57344, 0x1p-14, 0x1p-16},
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

static uint16_t sign_of(const struct format *f) {
    return (uint16_t)(1u << (f->bits - 1));
}

static void assert_code(const struct format *f, double value, uint16_t expected) {
    uint16_t code = 0xdead;
    if (!smallfloat_encode(f->format, value, &code) || code != expected)
        fail_msg("%s: %.17g became %x, expected %x", f->name, value, code, expected);
}

static void assert_too_large(const struct format *f, double value) {
    uint16_t code;
    if (smallfloat_encode(f->format, value, &code))
        fail_msg("%s: %.17g is too large but became %x", f->name, value, code);
}

static void test_anchors(void **state) {
    (void)state;
    for (const struct format *f = formats; f < formats + FORMATS; f++) {
        assert_true(smallfloat_decode(f->format, f->one) == 1.0);
        assert_true(smallfloat_decode(f->format, 1) == f->smallest_value);
        assert_true(smallfloat_decode(f->format, f->smallest_normal) == f->smallest_normal_value);
        assert_true(smallfloat_decode(f->format, f->largest) == f->largest_value);
        assert_true(smallfloat_decode(f->format, 0) == 0);
        assert_true(smallfloat_decode(f->format, sign_of(f)) == 0);
        assert_true(signbit(smallfloat_decode(f->format, sign_of(f))));
        assert_code(f, 0.0, 0);
        assert_code(f, -0.0, sign_of(f));
    }
}

/* bfloat16 is the upper half of a float. */
static void test_bf16_is_half_a_float(void **state) {
    (void)state;
    for (uint32_t code = 0; code <= 0xffff; code++) {
        uint32_t bits = code << 16;
        float value;
        memcpy(&value, &bits, sizeof(value));
        double decoded = smallfloat_decode(&SMALLFLOAT_BF16, (uint16_t)code);
        if (isnan(value))
            assert_true(isnan(decoded));
        else
            assert_true(decoded == value && !signbit(decoded) == !signbit(value));
    }
}

static void test_every_code_comes_back(void **state) {
    (void)state;
    for (const struct format *f = formats; f < formats + FORMATS; f++) {
        for (uint32_t code = 0; code < 1u << f->bits; code++) {
            double value = smallfloat_decode(f->format, (uint16_t)code);
            uint32_t magnitude = code & ~(uint32_t)sign_of(f);
            if (magnitude <= f->largest) {
                assert_true(isfinite(value));
                assert_int_equal(signbit(value) != 0, code != magnitude);
                assert_code(f, value, (uint16_t)code);
            } else if (magnitude == f->largest + 1u && f->format->infinity) {
                assert_true(isinf(value) && (value < 0) == (code != magnitude));
                assert_code(f, value, (uint16_t)code);
            } else {
                uint16_t back = 0;
                assert_true(isnan(value));
                assert_true(smallfloat_encode(f->format, value, &back));
                assert_true(isnan(smallfloat_decode(f->format, back)));
                assert_true(back < 1u << f->bits);
            }
        }
    }
}

static void test_order_and_nearest_even(void **state) {
    (void)state;
    for (const struct format *f = formats; f < formats + FORMATS; f++) {
        for (uint16_t code = 0; code < f->largest; code++) {
            double low = smallfloat_decode(f->format, code);
            double high = smallfloat_decode(f->format, (uint16_t)(code + 1));
            assert_true(low < high);
            double middle = low + (high - low) / 2; /* exact: a double has bits to spare */
            uint16_t even = (uint16_t)(code + (code & 1)), sign = sign_of(f);
            assert_code(f, middle, even);
            assert_code(f, nextafter(middle, 0), code);
            assert_code(f, nextafter(middle, INFINITY), (uint16_t)(code + 1));
            assert_code(f, -middle, even | sign);
            assert_code(f, nextafter(-middle, 0), code | sign);
        }
    }
}

static void test_ranges(void **state) {
    (void)state;
    for (const struct format *f = formats; f < formats + FORMATS; f++) {
        double before = smallfloat_decode(f->format, (uint16_t)(f->largest - 1));
        double limit = f->largest_value + (f->largest_value - before) / 2;
        assert_code(f, nextafter(limit, 0), f->largest);
        /* In the middle the even code would be taken: the one beyond, unless the largest is even. */
        if (f->largest & 1)
            assert_too_large(f, limit);
        else
            assert_code(f, limit, f->largest);
        assert_too_large(f, nextafter(limit, INFINITY));
        assert_too_large(f, -nextafter(limit, INFINITY));
        assert_too_large(f, DBL_MAX);
        assert_too_large(f, -DBL_MAX);
        assert_code(f, DBL_TRUE_MIN, 0);
        assert_code(f, -DBL_TRUE_MIN, sign_of(f));
        assert_code(f, DBL_MIN, 0);
        if (f->format->infinity)
            assert_code(f, INFINITY, f->largest + 1);
        else
            assert_too_large(f, INFINITY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_bf16_is_half_a_float),
        cmocka_unit_test(test_every_code_comes_back),
        cmocka_unit_test(test_order_and_nearest_even),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
