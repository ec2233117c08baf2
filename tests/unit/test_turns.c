/* Turns of the whole server, in orders of events that the test draws: simulated sockets, clock and failing files (kit/simsock.h,
 * kit/simloop.h), the server's own commands. What must hold in every order:
 *
 *   - nothing is sent before the log has, written and synced, what was done before;
 *   - replies come whole, in order, one for each command;
 *   - when nothing more is ready, each call that still waits would have to wait if it came now; no call is forgotten;
 *   - the server comes to rest: it does not try in vain for ever;
 *   - a reader that gets nothing but the frames of turns has the same store, with a log and without;
 *   - memory that was held for clients is free again when they are gone. */
#include "kit/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "cmd/cmd.h"
#include "kit/fail.h"
#include "kit/follower.h"
#include "kit/simloop.h"
#include "kit/simsock.h"
#include "kit/source.h"
#include "persist/opcodec.h"
#include "server/client.h"
#include "server/config.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/sample.h"
#include "store/store.h"

enum {
    CLIENTS = 6,
    REQUESTS_MAX = 4, /* that a client has sent and not seen answered */
    WORDS_MAX = 32,
    REST_PASSES = 20000, /* within which the server comes to rest */
    VALUE_LARGE = 40000, /* received directly into the memory of a column */
    MEMORY_SLACK = 32 * 1024,
};

/* ---- the simulated machine ---------------------------------------------------------------- */

int64_t __wrap_clock_monotonic_us(void);
int64_t __wrap_clock_wall_us(void);
size_t __wrap_store_apply(struct store *s, const struct op *op);
size_t __real_store_apply(struct store *s, const struct op *op);
size_t __wrap_utf8_valid_prefix(struct span text);
size_t __real_utf8_valid_prefix(struct span text);
int __wrap_sample_plan(const struct store *s, const struct sample_call *take, int64_t now_ms,
                       struct scratch *scratch, struct sampled *out, struct error *e);
int __real_sample_plan(const struct store *s, const struct sample_call *take, int64_t now_ms,
                       struct scratch *scratch, struct sampled *out, struct error *e);
uint64_t __wrap_sample_matches(const struct store *s, const struct sample_call *take,
                               const struct op *op, struct scratch *scratch);
uint64_t __real_sample_matches(const struct store *s, const struct sample_call *take,
                               const struct op *op, struct scratch *scratch);
bool __wrap_where_admits(const struct where_bound *bound, uint64_t seq);
bool __real_where_admits(const struct where_bound *bound, uint64_t seq);

void __wrap_opcodec_encode(const struct store *s, const struct op *op, struct opcodec_out *out);
void __real_opcodec_encode(const struct store *s, const struct op *op, struct opcodec_out *out);

int __wrap_oplog_reserve(struct oplog *log, uint64_t bytes, struct error *e);
int __real_oplog_reserve(struct oplog *log, uint64_t bytes, struct error *e);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument);

static struct server server;
static char directory[64];
static bool no_threads;          /* the system refuses to start one */
static bool no_room;             /* the disk has no room for more of the log */
static bool unwritten, unsynced; /* something was applied that the log has not */
static size_t utf8_checked;      /* bytes */

/* What was done. */
static struct {
    uint64_t tries;       /* of a call of TQ.SAMPLE */
    uint64_t asked;       /* whether an op is of use to a parked call */
    uint64_t evaluations; /* of a WHERE, for one sample */
    uint64_t encoded;     /* ops */
    size_t cleared;       /* by the op that cleared most samples, or cells of most */
    bool cleared_all;     /* cells of all samples by one op */
} work;

int64_t __wrap_clock_monotonic_us(void) {
    return simloop_now_us();
}

int64_t __wrap_clock_wall_us(void) {
    return INT64_C(1700000000000000) + simloop_now_us();
}

size_t __wrap_store_apply(struct store *s, const struct op *op) {
    if (s != server.store) return __real_store_apply(s, op); /* of a follower */
    if (server.persistence.log && !server.persistence.loading) unwritten = unsynced = true;
    if (op->kind == OP_CLEAR || op->kind == OP_ERASE) {
        work.cleared_all |= op->select.all;
        if (op->select.n > work.cleared) work.cleared = op->select.n;
    }
    return __real_store_apply(s, op);
}

size_t __wrap_utf8_valid_prefix(struct span text) {
    utf8_checked += text.len;
    return __real_utf8_valid_prefix(text);
}

int __wrap_oplog_reserve(struct oplog *log, uint64_t bytes, struct error *e) {
    if (no_room) return e ? error_set(e, ERROR_MISCONF, "the disk is full") : ERROR_MISCONF;
    return __real_oplog_reserve(log, bytes, e);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument) {
    return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, run, argument);
}

int __wrap_sample_plan(const struct store *s, const struct sample_call *take, int64_t now_ms,
                       struct scratch *scratch, struct sampled *out, struct error *e) {
    work.tries++;
    return __real_sample_plan(s, take, now_ms, scratch, out, e);
}

uint64_t __wrap_sample_matches(const struct store *s, const struct sample_call *take,
                               const struct op *op, struct scratch *scratch) {
    work.asked++;
    return __real_sample_matches(s, take, op, scratch);
}

bool __wrap_where_admits(const struct where_bound *bound, uint64_t seq) {
    work.evaluations++;
    return __real_where_admits(bound, seq);
}

void __wrap_opcodec_encode(const struct store *s, const struct op *op, struct opcodec_out *out) {
    work.encoded++;
    __real_opcodec_encode(s, op, out);
}

static void on_wrote(void *context, size_t bytes) {
    (void)context, (void)bytes;
    unwritten = false;
}

static void on_synced(void *context) {
    (void)context;
    if (!unwritten) unsynced = false;
}

static void on_sent(void *context, int fd, size_t bytes) {
    (void)context;
    EXPECT(!unwritten && !unsynced, "%zu bytes were sent to client %d before the log had them",
           bytes, fd - SIMSOCK_FIRST);
}

static size_t reads; /* of sockets, that got something */

static void on_got(void *context, int fd, size_t bytes) {
    (void)context, (void)fd, (void)bytes;
    reads++;
}

static void remove_directory(void) {
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    EXPECT(system(command) == 0, "%s", command);
}

static void rest(void);

/* A server in `directory`, with what its log holds. */
static void server_load(bool logged) {
    struct error e;
    char path[96];
    snprintf(path, sizeof(path), "%s/s", directory);
    simloop_reset();
    simsock_reset();
    unwritten = unsynced = false;
    server_init(&server);
    static bool registered;
    if (!registered) cmd_register_all();
    registered = true;
    char *words[] = {"--port",        "0",       "--unixsocket", path,
                     "--dir",         directory, "--loglevel",   "warning",
                     "--appendfsync", "always",  "--appendonly", logged ? "yes" : "no"};
    int failed = config_load_words(server.config, sizeof(words) / sizeof(*words), words, &e);
    if (!failed) failed = server_start(&server, &e);
    EXPECT(!failed, "%s", e.text);
    rest();
    EXPECT(!server.persistence.loading, "it is loaded");
    simsock_watch(&(struct simsock_hooks){on_sent, on_got, on_wrote, on_synced, NULL});
}

static void server_begin(bool logged) {
    snprintf(directory, sizeof(directory), "/tmp/tq-turns-XXXXXX");
    EXPECT(mkdtemp(directory), "%s", strerror(errno));
    server_load(logged);
}

static void server_finish(void) {
    server_free(&server);
    simsock_reset();
    remove_directory();
}

/* Passes until nothing is ready. */
static void rest(void) {
    for (int i = 0; simloop_pass(NULL); i++)
        EXPECT(i < REST_PASSES, "the server never comes to rest; %zu wait", waiter_count(&server));
}

/* ---- replies ------------------------------------------------------------------------------ */

/* The end of the reply that begins at `at`, 0 where it is not whole yet. */
static size_t reply_end(const char *bytes, size_t len, size_t at) {
    const char *line_end = at < len ? memchr(bytes + at, '\r', len - at) : NULL;
    if (!line_end || (size_t)(line_end - bytes) + 2 > len) return 0;
    size_t next = (size_t)(line_end - bytes) + 2;
    long n = strtol(bytes + at + 1, NULL, 10);
    switch (bytes[at]) {
    case '+':
    case '-':
    case ':': return next;
    case '$':
        if (n < 0) return next;
        return next + (size_t)n + 2 <= len ? next + (size_t)n + 2 : 0;
    case '*':
        for (long i = 0; i < n && next; i++) next = reply_end(bytes, len, next);
        return next;
    default: EXPECT(false, "'%.20s' begins no reply", bytes + at); return 0;
    }
}

/* ---- clients ------------------------------------------------------------------------------ */

struct words {
    size_t n;
    struct word {
        char text[64];
        size_t large; /* so many bytes of 'x' in place of the text */
    } words[WORDS_MAX];
};

struct request {
    struct words words;
    bool waits, writes; /* it has BLOCK; it is a TQ.PUT or TQ.MPUT */
    bool ranked;        /* it has RANK */
    char partition;
};

struct peer {
    int fd;
    bool is_full;
    struct request requests[REQUESTS_MAX]; /* not answered, oldest first */
    size_t n_requests;
    struct simsock_bytes outbox; /* not delivered yet */
};

static struct peer peers[CLIENTS + 1]; /* the last one is the observer */
#define OBSERVER (&peers[CLIENTS])

static void peer_join(struct peer *peer) {
    simsock_bytes_free(&peer->outbox);
    *peer = (struct peer){.fd = simsock_open()};
    server_turn(&server);
    client_accept(&server, peer->fd, "sim:0", false);
}

