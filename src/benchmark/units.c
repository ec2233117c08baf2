/* See units.h. */
#include "benchmark/units.h"

#include <stdio.h>

#include "base/number.h"

/* Three digits that count, whatever the size; none behind the point of a whole number. */
static int decimals(double n) {
    if (n == (double)(long)n) return 0;
    return n < 10 ? 2 : n < 100 ? 1 : 0;
}

const char *units_count(double n, struct units_text *out) {
    static const char *const units[] = {"", " k", " M", " G", " T"};
    int i = 0;
    while (n >= 999.5 && i < 4) n /= 1000, i++;
    snprintf(out->text, sizeof(out->text), "%.*f%s", decimals(n), n, units[i]);
    return out->text;
}

const char *units_bytes(uint64_t bytes, struct units_text *out) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double n = (double)bytes;
    int i = 0;
    while (n >= 999.5 && i < 4) n /= 1000, i++;
    snprintf(out->text, sizeof(out->text), "%.*f %s", decimals(n), n, units[i]);
    return out->text;
}

const char *units_binary(uint64_t bytes, struct units_text *out) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    uint64_t n = bytes;
    int i = 0;
    while (n >= 1024 && n % 1024 == 0 && i < 3) n /= 1024, i++;
    if (n >= 10000) return units_bytes(bytes, out);
    snprintf(out->text, sizeof(out->text), "%llu %s", (unsigned long long)n, units[i]);
    return out->text;
}

const char *units_time(double seconds, struct units_text *out) {
    static const char *const units[] = {"s", "ms", "µs", "ns"};
    int i = 0;
    if (seconds <= 0) return strcpy(out->text, "-");
    while (seconds < 0.9995 && i < 3) seconds *= 1000, i++;
    snprintf(out->text, sizeof(out->text), "%.*f %s", decimals(seconds), seconds, units[i]);
    return out->text;
}

int units_parse_bytes(struct span text, uint64_t *out) {
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"kb", 1 << 10}, {"mb", 1 << 20},   {"gb", 1 << 30}, {"k", 1000},
                 {"m", 1000000},  {"g", 1000000000}, {"b", 1},        {"", 1}};
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        size_t len = strlen(units[i].name);
        if (text.len <= len || strncasecmp(text.ptr + text.len - len, units[i].name, len)) continue;
        uint64_t n;
        if (!number_parse_u64(span_of(text.ptr, text.len - len), &n)) return ERROR_ERR;
        if (n > UINT64_MAX / units[i].factor) return ERROR_ERR;
        *out = n * units[i].factor;
        return 0;
    }
    return ERROR_ERR;
}
