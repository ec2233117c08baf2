/* See batch_peer.h. */
#include "benchmark/batch_peer.h"

#include "base/mem.h"

static size_t slots_of(const struct batch_setting *s) {
    return workload_has_slots(s->scenario) ? s->connections * s->pipeline : 1;
}

/* ---- waves --------------------------------------------------------------------------------- */

static bool next_message(void *context, size_t connection, struct drive_message *m) {
    struct batch_peer *p = context;
    size_t pipeline = p->setting->pipeline;
    if (p->sent[connection] == pipeline) return false;
    size_t slot = connection * pipeline + p->sent[connection]++;
    const struct workload_request *request = &p->workload.requests[slot % p->workload.n_requests];
    *m = (struct drive_message){request->iov, request->n_iov, p->workload.replies};
    return true;
}

/* TQ.CLEAR, or TQ.RESET for the sampling scenarios, of every partition in use. */
static int rewind_server(struct batch_peer *p, bool clear, struct error *e) {
    char partition[WORKLOAD_PARTITION_MAX];
    int failed = 0;
    if (p->kind != BATCH_PEER_TQ) return 0;
    for (size_t i = 0; i < slots_of(p->setting) && !failed; i++)
        failed = control_do(&p->server->control, NULL, e, clear ? "TQ.CLEAR" : "TQ.RESET",
                            workload_partition(i, partition), NULL);
    return failed;
}

static int before_wave(void *context, struct error *e) {
    struct batch_peer *p = context;
    bool takes = p->workload.is_get && workload_has_slots(p->setting->scenario);
    int failed = 0;
    if (!p->workload.is_get || takes) failed = rewind_server(p, !takes, e);
    for (size_t i = 0; i < p->setting->connections; i++) p->sent[i] = 0;
    p->before = drive_counts(&p->drive);
    return failed;
}

static int count_wrong(const char *what, uint64_t got, uint64_t wanted, struct error *e) {
    return error_set(e, ERROR_ERR, "a wave brought %llu %s, %llu expected", (unsigned long long)got,
                     what, (unsigned long long)wanted);
}

/* Cheap enough for every wave: the number of samples written, or of values and bytes read. */
static int after_wave(void *context, struct error *e) {
    struct batch_peer *p = context;
    struct replies_counts now = drive_counts(&p->drive);
    const struct batch *b = p->setting->batch;
    uint64_t messages = p->setting->connections * p->setting->pipeline;
    if (p->workload.is_get) {
        uint64_t values = now.values - p->before.values;
        if (values != messages * p->workload.values)
            return count_wrong("values", values, messages * p->workload.values, e);
        return now.nils == p->before.nils ? 0 : error_set(e, ERROR_ERR, "a wave brought a nil");
    }
    if (p->kind != BATCH_PEER_TQ) return 0;
    uint64_t fresh = (uint64_t)(now.sum - p->before.sum),
             wanted = b->samples * slots_of(p->setting);
    return fresh == wanted ? 0 : count_wrong("new samples", fresh, wanted, e);
}

/* ---- proof --------------------------------------------------------------------------------- */

static bool once(void *context, size_t connection, struct drive_message *m) {
    struct workload *s = context;
    (void)connection;
    if (!s->n_requests) return false;
    *m = (struct drive_message){s->requests->iov, s->requests->n_iov, s->replies};
    s->n_requests = 0; /* of a copy: the maker frees the request */
    return true;
}

/* Send a workload's first request over a connection of its own; `check` the answer. */
static int converse(struct batch_peer *p, const struct workload *s, bool check, struct error *e) {
    const struct batch_setting *setting = p->setting;
    struct workload left = *s;
    struct drive drive;
    struct drive_source source = {once, &left};
    struct drive_time time = {0};
    struct replies *replies = workload_replies(s, e);
    if (!replies) return e->code;
    bool rows = check && !s->columns;
    if (rows) replies_expect(replies, s->batch, s->with_keys);
    int failed = drive_open(&drive, &p->server->address, setting->transport, setting->buffer, 1, 1,
                            &replies, e);
    if (failed) return failed;
    failed = drive_run(&drive, &source, &time, e);
    if (!failed && check && s->columns) failed = workload_check_columns(s, replies, e);
    uint64_t values = replies_count(replies)->values;
    if (!failed && rows && values != s->values)
        failed = count_wrong("values", values, s->values, e);
    drive_close(&drive);
    return failed ? measure_blame(&p->measure, e) : 0;
}

/* What was put comes back as it was. */
static int prove_put(struct batch_peer *p, struct error *e) {
    struct workload reading;
    if (p->kind == BATCH_PEER_RAW) return 0;
    bool columns = p->setting->scenario == SCENARIO_MPUT;
    workload_make(&reading, columns ? SCENARIO_MGET : SCENARIO_GET, p->kind == BATCH_PEER_REDIS,
                  p->setting->batch, 1);
    int failed = converse(p, &reading, true, e);
    workload_free(&reading);
    return failed;
}

