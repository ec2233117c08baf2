/* TQ.CREATE, TQ.ALTER: what may be in a partition, and which consumed samples are cleared. */
#include "cmd/cmd.h"

#include "request/define.h"
#include "server/client.h"
#include "server/command.h"
#include "server/commit.h"
#include "server/server.h"
#include "store/tagindex.h"

/* What the partition keeps of the names. */
static size_t define_names_bytes(const struct define *define) {
    enum { FIELD_BYTES = 256, TASK_BYTES = 32 };
    size_t bytes = define->bounds.ahead_task.len + define->n_fields * FIELD_BYTES;
    for (size_t i = 0; i < define->bounds.n_retire; i++)
        bytes += TASK_BYTES + define->bounds.retire[i].len;
    return bytes;
}

/* New indexes need memory, with or without samples: ERROR_OOM where it is not left. */
static int define_check_index_memory(struct server *s, const struct define *define,
                                     struct error *e) {
    const struct partition *p = store_find(s->store, define->partition);
    if (!define->sets_indexes) return 0;
    size_t bytes = tagindexes_cost(p, define->bounds.indexes, define->bounds.n_indexes);
    if (!bytes || !server_memory_full(s, bytes)) return 0;
    return error_set(
        e, ERROR_OOM,
        "INDEX: the new indexes need about %zu bytes, which 'maxmemory' does not leave", bytes);
}

static void define_run(struct client *c, const struct args_syntax *syntax) {
    struct server *s = c->server;
    struct define define;
    struct op op;
    struct error e;
    int failed = args_parse(syntax, c->argv, c->argc, &s->scratch, &define, &e);
    if (!failed) failed = define_plan(s->store, &define, s->now_ms, &s->scratch, &op, &e);
    if (!failed) failed = server_check_new_partition(s, define.partition, &e);
    if (!failed) failed = define_check_index_memory(s, &define, &e);
    size_t names = define_names_bytes(&define);
    if (!failed && names) failed = server_check_beyond(s, false, names, &e);
    /* All that the tasks have consumed may be cleared at once. */
    const struct commit_due due = {.all = define.sets_retire};
    if (!failed) failed = commit_op(s, &op, &due, NULL, &e);
    if (failed)
        reply_error(&c->reply, &e);
    else
        reply_status(&c->reply, "OK");
}

static void create_run(struct client *c) {
    define_run(c, &request_create_syntax);
}

static void alter_run(struct client *c) {
    define_run(c, &request_alter_syntax);
}

static const struct command define_commands[] = {
    {
        .name = "tq.create",
        .summary =
            "Make a partition with bounds, declared fields, indexes, or tasks that retire samples",
        .group = "samples",
        .complexity = "O(N) with N the fields and tasks named; with OR ALTER, where the partition "
                      "exists, that of TQ.ALTER",
        .arity = -2,
        .flags = COMMAND_WRITE,
        .run = create_run,
        .syntax = &request_create_syntax,
    },
    {
        .name = "tq.alter",
        .summary = "Change bounds of a partition, declare fields or indexes, or name tasks that "
                   "retire samples",
        .group = "samples",
        .complexity = "O(N) with N the fields and tasks named; with RETIRE the samples; "
                      "a new index is built afterwards, O(M log M) with M the samples",
        .arity = -2,
        .flags = COMMAND_WRITE,
        .run = alter_run,
        .syntax = &request_alter_syntax,
    },
    {0},
};

void cmd_define_register(void) {
    command_register(define_commands);
}