static void add_word(struct words *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_word(struct words *w, const char *format, ...) {
    EXPECT(w->n < WORDS_MAX, "%zu words", w->n);
    struct word *word = &w->words[w->n++];
    va_list args;
    va_start(args, format);
    vsnprintf(word->text, sizeof(word->text), format, args);
    va_end(args);
    word->large = 0;
}

static void add_words(struct words *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Splits the text at blanks and appends the words. */
static void add_words(struct words *w, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) add_word(w, "%s", word);
}

static void add_value(struct words *w, size_t len) {
    add_word(w, "%s", "");
    w->words[w->n - 1].large = len;
}

static void encode(struct peer *peer, const struct words *w) {
    char line[32];
    struct simsock_bytes *to = &peer->outbox;
    simsock_bytes_add(to, line, (size_t)snprintf(line, sizeof(line), "*%zu\r\n", w->n));
    for (size_t i = 0; i < w->n; i++) {
        const struct word *word = &w->words[i];
        size_t len = word->large ? word->large : strlen(word->text);
        simsock_bytes_add(to, line, (size_t)snprintf(line, sizeof(line), "$%zu\r\n", len));
        if (!word->large) simsock_bytes_add(to, word->text, len);
        for (size_t left = word->large; left;) {
            static const char xs[] =
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
            size_t part = left < sizeof(xs) - 1 ? left : sizeof(xs) - 1;
            simsock_bytes_add(to, xs, part);
            left -= part;
        }
        simsock_bytes_add(to, "\r\n", 2);
    }
}

static void deliver(struct peer *peer, size_t len) {
    struct simsock_bytes *from = &peer->outbox;
    if (len > from->len) len = from->len;
    if (!len) return;
    simsock_send(peer->fd, from->ptr, len);
    from->len -= len;
    memmove(from->ptr, from->ptr + len, from->len);
}

/* Takes what came back; answers whole replies with the oldest requests. `first` (NULL: nothing)
 * gets the first one's line. */
static void peer_hear(struct peer *peer, char first[static 128]) {
    struct simsock_bytes *out = simsock_output(peer->fd);
    size_t at = 0;
    for (size_t end; (end = reply_end(out->ptr, out->len, at)); at = end) {
        EXPECT(peer->n_requests > 0, "a reply that nobody asked for: '%.40s'", out->ptr + at);
        if (at == 0) {
            size_t len = end < 127 ? end : 127;
            memcpy(first, out->ptr, len);
            first[len] = '\0';
        }
        peer->n_requests--;
        memmove(peer->requests, peer->requests + 1, peer->n_requests * sizeof(*peer->requests));
    }
    if (at) memmove(out->ptr, out->ptr + at, out->len - at);
    out->len -= at;
}

/* The observer's command, at rest, and the first line of its reply. */
static const char *ask(const struct words *w) {
    static char first[128];
    struct peer *peer = OBSERVER;
    peer->requests[peer->n_requests++] = (struct request){.words = *w};
    encode(peer, w);
    deliver(peer, SIZE_MAX);
    rest();
    first[0] = '\0';
    peer_hear(peer, first);
    EXPECT(peer->n_requests == 0, "%s has no reply", w->words[0].text);
    return first;
}

static const char *ask_text(const char *text) {
    struct words w = {0};
    add_words(&w, "%s", text);
    return ask(&w);
}

static void machine_begin(bool logged) {
    server_begin(logged);
    memset(peers, 0, sizeof(peers));
    for (size_t i = 0; i <= CLIENTS; i++) peer_join(&peers[i]);
    rest();
}

/* The server ends, and another one loads the log. */
static void machine_restart(void) {
    for (size_t i = 0; i <= CLIENTS; i++) simsock_bytes_free(&peers[i].outbox);
    server_free(&server);
    server_load(true);
    memset(peers, 0, sizeof(peers));
    for (size_t i = 0; i <= CLIENTS; i++) peer_join(&peers[i]);
    rest();
}

static void machine_finish(void) {
    for (size_t i = 0; i <= CLIENTS; i++) simsock_bytes_free(&peers[i].outbox);
    server_finish();
}

static void send_text(const struct peer *peer, const char *text) {
    simsock_send(peer->fd, text, strlen(text));
}

static void send_word(const struct peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One argument of a command. */
static void send_word(const struct peer *peer, const char *format, ...) {
    char word[64], head[16];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(word, sizeof(word) - 2, format, args);
    va_end(args);
    memcpy(word + len, "\r\n", 2);
    simsock_send(peer->fd, head, (size_t)snprintf(head, sizeof(head), "$%d\r\n", len));
    simsock_send(peer->fd, word, (size_t)len + 2);
}

/* `n` samples k0, k1 … with the tag v = 0 and the field g. */
static void fill_tagged(const char *partition, unsigned n, const char *v) {
    enum { BATCH = 10 };
    static const char *const tail[] = {"COLUMNS", "1", "g", "i8", "", "xxxxxxxxxx"};
    struct simsock_bytes *out = simsock_output(OBSERVER->fd);
    for (unsigned first = 0; first < n; first += BATCH) {
        char head[16];
        simsock_send(OBSERVER->fd, head,
                     (size_t)snprintf(head, sizeof(head), "*%d\r\n", 2 * BATCH + 13));
        send_word(OBSERVER, "TQ.MPUT");
        send_word(OBSERVER, "%s", partition);
        send_word(OBSERVER, "KEYS");
        send_word(OBSERVER, "%d", BATCH);
        for (unsigned i = 0; i < BATCH; i++) send_word(OBSERVER, "k%u", first + i);
        send_word(OBSERVER, "TAGS");
        send_word(OBSERVER, "1");
        send_word(OBSERVER, "v");
        for (unsigned i = 0; i < BATCH; i++) send_word(OBSERVER, "%s", v);
        for (size_t i = 0; i < 6; i++) send_word(OBSERVER, "%s", tail[i]);
        if (first / BATCH % 100 == 99) rest();
        EXPECT(!out->len || out->ptr[0] == ':', "%.*s", (int)out->len, out->ptr);
        out->len = 0;
    }
    rest();
    out->len = 0;
}

static void fill(const char *partition, unsigned n) {
    fill_tagged(partition, n, "0");
}

/* ---- what is asked ------------------------------------------------------------------------ */

static void draw_put(struct source *s, struct request *r) {
    int key = (int)source_below(s, 10);
    add_words(&r->words, "TQ.PUT %c k%d", r->partition, key);
    if (source_once_in(s, 2)) add_words(&r->words, "GROUP g%d 2", key / 2);
    switch (source_below(s, 4)) {
    case 0: add_words(&r->words, "TAGS 1 v %d", (int)source_below(s, 3)); break;
    case 1: add_words(&r->words, "FIELDS 1 g:str some"); break;
    default:
        add_words(&r->words, "TAGS 1 v %d FIELDS 1 f:str", (int)source_below(s, 3));
        add_value(&r->words, source_once_in(s, 4) ? VALUE_LARGE : 8);
    }
    r->writes = true;
    r->waits = source_below(s, 2);
}

static void draw_mput(struct source *s, struct request *r) {
    int first = (int)source_below(s, 8);
    add_words(&r->words, "TQ.MPUT %c KEYS 3 k%d k%d k%d TAGS 1 v %d %d %d", r->partition, first,
              first + 1, first + 2, (int)source_below(s, 3), (int)source_below(s, 3),
              (int)source_below(s, 3));
    r->writes = true;
    r->waits = source_below(s, 2);
}

/* Of one selection always the same COUNT, so that no call is held back by a larger one before
 * it. */
static void draw_sample(struct source *s, struct request *r) {
    static const char *const units[] = {"GROUP", "GROUP 2", "BALANCED v 2 GROUP"};
    int where = (int)source_below(s, 4), task = (int)source_below(s, 2);
    size_t by = source_below(s, 6); /* one of the units, or single samples */
    char field = source_once_in(s, 4) ? 'g' : 'f';
    add_words(&r->words, "TQ.SAMPLE %c t%d COUNT %d FIELDS 1 %c AS KEYS", r->partition, task,
              (1 + where % 2) * (by < 3 ? 2 : 1), field);
    if (by < 3) add_words(&r->words, "BY %s", units[by]);
    if (where < 3) add_words(&r->words, "WHERE 1 v = %d", where);
    r->waits = source_below(s, 4) > 0;
    switch (by == 2 ? 1 : source_below(s, 4)) {
    case 0: add_words(&r->words, "LEASE 40"); break;
    case 1:
        r->ranked = true;
        add_words(&r->words, "RANK %d BATCH %d", (int)source_below(s, 2), (int)source_below(s, 6));
        if (source_once_in(s, 3)) add_words(&r->words, "DONE 0");
    }
}

/* What goes through all samples of a partition. */
static void draw_scan(struct source *s, struct request *r) {
    static const char *const scans[] = {"TQ.COUNT %c WHERE 1 v = %d", "TQ.COUNT %c WHERE 1 v != %d",
                                        "TQ.CLEAR %c WHERE 1 v = %d",
                                        "TQ.CLEAR %c WHERE 1 v = %d FIELDS 1 f"};
    if (source_once_in(s, 8))
        add_words(&r->words,
                  source_once_in(s, 2) ? "TQ.CLEAR %c FIELDS 1 g" : "TQ.CLEAR %c TAGS 1 v",
                  r->partition);
    else
        add_words(&r->words, scans[source_below(s, 4)], r->partition, (int)source_below(s, 3));
}

static void draw_bound(struct source *s, struct request *r) {
    static const char *const bounds[] = {"MAXSAMPLES", "MAXBYTES", "MAXAHEAD t0"};
    static const unsigned most[] = {6, 2 * VALUE_LARGE, 6};
    size_t which = source_below(s, 3);
    add_words(&r->words, "TQ.ALTER %c %s %d", r->partition, bounds[which],
              (int)source_below(s, most[which]));
}

static void draw_maxmemory(struct source *s, struct request *r) {
    uint64_t limit =
        source_once_in(s, 2) ? 0 : server_memory_used(&server) + source_below(s, 3 * VALUE_LARGE);
    add_words(&r->words, "CONFIG SET maxmemory %llu", (unsigned long long)limit);
}

static struct request draw_request(struct source *s) {
    struct request r = {.partition = source_once_in(s, 3) ? 'q' : 'p'};
    switch (source_below(s, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: draw_put(s, &r); break;
    case 5: draw_mput(s, &r); break;
    case 6:
    case 7:
    case 8:
    case 9: draw_sample(s, &r); break;
    case 10: draw_bound(s, &r); break;
    case 11: draw_maxmemory(s, &r); break;
    case 12:
        add_words(&r.words, "TQ.CLEAR %c KEYS 1 k%d", r.partition, (int)source_below(s, 10));
        break;
    case 13: add_words(&r.words, "TQ.RESET %c", r.partition); break;
    case 14: add_words(&r.words, "TQ.MGET %c KEYS 2 k1 k2 FIELDS 1 f", r.partition); break;
    default:
        if (source_once_in(s, 6))
            add_words(&r.words, source_once_in(s, 2) ? "TQ.SEAL %c" : "TQ.CLEAR %c", r.partition);
        else
            draw_scan(s, &r);
    }
    if (r.waits) add_words(&r.words, "BLOCK %d", source_once_in(s, 4) ? 30 : 0);
    return r;
}

/* ---- what must hold at rest --------------------------------------------------------------- */

static void drop_clause(struct words *w, const char *name, size_t words) {
    for (size_t i = 0; i < w->n; i++) {
        if (strcmp(w->words[i].text, name)) continue;
        memmove(&w->words[i], &w->words[i + words], (w->n - i - words) * sizeof(*w->words));
        w->n -= words;
        return;
    }
}

/* A call that waits for samples: the same one that does not wait finds nothing. */
static void check_sampler(const struct request *r) {
    struct words w = r->words;
    drop_clause(&w, "BLOCK", 2);
    drop_clause(&w, "LEASE", 2);
    if (!r->ranked) add_word(&w, "KEEP");
    const char *reply = ask(&w);
    if (reply[0] == '-' || !strncmp(reply, "$-1", 3) || !strncmp(reply, "*-1", 3)) return;
    fprintf(stderr, "waits:");
    for (size_t i = 0; i < r->words.n; i++) fprintf(stderr, " %s", r->words.words[i].text);
    EXPECT(false, "a call waits for what is there: %.40s", reply);
}

/* A write that waits, alone in its partition: the same one that does not wait is refused. */
static void check_writer(const struct request *r) {
    struct words w = r->words;
    if (server_memory_full(&server, MEMORY_SLACK)) return; /* what a turn itself takes decides */
    drop_clause(&w, "BLOCK", 2);
    const char *reply = ask(&w);
    if (reply[0] == '-') return;
    fprintf(stderr, "waits:");
    for (size_t i = 0; i < r->words.n; i++) fprintf(stderr, " %s", r->words.words[i].text);
    EXPECT(false, "a write waits although there is room: %.40s", reply);
}

static void check_waiting(void) {
    size_t writers[2] = {0};
    for (size_t i = 0; i < CLIENTS; i++)
        if (peers[i].n_requests && peers[i].requests[0].writes)
            writers[peers[i].requests[0].partition == 'q']++;
    for (size_t i = 0; i < CLIENTS; i++) {
        if (!peers[i].n_requests || simsock_is_closed(peers[i].fd)) continue;
        const struct request *r = &peers[i].requests[0];
        EXPECT(r->waits, "%s of client %zu has no reply", r->words.words[0].text, i);
        if (!r->writes)
            check_sampler(r);
        else if (writers[r->partition == 'q'] == 1)
            check_writer(r);
    }
}

/* What clients hold for requests that wait is counted. */
static void check_input(void) {
    const struct clients *all = server.clients;
    struct client *c;
    size_t waiting = 0;
    TAILQ_FOREACH(c, &all->all, all) {
        bool waits = c->waiter || ((c->is_ready || c->is_paused) && !resp_is_half(&c->parser));
        EXPECT(c->closing || c->waiting == (waits ? c->input.capacity : 0), "%zu", c->waiting);
        waiting += c->waiting;
    }
    EXPECT(all->waiting_bytes == waiting, "%zu, expected %zu", all->waiting_bytes, waiting);
}

/* Everything is delivered and taken, time for a tick passes, and the server comes to rest. */
static void settle(void) {
    char first[128];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            simsock_room(peers[i].fd, SIZE_MAX);
            deliver(&peers[i], SIZE_MAX);
        }
        rest();
        simloop_advance_us(150000);
        rest();
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        peer_hear(&peers[i], first);
        EXPECT(simsock_output(peers[i].fd)->len == 0, "half a reply was sent to client %zu", i);
    }
    check_waiting();
    check_input();
}

/* ---- drawn orders ------------------------------------------------------------------------- */

static void step(struct source *s) {
    struct peer *peer = &peers[source_below(s, CLIENTS)];
    char first[128];
    switch (source_below(s, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        if (peer->n_requests == REQUESTS_MAX) return;
        peer->requests[peer->n_requests] = draw_request(s);
        encode(peer, &peer->requests[peer->n_requests++].words);
        return;
    case 5:
    case 6:
    case 7: deliver(peer, source_once_in(s, 3) ? source_below(s, 60) : SIZE_MAX); return;
    case 8: simsock_room(peer->fd, source_once_in(s, 2) ? source_below(s, 20) : SIZE_MAX); return;
    case 9:
        if (!source_once_in(s, 8)) return;
        peer_hear(peer, first);
        simsock_leave(peer->fd, source_once_in(s, 2));
        simloop_pass(s);
        rest();
        peer_join(peer);
        return;
    case 10: simloop_advance_us((int64_t)source_below(s, 40000)); return;
    default:
        if (!simloop_is_broken()) simloop_pass(s);
        peer_hear(peer, first);
        check_input();
    }
}

static void trial(uint64_t seed) {
    struct source s = source_of_seed(seed);
    struct follower follower;
    char why[KIT_DIFFERENCE];
    machine_begin(source_below(&s, 2));
    follower_begin(&follower, &server);
    server.slices =
        (struct slice_limits){.evaluations = 100, .scanned = 1, .cells = 40, .indexed = 100};
    if (source_once_in(&s, 3)) fill("p", 300 + (unsigned)source_below(&s, 3000));
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 60; k++) step(&s);
        settle();
        EXPECT(follower_is_equal(&follower, why), "the follower has another store: %s", why);
    }
    follower_end(&follower);
    machine_finish();
}

