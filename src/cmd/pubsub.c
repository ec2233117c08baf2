/* SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PUBLISH PUBSUB: channels. */
#include "cmd/cmd.h"

#include "base/glob.h"
#include "server/client.h"
#include "server/command.h"
#include "server/pubsub.h"
#include "server/server.h"

/* ---- subscribing */

/* How the four commands differ. */
struct subscribe_command {
    const char *word; /* in the confirmation */
    enum pubsub_kind kind;
    bool leaves;
};

/* One confirmation a name. They come whatever CLIENT REPLY says, like the messages; but inside
 * EXEC they are replies, elements of its array. */
static void confirm(struct client *c, const struct subscribe_command *command,
                    const struct span *name) {
    struct reply *r = &c->reply;
    bool discard = r->discard;
    if (!c->executing) r->discard = false;
    if (c->executing)
        reply_array(r, 3);
    else
        reply_push(r, 3);
    reply_text(r, command->word);
    if (name)
        reply_bulk(r, *name);
    else
        reply_null(r);
    reply_integer(r, (int64_t)pubsub_count(c));
    r->discard = discard;
}

static void change(struct client *c, const struct subscribe_command *command, struct span name) {
    if (command->leaves)
        pubsub_unsubscribe(c, command->kind, name);
    else
        pubsub_subscribe(c, command->kind, name);
    confirm(c, command, &name);
}

/* Without names: leave all. Nothing to leave is confirmed too, with a null for the name. */
static void leave_all(struct client *c, const struct subscribe_command *command) {
    struct subscription_set *own = command->kind == PUBSUB_CHANNEL ? &c->channels : &c->patterns;
    if (!own->count) confirm(c, command, NULL);
    while (own->count) {
        struct span name = TAILQ_FIRST(&own->list)->name->name;
        struct scratch *scratch = &c->server->scratch;
        /* the name may go with its last subscription */
        char *copy = scratch_alloc(scratch, 1, name.len);
        if (name.len) memcpy(copy, name.ptr, name.len);
        change(c, command, span_of(copy, name.len));
    }
}

/* Before anything is done: memory for the names, and room for the confirmations. */
static int subscribe_check(struct client *c, const struct subscribe_command *command,
                           struct error *e) {
    enum { CONFIRMATION_BYTES = 64 };
    const struct subscription_set *own =
        command->kind == PUBSUB_CHANNEL ? &c->channels : &c->patterns;
    uint64_t reply = 0;
    size_t names = 0;
    const struct subscription *subscription;
    for (size_t i = 1; i < c->argc; i++) {
        names += subscriptions_cost(c->argv[i].bytes);
        reply += CONFIRMATION_BYTES + c->argv[i].bytes.len;
    }
    if (c->argc == 1)
        TAILQ_FOREACH(subscription, &own->list, own)
        reply += CONFIRMATION_BYTES + subscription->name->name.len;
    int failed = command->leaves ? 0 : server_check_names(c->server, names, e);
    return failed ? failed : client_check_room(c, reply, e);
}

