/* See smallfloat.h. Codes of one sign are in the order of their values, subnormals included, so rounding up the last
 * mantissa simply counts into the next exponent. */
#include "store/smallfloat.h"

#include <math.h>

const struct smallfloat SMALLFLOAT_F16 = {5, 10, true};
const struct smallfloat SMALLFLOAT_BF16 = {8, 7, true};
const struct smallfloat SMALLFLOAT_E4M3 = {4, 3, false};
const struct smallfloat SMALLFLOAT_E5M2 = {5, 2, true};

/* The smallest exponent of a normal number. */
static int smallfloat_least(const struct smallfloat *f) {
    return 2 - (1 << (f->exponent_bits - 1));
}

/* The first code beyond the finite ones. */
static uint32_t smallfloat_limit(const struct smallfloat *f) {
    uint32_t top = ((UINT32_C(1) << f->exponent_bits) - 1) << f->mantissa_bits;
    return f->infinity ? top : top + (UINT32_C(1) << f->mantissa_bits) - 1;
}

bool smallfloat_encode(const struct smallfloat *f, double value, uint16_t *code) {
    uint32_t sign = signbit(value) ? UINT32_C(1) << (f->exponent_bits + f->mantissa_bits) : 0;
    uint32_t limit = smallfloat_limit(f), bits = 0;
    if (isnan(value)) {
        bits = f->infinity ? limit + (UINT32_C(1) << (f->mantissa_bits - 1)) : limit;
    } else if (isinf(value)) {
        if (!f->infinity) return false;
        bits = limit;
    } else if (value != 0) {
        int exponent, least = smallfloat_least(f);
        frexp(value, &exponent);
        if (--exponent < least) exponent = least;
        if (exponent > 1 << f->exponent_bits) return false;
        double mantissa = rint(ldexp(fabs(value), (int)f->mantissa_bits - exponent));
        bits = ((uint32_t)(exponent - least) << f->mantissa_bits) + (uint32_t)mantissa;
        if (bits >= limit) return false;
    }
    *code = (uint16_t)(sign | bits);
    return true;
}

double smallfloat_decode(const struct smallfloat *f, uint16_t code) {
    uint32_t sign = UINT32_C(1) << (f->exponent_bits + f->mantissa_bits);
    uint32_t bits = code & (sign - 1), limit = smallfloat_limit(f);
    uint32_t mantissa = bits & ((UINT32_C(1) << f->mantissa_bits) - 1);
    uint32_t exponent = bits >> f->mantissa_bits;
    double value;
    if (f->infinity && bits == limit) {
        value = INFINITY;
    } else if (bits >= limit) {
        value = NAN;
    } else {
        if (exponent) mantissa += UINT32_C(1) << f->mantissa_bits;
        int scale = smallfloat_least(f) + (exponent ? (int)exponent - 1 : 0);
        value = ldexp(mantissa, scale - (int)f->mantissa_bits);
    }
    return code & sign ? -value : value;
}
