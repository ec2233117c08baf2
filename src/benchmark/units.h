/* Numbers for people: three or four digits and a unit. */
#ifndef TQ_BENCHMARK_UNITS_H
#define TQ_BENCHMARK_UNITS_H

#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

/* A place for the text, which is returned. */
struct units_text {
    char text[24];
};

const char *units_count(double n, struct units_text *out);       /* 1.23 M */
const char *units_bytes(uint64_t bytes, struct units_text *out); /* 302 MB, powers of 1000 */
const char *units_binary(uint64_t bytes,
                         struct units_text *out); /* 32 KiB where exact, else as above */
const char *units_time(double seconds, struct units_text *out); /* 12.3 ms */

/* A size in redis.conf's words: 100, 64kb (1024), 64k (1000), mb, m, gb, g. */
int units_parse_bytes(struct span text, uint64_t *out);

#endif
