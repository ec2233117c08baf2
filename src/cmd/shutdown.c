/* SHUTDOWN. */
#include "cmd/cmd.h"

#include "base/log.h"
#include "server/client.h"
#include "server/command.h"
#include "server/saves.h"
#include "server/server.h"

/* There is no replica to wait for, so NOW changes nothing, and ABORT asks for what cannot be done. */
static int shutdown_parse(const struct client *c, enum saves_end *how, bool *force,
                          struct error *e) {
    *how = SAVES_AUTO;
    *force = false;
    for (size_t i = 1; i < c->argc; i++) {
        struct span word = c->argv[i].bytes;
        bool save = span_is(word, "save"), nosave = span_is(word, "nosave");
        if (span_is(word, "abort")) return error_set(e, ERROR_ERR, "No shutdown in progress.");
        if ((save || nosave) && *how == SAVES_AUTO)
            *how = save ? SAVES_ALWAYS : SAVES_NEVER;
        else if (span_is(word, "force"))
            *force = true;
        else if (!span_is(word, "now"))
            return error_set(e, ERROR_ERR, "syntax error");
    }
    return 0;
}

static void shutdown_run(struct client *c) {
    struct error e;
    enum saves_end how;
    bool force;
    if (shutdown_parse(c, &how, &force, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    if (saves_at_end(c->server, how, &e)) {
        log_warning("SHUTDOWN: %s", e.text);
        if (!force) {
            reply_errorf(&c->reply, ERROR_ERR, "Errors trying to SHUTDOWN: %s", e.text);
            return;
        }
    }
    log_notice("SHUTDOWN by client %llu at %s: ending", (unsigned long long)c->id, c->address);
    server_stop(c->server);
    client_close_after_reply(c); /* what it pipelined behind is not run */
}

static const struct command shutdown_commands[] = {
    {
        .name = "shutdown",
        .summary = "End the server, after a snapshot where that is configured or asked for",
        .group = "server",
        .complexity = "O(1)",
        .arity = -1,
        .flags =
            COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_NO_MULTI,
        .run = shutdown_run,
        .usage = "[save(NOSAVE|SAVE)] [NOW] [FORCE]",
    },
    {0},
};

void cmd_shutdown_register(void) {
    command_register(shutdown_commands);
}
