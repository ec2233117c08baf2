/* CONFIG SET appendonly: the op log is turned on and off while the server runs.
 *
 * Turned on, the store holds what no log has. So a log is begun beside whatever is on disk, and a child writes its base; from the fork on
 * every op goes into the log, and when the base is whole the log takes the place of what was there. Until then
 * (`aof_rewrite_in_progress`) a crash finds what a crash would have found before. Where the base cannot be written it is tried
 * again every few seconds. Turned off, the log is closed at once, and stays as it is. */
#ifndef TQ_SERVER_APPENDONLY_H
#define TQ_SERVER_APPENDONLY_H

#include <stdbool.h>

#include "base/error.h"

struct server;

/* The option was set. ERROR_ERR: the log can't be begun, or not now. */
int appendonly_apply(void *context, struct error *e);

/* A log was begun that still needs a base: it is not in force. */
bool appendonly_begins(const struct server *s);

/* The end of a turn, what was done is logged: from here on ops go into the log that was begun, or into none. */
void appendonly_turn(struct server *s);

/* Ten times a second. */
void appendonly_tick(struct server *s);

/* The log's files are gone (`why` names one; copied): close the log, refuse writes, and begin a new
 * log. Unless the directory is `owned`, nothing in it is touched. */
void appendonly_lost(struct server *s, bool owned, const struct error *why);

/* The last thing that is done with a store: the log, if there is one, is closed. */
void appendonly_end(struct server *s);

#endif
