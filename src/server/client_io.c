/* Bytes in, bytes out.
 *
 * A readiness event costs one read. It goes into the buffer that all connections share; when the
 * parser is in a direct read (a large bulk on its way into the chunk that will be a column's
 * memory), the same readv fills the chunk first, then the tail of the connection's own buffer, then
 * the shared one. What the parser could not finish is saved in a buffer of the connection's own.
 * While a large bulk arrives from a client that is alone, the socket is read on until it is empty
 * or a budget is used up.
 *
 * A busy client must not starve others: a pipeline that takes longer than TURN_BUDGET_US is
 * interrupted between two commands and goes on in the next turn, after everyone else's. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/client.h"
#include "server/command.h"
#include "server/eventlog.h"
#include "server/server.h"

enum {
    TURN_BUDGET_US = 2000,
    READ_BUDGET = 2 * 1024 * 1024, /* bytes of large bulks from one client in one turn */
    ALONE_US = 10 * 1000,          /* since another client was heard */
    INPUT_FIRST = 256,             /* smallest buffer of one's own */
    SEND_PIECES = 128,             /* ranges in one writev */
    SEND_BUDGET = 8 * 1024 * 1024, /* bytes to one client in one turn */
    SHED_STALLED_US = 1000 * 1000, /* without a byte: gives way to others */
};

/* ---- input that stays */

static size_t input_min(size_t a, size_t b) {
    return a < b ? a : b;
}

static void input_drop(struct client *c) {
    mem_free(c->input.bytes);
    c->input.bytes = NULL;
    c->input.start = c->input.end = c->input.capacity = 0;
}

static void input_append(struct client *c, const char *bytes, size_t len) {
    size_t held = c->input.end - c->input.start;
    if (c->input.start) {
        memmove(c->input.bytes, c->input.bytes + c->input.start, held);
        c->input.start = 0;
        c->input.end = held;
    }
    size_t need = held + len, least = need > INPUT_FIRST ? need : INPUT_FIRST;
    if (need > c->input.capacity)
        c->input.bytes = mem_grow(c->input.bytes, &c->input.capacity, least, 1);
    memcpy(c->input.bytes + held, bytes, len);
    c->input.end = need;
}

/* Gives back what the buffer has beyond its content: it is left less than half empty, or with
 * INPUT_FIRST bytes. */
static void input_fit(struct client *c) {
    size_t held = c->input.end - c->input.start, capacity = INPUT_FIRST;
    while (capacity < held) capacity *= 2;
    if (capacity >= c->input.capacity) return;
    char *bytes = mem_alloc(capacity);
    memcpy(bytes, c->input.bytes + c->input.start, held);
    mem_free(c->input.bytes);
    c->input.bytes = bytes;
    c->input.start = 0;
    c->input.end = held;
    c->input.capacity = capacity;
}

/* ---- requests */

static void client_protocol_error(struct client *c, const struct error *e) {
    uint64_t dropped;
    c->server->metrics.protocol_errors++;
    if (log_is_due(&c->server->clients->protocol_log, c->server->now_us, 1000000, &dropped))
        log_notice("client %llu at %s is closed: %s (%llu more like this since the last line)",
                   (unsigned long long)c->id, c->address, e->text, (unsigned long long)dropped);
    c->reply.discard = false;
    reply_error(&c->reply, e);
    client_close_lingering(c);
}

/* Does this look like HTTP? A web page can make a browser send such a request to a server on
 * loopback; what stands in its body would then run as commands. `POST` and `Host:` as in Redis, and
 * any first line of HTTP. */
static bool client_is_http(const struct client *c) {
    const struct resp_parser *p = &c->parser;
    struct span first = p->argv[0].bytes, last = p->argv[p->argc - 1].bytes;
    if (span_is(first, "post") || span_is(first, "host:")) return true;
    return p->is_inline && p->argc > 1 && last.len == 8 && !strncmp(last.ptr, "HTTP/1.", 7);
}

static void client_refuse_http(struct client *c) {
    uint64_t dropped;
    if (log_is_due(&c->server->clients->http_log, c->server->now_us, 60 * 1000000, &dropped))
        log_warning(
            "client %llu at %s sent HTTP (POST, Host: or HTTP/1.x) and is closed: it may be a "
            "web page that tries to run commands (%llu more since the last line)",
            (unsigned long long)c->id, c->address, (unsigned long long)dropped);
    client_close(c, "it speaks HTTP");
}

