/* TQ.CLEAR, TQ.RESET: samples go, or can be consumed once more. */
#include "cmd/cmd.h"

#include <stdlib.h>

#include "base/mem.h"
#include "request/clear.h"
#include "server/client.h"
#include "server/command.h"
#include "server/commit.h"
#include "server/scan.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/bounds.h"

/* ---- TQ.CLEAR ----------------------------------------------------------------------------- */

/* Executes the command, or one slice of it. */
static int clear_step(struct server *s, const struct clear *clear, uint64_t *touched,
                      struct error *e) {
    const struct partition *p = store_find(s->store, clear->select.partition);
    uint64_t samples = p ? p->samples : 0;
    struct op op;
    struct commit_due due = {0};
    size_t changed;
    if (clear_plan(s->store, clear, s->now_ms, &s->scratch, &op) == CLEAR_NOTHING) return 0;
    due.seqs = retire_left_alone(p, &op, &s->scratch, &due.n);
    int failed = commit_op(s, &op, &due, &changed, e);
    if (!failed) *touched += op.kind == OP_DROP ? samples : changed;
    return failed;
}

/* Fields, tags or samples that KEYS does not name are cleared in slices, so that others are served
 * between them; each slice is an op of its own. Samples that are written after the command began
 * are left alone. */
struct clearing {
    struct select_slice slice;
    uint64_t serial; /* of the partition */
    uint64_t touched;
};

static bool clear_is_sliced(struct client *c, const struct clear *clear) {
    bool drops = clear->what == SELECT_SAMPLES && !clear->select.where.n;
    return client_may_wait(c) && !clear->select.keys && !drops &&
           store_find(c->server->store, clear->select.partition);
}

/* So many samples that their cells take about two milliseconds. */
static size_t clear_slice_samples(const struct server *s, const struct clear *clear,
                                  const struct partition *p) {
    enum { MOST = 4096 };
    size_t each = 2 + (clear->what == SELECT_SAMPLES ? p->fields.count + p->tags.count + p->n_tasks
                                                     : clear->n_names);
    size_t n = s->slices.cells / each;
    return n < 1 ? 1 : n < MOST ? n : MOST;
}

/* *more: another slice is to follow. */
static int clear_slice(struct server *s, struct clear *clear, struct clearing *clearing, bool *more,
                       struct error *e) {
    const struct partition *p = store_find(s->store, clear->select.partition);
    *more = false;
    if (!p || p->serial != clearing->serial) return 0; /* dropped meanwhile, with all samples */
    clearing->slice.samples = clear_slice_samples(s, clear, p);
    clearing->slice.evaluations = s->slices.evaluations;
    clear->select.slice = &clearing->slice;
    int failed = clear_step(s, clear, &clearing->touched, e);
    *more = !failed && clearing->slice.more;
    return failed;
}

struct clear_waiting {
    struct scratch scratch; /* what `clear` points into, beside the client's owned arguments */
    struct clear clear;
    struct clearing clearing;
};

/* Of a slice behind the first one nothing was done. */
static void clear_fail_between(struct client *c, const struct clearing *clearing,
                               const struct error *e) {
    reply_errorf(&c->reply, e->code, "%llu samples were touched, the next slice was not: %s",
                 (unsigned long long)clearing->touched, e->text);
}

static bool clear_waiting_try(struct client *c, void *request, struct waiter_needs *needs) {
    struct clear_waiting *waiting = request;
    struct error e;
    bool more;
    int failed = clear_slice(c->server, &waiting->clear, &waiting->clearing, &more, &e);
    needs->reason = WAITER_NEEDS_TURN;
    if (more) return false;
    if (failed)
        clear_fail_between(c, &waiting->clearing, &e);
    else
        reply_integer(&c->reply, (int64_t)waiting->clearing.touched);
    return true;
}

static void clear_waiting_expire(struct client *c, void *request) {
    const struct clear_waiting *waiting = request;
    reply_errorf(&c->reply, ERROR_UNBLOCKED,
                 "client unblocked via CLIENT UNBLOCK, %llu samples were touched",
                 (unsigned long long)waiting->clearing.touched);
}

