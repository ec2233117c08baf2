/* TQ.LIST, TQ.COUNT: which samples there are. */
#include "cmd/cmd.h"

#include <stdio.h>

#include "base/glob.h"
#include "request/list.h"
#include "server/client.h"
#include "server/command.h"
#include "server/scan.h"
#include "server/server.h"
#include "store/ready.h"
#include "store/tagindex.h"
#include "store/store.h"

static void list_partitions(struct client *c) {
    const struct store *store = c->server->store;
    reply_array(&c->reply, store_partitions(store));
    uint64_t cursor = 0;
    for (const struct partition *p; (p = store_next(store, &cursor));)
        reply_bulk(&c->reply, p->name);
}

/* One page of a listing. */
struct list_page {
    uint64_t *seqs;
    size_t n;
    uint64_t next; /* the cursor that goes on from here; 0 at the end */
};

enum { LIST_COST = 64 * 1024 }; /* of WHERE's evaluation in a page, which then ends early */

static struct list_page list_scan(struct client *c, const struct partition *p,
                                  const struct list *list) {
    struct scratch *scratch = &c->server->scratch;
    struct where_bound where = where_bind(&list->where, p, scratch);
    uint64_t left = list->count < p->samples ? list->count : p->samples;
    struct list_page page = {.seqs = scratch_alloc(scratch, left, sizeof(*page.seqs))};
    uint64_t seq = partition_next(p, list->cursor);
    for (; seq != SEQ_NONE && left > 0 && *where.cost <= LIST_COST;
         left--, seq = partition_next(p, seq + 1)) {
        if (list->match.ptr && !glob_match(list->match, partition_key(p, seq), false)) continue;
        if (where_admits(&where, seq)) page.seqs[page.n++] = seq;
    }
    page.next = seq == SEQ_NONE ? 0 : seq;
    return page;
}

static size_t list_present(const struct column_set *set, uint64_t seq) {
    size_t n = 0;
    for (size_t i = 0; i < set->count; i++) n += column_has(set->columns[i], seq);
    return n;
}

static void list_tags(struct client *c, const struct column_set *tags, uint64_t seq) {
    reply_map(&c->reply, list_present(tags, seq));
    for (size_t i = 0; i < tags->count; i++) {
        struct span value;
        if (!column_get(tags->columns[i], seq, &value)) continue;
        reply_bulk(&c->reply, column_name(tags->columns[i]));
        reply_bulk(&c->reply, value);
    }
}

static void list_fields(struct client *c, const struct column_set *fields, uint64_t seq) {
    reply_array(&c->reply, list_present(fields, seq));
    for (size_t i = 0; i < fields->count; i++)
        if (column_has(fields->columns[i], seq))
            reply_bulk(&c->reply, column_name(fields->columns[i]));
}

static void list_entry(struct client *c, const struct partition *p, const struct list *list,
                       uint64_t seq) {
    if (list->with_tags || list->with_fields)
        reply_array(&c->reply, 1 + (size_t)list->with_tags + (size_t)list->with_fields);
    reply_bulk(&c->reply, partition_key(p, seq));
    if (list->with_tags) list_tags(c, &p->tags, seq);
    if (list->with_fields) list_fields(c, &p->fields, seq);
}

static void list_run(struct client *c) {
    if (c->argc == 1) {
        list_partitions(c);
        return;
    }
    struct list list;
    struct error e;
    if (args_parse(&request_list_syntax, c->argv, c->argc, &c->server->scratch, &list, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    const struct partition *p = store_find(c->server->store, list.partition);
    struct list_page page = {0};
    if (p) page = list_scan(c, p, &list);
    char cursor[24];
    snprintf(cursor, sizeof(cursor), "%llu", (unsigned long long)page.next);
    reply_array(&c->reply, 2);
    reply_text(&c->reply, cursor);
    reply_array(&c->reply, page.n);
    for (size_t i = 0; i < page.n; i++) list_entry(c, p, &list, page.seqs[i]);
}

static bool count_try(struct client *c, struct scan_need *need) {
    struct count count;
    struct error e;
    if (args_parse(&request_count_syntax, c->argv, c->argc, &c->server->scratch, &count, &e)) {
        reply_error(&c->reply, &e);
        return true;
    }
    const struct partition *p = store_find(c->server->store, count.partition);
    if (!p) {
        reply_integer(&c->reply, 0);
        return true;
    }
    struct tagindex_range range;
    if (!count.task.ptr && !count.n_fields && count.where.n &&
        tagindex_range(p, &count.where, &range) && range.is_exact) {
        reply_integer(&c->reply, (int64_t)range.n);
        return true;
    }
    struct task *task = count.task.ptr ? partition_task(p, count.task) : NULL;
    struct ready_query query = {.partition = p,
                                .task = task,
                                .n_fields = count.n_fields,
                                .fields = count.fields,
                                .where = &count.where,
                                .evaluations = scan_limit(c)};
    struct ready ready;
    ready_open(&ready, &query, &c->server->scratch);
    bool exact;
    uint64_t n = ready_bound(&ready, &exact);
    if (!exact) n = ready_count(&ready);
    if (ready_is_cut(&ready)) {
        *need = (struct scan_need){count.partition, count.where};
        return false;
    }
    reply_integer(&c->reply, (int64_t)n);
    return true;
}

static void count_run(struct client *c) {
    scan_run(c, count_try);
}

static const struct command list_commands[] = {
    {
        .name = "tq.list",
        .summary = "List partitions, or page through the samples of one in insertion order",
        .group = "samples",
        .complexity = "O(N) with N the samples examined, COUNT at most",
        .arity = -1,
        .flags = COMMAND_READONLY,
        .run = list_run,
        .syntax = &request_list_syntax,
    },
    {
        .name = "tq.count",
        .summary = "Count the samples that have fields, meet conditions and are left for a task",
        .group = "samples",
        .complexity = "O(1) where at most one clause decides; else O(N/64) with N the samples not "
                      "yet consumed; with a WHERE not used lately O(N), in slices",
        .arity = -2,
        .flags = COMMAND_READONLY,
        .run = count_run,
        .syntax = &request_count_syntax,
    },
    {0},
};

void cmd_list_register(void) {
    command_register(list_commands);
}
