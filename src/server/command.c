/* See command.h. */
#include "server/command.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "server/client.h"
#include "server/server.h"
#include "server/table.h"

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

enum { UNKNOWN_ARGS_SHOWN = 128 }; /* bytes of arguments in the error, as in Redis */

static void reject_unknown(struct client *c) {
    struct text args = {0};
    for (size_t i = 1; i < c->argc && args.len < UNKNOWN_ARGS_SHOWN; i++)
        text_printf(&args, "%s ", QUOTE(c->argv[i].bytes));
    reply_errorf(&c->reply, ERROR_ERR, "unknown command %s, with args beginning with: %s",
                 QUOTE(c->argv[0].bytes), args.len ? args.ptr : "");
    text_free(&args);
}

static void container_help(struct client *c, const struct entry *entry) {
    char upper[COMMAND_NAME_MAX];
    size_t len = 0;
    for (const char *p = entry->command->name; *p; p++)
        upper[len++] = (char)toupper((unsigned char)*p);
    upper[len] = '\0';
    struct text line = {0};
    text_printf(&line, "%s <subcommand> [<arg> [value] ...]. Subcommands are:", upper);
    reply_array(&c->reply, 1 + 2 * entry->n_subcommands);
    reply_status(&c->reply, line.ptr);
    for (size_t i = 0; i < entry->n_subcommands; i++) {
        const struct command *sub = entry->subcommands[i].command;
        for (len = 0; sub->name[len]; len++)
            upper[len] = (char)toupper((unsigned char)sub->name[len]);
        upper[len] = '\0';
        line.len = 0;
        text_printf(&line, "    %s.", sub->summary);
        reply_status(&c->reply, upper);
        reply_status(&c->reply, line.ptr);
    }
    text_free(&line);
}

/* From a container to the subcommand in argv[1]. NULL where the reply has been written. */
static struct entry *entry_descend(struct client *c, struct entry *entry) {
    if (!entry->n_subcommands) return entry;
    if (c->argc < 2) {
        if (entry->command->run) return entry;
        reply_errorf(&c->reply, ERROR_ERR, "wrong number of arguments for '%s' command",
                     entry->command->name);
        return NULL;
    }
    struct span name = c->argv[1].bytes;
    for (size_t i = 0; i < entry->n_subcommands; i++)
        if (span_is(name, entry->subcommands[i].command->name)) return &entry->subcommands[i];
    if (c->argc == 2 && span_is(name, "help")) {
        container_help(c, entry);
        return NULL;
    }
    char upper[COMMAND_NAME_MAX];
    size_t len = strlen(entry->command->name);
    for (size_t i = 0; i <= len; i++)
        upper[i] = (char)toupper((unsigned char)entry->command->name[i]);
    reply_errorf(&c->reply, ERROR_ERR, "unknown subcommand %s. Try %s HELP.", QUOTE(name), upper);
    return NULL;
}

/* What a command has to pass before it runs; false where the refusal has been written. */
static bool pass_gates(struct client *c, const struct entry *entry) {
    const struct command *command = entry->command;
    char name[COMMAND_NAME_MAX];
    size_t arity = (size_t)abs(command->arity);
    if (command->arity > 0 ? c->argc != arity : c->argc < arity) {
        reply_errorf(&c->reply, ERROR_ERR, "wrong number of arguments for '%s' command",
                     command_full_name(entry->container, command, name));
        return false;
    }
    struct error e;
    bool waits = command->flags & COMMAND_BLOCKING; /* for memory too: it asks itself */
    if ((command->flags & COMMAND_DENYOOM) && !waits && server_check_memory(c->server, &e)) {
        c->server->metrics.refused_oom++;
        reply_error(&c->reply, &e);
        return false;
    }
    return true;
}

/* The command that the request names, gates passed. NULL where the reply has been written. */
static struct entry *command_choose(struct client *c) {
    if (c->parser.refused) { /* whatever it was, a part of it is missing */
        c->server->metrics.refused_oom++;
        reply_errorf(&c->reply, ERROR_OOM, "command not allowed when used memory > 'maxmemory'.");
        return NULL;
    }
    struct entry *entry = entry_find(c->argv[0].bytes);
    if (!entry) {
        reject_unknown(c);
        return NULL;
    }
    entry = entry_descend(c, entry);
    if (!entry) return NULL;
    c->command = entry->command;
    c->container = entry->container;
    if (pass_gates(c, entry)) return entry;
    entry->rejected++;
    return NULL;
}

void command_dispatch(struct client *c) {
    struct server *s = c->server;
    struct entry *entry = command_choose(c);
    if (!entry) {
        s->metrics.refused++;
        return;
    }
    s->current = c;
    s->metrics.commands++;
    entry->command->run(c);
    scratch_reset(&s->scratch);
    s->current = NULL;
    int64_t now = clock_monotonic_us();
    entry->calls++;
    entry->microseconds += (uint64_t)(now - s->tick_us);
    s->tick_us = now;
}
