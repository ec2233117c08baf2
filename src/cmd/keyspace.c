/* DBSIZE EXISTS TYPE DEL UNLINK SCAN KEYS FLUSHALL FLUSHDB: partitions, as Redis' generic commands
 * see keys. */
#include "cmd/cmd.h"

#include "base/glob.h"
#include "base/mem.h"
#include "base/number.h"
#include "server/client.h"
#include "server/command.h"
#include "server/commit.h"
#include "server/server.h"
#include "server/text.h"
#include "store/store.h"

enum { SCAN_COUNT = 10, SCAN_COUNT_MAX = 1000000 };

static void dbsize_run(struct client *c) {
    reply_integer(&c->reply, (int64_t)store_partitions(c->server->store));
}

static void exists_run(struct client *c) {
    int64_t found = 0;
    for (size_t i = 1; i < c->argc; i++)
        found += store_find(c->server->store, c->argv[i].bytes) != NULL;
    reply_integer(&c->reply, found);
}

static void type_run(struct client *c) {
    bool found = store_find(c->server->store, c->argv[1].bytes) != NULL;
    reply_status(&c->reply, found ? "partition" : "none");
}

/* The partitions that DEL names. */
struct del_names {
    const struct client *client;
    size_t at; /* in argv */
};

static bool del_next(void *context, struct span *name) {
    struct del_names *names = context;
    if (names->at == names->client->argc) return false;
    *name = names->client->argv[names->at++].bytes;
    return true;
}

static void del_run(struct client *c) {
    struct del_names names = {c, 1};
    size_t dropped;
    struct error e;
    if (commit_drops(c->server, c->argc - 1, del_next, &names, &dropped, &e))
        reply_error(&c->reply, &e);
    else
        reply_integer(&c->reply, (int64_t)dropped);
}

/* All partitions there are. */
struct flush_names {
    const struct store *store;
    uint64_t cursor;
    char name[UINT8_MAX]; /* the partition's own goes with it */
};

static bool flush_next(void *context, struct span *name) {
    struct flush_names *names = context;
    const struct partition *p = store_next(names->store, &names->cursor);
    if (!p) return false;
    memcpy(names->name, p->name.ptr, p->name.len);
    *name = span_of(names->name, p->name.len);
    return true;
}

static void flush_run(struct client *c) {
    struct server *s = c->server;
    struct flush_names names = {.store = s->store};
    size_t dropped;
    struct error e;
    if (c->argc > 2 ||
        (c->argc == 2 && !span_is(c->argv[1].bytes, "async") && !span_is(c->argv[1].bytes, "sync")))
        reply_errorf(&c->reply, ERROR_ERR, "syntax error");
    else if (commit_drops(s, store_partitions(s->store), flush_next, &names, &dropped, &e))
        reply_error(&c->reply, &e);
    else
        reply_status(&c->reply, "OK");
}

/* ---- listing */

struct scan {
    uint64_t cursor;
    size_t count;
    struct span pattern; /* NULL ptr: all */
    bool other_type;     /* TYPE of something that does not exist here */
};

static int scan_parse(struct client *c, struct scan *out, struct error *e) {
    *out = (struct scan){.count = SCAN_COUNT};
    if (!number_parse_u64(c->argv[1].bytes, &out->cursor))
        return error_set(e, ERROR_ERR, "invalid cursor");
    if (c->argc % 2) return error_set(e, ERROR_ERR, "syntax error");
    for (size_t i = 2; i < c->argc; i += 2) {
        struct span word = c->argv[i].bytes, value = c->argv[i + 1].bytes;
        uint64_t count;
        if (span_is(word, "match")) {
            int failed = glob_check(value, e);
            if (failed) return failed;
            out->pattern = value;
        } else if (span_is(word, "type")) {
            out->other_type = !span_is(value, "partition");
        } else if (span_is(word, "count")) {
            if (!number_parse_u64(value, &count) || !count)
                return error_set(e, ERROR_ERR, "COUNT must be a number from 1 up, got %s",
                                 QUOTE(value));
            out->count = count < SCAN_COUNT_MAX ? (size_t)count : SCAN_COUNT_MAX;
        } else {
            return error_set(e, ERROR_ERR, "syntax error");
        }
    }
    return 0;
}

