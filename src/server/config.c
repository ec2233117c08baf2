/* See config.h. */
#include "server/config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "server/config_value.h"

struct config {
    struct config_option *options;
    size_t n, capacity;
};

struct config *config_new(void) {
    return mem_calloc(1, sizeof(struct config));
}

static bool owns_string(const struct config_option *o) {
    return o->kind == CONFIG_STRING || o->kind == CONFIG_WORDS;
}

void config_free(struct config *c) {
    for (size_t i = 0; i < c->n; i++) {
        if (!owns_string(&c->options[i])) continue;
        mem_free(*(char **)c->options[i].value);
        *(char **)c->options[i].value = NULL;
    }
    mem_free(c->options);
    mem_free(c);
}

static int option_apply(const struct config_option *o, struct error *e) {
    return o->apply ? o->apply(o->context, e) : 0;
}

/* Set from text that was a valid value before, or is meant to be by whoever wrote the program. */
static int option_restore(const struct config_option *o, struct span text, struct error *e) {
    struct config_words words = {0};
    bool split = o->kind == CONFIG_WORDS;
    int failed = split ? config_split(text, CONFIG_WORD, &words, e) : 0;
    if (!failed) failed = config_parse(o, split ? words.words : &text, split ? words.n : 1, e);
    if (!failed) failed = option_apply(o, e);
    config_words_free(&words);
    return failed;
}

static void programming_error(const char *option, const char *what) {
    fprintf(stderr, "tq: option '%s': %s\n", option, what);
    abort();
}

void config_register(struct config *c, const struct config_option *table) {
    for (const struct config_option *o = table; o->name; o++) {
        struct error e;
        if (config_find(c, span_of_string(o->name))) programming_error(o->name, "registered twice");
        c->options = mem_grow(c->options, &c->capacity, c->n + 1, sizeof(*c->options));
        c->options[c->n++] = *o;
        if (owns_string(o)) *(char **)o->value = NULL;
        if (option_restore(o, span_of_string(o->fallback), &e)) programming_error(o->name, e.text);
    }
}

const struct config_option *config_next(const struct config *c, const struct config_option *last) {
    const struct config_option *next = last ? last + 1 : c->options;
    return c->n && next < c->options + c->n ? next : NULL;
}

const struct config_option *config_find(const struct config *c, struct span name) {
    for (const struct config_option *o = NULL; (o = config_next(c, o));)
        if (span_is(name, o->name)) return o;
    return NULL;
}

/* ---- at the start */

/* Words that came as one, `--bind "127.0.0.1 ::1"`, are split like those of a line. */
static int set_words(const struct config_option *o, const struct span *words, size_t n,
                     struct error *e) {
    int failed;
    if (o->kind == CONFIG_WORDS && n == 1) {
        struct config_words parts;
        failed = config_split(words[0], CONFIG_WORD, &parts, e);
        if (!failed) failed = config_parse(o, parts.words, parts.n, e);
        config_words_free(&parts);
    } else {
        failed = config_parse(o, words, n, e);
    }
    return failed ? failed : option_apply(o, e);
}

static int unknown_option(const struct config *c, struct span name, const char *prefix,
                          struct error *e) {
    struct nearest nearest = nearest_to(name);
    for (const struct config_option *o = NULL; (o = config_next(c, o));)
        nearest_try(&nearest, span_of_string(o->name));
    return error_set(e, ERROR_ERR, "unknown option %s%s", QUOTE(name),
                     NEAREST_HINT(&nearest, prefix));
}

/* `prefix` is what stands in front of a name where it was given: "--", or nothing. */
static int load_option(struct config *c, struct span name, const char *prefix,
                       const struct span *words, size_t n, struct error *e) {
    const struct config_option *o = config_find(c, name);
    if (!o) return unknown_option(c, name, prefix, e);
    struct error why;
    int failed = set_words(o, words, n, &why);
    return failed ? error_set(e, failed, "option '%s': %s", o->name, why.text) : 0;
}

