/* See error.h. */
#include "base/error.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Two paths and what is said of them. */
enum { ERROR_WHOLE_MAX = 2 * PATH_MAX + 1024 };

static bool error_splits_utf8(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

size_t error_format(char *out, size_t room, const char *format, va_list args) {
    static const char gap[] = "…";
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(out, room, format, args);
    if (n < 0 || (size_t)n < room) {
        va_end(again);
        return n < 0 ? 0 : (size_t)n;
    }
    char whole[ERROR_WHOLE_MAX];
    vsnprintf(whole, sizeof(whole), format, again);
    va_end(again);
    size_t len = strlen(whole);
    size_t head = (room - sizeof(gap)) / 2, tail = len - head;
    while (head > 0 && error_splits_utf8(whole[head])) head--;
    while (tail < len && error_splits_utf8(whole[tail])) tail++;
    memcpy(out, whole, head);
    memcpy(out + head, gap, sizeof(gap) - 1);
    memcpy(out + head + sizeof(gap) - 1, whole + tail, len - tail);
    len = head + sizeof(gap) - 1 + len - tail;
    out[len] = '\0';
    return len;
}

int error_set(struct error *e, enum error_code code, const char *format, ...) {
    if (!e) return code;
    e->code = code;
    e->retryable = false;
    va_list args;
    va_start(args, format);
    error_format(e->text, sizeof(e->text), format, args);
    va_end(args);
    return code;
}

const char *error_name(enum error_code code) {
    static const char *const names[ERROR_CODES] = {
        [ERROR_NONE] = "OK",
        [ERROR_ERR] = "ERR",
        [ERROR_NOPART] = "NOPART",
        [ERROR_NOKEY] = "NOKEY",
        [ERROR_NOTREADY] = "NOTREADY",
        [ERROR_SCHEMA] = "SCHEMA",
        [ERROR_FULL] = "FULL",
        [ERROR_NOLEASE] = "NOLEASE",
        [ERROR_OOM] = "OOM",
        [ERROR_NOPROTO] = "NOPROTO",
        [ERROR_NOAUTH] = "NOAUTH",
        [ERROR_WRONGPASS] = "WRONGPASS",
        [ERROR_NOPERM] = "NOPERM",
        [ERROR_READONLY] = "READONLY",
        [ERROR_LOADING] = "LOADING",
        [ERROR_MISCONF] = "MISCONF",
        [ERROR_UNBLOCKED] = "UNBLOCKED",
        [ERROR_EXECABORT] = "EXECABORT",
    };
    return names[code];
}

/* One byte as it appears between the quotes; returns how many characters (1, 2 or 4). */
static size_t quote_byte(char *out, unsigned char byte) {
    static const char hex[] = "0123456789abcdef";
    if (byte == '\'' || byte == '\\') {
        out[0] = '\\';
        out[1] = (char)byte;
        return 2;
    }
    if (byte >= 0x20 && byte < 0x7f) {
        out[0] = (char)byte;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[byte >> 4];
    out[3] = hex[byte & 15];
    return 4;
}

const char *error_quote(struct quoted *q, struct span bytes) {
    enum { TAIL_ROOM = 5 }; /* "…'" and the end of the string */
    size_t at = 0, cut = 1; /* where the tail could still stand */
    q->text[at++] = '\'';
    for (size_t i = 0; i < bytes.len; i++) {
        char one[4];
        size_t n = quote_byte(one, (unsigned char)bytes.ptr[i]);
        if (at + n + 2 > sizeof(q->text)) {
            at = cut;
            memcpy(q->text + at, "…", strlen("…"));
            at += strlen("…");
            break;
        }
        memcpy(q->text + at, one, n);
        at += n;
        if (at + TAIL_ROOM <= sizeof(q->text)) cut = at;
    }
    q->text[at++] = '\'';
    q->text[at] = '\0';
    return q->text;
}
