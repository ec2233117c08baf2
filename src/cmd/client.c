/* CLIENT: who is connected, and what to do about it. */
#include "cmd/cmd.h"

#include <stdio.h>

#include "base/log.h"
#include "base/number.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"
#include "server/waiter.h"

/* ---- the caller */

static void id_run(struct client *c) {
    reply_integer(&c->reply, (int64_t)c->id);
}

static void getname_run(struct client *c) {
    if (*c->name)
        reply_text(&c->reply, c->name);
    else
        reply_null(&c->reply);
}

static void set_checked(struct client *c, char **where, struct span text, const char *what) {
    struct error e;
    if (client_check_name(text, what, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    client_set_text(where, text);
    reply_status(&c->reply, "OK");
}

static void setname_run(struct client *c) {
    set_checked(c, &c->name, c->argv[2].bytes, "Client names");
}

static void setinfo_run(struct client *c) {
    struct span attribute = c->argv[2].bytes;
    if (span_is(attribute, "lib-name"))
        set_checked(c, &c->library, c->argv[3].bytes, "lib-name");
    else if (span_is(attribute, "lib-ver"))
        set_checked(c, &c->library_version, c->argv[3].bytes, "lib-ver");
    else
        reply_errorf(&c->reply, ERROR_ERR, "Unrecognized option %s", QUOTE(attribute));
}

static void reply_run(struct client *c) {
    struct span mode = c->argv[2].bytes;
    if (span_is(mode, "on")) {
        c->reply_mode = CLIENT_REPLY_ON;
        c->reply.discard = false;
        reply_status(&c->reply, "OK");
    } else if (span_is(mode, "off")) {
        c->reply_mode = CLIENT_REPLY_OFF;
        c->reply.discard = true;
    } else if (span_is(mode, "skip")) {
        if (c->reply_mode != CLIENT_REPLY_OFF) c->reply_mode = CLIENT_REPLY_SKIP;
    } else {
        reply_errorf(&c->reply, ERROR_ERR, "syntax error");
    }
}

static void info_run(struct client *c) {
    struct text line = {0};
    client_describe(c, &line);
    text_add(&line, SPAN_LITERAL("\n"));
    reply_verbatim(&c->reply, text_span(&line));
    text_free(&line);
}

/* ---- choosing clients */

/* What LIST and KILL may ask of a client; each condition given must hold. */
struct client_filter {
    size_t n_ids;
    const struct resp_arg *ids; /* checked numbers */
    struct span address, local_address;
    bool has_type;
    enum client_class type; /* CLIENT_CLASSES: one of which there are none */
    bool has_age;
    int64_t age_s;
    const struct client *skip;
};

static bool is_listed(const struct client_filter *f, const struct client *c) {
    for (size_t i = 0; i < f->n_ids; i++) {
        uint64_t id;
        if (number_parse_u64(f->ids[i].bytes, &id) && id == c->id) return true;
    }
    return false;
}

static bool matches(const struct client_filter *f, const struct client *c) {
    if (c == f->skip) return false;
    if (f->n_ids && !is_listed(f, c)) return false;
    if (f->address.ptr && !span_equal(f->address, span_of_string(c->address))) return false;
    if (f->has_type && client_class(c) != f->type) return false;
    if (f->has_age && (c->server->now_us - c->born_us) / 1000000 < f->age_s) return false;
    if (!f->local_address.ptr) return true;
    struct text local = {0};
    client_local_address(c, &local);
    bool same = span_equal(f->local_address, text_span(&local));
    text_free(&local);
    return same;
}

static int parse_type(struct span type, struct client_filter *f, struct error *e) {
    f->has_type = true;
    f->type = span_is(type, "normal")   ? CLIENT_NORMAL
              : span_is(type, "pubsub") ? CLIENT_PUBSUB
                                        : CLIENT_CLASSES;
    if (f->type != CLIENT_CLASSES) return 0;
    if (span_is(type, "master") || span_is(type, "replica") || span_is(type, "slave")) return 0;
    return error_set(e, ERROR_ERR, "Unknown client type %s", QUOTE(type));
}

static int check_ids(const struct resp_arg *ids, size_t n, struct error *e) {
    for (size_t i = 0; i < n; i++) {
        uint64_t id;
        if (!number_parse_u64(ids[i].bytes, &id) || !id)
            return error_set(e, ERROR_ERR, "client-id should be greater than 0, got %s",
                             QUOTE(ids[i].bytes));
    }
    return 0;
}

/* ---- LIST */

static int list_parse(struct client *c, struct client_filter *f, struct error *e) {
    *f = (struct client_filter){0};
    if (c->argc == 2) return 0;
    if (span_is(c->argv[2].bytes, "type") && c->argc == 4)
        return parse_type(c->argv[3].bytes, f, e);
    if (span_is(c->argv[2].bytes, "id") && c->argc > 3) {
        f->ids = c->argv + 3;
        f->n_ids = c->argc - 3;
        return check_ids(f->ids, f->n_ids, e);
    }
    return error_set(e, ERROR_ERR, "syntax error");
}

static void list_run(struct client *c) {
    struct client_filter filter;
    struct error e;
    if (list_parse(c, &filter, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    struct text out = {0};
    struct client *each;
    TAILQ_FOREACH(each, &c->server->clients->all, all) {
        if (!matches(&filter, each)) continue;
        client_describe(each, &out);
        text_add(&out, SPAN_LITERAL("\n"));
    }
    reply_verbatim(&c->reply, text_span(&out));
    text_free(&out);
}

/* ---- KILL */

static int kill_option(struct client *c, size_t at, struct client_filter *f, struct error *e) {
    struct span name = c->argv[at].bytes, value = c->argv[at + 1].bytes;
    if (span_is(name, "id")) {
        f->ids = &c->argv[at + 1];
        f->n_ids = 1;
        return check_ids(f->ids, 1, e);
    }
    if (span_is(name, "type")) return parse_type(value, f, e);
    if (span_is(name, "addr")) {
        f->address = value;
        return 0;
    }
    if (span_is(name, "laddr")) {
        f->local_address = value;
        return 0;
    }
    if (span_is(name, "user")) {
        if (span_equal(value, SPAN_LITERAL("default"))) return 0; /* everyone */
        return error_set(e, ERROR_ERR, "No such user %s", QUOTE(value));
    }
    if (span_is(name, "maxage")) {
        f->has_age = true;
        if (number_parse_i64(value, &f->age_s) && f->age_s > 0) return 0;
        return error_set(e, ERROR_ERR, "maxage should be greater than 0, got %s", QUOTE(value));
    }
    if (span_is(name, "skipme") && (span_is(value, "yes") || span_is(value, "no"))) {
        f->skip = span_is(value, "yes") ? c : NULL;
        return 0;
    }
    return error_set(e, ERROR_ERR, "syntax error");
}

static void kill_one(struct client *by, struct client *victim) {
    log_verbose("client %llu at %s is killed by client %llu", (unsigned long long)victim->id,
                victim->address, (unsigned long long)by->id);
    if (victim == by)
        client_close_after_reply(victim);
    else
        client_close(victim, "killed");
}

static size_t kill_matching(struct client *c, const struct client_filter *f) {
    size_t killed = 0;
    struct client *next;
    for (struct client *each = TAILQ_FIRST(&c->server->clients->all); each; each = next) {
        next = TAILQ_NEXT(each, all);
        if (!matches(f, each)) continue;
        kill_one(c, each);
        killed++;
    }
    return killed;
}

static void kill_run(struct client *c) {
    struct client_filter filter = {0};
    if (c->argc == 3) { /* CLIENT KILL addr, the old form: may be the caller */
        filter.address = c->argv[2].bytes;
        if (kill_matching(c, &filter))
            reply_status(&c->reply, "OK");
        else
            reply_errorf(&c->reply, ERROR_ERR, "No such client");
        return;
    }
    filter.skip = c;
    struct error e;
    int failed = c->argc % 2 ? error_set(&e, ERROR_ERR, "syntax error") : 0;
    for (size_t i = 2; i < c->argc && !failed; i += 2) failed = kill_option(c, i, &filter, &e);
    if (failed)
        reply_error(&c->reply, &e);
    else
        reply_integer(&c->reply, (int64_t)kill_matching(c, &filter));
}

static void unblock_run(struct client *c) {
    uint64_t id;
    bool with_error = c->argc == 4 && span_is(c->argv[3].bytes, "error");
    if (c->argc > 4 || (c->argc == 4 && !with_error && !span_is(c->argv[3].bytes, "timeout"))) {
        reply_errorf(&c->reply, ERROR_ERR, "CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!number_parse_u64(c->argv[2].bytes, &id)) {
        reply_errorf(&c->reply, ERROR_ERR, "value is not an integer or out of range");
        return;
    }
    struct client *each;
    TAILQ_FOREACH(each, &c->server->clients->all, all) if (each->id == id) break;
    bool parked = each && each->waiter;
    if (parked) waiter_unblock(each, with_error);
    reply_integer(&c->reply, parked);
}

/* ---- the table */

#define CLIENT_SUB(word, text, n, handler, docs, cost)                                             \
    {                                                                                              \
        .name = word, .summary = text, .group = "connection", .complexity = cost, .arity = n,      \
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_NOSCRIPT, .run = handler, .usage = docs \
    }

static const struct command client_subcommands[] = {
    CLIENT_SUB("getname", "The name of this connection", 2, getname_run, NULL, "O(1)"),
    CLIENT_SUB("id", "The id of this connection", 2, id_run, NULL, "O(1)"),
    CLIENT_SUB("info", "What is known of this connection", 2, info_run, NULL, "O(1)"),
    CLIENT_SUB("kill", "End connections", -3, kill_run,
               "whom(old-format|filter(ID client-id=integer|TYPE type|ADDR ip:port|LADDR ip:port|"
               "USER username|MAXAGE seconds=integer|SKIPME skipme(YES|NO))...)",
               "O(N) with N the clients"),
    {
        .name = "list",
        .summary = "What is known of all connections, a line each",
        .group = "connection",
        .complexity = "O(N) with N the clients",
        .arity = -2,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_NOSCRIPT | COMMAND_REPORTS,
        .run = list_run,
        .usage = "[TYPE type] [ID client-id=integer...]",
    },
    {
        .name = "reply",
        .summary = "Have replies or do without",
        .group = "connection",
        .complexity = "O(1)",
        .arity = 3,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_NOSCRIPT | COMMAND_NO_MULTI,
        .run = reply_run,
        .usage = "mode(ON|OFF|SKIP)",
    },
    CLIENT_SUB("setinfo", "Tell the name and version of the client's library", 4, setinfo_run,
               "attr(LIB-NAME libname|LIB-VER libver)", "O(1)"),
    CLIENT_SUB("setname", "Name this connection", 3, setname_run, "connection-name", "O(1)"),
    CLIENT_SUB("unblock", "End the wait of a client that is parked", -3, unblock_run,
               "client-id=integer [how(TIMEOUT|ERROR)]", "O(N) with N the clients"),
    {0},
};

static const struct command client_commands[] = {
    {
        .name = "client",
        .summary = "Commands about connections",
        .group = "connection",
        .complexity = "Depends on subcommand",
        .arity = -2,
        .subcommands = client_subcommands,
    },
    {0},
};

void cmd_client_register(void) {
    command_register(client_commands);
}
