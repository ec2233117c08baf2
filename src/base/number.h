/* Decimal numbers in text, strictly: the whole span or nothing, no spaces, no locale. */
#ifndef TQ_BASE_NUMBER_H
#define TQ_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum { NUMBER_TEXT_MAX = 64 };

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

/* Order of two values as WHERE sees them: as numbers where both are decimal numbers (exactly
 * where both are integers of 64 bits), else as bytes. Returns <0, 0, >0. */
int number_compare(struct span a, struct span b);

#endif