static void test_drawn_orders(void **state) {
    (void)state;
    const char *given = getenv("TQ_SEED");
    if (given) {
        trial(strtoull(given, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= test_rounds(TEST_IS_SLOW ? 60 : 300); seed++) {
        char note[32];
        snprintf(note, sizeof(note), "%llu", (unsigned long long)seed);
        setenv("TQ_TURNS_SEED", note, 1); /* for a debugger: the seed that runs */
        trial(seed);
    }
}

/* Commands that write, consume, retire, lease, reset, clear and seal; returns how many ops they are.
 * `left_out`: see follower.h. */
static uint64_t follow(bool logged, uint64_t left_out, bool *is_equal) {
    static const char *const asked[] = {"TQ.CREATE p RETIRE 1 t FIELDS 1 f str",
                                        "TQ.PUT p a TAGS 1 v 1 FIELDS 1 f some",
                                        "TQ.MPUT p KEYS 3 b c d TAGS 1 v 1 2 3",
                                        "TQ.PUT p b FIELDS 1 f other",
                                        "TQ.SAMPLE p t COUNT 1 FIELDS 1 f",
                                        "TQ.SAMPLE p u COUNT 1 FIELDS 1 f LEASE 40",
                                        "TQ.SAMPLE p x COUNT 1 FIELDS 1 f",
                                        "TQ.RESET p TASK x KEYS 1 b",
                                        "TQ.CLEAR p KEYS 1 c",
                                        "TQ.CLEAR p KEYS 1 d TAGS 1 v",
                                        "TQ.EXPECT p 9",
                                        "TQ.SEAL q"};
    struct follower follower;
    char why[KIT_DIFFERENCE];
    machine_begin(logged);
    follower_begin(&follower, &server);
    follower.left_out = left_out;
    for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
        EXPECT(ask_text(asked[i])[0] != '-', "%s", asked[i]);
    *is_equal = follower_is_equal(&follower, why);
    uint64_t ops = follower.ops;
    follower_end(&follower);
    machine_finish();
    return ops;
}

static void test_a_follower_of_frames_misses_no_op(void **state) {
    (void)state;
    for (int logged = 0; logged < 2; logged++) {
        bool is_equal;
        uint64_t ops = follow(logged, 0, &is_equal);
        EXPECT(is_equal && ops > 12, "%llu ops, with what RETIRE cleared", (unsigned long long)ops);
        for (uint64_t left_out = 1; left_out <= ops; left_out++) {
            follow(logged, left_out, &is_equal);
            EXPECT(!is_equal, "op %llu is left out, and nothing tells",
                   (unsigned long long)left_out);
        }
    }
}

static void test_nothing_is_encoded_while_nobody_reads(void **state) {
    (void)state;
    struct follower follower;
    char why[KIT_DIFFERENCE];
    machine_begin(false);
    work.encoded = 0;
    ask_text("TQ.PUT p a TAGS 1 v 1");
    ask_text("DEL p");
    assert_int_equal(work.encoded, 0);
    follower_begin(&follower, &server);
    ask_text("TQ.PUT p b TAGS 1 v 1");
    assert_int_equal(work.encoded, 1);
    assert_int_equal(follower.number, 3); /* turns count that nobody read */
    EXPECT(follower_is_equal(&follower, why), "%s", why);
    follower_end(&follower);
    ask_text("TQ.PUT p b TAGS 1 v 2");
    assert_int_equal(work.encoded, 1);
    machine_finish();
}

/* ---- all orders --------------------------------------------------------------------------- */

/* Walks through all sequences of choices: the choices made before are made again, but for the last
 * one that has another. */
static struct {
    unsigned made[64], among[64];
    size_t n, at;
} choices;

static size_t choose(size_t among) {
    EXPECT(choices.at < 64, "64 choices");
    if (choices.at == choices.n) {
        choices.made[choices.n] = 0;
        choices.among[choices.n++] = (unsigned)among;
    }
    return choices.made[choices.at++];
}

static bool choose_anew(void) {
    while (choices.n && choices.made[choices.n - 1] + 1 == choices.among[choices.n - 1])
        choices.n--;
    if (!choices.n) return false;
    choices.made[choices.n - 1]++;
    choices.at = 0;
    return true;
}

/* One pass with ready events in a chosen order; any that are left come in a later one. */
static bool chosen_pass(void) {
    struct simloop_ready ready[SIMLOOP_READY_MAX];
    size_t left[SIMLOOP_READY_MAX], chosen[SIMLOOP_READY_MAX], n = simloop_ready(ready), k = 0;
    if (!n) return false;
    EXPECT(n <= 6, "%zu events are ready: too many orders", n);
    for (size_t i = 0; i < n; i++) left[i] = i;
    while (n) {
        size_t which = k ? choose(n + 1) : choose(n);
        if (which == n) break; /* no more in this pass */
        chosen[k++] = left[which];
        left[which] = left[--n];
    }
    simloop_pass_of(chosen, k);
    return true;
}

static void ask_peer(struct peer *peer, const char *text) {
    struct request r = {0};
    add_words(&r.words, "%s", text);
    encode(peer, &r.words);
    deliver(peer, SIZE_MAX);
    peer->requests[peer->n_requests++] = r;
}

/* The socket of a client is full in the middle of a reply; then it is drained and a write comes,
 * while others write and wait. */
static void play_full_socket(bool parked) {
    char first[128];
    machine_begin(true);
    ask_text("TQ.PUT p a FIELDS 1 f some");
    simsock_room(peers[0].fd, 4);
    ask_peer(&peers[0], "TQ.MGET p KEYS 1 a");
    rest();
    if (parked) {
        ask_peer(&peers[0], "TQ.SAMPLE q t COUNT 1 FIELDS 1 f BLOCK 0");
        rest();
        ask_peer(&peers[1], "TQ.PUT q b FIELDS 1 f some");
    }
    ask_peer(&peers[0], "TQ.PUT p c FIELDS 1 f some");
    simsock_room(peers[0].fd, SIZE_MAX);
    while (chosen_pass()) continue;
    for (size_t i = 0; i < 2; i++) {
        peer_hear(&peers[i], first);
        EXPECT(peers[i].n_requests == 0, "client %zu lacks a reply", i);
    }
    machine_finish();
}

static void test_all_orders_of_a_full_socket(void **state) {
    (void)state;
    for (int parked = 0; parked < 2; parked++) {
        memset(&choices, 0, sizeof(choices));
        do {
            choices.at = 0;
            play_full_socket(parked);
        } while (choose_anew());
    }
}

/* A pass with one event: the socket can be written. */
static void pass_writable(int fd) {
    struct simloop_ready ready[SIMLOOP_READY_MAX];
    size_t n = simloop_ready(ready), at = 0;
    while (at < n && (ready[at].fd != fd || ready[at].read)) at++;
    EXPECT(at < n, "the socket is not watched for writing");
    simloop_pass_of(&at, 1);
}

/* The head of a queue leaves while replies are sent: the next one is served in the next turn,
 * without a timer. */
static void test_the_next_is_served_when_the_head_leaves_during_sending(void **state) {
    (void)state;
    machine_begin(false);
    ask_text("TQ.PUT p a FIELDS 1 f some");
    simsock_room(peers[0].fd, 0);
    ask_peer(&peers[0], "TQ.MGET p KEYS 1 a");
    ask_peer(&peers[0], "TQ.SAMPLE p t COUNT 2 FIELDS 1 f BLOCK 0");
    rest();
    ask_peer(&peers[1], "TQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 0");
    rest();
    assert_int_equal(waiter_count(&server), 2);
    simsock_leave(peers[0].fd, true);
    pass_writable(peers[0].fd); /* the write fails: that closes the client */
    assert_int_equal(waiter_count(&server), 1);
    rest();
    assert_int_equal(waiter_count(&server), 0);
    machine_finish();
}

/* ---- single rules ------------------------------------------------------------------------- */

/* The log can't be written: nothing that depends on it is sent, whatever else is ready. */
static void test_nothing_is_sent_when_the_log_fails(void **state) {
    (void)state;
    machine_begin(true);
    ask_text("TQ.PUT p a FIELDS 1 f some");
    simsock_room(peers[0].fd, 4);
    ask_peer(&peers[0], "TQ.MGET p KEYS 1 a");
    rest();
    size_t before = simsock_output(peers[0].fd)->len;
    simsock_fail_files(EIO);
    ask_peer(&peers[0], "TQ.PUT p b FIELDS 1 f some");
    simsock_room(peers[0].fd, SIZE_MAX);
    while (!simloop_is_broken() && simloop_pass(NULL)) continue;
    assert_true(simloop_is_broken());
    assert_int_equal(simsock_output(peers[0].fd)->len, before);
    simsock_fail_files(0);
    machine_finish();
}

/* Values of a batch that waits for room are checked when it comes and not at each change of its
 * partition. */
static void test_values_of_a_waiting_batch_are_checked_once(void **state) {
    (void)state;
    enum { VALUE = 200000, CHANGES = 50 };
    machine_begin(false);
    ask_text("TQ.CREATE p MAXSAMPLES 2");
    ask_text("TQ.PUT p a TAGS 1 v 0");
    ask_text("TQ.PUT p b TAGS 1 v 0");
    struct request r = {0};
    add_words(&r.words, "TQ.PUT p c FIELDS 1 f:str");
    add_value(&r.words, VALUE);
    add_words(&r.words, "BLOCK 0");
    utf8_checked = 0;
    encode(&peers[0], &r.words);
    deliver(&peers[0], SIZE_MAX);
    peers[0].requests[peers[0].n_requests++] = r;
    rest();
    assert_int_equal(waiter_count(&server), 1);
    for (int i = 0; i < CHANGES; i++)
        ask_text(i % 2 ? "TQ.PUT p a TAGS 1 v 1" : "TQ.PUT p b TAGS 1 v 2");
    assert_in_range(utf8_checked, 0, 2 * VALUE);
    ask_text("TQ.CLEAR p KEYS 1 a");
    assert_int_equal(waiter_count(&server), 0);
    machine_finish();
}

/* q holds a large value, and `maxmemory` is passed by less than that. */
static void fill_memory(void) {
    struct words w = {0};
    add_words(&w, "TQ.PUT q large FIELDS 1 f");
    add_value(&w, 1000000);
    ask(&w);
    char limit[64];
    snprintf(limit, sizeof(limit), "CONFIG SET maxmemory %zu",
             server_memory_used(&server) - 500000);
    ask_text(limit);
    EXPECT(server_memory_full(&server, 0), "memory is full");
}

/* The reason for which a write waits changes from the partition's bound to memory. */
static void test_a_write_that_waited_for_room_waits_for_memory(void **state) {
    (void)state;
    machine_begin(false);
    ask_text("TQ.CREATE p MAXSAMPLES 1");
    ask_text("TQ.PUT p a TAGS 1 v 0");
    ask_peer(&peers[0], "TQ.PUT p b TAGS 1 v 0 BLOCK 0");
    rest();
    fill_memory();
    ask_text("TQ.CLEAR p KEYS 1 a");
    assert_int_equal(waiter_count(&server), 1);
    ask_text("TQ.CLEAR q");
    assert_int_equal(waiter_count(&server), 0);
    machine_finish();
}

/* And the reverse: then it does not stand before those that wait for memory alone. */
static void test_a_write_that_waited_for_memory_waits_for_room(void **state) {
    (void)state;
    machine_begin(false);
    ask_text("TQ.PUT p a TAGS 1 v 0");
    fill_memory();
    ask_peer(&peers[0], "TQ.PUT p b TAGS 1 v 0 BLOCK 0");
    rest();
    ask_peer(&peers[1], "TQ.PUT r c TAGS 1 v 0 BLOCK 0");
    rest();
    assert_int_equal(waiter_count(&server), 2);
    ask_text("TQ.ALTER p MAXSAMPLES 1");
    ask_text("TQ.CLEAR q");
    assert_int_equal(waiter_count(&server), 1);
    ask_text("TQ.CLEAR p KEYS 1 a");
    assert_int_equal(waiter_count(&server), 0);
    machine_finish();
}

/* What makes a waiting call an error reaches it also where its WHERE is in a filter: its rank is done
 * with the batch; groups have another size. */
static void test_a_choosy_call_hears_that_it_is_wrong(void **state) {
    (void)state;
    machine_begin(false);
    ask_text("TQ.PUT p a GROUP g 2 TAGS 1 v 1 FIELDS 1 f some");
    ask_peer(&peers[0], "TQ.SAMPLE p t COUNT 4 FIELDS 1 f WHERE 1 v = 9 RANK 0 BATCH 3 BLOCK 0");
    rest();
    ask_text("TQ.SAMPLE p t COUNT 4 FIELDS 1 f WHERE 1 v = 9 RANK 0 BATCH 9");
    assert_int_equal(waiter_count(&server), 0);
    ask_peer(&peers[1], "TQ.SAMPLE p t COUNT 4 FIELDS 1 f BY GROUP WHERE 1 v = 9 BLOCK 0");
    rest();
    ask_text("TQ.CLEAR p KEYS 1 a");
    assert_int_equal(waiter_count(&server), 1);
    ask_text("TQ.PUT p b GROUP h 3 TAGS 1 v 1 FIELDS 1 f some");
    assert_int_equal(waiter_count(&server), 0);
    machine_finish();
}

/* A call that filters hides nothing from those behind it. */
static void test_a_call_that_filters_does_not_hold_up_others(void **state) {
    (void)state;
    machine_begin(false);
    ask_peer(&peers[0], "TQ.SAMPLE p t COUNT 1 FIELDS 1 f WHERE 1 v = 9 BLOCK 0");
    rest();
    ask_peer(&peers[1], "TQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 0");
    rest();
    ask_text("TQ.PUT p a TAGS 1 v 1 FIELDS 1 f some");
    assert_int_equal(waiter_count(&server), 1);
    machine_finish();
}

/* No thread is to be had: what needs one is refused, and the server goes on. */
static void test_a_thread_that_can_not_be_started_is_an_error(void **state) {
    (void)state;
    machine_begin(false);
    no_threads = true;
    const char *reply = ask_text("CONFIG SET appendonly yes");
    assert_int_equal(strncmp(reply, "-ERR", 4), 0);
    assert_non_null(strstr(reply, "thread"));
    no_threads = false;
    assert_string_equal(ask_text("TQ.PUT p a TAGS 1 v 0"), ":1\r\n");
    machine_finish();
}

/* ---- what waiting costs ------------------------------------------------------------------- */

enum { HEADS = 1000, MANY = 20000, SCANNED = 120000 /* more than two slices of a scan */ };

/* One client for each call, of the text with its number; none is served. */
static void park_heads(const char *format) {
    static struct peer heads[HEADS];
    size_t before = waiter_count(&server);
    for (int i = 0; i < HEADS; i++) {
        char text[128];
        snprintf(text, sizeof(text), format, i);
        peer_join(&heads[i]);
        ask_peer(&heads[i], text);
        rest();
        simsock_bytes_free(&heads[i].outbox);
    }
    assert_int_equal(waiter_count(&server), before + HEADS);
}

/* A write is compared with the conditions of all heads at once. */
static void test_a_write_asks_only_heads_whose_condition_it_meets(void **state) {
    (void)state;
    machine_begin(false);
    ask_text("TQ.PUT p a TAGS 1 v 5000 FIELDS 1 f some");
    park_heads("TQ.SAMPLE p t COUNT 1 FIELDS 1 f WHERE 1 v = %d BLOCK 0");
    memset(&work, 0, sizeof(work));
    ask_text("TQ.PUT p b TAGS 1 v 5000 FIELDS 1 f some");
    assert_int_equal(work.tries, 0);
    assert_int_equal(work.asked, 0);
    ask_text("TQ.PUT p c TAGS 1 v 7 FIELDS 1 f some");
    assert_int_equal(waiter_count(&server), HEADS - 1);
    assert_int_equal(work.tries, 1);
    assert_int_equal(work.asked, 1);
    machine_finish();
}

/* The same for samples that come back: of a lease, those that TQ.NACK names. */
static void test_a_nack_asks_only_heads_whose_condition_it_meets(void **state) {
    (void)state;
    char lease[64], text[96];
    machine_begin(false);
    ask_text("TQ.PUT p a TAGS 1 v 5000 FIELDS 1 f some");
    ask_text("TQ.PUT p b TAGS 1 v 7 FIELDS 1 f some");
    const char *reply = ask_text("TQ.SAMPLE p t COUNT 2 FIELDS 1 f LEASE 100000 AS KEYS");
    EXPECT(sscanf(reply, "*2\r\n$%*d\r\n%63[0-9]", lease) == 1, "%s", reply);
    park_heads("TQ.SAMPLE p t COUNT 1 FIELDS 1 f WHERE 1 v = %d BLOCK 0");
    memset(&work, 0, sizeof(work));
    snprintf(text, sizeof(text), "TQ.NACK p t %s KEYS 1 a", lease);
    assert_string_equal(ask_text(text), ":1\r\n");
    assert_int_equal(work.asked, 0);
    snprintf(text, sizeof(text), "TQ.NACK p t %s KEYS 1 b", lease);
    assert_string_equal(ask_text(text), ":1\r\n");
    assert_int_equal(waiter_count(&server), HEADS - 1);
    assert_int_equal(work.asked, 1);
    machine_finish();
}

/* Heads that can't go cost nothing while nothing changes for them. */
static void test_an_idle_server_tries_no_head(void **state) {
    (void)state;
    machine_begin(false);
    fill("p", SCANNED);
    ask_peer(&peers[0], "TQ.SAMPLE p t COUNT 1 FIELDS 1 g WHERE 1 v = 9 BLOCK 0");
    ask_peer(&peers[1], "TQ.SAMPLE p u COUNT 1 FIELDS 1 g WHERE 1 v = 8 BLOCK 0");
    ask_peer(&peers[2], "TQ.SAMPLE q u COUNT 1 FIELDS 1 g BLOCK 0");
    rest();
    assert_int_equal(waiter_count(&server), 3);
    memset(&work, 0, sizeof(work));
    for (int i = 0; i < 10; i++) {
        simloop_advance_us(100000);
        rest();
    }
    ask_text("TQ.PUT r a FIELDS 1 g some");
    assert_int_equal(work.tries + work.asked + work.evaluations, 0);
    ask_text("TQ.PUT p a TAGS 1 v 9 FIELDS 1 g x");
    assert_int_equal(waiter_count(&server), 2);
    assert_in_range(work.evaluations, 1, 10);
    machine_finish();
}

/* Tasks that wait with one WHERE share the evaluation of it, and a write costs what it changed. */
static void test_many_tasks_with_one_where_cost_what_changes(void **state) {
    (void)state;
    machine_begin(false);
    fill("p", MANY);
    memset(&work, 0, sizeof(work));
    park_heads("TQ.SAMPLE p t%d COUNT 1 FIELDS 1 g WHERE 1 v = 9 BLOCK 0");
    assert_in_range(work.evaluations, MANY, 2 * MANY);
    memset(&work, 0, sizeof(work));
    ask_text("TQ.PUT p a TAGS 1 v 1 FIELDS 1 g x");
    ask_text("TQ.PUT p k7 TAGS 1 v 1");
    assert_int_equal(work.tries + work.asked, 0);
    assert_in_range(work.evaluations, 0, 10);
    machine_finish();
}

/* A write that completes no group tries none of the calls that wait for groups. */
static void test_a_write_tries_heads_whose_group_it_completes(void **state) {
    (void)state;
    machine_begin(false);
    for (int i = 0; i < 40; i++) {
        char text[64];
        snprintf(text, sizeof(text), "TQ.PUT p k%d GROUP g%d 3 FIELDS 1 g x", i, i % 20);
        ask_text(text);
    }
    park_heads("TQ.SAMPLE p t%d COUNT 3 FIELDS 1 g BY GROUP BLOCK 0");
    memset(&work, 0, sizeof(work));
    ask_text("TQ.PUT p new GROUP other 3 FIELDS 1 g x");
    ask_text("TQ.PUT p new FIELDS 1 g y");
    ask_text("TQ.PUT p last GROUP g7 3 TAGS 1 v 1");
    assert_int_equal(work.tries, 0);
    ask_text("TQ.PUT p last FIELDS 1 g x");
    assert_int_equal(work.tries, HEADS);
    assert_int_equal(waiter_count(&server), 0);
    machine_finish();
}

static void expect_reply(const struct peer *peer, const char *expected) {
    const struct simsock_bytes *out = simsock_output(peer->fd);
    EXPECT(out->len == strlen(expected) && !memcmp(out->ptr, expected, out->len), "%.*s, not %s",
           (int)out->len, out->ptr, expected);
}

/* ---- more walks of an index at once than it keeps views ---- */

enum { WALKERS = 100, WALKED = 3000 /* many slices */ };

static struct peer walkers[WALKERS];

static void walk_begin(const char *index) {
    char text[64];
    machine_begin(false);
    server.slices =
        (struct slice_limits){.evaluations = 100, .scanned = 1, .cells = 40, .indexed = 100};
    snprintf(text, sizeof(text), "TQ.CREATE p INDEX 1 %s", index);
    ask_text(text);
    fill_tagged("p", WALKED, "1");
    for (int i = 0; i < WALKERS; i++) peer_join(&walkers[i]);
}

static void walk_finish(void) {
    for (int i = 0; i < WALKERS; i++) simsock_bytes_free(&walkers[i].outbox);
    machine_finish();
}

/* Calls that wait, each with a WHERE of its own. */
static void walk_by_conditions(const char *index, const char *sampler) {
    char text[128];
    walk_begin(index);
    for (int i = 0; i < WALKERS; i++) {
        snprintf(text, sizeof(text),
                 "TQ.SAMPLE p t COUNT 1 FIELDS 1 g BY %s v WHERE 1 w = %d BLOCK 0 AS KEYS", sampler,
                 i);
        ask_peer(&walkers[i], text);
    }
    rest();
    assert_int_equal(waiter_count(&server), WALKERS);
    memset(&work, 0, sizeof(work));
    for (int i = 0; i < 10; i++) {
        simloop_advance_us(100000);
        rest();
    }
    assert_int_equal(work.tries + work.asked + work.evaluations, 0);
    for (int i = 0; i < WALKERS; i++) {
        snprintf(text, sizeof(text), "TQ.PUT p n%02d TAGS 2 v 1 w %d FIELDS 1 g x", i, i);
        ask_text(text);
        snprintf(text, sizeof(text), "*1\r\n$3\r\nn%02d\r\n", i);
        expect_reply(&walkers[i], text);
    }
    walk_finish();
}

/* Calls without WHERE that don't wait, of tasks that have consumed all samples but the last. */
static void walk_by_tasks(const char *index, const char *sampler) {
    char text[128], first[128];
    walk_begin(index);
    for (int i = 0; i < WALKERS; i++) {
        snprintf(text, sizeof(text), "TQ.SAMPLE p t%d COUNT %d FIELDS 1 g AS KEYS", i, WALKED - 1);
        ask_peer(&walkers[i], text);
        rest();
        peer_hear(&walkers[i], first);
        assert_int_equal(walkers[i].n_requests, 0);
    }
    for (int i = 0; i < WALKERS; i++) {
        snprintf(text, sizeof(text), "TQ.SAMPLE p t%d COUNT 1 FIELDS 1 g BY %s v AS KEYS", i,
                 sampler);
        ask_peer(&walkers[i], text);
    }
    rest();
    for (int i = 0; i < WALKERS; i++) expect_reply(&walkers[i], "*1\r\n$5\r\nk2999\r\n");
    walk_finish();
}

static void test_more_walks_than_views_end(void **state) {
    (void)state;
    walk_by_conditions("v", "MAX");
    walk_by_conditions("v", "MIN");
    walk_by_conditions("v^1", "PRIORITY");
    walk_by_tasks("v", "MAX");
    walk_by_tasks("v", "MIN");
    walk_by_tasks("v^1", "PRIORITY");
}

/* ---- indexes that are built while clients are served ---- */

static void build_begin(size_t indexed) {
    machine_begin(false);
    server.slices =
        (struct slice_limits){.evaluations = 100, .scanned = 1, .cells = 40, .indexed = indexed};
    fill_tagged("p", WALKED, "1");
    ask_text("TQ.PUT p k1500 TAGS 1 w 7");
}

/* TQ.ALTER answers before its index is complete, other clients are served while it is built, and
 * then the server comes to rest. */
static void test_an_index_is_built_between_commands(void **state) {
    (void)state;
    unsigned served = 0;
    build_begin(20);
    ask_peer(&peers[0], "TQ.ALTER p INDEX 2 v v^1");
    while (!simsock_output(peers[0].fd)->len) simloop_pass(NULL);
    expect_reply(&peers[0], "+OK\r\n");
    while (store_is_building(server.store)) {
        char first[128] = "";
        ask_peer(&peers[1], "TQ.PUT p k1 TAGS 1 v 1");
        for (int i = 0; i < 3 && !*first; i++) {
            simloop_pass(NULL);
            peer_hear(&peers[1], first);
        }
        assert_string_equal(first, ":0\r\n");
        served++;
    }
    assert_in_range(served, WALKED / 20 / 3, 2 * WALKED / 20 + 2);
    rest();
    assert_false(store_is_reclaiming(server.store));
    machine_finish();
}

/* Calls that are scanned, walk or wait when an index is declared, completes or goes. `passes` of
 * the loop lie between the commands. */
static void build_amid_calls(size_t indexed, int passes, const char *sampler, const char *change) {
    char text[128];
    build_begin(indexed);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof(text),
                 "TQ.SAMPLE p t%d COUNT 1 FIELDS 1 g BY %s v WHERE 1 w = %d%s AS KEYS", i, sampler,
                 7 + i, i ? " BLOCK 0" : "");
        ask_peer(&peers[i], text);
    }
    ask_peer(&peers[2], "TQ.ALTER p INDEX 2 v v^1");
    for (int i = 0; i < passes; i++) simloop_pass(NULL);
    ask_peer(&peers[3], "TQ.COUNT p TASK t WHERE 2 v >= 1 w = 7");
    for (int i = 0; i < passes; i++) simloop_pass(NULL);
    ask_peer(&peers[4], change);
    rest();
    expect_reply(&peers[0], "*1\r\n$5\r\nk1500\r\n");
    expect_reply(&peers[2], "+OK\r\n");
    expect_reply(&peers[3], ":1\r\n");
    assert_int_equal(waiter_count(&server), 1);
    assert_false(store_is_building(server.store));
    assert_false(store_is_reclaiming(server.store));
    ask_text("TQ.PUT p new TAGS 2 v 1 w 8 FIELDS 1 g x");
    expect_reply(&peers[1], "*1\r\n$3\r\nnew\r\n");
    machine_finish();
}

