/* Arguments, read from left to right.
 *
 * The grammar of TQ commands is regular: fixed arguments first, then clauses in any order, each at most once (but
 * for WITH), each begun by a keyword; every list preceded by its count. This file knows that grammar once; the requests beside it say only
 * which clauses they have. What comes out borrows the arguments' bytes; arrays are in scratch. */
#ifndef TQ_REQUEST_ARGS_H
#define TQ_REQUEST_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/scratch.h"
#include "store/where.h"
#include "wire/resp.h"

struct args {
    const struct resp_arg *argv;
    size_t argc, at; /* at: the next one to read */
    struct scratch *scratch;
    struct error *error; /* where functions that fail say why: always ERROR_ERR */
};

/* The arguments behind the command's name. */
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

/* Milliseconds to wait; 0 is for ever. */
int args_timeout(struct args *a, const char *what, int64_t *out);

/* `BLOCK ms`: how long a command may wait. */
struct args_block {
    bool given;
    int64_t ms; /* 0: for ever */
};
int args_block(struct args *a, struct args_block *out);

/* The count before a list: at least 1, and so many items of `each` arguments have to be there. */
int args_count(struct args *a, const char *what, size_t each, size_t *out);

/* A counted list of plain arguments. */
int args_list(struct args *a, const char *what, size_t *n, const struct span **items);

/* Step over the next argument if it is this keyword. */
bool args_accept(struct args *a, const char *keyword);

/* `FIELDS m field …`, `KEYS n key …`, `WHERE k {tag op value} …`, behind the keyword, their
 * names checked. A field or tag named twice is an error; a key may be. */
int args_fields(struct args *a, size_t *n, const struct span **fields);
int args_tags(struct args *a, size_t *n, const struct span **tags);
int args_keys(struct args *a, size_t *n, const struct span **keys);
int args_where(struct args *a, struct where *out);

/* A partition's or task's name, checked. */
int args_partition(struct args *a, struct span *out);
int args_task(struct args *a, struct span *out);

struct args_clause {
    const char *keyword;
    int (*parse)(struct args *a, void *request); /* what is behind the keyword */
    bool repeats;                                /* may come more than once */
};

/* The rest of the arguments as clauses, up to 32 kinds. An unknown keyword or one that comes twice is an error. */
int args_clauses(struct args *a, const struct args_clause *clauses, size_t n, void *request);

/* What is left over is an error. */
int args_end(struct args *a);

#endif
