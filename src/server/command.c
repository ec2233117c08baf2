/* See command.h. */
#include "server/command.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "request/args.h"
#include "server/client.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/table.h"
#include "server/transaction.h"

/* One command or subcommand, with what is counted of it. */
struct entry {
    struct table_link link;
    const struct command *command;
    const struct command *container;
    struct entry *subcommands; /* as many as the command has */
    size_t n_subcommands;
    uint64_t calls, rejected, microseconds;
};

static struct table names;
static struct entry **entries; /* in order of registration */
static size_t n_entries, entries_capacity;

/* ---- the table */

static uint64_t name_hash(struct span name) {
    char lower[COMMAND_NAME_MAX];
    for (size_t i = 0; i < name.len; i++) lower[i] = (char)tolower((unsigned char)name.ptr[i]);
    return hash_bytes(span_of(lower, name.len));
}

static bool name_is(const struct table_link *link, const void *key) {
    return span_is(*(const struct span *)key, TABLE_ENTRY(link, struct entry, link)->command->name);
}

static struct entry *entry_find(struct span name) {
    if (name.len >= COMMAND_NAME_MAX) return NULL;
    struct table_link *link = table_find(&names, name_hash(name), name_is, &name);
    return link ? TABLE_ENTRY(link, struct entry, link) : NULL;
}

static void entry_add_subcommands(struct entry *entry) {
    const struct command *command = entry->command;
    if (!command->subcommands) return;
    while (command->subcommands[entry->n_subcommands].name) entry->n_subcommands++;
    entry->subcommands = mem_calloc(entry->n_subcommands, sizeof(*entry->subcommands));
    for (size_t i = 0; i < entry->n_subcommands; i++) {
        entry->subcommands[i].command = &command->subcommands[i];
        entry->subcommands[i].container = command;
    }
}

void command_register(const struct command *table) {
    for (; table->name; table++) {
        if (entry_find(span_of_string(table->name))) {
            fprintf(stderr, "tq: command '%s' is registered twice\n", table->name);
            abort();
        }
        struct entry *entry = mem_calloc(1, sizeof(*entry));
        entry->command = table;
        entry_add_subcommands(entry);
        table_add(&names, &entry->link, name_hash(span_of_string(table->name)));
        entries = mem_grow(entries, &entries_capacity, n_entries + 1, sizeof(*entries));
        entries[n_entries++] = entry;
    }
}

const struct command *command_find(struct span name) {
    struct entry *entry = entry_find(name);
    return entry ? entry->command : NULL;
}

const struct command *command_next(const struct command *previous) {
    size_t i = 0;
    while (previous && i < n_entries && entries[i++]->command != previous) continue;
    return i < n_entries ? entries[i]->command : NULL;
}

size_t command_count(void) {
    return n_entries;
}

const char *command_full_name(const struct command *container, const struct command *command,
                              char out[static COMMAND_NAME_MAX]) {
    snprintf(out, COMMAND_NAME_MAX, "%s%s%s", container ? container->name : "",
             container ? "|" : "", command->name);
    return out;
}

int command_last_key(const struct command *command) {
    static const char key[] = "partition=key";
    const char *line = command->syntax ? command->syntax->head : command->usage;
    if (line && *line == '[') line++;
    if (!line || strncmp(line, key, strlen(key)) != 0) return 0;
    return strncmp(line + strlen(key), "...", strlen("...")) ? 1 : -1;
}

struct usage *command_usage(const struct command *command, struct scratch *scratch) {
    if (command->syntax) return args_usage(command->syntax, scratch);
    return command->usage ? usage_parse(command->usage, scratch) : NULL;
}

/* ---- statistics */

static void entry_write_stats(const struct entry *entry, struct text *out) {
    char name[COMMAND_NAME_MAX];
    if (entry->calls || entry->rejected)
        text_printf(out,
                    "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu\r\n",
                    command_full_name(entry->container, entry->command, name),
                    (unsigned long long)entry->calls, (unsigned long long)entry->microseconds,
                    entry->calls ? (double)entry->microseconds / (double)entry->calls : 0.0,
                    (unsigned long long)entry->rejected);
    for (size_t i = 0; i < entry->n_subcommands; i++)
        entry_write_stats(&entry->subcommands[i], out);
}

void command_write_stats(struct text *out) {
    for (size_t i = 0; i < n_entries; i++) entry_write_stats(entries[i], out);
}

static void entry_reset_stats(struct entry *entry) {
    entry->calls = entry->rejected = entry->microseconds = 0;
    for (size_t i = 0; i < entry->n_subcommands; i++) entry_reset_stats(&entry->subcommands[i]);
}

void command_reset_stats(void) {
    for (size_t i = 0; i < n_entries; i++) entry_reset_stats(entries[i]);
}

/* ---- dispatch */