static int load_line(struct config *c, struct span line, struct error *e) {
    size_t blank = 0;
    while (blank < line.len && strchr(" \t", line.ptr[blank])) blank++;
    if (blank < line.len && line.ptr[blank] == '#') return 0;
    if (memchr(line.ptr, '\0', line.len))
        return error_set(e, ERROR_ERR, "the line holds a NUL byte");
    struct config_words words;
    int failed = config_split(line, CONFIG_COMMENT, &words, e);
    if (!failed && words.n)
        failed = load_option(c, words.words[0], "", words.words + 1, words.n - 1, e);
    config_words_free(&words);
    return failed;
}

int config_load_stream(struct config *c, FILE *stream, const char *name, struct error *e) {
    char *line = NULL;
    size_t size = 0;
    int failed = 0;
    ssize_t n;
    for (size_t number = 1; !failed && (n = getline(&line, &size, stream)) >= 0; number++) {
        struct error why;
        failed = load_line(c, span_of(line, (size_t)n), &why);
        if (failed) error_set(e, failed, "%s:%zu: %s", name, number, why.text);
    }
    if (!failed && ferror(stream))
        failed = error_set(e, ERROR_ERR, "can't read %s: %s", name, strerror(errno));
    free(line);
    return failed;
}

int config_load_file(struct config *c, const char *path, struct error *e) {
    if (!strcmp(path, "-")) return config_load_stream(c, stdin, "stdin", e);
    FILE *stream = fopen(path, "re");
    if (!stream)
        return error_set(e, ERROR_ERR, "can't open the config file '%s': %s", path,
                         strerror(errno));
    int failed = config_load_stream(c, stream, path, e);
    fclose(stream);
    return failed;
}

int config_load_words(struct config *c, size_t n, char *const *words, struct error *e) {
    struct span *values = mem_alloc(n * sizeof(*values));
    int failed = 0;
    for (size_t i = 0; i < n && !failed;) {
        const char *name = words[i++];
        size_t count = 0;
        while (i < n && strncmp(words[i], "--", 2) != 0)
            values[count++] = span_of_string(words[i++]);
        if (strncmp(name, "--", 2) != 0)
            failed = error_set(e, ERROR_ERR, "command line: expected --option, got %s",
                               QUOTE(span_of_string(name)));
        if (failed) break;
        struct error why;
        failed = load_option(c, span_of_string(name + 2), "--", values, count, &why);
        if (failed) error_set(e, failed, "command line: %s", why.text);
    }
    mem_free(values);
    return failed;
}

/* ---- while running */

static int check_settable(const struct config *c, size_t pairs, const struct span *names, size_t at,
                          struct error *e) {
    const struct config_option *o = config_find(c, names[at]);
    if (!o) return error_set(e, ERROR_ERR, "unknown option");
    if (o->fixed)
        return error_set(e, ERROR_ERR, "can't set immutable config: it is read at the start only");
    for (size_t i = 0; i < pairs; i++)
        if (i != at && config_find(c, names[i]) == o)
            return error_set(e, ERROR_ERR, "duplicate parameter");
    return 0;
}

int config_set(struct config *c, size_t pairs, const struct span *names, const struct span *values,
               struct span *culprit, struct error *e) {
    for (size_t i = 0; i < pairs; i++) {
        *culprit = names[i];
        int failed = check_settable(c, pairs, names, i, e);
        if (failed) return failed;
    }
    char **former = mem_calloc(pairs, sizeof(*former));
    int failed = 0;
    size_t done = 0;
    for (; done < pairs && !failed; done++) {
        const struct config_option *o = config_find(c, names[done]);
        struct text before = {0};
        config_format(o, &before);
        former[done] = text_take(&before);
        *culprit = names[done];
        failed = set_words(o, &values[done], 1, e);
    }
    while (done--) {
        struct error lost;
        const struct config_option *o = config_find(c, names[done]);
        if (failed && option_restore(o, span_of_string(former[done]), &lost))
            log_warning("option '%s' can't take effect as '%s' again: %s", o->name, former[done],
                        lost.text);
        mem_free(former[done]);
    }
    mem_free(former);
    return failed;
}
