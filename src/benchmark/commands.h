/* What is said to the servers, and what they say back: a batch in the column form and in the row
 * form.
 *
 * The replies are needed as well, because the raw peer has to send exactly the bytes that a
 * server would. Messages lend the batch's memory, so the batch outlives them. They are appended
 * to, not sealed. */
#ifndef TQ_BENCHMARK_COMMANDS_H
#define TQ_BENCHMARK_COMMANDS_H

#include <stdbool.h>

#include "benchmark/batch.h"
#include "benchmark/message.h"

enum commands_form { COMMANDS_ROWS, COMMANDS_COLUMNS, COMMANDS_KEYS };

/* TQ.MPUT of the whole batch. One reply: how many samples are new. */
void commands_mput(struct message *m, const char *partition, const struct batch *b);

/* TQ.MGET of the whole batch, as rows or columns. One reply. */
void commands_mget(struct message *m, const char *partition, const struct batch *b,
                   enum commands_form form);

/* TQ.SAMPLE of `count` samples with the batch's fields. One reply. */
void commands_sample(struct message *m, const char *partition, size_t count, const struct batch *b,
                     enum commands_form form);

/* A TQ.PUT, HSET or HMGET for each sample. As many replies. */
void commands_put_rows(struct message *m, const char *partition, const struct batch *b);
void commands_hset_rows(struct message *m, const struct batch *b);
void commands_hmget_rows(struct message *m, const struct batch *b);

/* The batch as TQ.MGET or TQ.SAMPLE answers it: `with_keys` makes it rows of TQ.SAMPLE. */
void commands_reply_columns(struct message *m, const struct batch *b);
void commands_reply_rows(struct message *m, const struct batch *b, bool with_keys);

#endif