#define ARITY_TEXT "wrong number of arguments for '%s' command"

enum { UNKNOWN_ARGS_SHOWN = 128 }; /* bytes of arguments in the error, as in Redis */

static bool is_of_tq(struct span name) {
    return name.len > 3 && !strncasecmp(name.ptr, "tq.", 3);
}

/* Redis' text; for a TQ command followed by the one that is meant. */
static int unknown_command(const struct client *c, struct error *e) {
    struct span name = c->argv[0].bytes;
    struct nearest nearest = nearest_to(name);
    struct text args = {0};
    for (size_t i = 0; is_of_tq(name) && i < n_entries; i++)
        nearest_try(&nearest, span_of_string(entries[i]->command->name));
    for (size_t i = 1; i < c->argc && args.len < UNKNOWN_ARGS_SHOWN; i++)
        text_printf(&args, "%s ", QUOTE(c->argv[i].bytes));
    error_set(e, ERROR_ERR, "unknown command %s, with args beginning with: %s%s", QUOTE(name),
              args.len ? args.ptr : "", NEAREST_HINT(&nearest, ""));
    text_free(&args);
    return ERROR_ERR;
}

static void upper_name(const struct command *command, char out[static COMMAND_NAME_MAX]) {
    size_t len = strlen(command->name);
    for (size_t i = 0; i <= len; i++) out[i] = (char)toupper((unsigned char)command->name[i]);
}

static void container_help(struct client *c, const struct entry *entry) {
    char upper[COMMAND_NAME_MAX];
    upper_name(entry->command, upper);
    struct text line = {0};
    text_printf(&line, "%s <subcommand> [<arg> [value] ...]. Subcommands are:", upper);
    reply_array(&c->reply, 1 + 2 * entry->n_subcommands);
    reply_status(&c->reply, line.ptr);
    for (size_t i = 0; i < entry->n_subcommands; i++) {
        const struct command *sub = entry->subcommands[i].command;
        upper_name(sub, upper);
        line.len = 0;
        text_printf(&line, "    %s.", sub->summary);
        reply_status(&c->reply, upper);
        reply_status(&c->reply, line.ptr);
    }
    text_free(&line);
}

/* From a container to the subcommand in argv[1]. Where that asks for help, *entry is NULL and the
 * reply has been written; a transaction keeps requests, and help is none. */
static int entry_descend(struct client *c, struct entry **entry, struct error *e) {
    const struct entry *container = *entry;
    const struct command *command = container->command;
    if (!container->n_subcommands) return 0;
    if (c->argc < 2) {
        if (command->run) return 0;
        return error_set(e, ERROR_ERR, ARITY_TEXT, command->name);
    }
    struct span name = c->argv[1].bytes;
    for (size_t i = 0; i < container->n_subcommands; i++) {
        if (!span_is(name, container->subcommands[i].command->name)) continue;
        *entry = &container->subcommands[i];
        return 0;
    }
    if (c->argc == 2 && span_is(name, "help") && !c->transaction) {
        container_help(c, container);
        *entry = NULL;
        return 0;
    }
    char upper[COMMAND_NAME_MAX];
    upper_name(command, upper);
    return error_set(e, ERROR_ERR, "unknown subcommand %s. Try %s HELP.", QUOTE(name), upper);
}

static int refuse_memory(struct client *c, struct error *e) {
    c->server->metrics.refused_oom++;
    return server_refuse_memory(e);
}

/* A transaction is held to what its requests are. */
static bool needs_memory(const struct client *c, const struct command *command) {
    unsigned flags = command->flags;
    if (c->transaction && !(flags & COMMAND_AT_ONCE)) return flags & COMMAND_DENYOOM;
    if (flags & COMMAND_EXEC) flags |= transaction_flags(c);
    /* What may wait for memory asks itself. */
    return (flags & COMMAND_DENYOOM) && !(command->flags & COMMAND_BLOCKING);
}

/* Redis' text; for a TQ command followed by what is missing, as its parser says it. */
static int refuse_arity(struct client *c, const struct entry *entry, struct error *e) {
    static const char known[] = "syntax error: ";
    const struct command *command = entry->command;
    const struct args_syntax *syntax = command->syntax;
    struct scratch *scratch = &c->server->scratch;
    char name[COMMAND_NAME_MAX], usage[USAGE_TEXT_MAX];
    struct error why;
    command_full_name(entry->container, command, name);
    if (!is_of_tq(span_of_string(name))) return error_set(e, ERROR_ERR, ARITY_TEXT, name);
    if (syntax && args_parse(syntax, c->argv, c->argc, scratch,
                             scratch_alloc(scratch, 1, syntax->size), &why))
        error_set(e, ERROR_ERR, ARITY_TEXT ": %s", name,
                  why.text + (strncmp(why.text, known, strlen(known)) ? 0 : strlen(known)));
    else
        error_set(e, ERROR_ERR, ARITY_TEXT ": expected %.*s %s", name, SPAN_ARG(c->argv[0].bytes),
                  usage_print(command_usage(command, scratch), usage));
    scratch_reset(scratch);
    return ERROR_ERR;
}

