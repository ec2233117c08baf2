/* What it costs to keep a log: see scenario.h.
 *
 * The same work goes to a server with `appendonly yes` and to one without, round by round; beside
 * them the bytes that the log takes are written to a file (file_peer.h). Logs and files are emptied
 * before each round, off the clock, so that nobody writes back what another has written. */
#include "base/mem.h"
#include "benchmark/batch_peer.h"
#include "benchmark/file_peer.h"
#include "benchmark/keeper.h"
#include "benchmark/small.h"

enum {
    VALUE_BYTES = 32 * 1024,
    CLIENTS = 50,
    PIPELINE = 32,
    REQUESTS = 100000,
    ALWAYS_REQUESTS = 100, /* of a client */
};

/* The servers of a scenario. */
struct logs {
    struct bench *bench;
    struct keeper log, redis; /* redis: with a log too */
};

static int logs_start(struct logs *l, struct bench *b, const char *sync, struct error *e) {
    *l = (struct logs){.bench = b};
    int code = bench_renew(b, false, e);
    if (!code) code = keeper_make(&l->log, b, PEER_TQ, "tq-log", sync, e);
    if (!code) code = peer_start(&l->log.peer, e);
    if (code || !b->has_redis) return code;
    code = keeper_make(&l->redis, b, PEER_REDIS, "redis-log", sync, e);
    return code ? code : peer_start(&l->redis.peer, e);
}

static void logs_end(struct logs *l) {
    keeper_end(&l->log);
    keeper_end(&l->redis);
}

static int logs_empty(void *context, struct error *e) {
    struct logs *l = context;
    int code = keeper_empty(&l->log, e);
    if (!code) code = control_do(&l->bench->tq.control, NULL, e, "FLUSHALL");
    return code || !l->redis.peer.running ? code : keeper_empty(&l->redis, e);
}

/* ---- batches ------------------------------------------------------------------------------- */

enum { LOG, WITHOUT, REDIS, SERVERS };

struct bulk {
    struct logs logs;
    struct batch batch;
    struct batch_setting setting;
    struct measure_wave wave;
    size_t waves;
    struct batch_peer servers[SERVERS];
    struct file_peer plain, synced;
    struct measure_peer both; /* without, then plain */
};

/* The columns of the batch, each a piece, as a log does with its ops. */
static int file_round(struct bulk *k, struct file_peer *p, struct error *e) {
    const struct batch *b = &k->batch;
    struct iovec *columns = mem_calloc(b->n_fields, sizeof(*columns));
    for (size_t i = 0; i < b->n_fields; i++)
        columns[i] = (struct iovec){b->fields[i].payload, batch_column_bytes(b, i)};
    int code = file_peer_round(p, columns, b->n_fields, k->waves * k->wave.requests, &k->wave,
                               k->waves, e);
    mem_free(columns);
    return code;
}

static int server_round(struct bulk *k, size_t server, struct error *e) {
    int code = logs_empty(&k->logs, e);
    if (code || !k->servers[server].server) return code;
    return measure_round(&k->servers[server].measure, &k->wave, k->waves, e);
}

static int bulk_round(struct bulk *k, size_t round, struct error *e) {
    int code = 0;
    for (size_t i = 0; i < SERVERS && !code; i++)
        code = server_round(k, round % 2 ? SERVERS - 1 - i : i, e);
    if (!code) code = logs_empty(&k->logs, e);
    if (!code) code = file_round(k, &k->plain, e);
    if (!code) code = file_round(k, &k->synced, e);
    if (!code)
        file_peer_add_both(&k->both, &k->servers[WITHOUT].measure, &k->plain, &k->wave, k->waves);
    return code;
}

/* ---- batches: life ------------------------------------------------------------------------- */

static int bulk_make(struct bulk *k, struct bench *b, enum link_transport transport,
                     struct error *e) {
    const struct options *o = b->options;
    size_t bytes = o->value_bytes ? o->value_bytes : VALUE_BYTES;
    *k = (struct bulk){.both = {.name = "both"}, .waves = o->requests ? o->requests : 1};
    int code = batch_make(&k->batch, o->samples, o->fields, bytes, BATCH_MIX_DENSE, e);
    if (!code) code = logs_start(&k->logs, b, "everysec", e);
    if (code) return code;
    k->setting = (struct batch_setting){.scenario = SCENARIO_MPUT,
                                        .batch = &k->batch,
                                        .transport = transport,
                                        .buffer = (int)o->buffer,
                                        .connections = 1,
                                        .pipeline = 1};
    k->wave = (struct measure_wave){k->batch.payload_bytes, k->batch.samples, 1};
    batch_peer_make(&k->servers[LOG], BATCH_PEER_TQ, &k->setting, &k->logs.log.peer);
    batch_peer_make(&k->servers[WITHOUT], BATCH_PEER_TQ, &k->setting, &b->tq);
    k->servers[LOG].measure.name = "log";
    if (b->has_redis)
        batch_peer_make(&k->servers[REDIS], BATCH_PEER_REDIS, &k->setting, &k->logs.redis.peer);
    file_peer_make(&k->plain, b, "write", false);
    file_peer_make(&k->synced, b, "synced", true);
    return 0;
}

static void bulk_free(struct bulk *k) {
    for (size_t i = 0; i < SERVERS; i++) {
        if (!k->servers[i].server) continue;
        batch_peer_close(&k->servers[i]);
        batch_peer_free(&k->servers[i]);
    }
    measure_free(&k->plain.measure);
    measure_free(&k->synced.measure);
    measure_free(&k->both);
    logs_end(&k->logs);
    batch_free(&k->batch);
}

