/* INFO CONFIG TIME: the server about itself. */
#include "cmd/cmd.h"

#include "base/clock.h"
#include "base/glob.h"
#include "server/client.h"
#include "server/command.h"
#include "server/config.h"
#include "server/info.h"
#include "server/server.h"

static struct span *argument_spans(struct client *c, size_t from, size_t step, size_t *n) {
    struct span *spans = scratch_alloc(&c->server->scratch, c->argc, sizeof(*spans));
    *n = 0;
    for (size_t i = from; i < c->argc; i += step) spans[(*n)++] = c->argv[i].bytes;
    return spans;
}

static void info_run(struct client *c) {
    size_t n;
    const struct span *names = argument_spans(c, 1, 1, &n);
    struct text out = {0};
    info_write(c->server, n, names, &out);
    reply_verbatim(&c->reply, text_span(&out));
    text_free(&out);
}

static void time_run(struct client *c) {
    struct text part = {0};
    int64_t now = clock_wall_us();
    reply_array(&c->reply, 2);
    text_printf(&part, "%lld", (long long)now / 1000000);
    reply_bulk(&c->reply, text_span(&part));
    part.len = 0;
    text_printf(&part, "%lld", (long long)now % 1000000);
    reply_bulk(&c->reply, text_span(&part));
    text_free(&part);
}

/* ---- CONFIG */

static bool matches_any(const struct client *c, const char *name) {
    for (size_t i = 2; i < c->argc; i++)
        if (glob_match(c->argv[i].bytes, span_of_string(name), true)) return true;
    return false;
}

static void config_get_run(struct client *c) {
    const struct config *config = c->server->config;
    size_t n = 0;
    for (size_t i = 2; i < c->argc; i++)
        if (cmd_refuse_pattern(c, c->argv[i].bytes)) return;
    for (const struct config_option *o = NULL; (o = config_next(config, o));)
        n += matches_any(c, o->name);
    reply_map(&c->reply, n);
    struct text value = {0};
    for (const struct config_option *o = NULL; (o = config_next(config, o));) {
        if (!matches_any(c, o->name)) continue;
        value.len = 0;
        config_format(o, &value);
        reply_text(&c->reply, o->name);
        reply_bulk(&c->reply, text_span(&value));
    }
    text_free(&value);
}

static void config_set_run(struct client *c) {
    if (c->argc % 2) {
        reply_errorf(&c->reply, ERROR_ERR, "wrong number of arguments for 'config|set' command");
        return;
    }
    size_t n;
    struct span culprit;
    struct error e;
    const struct span *names = argument_spans(c, 2, 2, &n), *values = argument_spans(c, 3, 2, &n);
    if (config_set(c->server->config, n, names, values, &culprit, &e))
        reply_errorf(&c->reply, ERROR_ERR,
                     "CONFIG SET failed (possibly related to argument %s) - %s", QUOTE(culprit),
                     e.text);
    else
        reply_status(&c->reply, "OK");
}

static void config_resetstat_run(struct client *c) {
    metrics_reset(&c->server->metrics);
    command_reset_stats();
    reply_status(&c->reply, "OK");
}

/* ---- the table */

enum { CONFIG_FLAGS = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE };

static const struct command config_subcommands[] = {
    {
        .name = "get",
        .summary = "The values of options",
        .group = "server",
        .complexity = "O(N) with N the options",
        .arity = -3,
        .flags = CONFIG_FLAGS | COMMAND_REPORTS,
        .run = config_get_run,
        .usage = "pattern=pattern...",
    },
    {
        .name = "resetstat",
        .summary = "Begin counting anew",
        .group = "server",
        .complexity = "O(N) with N the commands",
        .arity = 2,
        .flags = CONFIG_FLAGS,
        .run = config_resetstat_run,
    },
    {
        .name = "set",
        .summary = "Set options, all of them or none",
        .group = "server",
        .complexity = "O(N) with N the options set",
        .arity = -4,
        .flags = CONFIG_FLAGS,
        .run = config_set_run,
        .usage = "pair(option value)...",
    },
    {0},
};

static const struct command introspection_commands[] = {
    {
        .name = "info",
        .summary = "How the server is doing",
        .group = "server",
        .complexity = "O(N) with N the partitions and their fields",
        .arity = -1,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_REPORTS,
        .run = info_run,
        .usage = "[section...]",
    },
    {
        .name = "time",
        .summary = "The server's clock: seconds since 1970, and microseconds",
        .group = "server",
        .complexity = "O(1)",
        .arity = 1,
        .flags = COMMAND_FAST | COMMAND_LOADING | COMMAND_STALE,
        .run = time_run,
    },
    {
        .name = "config",
        .summary = "Commands about options",
        .group = "server",
        .complexity = "Depends on subcommand",
        .arity = -2,
        .subcommands = config_subcommands,
    },
    {0},
};

void cmd_introspection_register(void) {
    command_register(introspection_commands);
}