/* What a command has to pass before it runs or is queued. */
static int check_gates(struct client *c, const struct entry *entry, struct error *e) {
    const struct command *command = entry->command;
    char name[COMMAND_NAME_MAX];
    size_t arity = (size_t)abs(command->arity);
    if (command->arity > 0 ? c->argc != arity : c->argc < arity) return refuse_arity(c, entry, e);
    if (c->server->persistence.loading && !(command->flags & COMMAND_LOADING))
        return error_set(e, ERROR_LOADING, "tq is loading the dataset in memory");
    if (c->transaction && (command->flags & COMMAND_NO_MULTI))
        return error_set(e, ERROR_ERR, "Command not allowed inside a transaction");
    if (needs_memory(c, command) && server_memory_full(c->server, 0)) return refuse_memory(c, e);
    if (c->transaction && !(command->flags & COMMAND_AT_ONCE) &&
        client_check_own(c, CLIENT_OWN_QUEUED, e))
        return ERROR_OOM;
    if (pubsub_is_bound(c) && !(command->flags & COMMAND_SUBSCRIBED))
        return error_set(e, ERROR_ERR,
                         "Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
                         "/ RESET are allowed in this context",
                         command_full_name(entry->container, command, name));
    return 0;
}

/* The command that the request names, gates passed. *entry is NULL where the reply has been
 * written; on failure it is the command at fault, if that is known. */
static int command_choose(struct client *c, struct entry **entry, struct error *e) {
    *entry = NULL;
    if (c->parser.refused) return refuse_memory(c, e); /* whatever it was, a part is missing */
    *entry = entry_find(c->argv[0].bytes);
    if (!*entry) return unknown_command(c, e);
    int failed = entry_descend(c, entry, e);
    if (failed || !*entry) return failed;
    c->command = (*entry)->command;
    c->container = (*entry)->container;
    failed = check_gates(c, *entry, e);
    if (failed) (*entry)->rejected++;
    return failed;
}

/* What is refused inside MULTI spoils the transaction; a refused EXEC ends it. */
static void command_refuse(struct client *c, const struct entry *entry, const struct error *e) {
    c->server->metrics.refused++;
    if (c->transaction && entry && (entry->command->flags & COMMAND_EXEC)) {
        transaction_forget(c);
        bool named = e->code != ERROR_ERR;
        reply_errorf(&c->reply, ERROR_EXECABORT, "Transaction discarded because of: %s%s%s",
                     named ? error_name(e->code) : "", named ? " " : "", e->text);
        return;
    }
    if (c->transaction) transaction_spoil(c);
    reply_error(&c->reply, e);
}

/* A command that changes nothing: if its reply is more than the client may have waiting, the reply
 * is an error. Others see to that before they change anything. */
static void command_report(struct client *c, const struct command *command) {
    struct error e;
    size_t beyond = 0;
    do {
        struct client_mark mark = client_reply_try(c, beyond);
        command->run(c);
        if (c->dead || !client_reply_end(c, &mark, &e)) return;
        scratch_reset(&c->server->scratch);
        beyond = client_reply_beyond(c, &mark, &e);
    } while (beyond);
    reply_error(&c->reply, &e);
}

static void entry_run(struct client *c, struct entry *entry) {
    struct server *s = c->server;
    struct client *outer = s->current; /* the same one, where EXEC runs it */
    s->current = c;
    s->metrics.commands++;
    if (entry->command->flags & (COMMAND_READONLY | COMMAND_REPORTS))
        command_report(c, entry->command);
    else
        entry->command->run(c);
    scratch_reset(&s->scratch);
    s->current = outer;
    int64_t now = clock_monotonic_us();
    entry->calls++;
    entry->microseconds += (uint64_t)(now - s->tick_us);
    s->tick_us = now;
}

void command_dispatch(struct client *c) {
    struct error e;
    struct entry *entry;
    if (command_choose(c, &entry, &e)) {
        command_refuse(c, entry, &e);
    } else if (entry && c->transaction && !(entry->command->flags & COMMAND_AT_ONCE)) {
        transaction_queue(c);
    } else if (entry) {
        entry_run(c, entry);
        pubsub_finish(c);
    }
}

void command_run_queued(struct client *c) {
    struct error e;
    struct entry *entry = entry_find(c->argv[0].bytes);
    if (!entry || entry_descend(c, &entry, &e) || !entry) abort(); /* it was found when it came */
    c->command = entry->command;
    c->container = entry->container;
    entry_run(c, entry);
}
