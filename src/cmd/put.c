/* TQ.PUT: one sample in. */
#include "cmd/cmd.h"
#include "cmd/write.h"

#include "request/put.h"
#include "server/client.h"
#include "server/command.h"

static int put_make_op(const struct store *s, const void *request, enum write_order order,
                       int64_t now_ms, struct scratch *scratch, struct op *op, bool *skipped,
                       struct error *e) {
    return put_plan(s, request, order, now_ms, scratch, op, skipped, e);
}

static void put_reply(struct reply *r, const void *request, const struct op *op, size_t made) {
    (void)request;
    if (op)
        reply_integer(r, (int64_t)made);
    else
        reply_null(r);
}

static void put_run(struct client *c) {
    static const struct write_kind kind = {&request_put_syntax, offsetof(struct put_request, block),
                                           put_make_op, put_reply};
    write_run(c, &kind);
}

static const struct command put_commands[] = {
    {
        .name = "tq.put",
        .summary = "Write fields and tags of a sample, creating partition and sample as needed",
        .group = "samples",
        .complexity = "O(N) with N the fields and tags written",
        .arity = -4,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST | COMMAND_BLOCKING,
        .run = put_run,
        .syntax = &request_put_syntax,
    },
    {0},
};

void cmd_put_register(void) {
    command_register(put_commands);
}
