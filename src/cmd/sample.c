/* TQ.SAMPLE: a batch for a task, now or as soon as there is one.
 *
 * One function tries, on arrival and on every wake. A call that may wait and cannot go is parked: its arguments move out of
 * the input buffer and are parsed once more from there, into scratch of its own. */
#include "cmd/cmd.h"
#include "cmd/columns.h"
#include "cmd/render.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "request/sample.h"
#include "server/asks.h"
#include "server/client.h"
#include "server/command.h"
#include "server/commit.h"
#include "server/scan.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/bounds.h"

/* In rows and columns. What is ready has its fields; what a rank gets again may be without one that
 * was not asked for then. */
static int sample_render(struct client *c, const struct sample *sample,
                         const struct sampled *sampled, struct error *e) {
    const struct partition *p = sampled->partition;
    const struct sample_call *call = &sample->call;
    const struct column **columns = render_columns(c, p, call->n_fields, call->fields);
    if (sample->form == FORM_COLUMNS) {
        struct columns batch;
        int failed = columns_open(c, p, sampled->seqs, sampled->n, columns, call->fields,
                                  call->n_fields, &batch, e);
        if (!failed) columns_write(c, &batch);
        return failed;
    }
    reply_array(&c->reply, sampled->n);
    for (size_t i = 0; i < sampled->n; i++) {
        uint64_t seq = sampled->seqs[i];
        if (sample->form != FORM_KEYS) reply_array(&c->reply, 1 + call->n_fields);
        reply_bulk(&c->reply, partition_key(p, seq));
        for (size_t f = 0; sample->form != FORM_KEYS && f < call->n_fields; f++)
            render_value(c, columns[f], seq, sample->form);
    }
    return 0;
}

static void sample_write_lease(struct client *c, uint64_t lease) {
    char id[24];
    snprintf(id, sizeof(id), "%llu", (unsigned long long)lease);
    reply_array(&c->reply, 2);
    reply_text(&c->reply, id);
}

/* A reply that the client may not have waiting would close it, with the samples consumed: nothing
 * is sampled for it. This spares the writing of most of those; what it does not see is taken back
 * when it is written. */
static int sample_check_reply(struct client *c, const struct sample *sample,
                              const struct sampled *sampled, struct error *e) {
    const struct sample_call *call = &sample->call;
    if (sample->form == FORM_KEYS || sample->form == FORM_TEXT) return 0;
    const struct column **columns =
        render_columns(c, sampled->partition, call->n_fields, call->fields);
    return client_check_reply(
        c,
        render_estimate(c, sampled->partition, sampled->seqs, sampled->n, columns, call->n_fields),
        e);
}

/* What a batch of `n` samples leaves: the first one of a task makes the task, the first one of a
 * holder its entry. While memory is full neither may take ever more; what has consumed before may
 * go on for longer. */
static int sample_check_memory(struct client *c, const struct sample_call *call, size_t n,
                               struct error *e) {
    enum { TASK_BYTES = 800, /* with the bits of one block of samples */ BATCH_BYTES = 256 };
    struct server *s = c->server;
    const struct partition *p = store_find(s->store, call->partition);
    if (!p) return 0;
    bool remembers = call->lease_ms || call->ranked || call->once.holder.ptr;
    bool is_new = !partition_task(p, call->task);
    size_t bytes = is_new ? TASK_BYTES + call->task.len : 0;
    if (remembers) bytes += BATCH_BYTES + call->holder.len + n * sizeof(uint64_t);
    if (call->once.holder.ptr && !once_find(p, call->once.holder)) is_new = true;
    return server_check_beyond(s, !is_new || bounds_name_task(p, call->task), bytes, e);
}

/* True when there is an answer, which has been written. The reason in *needs is NEEDS_TURN where
 * more samples have to be looked at than a turn has time for; sample->call.walk is then for the
 * next try. `beyond`: see client_reply_beyond. */
