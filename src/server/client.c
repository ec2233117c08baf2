/* See client.h. */
#include "server/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/command.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/transaction.h"
#include "server/waiter.h"
#include "store/store.h"

enum {
    UNIX_SEND_BUFFER = 4 * 1024 * 1024,
    DIRECT_FROM = 32 * 1024, /* smaller bulks are copied once instead */
    INLINE_MAX = 64 * 1024,
    REJECTED_MAX = 32,          /* that linger beside maxclients */
    DESCRIPTORS_RESERVED = 32 + /* listening sockets, logs, the loop's own, memory regions */
                           REJECTED_MAX,
    REJECTED_MAX_US = 10 * 1000000, /* from the rejection to the close */
    CLOSING_IDLE_US = 60 * 1000000, /* of a client that closes: without a byte either way */
    TICKS_PER_ROUND = 10,           /* ticks in which every client is visited once */
};

static char no_text[] = "";

/* ---- direct reads */

static void *direct_allocate(void *context, size_t len, void **memory) {
    struct server *s = context;
    if (len > ARENA_CHUNK_MAX || server_memory_full(s, len)) return NULL;
    struct chunk *chunk = arena_take(store_arena(s->store), len);
    if (chunk) *memory = chunk->memory;
    return chunk;
}

static void direct_release(void *context, void *direct) {
    (void)context;
    chunk_unpin(direct);
}

/* ---- the set of clients */

struct clients *clients_new(struct server *s) {
    struct clients *clients = mem_calloc(1, sizeof(*clients));
    TAILQ_INIT(&clients->all);
    TAILQ_INIT(&clients->rejected);
    TAILQ_INIT(&clients->sending);
    TAILQ_INIT(&clients->ready);
    TAILQ_INIT(&clients->halves);
    TAILQ_INIT(&clients->unread);
    TAILQ_INIT(&clients->dead);
    clients->allocator = (struct resp_allocator){
        .context = s, .allocate = direct_allocate, .release = direct_release};
    clients->limits = (struct resp_limits){.max_inline = INLINE_MAX, .direct_from = DIRECT_FROM};
    return clients;
}

void clients_free(struct clients *clients) {
    mem_free(clients);
}

void clients_close_all(struct server *s) {
    while (!TAILQ_EMPTY(&s->clients->all))
        client_close(TAILQ_FIRST(&s->clients->all), "the server ends");
    while (!TAILQ_EMPTY(&s->clients->rejected))
        client_close(TAILQ_FIRST(&s->clients->rejected), "the server ends");
    clients_sweep(s);
}

int clients_raise_descriptors(struct server *s, struct error *e) {
    struct rlimit limit;
    rlim_t need = (rlim_t)s->clients->maxclients + DESCRIPTORS_RESERVED;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return error_set(e, ERROR_ERR, "can't read the limit of open files: %s", strerror(errno));
    if (limit.rlim_cur >= need) return 0;
    struct rlimit wanted = {need, limit.rlim_max > need ? limit.rlim_max : need};
    if (!setrlimit(RLIMIT_NOFILE, &wanted)) return 0;
    wanted = (struct rlimit){limit.rlim_max, limit.rlim_max};
    if (!setrlimit(RLIMIT_NOFILE, &wanted)) limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_cur <= DESCRIPTORS_RESERVED)
        return error_set(e, ERROR_ERR,
                         "only %llu files may be open, which is too few to serve anyone",
                         (unsigned long long)limit.rlim_cur);
    log_warning("maxclients %lld needs %llu open files and the system allows %llu (ulimit -n): "
                "maxclients is %llu now",
                (long long)s->clients->maxclients, (unsigned long long)need,
                (unsigned long long)limit.rlim_cur,
                (unsigned long long)limit.rlim_cur - DESCRIPTORS_RESERVED);
    s->clients->maxclients = (int64_t)limit.rlim_cur - DESCRIPTORS_RESERVED;
    return 0;
}

void clients_sweep(struct server *s) {
    for (struct client *c; (c = TAILQ_FIRST(&s->clients->dead));) {
        TAILQ_REMOVE(&s->clients->dead, c, all);
        mem_free(c);
    }
}

/* ---- one client */

void client_format_address(const struct sockaddr *address, size_t len, struct text *out) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        text_printf(out, "%s:%u", host, ntohs(in->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        text_printf(out, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_un *un = (const struct sockaddr_un *)address;
        size_t path = len > offsetof(struct sockaddr_un, sun_path)
                          ? strnlen(un->sun_path, len - offsetof(struct sockaddr_un, sun_path))
                          : 0;
        text_printf(out, "%.*s:0", (int)path, un->sun_path);
    }
}

void client_local_address(const struct client *c, struct text *out) {
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);
    if (getsockname(c->fd, (struct sockaddr *)&storage, &len))
        text_printf(out, "?:0");
    else
        client_format_address((struct sockaddr *)&storage, len, out);
}

