/* TQ.CLEAR, TQ.RESET: samples go, or are to be had once more. */
#include "cmd/cmd.h"
#include "cmd/docs.h"
#include "cmd/retire.h"

#include "request/clear.h"
#include "server/client.h"
#include "server/command.h"
#include "server/scan.h"
#include "server/server.h"

static bool clear_try(struct client *c, struct scan_need *need) {
    struct server *s = c->server;
    struct clear clear;
    struct op op;
    struct error e;
    if (request_clear_parse(c->argv, c->argc, &s->scratch, &clear, &e)) {
        reply_error(&c->reply, &e);
        return true;
    }
    clear.select.evaluations = scan_limit(c);
    const struct partition *p = store_find(s->store, clear.select.partition);
    uint64_t samples = p ? p->samples : 0;
    size_t touched = 0;
    enum clear_outcome outcome = clear_plan(s->store, &clear, s->now_ms, &s->scratch, &op);
    if (outcome == CLEAR_SCAN) {
        *need = (struct scan_need){clear.select.partition, clear.select.where};
        return false;
    }
    if (outcome == CLEAR_OP) {
        size_t n;
        const uint64_t *others = retire_left_alone(p, &op, &s->scratch, &n);
        if (persistence_admit(s, &op, n, &e)) {
            reply_error(&c->reply, &e);
            return true;
        }
        touched = store_apply(s->store, &op);
        if (op.kind == OP_DROP) touched = samples;
        if (n) retire_consumed(s, op.partition, others, n);
    }
    reply_integer(&c->reply, (int64_t)touched);
    return true;
}

static void clear_run(struct client *c) {
    scan_run(c, clear_try);
}

/* NULL: of all samples. A rank batch that is forgotten no longer holds its samples back from
 * RETIRE. */
static const uint64_t *reset_seqs(const struct op *op) {
    return op->select.all ? NULL : op->select.seqs;
}

static void reset_run(struct client *c) {
    struct server *s = c->server;
    struct reset reset;
    struct op op;
    struct error e;
    if (request_reset_parse(c->argv, c->argc, &s->scratch, &reset, &e) ||
        reset_plan(s->store, &reset, s->now_ms, &s->scratch, &op, &e) ||
        retire_admit(s, &op, reset_seqs(&op), op.select.n, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    reply_integer(&c->reply, (int64_t)store_apply(s->store, &op));
    retire_consumed(s, op.partition, reset_seqs(&op), op.select.n);
}

static const struct command_arg clear_names_args[] = {
    {.name = "m", .type = "integer"}, {.name = "name", .type = "string", .multiple = 1}, {0}};
static const struct command_arg clear_what_args[] = {
    {.name = "fields", .type = "block", .token = "FIELDS", .args = clear_names_args},
    {.name = "tags", .type = "block", .token = "TAGS", .args = clear_names_args},
    {0}};
static const struct command_arg clear_args[] = {
    {.name = "partition", .type = "key"},
    {.name = "keys", .type = "block", .token = "KEYS", .optional = 1, .args = docs_keys},
    {.name = "where", .type = "block", .token = "WHERE", .optional = 1, .args = docs_where},
    {.name = "what", .type = "oneof", .optional = 1, .args = clear_what_args},
    {0}};
static const struct command_arg reset_args[] = {
    {.name = "partition", .type = "key"},
    {.name = "task", .type = "string", .token = "TASK", .optional = 1},
    {.name = "keys", .type = "block", .token = "KEYS", .optional = 1, .args = docs_keys},
    {0}};

static const struct command clear_commands[] = {
    {
        .name = "tq.clear",
        .summary = "Drop a partition, or samples of it, or fields or tags of samples",
        .group = "samples",
        .since = "0.1.0",
        .complexity = "O(N) with N the samples named; a whole partition by chunk, not by cell",
        .arity = -2,
        .flags = COMMAND_WRITE,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .run = clear_run,
        .args = clear_args,
    },
    {
        .name = "tq.reset",
        .summary = "Forget what tasks have consumed",
        .group = "samples",
        .since = "0.1.0",
        .complexity = "O(N) with N the keys; O(M/64) without, M the samples of the partition",
        .arity = -2,
        .flags = COMMAND_WRITE,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .run = reset_run,
        .args = reset_args,
    },
    {0},
};

void cmd_clear_register(void) {
    command_register(clear_commands);
}
