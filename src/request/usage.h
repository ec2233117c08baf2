/* How the arguments of a command are written, in one line:
 *
 *     partition=key task COUNT n=integer [FIELDS(m=integer field...)] [only(NX|XX)]
 *
 *     name        an argument; `name=type` where it is no string: key, integer, double, pattern
 *     KEYWORD     stands as it is; the argument or group right behind it belongs to it
 *     name(…)     a group: arguments one after the other, or alternatives with | between them;
 *                 without a name it has that of the KEYWORD in front of it
 *     […]         may be left out
 *     …           `...` behind an argument or a group: once or more
 *
 * COMMAND DOCS and error texts are made of such lines; a line is written beside the code that
 * parses it (args.h). A line that breaks these rules is a programming error and aborts. */
#ifndef TQ_REQUEST_USAGE_H
#define TQ_REQUEST_USAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/scratch.h"
#include "base/span.h"

/* One argument, as COMMAND DOCS has them. */
struct usage {
    struct span name, type; /* type: also "pure-token", "block" and "oneof" */
    struct span token;      /* the keyword in front of it; ptr NULL: none */
    bool is_optional, is_multiple;
    struct usage *args; /* of a block or oneof */
    struct usage *next;
};

/* The arguments of a line, in `scratch`; NULL: none. The line is borrowed. */
struct usage *usage_parse(const char *line, struct scratch *scratch);

/* One argument from its parts: `line` is an argument, a group or "" behind `token`. */
struct usage *usage_parse_clause(const char *token, const char *line, struct scratch *scratch);

size_t usage_count(const struct usage *args);

/* Write the arguments for people, without types: `FIELDS m field ...`. What is too long ends in
 * an ellipsis. Returns `out`. */
enum { USAGE_TEXT_MAX = 256 };
const char *usage_print(const struct usage *args, char out[USAGE_TEXT_MAX]);

#endif
