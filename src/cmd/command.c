/* COMMAND: the command table, as clients and redis-cli read it. */
#include "cmd/cmd.h"

#include <stdlib.h>

#include "base/glob.h"
#include "request/usage.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"

/* ---- looking up */

struct found {
    const struct command *container; /* of a subcommand, else NULL */
    const struct command *command;   /* NULL where there is no such command */
};

/* `client`, or `client|list`. */
static struct found find(struct span name) {
    const char *bar = name.len ? memchr(name.ptr, '|', name.len) : NULL;
    if (!bar) return (struct found){NULL, command_find(name)};
    size_t len = (size_t)(bar - name.ptr);
    const struct command *container = command_find(span_of(name.ptr, len));
    struct span rest = span_of(bar + 1, name.len - len - 1);
    for (const struct command *sub = container ? container->subcommands : NULL; sub && sub->name;
         sub++)
        if (span_is(rest, sub->name)) return (struct found){container, sub};
    return (struct found){NULL, NULL};
}

static size_t count_subcommands(const struct command *command) {
    size_t n = 0;
    while (command->subcommands && command->subcommands[n].name) n++;
    return n;
}

static void reply_name(struct reply *r, struct found f) {
    char name[COMMAND_NAME_MAX];
    reply_text(r, command_full_name(f.container, f.command, name));
}

/* ---- COMMAND INFO */

struct flag_name {
    unsigned flag;
    const char *name;
};

/* Those of a table that a command has, as a set of status replies. */
static void reply_flags(struct reply *r, unsigned flags, const struct flag_name *table, size_t n) {
    size_t set = 0;
    for (size_t i = 0; i < n; i++) set += (flags & table[i].flag) != 0;
    reply_set(r, set);
    for (size_t i = 0; i < n; i++)
        if (flags & table[i].flag) reply_status(r, table[i].name);
}

static void reply_command_flags(struct reply *r, unsigned flags) {
    static const struct flag_name names[] = {
        {COMMAND_WRITE, "write"},       {COMMAND_READONLY, "readonly"},
        {COMMAND_DENYOOM, "denyoom"},   {COMMAND_ADMIN, "admin"},
        {COMMAND_PUBSUB, "pubsub"},     {COMMAND_NOSCRIPT, "noscript"},
        {COMMAND_BLOCKING, "blocking"}, {COMMAND_LOADING, "loading"},
        {COMMAND_STALE, "stale"},       {COMMAND_FAST, "fast"},
        {COMMAND_NOAUTH, "no_auth"},    {COMMAND_NO_MULTI, "no_multi"},
    };
    reply_flags(r, flags, names, sizeof(names) / sizeof(*names));
}

/* Redis' categories that follow from the flags; @slow is what is not @fast. */
static void reply_categories(struct reply *r, const struct command *command) {
    enum { SLOW = 1 << 30, KEYSPACE = 1 << 29, CONNECTION = 1 << 28, TRANSACTION = 1 << 27 };
    static const struct flag_name names[] = {
        {COMMAND_WRITE, "@write"},       {COMMAND_READONLY, "@read"},
        {COMMAND_ADMIN, "@admin"},       {COMMAND_ADMIN, "@dangerous"},
        {COMMAND_BLOCKING, "@blocking"}, {COMMAND_PUBSUB, "@pubsub"},
        {COMMAND_FAST, "@fast"},         {SLOW, "@slow"},
        {KEYSPACE, "@keyspace"},         {CONNECTION, "@connection"},
        {TRANSACTION, "@transaction"},
    };
    unsigned flags = command->flags;
    if (!(flags & COMMAND_FAST)) flags |= SLOW;
    if (!strcmp(command->group, "generic")) flags |= KEYSPACE;
    if (!strcmp(command->group, "connection")) flags |= CONNECTION;
    if (!strcmp(command->group, "transactions")) flags |= TRANSACTION;
    reply_flags(r, flags, names, sizeof(names) / sizeof(*names));
}

