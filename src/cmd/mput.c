/* TQ.MPUT: a batch in, column by column. */
#include "cmd/cmd.h"
#include "cmd/write.h"

#include "request/mput.h"
#include "server/client.h"
#include "server/command.h"

static int mput_make_op(const struct store *s, const void *request, enum write_order order,
                        int64_t now_ms, struct scratch *scratch, struct op *op, bool *skipped,
                        struct error *e) {
    return mput_plan(s, request, order, now_ms, scratch, op, skipped, e);
}

/* With NX or XX how many were written, too. */
static void mput_reply(struct reply *r, const void *request, const struct op *op, size_t made) {
    bool some = ((const struct mput *)request)->only != PUT_ALWAYS;
    if (some) reply_array(r, 2);
    reply_integer(r, (int64_t)made);
    if (some) reply_integer(r, op ? (int64_t)op->put.n : 0);
}

static void mput_run(struct client *c) {
    static const struct write_kind kind = {
        &request_mput_syntax, offsetof(struct mput_request, block), mput_make_op, mput_reply};
    write_run(c, &kind);
}

static const struct command mput_commands[] = {
    {
        .name = "tq.mput",
        .summary = "Write columns of many samples at once",
        .group = "samples",
        .complexity =
            "O(N*C) with N samples and C columns; payload of 32 KiB and more is not copied",
        .arity = -5,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_BLOCKING,
        .run = mput_run,
        .syntax = &request_mput_syntax,
    },
    {0},
};

void cmd_mput_register(void) {
    command_register(mput_commands);
}
