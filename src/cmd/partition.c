/* TQ.EXPECT, TQ.SEAL, TQ.SCHEMA, TQ.STATUS: a partition as a whole. */
#include "cmd/cmd.h"
#include "cmd/docs.h"

#include "request/args.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"
#include "store/bounds.h"
#include "store/ready.h"

static void expect_run(struct client *c) {
    struct server *s = c->server;
    struct error e;
    struct args a = args_open(c->argv, c->argc, &s->scratch, &e);
    struct span name;
    uint64_t samples;
    struct op op;
    if (args_partition(&a, &name) ||
        args_number(&a, "the number of samples", 0, PARTITION_SAMPLES_MAX, &samples) ||
        expect_plan(s->store, name, samples, s->now_ms, &op, &e) ||
        persistence_admit(s, &op, 0, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    store_apply(s->store, &op);
    reply_status(&c->reply, "OK");
}

static void seal_run(struct client *c) {
    struct server *s = c->server;
    struct error e;
    struct op op;
    if (seal_plan(c->argv[1].bytes, s->now_ms, &op, &e) || persistence_admit(s, &op, 0, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    store_apply(s->store, &op);
    reply_status(&c->reply, "OK");
}

/* The partition at argv[1]; NULL with the error written. */
static const struct partition *partition_or_error(struct client *c) {
    const struct partition *p = store_find(c->server->store, c->argv[1].bytes);
    if (!p) reply_errorf(&c->reply, ERROR_NOPART, "no partition %s", QUOTE(c->argv[1].bytes));
    return p;
}

static void schema_run(struct client *c) {
    const struct partition *p = partition_or_error(c);
    if (!p) return;
    reply_array(&c->reply, p->fields.count);
    for (size_t i = 0; i < p->fields.count; i++) {
        const struct column *field = p->fields.columns[i];
        reply_array(&c->reply, 4);
        reply_bulk(&c->reply, field->name);
        reply_text(&c->reply, DTYPE_NAME(column_type(field)));
        reply_integer(&c->reply, (int64_t)field->produced);
        reply_integer(&c->reply, (int64_t)field->bytes);
    }
}

/* Seconds since the oldest sample was made that the task has not consumed; null where it has had them all. */
static void status_oldest(struct client *c, const struct partition *p, struct consumer *task) {
    static const struct where all = {0};
    struct ready ready;
    struct ready_query query = {p, task, 0, NULL, &all, false};
    ready_open(&ready, &query, &c->server->scratch);
    uint64_t seq = ready_next(&ready);
    if (seq == SEQ_NONE) {
        reply_null(&c->reply);
        return;
    }
    int64_t age = c->server->now_ms / 1000 - (int64_t)partition_written(p, seq);
    reply_integer(&c->reply, age > 0 ? age : 0);
}

static void status_run(struct client *c) {
    const struct partition *p = partition_or_error(c);
    if (!p) return;
    struct reply *r = &c->reply;
    reply_map(r, 7);
    reply_text(r, "samples");
    reply_integer(r, (int64_t)p->samples);
    reply_text(r, "expected");
    if (p->has_expected)
        reply_integer(r, (int64_t)p->expected);
    else
        reply_null(r);
    reply_text(r, "sealed");
    reply_boolean(r, p->sealed);
    reply_text(r, "groups");
    reply_integer(r, (int64_t)p->groups.count);
    reply_text(r, "bytes");
    reply_integer(r, (int64_t)partition_bytes(p));
    reply_text(r, "fields");
    reply_map(r, p->fields.count);
    for (size_t i = 0; i < p->fields.count; i++) {
        reply_bulk(r, p->fields.columns[i]->name);
        reply_integer(r, (int64_t)p->fields.columns[i]->produced);
    }
    reply_text(r, "tasks");
    reply_map(r, p->tasks_count);
    for (size_t i = 0; i < p->tasks_count; i++) {
        reply_bulk(r, p->tasks[i]->name);
        reply_array(r, 3);
        reply_integer(r, (int64_t)p->tasks[i]->consumed);
        reply_integer(r, (int64_t)p->tasks[i]->leased);
        status_oldest(c, p, p->tasks[i]);
    }
}

static const struct command_arg expect_args[] = {
    {.name = "partition", .type = "key"}, {.name = "n", .type = "integer"}, {0}};

static const struct command partition_commands[] = {
    {
        .name = "tq.expect",
        .summary = "Say how many samples a partition will have had when it is complete",
        .group = "samples",
        .since = "0.1.0",
        .complexity = "O(1)",
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .run = expect_run,
        .args = expect_args,
    },
    {
        .name = "tq.seal",
        .summary = "Say that no more samples will come into a partition",
        .group = "samples",
        .since = "0.1.0",
        .complexity = "O(1)",
        .arity = 2,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .run = seal_run,
        .args = docs_partition,
    },
    {
        .name = "tq.schema",
        .summary = "The fields of a partition with type, produced cells and bytes",
        .group = "samples",
        .since = "0.1.0",
        .complexity = "O(N) with N the fields",
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .run = schema_run,
        .args = docs_partition,
    },
    {
        .name = "tq.status",
        .summary = "How a partition stands: samples, fields produced, tasks' consumption",
        .group = "samples",
        .since = "0.1.0",
        .complexity = "O(N+M) with N the fields and M the tasks",
        .arity = 2,
        .flags = COMMAND_READONLY,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .run = status_run,
        .args = docs_partition,
    },
    {0},
};

void cmd_partition_register(void) {
    command_register(partition_commands);
}
