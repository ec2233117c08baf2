/* MULTI EXEC DISCARD WATCH UNWATCH. */
#include "cmd/cmd.h"

#include "server/client.h"
#include "server/command.h"
#include "server/transaction.h"

static void multi_run(struct client *c) {
    if (c->transaction) {
        reply_errorf(&c->reply, ERROR_ERR, "MULTI calls can not be nested");
        return;
    }
    transaction_begin(c);
    reply_status(&c->reply, "OK");
}

static void exec_run(struct client *c) {
    if (!c->transaction) {
        reply_errorf(&c->reply, ERROR_ERR, "EXEC without MULTI");
    } else if (transaction_is_spoiled(c)) {
        transaction_forget(c);
        reply_errorf(&c->reply, ERROR_EXECABORT,
                     "Transaction discarded because of previous errors.");
    } else if (c->touched) {
        transaction_forget(c);
        reply_null_array(&c->reply);
    } else {
        transaction_run(c);
    }
}

static void discard_run(struct client *c) {
    if (!c->transaction) {
        reply_errorf(&c->reply, ERROR_ERR, "DISCARD without MULTI");
        return;
    }
    transaction_forget(c);
    reply_status(&c->reply, "OK");
}

static void watch_run(struct client *c) {
    if (c->transaction) {
        reply_errorf(&c->reply, ERROR_ERR, "WATCH inside MULTI is not allowed");
        return;
    }
    for (size_t i = 1; i < c->argc; i++) transaction_watch(c, c->argv[i].bytes);
    reply_status(&c->reply, "OK");
}

static void unwatch_run(struct client *c) {
    transaction_unwatch(c);
    reply_status(&c->reply, "OK");
}

static const struct command_arg watch_args[] = {{.name = "partition", .type = "key", .multiple = 1},
                                                {0}};

enum {
    FLAGS = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
};

static const struct command transaction_commands[] = {
    {
        .name = "multi",
        .summary = "Begin to keep commands, to run them together",
        .group = "transactions",
        .since = "0.1.0",
        .complexity = "O(1)",
        .arity = 1,
        .flags = FLAGS | COMMAND_FAST | COMMAND_AT_ONCE,
        .run = multi_run,
    },
    {
        .name = "exec",
        .summary = "Run the commands kept since MULTI, with nothing of others between them",
        .group = "transactions",
        .since = "0.1.0",
        .complexity = "Depends on the commands",
        .arity = 1,
        .flags = FLAGS | COMMAND_AT_ONCE | COMMAND_EXEC,
        .run = exec_run,
    },
    {
        .name = "discard",
        .summary = "Forget the commands kept since MULTI",
        .group = "transactions",
        .since = "0.1.0",
        .complexity = "O(N) with N the commands kept",
        .arity = 1,
        .flags = FLAGS | COMMAND_FAST | COMMAND_AT_ONCE,
        .run = discard_run,
    },
    {
        .name = "watch",
        .summary = "Have EXEC run nothing if anything is done to these partitions before it",
        .group = "transactions",
        .since = "0.1.0",
        .complexity = "O(N) with N the partitions",
        .arity = -2,
        .flags = FLAGS | COMMAND_FAST | COMMAND_AT_ONCE,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .run = watch_run,
        .args = watch_args,
    },
    {
        .name = "unwatch",
        .summary = "Watch no partition any more",
        .group = "transactions",
        .since = "0.1.0",
        .complexity = "O(N) with N the partitions watched",
        .arity = 1,
        .flags = FLAGS | COMMAND_FAST,
        .run = unwatch_run,
    },
    {0},
};

void cmd_transaction_register(void) {
    command_register(transaction_commands);
}
