/* What ends when its time is over: leases, and what is held for calls with ONCE.
 *
 * Time changes no data by itself: an end is an op, which is committed when a timer says so. The
 * timer follows the end that comes first. */
#ifndef TQ_SERVER_EXPIRY_H
#define TQ_SERVER_EXPIRY_H

struct server;

/* The loop is there: makes the timer, which is not set. */
void expiry_init(struct server *s);

/* The end of the turn: sets the timer for what ends first. Not while data is loaded. */
void expiry_turn(struct server *s);

#endif
