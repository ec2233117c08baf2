/* How long a server takes to have again what it kept: see scenario.h.
 *
 * What is to be loaded is made once: the same samples as a snapshot (SAVE) and as an op log. Then
 * servers are started on either, round by round, and the time is what the server itself says in its
 * log that loading took. Beside them this process reads the snapshot's file into fresh memory of
 * the server's kind (`read`); and again, and then touches as much more as the server has resident
 * when it has loaded (`keep`): less can't be done by who ends up with that much memory. Files are
 * in the system's cache: they are read before, off the clock. The clock is the machine's (witness.h),
 * where there may be one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "benchmark/fill.h"
#include "benchmark/interrupt.h"
#include "benchmark/keeper.h"
#include "benchmark/measure.h"
#include "benchmark/timing.h"
#include "benchmark/witness.h"

#define PARTITION "benchmark:load"
#define DUMP "dump.tqs"

enum {
    VALUE_BYTES = 32 * 1024,
    PAYLOAD_BYTES = 1 << 30,
    SMALL_SAMPLES = 10 * 1000 * 1000,
    SMALL_BATCH = 1000,
    SMALL_VALUE = 64,
    SMALL_KEY = 12,
    READ_BYTES = 1 << 20, /* at a time */
    PAGE_BYTES = 4096,
};

enum { SNAPSHOT, LOG, READ, KEEP, PEERS };

struct load_run {
    struct bench *bench;
    struct batch batch;
    size_t times; /* that it is there, each time under other keys */
    struct keeper keepers[2];
    struct measure_wave wave;
    struct measure_peer measures[PEERS];
    char *path; /* of the snapshot */
    uint64_t file_bytes;
    struct witness *witness;
    int64_t took_ns, stood_ns; /* all rounds, by the clock */
};

/* ---- what is loaded ------------------------------------------------------------------------ */

static enum link_transport transport_of(const struct options *o) {
    return o->transports[LINK_TCP] ? LINK_TCP : LINK_UNIX;
}

/* Logs are not synced while they are made: that is not what is measured. */
static int make_kept(struct load_run *run, size_t which, struct error *e) {
    static const char *const names[] = {"tq-snapshot", "tq-log"};
    const struct options *o = run->bench->options;
    struct keeper *k = &run->keepers[which];
    int code = keeper_make(k, run->bench, PEER_TQ, names[which], which == LOG ? "no" : NULL, e);
    if (!code) code = peer_start(&k->peer, e);
    if (!code)
        code = fill_partition(&k->peer.address, transport_of(o), (int)o->buffer, PARTITION,
                              &run->batch, run->times, e);
    if (!code && which == SNAPSHOT) code = control_do(&k->peer.control, NULL, e, "SAVE");
    peer_stop(&k->peer);
    return code;
}

/* ---- a round ------------------------------------------------------------------------------- */

/* When a line was logged ("PID 22 Nov 2026 02:08:50.235 …", in UTC, see peer.c), as of
 * timing_now_ns. */
static int64_t logged_at(const char *line) {
    struct tm tm = {0};
    struct timespec now;
    int ms = 0;
    const char *date = strchr(line, ' '),
               *rest = date ? strptime(date + 1, "%d %b %Y %H:%M:%S", &tm) : NULL;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t at = timing_now_ns();
    if (!rest || sscanf(rest, ".%3d", &ms) != 1) return at;
    return at - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec) +
           (int64_t)timegm(&tm) * 1000000000 + (int64_t)ms * 1000000;
}

/* "loaded … in 1.234 s": the last such line, and when it was written. */
static int loading_ns(const struct peer *p, int64_t *ns, int64_t *end, struct error *e) {
    char path[PEER_LOG_MAX], line[512];
    double seconds = -1;
    peer_log_path(p, path);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        const char *loaded = strstr(line, "loaded "), *in = loaded ? strstr(loaded, " in ") : NULL;
        if (loaded) *end = logged_at(line);
        for (; in; in = strstr(in + 1, " in ")) sscanf(in, " in %lf s", &seconds);
    }
    if (file) fclose(file);
    if (seconds < 0) return error_set(e, ERROR_ERR, "%s does not say that it has loaded", path);
    *ns = (int64_t)((seconds > 0.0005 ? seconds : 0.0005) * 1e9); /* it tells milliseconds */
    return 0;
}

