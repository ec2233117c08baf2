/* See names.h. */
#include "store/names.h"

#include <stdbool.h>

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
