/* How long a blocked consumer takes to get the sample that it waits for: see scenario.h.
 *
 * Two connections and one thread. The consumer is parked in TQ.SAMPLE, the producer has written all
 * of a sample but one field; the clock runs from just before the write of that field to the
 * consumer's reply, read and parsed. Redis does the same with BLPOP and LPUSH. Sockets block,
 * and only the consumer's is read while the clock runs, so that this process adds a system call
 * each way and nothing else. Rounds are short and many, and quantiles are taken within a round, so
 * that a pause of the machine spoils one round, not the tail of them all. */
#include "benchmark/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "benchmark/commands.h"
#include "benchmark/interrupt.h"
#include "benchmark/measure.h"
#include "benchmark/replies.h"
#include "benchmark/timing.h"

#define PARTITION "benchmark:wake"

enum { ROUNDS = 101, WAKES = 500, WARM_WAKES = 20, VALUE_BYTES = 64, PATIENCE_S = 60 };

/* A command as text, and where in it the sample's key stands (0: nowhere). */
struct wake_command {
    struct request_writer request;
    char *text;
    size_t key_at;
};

struct wake_end {
    int fd;
    struct replies *replies;
};

struct wake_peer {
    struct peer *server;
    bool is_redis;
    struct wake_end consumer, producer;
    struct wake_command wait, prepare, complete;
    size_t wakes;                 /* of a round */
    struct series p50, p99, p999; /* in µs, a value a round */
    struct measure_peer measure;
};

/* ---- commands ------------------------------------------------------------------------------ */

static void make_command(struct wake_command *c, size_t argc, const char *const *argv,
                         const char *key) {
    size_t n;
    commands_words(&c->request, argc, argv);
    c->text = request_writer_iov(&c->request, &n)->iov_base; /* all of it: words are copied */
    const char *at = key ? memmem(c->text, c->request.bytes, key, strlen(key)) : NULL;
    c->key_at = at ? (size_t)(at - c->text) : 0;
}

/* The field that is there first is small: then both replies bring a key and a value of one size. */
static void make_for_tq(struct wake_peer *p, const char *value) {
    char key[BATCH_KEY_LEN + 1] = "";
    batch_format_key(0, key);
    const char *sample[] = {"TQ.SAMPLE", PARTITION, "t",     "COUNT", "1",  "FIELDS", "2",
                            "a",         "b",       "BLOCK", "0",     "AS", "ROWS"};
    const char *put_a[] = {"TQ.PUT", PARTITION, key, "FIELDS", "1", "a", "1"};
    const char *put_b[] = {"TQ.PUT", PARTITION, key, "FIELDS", "1", "b", value};
    make_command(&p->wait, 13, sample, NULL);
    make_command(&p->prepare, 7, put_a, key);
    make_command(&p->complete, 7, put_b, key);
}

/* Redis needs nothing first, but gets as many commands. */
static void make_for_redis(struct wake_peer *p, const char *value) {
    const char *blpop[] = {"BLPOP", PARTITION, "0"};
    const char *ping[] = {"PING"};
    const char *lpush[] = {"LPUSH", PARTITION, value};
    make_command(&p->wait, 3, blpop, NULL);
    make_command(&p->prepare, 1, ping, NULL);
    make_command(&p->complete, 3, lpush, NULL);
}

static void make_commands(struct wake_peer *p, size_t value_bytes) {
    char *value = mem_calloc(1, value_bytes + 1);
    memset(value, 'x', value_bytes);
    if (p->is_redis)
        make_for_redis(p, value);
    else
        make_for_tq(p, value);
    mem_free(value);
}

/* ---- both ends ----------------------------------------------------------------------------- */