static void client_run_request(struct client *c) {
    if (!c->parser.argc && !c->parser.refused) return; /* an empty line: nothing was asked */
    if (c->parser.argc && !c->parser.refused && client_is_http(c)) {
        client_refuse_http(c);
        return;
    }
    c->argc = c->parser.argc;
    c->argv = c->parser.argv;
    command_dispatch(c);
    if (c->dead) return;
    if (!c->waiter) client_request_over(c);
    if (c->reply.pending) client_output_ready(c);
}

/* Its input goes on in the next turn. */
static void client_make_ready(struct client *c) {
    if (c->is_ready) return;
    c->is_ready = true;
    c->ready_round = c->server->clients->ready_round;
    TAILQ_INSERT_TAIL(&c->server->clients->ready, c, ready);
}

/* Much of its output waits: its commands would make more. */
static bool client_is_full(const struct client *c) {
    size_t pending = c->reply.pending;
    return pending > c->server->clients->pause_high ||
           (pending > clients_output_most(c->server) && server_memory_full(c->server, 0));
}

/* Nothing is read until most of what waits has gone. True where the client is paused. What others
 * hold decides with it whether a client is full, and changes at any time: once input was left
 * because it was, the client is paused, or more would be read on top. */
static bool client_pause(struct client *c) {
    if (c->is_paused) return true;
    if (c->dead || c->closing || c->waiter || !client_is_full(c)) return false;
    c->is_paused = true;
    event_del(&c->readable);
    return true;
}

/* Run the requests in a run of input; returns how many of its bytes are done with. */
static size_t client_run(struct client *c, char *run, size_t len) {
    struct server *s = c->server;
    size_t done = 0;
    int64_t begin = s->tick_us = clock_monotonic_us();
    while (done < len && !c->dead && !c->closing && !c->waiter && !client_pause(c)) {
        struct error e;
        if (s->tick_us - begin > TURN_BUDGET_US || clients_are_beyond(s)) {
            client_make_ready(c);
            break;
        }
        enum resp_status status = resp_parse(&c->parser, span_of(run + done, len - done), &e);
        if (status == RESP_MORE) {
            done += resp_forget(&c->parser);
            break;
        }
        if (status == RESP_BROKEN) {
            client_protocol_error(c, &e);
            break;
        }
        client_run_request(c);
        if (c->dead) break; /* the parser is gone */
        done += c->parser.used;
        resp_next(&c->parser);
    }
    return done;
}

/* Do half-sent commands hold half of what makes clients_shed_halves discard them? */
static bool clients_hold_many_halves(const struct server *s) {
    return s->maxmemory && s->clients->half_bytes > server_memory_spare(s) / 2;
}

/* Count what the client holds for half a request, or for requests that wait: behind one that is
 * parked, for replies to be sent, or for the next turn. Not counted as half a request: what has come
 * of a command that is discarded, which is thrown away in the next turn. */
static void client_count_input(struct client *c) {
    struct clients *all = c->server->clients;
    size_t half = 0, waiting = 0, outstanding = resp_outstanding(&c->parser);
    bool waits = c->waiter || ((c->is_ready || c->is_paused) && !resp_is_half(&c->parser));
    if (c->input.bytes && (waits || clients_hold_many_halves(c->server))) input_fit(c);
    if (waits)
        waiting = c->input.capacity;
    else if (!c->dead && !c->closing)
        half = c->input.capacity + resp_held(&c->parser);
    if (resp_is_shed(&c->parser) && (c->is_ready || half <= INPUT_FIRST)) half = 0;
    if (c->half) TAILQ_REMOVE(&all->halves, c, halves);
    if (half) TAILQ_INSERT_TAIL(&all->halves, c, halves);
    all->half_bytes += half - c->half;
    all->waiting_bytes += waiting - c->waiting;
    all->outstanding += outstanding - c->outstanding;
    c->half = half;
    c->waiting = waiting;
    c->outstanding = outstanding;
}

/* Run what is in the connection's own buffer, then free it or keep the rest. */
static void client_run_own(struct client *c) {
    size_t done = client_run(c, c->input.bytes + c->input.start, c->input.end - c->input.start);
    if (c->dead) return;
    c->input.start += done;
    if (c->closing || c->input.start == c->input.end) input_drop(c);
    client_pause(c);
    client_count_input(c);
}

/* Nothing of its half-sent command is kept any longer; what comes of it is read and thrown away.
 * False where that is not possible: the client has to go. One that was discarded before is still
 * counted where its buffer is larger than what comes of it needs: that is given back then. */