/* Where the keys are, in the words of Redis 7: by index, then a range. */
static void reply_key_specs(struct reply *r, const struct command *command) {
    int last = command_last_key(command);
    reply_array(r, last ? 1 : 0);
    if (!last) return;
    reply_map(r, 3);
    reply_text(r, "flags");
    reply_set(r, 1);
    reply_status(r, command->flags & COMMAND_WRITE ? "RW" : "RO");
    reply_text(r, "begin_search");
    reply_map(r, 2);
    reply_text(r, "type");
    reply_text(r, "index");
    reply_text(r, "spec");
    reply_map(r, 1);
    reply_text(r, "index");
    reply_integer(r, 1);
    reply_text(r, "find_keys");
    reply_map(r, 2);
    reply_text(r, "type");
    reply_text(r, "range");
    reply_text(r, "spec");
    reply_map(r, 3);
    reply_text(r, "lastkey"); /* counted from the first */
    reply_integer(r, last < 0 ? last : last - 1);
    reply_text(r, "keystep");
    reply_integer(r, 1);
    reply_text(r, "limit");
    reply_integer(r, 0);
}

static void reply_entry(struct reply *r, struct found f) {
    const struct command *command = f.command;
    size_t n = count_subcommands(command);
    reply_array(r, 10);
    reply_name(r, f);
    reply_integer(r, command->arity);
    reply_command_flags(r, command->flags);
    reply_integer(r, command_last_key(command) != 0);
    reply_integer(r, command_last_key(command));
    reply_integer(r, command_last_key(command) != 0);
    reply_categories(r, command);
    reply_array(r, 0); /* tips */
    reply_key_specs(r, command);
    reply_array(r, n);
    for (size_t i = 0; i < n; i++)
        reply_entry(r, (struct found){command, &command->subcommands[i]});
}

static void reply_all_entries(struct reply *r) {
    reply_array(r, command_count());
    for (const struct command *each = NULL; (each = command_next(each));)
        reply_entry(r, (struct found){NULL, each});
}

static void bare_run(struct client *c) {
    reply_all_entries(&c->reply);
}

static void info_run(struct client *c) {
    if (c->argc == 2) {
        reply_all_entries(&c->reply);
        return;
    }
    reply_array(&c->reply, c->argc - 2);
    for (size_t i = 2; i < c->argc; i++) {
        struct found f = find(c->argv[i].bytes);
        if (f.command)
            reply_entry(&c->reply, f);
        else
            reply_null_array(&c->reply);
    }
}

static void count_run(struct client *c) {
    reply_integer(&c->reply, (int64_t)command_count());
}

/* ---- COMMAND DOCS */

static void reply_args(struct reply *r, const struct usage *args);

static void reply_arg(struct reply *r, const struct usage *arg) {
    bool flags = arg->is_optional || arg->is_multiple;
    bool is_key = span_is(arg->type, "key");
    reply_map(r, 2 + (arg->token.ptr != NULL) + flags + is_key + (arg->args != NULL));
    reply_text(r, "name");
    reply_bulk(r, arg->name);
    reply_text(r, "type");
    reply_bulk(r, arg->type);
    if (is_key) {
        reply_text(r, "key_spec_index");
        reply_integer(r, 0);
    }
    if (arg->token.ptr) {
        reply_text(r, "token");
        reply_bulk(r, arg->token);
    }
    if (flags) {
        reply_text(r, "flags");
        reply_set(r, (size_t)arg->is_optional + (size_t)arg->is_multiple);
        if (arg->is_optional) reply_status(r, "optional");
        if (arg->is_multiple) reply_status(r, "multiple");
    }
    if (arg->args) {
        reply_text(r, "arguments");
        reply_args(r, arg->args);
    }
}

static void reply_args(struct reply *r, const struct usage *args) {
    reply_array(r, usage_count(args));
    for (; args; args = args->next) reply_arg(r, args);
}

static void reply_docs(struct client *c, struct found f) {
    struct reply *r = &c->reply;
    const struct command *command = f.command;
    const struct usage *args = command_usage(command, &c->server->scratch);
    size_t n = count_subcommands(command);
    reply_name(r, f);
    reply_map(r, 4 + (args != NULL) + (n != 0));
    reply_text(r, "summary");
    reply_text(r, command->summary);
    reply_text(r, "since");
    reply_text(r, "0.1.0"); /* so far all commands are of the first release */
    reply_text(r, "group");
    reply_text(r, command->group);
    reply_text(r, "complexity");
    reply_text(r, command->complexity);
    if (args) {
        reply_text(r, "arguments");
        reply_args(r, args);
    }
    if (!n) return;
    reply_text(r, "subcommands");
    reply_map(r, n);
    for (size_t i = 0; i < n; i++) reply_docs(c, (struct found){command, &command->subcommands[i]});
}