static int open_end(struct wake_end *end, const struct peer *server, enum link_transport transport,
                    const struct options *o, struct error *e) {
    const struct timeval patience = {1, 0};
    size_t value_bytes = o->value_bytes ? o->value_bytes : VALUE_BYTES;
    int failed = link_connect(&server->address, transport, (int)o->buffer, true, &end->fd, e);
    if (failed) {
        end->fd = -1;
        return failed;
    }
    setsockopt(end->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    end->replies = replies_new_rows(0, value_bytes, e);
    return end->replies ? 0 : (int)e->code;
}

static void close_end(struct wake_end *end) {
    if (end->fd >= 0) close(end->fd);
    replies_free(end->replies);
}

static int say(struct wake_end *end, const struct wake_command *c, struct error *e) {
    const char *at = c->text;
    size_t left = c->request.bytes;
    while (left) {
        ssize_t sent = send(end->fd, at, left, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return error_set(e, ERROR_ERR, "can't send to the server: %s", strerror(errno));
        if (sent < 0) continue;
        at += sent;
        left -= (size_t)sent;
    }
    return 0;
}

/* The next reply. A read ends without one after a second, or when a signal came. */
static int hear(struct wake_end *end, struct error *e) {
    const uint64_t *replies = &replies_count(end->replies)->replies, before = *replies;
    int64_t began = timing_now_ns();
    while (*replies == before) {
        int failed = replies_fill(end->replies, end->fd, e);
        if (!failed) failed = interrupt_check(e);
        if (failed) return failed;
        if (timing_now_ns() - began > PATIENCE_S * INT64_C(1000000000))
            return error_set(e, ERROR_ERR, "no reply for %d seconds", PATIENCE_S);
    }
    if (*replies == before + 1) return 0;
    return error_set(e, ERROR_ERR, "a reply to no request");
}

static int check_waits(const struct wake_end *end, struct error *e) {
    char byte;
    if (recv(end->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) return 0;
    return error_set(e, ERROR_ERR, "the consumer got a reply before there was anything for it");
}

/* ---- a round ------------------------------------------------------------------------------- */

static void set_key(struct wake_command *c, size_t number) {
    if (c->key_at) batch_format_key(number, c->text + c->key_at);
}

/* When the producer has its reply to `prepare`, the consumer's command, which was sent before, has
 * been seen too. */
static int wake(struct wake_peer *p, size_t number, int64_t *ns, struct error *e) {
    set_key(&p->prepare, number);
    set_key(&p->complete, number);
    int failed = say(&p->consumer, &p->wait, e);
    if (!failed) failed = say(&p->producer, &p->prepare, e);
    if (!failed) failed = hear(&p->producer, e);
    if (!failed) failed = check_waits(&p->consumer, e);
    if (failed) return failed;
    int64_t began = timing_now_ns();
    failed = say(&p->producer, &p->complete, e);
    if (!failed) failed = hear(&p->consumer, e);
    *ns = timing_now_ns() - began;
    return failed ? failed : hear(&p->producer, e);
}

/* Begins empty, and what was sampled is removed at once, as from a list: so both use the same
 * memory again and again, which stays in the processor's caches. */
static int start_over(struct wake_peer *p, struct error *e) {
    struct control *c = &p->server->control;
    if (p->is_redis) return control_do(c, NULL, e, "DEL", PARTITION, NULL);
    int failed = control_do(c, NULL, e, "TQ.CLEAR", PARTITION, NULL);
    return failed ? failed
                  : control_do(c, NULL, e, "TQ.CREATE", PARTITION, "RETIRE", "1", "t", NULL);
}

/* What came back is counted: the key and two fields, or the list's name and a value. */
static int some_wakes(struct wake_peer *p, size_t n, struct series *us, struct error *e) {
    const struct replies_counts *counts = replies_count(p->consumer.replies);
    uint64_t before = counts->values, wanted = n * (p->is_redis ? 2 : 3);
    int failed = start_over(p, e);
    for (size_t i = 0; i < n && !failed; i++) {
        int64_t ns = 0;
        failed = wake(p, i, &ns, e);
        series_add(us, (double)ns / 1000);
    }
    uint64_t values = counts->values - before;
    if (!failed && values != wanted)
        failed = error_set(e, ERROR_ERR, "%zu wakes brought %llu values, %llu expected", n,
                           (unsigned long long)values, (unsigned long long)wanted);
    return failed ? measure_blame(&p->measure, e) : 0;
}

static int warm_up(struct wake_peer *p, struct error *e) {
    struct series ignored = {0};
    int failed = some_wakes(p, p->wakes < WARM_WAKES ? p->wakes : WARM_WAKES, &ignored, e);
    series_free(&ignored);
    return failed;
}

static void keep(struct wake_peer *p, struct series *us, int64_t cpu_ns, int64_t client_ns) {
    struct measure_peer *m = &p->measure;
    double sum_us = 0;
    for (size_t i = 0; i < us->n; i++) sum_us += us->values[i];
    series_add(&p->p50, series_quantile(us, 0.5));
    series_add(&p->p99, series_quantile(us, 0.99));
    series_add(&p->p999, series_quantile(us, 0.999));
    series_add(&m->rate, (double)us->n / (sum_us / 1e6));
    series_add(&m->cpu_us, (double)cpu_ns / 1000 / (double)us->n);
    m->elapsed_ns += (int64_t)(sum_us * 1000);
    m->cpu_ns += cpu_ns;
    m->client_cpu_ns += client_ns;
    m->requests += us->n;
    size_t resident = timing_resident(m->pid);
    if (resident > m->resident) m->resident = resident;
}

static int one_round(struct wake_peer *p, struct error *e) {
    struct series us = {0};
    int failed = warm_up(p, e);
    int64_t cpu = timing_cpu_ns(p->measure.pid), own = timing_own_cpu_ns();
    if (!failed) failed = some_wakes(p, p->wakes, &us, e);
    if (!failed) keep(p, &us, timing_cpu_ns(p->measure.pid) - cpu, timing_own_cpu_ns() - own);
    series_free(&us);
    return failed;
}

/* ---- a peer's life ------------------------------------------------------------------------- */

static void peer_make(struct wake_peer *p, struct bench *b, struct peer *server) {
    const struct options *o = b->options;
    bool redis = server->kind == PEER_REDIS;
    *p = (struct wake_peer){.server = server, .is_redis = redis};
    p->consumer.fd = p->producer.fd = -1;
    p->wakes = o->requests ? o->requests : WAKES;
    p->measure = (struct measure_peer){.name = redis ? "redis" : "tq", .pid = server->pid};
    make_commands(p, o->value_bytes ? o->value_bytes : VALUE_BYTES);
}

static void peer_free(struct wake_peer *p) {
    close_end(&p->consumer);
    close_end(&p->producer);
    request_writer_free(&p->wait.request);
    request_writer_free(&p->prepare.request);
    request_writer_free(&p->complete.request);
    series_free(&p->p50);
    series_free(&p->p99);
    series_free(&p->p999);
    measure_free(&p->measure);
}

static int connect_peer(struct wake_peer *p, const struct options *o, enum link_transport transport,
                        struct error *e) {
    int failed = open_end(&p->consumer, p->server, transport, o, e);
    return failed ? failed : open_end(&p->producer, p->server, transport, o, e);
}

/* ---- the scenario -------------------------------------------------------------------------- */

static void summarise(struct wake_peer *peers, size_t n, struct report_result *r) {
    struct measure_peer *measures[2] = {&peers[0].measure, &peers[1].measure};
    measure_summarise(measures, n, r);
    for (size_t i = 1; i < n; i++) {
        r->peers[i].p50_ratio = measure_ratio(&peers[0].p50, &peers[i].p50);
        r->peers[i].p99_ratio = measure_ratio(&peers[0].p99, &peers[i].p99);
    }
    for (size_t i = 0; i < n; i++) {
        r->peers[i].p50_us = series_median(&peers[i].p50);
        r->peers[i].p99_us = series_median(&peers[i].p99);
        r->peers[i].p999_us = series_median(&peers[i].p999);
    }
}

static int run_rounds(struct wake_peer *peers, size_t n, size_t rounds, struct error *e) {
    int failed = 0;
    for (size_t r = 0; r < rounds && !failed; r++)
        for (size_t i = 0; i < n && !failed; i++)
            failed = one_round(&peers[r % 2 ? n - 1 - i : i], e);
    return failed;
}

int scenario_wake(struct bench *b, enum link_transport transport, struct error *e) {
    const struct options *o = b->options;
    struct wake_peer peers[2];
    size_t n = 1 + b->has_redis, rounds = o->rounds_given ? o->rounds : ROUNDS;
    int failed = bench_renew(b, true, e);
    if (failed) return failed;
    for (size_t i = 0; i < n; i++) peer_make(&peers[i], b, i ? &b->redis : &b->tq);
    for (size_t i = 0; i < n && !failed; i++) failed = connect_peer(&peers[i], o, transport, e);
    if (!failed) failed = run_rounds(peers, n, rounds, e);
    if (!failed) {
        struct report_result r = {.scenario = options_scenario_name(SCENARIO_WAKE),
                                  .transport = link_transport_name(transport),
                                  .connections = 2,
                                  .pipeline = 1,
                                  .rounds = rounds,
                                  .waves = peers[0].wakes,
                                  .value_bytes = o->value_bytes ? o->value_bytes : VALUE_BYTES};
        summarise(peers, n, &r);
        report_add(&b->report, &r);
    }
    for (size_t i = 0; i < n; i++) peer_free(&peers[i]);
    struct error ignored;
    control_do(&b->tq.control, NULL, &ignored, "TQ.CLEAR", PARTITION, NULL);
    return failed;
}
