/* What it costs to keep a log: see scenario.h.
 *
 * The same work goes to a server with `appendonly yes` and to one without, round by round. Of a
 * batch, what the log adds can't be less than one more copy of its bytes, into the system's cache
 * of a file; so a plain loop of writes into a file of the same directory takes its turn as well,
 * and `both` is what one after the other would take: without a log, then that loop. With `synced`
 * the loop ends with a sync, as a log does once a second: what the disk can do. Logs and files are
 * emptied before each round, off the clock, so that nobody writes back what another has written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "benchmark/batch_peer.h"
#include "benchmark/interrupt.h"
#include "benchmark/keeper.h"
#include "benchmark/small.h"
#include "benchmark/timing.h"

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

/* A file that is written, and nothing else. */
struct file_peer {
    char path[WORKDIR_FILES_MAX + 32];
    bool sync;
    struct measure_peer measure;
};

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

static int write_all(int fd, const char *bytes, size_t len, struct error *e) {
    while (len) {
        ssize_t wrote = write(fd, bytes, len);
        if (wrote < 0 && errno != EINTR)
            return error_set(e, ERROR_ERR, "can't write to a file: %s", strerror(errno));
        if (wrote < 0) continue;
        bytes += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

/* The columns of the batch, each in one write if the system likes, as a log does with its ops. */
static int write_batches(int fd, const struct batch *b, uint64_t times, struct error *e) {
    int code = 0;
    for (uint64_t t = 0; t < times && !code; t++)
        for (size_t i = 0; i < b->n_fields && !code; i++)
            code = write_all(fd, b->fields[i].payload, batch_column_bytes(b, i), e);
    return code ? code : interrupt_check(e);
}

/* The file is new, and gone after, so that the system forgets what it has not written back. */
static int file_round(struct bulk *k, struct file_peer *p, struct error *e) {
    struct measure_peer *m = &p->measure;
    uint64_t batches = k->waves * k->wave.requests;
    int fd = open(p->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return error_set(e, ERROR_ERR, "can't make %s: %s", p->path, strerror(errno));
    int64_t began = timing_now_ns(), own = timing_own_cpu_ns();
    int code = write_batches(fd, &k->batch, batches, e);
    if (!code && p->sync && fdatasync(fd))
        code = error_set(e, ERROR_ERR, "can't sync %s: %s", p->path, strerror(errno));
    int64_t ns = timing_now_ns() - began;
    unlink(p->path);
    close(fd);
    measure_add_round(m, &k->wave, k->waves, ns, timing_own_cpu_ns() - own);
    return code;
}

/* Of the round that just was. */
static void both_round(struct bulk *k) {
    const struct series *without = &k->servers[WITHOUT].measure.rate,
                        *plain = &k->plain.measure.rate;
    double samples = (double)(k->wave.samples * k->waves);
    double seconds =
        samples / without->values[without->n - 1] + samples / plain->values[plain->n - 1];
    measure_add_round(&k->both, &k->wave, k->waves, (int64_t)(seconds * 1e9), 0);
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
    if (!code) both_round(k);
    return code;
}

/* ---- batches: life ------------------------------------------------------------------------- */

static void file_make(struct file_peer *p, const struct bench *b, const char *name, bool sync) {
    *p = (struct file_peer){.sync = sync, .measure = {.name = name}};
    snprintf(p->path, sizeof(p->path), "%s/%s", b->files, name);
}

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
    file_make(&k->plain, b, "write", false);
    file_make(&k->synced, b, "synced", true);
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

static struct small_plan small_plan(struct logs *l, enum scenario scenario,
                                    enum link_transport transport) {
    struct bench *b = l->bench;
    return (struct small_plan){
        .scenario = scenario,
        .command = SCENARIO_PUT_ONE,
        .servers = {{&l->log.peer, "log"}, {&b->tq, "tq"}, {&l->redis.peer, "redis"}},
        .n = 2 + b->has_redis,
        .transport = transport,
        .before = logs_empty,
        .context = l};
}

int scenario_log_put(struct bench *b, enum link_transport transport, struct error *e) {
    const struct options *o = b->options;
    struct logs l;
    int code = logs_start(&l, b, "everysec", e);
    if (!code) {
        struct small_plan plan = small_plan(&l, SCENARIO_LOG_PUT, transport);
        plan.connections = o->connections ? o->connections : CLIENTS;
        plan.pipeline = o->pipeline ? o->pipeline : PIPELINE;
        plan.requests = o->requests ? o->requests : REQUESTS;
        code = small_run(b, &plan, e);
    }
    logs_end(&l);
    return code;
}

/* With few clients a sync a command, with many they share it. */
int scenario_log_always(struct bench *b, enum link_transport transport, struct error *e) {
    static const size_t clients[] = {1, 16, 64};
    const struct options *o = b->options;
    struct logs l;
    int code = logs_start(&l, b, "always", e);
    for (size_t i = 0; i < (o->connections ? 1 : 3) && !code; i++) {
        struct small_plan plan = small_plan(&l, SCENARIO_LOG_ALWAYS, transport);
        plan.connections = o->connections ? o->connections : clients[i];
        plan.pipeline = o->pipeline ? o->pipeline : 1;
        plan.requests = o->requests ? o->requests : ALWAYS_REQUESTS * plan.connections;
        code = small_run(b, &plan, e);
    }
    logs_end(&l);
    return code;
}
