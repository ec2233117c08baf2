/* A connection, as commands see it. */
#ifndef TQ_SERVER_CLIENT_H
#define TQ_SERVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/reply.h"
#include "wire/resp.h"

struct server;
struct waiter;
struct command;

struct client {
    struct server *server;

    /* The request that is running. Spans live until the command returns, or, after
     * client_keep_argv, until the request is over. */
    size_t argc;
    struct resp_arg *argv;
    const struct command *command;

    struct reply reply; /* write the answer here; c->reply.protocol is 2 or 3 */
    struct waiter *waiter; /* parked, or NULL */

    uint64_t id;
    char *name; /* CLIENT SETNAME; "" when none */
    /* … the connection's own state … */
};

/* Move the arguments out of the input buffer into memory that lives until the request is over (served,
 * expired or forgotten), so that a parked request may point at them. c->argv changes; parse the request again from it. */
void client_keep_argv(struct client *c);

#endif
