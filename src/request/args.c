/* See args.h. */
#include "request/args.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/nearest.h"
#include "base/number.h"
#include "store/names.h"

struct args args_open(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                      struct error *error) {
    return (struct args){.argv = argv, .argc = argc, .at = 1, .scratch = scratch, .error = error};
}

/* `TQ.MGET partition KEYS n key ...`, or `FIELDS m field ...` inside a clause. */
static void args_print_usage(const struct args *a, char out[USAGE_TEXT_MAX]) {
    const struct args_clause *clause = a->clause;
    usage_print(clause ? usage_parse_clause(clause->keyword, clause->usage, a->scratch)
                       : usage_parse(a->syntax->head, a->scratch),
                out);
}

int args_fail(struct args *a, const char *format, ...) {
    char text[ERROR_TEXT_MAX], usage[USAGE_TEXT_MAX] = "";
    if (!a->error) return ERROR_ERR;
    va_list args;
    va_start(args, format);
    error_format(text, sizeof(text), format, args);
    va_end(args);
    if (!a->syntax) return error_set(a->error, ERROR_ERR, "%s", text);
    args_print_usage(a, usage);
    if (a->clause) return error_set(a->error, ERROR_ERR, "%s: the clause is %s", text, usage);
    return error_set(a->error, ERROR_ERR, "%s: the command is %.*s %s", text,
                     SPAN_ARG(a->argv[0].bytes), usage);
}

/* Where `what` is the keyword that was read last, the missing argument is the `noun` behind it. */
static int args_missing(struct args *a, const char *what, const char *noun) {
    if (span_is(a->argv[a->at - 1].bytes, what))
        return args_fail(a, "syntax error: the %s behind %s is missing", noun, what);
    return args_fail(a, "syntax error: %s is missing", what);
}

int args_bytes(struct args *a, const char *what, struct span *out) {
    if (a->at == a->argc) return args_missing(a, what, "value");
    *out = a->argv[a->at++].bytes;
    return 0;
}

int args_number(struct args *a, const char *what, uint64_t min, uint64_t max, uint64_t *out) {
    struct span text;
    int failed = args_bytes(a, what, &text);
    if (failed) return failed;
    uint64_t value;
    if (number_parse_u64(text, &value) && value >= min && value <= max) {
        *out = value;
        return 0;
    }
    return args_fail(a, "%s: expected an integer from %llu to %llu, got %s", what,
                     (unsigned long long)min, (unsigned long long)max, QUOTE(text));
}

int args_count(struct args *a, const char *what, size_t each, size_t *out) {
    uint64_t n;
    if (a->at == a->argc) return args_missing(a, what, "count");
    struct span text = a->argv[a->at++].bytes;
    if (!number_parse_u64(text, &n) || n < 1 || n > UINT32_MAX)
        return args_fail(a, "%s: expected a count from 1 to %u in front of the list, got %s", what,
                         UINT32_MAX, QUOTE(text));
    if (n > args_left(a) / each)
        return args_fail(a, "%s: %llu announced, of %zu argument%s each, but only %zu follow%s",
                         what, (unsigned long long)n, each, each == 1 ? "" : "s", args_left(a),
                         args_left(a) == 1 ? "s" : "");
    *out = (size_t)n;
    return 0;
}

int args_list(struct args *a, const char *what, size_t *n, const struct span **items) {
    int failed = args_count(a, what, 1, n);
    if (failed) return failed;
    struct span *list = scratch_alloc(a->scratch, *n, sizeof(*list));
    for (size_t i = 0; i < *n; i++) list[i] = a->argv[a->at++].bytes;
    *items = list;
    return 0;
}

bool args_accept(struct args *a, const char *keyword) {
    if (a->at == a->argc || !span_is(a->argv[a->at].bytes, keyword)) return false;
    a->at++;
    return true;
}

static int args_words(struct args *a, const char *count, const char *what, size_t *n,
                      const struct span **words) {
    int failed = args_list(a, count, n, words);
    for (size_t i = 0; !failed && i < *n; i++)
        failed = names_check_word(what, (*words)[i], a->error);
    return failed ? failed : names_check_distinct("", what, *words, *n, a->scratch, a->error);
}

int args_fields(struct args *a, size_t *n, const struct span **fields) {
    return args_words(a, "FIELDS", "field", n, fields);
}

int args_tags(struct args *a, size_t *n, const struct span **tags) {
    return args_words(a, "TAGS", "tag", n, tags);
}

