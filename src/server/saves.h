/* Snapshots without a name: SAVE, BGSAVE, save rules, and new bases of the log. */
#ifndef TQ_SERVER_SAVES_H
#define TQ_SERVER_SAVES_H

#include <stdbool.h>

#include "base/error.h"

struct server;

/* What failed by itself is tried again after so long, as in Redis. */
enum { SAVES_RETRY_S = 5 };

/* In this process, while everything waits. */
int saves_now(struct server *s, struct error *e);

/* In a child. `later`: where a child is busy, when it has ended; *waits says so. ERROR_ERR: one is
 * under way. */
int saves_begin(struct server *s, bool later, bool *waits, struct error *e);

/* A new base for the log. *waits as above. ERROR_ERR: there is no log, or one is under way. */
int saves_begin_rewrite(struct server *s, bool *waits, struct error *e);

/* The first base of a log that was just begun beside a store that holds something
 * (persistence.awaiting_base), from its first frame on. How it ends is in persistence.rewrites,
 * where there is no child too: ERROR_ERR. */
int saves_begin_base(struct server *s, struct error *e);

/* The log is closed, and with it any work on a new base comes to its end. */
void saves_stop_rewrite(struct server *s);

/* Is a child at it, and which? */
bool saves_is_saving(const struct server *s);
bool saves_is_rewriting(const struct server *s);

/* The log has just been written, nothing is pending: a rewrite whose next segment is there begins. */
void saves_turn(struct server *s);

/* The server ends: AUTO saves where there are save rules. ERROR_ERR: it could not, and should not end. */
enum saves_end { SAVES_AUTO, SAVES_ALWAYS, SAVES_NEVER };
int saves_at_end(struct server *s, enum saves_end how, struct error *e);

/* Ten times a second: rules, growth, and what is waiting. */
void saves_tick(struct server *s);

#endif
