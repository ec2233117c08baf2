/* See inline.h. Decoded text is never longer than its source, so the line is its own memory. */
#include "wire/inline.h"

#include <string.h>

static bool inline_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int inline_hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* What \c stands for between double quotes. */
static char inline_escape(char c) {
    static const char names[] = "nrtba", meanings[] = "\n\r\t\b\a";
    const char *found = c ? strchr(names, c) : NULL;
    return found ? meanings[found - names] : c;
}

/* One character between double quotes. */
static char inline_double(struct inline_line *line) {
    char *at = line->at;
    if (*at != '\\' || line->end - at < 2) {
        line->at = at + 1;
        return *at;
    }
    if (at[1] == 'x' && line->end - at >= 4) {
        int high = inline_hex(at[2]), low = inline_hex(at[3]);
        if (high >= 0 && low >= 0) {
            line->at = at + 4;
            return (char)(high << 4 | low);
        }
    }
    line->at = at + 2;
    return inline_escape(at[1]);
}

static char inline_single(struct inline_line *line) {
    if (line->end - line->at >= 2 && line->at[0] == '\\' && line->at[1] == '\'') line->at++;
    return *line->at++;
}

/* From behind the opening quote to behind the closing one. Returns where the decoded text ends,
 * NULL where the quote is not closed or does not end a word. */
static char *inline_quoted(struct inline_line *line, char quote, char *out) {
    while (line->at < line->end && *line->at != quote)
        *out++ = quote == '"' ? inline_double(line) : inline_single(line);
    if (line->at == line->end) return NULL;
    line->at++;
    return line->at == line->end || inline_is_space(*line->at) ? out : NULL;
}

bool inline_next(struct inline_line *line, struct span *arg) {
    while (line->at < line->end && inline_is_space(*line->at)) line->at++;
    if (line->at == line->end) return false;

    char *start = line->at, *out = start;
    while (line->at < line->end) {
        char c = *line->at;
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') break;
        line->at++;
        if (c != '"' && c != '\'') {
            *out++ = c;
            continue;
        }
        out = inline_quoted(line, c, out);
        if (!out) {
            line->unbalanced = true;
            return false;
        }
        break;
    }
    *arg = span_of(start, (size_t)(out - start));
    return true;
}
