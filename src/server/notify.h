/* Events: what happened to partitions, published on channels.
 *
 * Whoever is subscribed to `__tq__:PARTITION`, by name or by a pattern, hears at the end of each
 * turn in which the partition changed, each at most once:
 *
 *   field F produced N   cells of F were written or cleared; N samples have it now
 *   sealed               TQ.SEAL
 *   complete             nothing more will come, and all that is there has every field
 *
 * Opt-in (`notify-events yes`), and without a subscriber the price of a write is a branch.
 * `complete` is a state, and the store does not report when it begins: here is remembered of which
 * partitions it has been said, for as long as anyone listens to anything. */
#ifndef TQ_SERVER_NOTIFY_H
#define TQ_SERVER_NOTIFY_H

struct notify;
struct server;

struct notify *notify_new(struct server *s); /* and listens to changes */
void notify_free(struct notify *n);
void notify_register_options(struct server *s);

/* The end of the turn: publish what has gathered. */
void notify_publish(struct server *s);

#endif
