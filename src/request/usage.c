/* See usage.h. */
#include "request/usage.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- reading ------------------------------------------------------------------------------ */

struct usage_reader {
    const char *at;
    struct scratch *scratch;
};

static bool usage_accept(struct usage_reader *r, const char *text) {
    size_t len = strlen(text);
    if (strncmp(r->at, text, len) != 0) return false;
    r->at += len;
    return true;
}

static void usage_expect(struct usage_reader *r, const char *text) {
    if (usage_accept(r, text)) return;
    fprintf(stderr, "tq: expected '%s' in the usage at '%s'\n", text, r->at);
    abort();
}

/* Up to a blank or a sign. Brackets inside a word, as in name[:type], are part of it. */
static struct span usage_word(struct usage_reader *r) {
    const char *begin = r->at;
    for (int depth = 0; *r->at && !strchr(" ()|=", *r->at); r->at++) {
        if (!strncmp(r->at, "...", 3) || (*r->at == ']' && !depth)) break;
        if (*r->at == '[' && r->at == begin) break;
        depth += (*r->at == '[') - (*r->at == ']');
    }
    return span_of(begin, (size_t)(r->at - begin));
}

static bool usage_is_token(struct span word) {
    for (size_t i = 0; i < word.len; i++)
        if (islower((unsigned char)word.ptr[i])) return false;
    return word.len > 0;
}

/* `WITH TAGS`: one token, however many words. */
static struct span usage_token(struct usage_reader *r) {
    struct span token = {0};
    for (;;) {
        struct usage_reader ahead = *r;
        usage_accept(&ahead, " ");
        struct span word = usage_word(&ahead);
        if (!usage_is_token(word)) return token;
        if (!token.ptr) token.ptr = word.ptr;
        token.len = (size_t)(word.ptr + word.len - token.ptr);
        r->at = ahead.at;
    }
}

/* An argument that has only a token is named like it: `with-tags`. */
static struct span usage_name_of(struct span token, struct scratch *scratch) {
    char *name = scratch_alloc(scratch, token.len, 1);
    for (size_t i = 0; i < token.len; i++)
        name[i] = token.ptr[i] == ' ' ? '-' : (char)tolower((unsigned char)token.ptr[i]);
    return span_of(name, token.len);
}

static struct usage *usage_read_list(struct usage_reader *r);

/* What is between the parentheses. An alternative is one argument. */
static void usage_read_group(struct usage_reader *r, struct usage *group) {
    struct usage **last = &group->args;
    do {
        *last = usage_read_list(r);
        while (*last) last = &(*last)->next;
        if (*r->at == '|') group->type = SPAN_LITERAL("oneof");
    } while (usage_accept(r, "|"));
    usage_expect(r, ")");
}

static struct usage *usage_read_argument(struct usage_reader *r, struct span token) {
    struct usage *arg = scratch_zalloc(r->scratch, 1, sizeof(*arg));
    arg->token = token;
    if (*r->at == ' ' && islower((unsigned char)r->at[1])) r->at++;
    if (!token.ptr || islower((unsigned char)*r->at)) arg->name = usage_word(r);
    if (!arg->name.len) arg->name = usage_name_of(token, r->scratch);
    arg->type = SPAN_LITERAL("string");
    if (usage_accept(r, "(")) {
        arg->type = SPAN_LITERAL("block");
        usage_read_group(r, arg);
    } else if (usage_accept(r, "=")) {
        arg->type = usage_word(r);
    } else if (token.ptr && token.ptr + token.len == r->at) {
        arg->type = SPAN_LITERAL("pure-token");
    }
    arg->is_multiple = usage_accept(r, "...");
    return arg;
}

static struct usage *usage_read_item(struct usage_reader *r) {
    bool is_optional = usage_accept(r, "[");
    struct usage *arg = usage_read_argument(r, usage_token(r));
    arg->is_optional = is_optional;
    if (is_optional) usage_expect(r, "]");
    return arg;
}

static struct usage *usage_read_list(struct usage_reader *r) {
    struct usage *first = NULL, **last = &first;
    while (*r->at && !strchr("|)]", *r->at)) {
        *last = usage_read_item(r);
        last = &(*last)->next;
        usage_accept(r, " ");
    }
    return first;
}

struct usage *usage_parse(const char *line, struct scratch *scratch) {
    struct usage_reader r = {line, scratch};
    struct usage *args = usage_read_list(&r);
    if (*r.at) usage_expect(&r, "the end");
    return args;
}

struct usage *usage_parse_clause(const char *token, const char *line, struct scratch *scratch) {
    size_t room = strlen(token) + strlen(line) + 2;
    char *whole = scratch_alloc(scratch, room, 1);
    snprintf(whole, room, "%s%s%s", token, islower((unsigned char)*line) ? " " : "", line);
    return usage_parse(whole, scratch);
}

size_t usage_count(const struct usage *args) {
    size_t n = 0;
    for (; args; args = args->next) n++;
    return n;
}

/* ---- for people --------------------------------------------------------------------------- */

struct usage_text {
    char *out;
    size_t len;
};

static void usage_add(struct usage_text *t, struct span text) {
    static const char cut[] = "…";
    size_t room = USAGE_TEXT_MAX - sizeof(cut) - t->len;
    bool fits = text.len <= room;
    if (!fits) text.len = room;
    memcpy(t->out + t->len, text.ptr, text.len);
    t->len += text.len;
    memcpy(t->out + t->len, fits ? "" : cut, fits ? 1 : sizeof(cut));
}

static void usage_add_list(struct usage_text *t, const struct usage *args, const char *between);

static void usage_add_argument(struct usage_text *t, const struct usage *arg) {
    bool is_choice = span_is(arg->type, "oneof"), is_token = span_is(arg->type, "pure-token");
    bool in_braces = arg->is_multiple && arg->args && arg->args->next;
    if (arg->is_optional) usage_add(t, SPAN_LITERAL("["));
    if (arg->token.ptr) usage_add(t, arg->token);
    if (arg->token.ptr && !is_token) usage_add(t, SPAN_LITERAL(" "));
    if (in_braces) usage_add(t, SPAN_LITERAL("{"));
    if (arg->args)
        usage_add_list(t, arg->args, is_choice ? "|" : " ");
    else if (!is_token)
        usage_add(t, arg->name);
    if (in_braces) usage_add(t, SPAN_LITERAL("}"));
    if (arg->is_multiple) usage_add(t, SPAN_LITERAL(" ..."));
    if (arg->is_optional) usage_add(t, SPAN_LITERAL("]"));
}

static void usage_add_list(struct usage_text *t, const struct usage *args, const char *between) {
    for (const struct usage *arg = args; arg; arg = arg->next) {
        if (arg != args) usage_add(t, span_of_string(between));
        usage_add_argument(t, arg);
    }
}

const char *usage_print(const struct usage *args, char out[USAGE_TEXT_MAX]) {
    struct usage_text t = {.out = out};
    out[0] = '\0';
    usage_add_list(&t, args, " ");
    return out;
}
