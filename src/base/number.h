/* Decimal numbers in text, strictly: the whole span or nothing, no spaces, no locale. */
#ifndef TQ_BASE_NUMBER_H
#define TQ_BASE_NUMBER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { NUMBER_TEXT_MAX = 64, NUMBER_UNORDERED = INT_MAX };

/* True and *out set, or false and *out untouched. A leading '-' for signed ones only; no '+'. */
bool number_parse_u64(struct span text, uint64_t *out);
bool number_parse_i64(struct span text, int64_t *out);

/* Decimal notation with optional sign, fraction and exponent; "inf" and "nan" only with
 * `allow_special`. Rounded to the nearest double; what is too large becomes infinite only
 * with `allow_special` and is refused otherwise. */
bool number_parse_double(struct span text, bool allow_special, double *out);

/* A number that is put in order with others: by value, then by rest, which is what the nearest double leaves out of an
 * integer of 64 bits. */
struct number {
    double value;
    int64_t rest;
};

/* Decimal notation, or "inf" as programs write it; what is too large is infinite. Never NaN. */
bool number_parse(struct span text, struct number *out);

/* `=` of WHERE. Two plain decimals (digits, a sign, a point; no exponent) are equal as numbers,
 * anything else as bytes, so that ids such as 0e12 and 0e34 differ. nan equals nothing. */
bool number_equal(struct span a, struct span b);

/* The order operators of WHERE: the order of number_parse() where both are numbers, else of bytes.
 * Returns <0, 0, >0, or NUMBER_UNORDERED where both are numbers and one is nan. */
int number_order(struct span a, struct span b);

#endif