/* One more wave, all of which is compared. */
static int prove_get(struct batch_peer *p, struct error *e) {
    const struct workload *s = &p->workload;
    size_t n = p->setting->connections;
    for (size_t i = 0; i < n && !s->columns; i++)
        replies_expect(p->drive.connections[i].replies, s->batch, s->with_keys);
    int failed = measure_warm_up(&p->measure, e);
    for (size_t i = 0; i < n && !failed; i++) {
        struct replies *replies = p->drive.connections[i].replies;
        if (!s->columns)
            replies_expect(replies, NULL, false);
        else if ((failed = workload_check_columns(s, replies, e)))
            measure_blame(&p->measure, e);
    }
    return failed;
}

int batch_peer_prove(struct batch_peer *p, struct error *e) {
    return p->workload.is_get ? prove_get(p, e) : prove_put(p, e);
}

/* ---- life ---------------------------------------------------------------------------------- */

void batch_peer_make(struct batch_peer *p, enum batch_peer_kind kind, const struct batch_setting *s,
                     struct peer *server) {
    static const char *const names[] = {"tq", "raw", "redis"};
    *p = (struct batch_peer){.kind = kind, .setting = s, .server = server};
    workload_make(&p->workload, s->scenario, kind == BATCH_PEER_REDIS, s->batch,
                  s->connections * s->pipeline);
    p->sent = mem_calloc(s->connections, sizeof(*p->sent));
    p->measure = (struct measure_peer){.name = names[kind],
                                       .drive = &p->drive,
                                       .source = {next_message, p},
                                       .context = p,
                                       .before = before_wave,
                                       .after = after_wave};
}

void batch_peer_free(struct batch_peer *p) {
    workload_free(&p->workload);
    mem_free(p->sent);
    measure_free(&p->measure);
    *p = (struct batch_peer){0};
}

/* Put the batch where it is to be read: into each partition that is read or taken from. */
static int fill(struct batch_peer *p, struct error *e) {
    struct workload writing;
    if (p->kind == BATCH_PEER_RAW) return 0;
    bool rows = p->kind == BATCH_PEER_REDIS || p->setting->scenario == SCENARIO_GET;
    int failed = rewind_server(p, true, e);
    workload_make(&writing, rows ? SCENARIO_PUT : SCENARIO_MPUT, p->kind == BATCH_PEER_REDIS,
                  p->setting->batch, slots_of(p->setting));
    for (size_t i = 0; i < writing.n_requests && !failed; i++) {
        struct workload one = writing;
        one.requests += i;
        one.n_requests = 1;
        failed = converse(p, &one, false, e);
    }
    workload_free(&writing);
    return failed;
}

static int start_raw(struct batch_peer *p, struct error *e) {
    const struct batch_setting *s = p->setting;
    struct rawpeer_plan plan = {.connections = s->connections,
                                .pipeline = s->pipeline,
                                .request_bytes = p->workload.requests->writer.bytes,
                                .reply = &p->workload.reply,
                                .fresh = s->cold,
                                .transport = s->transport,
                                .buffer = s->buffer};
    return rawpeer_start(&p->raw, &plan, s->raw_path, e);
}

static int connect_all(struct batch_peer *p, const struct link_address *a, struct error *e) {
    const struct batch_setting *s = p->setting;
    struct replies **replies = mem_calloc(s->connections, sizeof(struct replies *));
    int failed = 0;
    for (size_t i = 0; i < s->connections && !failed; i++) {
        replies[i] = workload_replies(&p->workload, e);
        if (!replies[i]) failed = e->code;
    }
    if (failed)
        for (size_t i = 0; i < s->connections; i++) replies_free(replies[i]);
    else
        failed = drive_open(&p->drive, a, s->transport, s->buffer, s->connections, s->pipeline,
                            replies, e);
    mem_free(replies);
    return failed;
}

int batch_peer_open(struct batch_peer *p, struct error *e) {
    bool raw = p->kind == BATCH_PEER_RAW;
    int failed = raw ? start_raw(p, e) : 0;
    if (failed) return failed;
    failed = connect_all(p, raw ? &p->raw.address : &p->server->address, e);
    p->measure.pid = raw ? p->raw.pid : p->server->pid;
    if (!failed && p->workload.is_get) failed = fill(p, e);
    if (p->setting->cold || failed) return failed;
    failed = measure_warm_up(&p->measure, e);
    return failed ? failed : batch_peer_prove(p, e);
}

void batch_peer_close(struct batch_peer *p) {
    struct error ignored;
    drive_close(&p->drive);
    rawpeer_stop(&p->raw);
    if (p->server && p->server->running) rewind_server(p, true, &ignored);
}
