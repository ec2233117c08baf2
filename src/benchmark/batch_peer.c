/* See batch_peer.h. */
#include "benchmark/batch_peer.h"

#include "base/mem.h"

static size_t slots_of(const struct batch_setting *s) {
    return speech_has_slots(s->scenario) ? s->connections * s->pipeline : 1;
}

/* ---- waves --------------------------------------------------------------------------------- */

static bool next_message(void *context, size_t connection, struct drive_message *m) {
    struct batch_peer *p = context;
    size_t pipeline = p->setting->pipeline;
    if (p->sent[connection] == pipeline) return false;
    size_t slot = connection * pipeline + p->sent[connection]++;
    const struct message *request = &p->speech.requests[slot % p->speech.n_requests];
    *m = (struct drive_message){request->iov, request->n_iov, p->speech.replies};
    return true;
}

/* TQ.CLEAR, or TQ.RESET for the sampling scenarios, of every partition in use. */
static int rewind_server(struct batch_peer *p, bool clear, struct error *e) {
    char partition[SPEECH_PARTITION_MAX];
    int code = 0;
    if (p->kind != BATCH_PEER_TQ) return 0;
    for (size_t i = 0; i < slots_of(p->setting) && !code; i++)
        code = control_do(&p->server->control, NULL, e, clear ? "TQ.CLEAR %s" : "TQ.RESET %s",
                          speech_partition(i, partition));
    return code;
}

static int before_wave(void *context, struct error *e) {
    struct batch_peer *p = context;
    bool takes = p->speech.is_get && speech_has_slots(p->setting->scenario);
    int code = 0;
    if (!p->speech.is_get || takes) code = rewind_server(p, !takes, e);
    for (size_t i = 0; i < p->setting->connections; i++) p->sent[i] = 0;
    p->before = drive_counts(&p->drive);
    return code;
}

static int count_wrong(const char *what, uint64_t got, uint64_t wanted, struct error *e) {
    return error_set(e, ERROR_ERR, "a wave brought %llu %s, %llu expected", (unsigned long long)got,
                     what, (unsigned long long)wanted);
}

/* Cheap enough for every wave: the number of samples written, or of values and bytes read. */
static int after_wave(void *context, struct error *e) {
    struct batch_peer *p = context;
    struct inlet now = drive_counts(&p->drive);
    const struct batch *b = p->setting->batch;
    uint64_t messages = p->setting->connections * p->setting->pipeline;
    if (p->speech.is_get) {
        uint64_t values = now.values - p->before.values;
        if (values != messages * p->speech.values)
            return count_wrong("values", values, messages * p->speech.values, e);
        return now.nils == p->before.nils ? 0 : error_set(e, ERROR_ERR, "a wave brought a nil");
    }
    if (p->kind != BATCH_PEER_TQ) return 0;
    uint64_t fresh = (uint64_t)(now.sum - p->before.sum),
             wanted = b->samples * slots_of(p->setting);
    return fresh == wanted ? 0 : count_wrong("new samples", fresh, wanted, e);
}

/* ---- proof --------------------------------------------------------------------------------- */

static bool once(void *context, size_t connection, struct drive_message *m) {
    struct speech *s = context;
    (void)connection;
    if (!s->n_requests) return false;
    *m = (struct drive_message){s->requests->iov, s->requests->n_iov, s->replies};
    s->n_requests = 0; /* the message stays the maker's to free */
    return true;
}

/* Send a speech's first request over a connection of its own; `check` the answer. */
static int converse(struct batch_peer *p, const struct speech *s, bool check, struct error *e) {
    const struct batch_setting *setting = p->setting;
    struct speech left = *s;
    struct drive drive;
    struct drive_source source = {once, &left};
    struct drive_time time = {0};
    struct inlet *in = speech_inlet(s, e);
    if (!in) return e->code;
    bool rows = check && !s->columns;
    if (rows) rows_expect(in, s->batch, s->with_keys);
    int code =
        drive_open(&drive, &p->server->address, setting->transport, setting->buffer, 1, 1, &in, e);
    if (code) return code;
    code = drive_run(&drive, &source, &time, e);
    if (!code && check && s->columns) code = speech_check_landed(s, in, e);
    if (!code && rows && in->values != s->values)
        code = count_wrong("values", in->values, s->values, e);
    drive_close(&drive);
    return code ? measure_blame(&p->measure, e) : 0;
}

