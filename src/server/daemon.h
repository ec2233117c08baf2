/* `daemonize yes`: the server in the background, without losing what happens at the start. */
#ifndef TQ_SERVER_DAEMON_H
#define TQ_SERVER_DAEMON_H

#include "base/error.h"

/* Go on in a child that is the leader of a session of its own. The process that was started
 * waits until daemon_ready is called in the child and exits with 0, or with 1 when the child
 * ends before, which keeps the terminal's standard error until then. Call it before anything is
 * opened. */
int daemon_begin(struct error *e);

/* The child serves: the parent may go. Standard output and error are given up. Does nothing without
 * daemon_begin. */
void daemon_ready(void);

#endif
