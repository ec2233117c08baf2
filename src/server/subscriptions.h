/* Which clients subscribe to which names.
 *
 * Channels and their subscribers, patterns and theirs, partitions and the clients that watch them:
 * three times the same relation between names and clients. The clients of a name, the names of a
 * client, and a pair of both are each found in constant time, however many names a client has.
 *
 * A pair of a client and a name is a subscription. A name exists as long as it has one. */
#ifndef TQ_SERVER_SUBSCRIPTIONS_H
#define TQ_SERVER_SUBSCRIPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/span.h"
#include "server/table.h"

struct subscription_name;
struct client;

struct subscription {
    struct table_link link;
    struct subscription_name *name;
    struct client *client;
    TAILQ_ENTRY(subscription) neighbours; /* the others of the name */
    TAILQ_ENTRY(subscription) own;        /* the others of the client */
};

TAILQ_HEAD(subscription_list, subscription);

/* The subscriptions of one client in one relation, in the order in which they were made. */
struct subscription_set {
    struct subscription_list list;
    size_t count;
};

struct subscription_name {
    struct table_link link;
    TAILQ_ENTRY(subscription_name) all;
    struct subscription_list subscriptions; /* in the order in which they were made */
    size_t count;
    struct span name;
};

struct subscriptions {
    struct table names, pairs;
    TAILQ_HEAD(, subscription_name) all; /* in the order in which they appeared */
    size_t bytes;                        /* of names and subscriptions */
    unsigned walks;
    bool has_empty;
};

/* What a subscription takes, if the name is new. */
static inline size_t subscriptions_cost(struct span name) {
    return sizeof(struct subscription_name) + sizeof(struct subscription) + name.len;
}

void subscriptions_init(struct subscriptions *s);
void subscriptions_free(struct subscriptions *s); /* when all subscriptions have been removed */
void subscription_set_init(struct subscription_set *own);

/* `own` is the client's set for this relation, the name is copied. False where it has this
 * subscription already. */
bool subscriptions_add(struct subscriptions *s, struct client *c, struct subscription_set *own,
                       struct span name);

/* Remove one, or all of the client. False where there was none. */
bool subscriptions_remove(struct subscriptions *s, struct client *c, struct subscription_set *own,
                          struct span name);
void subscriptions_remove_all(struct subscriptions *s, struct subscription_set *own);

/* NULL where no client subscribes to the name. */
struct subscription_name *subscriptions_find(const struct subscriptions *s, struct span name);

/* Between these, names stay where they are even when clients go, so that a walk over `all` may
 * close clients on its way; a name may then be without subscriptions. Within a name's
 * subscriptions, the next one survives as long as only the present one's client goes. */
void subscriptions_walk_begin(struct subscriptions *s);
void subscriptions_walk_end(struct subscriptions *s);

#endif
