/* PING ECHO HELLO AUTH SELECT RESET QUIT: a connection about itself. */
#include "cmd/cmd.h"

#include "base/number.h"
#include "server/client.h"
#include "server/command.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/transaction.h"
#include "store/arena.h"

static void release_chunk(void *chunk) {
    chunk_unpin(chunk);
}

/* An argument as the reply. A large one goes out by reference, from the memory that it was read
 * into. */
static void reply_argument(struct client *c, struct resp_arg *arg) {
    void *chunk = arg->direct;
    if (!chunk) {
        reply_bulk(&c->reply, arg->bytes);
        return;
    }
    arg->direct = NULL;
    reply_ref(&c->reply, arg->bytes, release_chunk, chunk);
}

/* To a RESP2 client that listens everything looks like a message. */
static void ping_bound(struct client *c) {
    reply_array(&c->reply, 2);
    reply_text(&c->reply, "pong");
    if (c->argc == 2)
        reply_argument(c, &c->argv[1]);
    else
        reply_text(&c->reply, "");
}

static void ping_run(struct client *c) {
    if (c->argc > 2)
        reply_errorf(&c->reply, ERROR_ERR, "wrong number of arguments for 'ping' command");
    else if (pubsub_is_bound(c))
        ping_bound(c);
    else if (c->argc == 2)
        reply_argument(c, &c->argv[1]);
    else
        reply_status(&c->reply, "PONG");
}

static void echo_run(struct client *c) {
    reply_argument(c, &c->argv[1]);
}

/* There is one user, `default`, who has no password: any will do. */
static int check_user(struct span user, struct error *e) {
    if (span_equal(user, SPAN_LITERAL("default"))) return 0;
    return error_set(e, ERROR_WRONGPASS, "invalid username-password pair or user is disabled.");
}

static void auth_run(struct client *c) {
    struct error e;
    if (c->argc > 3)
        reply_errorf(&c->reply, ERROR_ERR, "syntax error");
    else if (c->argc == 2)
        reply_errorf(&c->reply, ERROR_ERR,
                     "AUTH <password> called without any password configured for the default user. "
                     "Are you sure your configuration is correct?");
    else if (check_user(c->argv[1].bytes, &e))
        reply_error(&c->reply, &e);
    else
        reply_status(&c->reply, "OK");
}

struct hello {
    int protocol;
    bool names;
    struct span name;
};

static int hello_parse(struct client *c, struct hello *out, struct error *e) {
    int64_t version;
    *out = (struct hello){.protocol = c->reply.protocol};
    if (c->argc == 1) return 0;
    if (!number_parse_i64(c->argv[1].bytes, &version))
        return error_set(e, ERROR_ERR, "Protocol version is not an integer or out of range");
    if (version != 2 && version != 3)
        return error_set(e, ERROR_NOPROTO, "unsupported protocol version");
    out->protocol = (int)version;
    for (size_t i = 2; i < c->argc;) {
        struct span word = c->argv[i].bytes;
        size_t left = c->argc - i - 1;
        if (span_is(word, "auth") && left >= 2) {
            int failed = check_user(c->argv[i + 1].bytes, e);
            if (failed) return failed;
            i += 3;
        } else if (span_is(word, "setname") && left >= 1) {
            out->names = true;
            out->name = c->argv[i + 1].bytes;
            int failed = client_check_name(out->name, "Client names", e);
            if (failed) return failed;
            i += 2;
        } else {
            return error_set(e, ERROR_ERR, "Syntax error in HELLO option %s", QUOTE(word));
        }
    }
    return 0;
}

static void hello_run(struct client *c) {
    struct hello hello;
    struct error e;
    struct reply *r = &c->reply;
    if (hello_parse(c, &hello, &e)) {
        reply_error(r, &e);
        return;
    }
    r->protocol = hello.protocol;
    if (hello.names) client_set_text(&c->name, hello.name);
    reply_map(r, 7);
    reply_text(r, "server");
    reply_text(r, "tq");
    reply_text(r, "version");
    reply_text(r, PACKAGE_VERSION);
    reply_text(r, "proto");
    reply_integer(r, r->protocol);
    reply_text(r, "id");
    reply_integer(r, (int64_t)c->id);
    reply_text(r, "mode");
    reply_text(r, "standalone");
    reply_text(r, "role");
    reply_text(r, "master");
    reply_text(r, "modules");
    reply_array(r, 0);
}

