/* Patterns as Redis' KEYS and SCAN know them: * ? [a-z] [^x] and \ before a literal. */
#ifndef TQ_BASE_GLOB_H
#define TQ_BASE_GLOB_H

#include <stdbool.h>

#include "base/span.h"

/* Does the pattern describe all of the text? Time at most pattern × text, whatever a client sends. */
bool glob_match(struct span pattern, struct span text, bool ignore_case);

#endif
