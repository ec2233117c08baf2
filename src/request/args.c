/* See args.h. */
#include "request/args.h"

#include "base/number.h"
#include "store/names.h"

struct args args_open(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                      struct error *error) {
    return (struct args){.argv = argv, .argc = argc, .at = 1, .scratch = scratch, .error = error};
}

/* Where `what` is the keyword that was read last, the missing argument is the `noun` behind it. */
static int args_missing(struct args *a, const char *what, const char *noun) {
    if (span_is(a->argv[a->at - 1].bytes, what))
        return error_set(a->error, ERROR_ERR, "syntax error: the %s behind %s is missing", noun,
                         what);
    return error_set(a->error, ERROR_ERR, "syntax error: %s is missing", what);
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
    return error_set(a->error, ERROR_ERR, "%s: expected an integer from %llu to %llu, got %s", what,
                     (unsigned long long)min, (unsigned long long)max, QUOTE(text));
}

int args_timeout(struct args *a, const char *what, int64_t *out) {
    uint64_t ms;
    int failed = args_number(a, what, 0, ARGS_TIME_MAX, &ms);
    if (!failed) *out = (int64_t)ms;
    return failed;
}

int args_block(struct args *a, struct args_block *out) {
    out->given = true;
    return args_timeout(a, "BLOCK", &out->ms);
}

int args_count(struct args *a, const char *what, size_t each, size_t *out) {
    uint64_t n;
    if (a->at == a->argc) return args_missing(a, what, "count");
    int failed = args_number(a, what, 1, UINT32_MAX, &n);
    if (failed) return failed;
    if (n > args_left(a) / each)
        return error_set(a->error, ERROR_ERR,
                         "%s: %llu announced, of %zu argument%s each, but only %zu follow%s", what,
                         (unsigned long long)n, each, each == 1 ? "" : "s", args_left(a),
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

int args_where(struct args *a, struct where *out) {
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
            return error_set(a->error, ERROR_ERR, "WHERE: expected = != < <= > or >=, got %s",
                             QUOTE(operator));
    }
    *out = (struct where){n, conditions};
    return 0;
}

int args_partition(struct args *a, struct span *out) {
    int failed = args_bytes(a, "the partition", out);
    return failed ? failed : names_check_partition(*out, a->error);
}

int args_task(struct args *a, struct span *out) {
    int failed = args_bytes(a, "the task", out);
    return failed ? failed : names_check_word("task", *out, a->error);
}

int args_end(struct args *a) {
    if (a->at == a->argc) return 0;
    return error_set(a->error, ERROR_ERR, "syntax error at %s", QUOTE(a->argv[a->at].bytes));
}

int args_clauses(struct args *a, const struct args_clause *clauses, size_t n, void *request) {
    uint32_t seen = 0;
    while (args_left(a)) {
        size_t i = 0;
        while (i < n && !args_accept(a, clauses[i].keyword)) i++;
        if (i == n) return args_end(a);
        if ((seen >> i & 1) && !clauses[i].repeats)
            return error_set(a->error, ERROR_ERR, "syntax error: %s is there twice",
                             clauses[i].keyword);
        seen |= UINT32_C(1) << i;
        int failed = clauses[i].parse(a, request);
        if (failed) return failed;
    }
    return 0;
}
