/* TQ.CHECKPOINT, TQ.CHECKPOINTS, TQ.RESTORE, TQ.FORGET: the store as it was, by name.
 *
 * Making one and restoring one take as long as the disk does. Their clients are parked until it is done: when the reply
 * comes, it is. */
#include "cmd/cmd.h"

#include <stdlib.h>

#include "base/mem.h"
#include "request/checkpoint.h"
#include "server/checkpoints.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"
#include "server/waiter.h"

struct checkpoint_kind {
    const struct args_syntax *syntax;
    /* True: there is an answer, which has been written. */
    bool (*try)(struct client *c, const struct checkpoint_request *request, uint64_t *ticket);
    struct span queue;
};

/* ---- waiting ------------------------------------------------------------------------------ */

struct checkpoint_waiting {
    const struct checkpoint_kind *kind;
    struct scratch scratch; /* what the request points into, beside the client's owned arguments */
    struct checkpoint_request request;
    uint64_t ticket; /* 0: not begun */
};

static bool checkpoint_waiting_try(struct client *c, void *request, struct waiter_needs *needs) {
    struct checkpoint_waiting *waiting = request;
    (void)needs;
    return waiting->kind->try(c, &waiting->request, &waiting->ticket);
}

/* CLIENT UNBLOCK: nobody waits for it any more; what has begun goes on. */
static void checkpoint_waiting_expire(struct client *c, void *request) {
    (void)request;
    reply_null(&c->reply);
}

static void checkpoint_waiting_free(void *request) {
    struct checkpoint_waiting *waiting = request;
    scratch_free(&waiting->scratch);
    mem_free(waiting);
}

static const struct waiter_kind checkpoint_waiter = {.try = checkpoint_waiting_try,
                                                     .expire = checkpoint_waiting_expire,
                                                     .free = checkpoint_waiting_free};

static void checkpoint_park(struct client *c, const struct checkpoint_kind *kind, uint64_t ticket) {
    struct checkpoint_waiting *waiting = mem_calloc(1, sizeof(*waiting));
    struct error e;
    waiting->kind = kind;
    waiting->ticket = ticket;
    if (args_parse(kind->syntax, c->argv, c->argc, &waiting->scratch, &waiting->request, &e))
        abort(); /* it parsed a moment ago */
    waiter_park(c, &checkpoint_waiter, waiting, &(struct waiter_needs){0}, WAITER_SERVER,
                kind->queue, 0);
}

static void checkpoint_begin(struct client *c, const struct checkpoint_kind *kind) {
    struct checkpoint_request request;
    struct error e;
    uint64_t ticket = 0;
    /* Before anything is begun, since it can't be taken back where the client may not wait. */
    int failed = client_own_argv(c, CLIENT_OWN_PARKED, &e);
    if (!failed)
        failed = args_parse(kind->syntax, c->argv, c->argc, &c->server->scratch, &request, &e);
    if (!failed) failed = catalog_check_name(request.name, &e);
    if (!failed && request.text.len > CATALOG_TEXT_MAX)
        failed = error_set(&e, ERROR_ERR, "META has %zu bytes, at most %d are kept",
                           request.text.len, CATALOG_TEXT_MAX);
    if (failed)
        reply_error(&c->reply, &e);
    else if (waiter_queued(c->server, WAITER_SERVER, kind->queue) ||
             !kind->try(c, &request, &ticket))
        checkpoint_park(c, kind, ticket);
}

/* ---- the commands ------------------------------------------------------------------------- */

static bool make_try(struct client *c, const struct checkpoint_request *request, uint64_t *ticket) {
    struct error e;
    if (!checkpoints_make(c->server, request, ticket, &e)) return false;
    if (e.code)
        reply_error(&c->reply, &e);
    else
        reply_status(&c->reply, "OK");
    return true;
}

