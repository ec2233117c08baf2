/* MULTI EXEC DISCARD WATCH UNWATCH. */
#include "cmd/cmd.h"

#include "server/client.h"
#include "server/command.h"
#include "server/server.h"
#include "server/transaction.h"

static void multi_run(struct client *c) {
    if (c->transaction) {
        reply_errorf(&c->reply, ERROR_ERR, "MULTI calls can not be nested");
        return;
    }
    transaction_begin(c);
    reply_status(&c->reply, "OK");
}

/* Replies that are longer than this each are bounded when they are written. */
static int exec_check_room(struct client *c, struct error *e) {
    enum { REPLY_BYTES = 200 };
    return client_check_room(c, (uint64_t)transaction_length(c) * REPLY_BYTES, e);
}

static void exec_run(struct client *c) {
    struct error e;
    if (!c->transaction) {
        reply_errorf(&c->reply, ERROR_ERR, "EXEC without MULTI");
    } else if (transaction_is_spoiled(c)) {
        transaction_forget(c);
        reply_errorf(&c->reply, ERROR_EXECABORT,
                     "Transaction discarded because of previous errors.");
    } else if (c->touched) {
        transaction_forget(c);
        reply_null_array(&c->reply);
    } else if (exec_check_room(c, &e)) {
        transaction_forget(c);
        reply_errorf(&c->reply, ERROR_EXECABORT, "Transaction discarded because of: OOM %s",
                     e.text);
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
    struct error e;
    size_t names = 0;
    for (size_t i = 1; i < c->argc; i++) names += subscriptions_cost(c->argv[i].bytes);
    if (server_check_names(c->server, names, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    for (size_t i = 1; i < c->argc; i++) transaction_watch(c, c->argv[i].bytes);
    reply_status(&c->reply, "OK");
}

static void unwatch_run(struct client *c) {
    transaction_unwatch(c);
    reply_status(&c->reply, "OK");
}

enum {
    FLAGS = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
};

static const struct command transaction_commands[] = {
    {
        .name = "multi",
        .summary = "Begin to keep commands, to run them together",
        .group = "transactions",
        .complexity = "O(1)",
        .arity = 1,
        .flags = FLAGS | COMMAND_FAST | COMMAND_AT_ONCE,
        .run = multi_run,
    },
    {
        .name = "exec",
        .summary = "Run the commands kept since MULTI, with nothing of others between them",
        .group = "transactions",
        .complexity = "Depends on the commands",
        .arity = 1,
        .flags = FLAGS | COMMAND_AT_ONCE | COMMAND_EXEC,
        .run = exec_run,
    },
    {
        .name = "discard",
        .summary = "Forget the commands kept since MULTI",
        .group = "transactions",
        .complexity = "O(N) with N the commands kept",
        .arity = 1,
        .flags = FLAGS | COMMAND_FAST | COMMAND_AT_ONCE,
        .run = discard_run,
    },
    {
        .name = "watch",
        .summary = "Have EXEC run nothing if anything is done to these partitions before it",
        .group = "transactions",
        .complexity = "O(N) with N the partitions",
        .arity = -2,
        .flags = FLAGS | COMMAND_FAST | COMMAND_AT_ONCE,
        .run = watch_run,
        .usage = "partition=key...",
    },
    {
        .name = "unwatch",
        .summary = "Watch no partition any more",
        .group = "transactions",
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
