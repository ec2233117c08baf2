/* See transaction.h. */
#include "server/transaction.h"

#include "base/mem.h"
#include "server/changes.h"
#include "server/command.h"
#include "store/store.h"

struct queued_request {
    size_t argc;
    struct resp_arg *argv; /* owned */
};

struct transaction {
    struct queued_request *requests;
    size_t n, capacity;
    size_t bytes;   /* of the arguments, with what it takes to keep them */
    unsigned flags; /* enum command_flag, of all commands */
    bool spoiled;
};

static void transaction_free(struct server *s, struct transaction *t) {
    for (size_t i = 0; i < t->n; i++) client_free_argv(s, t->requests[i].argv, t->requests[i].argc);
    mem_free(t->requests);
    mem_free(t);
}

void transaction_begin(struct client *c) {
    c->transaction = mem_calloc(1, sizeof(*c->transaction));
}

/* ---- keeping */

static size_t request_bytes(const struct client *c) {
    size_t bytes = sizeof(struct queued_request) + c->argc * sizeof(*c->argv);
    for (size_t i = 0; i < c->argc; i++) bytes += c->argv[i].bytes.len;
    return bytes;
}

void transaction_queue(struct client *c) {
    struct transaction *t = c->transaction;
    size_t bytes = request_bytes(c), most = c->server->clients->limits.max_total;
    if (bytes > most || t->bytes > most - bytes) {
        c->server->metrics.protocol_errors++;
        reply_errorf(&c->reply, ERROR_ERR,
                     "Protocol error: transaction too large: its requests hold at most %zu bytes",
                     most);
        client_close_after_reply(c);
        return;
    }
    size_t argc = c->argc;
    t->requests = mem_grow(t->requests, &t->capacity, t->n + 1, sizeof(*t->requests));
    t->requests[t->n++] = (struct queued_request){argc, client_take_argv(c)};
    t->bytes += bytes;
    t->flags |= c->command->flags;
    reply_status(&c->reply, "QUEUED");
}

void transaction_spoil(struct client *c) {
    c->transaction->spoiled = true;
}

bool transaction_is_spoiled(const struct client *c) {
    return c->transaction->spoiled;
}

void transaction_forget(struct client *c) {
    if (c->transaction) transaction_free(c->server, c->transaction);
    c->transaction = NULL;
    transaction_unwatch(c);
}

long long transaction_length(const struct client *c) {
    return c->transaction ? (long long)c->transaction->n : -1;
}

size_t transaction_bytes(const struct client *c) {
    return c->transaction ? c->transaction->bytes : 0;
}

unsigned transaction_flags(const struct client *c) {
    return c->transaction ? c->transaction->flags : 0;
}

/* ---- running */

/* A client that its own request ends (its reply is beyond its limit) runs no further. */
static void requests_run(struct client *c, const struct transaction *t) {
    reply_array(&c->reply, t->n);
    c->executing = true;
    for (size_t i = 0; i < t->n && !c->dead; i++) {
        c->argc = t->requests[i].argc;
        c->argv = t->requests[i].argv;
        command_run_queued(c);
    }
    c->executing = false;
}

void transaction_run(struct client *c) {
    struct transaction *t = c->transaction;
    const struct command *command = c->command, *container = c->container;
    struct resp_arg *argv = c->argv;
    size_t argc = c->argc;
    c->transaction = NULL;
    transaction_unwatch(c);
    requests_run(c, t);
    c->command = command;
    c->container = container;
    c->argc = c->dead ? 0 : argc;
    c->argv = c->dead ? NULL : argv;
    transaction_free(c->server, t);
}

/* ---- watching */

void transaction_watch(struct client *c, struct span partition) {
    if (!c->touched) subscriptions_add(&c->server->watchers, c, &c->watches, partition);
}

void transaction_unwatch(struct client *c) {
    subscriptions_remove_all(&c->server->watchers, &c->watches);
    c->touched = false;
}

static void transaction_touch(struct server *s, struct span partition) {
    const struct subscription_name *name;
    while ((name = subscriptions_find(&s->watchers, partition))) {
        struct client *c = TAILQ_FIRST(&name->subscriptions)->client;
        subscriptions_remove(&s->watchers, c, &c->watches, partition);
        c->touched = true;
    }
}

static void transaction_on_change(struct server *s, const struct op *op) {
    if (!s->watchers.names.count) return;
    if (op->kind != OP_ADOPT) transaction_touch(s, op->partition);
    for (size_t i = 0; op->kind == OP_ADOPT && i < op->adopt.n; i++)
        transaction_touch(s, op->adopt.partitions[i]->name);
}

void transactions_init(struct server *s) {
    subscriptions_init(&s->watchers);
    changes_listen(s, CHANGES_ALL, transaction_on_change);
}
