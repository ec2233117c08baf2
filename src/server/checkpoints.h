/* Checkpoints: TQ.CHECKPOINT, TQ.RESTORE and what goes with them.
 *
 * A checkpoint is written by a child, as every snapshot, and is there when its file and its name are on the medium; then its client has
 * the reply. A restore reads the file in slices between other work, into partitions that nobody sees; when all of it was read and
 * found right they come in by one op. Of each kind there is one at a time, others wait for their turn.
 *
 * The log has of a restore that op alone, and where the partitions are: the checkpoint's files get a second name in a directory beside the
 * segment, so that forgetting the checkpoint takes nothing from the log. A new base of the log drops these. */
#ifndef TQ_SERVER_CHECKPOINTS_H
#define TQ_SERVER_CHECKPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "persist/catalog.h"
#include "request/checkpoint.h"

struct client;
struct server;

struct checkpoints;

/* The catalog is read; what can't be is logged. */
int checkpoints_start(struct server *s, struct error *e);
void checkpoints_free(struct server *s);

/* One try of a client's request, on arrival (*ticket 0) and when it is woken (WAITER_SERVER) after it had to wait. True: done, with
 * 0 or an error in *e. False: it is under way or waits for others. */
bool checkpoints_make(struct server *s, const struct checkpoint_request *request, uint64_t *ticket,
                      struct error *e);
bool checkpoints_restore(struct server *s, const struct checkpoint_request *request,
                         uint64_t *ticket, uint64_t *restored, struct error *e);

int checkpoints_forget(struct server *s, struct span name, struct error *e);

const struct catalog *checkpoints_catalog(const struct server *s);

#endif