static void test_an_index_completes_amid_calls(void **state) {
    (void)state;
    static const char *const samplers[] = {"MAX", "MIN", "PRIORITY"};
    static const char *const changes[] = {"PING", "TQ.ALTER p INDEX 0", "TQ.ALTER p INDEX 1 v",
                                          "TQ.RESET p", "TQ.ALTER p INDEX 2 v^1 w"};
    static const size_t slices[] = {30, 300, 3000};
    for (unsigned i = 0; i < 3 * 5 * 3; i++)
        for (int passes = 0; passes < 12; passes += 3 + (int)(i % 2))
            build_amid_calls(slices[i / 15], passes, samplers[i % 3], changes[i / 3 % 5]);
}

/* A partition that goes, and one of its name that comes, while the first one's index is built. */
static void test_a_partition_goes_while_its_index_is_built(void **state) {
    (void)state;
    static const char *const ends[] = {"TQ.CLEAR p", "FLUSHALL"};
    for (int i = 0; i < 2; i++) {
        build_begin(20);
        ask_peer(&peers[0], "TQ.ALTER p INDEX 2 v v^1");
        for (int pass = 0; pass < 5; pass++) simloop_pass(NULL);
        assert_true(store_is_building(server.store));
        ask_text(ends[i]);
        assert_false(store_is_building(server.store));
        assert_int_equal(store_building_bytes(server.store), 0);
        ask_text("TQ.PUT p a TAGS 1 v 3 FIELDS 1 g some");
        ask_text("TQ.ALTER p INDEX 1 v");
        ask_peer(&peers[1], "TQ.SAMPLE p t COUNT 1 FIELDS 1 g BY MAX v AS KEYS");
        rest();
        expect_reply(&peers[1], "*1\r\n$1\r\na\r\n");
        machine_finish();
    }
}

