/* TQ.MPUT: a batch in, column by column. */
#include "cmd/cmd.h"
#include "cmd/docs.h"

#include "request/mput.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"

static void mput_run(struct client *c) {
    struct server *s = c->server;
    struct mput mput;
    struct op op;
    struct error e;
    if (request_mput_parse(c->argv, c->argc, &s->scratch, &mput, &e) ||
        mput_plan(s->store, &mput, s->now_ms, &s->scratch, &op, &e))
        reply_error(&c->reply, &e);
    else
        reply_integer(&c->reply, (int64_t)store_apply(s->store, &op));
}

static const struct command_arg mput_groups_args[] = {
    {.name = "size", .type = "integer"}, {.name = "id", .type = "string", .multiple = 1}, {0}};
static const struct command_arg mput_tag_args[] = {
    {.name = "name", .type = "string"}, {.name = "value", .type = "string", .multiple = 1}, {0}};
static const struct command_arg mput_tags_args[] = {
    {.name = "m", .type = "integer"},
    {.name = "tag", .type = "block", .multiple = 1, .args = mput_tag_args},
    {0}};
static const struct command_arg mput_column_args[] = {{.name = "name", .type = "string"},
                                                      {.name = "type", .type = "string"},
                                                      {.name = "shape", .type = "string"},
                                                      {.name = "payload", .type = "string"},
                                                      {0}};
static const struct command_arg mput_columns_args[] = {
    {.name = "c", .type = "integer"},
    {.name = "column", .type = "block", .multiple = 1, .args = mput_column_args},
    {0}};
static const struct command_arg mput_args[] = {
    {.name = "partition", .type = "key"},
    {.name = "keys", .type = "block", .token = "KEYS", .args = docs_keys},
    {.name = "groups", .type = "block", .token = "GROUPS", .optional = 1, .args = mput_groups_args},
    {.name = "tags", .type = "block", .token = "TAGS", .optional = 1, .args = mput_tags_args},
    {.name = "columns",
     .type = "block",
     .token = "COLUMNS",
     .optional = 1,
     .args = mput_columns_args},
    {0}};

static const struct command mput_commands[] = {
    {
        .name = "tq.mput",
        .summary = "Write columns of many samples at once",
        .group = "samples",
        .since = "0.1.0",
        .complexity =
            "O(N*C) with N samples and C columns; payload of 32 KiB and more is not copied",
        .arity = -6,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .run = mput_run,
        .args = mput_args,
    },
    {0},
};

void cmd_mput_register(void) {
    command_register(mput_commands);
}
