/* TQ.PUT: one sample in. */
#include "cmd/cmd.h"
#include "cmd/write.h"

#include "request/put.h"
#include "server/client.h"
#include "server/command.h"

static int put_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                     void *request, struct args_block *block, struct error *e) {
    return request_put_parse(argv, argc, scratch, request, block, e);
}

static int put_make_op(const struct store *s, const void *request, enum write_order order,
                       int64_t now_ms, struct scratch *scratch, struct op *op, bool *held,
                       struct error *e) {
    return put_plan(s, request, order, now_ms, scratch, op, held, e);
}

static void put_reply(struct reply *r, const void *request, const struct op *op, size_t made) {
    (void)request;
    if (op)
        reply_integer(r, (int64_t)made);
    else
        reply_null(r);
}

static void put_run(struct client *c) {
    static const struct write_kind kind = {sizeof(struct put), put_parse, put_make_op, put_reply};
    write_run(c, &kind);
}

static const struct command_arg put_group_args[] = {
    {.name = "id", .type = "string"}, {.name = "size", .type = "integer"}, {0}};
static const struct command_arg put_only_args[] = {
    {.name = "nx", .type = "pure-token", .token = "NX"},
    {.name = "xx", .type = "pure-token", .token = "XX"},
    {0}};
static const struct command_arg put_if_args[] = {
    {.name = "tag", .type = "string"}, {.name = "value", .type = "string"}, {0}};
static const struct command_arg put_pair_args[] = {
    {.name = "name", .type = "string"}, {.name = "value", .type = "string"}, {0}};
static const struct command_arg put_tags_args[] = {
    {.name = "n", .type = "integer"},
    {.name = "tag", .type = "block", .multiple = 1, .args = put_pair_args},
    {0}};
static const struct command_arg put_value_args[] = {
    {.name = "name[:type]", .type = "string"}, {.name = "value", .type = "string"}, {0}};
static const struct command_arg put_values_args[] = {
    {.name = "n", .type = "integer"},
    {.name = "field", .type = "block", .multiple = 1, .args = put_value_args},
    {0}};
static const struct command_arg put_args[] = {
    {.name = "partition", .type = "key"},
    {.name = "key", .type = "string"},
    {.name = "group", .type = "block", .token = "GROUP", .optional = 1, .args = put_group_args},
    {.name = "only", .type = "oneof", .optional = 1, .args = put_only_args},
    {.name = "if", .type = "block", .token = "IF", .optional = 1, .args = put_if_args},
    {.name = "tags", .type = "block", .token = "TAGS", .optional = 1, .args = put_tags_args},
    {.name = "fields", .type = "block", .token = "FIELDS", .optional = 1, .args = put_values_args},
    {.name = "text", .type = "block", .token = "TEXT", .optional = 1, .args = put_values_args},
    {.name = "ms", .type = "integer", .token = "BLOCK", .optional = 1},
    {0}};

static const struct command put_commands[] = {
    {
        .name = "tq.put",
        .summary = "Write fields and tags of a sample, creating partition and sample as needed",
        .group = "samples",
        .since = "0.1.0",
        .complexity = "O(N) with N the fields and tags written",
        .arity = -4,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST | COMMAND_BLOCKING,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .run = put_run,
        .args = put_args,
    },
    {0},
};

void cmd_put_register(void) {
    command_register(put_commands);
}