/* What was put comes back as it was. */
static int prove_put(struct batch_peer *p, struct error *e) {
    struct speech reading;
    if (p->kind == BATCH_PEER_RAW) return 0;
    bool columns = p->setting->scenario == SCENARIO_MPUT;
    speech_make(&reading, columns ? SCENARIO_MGET : SCENARIO_GET, p->kind == BATCH_PEER_REDIS,
                p->setting->batch, 1);
    int code = converse(p, &reading, true, e);
    speech_free(&reading);
    return code;
}

/* One more wave, all of which is compared. */
static int prove_get(struct batch_peer *p, struct error *e) {
    const struct speech *s = &p->speech;
    size_t n = p->setting->connections;
    for (size_t i = 0; i < n && !s->columns; i++)
        rows_expect(p->drive.connections[i].inlet, s->batch, s->with_keys);
    int code = measure_warm_up(&p->measure, e);
    for (size_t i = 0; i < n && !code; i++) {
        struct inlet *in = p->drive.connections[i].inlet;
        if (!s->columns)
            rows_expect(in, NULL, false);
        else if ((code = speech_check_landed(s, in, e)))
            measure_blame(&p->measure, e);
    }
    return code;
}

int batch_peer_prove(struct batch_peer *p, struct error *e) {
    return p->speech.is_get ? prove_get(p, e) : prove_put(p, e);
}

/* ---- life ---------------------------------------------------------------------------------- */

void batch_peer_make(struct batch_peer *p, enum batch_peer_kind kind, const struct batch_setting *s,
                     struct peer *server) {
    static const char *const names[] = {"tq", "raw", "redis"};
    *p = (struct batch_peer){.kind = kind, .setting = s, .server = server};
    speech_make(&p->speech, s->scenario, kind == BATCH_PEER_REDIS, s->batch,
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
    speech_free(&p->speech);
    mem_free(p->sent);
    measure_free(&p->measure);
    *p = (struct batch_peer){0};
}

/* Put the batch where it is to be read: into each partition that is read or taken from. */
static int fill(struct batch_peer *p, struct error *e) {
    struct speech writing;
    if (p->kind == BATCH_PEER_RAW) return 0;
    bool rows = p->kind == BATCH_PEER_REDIS || p->setting->scenario == SCENARIO_GET;
    int code = rewind_server(p, true, e);
    speech_make(&writing, rows ? SCENARIO_PUT : SCENARIO_MPUT, p->kind == BATCH_PEER_REDIS,
                p->setting->batch, slots_of(p->setting));
    for (size_t i = 0; i < writing.n_requests && !code; i++) {
        struct speech one = writing;
        one.requests += i;
        one.n_requests = 1;
        code = converse(p, &one, false, e);
    }
    speech_free(&writing);
    return code;
}

static int start_raw(struct batch_peer *p, struct error *e) {
    const struct batch_setting *s = p->setting;
    struct rawpeer_plan plan = {.connections = s->connections,
                                .pipeline = s->pipeline,
                                .request_bytes = p->speech.requests->bytes,
                                .reply = &p->speech.reply,
                                .fresh = s->cold,
                                .transport = s->transport,
                                .buffer = s->buffer};
    return rawpeer_start(&p->raw, &plan, s->raw_path, e);
}

static int connect_all(struct batch_peer *p, const struct link_address *a, struct error *e) {
    const struct batch_setting *s = p->setting;
    struct inlet **inlets = mem_calloc(s->connections, sizeof(struct inlet *));
    int code = 0;
    for (size_t i = 0; i < s->connections && !code; i++) {
        inlets[i] = speech_inlet(&p->speech, e);
        if (!inlets[i]) code = e->code;
    }
    if (code)
        for (size_t i = 0; i < s->connections; i++) inlet_free(inlets[i]);
    else
        code = drive_open(&p->drive, a, s->transport, s->buffer, s->connections, s->pipeline,
                          inlets, e);
    mem_free(inlets);
    return code;
}

int batch_peer_open(struct batch_peer *p, struct error *e) {
    bool raw = p->kind == BATCH_PEER_RAW;
    int code = raw ? start_raw(p, e) : 0;
    if (code) return code;
    code = connect_all(p, raw ? &p->raw.address : &p->server->address, e);
    p->measure.pid = raw ? p->raw.pid : p->server->pid;
    if (!code && p->speech.is_get) code = fill(p, e);
    if (p->setting->cold || code) return code;
    code = measure_warm_up(&p->measure, e);
    return code ? code : batch_peer_prove(p, e);
}

void batch_peer_close(struct batch_peer *p) {
    struct error ignored;
    drive_close(&p->drive);
    rawpeer_stop(&p->raw);
    if (p->server && p->server->running) rewind_server(p, true, &ignored);
}
