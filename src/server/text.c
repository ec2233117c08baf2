/* See text.h. */
#include "server/text.h"

#include <stdio.h>

#include "base/mem.h"

void text_add(struct text *t, struct span bytes) {
    t->ptr = mem_grow(t->ptr, &t->capacity, t->len + bytes.len + 1, 1);
    if (bytes.len) memcpy(t->ptr + t->len, bytes.ptr, bytes.len);
    t->len += bytes.len;
    t->ptr[t->len] = '\0';
}

void text_vprintf(struct text *t, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n > 0) {
        t->ptr = mem_grow(t->ptr, &t->capacity, t->len + (size_t)n + 1, 1);
        vsnprintf(t->ptr + t->len, (size_t)n + 1, format, again);
        t->len += (size_t)n;
    }
    va_end(again);
}

void text_printf(struct text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_vprintf(t, format, args);
    va_end(args);
}

void text_free(struct text *t) {
    mem_free(t->ptr);
    *t = (struct text){0};
}

char *text_take(struct text *t) {
    char *out = t->ptr ? t->ptr : mem_calloc(1, 1);
    *t = (struct text){0};
    return out;
}