int args_keys(struct args *a, size_t *n, const struct span **keys) {
    int failed = args_list(a, "KEYS", n, keys);
    for (size_t i = 0; !failed && i < *n; i++)
        failed = names_check_key("key", (*keys)[i], a->error);
    return failed;
}

int args_partition(struct args *a, struct span *out) {
    int failed = args_bytes(a, "the partition", out);
    return failed ? failed : names_check_partition(*out, a->error);
}

int args_partition_keys(struct args *a, struct span *partition, size_t *n,
                        const struct span **keys) {
    int failed = args_partition(a, partition);
    if (failed) return failed;
    if (!args_left(a)) return args_fail(a, "syntax error: KEYS is missing");
    if (args_accept(a, "KEYS")) return args_keys(a, n, keys);
    return args_fail(a, "syntax error: expected KEYS behind the partition, got %s",
                     QUOTE(a->argv[a->at].bytes));
}

/* ---- functions of a clause ---------------------------------------------------------------- */

int args_flag(struct args *a, void *out) {
    (void)a;
    *(bool *)out = true;
    return 0;
}

int args_enum(struct args *a, void *out) {
    *(unsigned *)out = (unsigned)a->clause->min;
    return 0;
}

int args_value(struct args *a, void *out) {
    return args_bytes(a, a->clause->keyword, out);
}

int args_integer(struct args *a, void *out) {
    return args_number(a, a->clause->keyword, a->clause->min, a->clause->max, out);
}

int args_task(struct args *a, void *out) {
    struct span *task = out;
    int failed = args_bytes(a, "the task", task);
    return failed ? failed : names_check_word("task", *task, a->error);
}

/* The alternative at *at, which moves behind it; empty at the end. */
static struct span args_alternative(const char **at) {
    const char *begin = *at;
    while (**at != '|' && **at != ')') ++*at;
    struct span name = span_of(begin, (size_t)(*at - begin));
    if (**at == '|') ++*at;
    return name;
}

int args_choice(struct args *a, void *out) {
    struct span word, name;
    const char *alternatives = a->clause->usage + 1, *at = alternatives;
    int failed = args_value(a, &word);
    if (failed) return failed;
    for (unsigned i = 0; (name = args_alternative(&at)).len; i++) {
        if (name.len != word.len || strncasecmp(name.ptr, word.ptr, name.len) != 0) continue;
        *(unsigned *)out = i;
        return 0;
    }
    struct nearest nearest = nearest_to(word);
    for (at = alternatives; (name = args_alternative(&at)).len;) nearest_try(&nearest, name);
    return error_set(a->error, ERROR_ERR, "%s: expected %.*s, got %s%s", a->clause->keyword,
                     (int)(at - alternatives), alternatives, QUOTE(word),
                     NEAREST_HINT(&nearest, ""));
}

int args_where(struct args *a, void *out) {
    size_t n;
    int failed = args_count(a, "WHERE", 3, &n);
    if (failed) return failed;
    struct where_condition *conditions = scratch_alloc(a->scratch, n, sizeof(*conditions));
    for (size_t i = 0; i < n; i++) {
        conditions[i].tag = a->argv[a->at++].bytes;
        struct span operator= a->argv[a->at++].bytes;
        conditions[i].value = a->argv[a->at++].bytes;
        failed = names_check_word("tag", conditions[i].tag, a->error);
        if (failed) return failed;
        if (!where_parse_operator(operator, & conditions[i].operator))
            return args_fail(a, "WHERE: expected = != < <= > or >=, got %s", QUOTE(operator));
    }
    *(struct where *)out = (struct where){n, conditions};
    return 0;
}

int args_block(struct args *a, void *out) {
    struct args_block *block = out;
    uint64_t ms = 0;
    int failed = args_number(a, "BLOCK", 0, ARGS_TIME_MAX, &ms);
    *block = (struct args_block){true, (int64_t)ms};
    return failed;
}

/* ---- clauses ------------------------------------------------------------------------------ */

/* Step over a keyword of one or more words. */
static bool args_accept_words(struct args *a, const char *keyword) {
    for (size_t at = a->at; at < a->argc;) {
        struct span word = a->argv[at++].bytes;
        if (!word.len || (*word.ptr | 0x20) != (*keyword | 0x20)) return false; /* most end here */
        size_t len = (size_t)(strchrnul(keyword, ' ') - keyword);
        if (word.len != len || strncasecmp(word.ptr, keyword, len) != 0) return false;
        keyword += len;
        if (!*keyword) {
            a->at = at;
            return true;
        }
        keyword++;
    }
    return false;
}

