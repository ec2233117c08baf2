/* What went wrong, as a code and a sentence.
 *
 * Every function that can fail returns 0 or an error code; the sentence goes into the `struct
 * error` that the caller passed. The code is what a client sees first (`-SCHEMA …`), the
 * sentence names the culprit and what was expected. Keys are any bytes, so they are quoted
 * before they enter a sentence. */
#ifndef TQ_BASE_ERROR_H
#define TQ_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum error_code {
    ERROR_NONE = 0,
    ERROR_ERR, /* syntax, arguments */
    ERROR_NOPART,
    ERROR_NOKEY,
    ERROR_NOTREADY,
    ERROR_SCHEMA,
    ERROR_FULL,
    ERROR_NOLEASE,
    ERROR_OOM,
    ERROR_NOPROTO,
    ERROR_NOAUTH,
    ERROR_WRONGPASS,
    ERROR_NOPERM,
    ERROR_READONLY,
    ERROR_LOADING,
    ERROR_MISCONF,
    ERROR_UNBLOCKED,
    ERROR_EXECABORT,
    ERROR_CODES
};

enum { ERROR_TEXT_MAX = 512, ERROR_QUOTE_MAX = 96 };

struct error {
    enum error_code code;
    bool retryable; /* for now only: a retry may succeed when others have made room */
    char text[ERROR_TEXT_MAX];
};

/* Fill `e` and return `code`, so that a failing branch is one line. A text that is too long is
 * cut in its middle. `e` may be NULL where the caller wants the code alone. */
int error_set(struct error *e, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As vsnprintf, but a text that does not fit loses its middle, where … then stands: the end of a
 * sentence gives the reason, behind a path of any length. `room` is at least 64. Returns the
 * length. */
size_t error_format(char *out, size_t room, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* The word on the wire: "ERR", "SCHEMA", … */
const char *error_name(enum error_code code);

/* A place for a quoted name: `error_quote(&(struct quoted){{0}}, key)` within an expression. */
struct quoted {
    char text[ERROR_QUOTE_MAX];
};

/* `'bytes'` with what is not printable ASCII as \xNN, and a long one cut short with …;
 * returns q->text. */
const char *error_quote(struct quoted *q, struct span bytes);

/* The usual way to name a culprit in a sentence. */
#define QUOTE(bytes) error_quote(&(struct quoted){{0}}, (bytes))

#endif
