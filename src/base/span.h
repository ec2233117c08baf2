/* Borrowed bytes: a pointer and a length, never an owner.
 *
 * Everything that a client sends is binary-safe, so nothing between the parser and the store
 * is a C string. A span says "these bytes, for now"; who keeps them alive is said where a
 * span is handed over. */
#ifndef TQ_BASE_SPAN_H
#define TQ_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *ptr;
    size_t len;
};

/* For printf's "%.*s"; only for bytes known to be printable. */
#define SPAN_ARG(s) (int)(s).len, (s).ptr

/* A string literal as a span, its length counted by the compiler. */
#define SPAN_LITERAL(text) ((struct span){(text), sizeof(text) - 1})

static inline struct span span_of(const void *ptr, size_t len) {
    return (struct span){ptr, len};
}

static inline struct span span_of_string(const char *text) {
    return (struct span){text, strlen(text)};
}

static inline bool span_equal(struct span a, struct span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Bytes in order, a prefix before what it begins: what memcmp means for unequal lengths. */
static inline int span_compare(struct span a, struct span b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Does the span spell this keyword, in whatever case? */
static inline bool span_is(struct span s, const char *keyword) {
    size_t n = strlen(keyword);
    return s.len == n && strncasecmp(s.ptr, keyword, n) == 0;
}

#endif