static bool client_shed(struct client *c) {
    if (!resp_shed(&c->parser) && !resp_is_shed(&c->parser)) return false;
    if (c->input.bytes) client_run_own(c);
    size_t left = c->input.end - c->input.start;
    if (c->dead || !c->input.bytes || c->input.capacity <= INPUT_FIRST) return true;
    if (left > INPUT_FIRST) return !resp_is_shed(&c->parser) || c->is_ready;
    input_fit(c);
    client_count_input(c);
    return true;
}

void clients_shed_halves(struct server *s, size_t more) {
    struct clients *all = s->clients;
    while (all->half_bytes > server_memory_spare(s) && server_memory_full(s, more)) {
        struct client *c = TAILQ_FIRST(&all->halves);
        uint64_t dropped;
        if (more && s->now_us - c->input_us < SHED_STALLED_US) return;
        size_t bytes = c->half;
        bool again = resp_is_shed(&c->parser), shed = client_shed(c);
        if (again && shed) continue; /* logged, and counted, when it was discarded */
        if (log_is_due(&all->shed_log, s->now_us, 1000000, &dropped))
            log_warning("client %llu at %s sent half a command, of which %zu bytes are held, and "
                        "memory is beyond maxmemory: %s (%llu more since the last line)",
                        (unsigned long long)c->id, c->address, bytes,
                        shed ? "the command is discarded" : "closed", (unsigned long long)dropped);
        s->metrics.halves_shed++;
        if (!shed) client_close(c, "memory is full and it sent half a command");
    }
}

static void client_run_shared(struct client *c, size_t len) {
    char *run = c->server->clients->input;
    size_t done = client_run(c, run, len);
    if (c->dead) return;
    if (done < len && !c->closing) input_append(c, run + done, len - done);
    client_pause(c);
    client_count_input(c);
}

/* Those that become ready meanwhile come in the next turn. They stand in the same list, since one
 * client's command may close another one that is in it. */
void clients_resume(struct server *s) {
    struct clients *all = s->clients;
    uint64_t round = all->ready_round++;
    for (struct client *c; (c = TAILQ_FIRST(&all->ready)) && c->ready_round <= round;) {
        TAILQ_REMOVE(&all->ready, c, ready);
        c->is_ready = false;
        if (c->input.bytes && !c->waiter && !c->closing && !c->is_paused) client_run_own(c);
    }
}

bool clients_waiting(const struct server *s) {
    return !TAILQ_EMPTY(&s->clients->ready);
}

/* ---- reading */

static void on_readable(evutil_socket_t fd, short what, void *context);

/* The peer has closed its side, or the connection broke. Replies on their way still go out: whoever
 * pipes commands into a socket and closes its end is waiting for them. */
static void client_input_ended(struct client *c, const char *why) {
    if (!c->waiter && c->reply.pending && !c->closing)
        client_close_after_reply(c);
    else
        client_close(c, why);
}

static bool read_failed(struct client *c, ssize_t got) {
    if (got > 0) {
        c->active_us = c->input_us = c->server->now_us;
        c->server->metrics.bytes_in += (uint64_t)got;
        return false;
    }
    if (got == 0) {
        client_input_ended(c, "the client closed the connection");
        return true;
    }
    if (errno != EAGAIN && errno != EINTR) client_close(c, strerror(errno));
    return true;
}

/* Something moved on a socket that is not read for now. */
static void on_moved(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct client *c = context;
    server_turn(c->server);
    struct pollfd left = {.fd = fd, .events = POLLRDHUP};
    if (poll(&left, 1, 0) > 0) client_close(c, "the client closed the connection");
}

