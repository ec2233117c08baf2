/* Small commands, one sample each, as redis-benchmark would send them: see scenario.h.
 *
 * All commands of a scenario have one length and lie in one ring, formatted beforehand, so that
 * sending a pipeline is one system call on a slice of it. */
#include "benchmark/small.h"

#include <stdio.h>

#include "base/mem.h"
#include "benchmark/measure.h"
#include "benchmark/message.h"

enum {
    RING = 32768, /* commands, and as many keys; fewer where values are large */
    RING_BYTES = 64 * 1000 * 1000,
    CLIENTS = 50,
    REQUESTS = 100000,
    VALUE_BYTES = 64,
};

struct small_peer {
    enum scenario scenario;
    bool is_redis;
    struct peer *server;
    struct message ring;
    size_t ring_commands, command_bytes, value_bytes;
    size_t pipeline, connections;
    size_t requests, share; /* of a round, of a connection */
    size_t *left, *at;      /* by connection: requests to send, place in the ring */
    struct iovec *slices;   /* by connection */
    struct inlet before;
    struct drive drive;
    struct measure_peer measure;
};

/* ---- commands ------------------------------------------------------------------------------ */

static size_t add_command(struct message *m, enum scenario scenario, bool redis, const char *key,
                          const char *value) {
    const char *put[] = {"TQ.PUT", "benchmark:small", key, "FIELDS", "1", "f", value};
    const char *get[] = {"TQ.MGET", "benchmark:small", "KEYS", "1", key, "FIELDS", "1", "f"};
    const char *hset[] = {"HSET", key, "f", value};
    const char *hmget[] = {"HMGET", key, "f"};
    const char *ping[] = {"PING"};
    size_t lengths[8];
    const char **argv = ping;
    int argc = 1;
    bool puts = scenario == SCENARIO_PUT_ONE;
    if (puts) argv = redis ? hset : put, argc = redis ? 4 : 7;
    if (scenario == SCENARIO_GET_ONE) argv = redis ? hmget : get, argc = redis ? 3 : 8;
    for (int i = 0; i < argc; i++) lengths[i] = strlen(argv[i]);
    return message_command(m, argc, argv, lengths);
}

static void make_ring(struct small_peer *p, enum scenario scenario, struct message *ring) {
    char key[BATCH_KEY_LEN + 1] = "";
    char *value = mem_calloc(1, p->value_bytes + 1);
    memset(value, 'x', p->value_bytes);
    for (size_t i = 0; i < p->ring_commands; i++) {
        batch_format_key(i * 20011 % p->ring_commands, key); /* in no order */
        p->command_bytes = add_command(ring, scenario, p->is_redis, key, value);
    }
    message_seal(ring);
    mem_free(value);
}

/* ---- sending ------------------------------------------------------------------------------- */

static bool next_slice(void *context, size_t connection, struct drive_message *m) {
    struct small_peer *p = context;
    size_t n = p->pipeline < p->left[connection] ? p->pipeline : p->left[connection];
    if (!n) return false;
    if (p->at[connection] + n > p->ring_commands) p->at[connection] = 0;
    char *ring = p->ring.iov[0].iov_base;
    p->slices[connection] =
        (struct iovec){ring + p->at[connection] * p->command_bytes, n * p->command_bytes};
    p->at[connection] += n;
    p->left[connection] -= n;
    *m = (struct drive_message){&p->slices[connection], 1, n};
    return true;
}

static int before_round(void *context, struct error *e) {
    struct small_peer *p = context;
    (void)e;
    for (size_t i = 0; i < p->connections; i++) {
        p->left[i] = p->share;
        p->at[i] = i * p->ring_commands / p->connections;
    }
    p->before = drive_counts(&p->drive);
    return 0;
}

static int after_round(void *context, struct error *e) {
    struct small_peer *p = context;
    struct inlet now = drive_counts(&p->drive);
    uint64_t values = now.values - p->before.values, replies = now.replies - p->before.replies;
    uint64_t wanted = p->scenario == SCENARIO_GET_ONE ? p->requests : 0;
    if (replies == p->requests && values == wanted) return 0;
    return error_set(e, ERROR_ERR,
                     "a round brought %llu replies and %llu values, %zu and %llu expected",
                     (unsigned long long)replies, (unsigned long long)values, p->requests,
                     (unsigned long long)wanted);
}

/* ---- a peer's life ------------------------------------------------------------------------- */

static void peer_make(struct small_peer *p, const struct options *o, const struct small_plan *plan,
                      const struct small_server *server) {
    *p = (struct small_peer){.scenario = plan->command,
                             .is_redis = server->peer->kind == PEER_REDIS,
                             .server = server->peer,
                             .connections = plan->connections,
                             .pipeline = plan->pipeline};
    p->share = (plan->requests + p->connections - 1) / p->connections;
    p->requests = p->share * p->connections;
    p->left = mem_calloc(p->connections, sizeof(*p->left));
    p->at = mem_calloc(p->connections, sizeof(*p->at));
    p->slices = mem_calloc(p->connections, sizeof(*p->slices));
    p->value_bytes = o->value_bytes ? o->value_bytes : VALUE_BYTES;
    p->ring_commands = RING_BYTES / p->value_bytes;
    if (p->ring_commands > RING) p->ring_commands = RING;
    if (p->ring_commands < p->pipeline) p->ring_commands = p->pipeline;
    make_ring(p, plan->command, &p->ring);
    p->measure = (struct measure_peer){.name = server->name,
                                       .pid = server->peer->pid,
                                       .drive = &p->drive,
                                       .source = {next_slice, p},
                                       .context = p,
                                       .before = before_round,
                                       .after = after_round};
}