static bool sample_try_beyond(struct client *c, struct sample *sample, size_t beyond,
                              struct waiter_needs *needs) {
    struct server *s = c->server;
    struct sampled sampled;
    struct error e;
    struct sample_call call = sample->call;
    struct sample_walk walk = call.walk;
    call.holder = span_of_string(c->name && *c->name ? c->name : c->address);
    if (sample_plan(s->store, &call, s->now_ms, &s->scratch, &sampled, &e)) {
        reply_error(&c->reply, &e);
        return true;
    }
    bool is_cut = sampled.outcome == SAMPLE_SCAN || sampled.outcome == SAMPLE_WALK;
    *needs = (struct waiter_needs){.reason = is_cut ? WAITER_NEEDS_TURN : WAITER_NEEDS_CHANGE,
                                   .samples = sampled.missing,
                                   .filters = sampled.filters};
    sample->call.walk = sampled.walk;
    if (sampled.outcome == SAMPLE_WAIT || is_cut) return false;
    if (sampled.outcome == SAMPLE_END) {
        reply_array(&c->reply, 0);
        return true;
    }
    int failed = sample_check_reply(c, sample, &sampled, &e);
    if (!failed && sampled.changes) failed = sample_check_memory(c, &call, sampled.op.select.n, &e);
    if (failed) {
        reply_error(&c->reply, &e);
        return true;
    }
    struct client_mark mark = client_reply_try(c, beyond);
    if (sampled.lease) sample_write_lease(c, sampled.lease);
    failed = sample_render(c, sample, &sampled, &e);
    if (failed)
        reply_take_back(&c->reply, &mark.reply);
    else
        failed = client_reply_end(c, &mark, &e);
    if (failed && (beyond = client_reply_beyond(c, &mark, &e))) {
        sample->call.walk = walk;
        return sample_try_beyond(c, sample, beyond, needs);
    }
    const struct commit_due due = {.n = sampled.n_finished, .seqs = sampled.finished};
    if (!failed && sampled.changes) {
        failed = commit_op(s, &sampled.op, &due, NULL, &e);
        if (failed) reply_take_back(&c->reply, &mark.reply);
    }
    if (failed) reply_error(&c->reply, &e);
    return true;
}

static bool sample_try(struct client *c, struct sample *sample, struct waiter_needs *needs) {
    return sample_try_beyond(c, sample, 0, needs);
}

/* TQ.STATUS shows what the task asked for. */
static void sample_note(struct client *c, const struct sample *sample) {
    const struct sample_call *call = &sample->call;
    asks_note(c->server, call->partition, call->task, call->fields, call->n_fields);
}

/* ---- waiting ------------------------------------------------------------------------------ */

struct sample_waiting {
    struct scratch scratch; /* what `sample` points into, beside the client's owned arguments */
    struct sample sample;
    struct scan scan;
};

static void sample_scan(struct client *c, struct sample_waiting *waiting) {
    const struct sample_call *call = &waiting->sample.call;
    if (sample_walks(c->server->store, call)) return; /* a walk needs no match set */
    scan_begin(c->server, &waiting->scan, call->partition, &call->where);
}

/* A call without BLOCK waits for its scan only. */
static bool sample_waiting_try(struct client *c, void *request, struct waiter_needs *needs) {
    struct sample_waiting *waiting = request;
    if (scan_step(c->server, &waiting->scan)) {
        needs->reason = WAITER_NEEDS_TURN;
        return false;
    }
    if (sample_try(c, &waiting->sample, needs)) {
        sample_note(c, &waiting->sample); /* there may have been no partition when it came */
        return true;
    }
    if (needs->reason == WAITER_NEEDS_TURN) {
        sample_scan(c, waiting);
        return false;
    }
    scan_end(&waiting->scan);
    if (waiting->sample.block.given) return false;
    reply_null(&c->reply);
    return true;
}

static uint64_t sample_waiting_matches(struct client *c, const void *request, const struct op *op) {
    const struct sample_waiting *waiting = request;
    return sample_matches(c->server->store, &waiting->sample.call, op, &c->server->scratch);
}

static const struct where *sample_waiting_where(const void *request) {
    return &((const struct sample_waiting *)request)->sample.call.where;
}

static void sample_waiting_expire(struct client *c, void *request) {
    (void)request;
    reply_null(&c->reply);
}

static void sample_waiting_free(void *request) {
    struct sample_waiting *waiting = request;
    scan_end(&waiting->scan);
    scratch_free(&waiting->scratch);
    mem_free(waiting);
}

static const struct waiter_kind sample_waiter = {.try = sample_waiting_try,
                                                 .matches = sample_waiting_matches,
                                                 .where = sample_waiting_where,
                                                 .expire = sample_waiting_expire,
                                                 .free = sample_waiting_free};

