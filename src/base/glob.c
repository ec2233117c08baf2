/* See glob.h. Two matchers. For short ones: a star never needs to be reconsidered once a later star
 * has been reached, so it is enough to remember the last one; but that takes pattern × text steps
 * at worst. Where these would be many, a bit for each place in the pattern says whether the text so
 * far can end there, and a byte of text moves all of them at once (Baeza-Yates and Gonnet, "A new
 * approach to text searching", 1992). */
#include "base/glob.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

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

static bool glob_match_stars(struct span pattern, struct span text, bool ignore_case) {
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

int glob_check(struct span pattern, struct error *e) {
    if (pattern.len <= GLOB_MAX) return 0;
    return error_set(e, ERROR_ERR, "a pattern has at most %d bytes, got %zu", GLOB_MAX,
                     pattern.len);
}

enum { GLOB_WORDS = GLOB_MAX / 64 + 1 };

/* Place i is behind i elements that stand for a byte. */
struct glob {
    char pattern[GLOB_MAX]; /* of which this was made */
    size_t len;
    bool ignore_case;
    size_t places;                    /* the last one: all of the pattern */
    uint64_t stays[GLOB_WORDS];       /* places with a star behind them */
    uint64_t enters[256][GLOB_WORDS]; /* by byte: places that it leads to */
};

static void glob_set_bit(uint64_t *words, size_t bit) {
    words[bit / 64] |= UINT64_C(1) << bit % 64;
}

static void glob_compile(struct span pattern, bool ignore_case, struct glob *g) {
    if (g->len == pattern.len && g->ignore_case == ignore_case &&
        !memcmp(g->pattern, pattern.ptr, pattern.len))
        return; /* a command matches one pattern with many texts */
    memset(g, 0, sizeof(*g));
    memcpy(g->pattern, pattern.ptr, pattern.len);
    g->len = pattern.len;
    g->ignore_case = ignore_case;
    for (size_t at = 0; at < pattern.len;) {
        if (pattern.ptr[at] == '*') {
            glob_set_bit(g->stays, g->places);
            at++;
            continue;
        }
        size_t next = at;
        g->places++;
        for (unsigned byte = 0; byte < 256; byte++) {
            next = at;
            if (glob_one(pattern, &next, (unsigned char)byte, ignore_case))
                glob_set_bit(g->enters[byte], g->places);
        }
        at = next;
    }
}

static bool glob_match_bits(struct span pattern, struct span text, bool ignore_case) {
    static struct glob g; /* too large for the stack; used by one thread */
    uint64_t can[GLOB_WORDS] = {1};
    glob_compile(pattern, ignore_case, &g);
    size_t words = g.places / 64 + 1;
    for (size_t t = 0; t < text.len; t++) {
        const uint64_t *enters = g.enters[(unsigned char)text.ptr[t]];
        uint64_t carry = 0;
        for (size_t w = 0; w < words; w++) {
            uint64_t moved = can[w] << 1 | carry;
            carry = can[w] >> 63;
            can[w] = (moved & enters[w]) | (can[w] & g.stays[w]);
        }
    }
    return can[g.places / 64] >> g.places % 64 & 1;
}

bool glob_match(struct span pattern, struct span text, bool ignore_case) {
    enum { FEW_STEPS = 16 * 1024 };
    if (pattern.len * text.len <= FEW_STEPS || pattern.len > GLOB_MAX)
        return glob_match_stars(pattern, text, ignore_case);
    return glob_match_bits(pattern, text, ignore_case);
}
