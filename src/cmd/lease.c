/* TQ.ACK, TQ.NACK, TQ.EXTEND, TQ.LEASES: what becomes of samples that were delivered for a time. */
#include "cmd/cmd.h"

#include <stdio.h>

#include "request/lease.h"
#include "server/client.h"
#include "server/command.h"
#include "server/commit.h"
#include "server/server.h"
#include "store/store.h"

/* Where nothing has failed so far: commits the op and replies how many samples it concerned. */
static void lease_commit(struct client *c, int failed, const struct op *op,
                         const struct commit_due *due, struct error *e) {
    size_t samples;
    if (failed || commit_op(c->server, op, due, &samples, e))
        reply_error(&c->reply, e);
    else
        reply_integer(&c->reply, (int64_t)samples);
}

/* A client that repeats the command gets the first reply. */
static bool lease_reply_again(struct client *c, const struct lease_request *request, bool is_nack) {
    struct server *s = c->server;
    uint64_t samples;
    if (!lease_answered(s->store, request, is_nack, &s->scratch, &samples)) return false;
    reply_integer(&c->reply, (int64_t)samples);
    return true;
}

static void ack_run(struct client *c) {
    struct server *s = c->server;
    struct lease_request request;
    struct op op = {0};
    struct error e;
    int failed = args_parse(&request_ack_syntax, c->argv, c->argc, &s->scratch, &request, &e);
    if (!failed && lease_reply_again(c, &request, false)) return;
    if (!failed) failed = lease_plan_ack(s->store, &request, s->now_ms, &s->scratch, &op, &e);
    const struct commit_due due = {.n = op.select.n, .seqs = op.select.seqs};
    lease_commit(c, failed, &op, &due, &e);
}

static void nack_run(struct client *c) {
    struct server *s = c->server;
    struct lease_request request;
    struct op op;
    struct error e;
    int failed = args_parse(&request_nack_syntax, c->argv, c->argc, &s->scratch, &request, &e);
    if (!failed && lease_reply_again(c, &request, true)) return;
    if (!failed) failed = lease_plan_nack(s->store, &request, s->now_ms, &s->scratch, &op, &e);
    /* The lease may go on, and the reply is remembered. */
    enum { REPLY_BYTES = 64 };
    if (!failed && request.keys) failed = server_check_beyond(s, true, REPLY_BYTES, &e);
    lease_commit(c, failed, &op, NULL, &e);
}

static void extend_run(struct client *c) {
    struct server *s = c->server;
    struct extend_request request;
    struct op op;
    struct error e;
    int failed = args_parse(&request_extend_syntax, c->argv, c->argc, &s->scratch, &request, &e);
    if (!failed)
        failed =
            lease_plan_extend(s->store, &request.lease, (int64_t)request.ms, s->now_ms, &op, &e);
    lease_commit(c, failed, &op, NULL, &e);
}

static void leases_entry(struct client *c, const struct lease *lease) {
    struct reply *r = &c->reply;
    int64_t now = c->server->now_ms;
    char id[24];
    snprintf(id, sizeof(id), "%llu", (unsigned long long)lease->id);
    reply_map(r, 6);
    reply_text(r, "lease");
    reply_text(r, id);
    reply_text(r, "task");
    reply_bulk(r, lease->task->name);
    reply_text(r, "client");
    reply_bulk(r, lease->holder);
    reply_text(r, "samples");
    reply_integer(r, (int64_t)lease_samples(lease));
    reply_text(r, "age-ms");
    reply_integer(r, now > lease->given_ms ? now - lease->given_ms : 0);
    reply_text(r, "left-ms");
    reply_integer(r, lease->ends_ms > now ? lease->ends_ms - now : 0);
}

static bool leases_concerns(const struct task *task, struct span only) {
    return !only.ptr || span_equal(task->name, only);
}

static void leases_run(struct client *c) {
    struct server *s = c->server;
    struct leases_request request;
    struct error e;
    if (args_parse(&request_leases_syntax, c->argv, c->argc, &s->scratch, &request, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    const struct partition *p = store_find(s->store, request.partition);
    if (!p) {
        reply_errorf(&c->reply, ERROR_NOPART, "no partition %s", QUOTE(request.partition));
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < p->n_tasks; i++)
        if (leases_concerns(p->tasks[i], request.task)) n += p->tasks[i]->n_leases;
    reply_array(&c->reply, n);
    for (size_t i = 0; i < p->n_tasks; i++) {
        const struct task *task = p->tasks[i];
        const struct lease *lease =
            leases_concerns(task, request.task) ? lease_after(task, 0) : NULL;
        for (; lease; lease = lease_after(task, lease->id)) leases_entry(c, lease);
    }
}

#define LEASE_COMMAND(NAME, SUMMARY, COMPLEXITY, ARITY, FLAGS, RUN)                                \
    {                                                                                              \
        .name = "tq." NAME, .summary = SUMMARY, .group = "samples", .complexity = COMPLEXITY,      \
        .arity = ARITY, .flags = FLAGS, .run = RUN##_run, .syntax = &request_##RUN##_syntax,       \
    }

static const struct command lease_commands[] = {
    LEASE_COMMAND("ack", "Consume the samples of a lease", "O(N) with N the samples of the lease",
                  4, COMMAND_WRITE, ack),
    LEASE_COMMAND("nack", "Give samples of a lease back: they stand where they stood",
                  "O(N) with N the samples of the lease", -4, COMMAND_WRITE, nack),
    LEASE_COMMAND("extend", "Let a lease end so many milliseconds from now",
                  "O(N) with N the samples of the lease", 5, COMMAND_WRITE, extend),
    LEASE_COMMAND("leases", "Who holds which leases, since when and for how long",
                  "O(N) with N the samples leased", -2, COMMAND_READONLY, leases),
    {0},
};

void cmd_lease_register(void) {
    command_register(lease_commands);
}
