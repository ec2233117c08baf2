/* Who waits while a snapshot is made: see scenario.h.
 *
 * A server holds so many bytes of payload, and a writer sends it small writes at fixed times
 * (openloop.h) to samples that are there, in no order. A round is a BGSAVE from its command to the
 * end of its child, then as long without one; the longest latency of each is told, by the clock and
 * by one that stands while the machine does (witness.h). At the same times a PING goes to a tq-server
 * that does nothing, and shows what these processors make anybody wait. The last round is for memory
 * (footprint.h), since looking at it holds servers up, and its latencies are not told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "benchmark/fill.h"
#include "benchmark/footprint.h"
#include "benchmark/keeper.h"
#include "benchmark/measure.h"
#include "benchmark/message.h"
#include "benchmark/openloop.h"
#include "benchmark/timing.h"
#include "benchmark/units.h"

#define PARTITION "benchmark:save"

enum { VALUE_BYTES = 32 * 1024, SMALL_BYTES = 64, ROUNDS = 3 };
#define PAYLOAD_BYTES (UINT64_C(4) << 30)
#define SHORTEST_S 1.0 /* of the time without a save */

/* What a phase of all rounds has seen. */
struct phase {
    struct series longest_us, p999_us, machine_us, machine_p999_us, beyond_us;
    struct series idle_us; /* the longest PING by the machine's clock */
    double took_s, stood_s;
};

struct saver {
    struct bench *bench;
    struct witness *witness;
    struct keeper keeper;
    struct openloop_lane lanes[OPENLOOP_LANES]; /* writes, PINGs */
    struct message write, ping;
    size_t key_at;
    uint64_t samples;
    struct random random;
    struct phase during, before; /* a save; without */
    struct series fork_us, save_s;
    uint64_t payload_bytes, extra_bytes;
};

/* ---- requests ------------------------------------------------------------------------------ */

static void make_command(struct message *m, int argc, const char **argv) {
    size_t lengths[8];
    for (int i = 0; i < argc; i++) lengths[i] = strlen(argv[i]);
    message_command(m, argc, argv, lengths);
    message_seal(m);
}

static void make_requests(struct saver *s) {
    char key[BATCH_KEY_LEN + 1] = "", value[SMALL_BYTES + 1] = "";
    const char *ping[] = {"PING"}, *hset[] = {"HSET", key, "note", value};
    const char *put[] = {"TQ.PUT", PARTITION, key, "FIELDS", "1", "note", value};
    bool redis = s->keeper.peer.kind == PEER_REDIS;
    memset(value, 'x', SMALL_BYTES);
    batch_format_key(0, key);
    make_command(&s->ping, 1, ping);
    make_command(&s->write, redis ? 4 : 7, redis ? hset : put);
    const char *text = s->write.iov[0].iov_base;
    s->key_at = (size_t)((char *)memmem(text, s->write.bytes, key, BATCH_KEY_LEN) - text);
}

static struct span next_write(void *context, uint64_t number) {
    struct saver *s = context;
    char *text = s->write.iov[0].iov_base;
    (void)number;
    batch_format_key(random_below(&s->random, s->samples), text + s->key_at);
    return span_of(text, s->write.bytes);
}

static struct span next_ping(void *context, uint64_t number) {
    const struct saver *s = context;
    (void)number;
    return span_of(s->ping.iov[0].iov_base, s->ping.bytes);
}

/* ---- a phase ------------------------------------------------------------------------------- */

struct watch {
    struct saver *saver;
    double seconds; /* go on so long; 0: until the save is over */
    bool has_begun; /* the child has been seen */
    double ended_s; /* when it was not seen any more */
    bool memory;    /* look at that as well */
    uint64_t most;
    double looked_s;
};

enum { BEGIN_S = 10, LOOK_EVERY_MS = 100 };

static void look_at_memory(struct watch *w, double seconds) {
    if (!w->memory || seconds - w->looked_s < LOOK_EVERY_MS / 1000.0) return;
    uint64_t now = footprint_of(w->saver->keeper.peer.pid);
    if (now > w->most) w->most = now;
    w->looked_s = seconds;
}

static const char *dump_name(const struct saver *s) {
    return s->keeper.peer.kind == PEER_REDIS ? "dump.rdb" : "dump.tqs";
}

/* A child that has little to do may be gone before anybody looks: then its file tells. */
static bool goes_on(void *context, double seconds) {
    struct watch *w = context;
    if (w->seconds > 0) return seconds < w->seconds;
    bool runs = footprint_child(w->saver->keeper.peer.pid) != 0;
    look_at_memory(w, seconds);
    if (runs) w->has_begun = true;
    w->ended_s = seconds;
    if (runs || w->has_begun) return runs;
    return seconds < BEGIN_S && !keeper_file_bytes(&w->saver->keeper, dump_name(w->saver));
}