static void client_watch_input(struct client *c) {
    short now = event_pending(&c->readable, EV_READ, NULL) ? event_get_events(&c->readable) : 0;
    if (now && !(now & EV_ET)) return;
    event_del(&c->readable);
    event_assign(&c->readable, c->server->base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
    event_add(&c->readable, NULL);
}

/* No more is to be read for now; see only whether the client leaves. That has to be an edge: what
 * waits in the socket makes it readable all the time, and libevent does not tell of a reset by
 * EV_CLOSED. An event for writing would be level-triggered, and the two can't be mixed: but as
 * long as there is one, it tells of errors itself. */
static void client_watch_leaving(struct client *c) {
    event_del(&c->readable);
    if (c->writable_armed) return;
    event_assign(&c->readable, c->server->base, c->fd, EV_READ | EV_ET | EV_PERSIST, on_moved, c);
    event_add(&c->readable, NULL);
}

/* A parked client: its next commands wait here in order, up to a bound; beyond it they wait in the
 * socket. */
static void client_read_ahead(struct client *c) {
    size_t held = c->input.end - c->input.start;
    if (held >= CLIENT_READ_SIZE || server_memory_full(c->server, 0)) {
        client_watch_leaving(c);
        return;
    }
    char *buffer = c->server->clients->input;
    ssize_t got = read(c->fd, buffer, CLIENT_READ_SIZE - held);
    if (read_failed(c, got)) return;
    input_append(c, buffer, (size_t)got);
    client_count_input(c);
}

/* How many bytes may be read beside those of a direct read. Where memory is full and more input
 * waits than server_memory_spare, what the argument in progress is missing, or INPUT_FIRST: what is
 * read behind a command may have to wait as well. */
static size_t client_read_most(struct client *c) {
    struct server *s = c->server;
    if (!s->maxmemory || s->clients->waiting_bytes <= server_memory_spare(s) ||
        !server_memory_full(s, 0))
        return SIZE_MAX;
    size_t missing = resp_missing(&c->parser, c->input.end - c->input.start);
    return missing > INPUT_FIRST ? missing : INPUT_FIRST;
}

/* Direct read, own buffer and shared buffer in one readv; of a direct read at most `budget` bytes.
 * Returns how many came; 0: there is nothing to read for now, or the connection has ended. */
static size_t client_read_direct(struct client *c, size_t direct, void *memory, size_t budget) {
    char *shared = c->server->clients->input;
    size_t most = client_read_most(c), room = input_min(c->input.capacity - c->input.end, most);
    struct iovec iov[3];
    int n = 0;
    if (memory && direct > budget) {
        iov[n++] = (struct iovec){memory, budget};
    } else if (memory) {
        iov[n++] = (struct iovec){memory, direct};
        iov[n++] = (struct iovec){c->input.bytes + c->input.end, room};
        iov[n++] = (struct iovec){shared, input_min(CLIENT_READ_SIZE, most - room)};
    } else { /* no one wants these bytes */
        room = 0;
        iov[n++] = (struct iovec){shared, input_min(CLIENT_READ_SIZE, direct)};
    }
    ssize_t got = readv(c->fd, iov, n);
    if (read_failed(c, got)) return 0;
    size_t left = (size_t)got;
    size_t part = left < direct ? left : direct;
    resp_direct_arrived(&c->parser, part);
    c->server->metrics.bytes_read_directly += memory ? part : 0;
    left -= part;
    part = left < room ? left : room;
    c->input.end += part;
    left -= part;
    if (left) input_append(c, shared, left);
    client_run_own(c);
    return (size_t)got;
}

/* Notes that a client was heard. True where no other one was for a while. */
static bool client_is_alone(const struct client *c) {
    struct clients *all = c->server->clients;
    if (all->heard_id != c->id) all->shared_us = c->server->now_us;
    all->heard_id = c->id;
    return c->server->now_us - all->shared_us > ALONE_US;
}

/* A sender fills the socket while the server empties it, so that each read gets no more than the
 * socket holds: an event for each would cost more than the read. A client that is alone is read on;
 * else each gets one read a turn, so that others do not wait for it. */
static void client_read_bulk(struct client *c, size_t direct, void *memory, bool is_alone) {
    size_t total = 0;
    while (direct) {
        size_t got = client_read_direct(c, direct, memory, READ_BUDGET - total);
        total += got;
        if (!got || !is_alone || total >= READ_BUDGET) return;
        if (c->dead || c->closing || c->waiter || c->is_ready || c->is_paused) return;
        direct = resp_direct_read(&c->parser, &memory);
    }
}

static void client_read(struct client *c) {
    struct clients *all = c->server->clients;
    void *memory = NULL;
    size_t direct = resp_direct_read(&c->parser, &memory);
    bool is_alone = client_is_alone(c);
    if (direct) {
        client_read_bulk(c, direct, memory, is_alone);
        return;
    }
    size_t most = client_read_most(c);
    if (!c->input.bytes) {
        ssize_t got = read(c->fd, all->input, input_min(CLIENT_READ_SIZE, most));
        if (!read_failed(c, got)) client_run_shared(c, (size_t)got);
        return;
    }
    size_t room = input_min(c->input.capacity - c->input.end, most);
    struct iovec iov[2] = {{c->input.bytes + c->input.end, room},
                           {all->input, input_min(CLIENT_READ_SIZE, most - room)}};
    ssize_t got = readv(c->fd, iov, 2);
    if (read_failed(c, got)) return;
    size_t tail = (size_t)got < room ? (size_t)got : room;
    c->input.end += tail;
    if ((size_t)got > tail) input_append(c, all->input, (size_t)got - tail);
    client_run_own(c);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct client *c = context;
    server_turn(c->server);
    if (c->is_ready || c->closing || c->is_paused) return; /* what came before goes first */
    if (c->waiter)
        client_read_ahead(c);
    else if (client_pause(c)) /* others have filled the room of replies meanwhile */
        client_count_input(c);
    else
        client_read(c);
    clients_shed_halves(c->server, 0);
}

/* ---- writing */

static void client_arm_writable(struct client *c, bool arm) {
    if (arm == c->writable_armed) return;
    c->writable_armed = arm;
    bool is_read =
        event_pending(&c->readable, EV_READ, NULL) && !(event_get_events(&c->readable) & EV_ET);
    if (!is_read) event_del(&c->readable);
    if (arm)
        event_add(&c->writable, NULL);
    else
        event_del(&c->writable);
    if (!is_read && !arm && !c->closing) client_watch_leaving(c);
}

/* One writev. True where the socket took all of it and more may follow. */
static bool client_write(struct client *c, size_t *sent_total) {
    struct iovec iov[SEND_PIECES];
    size_t n = reply_peek(&c->reply, iov, SEND_PIECES), total = 0;
    for (size_t i = 0; i < n; i++) total += iov[i].iov_len;
    ssize_t sent =
        n == 1 ? write(c->fd, iov[0].iov_base, iov[0].iov_len) : writev(c->fd, iov, (int)n);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR) client_close(c, strerror(errno));
        return false;
    }
    reply_sent(&c->reply, (size_t)sent);
    c->active_us = c->server->now_us;
    if (c->soft_since_us) c->soft_since_us = c->server->now_us; /* it reads, if slowly */
    c->server->metrics.bytes_out += (uint64_t)sent;
    *sent_total += (size_t)sent;
    return (size_t)sent == total;
}

