/* Channels: messages to whoever listens now.
 *
 * Nothing is kept of a message beyond its way out: who is not subscribed when it is published never
 * hears it. A subscriber that does not read what it asked for is cut at the output limit of its
 * class, or where an event of a partition (notify.h), which nobody can be refused, finds no room in
 * memory; one that leaves is forgotten at once.
 *
 * A message must not come between the parts of a reply, so what a client publishes to itself goes
 * out behind the reply of the command that published it. */
#ifndef TQ_SERVER_PUBSUB_H
#define TQ_SERVER_PUBSUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/span.h"
#include "server/client.h"
#include "server/server.h"
#include "server/subscriptions.h"

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN };

struct pubsub_message;

struct pubsub {
    /* by enum pubsub_kind: names are channels, or patterns */
    struct subscriptions subscriptions[2];
    size_t clients;                   /* that are subscribed to anything */
    uint64_t joins;                   /* how often anybody has subscribed to anything */
    uint64_t silences;                /* how often the last subscriber has left */
    TAILQ_HEAD(, pubsub_message) kept; /* for the client whose command is running */
    size_t kept_bytes;
};

struct pubsub *pubsub_new(void);
void pubsub_free(struct pubsub *p); /* when every client is gone */

/* False where it was (not) subscribed already. Writes nothing. */
bool pubsub_subscribe(struct client *c, enum pubsub_kind kind, struct span name);
bool pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct span name);

/* Leave everything, without a word: RESET, and the end of a connection. */
void pubsub_forget(struct client *c);

/* Would all copies of the message have room beside what waits for clients? ERROR_OOM. Messages are
 * output as replies are, and bounded with them (server_memory_replies). May close clients that do
 * not read, never the one whose command is running. */
int pubsub_check(struct client *c, struct span channel, struct span message, struct error *e);

/* Send to all who listen; returns how many copies went out (a client has one for each of its names
 * that match). May close clients, never the one whose command is running. */
size_t pubsub_publish(struct server *s, struct span channel, struct span message);

/* The command that was running has its reply: what it published to its own client follows. */
void pubsub_finish(struct client *c);

/* Would anyone hear it? */
bool pubsub_is_heard(const struct server *s, struct span channel);

/* Is anybody subscribed to anything? */
static inline bool pubsub_is_used(const struct server *s) {
    return s->pubsub->clients != 0;
}

static inline size_t pubsub_count(const struct client *c) {
    return c->channels.count + c->patterns.count;
}

/* Does this client speak RESP2 and listen? Then it may hardly do anything else: what is not a reply
 * could not be told from one. */
static inline bool pubsub_is_bound(const struct client *c) {
    return pubsub_count(c) && c->reply.protocol == 2;
}

#endif