/* A scan uses one slice of a turn, and calls of other partitions are served in the same turn. */
static void test_a_scan_does_not_hold_up_other_partitions(void **state) {
    (void)state;
    machine_begin(false);
    fill("p", SCANNED);
    fill("r", SCANNED);
    ask_peer(&peers[1], "TQ.SAMPLE q t COUNT 1 FIELDS 1 g BLOCK 0");
    rest();
    ask_peer(&peers[0], "TQ.COUNT p WHERE 1 v = 1");
    ask_peer(&peers[3], "TQ.COUNT r WHERE 1 v = 1");
    while (waiter_count(&server) < 3) simloop_pass(NULL);
    ask_peer(&peers[2], "TQ.PUT q a FIELDS 1 g some");
    while (!simsock_output(peers[2].fd)->len) simloop_pass(NULL);
    assert_true(simsock_output(peers[1].fd)->len > 0);
    assert_int_equal(waiter_count(&server), 2); /* the scans */
    rest();
    assert_int_equal(waiter_count(&server), 0);
    machine_finish();
}

/* Sends the command, and runs the server until the client is parked. */
static void begin_clear(struct peer *peer, const char *text) {
    memset(&work, 0, sizeof(work));
    ask_peer(peer, text);
    while (waiter_count(&server) == 0) EXPECT(simloop_pass(NULL), "%s does not wait", text);
}

/* TQ.CLEAR of many samples, or of fields of all: others are served between its slices, and samples
 * that come meanwhile stay. */
static void test_clear_is_cut_into_slices(void **state) {
    (void)state;
    enum { MOST = 4096 };
    static const char *const clears[] = {"TQ.CLEAR p WHERE 1 v = 0 FIELDS 1 g",
                                         "TQ.CLEAR p TAGS 2 u w", "TQ.CLEAR p WHERE 1 v = 0"};
    char first[128];
    machine_begin(false);
    fill("p", MANY);
    for (size_t i = 0; i < 3; i++) {
        bool tags = i == 1; /* that no sample has */
        begin_clear(&peers[0], clears[i]);
        ask_peer(&peers[1], i == 2 ? "TQ.PUT p later TAGS 1 v 0" : "PING");
        while (!simsock_output(peers[1].fd)->len) simloop_pass(NULL);
        EXPECT(waiter_count(&server) == 1, "%s is over before others are served", clears[i]);
        rest();
        expect_reply(&peers[0], tags ? ":0\r\n" : ":20000\r\n");
        EXPECT(work.cleared > 0 && work.cleared <= MOST && !work.cleared_all, "%zu at once",
               work.cleared);
        peer_hear(&peers[0], first);
        peer_hear(&peers[1], first);
    }
    assert_string_equal(ask_text("TQ.COUNT p"), ":1\r\n");
    machine_finish();
}

/* It is over when its partition or its client goes; in a transaction it is not cut. */
static void test_clear_in_slices_ends_early(void **state) {
    (void)state;
    char first[128];
    machine_begin(false);
    fill("p", MANY);
    begin_clear(&peers[0], "TQ.CLEAR p WHERE 1 v = 0");
    send_text(OBSERVER, "TQ.CLEAR p\r\nTQ.PUT p new TAGS 1 v 0\r\n");
    rest();
    simsock_output(OBSERVER->fd)->len = 0;
    peer_hear(&peers[0], first);
    int touched = atoi(first + 1);
    EXPECT(first[0] == ':' && touched > 0 && touched < MANY, "%s", first);
    assert_string_equal(ask_text("TQ.COUNT p"), ":1\r\n");
    fill("p", MANY);
    begin_clear(&peers[0], "TQ.CLEAR p WHERE 1 v = 0");
    simsock_leave(peers[0].fd, true);
    rest();
    assert_int_equal(waiter_count(&server), 0);
    ask_text("TQ.CLEAR p WHERE 1 v != 0");
    const char *left = ask_text("TQ.COUNT p");
    EXPECT(atoi(left + 1) > 0 && atoi(left + 1) < MANY, "%s", left);
    ask_text("TQ.CLEAR p");
    fill("p", MANY);
    memset(&work, 0, sizeof(work));
    send_text(OBSERVER, "MULTI\r\nTQ.CLEAR p WHERE 1 v = 0\r\nEXEC\r\n");
    rest();
    assert_int_equal(work.cleared, MANY);
    expect_reply(OBSERVER, "+OK\r\n+QUEUED\r\n*1\r\n:20000\r\n");
    machine_finish();
}

