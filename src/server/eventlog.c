/* See eventlog.h. */
#include "server/eventlog.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "request/args.h"
#include "server/changes.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"
#include "store/store.h"

enum { EVENTLOG_WINDOW_US = 1000 * 1000 };

static const struct {
    enum log_level level;
    unsigned burst; /* lines a second */
    const char *what;
} eventlog_kinds[EVENTLOG_KINDS] = {
    [EVENTLOG_LEASE] = {LOG_NOTICE, EVENTLOG_BURST, "leases that ran out"},
    [EVENTLOG_SEAL] = {LOG_NOTICE, EVENTLOG_BURST, "partitions sealed"},
    [EVENTLOG_DROP] = {LOG_NOTICE, EVENTLOG_BURST, "partitions dropped"},
    [EVENTLOG_RESTORE] = {LOG_NOTICE, EVENTLOG_BURST, "partitions restored"},
    [EVENTLOG_RESET] = {LOG_NOTICE, EVENTLOG_BURST, "resets of consumption"},
    [EVENTLOG_CLEAR] = {LOG_VERBOSE, EVENTLOG_BURST, "clears of samples"},
    [EVENTLOG_FULL] = {LOG_VERBOSE, 1, "commands refused with -FULL"},
    [EVENTLOG_OOM] = {LOG_NOTICE, 1, "commands refused with -OOM"},
    [EVENTLOG_MISCONF] = {LOG_NOTICE, 1, "commands refused with -MISCONF"},
};

/* The tail of a line: how many of its kind were left out before it. */
struct eventlog_tail {
    char text[64];
};

/* Is a line of this kind to be written now? */
static bool eventlog_due(struct server *s, enum eventlog_kind kind, struct eventlog_tail *tail) {
    struct eventlog_limit *limit = &s->eventlog.limits[kind];
    tail->text[0] = '\0';
    if (!log_is_on(eventlog_kinds[kind].level)) return false;
    if (s->now_us - limit->since_us >= EVENTLOG_WINDOW_US) {
        limit->since_us = s->now_us;
        limit->lines = 0;
    }
    if (limit->lines >= eventlog_kinds[kind].burst) {
        limit->dropped++;
        return false;
    }
    limit->lines++;
    if (limit->dropped)
        snprintf(tail->text, sizeof(tail->text), " (%llu more before this)",
                 (unsigned long long)limit->dropped);
    limit->dropped = 0;
    return true;
}

void eventlog_tick(struct server *s) {
    for (int kind = 0; kind < EVENTLOG_KINDS; kind++) {
        struct eventlog_limit *limit = &s->eventlog.limits[kind];
        if (!limit->dropped || s->now_us - limit->since_us < EVENTLOG_WINDOW_US) continue;
        log_write(eventlog_kinds[kind].level, "%llu more %s", (unsigned long long)limit->dropped,
                  eventlog_kinds[kind].what);
        *limit = (struct eventlog_limit){.since_us = s->now_us, .lines = 1};
    }
}

/* Who did it: "TQ.CLEAR of client 5 at 127.0.0.1:5000". Clients' own names are printable. */
struct eventlog_author {
    char text[192];
};

static const char *eventlog_author(const struct client *c, struct eventlog_author *out) {
    char name[COMMAND_NAME_MAX];
    if (!c)
        snprintf(out->text, sizeof(out->text), "the server");
    else
        snprintf(out->text, sizeof(out->text), "'%s' of client %llu at %s%s%.60s",
                 c->command ? command_full_name(c->container, c->command, name) : "?",
                 (unsigned long long)c->id, c->address, *c->name ? " named " : "", c->name);
    return out->text;
}

#define EVENTLOG_AUTHOR(c) eventlog_author((c), &(struct eventlog_author){{0}})

/* ---- changes ------------------------------------------------------------------------------ */

static void eventlog_reset(struct server *s, const struct op *op) {
    const struct op_select *select = &op->select;
    struct eventlog_tail tail;
    char samples[32] = "all samples";
    if (!eventlog_due(s, EVENTLOG_RESET, &tail)) return;
    if (!select->all) snprintf(samples, sizeof(samples), "%zu samples", select->n);
    log_notice("partition %s: consumption by %s%s is reset for %s, by %s%s", QUOTE(op->partition),
               select->task.ptr ? "task " : "all tasks",
               select->task.ptr ? QUOTE(select->task) : "", samples, EVENTLOG_AUTHOR(s->current),
               tail.text);
}

static void eventlog_clear(struct server *s, const struct op *op) {
    const struct op_select *select = &op->select;
    struct eventlog_tail tail;
    char samples[32] = "all samples", what[ERROR_QUOTE_MAX + 32] = "";
    if (!eventlog_due(s, EVENTLOG_CLEAR, &tail)) return;
    if (!select->all) snprintf(samples, sizeof(samples), "%zu samples", select->n);
    if (op->kind == OP_ERASE)
        snprintf(what, sizeof(what), "%zu %s (%s …) of ", select->n_names,
                 select->tags ? "tags" : "fields", QUOTE(select->names[0]));
    log_verbose("partition %s: %s%s cleared, by %s%s", QUOTE(op->partition), what, samples,
                EVENTLOG_AUTHOR(s->current), tail.text);
}