static void clear_waiting_free(void *request) {
    struct clear_waiting *waiting = request;
    scratch_free(&waiting->scratch);
    mem_free(waiting);
}

static const struct waiter_kind clear_waiter = {
    .try = clear_waiting_try, .expire = clear_waiting_expire, .free = clear_waiting_free};

/* Before the first slice: may the client wait for others? For few samples one slice is enough, but
 * for many conditions or long values: see clear_park. */
static int clear_keep(struct client *c, struct clear *clear, const struct partition *p,
                      struct error *e) {
    const struct server *s = c->server;
    if (p->samples <= clear_slice_samples(s, clear, p) && p->samples < s->slices.evaluations)
        return 0;
    int failed = client_own_argv(c, CLIENT_OWN_TO_FREE, e);
    if (failed) return failed;
    return args_parse(&request_clear_syntax, c->argv, c->argc, &c->server->scratch, clear, e);
}

static void clear_park(struct client *c, const struct clearing *clearing) {
    struct waiter_needs needs = {.reason = WAITER_NEEDS_TURN};
    struct error e;
    if (!c->owned && client_own_argv(c, CLIENT_OWN_TO_FREE, &e)) {
        clear_fail_between(c, clearing, &e);
        return;
    }
    struct clear_waiting *waiting = mem_calloc(1, sizeof(*waiting));
    waiting->clearing = *clearing;
    if (args_parse(&request_clear_syntax, c->argv, c->argc, &waiting->scratch, &waiting->clear, &e))
        abort(); /* it parsed a moment ago */
    waiter_park(c, &clear_waiter, waiting, &needs, waiting->clear.select.partition, scan_queue(c),
                0);
}

static void clear_run(struct client *c) {
    struct server *s = c->server;
    struct clear clear;
    struct clearing clearing = {0};
    struct error e;
    bool more = false;
    int failed = args_parse(&request_clear_syntax, c->argv, c->argc, &s->scratch, &clear, &e);
    if (!failed && clear_is_sliced(c, &clear)) {
        const struct partition *p = store_find(s->store, clear.select.partition);
        clearing.serial = p->serial;
        clearing.slice.end = p->next_seq;
        failed = clear_keep(c, &clear, p, &e);
        if (!failed) failed = clear_slice(s, &clear, &clearing, &more, &e);
    } else if (!failed) {
        failed = clear_step(s, &clear, &clearing.touched, &e);
    }
    if (failed)
        reply_error(&c->reply, &e);
    else if (more)
        clear_park(c, &clearing);
    else
        reply_integer(&c->reply, (int64_t)clearing.touched);
}

/* ---- TQ.RESET ----------------------------------------------------------------------------- */

static void reset_run(struct client *c) {
    struct server *s = c->server;
    struct reset reset;
    struct op op;
    size_t changed;
    struct error e;
    if (args_parse(&request_reset_syntax, c->argv, c->argc, &s->scratch, &reset, &e) ||
        reset_plan(s->store, &reset, s->now_ms, &s->scratch, &op, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    /* A rank batch that is forgotten no longer holds its samples back from RETIRE. */
    const struct commit_due due = {op.select.all, op.select.n, op.select.seqs};
    if (commit_op(s, &op, &due, &changed, &e))
        reply_error(&c->reply, &e);
    else
        reply_integer(&c->reply, (int64_t)changed);
}

static const struct command clear_commands[] = {
    {
        .name = "tq.clear",
        .summary = "Drop a partition, or samples of it, or fields or tags of samples",
        .group = "samples",
        .complexity = "O(N) with N the samples named; a whole partition by chunk, not by cell",
        .arity = -2,
        .flags = COMMAND_WRITE,
        .run = clear_run,
        .syntax = &request_clear_syntax,
    },
    {
        .name = "tq.reset",
        .summary = "Forget what tasks have consumed",
        .group = "samples",
        .complexity = "O(N) with N the keys; O(M/64) without, M the samples of the partition",
        .arity = -2,
        .flags = COMMAND_WRITE,
        .run = reset_run,
        .syntax = &request_reset_syntax,
    },
    {0},
};

void cmd_clear_register(void) {
    command_register(clear_commands);
}
