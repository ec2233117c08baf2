/* See glob.h. A star never needs to be reconsidered once a later star has been reached, so the
 * matcher remembers just the last one: no recursion, no exponential pattern. */
#include "base/glob.h"

#include <ctype.h>

static int glob_fold(unsigned char c, bool ignore_case) {
    return ignore_case ? tolower(c) : c;
}

/* One set, pattern[*at] just behind '['. Leaves *at behind the ']' (or at the end, where it is
 * missing, which ends the set as Redis does). */
static bool glob_set(struct span pattern, size_t *at, int c, bool ignore_case) {
    size_t p = *at;
    bool negate = p < pattern.len && pattern.ptr[p] == '^', found = false;
    if (negate) p++;
    for (; p < pattern.len && pattern.ptr[p] != ']'; p++) {
        if (pattern.ptr[p] == '\\' && p + 1 < pattern.len) p++;
        int low = glob_fold((unsigned char)pattern.ptr[p], ignore_case), high = low;
        if (p + 2 < pattern.len && pattern.ptr[p + 1] == '-' && pattern.ptr[p + 2] != ']') {
            high = glob_fold((unsigned char)pattern.ptr[p + 2], ignore_case);
            p += 2;
        }
        if (low > high) {
            int swap = low;
            low = high;
            high = swap;
        }
        if (c >= low && c <= high) found = true;
    }
    *at = p < pattern.len ? p + 1 : p;
    return found != negate;
}

/* Match one character against the pattern element at *at, stepping behind that element. */
static bool glob_one(struct span pattern, size_t *at, unsigned char byte, bool ignore_case) {
    int c = glob_fold(byte, ignore_case);
    char p = pattern.ptr[(*at)++];
    if (p == '?') return true;
    if (p == '[') return glob_set(pattern, at, c, ignore_case);
    if (p == '\\' && *at < pattern.len) p = pattern.ptr[(*at)++];
    return glob_fold((unsigned char)p, ignore_case) == c;
}

bool glob_match(struct span pattern, struct span text, bool ignore_case) {
    size_t p = 0, t = 0, star = (size_t)-1, star_text = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_text = t;
            continue;
        }
        if (p < pattern.len && glob_one(pattern, &p, (unsigned char)text.ptr[t], ignore_case)) {
            t++;
            continue;
        }
        if (star == (size_t)-1) return false;
        p = star + 1;
        t = ++star_text;
    }
    while (p < pattern.len && pattern.ptr[p] == '*') p++;
    return p == pattern.len;
}
