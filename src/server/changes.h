/* Listeners of changes.
 *
 * A module that must know of ops (the feed, waiters, WATCH, events, the server's log) registers a
 * listener when the server is initialised, for the kinds of ops that it must know of. It is called
 * right after the op was applied, in the order of registration, while what the op points at is
 * still there. A listener must not apply ops itself.
 *
 * Ops of a start, which are read from disk, are not notified: listeners were notified when they
 * were committed. */
#ifndef TQ_SERVER_CHANGES_H
#define TQ_SERVER_CHANGES_H

#include <stdint.h>

#include "store/op.h"

struct changes;
struct server;

typedef void changes_listener(struct server *s, const struct op *op);

struct changes *changes_new(void);
void changes_free(struct changes *changes);

/* A set of kinds: CHANGES_OF(OP_SEAL) | CHANGES_OF(OP_DROP). */
#define CHANGES_OF(kind) (UINT32_C(1) << (kind))
#define CHANGES_ALL UINT32_MAX

/* For the life of the server. */
void changes_listen(struct server *s, uint32_t kinds, changes_listener *listener);

/* What was on disk is in the store: listeners are notified of ops from now on. */
void changes_begin(struct server *s);

#endif