/* A round took so long until `end`: what the machine stood meanwhile is taken off. */
static void add_round(struct load_run *run, size_t which, int64_t end, int64_t ns,
                      int64_t client_cpu_ns) {
    witness_settle(run->witness, end);
    int64_t stood = witness_all_ns(run->witness, end - ns, end);
    if (stood > ns / 2 && ns < 10 * 1000000)
        stood = ns / 2; /* servers tell milliseconds: something is left of them */
    run->took_ns += ns;
    run->stood_ns += stood;
    measure_add_round(&run->measures[which], &run->wave, 1, ns - stood, client_cpu_ns);
}

static int load_round(struct load_run *run, size_t which, struct error *e) {
    struct peer *p = &run->keepers[which].peer;
    int64_t samples = 0, ns = 0, end = 0;
    keeper_warm(&run->keepers[which]);
    int code = peer_start(p, e);
    if (!code) code = loading_ns(p, &ns, &end, e);
    if (!code) code = control_do(&p->control, &samples, e, "TQ.COUNT " PARTITION);
    if (!code && samples != (int64_t)run->wave.samples)
        code = error_set(e, ERROR_ERR, "%lld samples were loaded, %llu expected",
                         (long long)samples, (unsigned long long)run->wave.samples);
    run->measures[which].pid = p->pid;
    if (!code) add_round(run, which, end, ns, 0);
    peer_stop(p);
    return code;
}

