/* See write.h.
 *
 * Writes that wait for room stand in a queue of their partition, those that wait for memory in one
 * of the server: any partition may give memory back. A write whose reason changes moves to the
 * other queue. */
#include "cmd/write.h"

#include <stdlib.h>

#include "base/mem.h"
#include "server/client.h"
#include "server/commit.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/bounds.h"

/* 0 where the reply has been written; else *e says why it can't be now. */
static int write_try(struct client *c, const struct write_kind *kind, const void *request,
                     enum write_order order, struct error *e) {
    struct server *s = c->server;
    struct op op;
    bool skipped = false;
    int failed = server_check_memory(s, e);
    if (!failed)
        failed = kind->plan(s->store, request, order, s->now_ms, &s->scratch, &op, &skipped, e);
    size_t changed = 0;
    if (!failed && !skipped) failed = commit_op(s, &op, NULL, &changed, e);
    if (!failed) kind->reply(&c->reply, request, skipped ? NULL : &op, changed);
    return failed;
}

static const struct args_block *write_block(const struct write_kind *kind, const void *request) {
    return (const struct args_block *)((const char *)request + kind->block);
}

static bool write_may_pass(const struct error *e) {
    return e->retryable || e->code == ERROR_OOM;
}

/* ---- waiting ------------------------------------------------------------------------------ */

struct write_waiting {
    const struct write_kind *kind;
    struct scratch scratch; /* what the request points into, beside the client's owned arguments */
    struct error error;     /* of the last try */
    void *request;
};

/* No queue of TQ.SAMPLE has an empty name. */
#define WRITE_QUEUE SPAN_LITERAL("")

/* Where a write waits that was refused with this error. For room, write_waiting_matches says which
 * ops are worth a try. */
static struct waiter_needs write_needs(const struct client *c, const struct error *why) {
    bool memory = why->code == ERROR_OOM;
    return (struct waiter_needs){.samples = !memory,
                                 .filters = !memory,
                                 .partition = memory ? WAITER_SERVER : c->argv[1].bytes,
                                 .queue = WRITE_QUEUE};
}

static bool write_waiting_try(struct client *c, void *request, struct waiter_needs *needs) {
    struct write_waiting *waiting = request;
    enum error_code before = waiting->error.code;
    if (!write_try(c, waiting->kind, waiting->request, WRITE_BOUNDS_FIRST, &waiting->error))
        return true;
    if (write_may_pass(&waiting->error)) {
        *needs = write_needs(c, &waiting->error);
        if ((before == ERROR_OOM) != (waiting->error.code == ERROR_OOM))
            needs->reason = WAITER_NEEDS_QUEUE;
        return false;
    }
    reply_error(&c->reply, &waiting->error);
    return true;
}

/* Can the op have made room, or made the write one that needs none? */
static uint64_t write_waiting_matches(struct client *c, const void *request, const struct op *op) {
    (void)request;
    const struct partition *p = store_find(c->server->store, op->partition);
    if (!p) return WAITER_ALL;
    switch (op->kind) {
    case OP_PUT: /* the sample that it would make, or its group, is there now; or less bytes are */
        return op->put.n_new || (p->bounds->bytes && op->put.n_columns) ? WAITER_ALL : 0;
    case OP_SAMPLE:
    case OP_ACK: return p->bounds->ahead ? WAITER_ALL : 0;
    case OP_DELIVER:
    case OP_DONE:
    case OP_CONFIRM:
    case OP_EXPIRE:
    case OP_NACK:
    case OP_EXTEND: return 0;
    default: return WAITER_ALL;
    }
}

static void write_waiting_expire(struct client *c, void *request) {
    reply_error(&c->reply, &((struct write_waiting *)request)->error);
}

static void write_waiting_free(void *request) {
    struct write_waiting *waiting = request;
    scratch_free(&waiting->scratch);
    mem_free(waiting);
}

static const struct waiter_kind write_waiter = {.try = write_waiting_try,
                                                .matches = write_waiting_matches,
                                                .expire = write_waiting_expire,
                                                .free = write_waiting_free};

static int write_park(struct client *c, const struct write_kind *kind, const struct error *why,
                      struct error *e) {
    if (client_own_argv(c, CLIENT_OWN_PARKED, e)) return ERROR_OOM;
    struct write_waiting *waiting = mem_calloc(1, sizeof(*waiting));
    waiting->kind = kind;
    waiting->error = *why;
    waiting->request = scratch_alloc(&waiting->scratch, 1, kind->syntax->size);
    if (args_parse(kind->syntax, c->argv, c->argc, &waiting->scratch, waiting->request, e))
        abort(); /* it parsed a moment ago */
    struct waiter_needs needs = write_needs(c, why);
    waiter_park(c, &write_waiter, waiting, &needs, needs.partition, needs.queue,
                write_block(kind, waiting->request)->ms);
    return 0;
}

/* ---- running ------------------------------------------------------------------------------ */

/* Behind others that wait for room a write has to wait even if it could go, unless it needs no
 * room; but what is wrong with it is said at once. */
static bool write_has_to_queue(struct client *c, const struct write_kind *kind, const void *request,
                               struct error *e) {
    struct server *s = c->server;
    struct op op;
    bool skipped = false;
    if (!waiter_queued(s, c->argv[1].bytes, WRITE_QUEUE)) return false;
    if (kind->plan(s->store, request, WRITE_VALUES_FIRST, s->now_ms, &s->scratch, &op, &skipped, e))
        return write_may_pass(e);
    if (skipped || !bounds_hold_back(store_find(s->store, op.partition), &op.put)) return false;
    error_set(e, ERROR_FULL, "others wait for room in partition %s", QUOTE(c->argv[1].bytes));
    return true;
}

void write_run(struct client *c, const struct write_kind *kind) {
    struct server *s = c->server;
    struct error e;
    void *request = scratch_alloc(&s->scratch, 1, kind->syntax->size);
    int failed = args_parse(kind->syntax, c->argv, c->argc, &s->scratch, request, &e);
    bool may_wait = write_block(kind, request)->given && client_may_wait(c);
    bool parks = !failed && may_wait && write_has_to_queue(c, kind, request, &e);
    if (!failed && !parks) {
        failed = write_try(c, kind, request, WRITE_VALUES_FIRST, &e);
        if (!failed) return;
        parks = may_wait && write_may_pass(&e);
        s->metrics.refused_oom += !parks && e.code == ERROR_OOM;
    }
    struct error why = e;
    if (!parks || write_park(c, kind, &why, &e)) reply_error(&c->reply, &e);
}