static void select_run(struct client *c) {
    int64_t index;
    if (!number_parse_i64(c->argv[1].bytes, &index))
        reply_errorf(&c->reply, ERROR_ERR, "value is not an integer or out of range");
    else if (index != 0)
        reply_errorf(&c->reply, ERROR_ERR, "DB index is out of range: there is one database, 0");
    else
        reply_status(&c->reply, "OK");
}

static void reset_run(struct client *c) {
    pubsub_forget(c);
    transaction_forget(c);
    client_set_text(&c->name, span_of(NULL, 0));
    c->reply.protocol = 2;
    c->reply.discard = false;
    c->reply_mode = CLIENT_REPLY_ON;
    reply_status(&c->reply, "RESET");
}

static void quit_run(struct client *c) {
    reply_status(&c->reply, "OK");
    client_close_after_reply(c);
}

static const struct command connection_commands[] = {
    {
        .name = "ping",
        .summary = "Ask the server whether it is there",
        .group = "connection",
        .complexity = "O(1)",
        .arity = -1,
        .flags = COMMAND_FAST | COMMAND_STALE | COMMAND_SUBSCRIBED | COMMAND_REPORTS,
        .run = ping_run,
        .usage = "[message]",
    },
    {
        .name = "echo",
        .summary = "Get back the argument",
        .group = "connection",
        .complexity = "O(1)",
        .arity = 2,
        .flags = COMMAND_FAST | COMMAND_LOADING | COMMAND_STALE | COMMAND_REPORTS,
        .run = echo_run,
        .usage = "message",
    },
    {
        .name = "hello",
        .summary = "Choose the version of the protocol, and learn whom one is talking to",
        .group = "connection",
        .complexity = "O(1)",
        .arity = -1,
        .flags = COMMAND_FAST | COMMAND_LOADING | COMMAND_STALE | COMMAND_NOAUTH | COMMAND_NOSCRIPT,
        .run = hello_run,
        .usage = "[arguments(protover=integer [AUTH(username password)] [SETNAME clientname])]",
    },
    {
        .name = "auth",
        .summary = "Log in",
        .group = "connection",
        .complexity = "O(1)",
        .arity = -2,
        .flags = COMMAND_FAST | COMMAND_LOADING | COMMAND_STALE | COMMAND_NOAUTH | COMMAND_NOSCRIPT,
        .run = auth_run,
        .usage = "[username] password",
    },
    {
        .name = "select",
        .summary = "Choose the database, of which there is one",
        .group = "connection",
        .complexity = "O(1)",
        .arity = 2,
        .flags = COMMAND_FAST | COMMAND_LOADING | COMMAND_STALE,
        .run = select_run,
        .usage = "index=integer",
    },
    {
        .name = "reset",
        .summary = "Make the connection as it was when it was new",
        .group = "connection",
        .complexity = "O(1)",
        .arity = 1,
        .flags = COMMAND_FAST | COMMAND_LOADING | COMMAND_STALE | COMMAND_NOAUTH |
                 COMMAND_NOSCRIPT | COMMAND_SUBSCRIBED | COMMAND_AT_ONCE,
        .run = reset_run,
    },
    {
        .name = "quit",
        .summary = "End the connection when what was asked before is answered",
        .group = "connection",
        .complexity = "O(1)",
        .arity = -1,
        .flags = COMMAND_FAST | COMMAND_LOADING | COMMAND_STALE | COMMAND_NOAUTH |
                 COMMAND_NOSCRIPT | COMMAND_SUBSCRIBED | COMMAND_AT_ONCE,
        .run = quit_run,
    },
    {0},
};

void cmd_connection_register(void) {
    command_register(connection_commands);
}
