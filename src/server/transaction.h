/* MULTI, EXEC and WATCH.
 *
 * Between MULTI and EXEC a client's requests are checked as far as they can be without running
 * them, and kept. EXEC runs them one after the other without a look at anyone else's input, so
 * nobody sees the state between two of them. One that fails does not undo the others.
 *
 * WATCH makes EXEC conditional: whatever happens to a watched partition in between (it is made,
 * written to, taken from, dropped), by whomever, and EXEC runs nothing. The first touch decides
 * that: the client no longer watches the partition, nor any new one. Its other watches end with its
 * transaction, so a write costs a step for each watcher of its partition, whatever else they watch.
 * While nobody watches, a write pays one look at a counter. */
#ifndef TQ_SERVER_TRANSACTION_H
#define TQ_SERVER_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "server/client.h"
#include "server/server.h"

/* Nobody watches anything yet; listens to changes. */
void transactions_init(struct server *s);

/* Begin to keep requests. The client is in no transaction. */
void transaction_begin(struct client *c);

/* Keep the request that is running, which has passed the gates, and answer QUEUED. What is kept
 * counts against client-query-buffer-limit: beyond it the connection ends, with an error. */
void transaction_queue(struct client *c);

/* A request was refused: EXEC will refuse the whole. */
void transaction_spoil(struct client *c);
bool transaction_is_spoiled(const struct client *c);

/* Run what was kept and reply with an array of its replies; the transaction is over, and nothing is
 * watched any more. */
void transaction_run(struct client *c);

/* Forget what was kept and what is watched. Also where there is neither. */
void transaction_forget(struct client *c);

/* How many requests are kept; -1 outside a transaction. */
long long transaction_length(const struct client *c);
/* Bytes that they hold. */
size_t transaction_bytes(const struct client *c);
/* Flags of the commands kept, together. */
unsigned transaction_flags(const struct client *c);

/* ---- watching */

void transaction_watch(struct client *c, struct span partition);
void transaction_unwatch(struct client *c); /* all; what touched them is forgotten too */

#endif