static void peer_free(struct small_peer *p) {
    drive_close(&p->drive);
    message_free(&p->ring);
    mem_free(p->left);
    mem_free(p->at);
    mem_free(p->slices);
    measure_free(&p->measure);
}

static int connect_peer(struct small_peer *p, const struct options *o,
                        enum link_transport transport, struct error *e) {
    struct inlet **inlets = mem_calloc(p->connections, sizeof(struct inlet *));
    for (size_t i = 0; i < p->connections; i++) inlets[i] = rows_new(0);
    int code = drive_open(&p->drive, &p->server->address, transport, (int)o->buffer, p->connections,
                          1, inlets, e);
    mem_free(inlets);
    return code;
}

/* Every key of the ring, over the first connection. */
static int fill(struct small_peer *p, struct error *e) {
    struct message puts = {0}, gets = p->ring;
    size_t get_bytes = p->command_bytes, pipeline = p->pipeline;
    struct drive_time time = {0};
    make_ring(p, SCENARIO_PUT_ONE, &puts);
    p->ring = puts;
    p->pipeline = p->ring_commands;
    before_round(p, e);
    for (size_t i = 1; i < p->connections; i++) p->left[i] = 0;
    p->left[0] = p->ring_commands;
    int code = drive_run(&p->drive, &p->measure.source, &time, e);
    p->ring = gets;
    p->command_bytes = get_bytes;
    p->pipeline = pipeline;
    message_free(&puts);
    return code;
}

static int prepare(struct small_peer *p, const struct options *o, enum link_transport transport,
                   struct error *e) {
    int code = connect_peer(p, o, transport, e);
    if (!code && p->scenario == SCENARIO_GET_ONE) code = fill(p, e);
    return code ? code : measure_warm_up(&p->measure, e);
}

static int run_rounds(struct small_peer *peers, const struct small_plan *plan, size_t rounds,
                      struct error *e) {
    const struct measure_peer *servers[REPORT_PEERS];
    struct small_round round = {{0, peers[0].requests, peers[0].requests}, servers};
    int code = 0;
    for (size_t i = 0; i < plan->n; i++) servers[i] = &peers[i].measure;
    for (size_t r = 0; r < rounds && !code; r++) {
        if (plan->before) code = plan->before(plan->context, e);
        for (size_t i = 0; i < plan->n && !code; i++)
            code = measure_round(&peers[r % 2 ? plan->n - 1 - i : i].measure, &round.wave, 1, e);
        if (plan->after && !code) code = plan->after(plan->context, &round, e);
    }
    return code;
}

static void report(struct bench *b, struct small_peer *peers, const struct small_plan *plan) {
    struct measure_peer *measures[REPORT_PEERS];
    struct report_result r = {.scenario = options_scenario_name(plan->scenario),
                              .transport = link_transport_name(plan->transport),
                              .connections = plan->connections,
                              .pipeline = plan->pipeline,
                              .rounds = b->options->rounds,
                              .waves = peers[0].requests};
    for (size_t i = 0; i < plan->n; i++) measures[i] = &peers[i].measure;
    for (size_t i = 0; i < plan->n_others; i++) measures[plan->n + i] = plan->others[i];
    if (plan->command != SCENARIO_PING) r.value_bytes = peers[0].value_bytes;
    measure_summarise(measures, plan->n + plan->n_others, &r);
    report_add(&b->report, &r);
}

int small_run(struct bench *b, const struct small_plan *plan, struct error *e) {
    const struct options *o = b->options;
    struct small_peer peers[REPORT_PEERS];
    int code = 0;
    for (size_t i = 0; i < plan->n; i++) peer_make(&peers[i], o, plan, &plan->servers[i]);
    for (size_t i = 0; i < plan->n && !code; i++) code = prepare(&peers[i], o, plan->transport, e);
    if (!code) code = run_rounds(peers, plan, o->rounds, e);
    if (!code) report(b, peers, plan);
    for (size_t i = 0; i < plan->n; i++) peer_free(&peers[i]);
    return code;
}

int scenario_small(struct bench *b, enum scenario scenario, enum link_transport transport,
                   struct error *e) {
    const struct options *o = b->options;
    int code = bench_renew(b, true, e);
    if (code) return code;
    struct small_plan plan = {.scenario = scenario,
                              .command = scenario,
                              .servers = {{&b->tq, "tq"}, {&b->redis, "redis"}},
                              .n = 1 + b->has_redis,
                              .connections = o->connections ? o->connections : CLIENTS,
                              .pipeline = o->pipeline ? o->pipeline : 1,
                              .requests = o->requests ? o->requests : REQUESTS,
                              .transport = transport};
    code = small_run(b, &plan, e);
    return code ? code : control_do(&b->tq.control, NULL, e, "TQ.CLEAR benchmark:small");
}
