/* Patterns as Redis' KEYS and SCAN know them: * ? [a-z] [^x] and \ before a literal. */
#ifndef TQ_BASE_GLOB_H
#define TQ_BASE_GLOB_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum { GLOB_MAX = 1024 }; /* bytes of a pattern */

/* May a client send this pattern? ERROR_ERR names the limit. */
int glob_check(struct span pattern, struct error *e);

/* Does the pattern, of GLOB_MAX bytes at most, describe all of the text? Time: linear in the text,
 * with a 64th of the pattern as the factor, whatever a client sends. */
bool glob_match(struct span pattern, struct span text, bool ignore_case);

#endif
