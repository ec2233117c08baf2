/* Small commands, one sample each, as redis-benchmark would send them: see scenario.h.
 *
 * All commands of a scenario have one length and lie in one ring, formatted beforehand, so that
 * sending a pipeline is one system call on a slice of it. */
#include <stdio.h>

#include "base/mem.h"
#include "benchmark/commands.h"
#include "benchmark/measure.h"
#include "benchmark/scenario.h"

#define PARTITION "benchmark:small"

enum {
    RING = 32768, /* commands, and as many keys; fewer where values are large */
    RING_BYTES = 64 * 1000 * 1000,
    CLIENTS = 50,
    REQUESTS = 100000,
    VALUE_BYTES = 64,
    PEERS = 2,
};

/* So many commands of one length, back to back. */
struct ring {
    struct request_writer text;
    const char *bytes;
    size_t commands, command_bytes;
};

struct small_peer {
    enum scenario scenario;
    struct peer *server;
    struct ring ring;
    size_t value_bytes, pipeline, connections;
    size_t requests, share; /* of a round, of a connection */
    size_t *left, *at;      /* by connection: requests to send, place in the ring */
    struct iovec *slices;   /* by connection */
    struct replies_counts before;
    struct drive drive;
    struct measure_peer measure;
};

/* ---- commands ------------------------------------------------------------------------------ */

static size_t add_command(struct request_writer *w, enum scenario scenario, bool redis,
                          const char *key, const char *value) {
    const char *put[] = {"TQ.PUT", PARTITION, key, "FIELDS", "1", "f", value};
    const char *get[] = {"TQ.MGET", PARTITION, "KEYS", "1", key, "FIELDS", "1", "f"};
    const char *hset[] = {"HSET", key, "f", value};
    const char *hmget[] = {"HMGET", key, "f"};
    const char *ping[] = {"PING"};
    if (scenario == SCENARIO_PUT_ONE)
        return redis ? commands_words(w, 4, hset) : commands_words(w, 7, put);
    if (scenario == SCENARIO_GET_ONE)
        return redis ? commands_words(w, 3, hmget) : commands_words(w, 8, get);
    return commands_words(w, 1, ping);
}

static void make_ring(struct ring *ring, const struct small_peer *p, enum scenario scenario) {
    char key[BATCH_KEY_LEN + 1] = "";
    char *value = mem_calloc(1, p->value_bytes + 1);
    bool redis = p->server->kind == PEER_REDIS;
    size_t n;
    memset(value, 'x', p->value_bytes);
    *ring = (struct ring){.commands = RING_BYTES / p->value_bytes};
    if (ring->commands > RING) ring->commands = RING;
    if (ring->commands < p->pipeline) ring->commands = p->pipeline;
    for (size_t i = 0; i < ring->commands; i++) {
        batch_format_key(i * 20011 % ring->commands, key); /* in no order */
        ring->command_bytes = add_command(&ring->text, scenario, redis, key, value);
    }
    ring->bytes = request_writer_iov(&ring->text, &n)->iov_base; /* all of it: words are copied */
    mem_free(value);
}

/* ---- sending ------------------------------------------------------------------------------- */

static bool next_slice(void *context, size_t connection, struct drive_message *m) {
    struct small_peer *p = context;
    const struct ring *ring = &p->ring;
    size_t n = p->pipeline < p->left[connection] ? p->pipeline : p->left[connection];
    if (!n) return false;
    if (p->at[connection] + n > ring->commands) p->at[connection] = 0;
    const char *from = ring->bytes + p->at[connection] * ring->command_bytes;
    p->slices[connection] = (struct iovec){(char *)from, n * ring->command_bytes};
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
        p->at[i] = i * p->ring.commands / p->connections;
    }
    p->before = drive_counts(&p->drive);
    return 0;
}

static int after_round(void *context, struct error *e) {
    struct small_peer *p = context;
    struct replies_counts now = drive_counts(&p->drive);
    uint64_t values = now.values - p->before.values, replies = now.replies - p->before.replies;
    uint64_t wanted = p->scenario == SCENARIO_GET_ONE ? p->requests : 0;
    if (replies == p->requests && values == wanted) return 0;
    return error_set(e, ERROR_ERR,
                     "a round brought %llu replies and %llu values, %zu and %llu expected",
                     (unsigned long long)replies, (unsigned long long)values, p->requests,
                     (unsigned long long)wanted);
}

/* ---- a peer's life ------------------------------------------------------------------------- */