static void bulk_report(struct bench *b, struct bulk *k) {
    const struct batch *batch = &k->batch;
    struct measure_peer *measures[REPORT_PEERS] = {
        &k->servers[LOG].measure, &k->servers[WITHOUT].measure, &k->plain.measure, &k->both,
        &k->synced.measure,       &k->servers[REDIS].measure};
    struct report_result r = {.scenario = options_scenario_name(SCENARIO_LOG_MPUT),
                              .mix = batch_mix_name(batch->mix),
                              .samples = batch->samples,
                              .fields = batch->n_fields,
                              .value_bytes = batch->value_bytes,
                              .payload_bytes = batch->payload_bytes,
                              .transport = link_transport_name(k->setting.transport),
                              .connections = 1,
                              .pipeline = 1,
                              .rounds = b->options->rounds,
                              .waves = k->waves};
    measure_summarise(measures, 5 + b->has_redis, &r);
    report_add(&b->report, &r);
}

int scenario_log_mput(struct bench *b, enum link_transport transport, struct error *e) {
    struct bulk k;
    int code = bulk_make(&k, b, transport, e);
    for (size_t i = 0; i < SERVERS && !code; i++)
        if (k.servers[i].server) code = batch_peer_open(&k.servers[i], e);
    for (size_t r = 0; r < b->options->rounds && !code; r++) code = bulk_round(&k, r, e);
    if (!code) bulk_report(b, &k);
    bulk_free(&k);
    return code;
}

/* ---- small commands ------------------------------------------------------------------------ */

/* What of a round goes to the log, written to a file by a pipeline at a time. The server itself writes
 * what came in a turn, which is more at once. */
struct small_logs {
    struct logs logs;
    struct small_plan plan;
    struct file_peer plain;
    struct measure_peer both;
    uint64_t logged; /* bytes of a round; 0: no round yet */
};

static int empty_small(void *context, struct error *e) {
    struct small_logs *s = context;
    return logs_empty(&s->logs, e);
}

/* The log was empty when the round began. */
static int note_logged(struct small_logs *s, struct error *e) {
    int64_t bytes = 0;
    int code =
        control_info(&s->logs.log.peer.control, "persistence", "aof_current_size", 0, &bytes, e);
    if (!code && bytes <= 0) code = error_set(e, ERROR_ERR, "a round has left nothing in the log");
    s->logged = (uint64_t)bytes;
    return code;
}

static int write_small(void *context, const struct small_round *r, struct error *e) {
    struct small_logs *s = context;
    int code = s->logged ? 0 : note_logged(s, e);
    if (!code) code = logs_empty(&s->logs, e);
    if (code) return code;
    uint64_t writes = (r->wave.requests + s->plan.pipeline - 1) / s->plan.pipeline;
    struct iovec piece = {.iov_len = s->logged / writes + 1};
    piece.iov_base = mem_calloc(1, piece.iov_len);
    code = file_peer_round(&s->plain, &piece, 1, writes, &r->wave, 1, e);
    mem_free(piece.iov_base);
    if (!code) file_peer_add_both(&s->both, r->servers[1], &s->plain, &r->wave, 1);
    return code;
}

static void small_make(struct small_logs *s, struct bench *b, enum scenario scenario,
                       enum link_transport transport) {
    s->plan = (struct small_plan){
        .scenario = scenario,
        .command = SCENARIO_PUT_ONE,
        .servers = {{&s->logs.log.peer, "log"}, {&b->tq, "tq"}, {&s->logs.redis.peer, "redis"}},
        .n = 2 + b->has_redis,
        .transport = transport,
        .before = empty_small,
        .context = s};
}

int scenario_log_put(struct bench *b, enum link_transport transport, struct error *e) {
    const struct options *o = b->options;
    struct small_logs s = {.both = {.name = "both"}};
    int code = logs_start(&s.logs, b, "everysec", e);
    if (!code) {
        small_make(&s, b, SCENARIO_LOG_PUT, transport);
        file_peer_make(&s.plain, b, "write", false);
        s.plan.connections = o->connections ? o->connections : CLIENTS;
        s.plan.pipeline = o->pipeline ? o->pipeline : PIPELINE;
        s.plan.requests = o->requests ? o->requests : REQUESTS;
        s.plan.after = write_small;
        s.plan.others[0] = &s.plain.measure;
        s.plan.others[1] = &s.both;
        s.plan.n_others = 2;
        code = small_run(b, &s.plan, e);
    }
    measure_free(&s.plain.measure);
    measure_free(&s.both);
    logs_end(&s.logs);
    return code;
}

/* With few clients a sync a command, with many they share it. */
int scenario_log_always(struct bench *b, enum link_transport transport, struct error *e) {
    static const size_t clients[] = {1, 16, 64};
    const struct options *o = b->options;
    struct small_logs s = {0};
    int code = logs_start(&s.logs, b, "always", e);
    for (size_t i = 0; i < (o->connections ? 1 : 3) && !code; i++) {
        small_make(&s, b, SCENARIO_LOG_ALWAYS, transport);
        s.plan.connections = o->connections ? o->connections : clients[i];
        s.plan.pipeline = o->pipeline ? o->pipeline : 1;
        s.plan.requests = o->requests ? o->requests : ALWAYS_REQUESTS * s.plan.connections;
        code = small_run(b, &s.plan, e);
    }
    logs_end(&s.logs);
    return code;
}
