/* Who cares for which names.
 *
 * Channels and their subscribers, patterns and theirs, partitions and those who watch them: three
 * times the same relation between names and clients. It is asked from both sides (who has this
 * name? which names has this client, that leaves?) and of a pair (has it this one already?), and
 * each question has its answer in constant time, however many names a client has.
 *
 * A client's interest in a name is a seat. A name exists as long as it has one. */
#ifndef TQ_SERVER_AUDIENCE_H
#define TQ_SERVER_AUDIENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/span.h"
#include "server/table.h"

struct audience_name;
struct client;

struct seat {
    struct table_link link;
    struct audience_name *name;
    struct client *client;
    TAILQ_ENTRY(seat) neighbours; /* the others of the name */
    TAILQ_ENTRY(seat) own;        /* the others of the client */
};

TAILQ_HEAD(seat_list, seat);

/* The seats of one client in one audience, in the order in which it took them. */
struct seats {
    struct seat_list list;
    size_t count;
};

struct audience_name {
    struct table_link link;
    TAILQ_ENTRY(audience_name) all;
    struct seat_list seats; /* in the order in which they were taken */
    size_t count;
    struct span name;
};

struct audience {
    struct table names, taken;
    TAILQ_HEAD(, audience_name) all; /* in the order in which they appeared */
    size_t bytes;                    /* of names and seats */
    unsigned walks;
    bool has_empty;
};

/* What a seat takes, if the name is new. */
static inline size_t audience_cost(struct span name) {
    return sizeof(struct audience_name) + sizeof(struct seat) + name.len;
}

void audience_init(struct audience *a);
void audience_free(struct audience *a); /* when every seat has been left */
void seats_init(struct seats *own);

/* Take a seat; `own` is where the client keeps those of this audience, the name is copied. False
 * where it has one already. */
bool audience_join(struct audience *a, struct client *c, struct seats *own, struct span name);

/* Leave one, or all. False where there was none. */
bool audience_leave(struct audience *a, struct client *c, struct seats *own, struct span name);
void audience_leave_all(struct audience *a, struct seats *own);

/* NULL where nobody cares for the name. */
struct audience_name *audience_find(const struct audience *a, struct span name);

/* Between these, names stay where they are even when clients leave, so that a walk over `all` may
 * close clients on its way; a name may then be without seats. Within a name's seats, the next one
 * survives as long as only the present one's client leaves. */
void audience_walk_begin(struct audience *a);
void audience_walk_end(struct audience *a);

#endif