static void eventlog_on_change(struct server *s, const struct op *op) {
    struct eventlog_tail tail;
    switch (op->kind) {
    case OP_SEAL:
        if (eventlog_due(s, EVENTLOG_SEAL, &tail))
            log_notice("partition %s is sealed, by %s%s", QUOTE(op->partition),
                       EVENTLOG_AUTHOR(s->current), tail.text);
        break;
    case OP_DROP:
        if (eventlog_due(s, EVENTLOG_DROP, &tail))
            log_notice("partition %s is dropped, by %s%s", QUOTE(op->partition),
                       EVENTLOG_AUTHOR(s->current), tail.text);
        break;
    case OP_ADOPT:
        for (size_t i = 0; i < op->adopt.n; i++)
            if (eventlog_due(s, EVENTLOG_RESTORE, &tail))
                log_notice("partition %s is restored with %llu samples%s",
                           QUOTE(op->adopt.partitions[i]->name),
                           (unsigned long long)op->adopt.partitions[i]->samples, tail.text);
        break;
    case OP_RESET: eventlog_reset(s, op); break;
    case OP_CLEAR:
    case OP_ERASE: eventlog_clear(s, op); break;
    default: break; /* not listened to: writing and consuming, which a server does all day */
    }
}

void eventlog_init(struct server *s) {
    const uint32_t kinds = CHANGES_OF(OP_SEAL) | CHANGES_OF(OP_DROP) | CHANGES_OF(OP_ADOPT) |
                           CHANGES_OF(OP_RESET) | CHANGES_OF(OP_CLEAR) | CHANGES_OF(OP_ERASE);
    changes_listen(s, kinds, eventlog_on_change);
}

void eventlog_note_lease(const struct server *s, const struct op *op, struct eventlog_lease *out) {
    const struct partition *p = store_find(s->store, op->partition);
    const struct lease *lease = lease_find(partition_task(p, op->select.task), op->select.lease.id);
    *out = (struct eventlog_lease){.id = lease->id, .took_ms = lease->ends_ms - lease->given_ms};
    error_quote(&out->holder, lease->holder);
}

void eventlog_lease_ended(struct server *s, const struct op *op, const struct eventlog_lease *lease,
                          size_t samples) {
    struct eventlog_tail tail;
    if (!eventlog_due(s, EVENTLOG_LEASE, &tail)) return;
    log_notice("partition %s, task %s: lease %llu of %s ran out after %lld ms: %zu samples come "
               "back%s",
               QUOTE(op->partition), QUOTE(op->select.task), (unsigned long long)lease->id,
               lease->holder.text, (long long)lease->took_ms, samples, tail.text);
}

/* ---- refused writes ----------------------------------------------------------------------- */

static bool eventlog_refusal(enum error_code code, enum eventlog_kind *kind) {
    switch (code) {
    case ERROR_FULL: *kind = EVENTLOG_FULL; return true;
    case ERROR_OOM: *kind = EVENTLOG_OOM; return true;
    case ERROR_MISCONF: *kind = EVENTLOG_MISCONF; return true;
    default: return false;
    }
}

/* Does the command name a task behind its partition? */
static bool eventlog_has_task(const struct command *command) {
    static const char head[] = "partition=key task";
    return command->syntax && !strncmp(command->syntax->head, head, sizeof(head) - 1);
}

void eventlog_refused(struct client *c, const struct error *e) {
    enum eventlog_kind kind;
    struct eventlog_tail tail;
    char where[2 * ERROR_QUOTE_MAX + 32] = "";
    if (!eventlog_refusal(e->code, &kind) || !eventlog_due(c->server, kind, &tail)) return;
    if (c->parser.refused) { /* some of its arguments were not kept: not even its name is sure */
        log_write(eventlog_kinds[kind].level, "a command of client %llu at %s is refused: %s %s%s",
                  (unsigned long long)c->id, c->address, error_name(e->code), e->text, tail.text);
        return;
    }
    const struct command *command = c->command;
    if (command && command_last_key(command) && c->argc > 1)
        snprintf(where, sizeof(where), "partition %s%s%s: ", QUOTE(c->argv[1].bytes),
                 eventlog_has_task(command) && c->argc > 2 ? ", task " : "",
                 eventlog_has_task(command) && c->argc > 2 ? QUOTE(c->argv[2].bytes) : "");
    log_write(eventlog_kinds[kind].level, "%s%s is refused: %s %s%s", where, EVENTLOG_AUTHOR(c),
              error_name(e->code), e->text, tail.text);
}