/* A batch is written into the reply before it is committed: of one that is refused nothing is left. */
static void test_a_batch_that_the_log_has_no_room_for_is_refused_whole(void **state) {
    (void)state;
    machine_begin(true);
    ask_text("TQ.PUT p a FIELDS 1 f some");
    no_room = true;
    EXPECT(!strncmp(ask_text("TQ.SAMPLE p t COUNT 1 FIELDS 1 f LEASE 100"), "-MISCONF", 8),
           "a lease");
    EXPECT(!strncmp(ask_text("TQ.SAMPLE p t COUNT 1 FIELDS 1 f"), "-MISCONF", 8), "a batch");
    no_room = false;
    EXPECT(!strncmp(ask_text("TQ.COUNT p FIELDS 1 f TASK t"), ":1", 2), "it is still ready");
    EXPECT(!strncmp(ask_text("TQ.SAMPLE p t COUNT 1 FIELDS 1 f"), "*1", 2), "it is taken now");
    machine_finish();
}

static void test_several_partitions_are_dropped_or_none(void **state) {
    (void)state;
    machine_begin(true);
    ask_text("TQ.PUT p a TAGS 1 v 1");
    ask_text("TQ.PUT q a TAGS 1 v 1");
    no_room = true;
    EXPECT(!strncmp(ask_text("DEL p q"), "-MISCONF", 8), "DEL");
    EXPECT(!strncmp(ask_text("FLUSHALL"), "-MISCONF", 8), "FLUSHALL");
    no_room = false;
    EXPECT(!strncmp(ask_text("DBSIZE"), ":2", 2), "both are there");
    EXPECT(!strncmp(ask_text("DEL p none q p"), ":2", 2), "each is dropped once");
    ask_text("TQ.PUT p a TAGS 1 v 1");
    ask_text("TQ.PUT q a TAGS 1 v 1");
    EXPECT(!strncmp(ask_text("FLUSHALL"), "+OK", 3), "FLUSHALL");
    EXPECT(!strncmp(ask_text("DBSIZE"), ":0", 2), "none is left");
    machine_finish();
}

/* The log has no room for the second slice: the first is done and logged, and the reply says so. */
static void test_clear_in_slices_stops_where_the_log_has_no_room(void **state) {
    (void)state;
    char first[128], left[32];
    unsigned touched;
    machine_begin(true);
    fill("p", MANY);
    begin_clear(&peers[0], "TQ.CLEAR p WHERE 1 v = 0");
    no_room = true;
    rest();
    no_room = false;
    peer_hear(&peers[0], first);
    EXPECT(sscanf(first, "-MISCONF %u samples were touched, the next slice was not:", &touched) ==
               1,
           "%s", first);
    EXPECT(strstr(first, "disk is full"), "%s", first);
    EXPECT(touched > 0 && touched < MANY && touched % work.cleared == 0, "%u were touched",
           touched);
    snprintf(left, sizeof(left), ":%u\r\n", MANY - touched);
    assert_string_equal(ask_text("TQ.COUNT p"), left);
    machine_restart();
    assert_string_equal(ask_text("TQ.COUNT p"), left);
    assert_string_equal(ask_text("TQ.CLEAR p WHERE 1 v = 0"), left);
    assert_string_equal(ask_text("TQ.COUNT p"), ":0\r\n");
    machine_finish();
}

/* Commands that take more than a client's time in one turn. */
static void send_pings(const struct peer *peer, size_t n) {
    for (size_t i = 0; i < n; i++) send_text(peer, "PING\r\n");
}

/* Two clients go on in the next turn, and the first one kills the other: a third that needs more
 * than a turn later on is not forgotten. */
static void test_a_client_is_killed_that_is_to_go_on(void **state) {
    (void)state;
    enum { PINGS = 2700 };
    machine_begin(false);
    send_pings(&peers[0], PINGS);
    send_text(&peers[0], "CLIENT KILL ID 2\r\n");
    send_pings(&peers[1], PINGS);
    while (!clients_waiting(&server)) EXPECT(simloop_pass(NULL), "no client uses up its time");
    rest();
    EXPECT(simsock_is_closed(peers[1].fd), "the other is killed");
    EXPECT(simsock_output(peers[1].fd)->len < PINGS * strlen("+PONG\r\n"), "it had to go on");
    send_pings(&peers[2], PINGS);
    rest();
    assert_int_equal(simsock_output(peers[2].fd)->len, PINGS * strlen("+PONG\r\n"));
    machine_finish();
}

/* ---- large bulks -------------------------------------------------------------------------- */

enum { SOCKET_BYTES = 200000, BULK_BYTES = 3 * 1024 * 1024 };

/* A bulk that a socket can't hold at once, and another client's command behind it: the reads of the
 * bulk in the first pass. `idle_us`: for how long no other client was heard. */
static size_t reads_of_bulk(int64_t idle_us) {
    char first[128];
    struct request put = {0};
    machine_begin(false);
    ask_text("TQ.CREATE p FIELDS 1 f bytes");
    add_words(&put.words, "TQ.PUT p a FIELDS 1 f");
    add_value(&put.words, BULK_BYTES);
    encode(&peers[0], &put.words);
    peers[0].requests[peers[0].n_requests++] = put;
    simsock_trickle(peers[0].fd, SOCKET_BYTES);
    deliver(&peers[0], 1000); /* with the bulk's beginning */
    rest();
    simloop_advance_us(idle_us);
    deliver(&peers[0], SIZE_MAX);
    ask_peer(&peers[1], "PING");
    reads = 0;
    simloop_pass(NULL);
    size_t n = reads - 1; /* less the other client's */
    peer_hear(&peers[1], first);
    EXPECT(peers[1].n_requests == 0, "the other client waits");
    peer_hear(&peers[0], first);
    EXPECT(peers[0].n_requests == 1, "the bulk is read whole in one turn");
    rest();
    peer_hear(&peers[0], first);
    EXPECT(peers[0].n_requests == 0 && !strncmp(first, ":1", 2), "it is written: %s", first);
    machine_finish();
    return n;
}

static void test_a_large_bulk_is_read_on_up_to_a_budget(void **state) {
    enum { BUDGET = 2 * 1024 * 1024 };
    (void)state;
    assert_int_equal(reads_of_bulk(50000), (BUDGET + SOCKET_BYTES - 1) / SOCKET_BYTES);
}

static void test_a_large_bulk_is_not_read_on_while_others_are_heard(void **state) {
    (void)state;
    assert_int_equal(reads_of_bulk(5000), 1);
}

/* ---- replies that nobody reads -------------------------------------------------------------- */

enum { SILENT = 1000 };

/* Clients whose sockets take nothing; each sends this. */
static void ask_silently(int *fds, int n, const char *request) {
    for (int i = 0; i < n; i++) {
        fds[i] = simsock_open();
        server_turn(&server);
        client_accept(&server, fds[i], "sim:0", false);
        simsock_room(fds[i], 0);
        simsock_send(fds[i], request, strlen(request));
    }
    rest();
}

static size_t count_closed(const int *fds, int n) {
    size_t closed = 0;
    for (int i = 0; i < n; i++) closed += simsock_is_closed(fds[i]);
    return closed;
}

/* A thousand short replies that wait are held in less than a tenth of a thousand blocks of 16 KiB,
 * beyond the first 4 MiB. */
static void test_short_replies_that_wait_hold_little(void **state) {
    (void)state;
    int fds[SILENT];
    machine_begin(false);
    fill_memory();
    ask_silently(fds, SILENT, "TQ.PUT q new FIELDS 1 f x\r\n");
    EXPECT(reply_pool_held(server.reply_pool) < (4 << 20) + SILENT * 1024, "they hold %zu bytes",
           reply_pool_held(server.reply_pool));
    assert_int_equal(count_closed(fds, SILENT), 0);
    for (int i = 0; i < SILENT; i++) {
        simsock_room(fds[i], SIZE_MAX);
        simloop_pass(NULL);
    }
    rest();
    for (int i = 0; i < SILENT; i++)
        EXPECT(!memcmp(simsock_output(fds[i])->ptr, "-OOM ", 5), "client %d is answered", i);
    machine_finish();
}

/* A thousand clients send commands and read nothing while memory is full: what was read of their
 * commands and can't run yet is bounded for all together, and all of it is answered later. */
static void test_input_that_waits_is_bounded(void **state) {
    (void)state;
    enum { LENGTH = 1000, PINGS = 40 };
    char ping[LENGTH + 64], *request = calloc(PINGS, sizeof(ping));
    int fds[SILENT], head = snprintf(ping, sizeof(ping), "*2\r\n$4\r\nPING\r\n$%d\r\n", LENGTH);
    memset(ping + head, 'x', LENGTH);
    memcpy(ping + head + LENGTH, "\r\n", 3);
    for (int i = 0; i < PINGS; i++) strcat(request, ping);
    machine_begin(false);
    fill_memory();
    ask_silently(fds, SILENT, request);
    free(request);
    size_t held = 0, most = server_memory_spare(&server) + SILENT * 2 * LENGTH;
    struct client *c;
    TAILQ_FOREACH(c, &server.clients->all, all) held += c->input.capacity;
    EXPECT(held <= most, "%zu bytes of input are held, expected at most %zu", held, most);
    check_input();
    assert_string_equal(ask_text("TQ.COUNT q"), ":1\r\n");
    assert_int_equal(count_closed(fds, SILENT), 0);
    for (int i = 0; i < SILENT; i++) {
        simsock_room(fds[i], SIZE_MAX);
        simloop_pass(NULL);
    }
    rest();
    for (int i = 0; i < SILENT; i++)
        assert_int_equal(simsock_output(fds[i])->len, PINGS * (strlen("$1000\r\n\r\n") + LENGTH));
    assert_int_equal(server.clients->waiting_bytes + server.clients->half_bytes, 0);
    machine_finish();
}

/* A command comes in two parts, the second with a call that waits and a short command: the buffer
 * that the first one took is given back while the last one waits. */
static void test_a_buffer_in_which_little_waits_is_small(void **state) {
    (void)state;
    enum { LENGTH = 12000 };
    char rest_of_it[LENGTH];
    memset(rest_of_it, 'x', LENGTH);
    machine_begin(false);
    send_text(&peers[0], "*2\r\n$4\r\nPING\r\n$12002\r\nxx");
    rest();
    simsock_send(peers[0].fd, rest_of_it, LENGTH);
    send_text(&peers[0], "\r\nTQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 0\r\nPING\r\n");
    rest();
    assert_int_equal(waiter_count(&server), 1);
    assert_in_range(server.clients->waiting_bytes, 6, 256);
    check_input();
    send_text(&peers[0], "PING\r\n");
    rest();
    check_input();
    assert_in_range(server.clients->waiting_bytes, 12, 256);
    ask_text("TQ.PUT p a FIELDS 1 f some");
    assert_int_equal(server.clients->waiting_bytes, 0);
    machine_finish();
}

/* The same where half a command is left in it, of many clients: none is discarded for buffers of
 * 16 KiB each that hold a few bytes. */