/* Most of its output has gone: it is read again, and what waits of its input goes on. */
static void client_resume(struct client *c) {
    c->is_paused = false;
    c->input_us = c->server->now_us;
    if (c->closing) return;
    client_watch_input(c);
    if (c->input.bytes) client_make_ready(c);
    client_count_input(c);
}

static void client_send(struct client *c) {
    size_t sent = 0;
    while (c->reply.pending && sent < SEND_BUDGET && client_write(c, &sent)) continue;
    if (c->dead) return;
    if (!c->reply.pending) c->messages = 0;
    if (sent || !c->reply.pending || !c->output_us) client_note_output(c, c->reply.pending != 0);
    client_arm_writable(c, c->reply.pending != 0);
    if (c->is_paused && c->reply.pending <= c->server->clients->pause_low && !client_is_full(c))
        client_resume(c);
    if (c->closing && !c->reply.pending) client_finish(c);
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct client *c = context;
    client_send_later(c);
}

void clients_send(struct server *s) {
    for (struct client *c; (c = TAILQ_FIRST(&s->clients->sending));) {
        TAILQ_REMOVE(&s->clients->sending, c, sending);
        c->is_sending = false;
        client_send(c);
    }
    clients_cut_beyond(s);
}

/* ---- begin and end */

static void on_error(void *context, const struct error *e) {
    eventlog_refused(context, e);
}

void client_io_begin(struct client *c) {
    struct server *s = c->server;
    reply_init(&c->reply, s->reply_pool);
    c->reply.on_error = on_error;
    c->reply.context = c;
    resp_init(&c->parser, &s->clients->limits, &s->clients->allocator);
    event_assign(&c->readable, s->base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, s->base, c->fd, EV_WRITE | EV_PERSIST, on_writable, c);
    event_add(&c->readable, NULL);
}

void client_io_end(struct client *c) {
    event_del(&c->readable);
    event_del(&c->writable);
    resp_free(&c->parser);
    reply_drop(&c->reply);
    client_note_output(c, false);
    c->reply.discard = true; /* whoever still holds it writes into the void */
    input_drop(c);
    client_count_input(c);
    close(c->fd);
    c->fd = -1;
}

void client_request_over(struct client *c) {
    client_free_argv(c->server, c->owned, c->argc);
    c->owned = NULL;
    c->argc = 0;
    c->argv = NULL;
    if (c->reply_mode == CLIENT_REPLY_SKIPPING) {
        c->reply_mode = CLIENT_REPLY_ON;
        c->reply.discard = false;
    } else if (c->reply_mode == CLIENT_REPLY_SKIP) {
        c->reply_mode = CLIENT_REPLY_SKIPPING;
        c->reply.discard = true;
    }
}

void client_unpark(struct client *c) {
    client_request_over(c);
    if (c->dead) return;
    c->input_us = c->server->now_us;
    if (!c->closing) client_watch_input(c);
    if (c->input.bytes) client_make_ready(c);
    if (c->reply.pending) client_output_ready(c);
}