static int read_into(int fd, char *out, uint64_t bytes, struct error *e) {
    while (bytes) {
        ssize_t got = read(fd, out, bytes < READ_BYTES ? bytes : READ_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return error_set(e, ERROR_ERR, "can't read a snapshot: %s",
                             got ? strerror(errno) : "it is too short");
        out += got;
        bytes -= (uint64_t)got;
    }
    return 0;
}

/* A byte a page. */
static void touch(char *bytes, uint64_t n) {
    for (uint64_t i = 0; i < n; i += PAGE_BYTES) ((volatile char *)bytes)[i] = 1;
}

/* With READ into so much memory as the file needs, with KEEP as the server did. */
static int read_round(struct load_run *run, size_t which, struct error *e) {
    uint64_t resident = run->measures[SNAPSHOT].resident, more = 0;
    if (which == KEEP && resident > run->file_bytes) more = resident - run->file_bytes;
    struct memory memory;
    keeper_warm(&run->keepers[SNAPSHOT]);
    int fd = open(run->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return error_set(e, ERROR_ERR, "can't open %s: %s", run->path, strerror(errno));
    int64_t began = timing_now_ns(), own = timing_own_cpu_ns();
    int code = memory_map(&memory, run->file_bytes + more, false, e);
    if (!code) code = read_into(fd, memory.bytes, run->file_bytes, e);
    if (!code) touch(memory.bytes + run->file_bytes, more);
    int64_t end = timing_now_ns(), cpu = timing_own_cpu_ns() - own;
    memory_unmap(&memory);
    close(fd);
    if (!code) add_round(run, which, end, end - began, cpu);
    return code;
}

static int rounds(struct load_run *run, struct error *e) {
    int code = 0;
    for (size_t r = 0; r < run->bench->options->rounds && !code; r++) {
        for (size_t i = 0; i < PEERS && !code; i++) {
            size_t which = r % 2 ? PEERS - 1 - i : i;
            code = interrupt_check(e);
            if (!code) code = which >= READ ? read_round(run, which, e) : load_round(run, which, e);
        }
    }
    return code;
}

/* ---- the scenario -------------------------------------------------------------------------- */

static int find_snapshot(struct load_run *run, struct error *e) {
    const struct keeper *k = &run->keepers[SNAPSHOT];
    run->file_bytes = keeper_file_bytes(k, DUMP);
    if (!run->file_bytes)
        return error_set(e, ERROR_ERR, "SAVE has left no %s in %s", DUMP, k->directory);
    if (asprintf(&run->path, "%s/" DUMP, k->directory) < 0) abort();
    return 0;
}

static void report(struct load_run *run) {
    struct bench *b = run->bench;
    const struct batch *batch = &run->batch;
    struct measure_peer *measures[PEERS];
    struct report_result r = {.scenario = options_scenario_name(SCENARIO_LOAD),
                              .mix = batch_mix_name(batch->mix),
                              .samples = batch->samples,
                              .fields = batch->n_fields,
                              .value_bytes = batch->value_bytes,
                              .payload_bytes = batch->payload_bytes,
                              .transport = link_transport_name(transport_of(b->options)),
                              .connections = 1,
                              .pipeline = 1,
                              .rounds = b->options->rounds,
                              .waves = 1,
                              .cold = true,
                              .partition_samples = run->wave.samples,
                              .took_s = (double)run->took_ns / 1e9,
                              .stood_s = (double)run->stood_ns / 1e9};
    for (size_t i = 0; i < PEERS; i++) measures[i] = &run->measures[i];
    measure_summarise(measures, PEERS, &r);
    report_add(&b->report, &r);
}

static int run_case(struct load_run *run, struct error *e) {
    static const char *const names[PEERS] = {"snapshot", "log", "read", "keep"};
    run->wave = (struct measure_wave){run->times * run->batch.payload_bytes,
                                      run->times * run->batch.samples, 1};
    for (size_t i = 0; i < PEERS; i++) run->measures[i].name = names[i];
    int code = make_kept(run, SNAPSHOT, e);
    if (!code) code = make_kept(run, LOG, e);
    if (!code) code = find_snapshot(run, e);
    if (!code) code = rounds(run, e);
    if (!code) report(run);
    for (size_t i = 0; i < PEERS; i++) measure_free(&run->measures[i]);
    for (size_t i = 0; i < 2; i++) keeper_end(&run->keepers[i]);
    free(run->path);
    batch_free(&run->batch);
    return code;
}

static int run_large(struct bench *b, struct witness *w, struct error *e) {
    const struct options *o = b->options;
    struct load_run run = {.bench = b, .witness = w};
    uint64_t size = o->size ? o->size : PAYLOAD_BYTES;
    int code = batch_make(&run.batch, o->samples, o->fields,
                          o->value_bytes ? o->value_bytes : VALUE_BYTES, BATCH_MIX_DENSE, e);
    if (code) return code;
    run.times = (size + run.batch.payload_bytes / 2) / run.batch.payload_bytes;
    if (!run.times) run.times = 1;
    return run_case(&run, e);
}

static int run_small(struct bench *b, struct witness *w, struct error *e) {
    const struct options *o = b->options;
    struct load_run run = {.bench = b, .witness = w};
    uint64_t samples = o->n_partitions ? o->partitions[o->n_partitions - 1] : SMALL_SAMPLES;
    size_t each = samples < SMALL_BATCH ? samples : SMALL_BATCH;
    int code = batch_make(&run.batch, each, 1, SMALL_VALUE, BATCH_MIX_DENSE, e);
    if (code) return code;
    batch_widen_keys(&run.batch, SMALL_KEY);
    run.times = samples / each;
    return run_case(&run, e);
}

int scenario_load(struct bench *b, struct error *e) {
    struct error why_not;
    struct witness *w = witness_start(&why_not);
    if (!w)
        report_note(&b->report, "load: what the machine stood is not taken off: %s", why_not.text);
    int code = run_large(b, w, e);
    if (!code) code = run_small(b, w, e);
    witness_stop(w);
    return code;
}