static void test_half_a_command_is_not_discarded_for_its_buffer(void **state) {
    (void)state;
    enum { LENGTH = 12000, CLIENTS_HALF = 400 };
    char rest_of_it[LENGTH];
    int fds[CLIENTS_HALF];
    memset(rest_of_it, 'x', LENGTH);
    machine_begin(false);
    fill_memory();
    ask_silently(fds, CLIENTS_HALF, "*2\r\n$4\r\nPING\r\n$12002\r\nxx");
    for (int i = 0; i < CLIENTS_HALF; i++) {
        static const char half[] = "\r\n*1\r\n$4\r\nPI";
        simsock_room(fds[i], SIZE_MAX);
        simsock_send(fds[i], rest_of_it, LENGTH);
        simsock_send(fds[i], half, strlen(half));
        rest();
    }
    assert_int_equal(server.metrics.halves_shed, 0);
    for (int i = 0; i < CLIENTS_HALF; i++) {
        simsock_send(fds[i], "NG\r\n", 4);
        rest();
        const struct simsock_bytes *out = simsock_output(fds[i]);
        assert_memory_equal(out->ptr + out->len - 7, "+PONG\r\n", 7);
    }
    machine_finish();
}

/* 7,000,000 bytes of replies wait, where all may hold 8.5 MB: the most silent give way in the same
 * turn, without a moment of time that passes, and others are answered. */
static void test_replies_that_nobody_reads_are_bounded_at_once(void **state) {
    (void)state;
    enum { LENGTH = 7000 };
    static char request[LENGTH + 64];
    int fds[SILENT];
    size_t head = (size_t)snprintf(request, sizeof(request), "*2\r\n$4\r\nECHO\r\n$%d\r\n",
                                   LENGTH);
    memset(request + head, 'x', LENGTH);
    memcpy(request + head + LENGTH, "\r\n", 3);
    machine_begin(false);
    fill_memory();
    ask_silently(fds, SILENT, request);
    size_t held = reply_pool_held(server.reply_pool), closed = count_closed(fds, SILENT);
    EXPECT(held <= 2 * server_memory_spare(&server), "they hold %zu bytes", held);
    EXPECT(closed > 0 && closed < SILENT, "%zu are closed", closed);
    send_text(&peers[0], "PING\r\n");
    rest();
    EXPECT(!memcmp(simsock_output(peers[0].fd)->ptr, "+PONG", 5), "others are answered");
    machine_finish();
}

/* Of two clients for which 100,000 bytes wait while memory is full, one takes some bytes now and
 * then, too few for the server to write more: it is not closed. The other takes none: it is. */
static void test_a_client_that_takes_bytes_is_not_closed(void **state) {
    (void)state;
    enum { LENGTH = 100000, STEPS = 50, STEP_US = 100000, IN_SOCKET = 500000 };
    static char request[LENGTH + 64];
    int fds[2];
    size_t head = (size_t)snprintf(request, sizeof(request), "*2\r\n$4\r\nECHO\r\n$%d\r\n", LENGTH);
    memset(request + head, 'x', LENGTH);
    memcpy(request + head + LENGTH, "\r\n", 3);
    machine_begin(false);
    for (int i = 0; i < 2; i++) {
        fds[i] = simsock_open();
        server_turn(&server);
        client_accept(&server, fds[i], "sim:0", false);
        simsock_room(fds[i], 0);
        simsock_untaken(fds[i], IN_SOCKET);
        simsock_send(fds[i], request, strlen(request));
    }
    rest();
    fill_memory();
    for (int i = 1; i <= STEPS; i++) {
        simsock_untaken(fds[0], IN_SOCKET - i);
        simloop_advance_us(STEP_US);
        rest();
    }
    EXPECT(!simsock_is_closed(fds[0]), "the one that reads is closed");
    EXPECT(simsock_is_closed(fds[1]), "the one that does not read is not closed");
    machine_finish();
}

/* ---- time that clients have ----------------------------------------------------------------- */

/* Let simulated time pass as a server sees it that has nothing to do: its timers run when they are
 * due. */
static void live(int64_t us) {
    enum { STEP_US = 100000 };
    for (; us > 0; us -= STEP_US) {
        simloop_advance_us(us < STEP_US ? us : STEP_US);
        rest();
    }
}

/* TQ.MGET of a sample of 7,000 bytes, `times` times over. */
static void ask_often(const struct peer *peer, int times) {
    char request[8192];
    int len = snprintf(request, sizeof(request), "TQ.MGET q KEYS %d", times);
    for (int i = 0; i < times; i++)
        len += snprintf(request + len, sizeof(request) - (size_t)len, " small");
    snprintf(request + len, sizeof(request) - (size_t)len, " FIELDS 1 g\r\n");
    send_text(peer, request);
    rest();
}

/* Clients that have not read for long hold 1.6 MB of replies, where all may hold 3.2. A reply of
 * 5.6 MB is refused without closing one of them; a reply of 2.8 MB has the room of some. */
static void test_nobody_is_closed_for_a_reply_that_has_no_room_even_so(void **state) {
    (void)state;
    enum { LENGTH = 7000, N = 100 };
    static char request[64 + LENGTH];
    int fds[N];
    size_t head = (size_t)snprintf(request, sizeof(request), "*2\r\n$4\r\nECHO\r\n$%d\r\n", LENGTH);
    memset(request + head, 'x', LENGTH);
    memcpy(request + head + LENGTH, "\r\n", 3);
    machine_begin(false);
    struct words w = {0};
    add_words(&w, "TQ.PUT q small FIELDS 1 g");
    add_value(&w, LENGTH);
    ask(&w);
    fill_memory();
    ask_silently(fds, N, request);
    live(2 * CLIENT_SILENT_US);
    assert_int_equal(count_closed(fds, N), 0);
    ask_often(&peers[0], 800);
    EXPECT(!memcmp(simsock_output(peers[0].fd)->ptr, "-OOM", 4), "there is no room");
    assert_int_equal(count_closed(fds, N), 0);
    ask_often(&peers[1], 400);
    EXPECT(!memcmp(simsock_output(peers[1].fd)->ptr, "*400", 4), "there is room");
    size_t closed = count_closed(fds, N);
    EXPECT(closed > 0 && closed < N, "%zu are closed", closed);
    machine_finish();
}

/* One pass in which timers alone run, or sockets alone, as if the others came later. */
static void pass_of(bool timers) {
    struct simloop_ready ready[SIMLOOP_READY_MAX];
    size_t places[SIMLOOP_READY_MAX], n = simloop_ready(ready), k = 0;
    for (size_t i = 0; i < n; i++)
        if ((ready[i].fd == -1) == timers) places[k++] = i;
    if (k) simloop_pass_of(places, k);
}

static void pass_timers(void) {
    pass_of(true);
}

static void pass_sockets(void) {
    pass_of(false);
}

/* Two subscribers for which 3 MB wait each have not let the server write for long, and events have
 * no room. The one that has taken a byte from its socket since then gets them even so; the other is
 * closed, before a tick could do it. */
static void test_a_subscriber_that_takes_bytes_is_not_closed_for_a_message(void **state) {
    (void)state;
    enum { IN_SOCKET = 500000 };
    static const char last[] = "complete\r\n"; /* of its events */
    const struct simsock_bytes *out;
    struct words w = {0};
    machine_begin(false);
    ask_text("CONFIG SET notify-events yes");
    ask_text("TQ.CREATE p");
    add_words(&w, "TQ.PUT q small FIELDS 1 g");
    add_value(&w, 7000);
    ask(&w);
    for (int i = 0; i < 2; i++) {
        simsock_room(peers[i].fd, 0);
        simsock_untaken(peers[i].fd, IN_SOCKET);
        send_text(&peers[i], "HELLO 3\r\nSUBSCRIBE __tq__:p\r\n");
        ask_often(&peers[i], 430);
    }
    fill_memory();
    EXPECT(!clients_have_room(&server, 0), "%zu bytes wait", reply_pool_held(server.reply_pool));
    simloop_advance_us(CLIENT_SILENT_US);
    simsock_untaken(peers[0].fd, IN_SOCKET - 1);
    send_text(OBSERVER, "TQ.SEAL p\r\n");
    pass_sockets();
    EXPECT(!simsock_is_closed(peers[0].fd), "the one that reads is closed");
    EXPECT(simsock_is_closed(peers[1].fd), "the one that does not read is not closed");
    simsock_room(peers[0].fd, SIZE_MAX);
    rest();
    out = simsock_output(peers[0].fd);
    EXPECT(!memcmp(out->ptr + out->len - strlen(last), last, strlen(last)), "it has the events");
    machine_finish();
}

enum { SECOND_US = 1000000 };

static void expect_closed_for_silence(const struct peer *peer, const char *what) {
    live(59 * SECOND_US);
    EXPECT(!simsock_is_closed(peer->fd), "%s: closed before its time", what);
    live(4 * SECOND_US);
    EXPECT(simsock_is_closed(peer->fd), "%s: not closed after client-request-timeout", what);
}

static void test_half_a_command_ends_after_its_time(void **state) {
    (void)state;
    static const char *const halves[] = {"*2", "*2\r\n$4\r\nECHO\r\n$10\r\nhal", "PIN",
                                         "*2\r\n$4\r\nECHO\r\n$40000\r\nhalf of it"};
    machine_begin(false);
    for (size_t i = 0; i < sizeof(halves) / sizeof(*halves); i++) {
        rest();
        send_text(&peers[0], halves[i]);
        rest();
        expect_closed_for_silence(&peers[0], halves[i]);
        simsock_leave(peers[0].fd, false);
        peer_join(&peers[0]);
    }
    EXPECT(!simsock_is_closed(peers[1].fd), "a client that sent nothing is not late");
    machine_finish();
}

/* Beyond maxmemory nothing of the half is kept, and it ends all the same. */
static void test_half_a_command_that_is_not_kept_ends_too(void **state) {
    (void)state;
    struct words many = {0};
    machine_begin(false);
    fill_memory();
    send_text(&peers[0], "*2\r\n$4\r\nECHO\r\n$40000\r\nhalf of it");
    rest();
    expect_closed_for_silence(&peers[0], "a bulk that is thrown away");
    for (int i = 0; i < 8; i++) add_value(&many, 10000);
    encode(&peers[1], &many);
    send_text(&peers[1], "*20\r\n");
    simsock_send(peers[1].fd, peers[1].outbox.ptr + strlen("*8\r\n"),
                 peers[1].outbox.len - strlen("*8\r\n"));
    rest();
    expect_closed_for_silence(&peers[1], "small arguments that are thrown away");
    machine_finish();
}

/* What the server sends is no byte of the command. */
static void test_messages_do_not_keep_half_a_command(void **state) {
    (void)state;
    machine_begin(false);
    send_text(&peers[0], "SUBSCRIBE c\r\nPIN");
    for (int i = 0; i < 5; i++) {
        live(10 * SECOND_US);
        assert_string_equal(ask_text("PUBLISH c hello"), ":1\r\n");
    }
    assert_false(simsock_is_closed(peers[0].fd));
    for (int i = 0; i < 2; i++) {
        live(7 * SECOND_US);
        ask_text("PUBLISH c hello");
    }
    assert_true(simsock_is_closed(peers[0].fd));
    machine_finish();
}

