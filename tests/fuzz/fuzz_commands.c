/* Whole commands, from the bytes of a socket to the bytes of its replies, in one process.
 *
 * A real server without its port: clients come over socketpairs and the loop turns until nothing moves. The
 * first byte of an input says how the rest is to be taken. Even: words, parted by blanks, a command a
 * line, sent as proper requests (a word that begins with % is that many times x, so that large
 * values are cheap to say); odd: raw bytes, as any stranger may send them. What must hold: whatever
 * comes back is RESP, the server still answers PING, and once everything is flushed and everyone
 * gone, no chunk is left. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/number.h"
#include "cmd/cmd.h"
#include "server/client.h"
#include "server/config.h"
#include "server/server.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAM_MAX = 256 * 1024, REPLY_MAX = 4 * 1024 * 1024, VALUE_MAX = 100 * 1000 };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct server server;
static char stream[STREAM_MAX], replies[REPLY_MAX];
static size_t stream_len;

static void start(void) {
    char directory[] = "/tmp/tq-fuzz-XXXXXX";
    char path[64], *words[] = {"--port",     "0",       "--unixsocket",    path,
                               "--loglevel", "warning", "--notify-events", "yes"};
    struct error e;
    CHECK(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/tq.sock", directory);
    hash_init();
    server_init(&server);
    cmd_connection_register();
    cmd_client_register();
    cmd_command_register();
    cmd_keyspace_register();
    cmd_pubsub_register();
    cmd_transaction_register();
    cmd_put_register();
    cmd_mput_register();
    cmd_mget_register();
    cmd_define_register();
    cmd_lease_register();
    cmd_list_register();
    cmd_sample_register();
    cmd_clear_register();
    cmd_partition_register();
    CHECK(!config_load_words(server.config, sizeof(words) / sizeof(*words), words, &e));
    CHECK(!server_start(&server, &e));
    unlink(path); /* nobody but the fuzzer comes in */
    rmdir(directory);
}

/* ---- a connection ------------------------------------------------------------------------- */

static int join(void) {
    int pair[2], size = REPLY_MAX;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    server_turn(&server);
    client_accept(&server, pair[1], "fuzz:0", false);
    return pair[0];
}

/* Turn the loop until the client has nothing more to say; what it said is in `replies`. */
static size_t listen_to(int fd, size_t had) {
    for (int quiet = 0; quiet < 3;) {
        event_base_loop(server.base, EVLOOP_NONBLOCK);
        ssize_t n = read(fd, replies + had, REPLY_MAX - had);
        quiet = n > 0 ? 0 : quiet + 1;
        if (n > 0) had += (size_t)n;
    }
    return had;
}

/* The server has stopped reading: its one client is parked, and what more it says stays in the
 * socket. A server that stops reading anyone else is not forgiven: the input times out. */
static bool is_parked(void) {
    const struct client *c = TAILQ_FIRST(&server.clients->all);
    return c && c->waiter;
}

/* Say it all and take what is answered; ends early where nobody listens any more. */
static size_t say(int fd, const char *bytes, size_t len) {
    size_t had = 0;
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
        had = listen_to(fd, had);
        bool is_gone = had == REPLY_MAX || recv(fd, &(char){0}, 1, MSG_PEEK) == 0;
        if (n <= 0 && (is_gone || is_parked())) break;
    }
    return listen_to(fd, had);
}

/* ---- what comes back ---------------------------------------------------------------------- */

static const char *line_end(const char *at, const char *end) {
    const char *cr = memchr(at, '\r', (size_t)(end - at));
    CHECK(!cr || cr + 1 == end || cr[1] == '\n');
    return cr && cr + 1 < end ? cr + 2 : NULL;
}

/* One reply; where it ends, or NULL when it was cut by a close. */
static const char *reply_end(const char *at, const char *end) {
    if (at == end) return NULL;
    const char *next = line_end(at, end);
    if (!next) return NULL;
    struct span rest = span_of(at + 1, (size_t)(next - at) - 3);
    int64_t n = 0;
    if (strchr("+-:,#_(", *at)) return next;
    CHECK(*at && strchr("$=*~%>", *at));
    CHECK(number_parse_i64(rest, &n) && n >= -1);
    if (*at == '$' || *at == '=') {
        if (n == -1) return next;
        if (end - next < n + 2) return NULL;
        CHECK(memcmp(next + n, "\r\n", 2) == 0);
        return next + n + 2;
    }
    if (*at == '%') n *= 2;
    for (; n > 0 && next; n--) next = reply_end(next, end);
    return next;
}

static void check_replies(size_t len) {
    const char *at = replies, *end = replies + len;
    while (at && at < end) at = reply_end(at, end);
}

/* ---- an input ----------------------------------------------------------------------------- */

static void add(const void *bytes, size_t len) {
    if (len > STREAM_MAX - stream_len) len = STREAM_MAX - stream_len;
    memcpy(stream + stream_len, bytes, len);
    stream_len += len;
}

static void add_word(struct span word) {
    uint64_t times;
    char header[32];
    bool repeat = word.len > 1 && word.ptr[0] == '%' &&
                  number_parse_u64(span_of(word.ptr + 1, word.len - 1), &times) &&
                  times <= VALUE_MAX;
    size_t len = repeat ? times : word.len;
    add(header, (size_t)snprintf(header, sizeof(header), "$%zu\r\n", len));
    if (repeat && len <= STREAM_MAX - stream_len) {
        memset(stream + stream_len, 'x', len);
        stream_len += len;
    } else {
        add(word.ptr, word.len);
    }
    add("\r\n", 2);
}

static void add_command(struct span line) {
    size_t words = 1;
    char header[32];
    for (size_t i = 0; i < line.len; i++) words += line.ptr[i] == ' ';
    add(header, (size_t)snprintf(header, sizeof(header), "*%zu\r\n", words));
    for (size_t begin = 0, i = 0; i <= line.len; i++) {
        if (i < line.len && line.ptr[i] != ' ') continue;
        add_word(span_of(line.ptr + begin, i - begin));
        begin = i + 1;
    }
}

static void add_lines(const char *data, size_t size) {
    for (size_t begin = 0, i = 0; i <= size; i++) {
        if (i < size && data[i] != '\n') continue;
        if (i > begin) add_command(span_of(data + begin, i - begin));
        begin = i + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char flush[] = "*1\r\n$8\r\nFLUSHALL\r\n*1\r\n$4\r\nPING\r\n";
    if (!server.base) start();
    if (size < 1) return 0;
    stream_len = 0;
    if (*data % 2)
        add(data + 1, size - 1);
    else
        add_lines((const char *)data + 1, size - 1);

    int fd = join();
    check_replies(say(fd, stream, stream_len));
    close(fd);

    fd = join();
    size_t n = say(fd, flush, sizeof(flush) - 1);
    CHECK(n == 12 && memcmp(replies, "+OK\r\n+PONG\r\n", n) == 0);
    close(fd);
    for (int i = 0; i < 3; i++) event_base_loop(server.base, EVLOOP_NONBLOCK);
    CHECK(server.clients->count == 0 && store_partitions(server.store) == 0);
    CHECK(arena_allocated(store_arena(server.store)) == 0);
    return 0;
}