static int sample_compare_names(const void *a, const void *b) {
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* Task, field set and selection as bytes: calls that ask for the same stand in one queue, in
 * whatever order they name the fields. Names hold no NUL. */
static struct span sample_queue(const struct sample_call *call, struct scratch *scratch) {
    struct span *names = scratch_alloc(scratch, call->n_fields, sizeof(*names));
    memcpy(names, call->fields, call->n_fields * sizeof(*names));
    qsort(names, call->n_fields, sizeof(*names), sample_compare_names);
    struct span selection = request_sample_selection(call, scratch);
    size_t len = call->task.len + 2 + selection.len;
    for (size_t i = 0; i < call->n_fields; i++) len += 1 + names[i].len;
    char *bytes = scratch_alloc(scratch, 1, len), *at = bytes;
    memcpy(at, call->task.ptr, call->task.len);
    at += call->task.len;
    for (size_t i = 0; i < call->n_fields; i++) {
        *at++ = '\0';
        memcpy(at, names[i].ptr, names[i].len);
        at += names[i].len;
    }
    memset(at, 0, 2); /* no name is empty: the fields end here */
    memcpy(at + 2, selection.ptr, selection.len);
    return span_of(bytes, len);
}

/* The call as it waits: its arguments move out of the input buffer. NULL where it may not. */
static struct sample_waiting *sample_own(struct client *c, enum client_own what, struct error *e) {
    if (client_own_argv(c, what, e)) return NULL;
    struct sample_waiting *waiting = mem_calloc(1, sizeof(*waiting));
    if (args_parse(&request_sample_syntax, c->argv, c->argc, &waiting->scratch, &waiting->sample,
                   e))
        abort(); /* it parsed a moment ago */
    waiting->sample.call.evaluations = scan_limit(c);
    return waiting;
}

/* Partition and holder: the name of a parked call with ONCE. */
static struct span sample_once_name(const struct sample_call *call, struct scratch *scratch) {
    struct span partition = call->partition, holder = call->once.holder;
    char *name = scratch_alloc(scratch, 1, 1 + partition.len + holder.len);
    name[0] = (char)partition.len; /* at most 255 */
    memcpy(name + 1, partition.ptr, partition.len);
    memcpy(name + 1 + partition.len, holder.ptr, holder.len);
    return span_of(name, 1 + partition.len + holder.len);
}

static void sample_park(struct client *c, struct span queue, const struct waiter_needs *needs,
                        const struct sample_walk *walk) {
    struct error e;
    struct sample_waiting *waiting = sample_own(c, CLIENT_OWN_PARKED, &e);
    if (!waiting) {
        reply_error(&c->reply, &e);
        return;
    }
    struct sample *sample = &waiting->sample;
    sample->call.walk = *walk;
    if (needs->reason == WAITER_NEEDS_TURN) sample_scan(c, waiting);
    waiter_park(c, &sample_waiter, waiting, needs, sample->call.partition, queue, sample->block.ms);
    if (sample->call.once.holder.ptr)
        waiter_name(c, sample_once_name(&sample->call, &c->server->scratch));
}

/* Behind others who wait for the same, a call has to wait even if it could go; but what is wrong with it, or was decided
 * before, is said at once. */
static bool sample_has_to_queue(struct client *c, const struct sample *sample, struct span queue) {
    struct server *s = c->server;
    struct sampled sampled;
    return waiter_queued(s, sample->call.partition, queue) &&
           sample_plan(s->store, &sample->call, s->now_ms, &s->scratch, &sampled, NULL) == 0 &&
           !sampled.remembered;
}

/* The rank is done with earlier batches, which holds even if the call then waits; not if the call
 * is wrong. */
static int sample_finish(struct client *c, const struct sample_call *call, struct error *e) {
    struct server *s = c->server;
    struct sampled sampled;
    struct op op;
    uint64_t *seqs;
    size_t n;
    if (!sample_plan_done(s->store, call, s->now_ms, &s->scratch, &op, &seqs, &n)) return 0;
    int failed = sample_plan(s->store, call, s->now_ms, &s->scratch, &sampled, e);
    if (!failed) failed = sample_check_memory(c, call, 0, e);
    enum { RANK_BYTES = 64 };
    /* A rank that is done with any batch is done with batch 0; a later number takes its place. */
    const struct partition *p = store_find(s->store, call->partition);
    const struct task *task = p ? partition_task(p, call->task) : NULL;
    bool is_new = !task || !ranks_is_done(&task->ranks, call->rank, 0);
    if (!failed && !n && is_new) failed = server_check_beyond(s, false, RANK_BYTES, e);
    const struct commit_due due = {.n = n, .seqs = seqs};
    return failed ? failed : commit_op(s, &op, &due, NULL, e);
}

/* ---- ONCE ---------------------------------------------------------------------------------- */

/* The call before arrived, which holds even if this one then waits. */
static int sample_confirm(struct client *c, const struct sample_call *call, struct error *e) {
    struct server *s = c->server;
    struct op op;
    struct commit_due due = {0};
    if (!sample_plan_confirm(s->store, call, s->now_ms, &s->scratch, &op, &due.seqs, &due.n))
        return 0;
    return commit_op(s, &op, &due, NULL, e);
}

/* Against the call of the holder that is parked. */
static int sample_check_parked(const struct op_once *parked, const struct op_once *once,
                               struct error *e) {
    if (once->number < parked->number)
        return error_set(e, ERROR_ERR, "ONCE: call %llu of holder %s is older than its call %llu",
                         (unsigned long long)once->number, QUOTE(once->holder),
                         (unsigned long long)parked->number);
    if (once->number == parked->number && !checksum128_equal(once->request, parked->request))
        return error_set(e, ERROR_ERR, "ONCE: call %llu of holder %s had other arguments",
                         (unsigned long long)once->number, QUOTE(once->holder));
    return 0;
}

/* The reply of the call whose place was taken. */
static void sample_notify_replaced(struct client *parked) {
    reply_errorf(&parked->reply, ERROR_UNBLOCKED,
                 "the holder repeated this call on another connection");
    client_unpark(parked);
}

static void sample_dismiss(struct client *parked, const struct op_once *once) {
    struct error e;
    error_set(&e, ERROR_UNBLOCKED, "holder %s sent call %llu on another connection",
              QUOTE(once->holder), (unsigned long long)once->number);
    waiter_dismiss(parked, &e);
}

/* True when the call needs no more: it is wrong, or it took the place of the same call, which was
 * parked. Any other parked call of the holder ends. */
static bool sample_once(struct client *c, const struct sample *sample) {
    struct server *s = c->server;
    const struct sample_call *call = &sample->call;
    struct error e;
    void *request = NULL;
    struct client *parked = waiter_named(s, sample_once_name(call, &s->scratch), &request);
    const struct sample_waiting *other = request;
    int failed = parked ? sample_check_parked(&other->sample.call.once, &call->once, &e) : 0;
    if (!failed) failed = sample_check_once(s->store, call, &s->scratch, &e);
    if (!failed) failed = sample_confirm(c, call, &e);
    if (failed) {
        reply_error(&c->reply, &e);
        return true;
    }
    if (!parked) return false;
    if (call->once.number != other->sample.call.once.number || !sample->block.given ||
        !other->sample.block.given || !client_may_wait(c)) {
        sample_dismiss(parked, &call->once);
        return false;
    }
    /* The other call gives back what this one takes. */
    struct sample_waiting *waiting = sample_own(c, CLIENT_OWN_TO_FREE, &e);
    if (!waiting) {
        reply_error(&c->reply, &e);
        return true;
    }
    waiter_replace(parked, c, waiting, sample->block.ms);
    sample_notify_replaced(parked);
    return true;
}

static void sample_run(struct client *c) {
    struct sample sample;
    struct error e;
    struct waiter_needs needs;
    int failed =
        args_parse(&request_sample_syntax, c->argv, c->argc, &c->server->scratch, &sample, &e);
    sample.call.evaluations = scan_limit(c);
    if (failed || sample_finish(c, &sample.call, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    if (sample.call.once.holder.ptr && sample_once(c, &sample)) return;
    sample_note(c, &sample);
    if (!sample.block.given || !client_may_wait(c)) {
        if (sample_try(c, &sample, &needs)) return;
        if (needs.reason == WAITER_NEEDS_TURN)
            sample_park(c, scan_queue(c), &needs, &sample.call.walk);
        else
            reply_null(&c->reply);
    } else {
        struct span queue = sample_queue(&sample.call, &c->server->scratch);
        needs = (struct waiter_needs){0};
        if (!sample_has_to_queue(c, &sample, queue) && sample_try(c, &sample, &needs)) return;
        sample_park(c, queue, &needs, &sample.call.walk);
    }
}

static const struct command sample_commands[] = {
    {
        .name = "tq.sample",
        .summary =
            "Take samples that are complete in the fields and mark them consumed by the task",
        .group = "samples",
        .complexity = "O(N*M) with N samples taken and M fields",
        .arity = -8,
        .flags = COMMAND_WRITE | COMMAND_BLOCKING,
        .run = sample_run,
        .syntax = &request_sample_syntax,
    },
    {0},
};

void cmd_sample_register(void) {
    command_register(sample_commands);
}
