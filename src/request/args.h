/* Arguments, read from left to right.
 *
 * The grammar of TQ commands is regular: fixed arguments first, then clauses in any order, each at
 * most once. A clause begins with its keyword, a list with its count. A command's `struct
 * args_syntax` stands beside the functions that read its clauses. This one table parses requests
 * and is what COMMAND DOCS and error texts are made of. A request borrows the arguments' bytes; its
 * arrays are in scratch. */
#ifndef TQ_REQUEST_ARGS_H
#define TQ_REQUEST_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/scratch.h"
#include "request/usage.h"
#include "store/where.h"
#include "wire/resp.h"

struct args {
    const struct resp_arg *argv;
    size_t argc, at; /* at: the next one to read */
    struct scratch *scratch;
    struct error *error; /* where functions that fail say why: always ERROR_ERR */
    const struct args_syntax *syntax; /* NULL: the command has none */
    const struct args_clause *clause; /* the one that is read; NULL: the fixed arguments */
    uint32_t seen;                    /* a bit for each clause that was there */
};

struct args_clause {
    const char *keyword;                     /* "FIELDS", "WITH TAGS"; NULL ends a table */
    const char *usage;                       /* what follows it, as in usage.h; "" for nothing */
    int (*parse)(struct args *a, void *out); /* reads what follows the keyword */
    size_t member;                           /* `out` is so many bytes into the request */
    uint64_t min, max;                       /* of a number; min: what an enum becomes */
    const char *choice; /* clauses side by side with the same name exclude each other */
    bool is_required;
    bool is_hidden; /* COMMAND DOCS and errors don't name it */
};

/* Lines of a table: parsed by a function of the request; by one of a member; a keyword that sets an
 * enum; a number. */
#define ARGS_CLAUSE(keyword_, usage_, ...)                                                         \
    { .keyword = keyword_, .usage = usage_, .parse = __VA_ARGS__ }
#define ARGS_MEMBER(keyword_, usage_, parse_, type_, ...)                                          \
    ARGS_CLAUSE(keyword_, usage_, parse_, .member = offsetof(type_, __VA_ARGS__))
#define ARGS_ENUM(keyword_, type_, member_, ...)                                                   \
    ARGS_CLAUSE(keyword_, "", args_enum, .member = offsetof(type_, member_), .min = __VA_ARGS__)
#define ARGS_NUMBER(keyword_, name_, type_, member_, min_, ...)                                    \
    ARGS_CLAUSE(keyword_, name_ "=integer", args_integer, .member = offsetof(type_, member_),      \
                .min = min_, .max = __VA_ARGS__)

struct args_syntax {
    size_t size;      /* of the request that the functions fill in; it is zeroed first */
    const char *head; /* the fixed arguments, as in usage.h */
    int (*parse_head)(struct args *a, void *request); /* sets defaults, too */
    const struct args_clause *clauses;                /* up to 32; NULL: none */
    int (*finish)(struct args *a, void *request);     /* when all are read; may be NULL */
};

/* Parse all arguments behind the command's name. */
int args_parse(const struct args_syntax *syntax, const struct resp_arg *argv, size_t argc,
               struct scratch *scratch, void *request, struct error *e);

/* The arguments of a command as COMMAND DOCS has them, in `scratch`. */
struct usage *args_usage(const struct args_syntax *syntax, struct scratch *scratch);

/* ---- for the functions of a syntax -------------------------------------------------------- */

/* For commands without a syntax: the arguments behind the command's name. */
struct args args_open(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                      struct error *error);

static inline size_t args_left(const struct args *a) {
    return a->argc - a->at;
}

/* The next argument; `what` names it when it is missing: the keyword in front of it, or a noun. */
int args_bytes(struct args *a, const char *what, struct span *out);

/* The next argument as a decimal number from min to max. */
int args_number(struct args *a, const char *what, uint64_t min, uint64_t max, uint64_t *out);

#define ARGS_TIME_MAX (UINT64_C(100) * 366 * 24 * 3600 * 1000) /* a century, in milliseconds */

/* The count before a list: at least 1, and so many items of `each` arguments have to be there. */
int args_count(struct args *a, const char *what, size_t each, size_t *out);

/* A counted list of plain arguments. */
int args_list(struct args *a, const char *what, size_t *n, const struct span **items);

/* Step over the next argument if it is this keyword. */
bool args_accept(struct args *a, const char *keyword);

/* For `finish`: was this clause there? */
bool args_has(const struct args *a, const char *keyword);

/* What is behind the keywords FIELDS, TAGS and KEYS, names checked. A field or tag named twice is
 * an error; a key may be. */
#define ARGS_FIELDS "(m=integer field...)"
#define ARGS_KEYS "(n=integer key...)"
int args_fields(struct args *a, size_t *n, const struct span **fields);
int args_tags(struct args *a, size_t *n, const struct span **tags);
int args_keys(struct args *a, size_t *n, const struct span **keys);

/* A partition's name, checked; and the head `partition=key KEYS(n=integer key...)`. */
int args_partition(struct args *a, struct span *out);
int args_partition_keys(struct args *a, struct span *partition, size_t *n,
                        const struct span **keys);

/* ---- functions of a clause, for ARGS_MEMBER ------------------------------------------------ */

int args_flag(struct args *a, void *out);    /* bool: the keyword stands alone */
int args_enum(struct args *a, void *out);    /* an enum: the clause's min */
int args_value(struct args *a, void *out);   /* struct span */
int args_integer(struct args *a, void *out); /* uint64_t, from the clause's min to max */
int args_task(struct args *a, void *out);    /* struct span: a task's name, checked */

/* An enum: the place, from 0, of the argument among the alternatives of the clause's usage, which
 * are words. */
int args_choice(struct args *a, void *out);

/* struct where, names checked. */
#define ARGS_WHERE "(k=integer condition(tag op value)...)"
int args_where(struct args *a, void *out);

/* How long a command may wait. */
struct args_block {
    bool given;
    int64_t ms; /* 0: for ever */
};
#define ARGS_BLOCK "ms=integer"
int args_block(struct args *a, void *out);

/* Fail: error_set, followed by how the clause, or the beginning of the command, is written. */
int args_fail(struct args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
