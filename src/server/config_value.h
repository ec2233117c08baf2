/* Options' values as text: splitting lines into words, and what each kind accepts. */
#ifndef TQ_SERVER_CONFIG_VALUE_H
#define TQ_SERVER_CONFIG_VALUE_H

#include "server/config.h"

/* Words of a line, each ended by a NUL that is not counted. */
struct config_words {
    char *bytes;
    struct span *words;
    size_t n, capacity;
};

/* Where a word that begins with # stands: ends the line, or is a word like others. */
enum config_hash { CONFIG_COMMENT, CONFIG_WORD };

/* Split a line at blanks. "…" knows \n \r \t \b \a \xHH and \ before a literal; '…' knows \'
 * only. A quote that does not end, or ends inside a word, is an error. Free the words in either
 * case. */
int config_split(struct span line, enum config_hash hash, struct config_words *out,
                 struct error *e);
void config_words_free(struct config_words *words);

/* Set the option's value from words. On failure it is unchanged. Does not call apply. */
int config_parse(const struct config_option *o, const struct span *words, size_t n,
                 struct error *e);

/* 100, 64kb, 1gb … in bytes. False, and *out untouched, where it is no such thing or does not
 * fit. */
bool config_parse_memory(struct span text, int64_t *out);

#endif