static void set_tcp_options(const struct clients *clients, int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int idle = (int)clients->tcp_keepalive;
    if (!idle) return;
    int probes = 3, interval = idle / probes ? idle / probes : 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* A unix socket's buffer does not grow by itself, as TCP's does: as much as the system allows, so
 * that a large reply takes few turns. It is the sender's buffer that counts there. */
static void set_unix_options(int fd) {
    int size = UNIX_SEND_BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

#define CLIENT_REJECTION "max number of clients reached"

/* Where so many linger that no other may, and none has its reply yet: the reply as far as the
 * socket takes it, and the end. */
static void client_reject_at_once(int fd) {
    static const char message[] = "-ERR " CLIENT_REJECTION "\r\n";
    if (write(fd, message, sizeof(message) - 1) < 0) log_debug("%s", strerror(errno));
    close(fd);
}

/* One of the lingering has to go before another may linger. False where its reply is not sent
 * yet. */
static bool clients_make_room_for_rejected(struct clients *clients) {
    struct client *oldest = TAILQ_FIRST(&clients->rejected);
    if (clients->n_rejected < REJECTED_MAX) return true;
    if (oldest->reply.pending) return false;
    client_close(oldest, "others are refused");
    return true;
}

static struct client *client_new(struct server *s, int fd, const char *address, bool is_tcp) {
    struct clients *clients = s->clients;
    if (is_tcp)
        set_tcp_options(clients, fd);
    else
        set_unix_options(fd);
    size_t address_size = strlen(address) + 1;
    struct client *c = mem_calloc(1, sizeof(*c) + address_size);
    c->server = s;
    c->fd = fd;
    c->id = ++clients->last_id;
    c->address = memcpy(c + 1, address, address_size);
    c->name = c->library = c->library_version = no_text;
    c->born_us = c->active_us = c->input_us = s->now_us;
    subscription_set_init(&c->channels);
    subscription_set_init(&c->patterns);
    subscription_set_init(&c->watches);
    client_io_begin(c);
    return c;
}

static void client_reject(struct server *s, int fd, const char *address, bool is_tcp) {
    struct clients *clients = s->clients;
    uint64_t dropped;
    s->metrics.rejected++;
    if (log_is_due(&clients->rejected_log, s->now_us, 1000000, &dropped))
        log_notice("a client at %s is refused: %zu are connected, and maxclients is %lld (%llu "
                   "more since the last line)",
                   address, clients->count, (long long)clients->maxclients,
                   (unsigned long long)dropped);
    if (!clients_make_room_for_rejected(clients)) {
        client_reject_at_once(fd);
        return;
    }
    struct client *c = client_new(s, fd, address, is_tcp);
    c->rejected = true;
    TAILQ_INSERT_TAIL(&clients->rejected, c, all);
    clients->n_rejected++;
    reply_errorf(&c->reply, ERROR_ERR, CLIENT_REJECTION);
    client_close_lingering(c);
}

void client_accept(struct server *s, int fd, const char *address, bool is_tcp) {
    struct clients *clients = s->clients;
    if ((int64_t)clients->count >= clients->maxclients) {
        client_reject(s, fd, address, is_tcp);
        return;
    }
    struct client *c = client_new(s, fd, address, is_tcp);
    TAILQ_INSERT_TAIL(&clients->all, c, all);
    clients->count++;
    s->metrics.connections++;
    log_debug("client %llu connected from %s", (unsigned long long)c->id, c->address);
}

int client_check_name(struct span name, const char *what, struct error *e) {
    if (name.len > CLIENT_NAME_MAX)
        return error_set(e, ERROR_ERR, "%s cannot be longer than %d bytes, got %zu.", what,
                         CLIENT_NAME_MAX, name.len);
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < '!' || name.ptr[i] > '~')
            return error_set(e, ERROR_ERR,
                             "%s cannot contain spaces, newlines or special characters.", what);
    return 0;
}

void client_set_text(char **where, struct span text) {
    if (*where != no_text) mem_free(*where);
    *where = no_text;
    if (!text.len) return;
    *where = mem_alloc(text.len + 1);
    memcpy(*where, text.ptr, text.len);
    (*where)[text.len] = '\0';
}

void client_close(struct client *c, const char *why) {
    if (c->dead) return;
    struct server *s = c->server;
    struct clients *clients = s->clients;
    log_debug("client %llu at %s closed: %s", (unsigned long long)c->id, c->address, why);
    c->dead = true;
    if (c->waiter) waiter_forget(c);
    pubsub_forget(c);
    transaction_forget(c);
    client_request_over(c);
    client_io_end(c);
    if (c->is_sending) TAILQ_REMOVE(&clients->sending, c, sending);
    if (c->is_ready) TAILQ_REMOVE(&clients->ready, c, ready);
    c->is_sending = c->is_ready = false;
    client_set_text(&c->name, span_of(NULL, 0));
    client_set_text(&c->library, span_of(NULL, 0));
    client_set_text(&c->library_version, span_of(NULL, 0));
    if (clients->visited == c) clients->visited = TAILQ_NEXT(c, all);
    TAILQ_REMOVE(c->rejected ? &clients->rejected : &clients->all, c, all);
    if (c->rejected)
        clients->n_rejected--;
    else
        clients->count--;
    TAILQ_INSERT_TAIL(&clients->dead, c, all);
    server_turn(s); /* its end frees the client */
}

void client_close_after_reply(struct client *c) {
    if (c->dead || c->closing) return;
    c->closing = true;
    c->closing_since_us = c->server->now_us;
    pubsub_forget(c); /* nothing is added to what it has still to get */
    event_del(&c->readable);
    client_output_ready(c);
}

void client_close_lingering(struct client *c) {
    c->lingers = true;
    client_close_after_reply(c);
}

static void client_move_argv(struct client *c) {
    if (c->owned || !c->argc) return;
    size_t bytes = 0;
    for (size_t i = 0; i < c->argc; i++)
        if (!c->argv[i].direct) bytes += c->argv[i].bytes.len;
    /* The block begins with its size, which can't be told from argv once chunks of direct reads
     * were taken over. */
    size_t size = sizeof(size_t) + c->argc * sizeof(*c->owned) + bytes;
    size_t *block = mem_alloc(size);
    *block = size;
    c->server->clients->owned_bytes += size;
    c->owned = (struct resp_arg *)(block + 1);
    char *at = (char *)(c->owned + c->argc);
    for (size_t i = 0; i < c->argc; i++) {
        struct resp_arg *arg = &c->argv[i];
        c->owned[i] = *arg;
        if (!arg->direct && arg->bytes.len) {
            c->owned[i].bytes.ptr = memcpy(at, arg->bytes.ptr, arg->bytes.len);
            at += arg->bytes.len;
        }
        arg->direct = NULL;
    }
    c->argv = c->owned;
}

struct resp_arg *client_take_argv(struct client *c) {
    client_move_argv(c);
    struct resp_arg *argv = c->owned;
    c->owned = NULL;
    return argv;
}

void client_free_argv(struct server *s, struct resp_arg *argv, size_t argc) {
    const struct resp_allocator *allocator = &s->clients->allocator;
    if (!argv) return;
    for (size_t i = 0; i < argc; i++)
        if (argv[i].direct) allocator->release(allocator->context, argv[i].direct);
    size_t *block = (size_t *)argv - 1;
    s->clients->owned_bytes -= *block;
    mem_free(block);
}

int client_check_own(struct client *c, enum client_own what, struct error *e) {
    struct server *s = c->server;
    size_t owned = s->clients->owned_bytes + waiter_count(s) * WAITER_BYTES;
    size_t bytes = what == CLIENT_OWN_QUEUED ? 0 : WAITER_BYTES;
    size_t most = server_memory_spare(s) * (what == CLIENT_OWN_TO_FREE ? 2 : 1);
    for (size_t i = 0; i < c->argc; i++)
        bytes += sizeof(*c->argv) + (c->argv[i].direct ? 0 : c->argv[i].bytes.len);
    if (owned + bytes <= most || !server_memory_full(s, 0)) return 0;
    s->metrics.refused_oom++;
    return server_refuse_memory(e);
}

int client_own_argv(struct client *c, enum client_own what, struct error *e) {
    if (client_check_own(c, what, e)) return ERROR_OOM;
    client_move_argv(c);
    return 0;
}

/* ---- ten times a second */

/* True if half a command has come, and then no byte for client-request-timeout seconds. Input
 * behind a parked or paused command does not count: the server has not looked whether it is whole.
 * Bytes that wait in the socket count as come: the loop may have been held (SAVE) while they
 * arrived. */
static bool client_is_late(const struct client *c) {
    const struct server *s = c->server;
    bool half = c->input.end > c->input.start || resp_is_half(&c->parser);
    if (!half || !s->clients->request_timeout || c->waiter || c->is_ready || c->is_paused ||
        s->now_us - c->input_us <= s->clients->request_timeout * 1000000)
        return false;
    struct pollfd socket = {.fd = c->fd, .events = POLLIN};
    return poll(&socket, 1, 0) == 0;
}

static void client_tick(struct client *c) {
    struct server *s = c->server;
    client_check_output(c);
    if (c->dead) return;
    if (c->closing) {
        /* A client on a slow machine or network sends and reads with pauses. */
        int64_t since = c->active_us > c->closing_since_us ? c->active_us : c->closing_since_us;
        if (s->now_us - since > CLOSING_IDLE_US ||
            (c->rejected && s->now_us - c->closing_since_us > REJECTED_MAX_US))
            client_close(c, c->reply.pending ? "it did not read its last replies" : "done with it");
    } else if (client_is_late(c)) {
        s->metrics.timed_out++;
        log_notice("client %llu at %s sent half a command and nothing more for %lld s "
                   "(client-request-timeout); closed",
                   (unsigned long long)c->id, c->address, (long long)s->clients->request_timeout);
        client_close(c, "request timeout");
    } else if (!c->waiter && !pubsub_count(c) && s->clients->timeout &&
               s->now_us - c->active_us > s->clients->timeout * 1000000) {
        s->metrics.timed_out++;
        log_verbose("client %llu at %s was idle for too long; closed", (unsigned long long)c->id,
                    c->address);
        client_close(c, "timeout");
    }
}

void clients_tick(struct server *s) {
    struct clients *clients = s->clients;
    clients_shed_halves(s, 0);
    clients_shed_halves(s, s->memory.refused);
    s->memory.refused = 0;
    clients_cut_stalled(s);
    struct client *rejected, *next;
    for (rejected = TAILQ_FIRST(&clients->rejected); rejected; rejected = next) {
        next = TAILQ_NEXT(rejected, all);
        client_tick(rejected);
    }
    size_t visits = clients->count / TICKS_PER_ROUND + 1;
    while (visits-- && !TAILQ_EMPTY(&clients->all)) {
        struct client *c = clients->visited ? clients->visited : TAILQ_FIRST(&clients->all);
        clients->visited = TAILQ_NEXT(c, all);
        client_tick(c);
    }
}

/* ---- description */

static size_t client_memory(const struct client *c) {
    size_t owned = 0;
    for (size_t i = 0; c->owned && i < c->argc; i++)
        owned += sizeof(*c->owned) + c->owned[i].bytes.len;
    return sizeof(*c) + c->input.capacity + c->parser.capacity * sizeof(*c->parser.argv) + owned +
           c->reply.pending + resp_held(&c->parser) + transaction_bytes(c) +
           (pubsub_count(c) + c->watches.count) * sizeof(struct subscription);
}

/* Letters as in Redis: blocked, in MULTI, with a WATCH that failed, to be closed, subscribed. */
static void describe_flags(const struct client *c, struct text *out) {
    char flags[8];
    size_t n = 0;
    if (pubsub_count(c)) flags[n++] = 'P';
    if (c->transaction) flags[n++] = 'x';
    if (c->waiter) flags[n++] = 'b';
    if (c->touched) flags[n++] = 'd';
    if (c->closing) flags[n++] = 'c';
    if (!n) flags[n++] = 'N';
    text_printf(out, " flags=%.*s", (int)n, flags);
}

void client_describe(const struct client *c, struct text *out) {
    int64_t now = c->server->now_us;
    text_printf(out, "id=%llu addr=%s laddr=", (unsigned long long)c->id, c->address);
    client_local_address(c, out);
    text_printf(out, " fd=%d name=%s age=%lld idle=%lld", c->fd, c->name,
                (long long)(now - c->born_us) / 1000000, (long long)(now - c->active_us) / 1000000);
    describe_flags(c, out);
    text_printf(out, " db=0 sub=%zu psub=%zu multi=%lld watch=%zu", c->channels.count,
                c->patterns.count, transaction_length(c), c->watches.count);
    text_printf(out, " qbuf=%zu qbuf-free=%zu argv-mem=%zu obl=0 oll=0 omem=%zu tot-mem=%zu",
                c->input.end - c->input.start, c->input.capacity - (c->input.end - c->input.start),
                resp_held(&c->parser), c->reply.pending, client_memory(c));
    char name[COMMAND_NAME_MAX];
    text_printf(out, " events=%s%s cmd=%s user=default resp=%d lib-name=%s lib-ver=%s",
                c->closing ? "" : "r", c->writable_armed ? "w" : "",
                c->command ? command_full_name(c->container, c->command, name) : "NULL",
                c->reply.protocol, c->library, c->library_version);
}
