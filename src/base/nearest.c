/* See nearest.h. */
#include "base/nearest.h"

#include <ctype.h>
#include <stdio.h>

enum { NEAREST_NAME_MAX = 32, NEAREST_EDITS_MAX = 2 };

static unsigned nearest_least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* The distance of Damerau and Levenshtein in which no part is edited twice. rows[0] is the row of
 * the word's letter i, rows[1] and rows[2] are those of the letters before it. */
static unsigned nearest_distance(struct span word, struct span name) {
    unsigned rows[3][NEAREST_NAME_MAX + 1];
    for (unsigned j = 0; j <= name.len; j++) rows[0][j] = j;
    for (unsigned i = 1; i <= word.len; i++) {
        memcpy(rows[2], rows[1], sizeof(rows[1]));
        memcpy(rows[1], rows[0], sizeof(rows[0]));
        rows[0][0] = i;
        for (unsigned j = 1; j <= name.len; j++) {
            int a = tolower((unsigned char)word.ptr[i - 1]);
            int b = tolower((unsigned char)name.ptr[j - 1]);
            unsigned edits = nearest_least(rows[1][j], rows[0][j - 1]) + 1;
            edits = nearest_least(edits, rows[1][j - 1] + (a != b));
            if (i > 1 && j > 1 && a == tolower((unsigned char)name.ptr[j - 2]) &&
                b == tolower((unsigned char)word.ptr[i - 2]))
                edits = nearest_least(edits, rows[2][j - 2] + 1);
            rows[0][j] = edits;
        }
    }
    return rows[0][name.len];
}

void nearest_try(struct nearest *n, struct span name) {
    if (name.len > NEAREST_NAME_MAX || n->word.len > NEAREST_NAME_MAX) return;
    unsigned edits = nearest_distance(n->word, name);
    if (edits > NEAREST_EDITS_MAX || 2 * edits >= name.len) return;
    if (n->name.ptr && n->edits <= edits) return;
    n->name = name;
    n->edits = edits;
}

const char *nearest_hint(char out[NEAREST_HINT_MAX], const struct nearest *n, const char *prefix) {
    if (n->name.ptr)
        snprintf(out, NEAREST_HINT_MAX, ": did you mean %s%.*s?", prefix, SPAN_ARG(n->name));
    return out;
}
