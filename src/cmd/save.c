/* SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF: snapshots, as Redis speaks of them. */
#include "cmd/cmd.h"

#include "server/client.h"
#include "server/command.h"
#include "server/saves.h"
#include "server/server.h"

static void save_run(struct client *c) {
    struct error e;
    if (saves_now(c->server, &e))
        reply_error(&c->reply, &e);
    else
        reply_status(&c->reply, "OK");
}

static void bgsave_run(struct client *c) {
    struct error e;
    bool waits, later = c->argc == 2 && span_is(c->argv[1].bytes, "schedule");
    if (c->argc > 2 || (c->argc == 2 && !later))
        reply_errorf(&c->reply, ERROR_ERR, "syntax error");
    else if (saves_begin(c->server, later, &waits, &e))
        reply_error(&c->reply, &e);
    else
        reply_status(&c->reply,
                     waits ? "Background saving scheduled" : "Background saving started");
}

static void lastsave_run(struct client *c) {
    reply_integer(&c->reply, c->server->persistence.saves.ended_s);
}

static void bgrewriteaof_run(struct client *c) {
    struct error e;
    bool waits;
    if (saves_begin_rewrite(c->server, &waits, &e))
        reply_error(&c->reply, &e);
    else
        reply_status(&c->reply, waits ? "Background append only file rewriting scheduled"
                                      : "Background append only file rewriting started");
}

static const struct command save_commands[] = {
    {
        .name = "save",
        .summary = "Write a snapshot while everything waits",
        .group = "server",
        .complexity = "O(N) with N bytes held",
        .arity = 1,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_NO_MULTI,
        .run = save_run,
    },
    {
        .name = "bgsave",
        .summary = "Write a snapshot in the background",
        .group = "server",
        .complexity = "O(1)",
        .arity = -1,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT,
        .run = bgsave_run,
        .usage = "[SCHEDULE]",
    },
    {
        .name = "lastsave",
        .summary = "When the last snapshot was written, in seconds since 1970",
        .group = "server",
        .complexity = "O(1)",
        .arity = 1,
        .flags = COMMAND_FAST | COMMAND_LOADING | COMMAND_STALE,
        .run = lastsave_run,
    },
    {
        .name = "bgrewriteaof",
        .summary = "Begin the op log anew with a snapshot, in the background",
        .group = "server",
        .complexity = "O(1)",
        .arity = 1,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT,
        .run = bgrewriteaof_run,
    },
    {0},
};

void cmd_save_register(void) {
    command_register(save_commands);
}
