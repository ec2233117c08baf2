/* See json.h. */
#include "tools/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Bytes of the character of several bytes at the beginning; 0: there is none. */
static size_t character(struct span text) {
    for (size_t len = 2; len <= 4 && len <= text.len; len++)
        if (utf8_is_valid(span_of(text.ptr, len))) return len;
    return 0;
}

static void quoted(struct span text) {
    putchar('"');
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)text.ptr[i];
        size_t len = c < 0x80 ? 1 : character(span_of(text.ptr + i, text.len - i));
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            printf("\\u%04x", c);
        else if (len)
            fwrite(text.ptr + i, 1, len, stdout);
        else
            printf("\\u%04x", 0xdc00u + c);
        i += len ? len : 1;
    }
    putchar('"');
}

void json_name(struct json *j, struct span name) {
    if (j->comma) putchar(',');
    j->comma = false;
    quoted(name);
    putchar(':');
}

static void item(struct json *j, const char *name) {
    if (name) json_name(j, span_of_string(name));
    if (j->comma) putchar(',');
    j->comma = true;
}

void json_begin(struct json *j, const char *name, char bracket) {
    item(j, name);
    putchar(bracket);
    j->comma = false;
}

void json_end(struct json *j, char bracket) {
    putchar(bracket);
    j->comma = true;
}

void json_line(struct json *j) {
    putchar('\n');
    j->comma = false;
}

void json_text(struct json *j, const char *name, struct span value) {
    item(j, name);
    quoted(value);
}

void json_string(struct json *j, const char *name, const char *value) {
    json_text(j, name, span_of_string(value));
}

void json_number(struct json *j, const char *name, uint64_t value) {
    item(j, name);
    printf("%" PRIu64, value);
}

void json_signed(struct json *j, const char *name, int64_t value) {
    item(j, name);
    printf("%" PRId64, value);
}

void json_bool(struct json *j, const char *name, bool value) {
    item(j, name);
    fputs(value ? "true" : "false", stdout);
}