/* `last`: the clause in front of the argument; NULL: none. */
static int args_unknown(struct args *a, const struct args_clause *last) {
    struct span word = a->argv[a->at].bytes;
    struct nearest nearest = nearest_to(word);
    char names[USAGE_TEXT_MAX] = "";
    size_t len = 0;
    for (const struct args_clause *c = a->syntax->clauses; c && c->keyword; c++) {
        if (c->is_hidden) continue;
        len +=
            (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "", c->keyword);
        if (len >= sizeof(names)) abort(); /* too many clauses for the text: a programming error */
        nearest_try(&nearest, span_of_string(c->keyword));
    }
    if (!len)
        return error_set(a->error, ERROR_ERR, "syntax error: unexpected argument %s", QUOTE(word));
    if (nearest.name.ptr) last = NULL; /* misspelt, and not one too many of the list before it */
    return error_set(a->error, ERROR_ERR,
                     "syntax error: unknown clause %s%s%s, expected one of %s%s", QUOTE(word),
                     last ? " behind " : "", last ? last->keyword : "", names,
                     NEAREST_HINT(&nearest, ""));
}

/* May the clause be there, with those that were seen? */
static int args_check_clause(struct args *a, size_t i) {
    const struct args_clause *clauses = a->syntax->clauses, *clause = &clauses[i];
    if (a->seen >> i & 1)
        return error_set(a->error, ERROR_ERR, "syntax error: %s is there twice", clause->keyword);
    for (size_t other = 0; clause->choice && clauses[other].keyword; other++)
        if ((a->seen >> other & 1) && clauses[other].choice &&
            !strcmp(clauses[other].choice, clause->choice))
            return error_set(a->error, ERROR_ERR, "syntax error: %s and %s exclude each other",
                             clauses[other < i ? other : i].keyword,
                             clauses[other < i ? i : other].keyword);
    return 0;
}

static int args_parse_clauses(struct args *a, void *request) {
    const struct args_clause *clauses = a->syntax->clauses, *last = NULL;
    while (args_left(a)) {
        size_t i = 0;
        while (clauses && clauses[i].keyword && !args_accept_words(a, clauses[i].keyword)) i++;
        if (!clauses || !clauses[i].keyword) return args_unknown(a, last);
        int failed = args_check_clause(a, i);
        if (failed) return failed;
        a->clause = last = &clauses[i];
        failed = clauses[i].parse(a, (char *)request + clauses[i].member);
        if (failed) return failed;
        a->seen |= UINT32_C(1) << i;
    }
    for (size_t i = 0; clauses && clauses[i].keyword; i++) {
        a->clause = &clauses[i];
        if (clauses[i].is_required && !(a->seen >> i & 1))
            return args_fail(a, "syntax error: %s is missing", clauses[i].keyword);
    }
    a->clause = NULL;
    return 0;
}

int args_parse(const struct args_syntax *syntax, const struct resp_arg *argv, size_t argc,
               struct scratch *scratch, void *request, struct error *e) {
    struct args a = args_open(argv, argc, scratch, e);
    a.syntax = syntax;
    memset(request, 0, syntax->size);
    int failed = syntax->parse_head(&a, request);
    if (!failed) failed = args_parse_clauses(&a, request);
    return failed || !syntax->finish ? failed : syntax->finish(&a, request);
}

bool args_has(const struct args *a, const char *keyword) {
    size_t i = 0;
    while (strcmp(a->syntax->clauses[i].keyword, keyword) != 0) i++;
    return a->seen >> i & 1;
}

struct usage *args_usage(const struct args_syntax *syntax, struct scratch *scratch) {
    struct usage *first = usage_parse(syntax->head, scratch), **last = &first;
    while (*last) last = &(*last)->next;
    for (const struct args_clause *c = syntax->clauses; c && c->keyword; c++) {
        if (c->is_hidden) continue;
        struct usage *arg = usage_parse_clause(c->keyword, c->usage, scratch);
        if (c->choice) {
            struct usage *choice = scratch_zalloc(scratch, 1, sizeof(*choice));
            *choice = (struct usage){
                .name = span_of_string(c->choice), .type = SPAN_LITERAL("oneof"), .args = arg};
            for (; c[1].choice && !strcmp(c[1].choice, c->choice); c++, arg = arg->next)
                arg->next = usage_parse_clause(c[1].keyword, c[1].usage, scratch);
            arg = choice;
        }
        arg->is_optional = !c->is_required;
        *last = arg;
        last = &arg->next;
    }
    return first;
}