static void docs_run(struct client *c) {
    struct reply *r = &c->reply;
    if (c->argc == 2) {
        reply_map(r, command_count());
        for (const struct command *each = NULL; (each = command_next(each));)
            reply_docs(c, (struct found){NULL, each});
        return;
    }
    size_t known = 0;
    for (size_t i = 2; i < c->argc; i++) known += find(c->argv[i].bytes).command != NULL;
    reply_map(r, known);
    for (size_t i = 2; i < c->argc; i++) {
        struct found f = find(c->argv[i].bytes);
        if (f.command) reply_docs(c, f);
    }
}

/* ---- COMMAND LIST */

static bool listed(const char *name, struct span pattern) {
    return !pattern.ptr || glob_match(pattern, span_of_string(name), true);
}

/* With a pattern, subcommands are names of their own. */
static size_t list_names(struct reply *r, struct span pattern) {
    size_t n = 0;
    char name[COMMAND_NAME_MAX];
    for (const struct command *each = NULL; (each = command_next(each));) {
        if (listed(each->name, pattern)) {
            n++;
            if (r) reply_text(r, each->name);
        }
        for (size_t i = 0; pattern.ptr && i < count_subcommands(each); i++) {
            if (!listed(command_full_name(each, &each->subcommands[i], name), pattern)) continue;
            n++;
            if (r) reply_text(r, name);
        }
    }
    return n;
}

static void list_run(struct client *c) {
    struct span pattern = {NULL, 0};
    bool filtered = c->argc == 5 && span_is(c->argv[2].bytes, "filterby");
    if (filtered && span_is(c->argv[3].bytes, "pattern")) {
        pattern = c->argv[4].bytes;
        if (cmd_refuse_pattern(c, pattern)) return;
    } else if (filtered && span_is(c->argv[3].bytes, "module")) {
        reply_array(&c->reply, 0); /* there are no modules */
        return;
    } else if (c->argc > 2) {
        reply_errorf(&c->reply, ERROR_ERR, "syntax error");
        return;
    }
    reply_array(&c->reply, list_names(NULL, pattern));
    list_names(&c->reply, pattern);
}

/* ---- COMMAND GETKEYS */

static void getkeys_run(struct client *c) {
    const struct command *command = command_find(c->argv[2].bytes);
    size_t argc = c->argc - 2; /* of the command asked about */
    if (command && command->subcommands && argc > 1) {
        struct span name = c->argv[3].bytes;
        const struct command *sub = command->subcommands;
        while (sub->name && !span_is(name, sub->name)) sub++;
        command = sub->name ? sub : NULL;
    }
    if (!command) {
        reply_errorf(&c->reply, ERROR_ERR, "Invalid command specified");
        return;
    }
    int last = command_last_key(command);
    if (!last) {
        reply_errorf(&c->reply, ERROR_ERR, "The command has no key arguments");
        return;
    }
    size_t arity = (size_t)abs(command->arity);
    if (argc < 2 || (command->arity > 0 ? argc != arity : argc < arity)) {
        reply_errorf(&c->reply, ERROR_ERR, "Invalid number of arguments specified for command");
        return;
    }
    size_t n = last < 0 ? argc - 1 : 1;
    reply_array(&c->reply, n);
    for (size_t i = 1; i <= n; i++) reply_bulk(&c->reply, c->argv[2 + i].bytes);
}

/* ---- the table */

#define COMMAND_SUB(word, text, n, handler, docs)                                                  \
    {                                                                                              \
        .name = word, .summary = text, .group = "server",                                          \
        .complexity = "O(N) with N the commands", .arity = n,                                      \
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_REPORTS, .run = handler, .usage = docs  \
    }

static const struct command command_subcommands[] = {
    COMMAND_SUB("count", "How many commands there are", 2, count_run, NULL),
    COMMAND_SUB("docs", "What commands do and which arguments they take", -2, docs_run,
                "[command-name...]"),
    COMMAND_SUB("getkeys", "Which arguments of a command are keys", -3, getkeys_run,
                "command [arg...]"),
    COMMAND_SUB("info", "Arity, flags and keys of commands", -2, info_run, "[command-name...]"),
    COMMAND_SUB("list", "The names of commands", -2, list_run,
                "[FILTERBY filterby(MODULE module-name|PATTERN pattern=pattern)]"),
    {0},
};

static const struct command command_commands[] = {
    {
        .name = "command",
        .summary = "Arity, flags and keys of all commands",
        .group = "server",
        .complexity = "O(N) with N the commands",
        .arity = -1,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_REPORTS,
        .run = bare_run,
        .subcommands = command_subcommands,
    },
    {0},
};

void cmd_command_register(void) {
    command_register(command_commands);
}
