/* Options: one table, whoever sets them.
 *
 * Every module registers its own options, each with its description, default, range and the place
 * where its value lives; the rest of the program reads plain variables. The same table serves the
 * file (redis.conf's syntax), the command line, --help, CONFIG GET and CONFIG SET, so an option
 * cannot exist in one of them and not in another. A value that does not fit is refused with a
 * reason: there is no rounding and no silent default. */
#ifndef TQ_SERVER_CONFIG_H
#define TQ_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/span.h"
#include "server/text.h"

enum config_kind {
    CONFIG_BOOL,    /* bool: yes, no */
    CONFIG_INTEGER, /* int64_t */
    CONFIG_MEMORY,  /* int64_t, bytes: 100, 64kb (1024), 64k (1000), mb, gb */
    CONFIG_OCTAL,   /* int64_t: file permissions, 700 */
    CONFIG_ENUM,    /* int, by name */
    CONFIG_STRING,  /* char *, owned; one word, may be empty */
    CONFIG_WORDS,   /* char *, owned; words joined by single spaces */
};

struct config_choice {
    const char *name; /* NULL ends the list */
    int value;
};

struct config_option {
    const char *name;    /* lower case; NULL ends a table */
    const char *summary; /* one line for --help */
    enum config_kind kind;
    void *value;
    const char *fallback;                /* the default, as it would be written in the file */
    int64_t min, max;                    /* of numbers, both inclusive */
    const struct config_choice *choices; /* of an enum */
    bool fixed;                          /* only at the start: CONFIG SET refuses */
    /* May be NULL. Called whenever the value was set, at registration too: makes it effective, or
     * refuses it with a reason; then the former value comes back and this is called again. */
    int (*apply)(void *context, struct error *e);
    void *context;
};

struct config;

struct config *config_new(void);
void config_free(struct config *c); /* strings that options own are freed too */

/* Add a table that ends with a NULL name. The options are copied, what they point at is borrowed.
 * Values are set to their defaults; a default that does not parse, or a name that is taken, is a
 * programming error and aborts. */
void config_register(struct config *c, const struct config_option *table);

/* Read options from a file; "-" is stdin. What came before the line with the error stays set. */
int config_load_file(struct config *c, const char *path, struct error *e);
/* The same from an open stream; `name` stands before the line number in errors. */
int config_load_stream(struct config *c, FILE *stream, const char *name, struct error *e);

/* Read `--option value …` words. */
int config_load_words(struct config *c, size_t n, char *const *words, struct error *e);

/* CONFIG SET of several options, all or nothing: on failure every option has the value that it had,
 * and `culprit` is the name of the one at fault. */
int config_set(struct config *c, size_t pairs, const struct span *names, const struct span *values,
               struct span *culprit, struct error *e);

/* Walk over the options: NULL first. */
const struct config_option *config_next(const struct config *c, const struct config_option *last);
const struct config_option *config_find(const struct config *c, struct span name);

/* Append the present value as it would be written in the file (a string without quotes). */
void config_format(const struct config_option *o, struct text *out);

#endif