static bool wanted(const struct scan *scan, const struct partition *p) {
    if (scan->other_type) return false;
    return !scan->pattern.ptr || glob_match(scan->pattern, p->name, false);
}

/* Names of up to scan->count partitions from the cursor on, those that are wanted. */
static const struct span *collect(struct client *c, struct scan *scan, size_t *n) {
    struct server *s = c->server;
    size_t most = store_partitions(s->store);
    if (most > scan->count) most = scan->count;
    struct span *names = scratch_alloc(&s->scratch, most, sizeof(*names));
    *n = 0;
    for (size_t examined = 0; examined < scan->count; examined++) {
        const struct partition *p = store_next(s->store, &scan->cursor);
        if (!p) break;
        if (wanted(scan, p)) names[(*n)++] = p->name;
    }
    return names;
}

static void reply_names(struct client *c, const struct span *names, size_t n) {
    reply_array(&c->reply, n);
    for (size_t i = 0; i < n; i++) reply_bulk(&c->reply, names[i]);
}

static void scan_run(struct client *c) {
    struct scan scan;
    struct error e;
    if (scan_parse(c, &scan, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    size_t n;
    const struct span *names = collect(c, &scan, &n);
    struct text cursor = {0};
    text_printf(&cursor, "%llu", (unsigned long long)scan.cursor);
    reply_array(&c->reply, 2);
    reply_bulk(&c->reply, text_span(&cursor));
    text_free(&cursor);
    reply_names(c, names, n);
}

bool cmd_refuse_pattern(struct client *c, struct span pattern) {
    struct error e;
    if (!glob_check(pattern, &e)) return false;
    reply_error(&c->reply, &e);
    return true;
}

static void keys_run(struct client *c) {
    if (cmd_refuse_pattern(c, c->argv[1].bytes)) return;
    struct scan scan = {.count = SIZE_MAX, .pattern = c->argv[1].bytes};
    size_t n;
    const struct span *names = collect(c, &scan, &n);
    reply_names(c, names, n);
}

/* ---- the table */

#define KEYSPACE(word, text, n, how, handler, docs, cost)                                          \
    {                                                                                              \
        .name = word, .summary = text, .group = "generic", .complexity = cost, .arity = n,         \
        .flags = how, .run = handler, .usage = docs                                                \
    }

static const struct command keyspace_commands[] = {
    KEYSPACE("dbsize", "How many partitions there are", 1, COMMAND_READONLY | COMMAND_FAST,
             dbsize_run, NULL, "O(1)"),
    KEYSPACE("exists", "How many of these partitions there are", -2,
             COMMAND_READONLY | COMMAND_FAST, exists_run, "partition=key...",
             "O(N) with N the names"),
    KEYSPACE("type", "What a name stands for: partition, or none", 2,
             COMMAND_READONLY | COMMAND_FAST, type_run, "partition=key", "O(1)"),
    KEYSPACE("del", "Drop partitions with all their state", -2, COMMAND_WRITE, del_run,
             "partition=key...", "O(N) with N the chunks of the partitions"),
    KEYSPACE("unlink", "Drop partitions with all their state", -2, COMMAND_WRITE | COMMAND_FAST,
             del_run, "partition=key...", "O(N) with N the chunks of the partitions"),
    KEYSPACE("scan", "Partition names, some at a time", -2, COMMAND_READONLY, scan_run,
             "cursor=integer [MATCH pattern=pattern] [COUNT count=integer] [TYPE type]",
             "O(N) with N the partitions examined"),
    KEYSPACE("keys", "All partition names that match a pattern", 2, COMMAND_READONLY, keys_run,
             "pattern=pattern", "O(N) with N the partitions"),
    KEYSPACE("flushall", "Drop all partitions", -1, COMMAND_WRITE, flush_run,
             "[flush-type(ASYNC|SYNC)]", "O(N) with N the chunks of all partitions"),
    KEYSPACE("flushdb", "Drop all partitions", -1, COMMAND_WRITE, flush_run,
             "[flush-type(ASYNC|SYNC)]", "O(N) with N the chunks of all partitions"),
    {0},
};

void cmd_keyspace_register(void) {
    command_register(keyspace_commands);
}
