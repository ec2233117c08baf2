/* See config_value.h. */
#include "server/config_value.h"

#include <ctype.h>

#include "base/mem.h"
#include "base/number.h"

/* ---- words */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* What follows a backslash inside "…"; returns how many bytes of the line it took. */
static size_t unescape(struct span rest, char *out) {
    static const char letters[] = "nrtba", meanings[] = "\n\r\t\b\a";
    if (rest.ptr[0] == 'x' && rest.len >= 3 && hex_digit(rest.ptr[1]) >= 0 &&
        hex_digit(rest.ptr[2]) >= 0) {
        *out = (char)(hex_digit(rest.ptr[1]) * 16 + hex_digit(rest.ptr[2]));
        return 3;
    }
    const char *letter = rest.ptr[0] ? strchr(letters, rest.ptr[0]) : NULL;
    *out = letter ? meanings[letter - letters] : rest.ptr[0];
    return 1;
}

/* The inside of a quoted word from `at` on, just behind the quote. Returns where the line goes on,
 * 0 where the quote does not end properly. */
static size_t split_quoted(struct span line, size_t at, char **out) {
    char quote = line.ptr[at - 1];
    while (at < line.len && line.ptr[at] != quote) {
        bool escape =
            line.ptr[at] == '\\' && at + 1 < line.len && (quote == '"' || line.ptr[at + 1] == '\'');
        if (escape)
            at += 1 + unescape(span_of(line.ptr + at + 1, line.len - at - 1), *out);
        else
            **out = line.ptr[at++];
        (*out)++;
    }
    if (at == line.len) return 0;
    at++;
    return at == line.len || isspace((unsigned char)line.ptr[at]) ? at : 0;
}

int config_split(struct span line, enum config_hash hash, struct config_words *out,
                 struct error *e) {
    *out = (struct config_words){.bytes = mem_alloc(line.len * 2 + 1)};
    char *at_out = out->bytes;
    for (size_t at = 0;;) {
        while (at < line.len && isspace((unsigned char)line.ptr[at])) at++;
        if (at == line.len || (line.ptr[at] == '#' && hash == CONFIG_COMMENT)) return 0;
        char *begin = at_out;
        if (line.ptr[at] == '"' || line.ptr[at] == '\'') {
            at = split_quoted(line, at + 1, &at_out);
            if (!at) return error_set(e, ERROR_ERR, "unbalanced quotes");
        } else {
            while (at < line.len && !isspace((unsigned char)line.ptr[at]))
                *at_out++ = line.ptr[at++];
        }
        out->words = mem_grow(out->words, &out->capacity, out->n + 1, sizeof(*out->words));
        out->words[out->n++] = span_of(begin, (size_t)(at_out - begin));
        *at_out++ = '\0';
    }
}

void config_words_free(struct config_words *words) {
    mem_free(words->bytes);
    mem_free(words->words);
    *words = (struct config_words){0};
}

/* ---- kinds */

bool config_parse_memory(struct span text, int64_t *out) {
    static const struct {
        const char *suffix;
        int64_t factor;
    } units[] = {{"", 1},
                 {"b", 1},
                 {"k", 1000},
                 {"kb", 1024},
                 {"m", 1000 * 1000},
                 {"mb", 1024 * 1024},
                 {"g", 1000 * 1000 * 1000},
                 {"gb", 1024 * 1024 * 1024}};
    size_t digits = 0;
    while (digits < text.len && isdigit((unsigned char)text.ptr[digits])) digits++;
    int64_t number, bytes;
    if (!number_parse_i64(span_of(text.ptr, digits), &number)) return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        struct span suffix = span_of(text.ptr + digits, text.len - digits);
        if (!span_is(suffix, units[i].suffix)) continue;
        if (__builtin_mul_overflow(number, units[i].factor, &bytes)) return false;
        *out = bytes;
        return true;
    }
    return false;
}

static bool parse_octal(struct span text, int64_t *out) {
    if (!text.len || text.len > 6) return false;
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '7') return false;
        value = value * 8 + (text.ptr[i] - '0');
    }
    *out = value;
    return true;
}