static bool restore_try(struct client *c, const struct checkpoint_request *request,
                        uint64_t *ticket) {
    struct error e;
    uint64_t restored;
    if (!checkpoints_restore(c->server, request, ticket, &restored, &e)) return false;
    if (e.code)
        reply_error(&c->reply, &e);
    else
        reply_integer(&c->reply, (int64_t)restored);
    return true;
}

static void checkpoint_run(struct client *c) {
    static const struct checkpoint_kind kind = {&request_checkpoint_syntax, make_try,
                                                SPAN_LITERAL("checkpoint")};
    checkpoint_begin(c, &kind);
}

static void restore_run(struct client *c) {
    static const struct checkpoint_kind kind = {&request_restore_syntax, restore_try,
                                                SPAN_LITERAL("restore")};
    checkpoint_begin(c, &kind);
}

static void checkpoints_entry(struct reply *r, const struct checkpoint *entry) {
    reply_map(r, 7);
    reply_text(r, "name");
    reply_text(r, entry->name);
    reply_text(r, "created-ms");
    reply_integer(r, entry->created_ms);
    reply_text(r, "partitions");
    reply_integer(r, (int64_t)entry->partitions);
    reply_text(r, "samples");
    reply_integer(r, (int64_t)entry->samples);
    reply_text(r, "bytes");
    reply_integer(r, (int64_t)entry->payload_bytes);
    reply_text(r, "file-bytes");
    reply_integer(r, (int64_t)entry->file_bytes);
    reply_text(r, "meta");
    reply_text(r, entry->text);
}

static void checkpoints_run(struct client *c) {
    const struct catalog *catalog = checkpoints_catalog(c->server);
    size_t n = 0;
    for (size_t i = 0; i < catalog->n; i++) n += *catalog->entries[i].name != '\0';
    reply_array(&c->reply, n);
    for (size_t i = 0; i < catalog->n; i++)
        if (*catalog->entries[i].name) checkpoints_entry(&c->reply, &catalog->entries[i]);
}

static void forget_run(struct client *c) {
    struct error e;
    if (checkpoints_forget(c->server, c->argv[1].bytes, &e))
        reply_error(&c->reply, &e);
    else
        reply_status(&c->reply, "OK");
}

#define CHECKPOINT_COMMAND(NAME, SUMMARY, COMPLEXITY, ARITY, FLAGS, RUN, ...)                      \
    {                                                                                              \
        .name = "tq." NAME, .summary = SUMMARY, .group = "checkpoints", .complexity = COMPLEXITY,  \
        .arity = ARITY, .flags = FLAGS, .run = RUN, __VA_ARGS__                                    \
    }

static const struct command checkpoint_commands[] = {
    CHECKPOINT_COMMAND("checkpoint", "Keep the store, or some partitions, on disk under a name",
                       "O(N) with N bytes held, in the background", -2,
                       COMMAND_ADMIN | COMMAND_BLOCKING | COMMAND_NOSCRIPT | COMMAND_NO_MULTI,
                       checkpoint_run, .syntax = &request_checkpoint_syntax),
    CHECKPOINT_COMMAND("restore", "Bring partitions back as a checkpoint has them",
                       "O(N) with N bytes restored, between other work", -2,
                       COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_ADMIN | COMMAND_BLOCKING |
                           COMMAND_NOSCRIPT | COMMAND_NO_MULTI,
                       restore_run, .syntax = &request_restore_syntax),
    CHECKPOINT_COMMAND("checkpoints", "What checkpoints there are, the oldest first",
                       "O(N) with N checkpoints", 1, COMMAND_READONLY, checkpoints_run,
                       .usage = NULL),
    CHECKPOINT_COMMAND("forget", "Remove a checkpoint", "O(N) with N checkpoints", 2,
                       COMMAND_ADMIN | COMMAND_NOSCRIPT, forget_run, .usage = "name"),
    {0},
};

void cmd_checkpoint_register(void) {
    command_register(checkpoint_commands);
}
