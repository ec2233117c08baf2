/* See number.h. Doubles go through strtod on a bounded copy whose form was checked before, so
 * that neither hexadecimal nor a locale's idea of a decimal point gets in. */
#include "base/number.h"

#include <math.h>
#include <stdlib.h>

bool number_parse_u64(struct span text, uint64_t *out) {
    if (text.len == 0 || text.len > 20) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - '0';
        if (digit > 9) return false;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_add_overflow(value, digit, &value)) return false;
    }
    *out = value;
    return true;
}

bool number_parse_i64(struct span text, int64_t *out) {
    bool negative = text.len && text.ptr[0] == '-';
    if (negative) text = span_of(text.ptr + 1, text.len - 1);
    uint64_t magnitude;
    if (!number_parse_u64(text, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + negative) return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static size_t number_digits(struct span text, size_t at) {
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9') at++;
    return at;
}

/* Is this [+-] digits [. digits] [e [+-] digits], with a digit before the exponent? */
static bool number_is_decimal(struct span text) {
    size_t at = 0;
    if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+')) at++;
    size_t whole = number_digits(text, at);
    size_t digits = whole - at;
    at = whole;
    if (at < text.len && text.ptr[at] == '.') {
        size_t fraction = number_digits(text, at + 1);
        digits += fraction - at - 1;
        at = fraction;
    }
    if (digits == 0) return false;
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        at++;
        if (at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+')) at++;
        size_t exponent = number_digits(text, at);
        if (exponent == at) return false;
        at = exponent;
    }
    return at == text.len;
}

static bool number_is_special(struct span text) {
    if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        text = span_of(text.ptr + 1, text.len - 1);
    return span_is(text, "inf") || span_is(text, "infinity") || span_is(text, "nan");
}

/* A short decimal without exponent, as most are: its digits are an integer that a double holds, and so is the power of ten,
 * so that one division rounds as strtod would (Clinger: "How to read floating point numbers accurately", 1990), much
 * sooner. The form has been checked. */
static bool number_parse_short(struct span text, double *out) {
    static const double powers[] = {1e0, 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                    1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};
    if (text.len > 17) return false;
    bool negative = text.ptr[0] == '-', point = false;
    uint64_t digits = 0;
    size_t power = 0;
    for (size_t i = negative || text.ptr[0] == '+'; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - '0';
        if (digit <= 9) {
            digits = digits * 10 + digit;
            power += point;
        } else if (text.ptr[i] == '.') {
            point = true;
        } else {
            return false;
        }
    }
    if (digits > UINT64_C(1) << 53) return false;
    double value = (double)digits / powers[power];
    *out = negative ? -value : value;
    return true;
}

enum { NUMBER_LEN = 512 }; /* a longer text is no number */

bool number_parse_double(struct span text, bool allow_special, double *out) {
    char copy[NUMBER_LEN];
    if (text.len == 0 || text.len >= sizeof(copy)) return false;
    if (!number_is_decimal(text) && !(allow_special && number_is_special(text))) return false;
    if (number_parse_short(text, out)) return true;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    double value = strtod(copy, NULL);
    if (!allow_special && !isfinite(value)) return false;
    *out = value;
    return true;
}

bool number_parse(struct span text, struct number *out) {
    int64_t integer;
    uint64_t natural;
    double value;
    if (number_parse_i64(text, &integer)) {
        const int64_t exact = INT64_C(1) << 53; /* doubles leave out nothing up to here */
        bool is_exact = integer >= -exact && integer <= exact;
        value = (double)integer;
        *out =
            (struct number){value, is_exact ? 0 : (int64_t)((__int128)integer - (__int128)value)};
        return true;
    }
    if (number_parse_u64(text, &natural)) {
        value = (double)natural;
        *out = (struct number){value, (int64_t)((__int128)natural - (__int128)value)};
        return true;
    }
    if (!number_parse_double(text, true, &value) || isnan(value)) return false;
    *out = (struct number){value, 0};
    return true;
}

static bool number_is_nan(struct span text) {
    if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        text = span_of(text.ptr + 1, text.len - 1);
    return span_is(text, "nan");
}

static bool number_is_plain_byte(char c) {
    return (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* number_parse() without exponents, inf and nan. */
static bool number_parse_plain(struct span text, struct number *out) {
    if (text.len >= NUMBER_LEN) return false;
    for (size_t i = 0; i < text.len; i++)
        if (!number_is_plain_byte(text.ptr[i])) return false;
    return number_parse(text, out);
}

static int number_compare(const struct number *a, const struct number *b) {
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return (a->rest > b->rest) - (a->rest < b->rest);
}

/* Integers of 64 bits, as most tags are: no need to go through what a double leaves out. */
static bool number_compare_integers(struct span a, struct span b, int *order) {
    int64_t x, y;
    if (!number_parse_i64(a, &x) || !number_parse_i64(b, &y)) return false;
    *order = (x > y) - (x < y);
    return true;
}

bool number_equal(struct span a, struct span b) {
    struct number x, y;
    int order;
    if (number_compare_integers(a, b, &order)) return order == 0;
    if (number_parse_plain(a, &x) && number_parse_plain(b, &y)) return number_compare(&x, &y) == 0;
    return span_equal(a, b) && !number_is_nan(a);
}

int number_order(struct span a, struct span b) {
    struct number x, y;
    int order;
    if (number_compare_integers(a, b, &order)) return order;
    bool nan_a = number_is_nan(a), nan_b = number_is_nan(b);
    bool is_a = nan_a || number_parse(a, &x);
    if (!is_a || !(nan_b || number_parse(b, &y))) return span_compare(a, b);
    return nan_a || nan_b ? NUMBER_UNORDERED : number_compare(&x, &y);
}
