/* UTF-8, as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef TQ_BASE_UTF8_H
#define TQ_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Length of the longest valid prefix that ends between characters; text.len where all is valid. */
size_t utf8_valid_prefix(struct span text);

static inline bool utf8_is_valid(struct span text) {
    return utf8_valid_prefix(text) == text.len;
}

#endif