static int refuse_choice(const struct config_option *o, struct span got, struct error *e) {
    struct text names = {0};
    for (const struct config_choice *c = o->choices; c->name; c++)
        text_printf(&names, "%s%s", names.len ? ", " : "", c->name);
    error_set(e, ERROR_ERR, "argument must be one of %s, got %s", names.ptr, QUOTE(got));
    text_free(&names);
    return ERROR_ERR;
}

static int parse_number(const struct config_option *o, struct span word, struct error *e) {
    int64_t number;
    if (o->kind == CONFIG_MEMORY && !config_parse_memory(word, &number))
        return error_set(e, ERROR_ERR,
                         "argument must be a memory value such as 100, 64kb, 512mb or 4gb, got %s",
                         QUOTE(word));
    if (o->kind == CONFIG_OCTAL && !parse_octal(word, &number))
        return error_set(e, ERROR_ERR, "argument must be an octal number such as 700, got %s",
                         QUOTE(word));
    if (o->kind == CONFIG_INTEGER && !number_parse_i64(word, &number))
        return error_set(e, ERROR_ERR, "argument must be a number, got %s", QUOTE(word));
    if (number < o->min || number > o->max)
        return error_set(e, ERROR_ERR, "argument must be between %lld and %lld, got %s",
                         (long long)o->min, (long long)o->max, QUOTE(word));
    *(int64_t *)o->value = number;
    return 0;
}

static void set_string(const struct config_option *o, struct span word) {
    struct text copy = {0};
    text_add(&copy, word);
    mem_free(*(char **)o->value);
    *(char **)o->value = text_take(&copy);
}

static int parse_one(const struct config_option *o, struct span word, struct error *e) {
    switch (o->kind) {
    case CONFIG_BOOL:
        if (!span_is(word, "yes") && !span_is(word, "no"))
            return error_set(e, ERROR_ERR, "argument must be 'yes' or 'no', got %s", QUOTE(word));
        *(bool *)o->value = span_is(word, "yes");
        return 0;
    case CONFIG_ENUM:
        for (const struct config_choice *c = o->choices; c->name; c++) {
            if (!span_is(word, c->name)) continue;
            *(int *)o->value = c->value;
            return 0;
        }
        return refuse_choice(o, word, e);
    case CONFIG_STRING:
        if (memchr(word.ptr, '\0', word.len))
            return error_set(e, ERROR_ERR, "argument holds a NUL byte");
        set_string(o, word);
        return 0;
    default: return parse_number(o, word, e);
    }
}

/* What may stand in a list, so that its text splits into the same words again. */
static bool is_word_byte(char c) {
    return isgraph((unsigned char)c) && !strchr("\"'\\", c);
}

static int parse_words(const struct config_option *o, const struct span *words, size_t n,
                       struct error *e) {
    struct text joined = {0};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < words[i].len; k++) {
            if (is_word_byte(words[i].ptr[k])) continue;
            text_free(&joined);
            return error_set(e, ERROR_ERR, "argument holds blanks, quotes or unprintable bytes: %s",
                             QUOTE(words[i]));
        }
        if (!words[i].len) continue;
        if (joined.len) text_add(&joined, SPAN_LITERAL(" "));
        text_add(&joined, words[i]);
    }
    mem_free(*(char **)o->value);
    *(char **)o->value = text_take(&joined);
    return 0;
}

int config_parse(const struct config_option *o, const struct span *words, size_t n,
                 struct error *e) {
    if (o->kind == CONFIG_WORDS) return parse_words(o, words, n, e);
    if (n != 1) return error_set(e, ERROR_ERR, "takes one argument, got %zu", n);
    return parse_one(o, words[0], e);
}

void config_format(const struct config_option *o, struct text *out) {
    switch (o->kind) {
    case CONFIG_BOOL: text_printf(out, "%s", *(bool *)o->value ? "yes" : "no"); break;
    case CONFIG_ENUM:
        for (const struct config_choice *c = o->choices; c->name; c++)
            if (c->value == *(int *)o->value) text_printf(out, "%s", c->name);
        break;
    case CONFIG_STRING:
    case CONFIG_WORDS: text_printf(out, "%s", *(char **)o->value); break;
    case CONFIG_OCTAL: text_printf(out, "%llo", (unsigned long long)*(int64_t *)o->value); break;
    default: text_printf(out, "%lld", (long long)*(int64_t *)o->value);
    }
}
