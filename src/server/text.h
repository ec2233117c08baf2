/* Text that grows: INFO, CLIENT LIST, CONFIG and messages are put together in one. */
#ifndef TQ_SERVER_TEXT_H
#define TQ_SERVER_TEXT_H

#include <stdarg.h>
#include <stddef.h>

#include "base/span.h"

/* A zeroed one is empty and holds no memory. */
struct text {
    char *ptr; /* followed by a NUL that is not counted; NULL while nothing was ever added */
    size_t len, capacity;
};

void text_add(struct text *t, struct span bytes);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *t, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void text_free(struct text *t); /* it is empty again */

static inline struct span text_span(const struct text *t) {
    return span_of(t->ptr ? t->ptr : "", t->len);
}

/* The text as a C string that the caller frees with mem_free; `t` is empty again. */
char *text_take(struct text *t);

#endif
