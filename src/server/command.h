/* The command table: what exists, how many arguments, what it may touch.
 *
 * Modules of layer 4 register their commands here and nowhere else; dispatch, gates (arity, memory,
 * later authentication), COMMAND's answers and redis-cli's hints all read the one table. */
#ifndef TQ_SERVER_COMMAND_H
#define TQ_SERVER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "server/text.h"

struct args_syntax;
struct client;
struct scratch;
struct server;
struct usage;

enum command_flag {
    COMMAND_WRITE = 1 << 0,
    COMMAND_READONLY = 1 << 1,
    COMMAND_DENYOOM = 1 << 2, /* refused with -OOM while memory is above maxmemory */
    COMMAND_ADMIN = 1 << 3,
    COMMAND_FAST = 1 << 4,     /* constant time */
    COMMAND_BLOCKING = 1 << 5, /* may park its client */
    COMMAND_NOAUTH = 1 << 6,   /* allowed before authentication */
    COMMAND_LOADING = 1 << 7,  /* allowed while loading */
    COMMAND_STALE = 1 << 8,
    COMMAND_NOSCRIPT = 1 << 9,
    COMMAND_PUBSUB = 1 << 10,
    COMMAND_SUBSCRIBED = 1 << 11, /* allowed to a RESP2 client that is subscribed */
    COMMAND_AT_ONCE = 1 << 12,    /* inside MULTI it runs, it is not queued */
    COMMAND_NO_MULTI = 1 << 13,   /* refused inside MULTI */
    COMMAND_REPORTS = 1 << 15,    /* changes nothing, as READONLY, and reads no partition */
    COMMAND_EXEC = 1 << 14,       /* runs what was queued, and is held to what that is held to */
};

struct command {
    const char *name;    /* lower case: "tq.put"; of a subcommand its own part: "list" */
    const char *summary; /* one sentence, no full stop */
    const char *group; /* "samples", "connection", "server", "generic", "pubsub", "transactions" */
    const char *complexity;
    int arity;                         /* as in Redis: with the name; -n means at least n */
    unsigned flags;                    /* enum command_flag */
    void (*run)(struct client *c);     /* NULL for a container of subcommands */
    const char *usage;                 /* the arguments, as in request/usage.h; NULL: none */
    const struct args_syntax *syntax;  /* says them and parses them; then usage is NULL */
    const struct command *subcommands; /* ended by a NULL name; may be NULL */
};

enum { COMMAND_NAME_MAX = 64 }; /* of "container|subcommand", the NUL included */

/* Add a table that ends with a NULL name. The table is borrowed for ever. A name registered
 * twice is a programming error and aborts. */
void command_register(const struct command *table);

/* By name, in any case; NULL where unknown. */
const struct command *command_find(struct span name);

/* Walk the table in order of registration: pass NULL first. */
const struct command *command_next(const struct command *previous);

size_t command_count(void); /* subcommands are not counted */

/* "ping", or "client|list" where there is a container. Returns `out`. */
const char *command_full_name(const struct command *container, const struct command *command,
                              char out[static COMMAND_NAME_MAX]);

/* Partitions are the arguments from the first up to this one: 1, or -1 for all; 0: none is. */
int command_last_key(const struct command *command);

/* The arguments, in `scratch`; NULL: none. */
struct usage *command_usage(const struct command *command, struct scratch *scratch);

/* INFO's commandstats, and CONFIG RESETSTAT. */
void command_write_stats(struct text *out);
void command_reset_stats(void);

/* Run the request in c->argc, c->argv: look up, gate, count, time, run; or queue it, inside MULTI.
 * Exactly one reply comes of it, now or (parked) later. */
void command_dispatch(struct client *c);

/* The same for one that was queued: it has passed the gates. */
void command_run_queued(struct client *c);

#endif
