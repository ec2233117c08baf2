/* See names.h. */
#include "store/names.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int names_check_length(const char *what, struct span name, size_t max, struct error *e) {
    if (name.len >= 1 && name.len <= max) return 0;
    return error_set(e, ERROR_ERR, "%s %s: expected 1 to %zu bytes, got %zu", what, QUOTE(name),
                     max, name.len);
}

int names_check_partition(struct span name, struct error *e) {
    return names_check_length("partition", name, NAMES_PARTITION_MAX, e);
}

int names_check_key(const char *what, struct span key, struct error *e) {
    return names_check_length(what, key, NAMES_KEY_MAX, e);
}

static bool names_is_word_byte(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '/' || c == '-' || c == '@';
}

int names_check_word(const char *what, struct span name, struct error *e) {
    int failed = names_check_length(what, name, NAMES_WORD_MAX, e);
    if (failed) return failed;
    if (name.ptr[0] == '@')
        return error_set(e, ERROR_ERR, "%s %s: names that begin with @ are the server's", what,
                         QUOTE(name));
    for (size_t i = 0; i < name.len; i++)
        if (!names_is_word_byte((unsigned char)name.ptr[i]))
            return error_set(e, ERROR_ERR, "%s %s: expected letters, digits and _ . - / @", what,
                             QUOTE(name));
    return 0;
}

int names_check_tag_value(struct span tag, struct span value, struct error *e) {
    if (value.len <= NAMES_TAG_VALUE_MAX) return 0;
    return error_set(e, ERROR_ERR, "tag %s: a value has at most %d bytes, got %zu", QUOTE(tag),
                     NAMES_TAG_VALUE_MAX, value.len);
}

static int names_compare(const void *a, const void *b) {
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* A name that comes twice; NULL where there is none. Few are compared with each other, many are
 * sorted first. */
static const struct span *names_find_twice(const struct span *names, size_t n,
                                           struct scratch *scratch) {
    enum { FEW = 16 };
    for (size_t i = 1; n <= FEW && i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (span_equal(names[i], names[j])) return &names[i];
    if (n <= FEW) return NULL;
    struct span *sorted = scratch_alloc(scratch, n, sizeof(*sorted));
    memcpy(sorted, names, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), names_compare);
    for (size_t i = 1; i < n; i++)
        if (span_equal(sorted[i], sorted[i - 1])) return &sorted[i];
    return NULL;
}

int names_check_distinct(const char *clause, const char *what, const struct span *names, size_t n,
                         struct scratch *scratch, struct error *e) {
    const struct span *twice = names_find_twice(names, n, scratch);
    if (!twice) return 0;
    return error_set(e, ERROR_ERR, "%s%s %s is named twice", clause, what, QUOTE(*twice));
}
