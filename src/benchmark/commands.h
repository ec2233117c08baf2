/* A batch as commands to tq and to Redis, in the column form and in the row form, and tq's replies.
 *
 * The replies are needed because the raw peer has to send exactly the bytes that a server would.
 * Large values are taken by reference, so the batch outlives what is written here. */
#ifndef TQ_BENCHMARK_COMMANDS_H
#define TQ_BENCHMARK_COMMANDS_H

#include <stdbool.h>

#include "benchmark/batch.h"
#include "wire/reply.h"
#include "wire/request_writer.h"

enum commands_form { COMMANDS_ROWS, COMMANDS_COLUMNS, COMMANDS_KEYS };

/* TQ.MPUT of the whole batch. One reply: how many samples are new. */
void commands_mput(struct request_writer *w, const char *partition, const struct batch *b);

/* TQ.MGET of the whole batch, as rows or columns. One reply. */
void commands_mget(struct request_writer *w, const char *partition, const struct batch *b,
                   enum commands_form form);

/* TQ.SAMPLE of `count` samples with the batch's fields. One reply. */
void commands_sample(struct request_writer *w, const char *partition, size_t count,
                     const struct batch *b, enum commands_form form);

/* A TQ.PUT, HSET or HMGET for each sample. As many replies. */
void commands_put_rows(struct request_writer *w, const char *partition, const struct batch *b);
void commands_hset_rows(struct request_writer *w, const struct batch *b);
void commands_hmget_rows(struct request_writer *w, const struct batch *b);

/* A command of C strings; returns its bytes. */
size_t commands_words(struct request_writer *w, size_t argc, const char *const *argv);

/* The batch as TQ.MGET or TQ.SAMPLE answers it: `with_keys` makes it rows of TQ.SAMPLE. */
void commands_reply_columns(struct reply *r, const struct batch *b);
void commands_reply_rows(struct reply *r, const struct batch *b, bool with_keys);

#endif
