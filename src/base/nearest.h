/* The name that a misspelt word was probably meant to be: at most two letters inserted, left out,
 * replaced or swapped with their neighbour, and fewer than half of the name's. */
#ifndef TQ_BASE_NEAREST_H
#define TQ_BASE_NEAREST_H

#include "base/span.h"

struct nearest {
    struct span word;
    struct span name; /* the nearest so far, borrowed; ptr NULL: none is near */
    unsigned edits;
};

static inline struct nearest nearest_to(struct span word) {
    return (struct nearest){.word = word};
}

/* Compare the word with one more name, in any case. */
void nearest_try(struct nearest *n, struct span name);

/* ": did you mean NAME?", with `prefix` before the name; "" where no name is near. In memory that
 * lasts until the enclosing block ends. */
enum { NEAREST_HINT_MAX = 64 };
#define NEAREST_HINT(nearest, prefix) nearest_hint((char[NEAREST_HINT_MAX]){0}, (nearest), (prefix))
const char *nearest_hint(char out[NEAREST_HINT_MAX], const struct nearest *n, const char *prefix);

#endif