static void peer_make(struct small_peer *p, const struct options *o, enum scenario scenario,
                      struct peer *server) {
    uint64_t requests = o->requests ? o->requests : REQUESTS;
    *p = (struct small_peer){.scenario = scenario, .server = server};
    p->connections = o->connections ? o->connections : CLIENTS;
    p->pipeline = o->pipeline ? o->pipeline : 1;
    p->value_bytes = o->value_bytes ? o->value_bytes : VALUE_BYTES;
    p->share = (requests + p->connections - 1) / p->connections;
    p->requests = p->share * p->connections;
    p->left = mem_calloc(p->connections, sizeof(*p->left));
    p->at = mem_calloc(p->connections, sizeof(*p->at));
    p->slices = mem_calloc(p->connections, sizeof(*p->slices));
    make_ring(&p->ring, p, scenario);
    p->measure = (struct measure_peer){.name = server->kind == PEER_REDIS ? "redis" : "tq",
                                       .pid = server->pid,
                                       .drive = &p->drive,
                                       .source = {next_slice, p},
                                       .context = p,
                                       .before = before_round,
                                       .after = after_round};
}

static void peer_free(struct small_peer *p) {
    drive_close(&p->drive);
    request_writer_free(&p->ring.text);
    mem_free(p->left);
    mem_free(p->at);
    mem_free(p->slices);
    measure_free(&p->measure);
}

static int connect_peer(struct small_peer *p, const struct options *o,
                        enum link_transport transport, struct error *e) {
    struct replies **replies = mem_calloc(p->connections, sizeof(struct replies *));
    int failed = 0;
    for (size_t i = 0; i < p->connections && !failed; i++) {
        replies[i] = replies_new_rows(0, p->value_bytes, e);
        if (!replies[i]) failed = e->code;
    }
    if (failed)
        for (size_t i = 0; i < p->connections; i++) replies_free(replies[i]);
    else
        failed = drive_open(&p->drive, &p->server->address, transport, (int)o->buffer,
                            p->connections, 1, replies, e);
    mem_free(replies);
    return failed;
}

/* Every key of the ring, over the first connection. */
static int fill(struct small_peer *p, struct error *e) {
    struct ring gets = p->ring;
    size_t pipeline = p->pipeline;
    struct drive_time time = {0};
    make_ring(&p->ring, p, SCENARIO_PUT_ONE);
    p->pipeline = p->ring.commands;
    before_round(p, e);
    for (size_t i = 1; i < p->connections; i++) p->left[i] = 0;
    p->left[0] = p->ring.commands;
    int failed = drive_run(&p->drive, &p->measure.source, &time, e);
    request_writer_free(&p->ring.text);
    p->ring = gets;
    p->pipeline = pipeline;
    return failed;
}

static int prepare(struct small_peer *p, const struct options *o, enum link_transport transport,
                   struct error *e) {
    int failed = connect_peer(p, o, transport, e);
    if (!failed && p->scenario == SCENARIO_GET_ONE) failed = fill(p, e);
    return failed ? failed : measure_warm_up(&p->measure, e);
}

/* ---- the scenario -------------------------------------------------------------------------- */

static int run_rounds(struct small_peer *peers, size_t n, size_t rounds, struct error *e) {
    struct measure_wave wave = {0, peers[0].requests, peers[0].requests};
    int failed = 0;
    for (size_t r = 0; r < rounds && !failed; r++)
        for (size_t i = 0; i < n && !failed; i++)
            failed = measure_round(&peers[r % 2 ? n - 1 - i : i].measure, &wave, 1, e);
    return failed;
}

static void report(struct bench *b, struct small_peer *peers, size_t n,
                   enum link_transport transport) {
    struct measure_peer *measures[PEERS];
    struct report_result r = {.scenario = options_scenario_name(peers[0].scenario),
                              .transport = link_transport_name(transport),
                              .connections = peers[0].connections,
                              .pipeline = peers[0].pipeline,
                              .rounds = b->options->rounds,
                              .waves = peers[0].requests};
    for (size_t i = 0; i < n; i++) measures[i] = &peers[i].measure;
    if (peers[0].scenario != SCENARIO_PING) r.value_bytes = peers[0].value_bytes;
    measure_summarise(measures, n, &r);
    report_add(&b->report, &r);
}

int scenario_small(struct bench *b, enum scenario scenario, enum link_transport transport,
                   struct error *e) {
    const struct options *o = b->options;
    struct small_peer peers[PEERS];
    size_t n = 1 + b->has_redis;
    int failed = bench_renew(b, true, e);
    if (failed) return failed;
    for (size_t i = 0; i < n; i++) peer_make(&peers[i], o, scenario, i ? &b->redis : &b->tq);
    for (size_t i = 0; i < n && !failed; i++) failed = prepare(&peers[i], o, transport, e);
    if (!failed) failed = run_rounds(peers, n, o->rounds, e);
    if (!failed) report(b, peers, n, transport);
    for (size_t i = 0; i < n; i++) peer_free(&peers[i]);
    return failed ? failed : control_do(&b->tq.control, NULL, e, "TQ.CLEAR", PARTITION, NULL);
}