/* The time in which the server did not read is not the client's. */
static void test_time_in_which_nothing_was_read_is_not_counted(void **state) {
    (void)state;
    char first[128];
    machine_begin(false);
    send_text(&peers[0], "*2\r\n$4\r\nECHO\r\n$4\r\nha");
    rest();
    simloop_advance_us(61 * SECOND_US);
    send_text(&peers[0], "lf\r\n");
    for (int i = 0; i < 20; i++) {
        simloop_advance_us(SECOND_US / 10);
        pass_timers();
    }
    assert_false(simsock_is_closed(peers[0].fd));
    rest();
    assert_int_equal(simsock_output(peers[0].fd)->len, strlen("$4\r\nhalf\r\n"));

    /* Half a command waits behind a parked one whose reply is suppressed: its time begins when that
     * one is over. */
    send_text(&peers[1], "CLIENT REPLY OFF\r\nTQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 0\r\nPIN");
    rest();
    live(100 * SECOND_US);
    ask_text("TQ.PUT p a FIELDS 1 f some");
    expect_closed_for_silence(&peers[1], "half a command behind a parked one");
    peer_hear(OBSERVER, first);
    machine_finish();
}

/* A client that talks is never idle, one that waits or is subscribed may be. */
static void test_a_client_that_talks_is_not_closed_for_timeout(void **state) {
    (void)state;
    const struct peer *talks = &peers[0], *waits = &peers[1], *subscribed = &peers[2],
                      *idle = &peers[3];
    machine_begin(false);
    assert_string_equal(ask_text("CONFIG SET timeout 3"), "+OK\r\n");
    send_text(waits, "TQ.SAMPLE p t COUNT 1 FIELDS 1 f BLOCK 0\r\n");
    send_text(subscribed, "SUBSCRIBE c\r\n");
    for (int second = 1; second <= 10; second++) {
        send_text(talks, "PING\r\n");
        live(SECOND_US);
        EXPECT(second > 2 || !simsock_is_closed(idle->fd), "an idle client is closed too early");
        EXPECT(second < 5 || simsock_is_closed(idle->fd), "an idle client is not closed");
    }
    EXPECT(!simsock_is_closed(talks->fd), "a client that talks is closed");
    EXPECT(!simsock_is_closed(waits->fd), "a client that waits is closed");
    EXPECT(!simsock_is_closed(subscribed->fd), "a subscribed client is closed");
    assert_int_equal(simsock_output(talks->fd)->len, 10 * strlen("+PONG\r\n"));
    machine_finish();
}

/* RETIRE spares the samples of a holder's last call for an hour. A writer that waits for their room
 * goes on then, and the log has both. */
static void test_a_batch_of_once_is_spared_for_an_hour(void **state) {
    (void)state;
    char first[128];
    machine_begin(true);
    ask_text("TQ.CREATE p MAXSAMPLES 1 RETIRE 1 t");
    ask_text("TQ.PUT p a FIELDS 1 f some");
    ask_text("TQ.SAMPLE p t COUNT 1 FIELDS 1 f ONCE holder 1 AS KEYS");
    ask_peer(&peers[0], "TQ.PUT p b FIELDS 1 f some BLOCK 0");
    live(SECOND_US);
    simloop_advance_us(INT64_C(3597) * SECOND_US);
    live(SECOND_US);
    assert_int_equal(waiter_count(&server), 1);
    assert_string_equal(ask_text("TQ.SAMPLE p t COUNT 1 FIELDS 1 f ONCE holder 1 AS KEYS"),
                        "*1\r\n$1\r\na\r\n");
    live(2 * SECOND_US);
    assert_int_equal(waiter_count(&server), 0);
    expect_reply(&peers[0], ":1\r\n");
    peer_hear(&peers[0], first);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(ask_text("TQ.LIST p"), "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n");
        const char *again = ask_text("TQ.SAMPLE p t COUNT 1 FIELDS 1 f ONCE holder 1 AS KEYS");
        EXPECT(!strncmp(again, "-NOKEY", 6), "%s", again);
        if (i == 0) machine_restart();
    }
    machine_finish();
}

/* A soft limit counts from the last byte that moved. */
static void test_a_soft_limit_counts_from_the_last_byte(void **state) {
    (void)state;
    struct words put = {0}, set = {0};
    machine_begin(false);
    add_words(&set, "CONFIG SET client-output-buffer-limit");
    add_word(&set, "normal 0 10000 5");
    assert_string_equal(ask(&set), "+OK\r\n");
    add_words(&put, "TQ.PUT p a FIELDS 1 f");
    add_value(&put, VALUE_LARGE);
    ask(&put);
    simsock_room(peers[0].fd, 0);
    ask_peer(&peers[0], "TQ.MGET p KEYS 1 a FIELDS 1 f");
    for (int i = 0; i < 10; i++) {
        live(4 * SECOND_US);
        simsock_room(peers[0].fd, 100);
        rest();
    }
    EXPECT(!simsock_is_closed(peers[0].fd), "a client that reads slowly is not cut");
    live(4 * SECOND_US);
    EXPECT(!simsock_is_closed(peers[0].fd), "it is not cut before 5 s without a byte");
    live(3 * SECOND_US);
    EXPECT(simsock_is_closed(peers[0].fd), "it is cut after 5 s without a byte");
    machine_finish();
}

/* A client whose request was refused sends the rest of it slowly, then nothing more. */
static void test_a_lingering_client_that_is_slow_is_waited_for(void **state) {
    (void)state;
    machine_begin(false);
    send_text(&peers[0], "*2\r\n$4\r\nECHO\r\n$99999999999\r\n");
    rest();
    for (int i = 0; i < 3; i++) {
        live(50 * SECOND_US);
        EXPECT(!simsock_is_closed(peers[0].fd), "it is not closed before 60 s without a byte");
        send_text(&peers[0], "more of its argument");
        rest();
    }
    live(70 * SECOND_US);
    EXPECT(simsock_is_closed(peers[0].fd), "it is closed after 60 s without a byte");
    assert_string_equal(ask_text("PING"), "+PONG\r\n");
    machine_finish();
}

/* A client whose request was refused sends on and on. */
static void test_a_lingering_client_is_read_up_to_a_bound(void **state) {
    (void)state;
    static const uint64_t bound = UINT64_C(4) << 30, slack = 1 << 20; /* bytes */
    machine_begin(false);
    send_text(&peers[0], "*2\r\n$4\r\nECHO\r\n$99999999999\r\n");
    rest();
    assert_int_equal(strncmp(simsock_output(peers[0].fd)->ptr, "-ERR Protocol error", 19), 0);
    simsock_flood(peers[0].fd);
    while (!simsock_is_closed(peers[0].fd) && simsock_flooded(peers[0].fd) <= bound + slack)
        simloop_pass(NULL);
    assert_true(simsock_is_closed(peers[0].fd));
    assert_in_range(simsock_flooded(peers[0].fd), bound - slack, bound + slack);
    assert_string_equal(ask_text("PING"), "+PONG\r\n");
    machine_finish();
}

/* Memory is full, a client reads nothing of its output, and goes on sending: a byte of input is no
 * sign that it reads. */
static void test_input_does_not_keep_a_client_that_does_not_read(void **state) {
    (void)state;
    struct words put = {0}, over = {0};
    machine_begin(false);
    add_words(&put, "TQ.PUT p a FIELDS 1 f");
    add_value(&put, 200000);
    ask(&put);
    simsock_room(peers[0].fd, 0);
    ask_peer(&peers[0], "TQ.MGET p KEYS 1 a FIELDS 1 f");
    ask_peer(&peers[0], "TQ.SAMPLE none t COUNT 1 FIELDS 1 f BLOCK 0");
    rest();
    fill_memory();
    add_words(&over, "TQ.PUT p b FIELDS 1 f some");
    for (int i = 0; i < 30; i++) {
        if (!simsock_is_closed(peers[0].fd)) send_text(&peers[0], "P");
        assert_int_equal(strncmp(ask(&over), "-OOM", 4), 0);
        live(SECOND_US / 10);
    }
    EXPECT(simsock_is_closed(peers[0].fd), "closed when it has read nothing for a second");
    machine_finish();
}

int main(void) {
    hash_init();
    log_set_level(LOG_WARNING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_orders_of_a_full_socket),
        cmocka_unit_test(test_the_next_is_served_when_the_head_leaves_during_sending),
        cmocka_unit_test(test_nothing_is_sent_when_the_log_fails),
        cmocka_unit_test(test_values_of_a_waiting_batch_are_checked_once),
        cmocka_unit_test(test_a_write_that_waited_for_room_waits_for_memory),
        cmocka_unit_test(test_a_write_that_waited_for_memory_waits_for_room),
        cmocka_unit_test(test_a_thread_that_can_not_be_started_is_an_error),
        cmocka_unit_test(test_a_choosy_call_hears_that_it_is_wrong),
        cmocka_unit_test(test_a_call_that_filters_does_not_hold_up_others),
        cmocka_unit_test(test_a_write_asks_only_heads_whose_condition_it_meets),
        cmocka_unit_test(test_a_nack_asks_only_heads_whose_condition_it_meets),
        cmocka_unit_test(test_an_idle_server_tries_no_head),
        cmocka_unit_test(test_many_tasks_with_one_where_cost_what_changes),
        cmocka_unit_test(test_a_write_tries_heads_whose_group_it_completes),
        cmocka_unit_test(test_more_walks_than_views_end),
        cmocka_unit_test(test_an_index_is_built_between_commands),
        cmocka_unit_test(test_an_index_completes_amid_calls),
        cmocka_unit_test(test_a_partition_goes_while_its_index_is_built),
        cmocka_unit_test(test_a_scan_does_not_hold_up_other_partitions),
        cmocka_unit_test(test_clear_is_cut_into_slices),
        cmocka_unit_test(test_clear_in_slices_ends_early),
        cmocka_unit_test(test_a_batch_that_the_log_has_no_room_for_is_refused_whole),
        cmocka_unit_test(test_several_partitions_are_dropped_or_none),
        cmocka_unit_test(test_clear_in_slices_stops_where_the_log_has_no_room),
        cmocka_unit_test(test_a_client_is_killed_that_is_to_go_on),
        cmocka_unit_test(test_short_replies_that_wait_hold_little),
        cmocka_unit_test(test_input_that_waits_is_bounded),
        cmocka_unit_test(test_a_buffer_in_which_little_waits_is_small),
        cmocka_unit_test(test_half_a_command_is_not_discarded_for_its_buffer),
        cmocka_unit_test(test_replies_that_nobody_reads_are_bounded_at_once),
        cmocka_unit_test(test_a_client_that_takes_bytes_is_not_closed),
        cmocka_unit_test(test_nobody_is_closed_for_a_reply_that_has_no_room_even_so),
        cmocka_unit_test(test_a_subscriber_that_takes_bytes_is_not_closed_for_a_message),
        cmocka_unit_test(test_half_a_command_ends_after_its_time),
        cmocka_unit_test(test_half_a_command_that_is_not_kept_ends_too),
        cmocka_unit_test(test_messages_do_not_keep_half_a_command),
        cmocka_unit_test(test_time_in_which_nothing_was_read_is_not_counted),
        cmocka_unit_test(test_a_client_that_talks_is_not_closed_for_timeout),
        cmocka_unit_test(test_a_batch_of_once_is_spared_for_an_hour),
        cmocka_unit_test(test_a_soft_limit_counts_from_the_last_byte),
        cmocka_unit_test(test_a_lingering_client_that_is_slow_is_waited_for),
        cmocka_unit_test(test_a_lingering_client_is_read_up_to_a_bound),
        cmocka_unit_test(test_input_does_not_keep_a_client_that_does_not_read),
        cmocka_unit_test(test_a_large_bulk_is_read_on_up_to_a_budget),
        cmocka_unit_test(test_a_large_bulk_is_not_read_on_while_others_are_heard),
        cmocka_unit_test(test_drawn_orders),
        cmocka_unit_test(test_a_follower_of_frames_misses_no_op),
        cmocka_unit_test(test_nothing_is_encoded_while_nobody_reads),
    };
    cmocka_set_test_filter(getenv("TQ_ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