static void subscribe_command_run(struct client *c, const struct subscribe_command *command) {
    struct error e;
    if (c->executing && c->argc != 2) { /* as many confirmations as names: EXEC has room for one */
        reply_errorf(&c->reply, ERROR_ERR, "%s takes exactly one name inside a transaction",
                     command->word);
        return;
    }
    if (subscribe_check(c, command, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    if (c->argc == 1) leave_all(c, command);
    for (size_t i = 1; i < c->argc; i++) change(c, command, c->argv[i].bytes);
}

static void subscribe_run(struct client *c) {
    subscribe_command_run(c, &(struct subscribe_command){"subscribe", PUBSUB_CHANNEL, false});
}

static void unsubscribe_run(struct client *c) {
    subscribe_command_run(c, &(struct subscribe_command){"unsubscribe", PUBSUB_CHANNEL, true});
}

static void psubscribe_run(struct client *c) {
    for (size_t i = 1; i < c->argc; i++)
        if (cmd_refuse_pattern(c, c->argv[i].bytes)) return;
    subscribe_command_run(c, &(struct subscribe_command){"psubscribe", PUBSUB_PATTERN, false});
}

static void punsubscribe_run(struct client *c) {
    subscribe_command_run(c, &(struct subscribe_command){"punsubscribe", PUBSUB_PATTERN, true});
}

/* ---- publishing */

static void publish_run(struct client *c) {
    struct error e;
    if (pubsub_check(c, c->argv[1].bytes, c->argv[2].bytes, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    size_t sent = pubsub_publish(c->server, c->argv[1].bytes, c->argv[2].bytes);
    reply_integer(&c->reply, (int64_t)sent);
}

/* ---- PUBSUB */

static size_t list_channels(struct client *c, struct span pattern, bool write) {
    size_t n = 0;
    const struct subscription_name *name;
    TAILQ_FOREACH(name, &c->server->pubsub->subscriptions[PUBSUB_CHANNEL].all, all) {
        if (pattern.ptr && !glob_match(pattern, name->name, false)) continue;
        n++;
        if (write) reply_bulk(&c->reply, name->name);
    }
    return n;
}

static void channels_run(struct client *c) {
    struct span pattern = c->argc == 3 ? c->argv[2].bytes : span_of(NULL, 0);
    if (c->argc > 3) {
        reply_errorf(&c->reply, ERROR_ERR,
                     "unknown subcommand or wrong number of arguments for %s. Try PUBSUB HELP.",
                     QUOTE(c->argv[1].bytes));
        return;
    }
    if (c->argc == 3 && cmd_refuse_pattern(c, pattern)) return;
    if (c->argc == 3 && !pattern.ptr) pattern.ptr = ""; /* an empty pattern is one all the same */
    reply_array(&c->reply, list_channels(c, pattern, false));
    list_channels(c, pattern, true);
}

static void numsub_run(struct client *c) {
    const struct subscriptions *channels = &c->server->pubsub->subscriptions[PUBSUB_CHANNEL];
    reply_array(&c->reply, 2 * (c->argc - 2));
    for (size_t i = 2; i < c->argc; i++) {
        const struct subscription_name *name = subscriptions_find(channels, c->argv[i].bytes);
        reply_bulk(&c->reply, c->argv[i].bytes);
        reply_integer(&c->reply, name ? (int64_t)name->count : 0);
    }
}

static void numpat_run(struct client *c) {
    const struct subscriptions *patterns = &c->server->pubsub->subscriptions[PUBSUB_PATTERN];
    reply_integer(&c->reply, (int64_t)patterns->names.count);
}

/* ---- the table */

enum {
    LISTEN_FLAGS = COMMAND_PUBSUB | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
    ASK_FLAGS = COMMAND_PUBSUB | COMMAND_LOADING | COMMAND_STALE,
};

#define PUBSUB_ENTRY(word, text, n, more, handler, docs, cost)                                     \
    {                                                                                              \
        .name = word, .summary = text, .group = "pubsub", .complexity = cost, .arity = n,          \
        .flags = more, .run = handler, .usage = docs                                               \
    }

static const struct command pubsub_subcommands[] = {
    PUBSUB_ENTRY("channels", "The channels that somebody is subscribed to by name", -2,
                 ASK_FLAGS | COMMAND_REPORTS, channels_run, "[pattern=pattern]",
                 "O(N) with N the channels"),
    PUBSUB_ENTRY("numpat", "How many patterns somebody is subscribed to", 2, ASK_FLAGS, numpat_run,
                 NULL, "O(1)"),
    PUBSUB_ENTRY("numsub", "How many are subscribed to these channels by name", -2,
                 ASK_FLAGS | COMMAND_REPORTS, numsub_run, "[channel...]", "O(N) with N the names"),
    {0},
};

static const struct command pubsub_commands[] = {
    PUBSUB_ENTRY("subscribe", "Listen to channels", -2, LISTEN_FLAGS | COMMAND_SUBSCRIBED,
                 subscribe_run, "channel...", "O(N) with N the names"),
    PUBSUB_ENTRY("unsubscribe", "Listen no more to these channels, or to any", -1,
                 LISTEN_FLAGS | COMMAND_SUBSCRIBED, unsubscribe_run, "[channel...]",
                 "O(N) with N the names"),
    PUBSUB_ENTRY("psubscribe", "Listen to all channels that match patterns", -2,
                 LISTEN_FLAGS | COMMAND_SUBSCRIBED, psubscribe_run, "pattern=pattern...",
                 "O(N) with N the patterns"),
    PUBSUB_ENTRY("punsubscribe", "Listen no more to these patterns, or to any", -1,
                 LISTEN_FLAGS | COMMAND_SUBSCRIBED, punsubscribe_run, "[pattern=pattern...]",
                 "O(N) with N the patterns"),
    PUBSUB_ENTRY("publish", "Send a message to all who listen to a channel", 3,
                 ASK_FLAGS | COMMAND_FAST, publish_run, "channel message",
                 "O(N+M) with N the receivers and M the patterns of all clients"),
    {
        .name = "pubsub",
        .summary = "Commands about channels",
        .group = "pubsub",
        .complexity = "Depends on subcommand",
        .arity = -2,
        .subcommands = pubsub_subcommands,
    },
    {0},
};

void cmd_pubsub_register(void) {
    command_register(pubsub_commands);
}
