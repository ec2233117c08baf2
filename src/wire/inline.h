/* Inline requests: a line as a person types it, cut into arguments as Redis cuts it.
 *
 * Blanks part the arguments. "…" may hold \n \r \t \b \a \xHH and \ before anything else; '…'
 * holds everything as it is but \'. A quote may open in the middle of an argument; what follows a
 * closing one must be a blank or the end. */
#ifndef TQ_WIRE_INLINE_H
#define TQ_WIRE_INLINE_H

#include <stdbool.h>

#include "base/span.h"

struct inline_line {
    char *at, *end;  /* what is left of the line, its line end taken off; set by the caller */
    bool unbalanced; /* a quote was not closed, or closed in the middle of a word */
};

/* The next argument, decoded in place over its own source: *arg points into the line. False at the
 * end, and where quotes do not balance; then `unbalanced` is true. */
bool inline_next(struct inline_line *line, struct span *arg);

#endif
