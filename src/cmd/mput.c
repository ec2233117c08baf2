/* TQ.MPUT: a batch in, column by column. */
#include "cmd/cmd.h"
#include "cmd/docs.h"
#include "cmd/write.h"

#include "request/mput.h"
#include "server/client.h"
#include "server/command.h"

static int mput_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                      void *request, struct args_block *block, struct error *e) {
    return request_mput_parse(argv, argc, scratch, request, block, e);
}

static int mput_make_op(const struct store *s, const void *request, enum write_order order,
                        int64_t now_ms, struct scratch *scratch, struct op *op, bool *held,
                        struct error *e) {
    return mput_plan(s, request, order, now_ms, scratch, op, held, e);
}

/* With NX or XX how many were written, too. */
static void mput_reply(struct reply *r, const void *request, const struct op *op, size_t made) {
    bool some = ((const struct mput *)request)->only != PUT_ALWAYS;
    if (some) reply_array(r, 2);
    reply_integer(r, (int64_t)made);
    if (some) reply_integer(r, op ? (int64_t)op->put.n : 0);
}

static void mput_run(struct client *c) {
    static const struct write_kind kind = {sizeof(struct mput), mput_parse, mput_make_op,
                                           mput_reply};
    write_run(c, &kind);
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
static const struct command_arg mput_only_args[] = {
    {.name = "nx", .type = "pure-token", .token = "NX"},
    {.name = "xx", .type = "pure-token", .token = "XX"},
    {0}};
static const struct command_arg mput_args[] = {
    {.name = "partition", .type = "key"},
    {.name = "keys", .type = "block", .token = "KEYS", .args = docs_keys},
    {.name = "only", .type = "oneof", .optional = 1, .args = mput_only_args},
    {.name = "groups", .type = "block", .token = "GROUPS", .optional = 1, .args = mput_groups_args},
    {.name = "tags", .type = "block", .token = "TAGS", .optional = 1, .args = mput_tags_args},
    {.name = "columns",
     .type = "block",
     .token = "COLUMNS",
     .optional = 1,
     .args = mput_columns_args},
    {.name = "ms", .type = "integer", .token = "BLOCK", .optional = 1},
    {0}};

static const struct command mput_commands[] = {
    {
        .name = "tq.mput",
        .summary = "Write columns of many samples at once",
        .group = "samples",
        .since = "0.1.0",
        .complexity =
            "O(N*C) with N samples and C columns; payload of 32 KiB and more is not copied",
        .arity = -5,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_BLOCKING,
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