static void keep(struct phase *p, struct openloop_lane *lanes, const struct openloop_time *time) {
    series_add(&p->longest_us, series_quantile(&lanes[0].clock_us, 1));
    series_add(&p->p999_us, series_quantile(&lanes[0].clock_us, 0.999));
    series_add(&p->machine_us, series_quantile(&lanes[0].machine_us, 1));
    series_add(&p->machine_p999_us, series_quantile(&lanes[0].machine_us, 0.999));
    series_add(&p->beyond_us, series_quantile(&lanes[0].beyond_us, 1));
    series_add(&p->idle_us, series_quantile(&lanes[1].machine_us, 1));
    p->took_s += time->took_s;
    p->stood_s += time->stood_s;
}

/* NULL: what was seen is forgotten. */
static int run_phase(struct saver *s, struct watch *w, struct phase *phase, struct error *e) {
    struct openloop loop = {.lanes = s->lanes,
                            .n = OPENLOOP_LANES,
                            .rate = (double)s->bench->options->writes,
                            .witness = s->witness,
                            .goes_on = goes_on,
                            .context = w};
    struct openloop_time time;
    int code = openloop_run(&loop, &time, e);
    if (!code && phase) keep(phase, s->lanes, &time);
    return code;
}

/* ---- a round ------------------------------------------------------------------------------- */

static int note_fork(struct saver *s, struct error *e) {
    const char *section = s->keeper.peer.kind == PEER_REDIS ? "stats" : "persistence";
    int64_t us = 0;
    int code = control_info(&s->keeper.peer.control, section, "latest_fork_usec", 0, &us, e);
    series_add(&s->fork_us, (double)us);
    return code;
}

static int check_saved(struct saver *s, struct error *e) {
    const char *dump = dump_name(s);
    uint64_t bytes = keeper_file_bytes(&s->keeper, dump);
    keeper_remove(&s->keeper, dump); /* and what the system holds of it */
    if (bytes >= s->payload_bytes) return 0;
    return error_set(e, ERROR_ERR, "BGSAVE has left %llu bytes, at least %llu expected",
                     (unsigned long long)bytes, (unsigned long long)s->payload_bytes);
}

/* The command is on its way, its reply is read when all is over: this process does not wait for the
 * fork. */
static int save(struct saver *s, struct watch *w, struct phase *phase, struct error *e) {
    struct control *c = &s->keeper.peer.control;
    int code = control_send(c, "BGSAVE", e);
    if (!code) code = run_phase(s, w, phase, e);
    if (!code) code = control_receive(c, "BGSAVE", e);
    return code ? code : check_saved(s, e);
}

static int one_round(struct saver *s, struct error *e) {
    struct watch during = {.saver = s}, before = {.saver = s};
    int code = save(s, &during, &s->during, e);
    if (code) return code;
    before.seconds = during.ended_s > SHORTEST_S ? during.ended_s : SHORTEST_S;
    series_add(&s->save_s, during.ended_s);
    code = run_phase(s, &before, &s->before, e);
    return code ? code : note_fork(s, e);
}

static int memory_round(struct saver *s, struct error *e) {
    struct watch w = {.saver = s, .memory = true};
    uint64_t empty = footprint_of(s->keeper.peer.pid);
    int code = save(s, &w, NULL, e);
    s->extra_bytes = w.most > empty ? w.most - empty : 0;
    return code;
}

/* ---- life ---------------------------------------------------------------------------------- */

static int fill(struct saver *s, enum link_transport transport, struct error *e) {
    const struct options *o = s->bench->options;
    uint64_t size = o->size ? o->size : PAYLOAD_BYTES;
    struct batch batch;
    int code = batch_make(&batch, o->samples, o->fields,
                          o->value_bytes ? o->value_bytes : VALUE_BYTES, BATCH_MIX_DENSE, e);
    if (code) return code;
    size_t times = (size + batch.payload_bytes / 2) / batch.payload_bytes;
    if (!times) times = 1;
    s->samples = times * batch.samples;
    s->payload_bytes = times * batch.payload_bytes;
    bool redis = s->keeper.peer.kind == PEER_REDIS;
    code = fill_partition(&s->keeper.peer.address, transport, (int)o->buffer,
                          redis ? NULL : PARTITION, &batch, times, e);
    batch_free(&batch);
    return code;
}

