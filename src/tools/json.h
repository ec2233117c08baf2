/* JSON lines: one object a line, written to standard output.
 *
 * Keys and values of tq are any bytes. What is UTF-8 is written as text; a byte that is not becomes the character U+DC00 + byte, a lone
 * surrogate, as Python's surrogateescape has it: no two different names look the same. */
#ifndef TQ_TOOLS_JSON_H
#define TQ_TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct json {
    bool comma; /* one is due before the next item */
};

/* name NULL: an item of an array, or the whole line. */
void json_begin(struct json *j, const char *name, char bracket); /* '{' or '[' */
void json_end(struct json *j, char bracket);                     /* '}' or ']' */
void json_line(struct json *j);                                  /* the line ends */

/* The name of what comes next, from bytes. */
void json_name(struct json *j, struct span name);

void json_text(struct json *j, const char *name, struct span value);
void json_string(struct json *j, const char *name, const char *value);
void json_number(struct json *j, const char *name, uint64_t value);
void json_signed(struct json *j, const char *name, int64_t value);
void json_bool(struct json *j, const char *name, bool value);

#endif
