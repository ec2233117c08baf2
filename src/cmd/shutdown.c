/* SHUTDOWN. */
#include "cmd/cmd.h"

#include "base/log.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"

/* There is nothing to save and no replica to wait for, so the words that say how to go about these
 * are taken and change nothing; SAVE and ABORT ask for what cannot be done. */
static int shutdown_parse(const struct client *c, struct error *e) {
    for (size_t i = 1; i < c->argc; i++) {
        struct span word = c->argv[i].bytes;
        if (span_is(word, "save"))
            return error_set(e, ERROR_ERR,
                             "there is no file to save to; SHUTDOWN NOSAVE ends the server");
        if (span_is(word, "abort")) return error_set(e, ERROR_ERR, "No shutdown in progress.");
        if (!span_is(word, "nosave") && !span_is(word, "now") && !span_is(word, "force"))
            return error_set(e, ERROR_ERR, "syntax error");
    }
    return 0;
}

static void shutdown_run(struct client *c) {
    struct error e;
    if (shutdown_parse(c, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    log_notice("SHUTDOWN by client %llu at %s: ending", (unsigned long long)c->id, c->address);
    server_stop(c->server);
    client_close_after_reply(c); /* what it pipelined behind is not run */
}

static const struct command_arg shutdown_args[] = {
    {.name = "nosave", .type = "pure-token", .token = "NOSAVE", .optional = 1},
    {.name = "now", .type = "pure-token", .token = "NOW", .optional = 1},
    {.name = "force", .type = "pure-token", .token = "FORCE", .optional = 1},
    {0}};

static const struct command shutdown_commands[] = {
    {
        .name = "shutdown",
        .summary = "End the server",
        .group = "server",
        .since = "0.1.0",
        .complexity = "O(1)",
        .arity = -1,
        .flags =
            COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_NO_MULTI,
        .run = shutdown_run,
        .args = shutdown_args,
    },
    {0},
};

void cmd_shutdown_register(void) {
    command_register(shutdown_commands);
}