static int saver_open(struct saver *s, struct bench *b, enum peer_kind kind,
                      enum link_transport transport, struct error *e) {
    bool redis = kind == PEER_REDIS;
    int buffer = (int)b->options->buffer;
    *s = (struct saver){.bench = b, .random = random_of_seed(1)};
    int code = keeper_make(&s->keeper, b, kind, redis ? "redis-save" : "tq-save", NULL, e);
    if (!code) code = peer_start(&s->keeper.peer, e);
    if (!code) code = fill(s, transport, e);
    if (code) return code;
    make_requests(s);
    s->lanes[0].next = next_write;
    s->lanes[1].next = next_ping;
    s->lanes[0].context = s->lanes[1].context = s;
    code = openloop_open(&s->lanes[0], &s->keeper.peer.address, transport, buffer, e);
    return code ? code : openloop_open(&s->lanes[1], &b->tq.address, transport, buffer, e);
}

static void phase_free(struct phase *p) {
    series_free(&p->longest_us);
    series_free(&p->p999_us);
    series_free(&p->machine_us);
    series_free(&p->machine_p999_us);
    series_free(&p->beyond_us);
    series_free(&p->idle_us);
}

static void saver_close(struct saver *s) {
    for (size_t i = 0; i < OPENLOOP_LANES; i++) openloop_close(&s->lanes[i]);
    message_free(&s->write);
    message_free(&s->ping);
    phase_free(&s->during);
    phase_free(&s->before);
    series_free(&s->fork_us);
    series_free(&s->save_s);
    keeper_end(&s->keeper);
}

/* ---- the scenario -------------------------------------------------------------------------- */

static struct report_spread spread(struct series *s) {
    return (struct report_spread){series_median(s), series_quantile(s, 0), series_quantile(s, 1)};
}

static void summarise(struct phase *p, struct report_pause_phase *out) {
    *out = (struct report_pause_phase){.longest_us = spread(&p->longest_us),
                                       .p999_us = spread(&p->p999_us),
                                       .machine_us = spread(&p->machine_us),
                                       .machine_p999_us = spread(&p->machine_p999_us),
                                       .beyond_us = spread(&p->beyond_us),
                                       .idle_us = spread(&p->idle_us),
                                       .took_s = p->took_s,
                                       .stood_s = p->stood_s};
}

static void report(struct bench *b, struct saver *s, size_t rounds, enum link_transport transport) {
    struct report_pause r = {.scenario = options_scenario_name(SCENARIO_BGSAVE),
                             .peer = s->keeper.peer.kind == PEER_REDIS ? "redis" : "tq",
                             .samples = s->samples,
                             .fields = b->options->fields,
                             .payload_bytes = s->payload_bytes,
                             .transport = link_transport_name(transport),
                             .rounds = rounds,
                             .rate = (double)b->options->writes,
                             .has_machine = s->witness != NULL,
                             .save_s = series_median(&s->save_s),
                             .fork_us = series_median(&s->fork_us),
                             .extra_bytes = s->extra_bytes};
    r.value_bytes = s->payload_bytes / s->samples / r.fields;
    summarise(&s->during, &r.during);
    summarise(&s->before, &r.before);
    report_add_pause(&b->report, &r);
}

static int check_memory(const struct bench *b, struct error *e) {
    struct units_text need_text, there_text;
    uint64_t size = b->options->size ? b->options->size : PAYLOAD_BYTES;
    uint64_t need = size * (1 + b->has_redis) * 5 / 4, there = memory_available();
    if (need <= there) return 0;
    return error_set(e, ERROR_OOM, "bgsave of %s needs about that much of memory, and %s are free",
                     units_bytes(need, &need_text), units_bytes(there, &there_text));
}

static int run_all(struct bench *b, struct witness *w, enum link_transport transport,
                   struct error *e) {
    const struct options *o = b->options;
    struct saver savers[2] = {0};
    size_t n = 1 + b->has_redis, rounds = o->rounds_given ? o->rounds : ROUNDS;
    int code = 0;
    for (size_t i = 0; i < n && !code; i++) {
        code = saver_open(&savers[i], b, i ? PEER_REDIS : PEER_TQ, transport, e);
        savers[i].witness = w;
    }
    for (size_t r = 0; r < rounds && !code; r++)
        for (size_t i = 0; i < n && !code; i++) code = one_round(&savers[r % 2 ? n - 1 - i : i], e);
    for (size_t i = 0; i < n && !code; i++) code = memory_round(&savers[i], e);
    for (size_t i = 0; i < n && !code; i++) report(b, &savers[i], rounds, transport);
    for (size_t i = 0; i < n; i++) saver_close(&savers[i]);
    return code;
}

int scenario_bgsave(struct bench *b, enum link_transport transport, struct error *e) {
    struct error why_not;
    int code = check_memory(b, e);
    if (!code) code = bench_renew(b, false, e);
    if (code) return code;
    struct witness *w = witness_start(&why_not); /* without one, the clock alone is told */
    code = run_all(b, w, transport, e);
    witness_stop(w);
    return code;
}
