/* TQ.EXPECT, TQ.SEAL, TQ.SCHEMA, TQ.STATUS: a partition as a whole. */
#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>

#include "request/args.h"
#include "server/asks.h"
#include "server/client.h"
#include "server/command.h"
#include "server/commit.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/bounds.h"
#include "store/ready.h"
#include "store/tagindex.h"

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
        server_check_new_partition(s, name, &e) || commit_op(s, &op, NULL, NULL, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    reply_status(&c->reply, "OK");
}

static void seal_run(struct client *c) {
    struct server *s = c->server;
    struct error e;
    struct op op;
    if (seal_plan(c->argv[1].bytes, s->now_ms, &op, &e) ||
        server_check_new_partition(s, op.partition, &e) || commit_op(s, &op, NULL, NULL, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
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
        reply_bulk(&c->reply, column_name(field));
        reply_text(&c->reply, DTYPE_NAME(column_type(field)));
        reply_integer(&c->reply, (int64_t)field->produced);
        reply_integer(&c->reply, (int64_t)field->bytes);
    }
}

/* A task as TQ.STATUS shows it: it consumed or leased samples, or asked for some, or calls of it
 * are parked. */
struct status_task {
    struct span name;      /* borrowed from the partition, a waiter's queue or asks.h */
    struct task *task;     /* NULL: it never got a sample */
    uint64_t waiting;      /* parked calls */
    bool has_fields;
    struct span fields; /* a NUL before each name */
};

struct status_tasks {
    size_t n;
    struct status_task *rows; /* in scratch; NULL while they are counted */
};

static void status_add(struct status_tasks *tasks, const struct status_task *row) {
    if (tasks->rows) tasks->rows[tasks->n] = *row;
    tasks->n++;
}

/* Queues of TQ.SAMPLE are the task, a NUL before each field, two NULs and more (cmd/sample.c);
 * those of writers hold no NUL. */
static void status_add_queue(void *context, struct span queue, size_t parked) {
    const char *end = queue.len ? memchr(queue.ptr, '\0', queue.len) : NULL;
    if (!end || end == queue.ptr) return;
    size_t task = (size_t)(end - queue.ptr), left = queue.len - task, fields = 0;
    while (fields + 1 < left && (end[fields] || end[fields + 1])) fields++;
    status_add(context, &(struct status_task){.name = span_of(queue.ptr, task),
                                              .waiting = parked,
                                              .has_fields = true,
                                              .fields = span_of(end, fields)});
}

static void status_add_ask(void *context, struct span task, struct span fields) {
    status_add(context, &(struct status_task){.name = task, .has_fields = true, .fields = fields});
}

/* What a task asked for last comes before what calls of it wait for. */
static void status_collect(struct server *s, const struct partition *p,
                           struct status_tasks *tasks) {
    tasks->n = 0;
    asks_each(s, p->name, status_add_ask, tasks);
    waiter_each_queue(s, p->name, status_add_queue, tasks);
    for (size_t i = 0; i < p->n_tasks; i++)
        status_add(tasks, &(struct status_task){.name = p->tasks[i]->name, .task = p->tasks[i]});
}

/* By name, and of one name in the order in which they were collected. */
static int status_compare(const void *a, const void *b) {
    const struct status_task *x = *(const struct status_task *const *)a,
                             *y = *(const struct status_task *const *)b;
    int order = span_compare(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

static void status_merge(struct status_task *row, const struct status_task *other) {
    row->waiting += other->waiting;
    if (other->task) row->task = other->task;
    if (row->has_fields || !other->has_fields) return;
    row->has_fields = true;
    row->fields = other->fields;
}

/* One row a task, by name. */
static struct status_task **status_tasks(struct server *s, const struct partition *p, size_t *n) {
    struct status_tasks tasks = {0};
    *n = 0;
    status_collect(s, p, &tasks);
    if (!tasks.n) return NULL;
    tasks.rows = scratch_alloc(&s->scratch, tasks.n, sizeof(*tasks.rows));
    status_collect(s, p, &tasks);
    struct status_task **sorted = scratch_alloc(&s->scratch, tasks.n, sizeof(struct status_task *));
    for (size_t i = 0; i < tasks.n; i++) sorted[i] = &tasks.rows[i];
    qsort(sorted, tasks.n, sizeof(struct status_task *), status_compare);
    for (size_t i = 0; i < tasks.n; i++) {
        if (*n && span_equal(sorted[*n - 1]->name, sorted[i]->name))
            status_merge(sorted[*n - 1], sorted[i]);
        else
            sorted[(*n)++] = sorted[i];
    }
    return sorted;
}

/* Seconds since the oldest sample was made that the task has not consumed; null where it consumed
 * all. */
static void status_oldest(struct client *c, const struct partition *p, struct task *task) {
    static const struct where all = {0};
    struct ready ready;
    struct ready_query query = {.partition = p, .task = task, .where = &all};
    ready_open(&ready, &query, &c->server->scratch);
    uint64_t seq = ready_next(&ready);
    if (seq == SEQ_NONE) {
        reply_null(&c->reply);
        return;
    }
    int64_t age = c->server->now_ms / 1000 - (int64_t)partition_written(p, seq);
    reply_integer(&c->reply, age > 0 ? age : 0);
}

static void status_fields(struct reply *r, const struct status_task *row) {
    if (!row->has_fields) {
        reply_null(r);
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < row->fields.len; i++) n += !row->fields.ptr[i];
    reply_array(r, n);
    for (size_t at = 0; at < row->fields.len;) {
        const char *name = row->fields.ptr + at + 1;
        size_t left = row->fields.len - at - 1;
        const char *end = memchr(name, '\0', left);
        size_t len = end ? (size_t)(end - name) : left;
        reply_bulk(r, span_of(name, len));
        at += 1 + len;
    }
}

static void status_task(struct client *c, const struct partition *p,
                        const struct status_task *row) {
    struct reply *r = &c->reply;
    reply_bulk(r, row->name);
    reply_map(r, 5);
    reply_text(r, "consumed");
    reply_integer(r, row->task ? (int64_t)row->task->consumed : 0);
    reply_text(r, "leased");
    reply_integer(r, row->task ? (int64_t)row->task->leased : 0);
    reply_text(r, "waiting");
    reply_integer(r, (int64_t)row->waiting);
    reply_text(r, "oldest");
    status_oldest(c, p, row->task);
    reply_text(r, "fields");
    status_fields(r, row);
}

/* The bounds that are set, named as in TQ.CREATE; MAXAHEAD as [task, n], RETIRE as its tasks. */
static void status_bounds(struct reply *r, const struct bounds *b) {
    reply_map(r, (size_t)(b->samples != 0) + (b->bytes != 0) + (b->ahead != 0) +
                     (b->n_retire != 0) + (b->n_indexes != 0));
    if (b->samples) {
        reply_text(r, "MAXSAMPLES");
        reply_integer(r, (int64_t)b->samples);
    }
    if (b->bytes) {
        reply_text(r, "MAXBYTES");
        reply_integer(r, (int64_t)b->bytes);
    }
    if (b->ahead) {
        reply_text(r, "MAXAHEAD");
        reply_array(r, 2);
        reply_bulk(r, b->ahead_task);
        reply_integer(r, (int64_t)b->ahead);
    }
    if (b->n_retire) {
        reply_text(r, "RETIRE");
        reply_array(r, b->n_retire);
        for (size_t i = 0; i < b->n_retire; i++) reply_bulk(r, b->retire[i]);
    }
    if (b->n_indexes) {
        reply_text(r, "INDEX");
        reply_array(r, b->n_indexes);
        for (size_t i = 0; i < b->n_indexes; i++) reply_bulk(r, b->indexes[i]);
    }
}

/* Of each index its bytes, in all and for each sample, and how far it is built. */
static void status_indexes(struct reply *r, const struct partition *p) {
    reply_map(r, p->n_indexes);
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tagindex_progress index;
        tagindex_progress(p->indexes[i], &index);
        reply_bulk(r, p->bounds->indexes[i]);
        reply_map(r, 4);
        reply_text(r, "bytes");
        reply_integer(r, (int64_t)index.bytes);
        reply_text(r, "bytes-per-sample");
        reply_integer(r, (int64_t)(index.samples ? index.bytes / index.samples : 0));
        reply_text(r, "samples");
        reply_integer(r, (int64_t)index.samples);
        reply_text(r, "complete");
        reply_boolean(r, index.is_complete);
    }
}

static void status_run(struct client *c) {
    const struct partition *p = partition_or_error(c);
    if (!p) return;
    struct reply *r = &c->reply;
    reply_map(r, 10);
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
    reply_integer(r, (int64_t)p->groups->count);
    reply_text(r, "broken_groups");
    reply_integer(r, (int64_t)p->groups->broken);
    reply_text(r, "bytes");
    reply_integer(r, (int64_t)partition_bytes(p));
    reply_text(r, "fields");
    reply_map(r, p->fields.count);
    for (size_t i = 0; i < p->fields.count; i++) {
        reply_bulk(r, column_name(p->fields.columns[i]));
        reply_integer(r, (int64_t)p->fields.columns[i]->produced);
    }
    size_t n_tasks;
    struct status_task **tasks = status_tasks(c->server, p, &n_tasks);
    reply_text(r, "tasks");
    reply_map(r, n_tasks);
    for (size_t i = 0; i < n_tasks; i++) status_task(c, p, tasks[i]);
    reply_text(r, "bounds");
    status_bounds(r, p->bounds);
    reply_text(r, "indexes");
    status_indexes(r, p);
}

static const struct command partition_commands[] = {
    {
        .name = "tq.expect",
        .summary = "Say how many samples a partition will have had when it is complete",
        .group = "samples",
        .complexity = "O(1)",
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .run = expect_run,
        .usage = "partition=key n=integer",
    },
    {
        .name = "tq.seal",
        .summary = "Say that no more samples will come into a partition",
        .group = "samples",
        .complexity = "O(1)",
        .arity = 2,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .run = seal_run,
        .usage = "partition=key",
    },
    {
        .name = "tq.schema",
        .summary = "The fields of a partition with type, produced cells and bytes",
        .group = "samples",
        .complexity = "O(N) with N the fields",
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .run = schema_run,
        .usage = "partition=key",
    },
    {
        .name = "tq.status",
        .summary = "How a partition stands: samples, fields produced, tasks, bounds",
        .group = "samples",
        .complexity = "O(N+M log M) with N the fields and M the tasks and parked calls",
        .arity = 2,
        .flags = COMMAND_READONLY,
        .run = status_run,
        .usage = "partition=key",
    },
    {0},
};

void cmd_partition_register(void) {
    command_register(partition_commands);
}
