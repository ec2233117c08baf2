/* Output that waits for clients: how much it may be, and which client is closed for it. */
#include <sys/ioctl.h>

#include <linux/sockios.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/client.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/waiter.h"

/* ---- the limits of one client */

enum client_class client_class(const struct client *c) {
    return pubsub_count(c) ? CLIENT_PUBSUB : CLIENT_NORMAL;
}

static void client_cut_output(struct client *c, const char *limit) {
    c->server->metrics.output_cut++;
    log_warning("client %llu at %s: %zu bytes of output wait for it, beyond the %s "
                "client-output-buffer-limit; closed",
                (unsigned long long)c->id, c->address, c->reply.pending, limit);
    client_close(c, "output limit");
}

static bool is_beyond(size_t bytes, size_t limit) {
    return limit && bytes > limit;
}

/* Of a subscriber the messages alone are held to the limit of its class: a batch that it asked for
 * over the same connection (RESP3) may be far larger than any backlog of messages should be. */
void client_check_output(struct client *c) {
    const struct client_output_limit *limits = c->server->clients->output_limits;
    enum client_class class = client_class(c);
    const struct client_output_limit *limit = &limits[class];
    size_t pending = c->reply.pending, counted = pending;
    if (class == CLIENT_PUBSUB && c->messages < pending) counted = c->messages;
    if (is_beyond(counted, limit->hard) || is_beyond(pending, limits[CLIENT_NORMAL].hard)) {
        client_cut_output(c, "hard");
        return;
    }
    if (!is_beyond(counted, limit->soft))
        c->soft_since_us = 0;
    else if (!c->soft_since_us)
        c->soft_since_us = c->server->now_us;
    else if (c->server->now_us - c->soft_since_us > limit->soft_seconds * 1000000)
        client_cut_output(c, "soft");
}

/* ---- whether it moves */

void client_note_output(struct client *c, bool waits) {
    struct clients *all = c->server->clients;
    if (c->output_us) TAILQ_REMOVE(&all->unread, c, unread);
    c->output_us = 0;
    if (!waits) return;
    c->output_us = c->server->now_us ? c->server->now_us : 1;
    TAILQ_INSERT_TAIL(&all->unread, c, unread);
    if (ioctl(c->fd, SIOCOUTQ, &c->in_socket)) c->in_socket = 0;
}

/* Notes the bytes that the peer took from the socket; true where there are any. */
static bool client_look_at_socket(struct client *c) {
    int left;
    if (ioctl(c->fd, SIOCOUTQ, &left) || left >= c->in_socket) return false;
    client_note_output(c, true);
    return true;
}

bool client_is_silent(struct client *c) {
    int64_t silent_us = c->server->now_us - c->output_us;
    return c->output_us && silent_us >= CLIENT_SILENT_US && !client_look_at_socket(c);
}

void clients_look_at_unread(struct server *s) {
    enum { LOOK_AT = 64 };
    struct client *c = TAILQ_FIRST(&s->clients->unread), *next;
    for (int i = 0; c && i < LOOK_AT; c = next, i++) {
        next = TAILQ_NEXT(c, unread);
        client_look_at_socket(c);
    }
}

/* ---- the room of all */

void client_cut_full(struct client *c) {
    uint64_t dropped;
    c->server->metrics.output_cut++;
    if (log_is_due(&c->server->clients->cut_log, c->server->now_us, 1000000, &dropped))
        log_warning(
            "client %llu at %s does not read its replies, of which %zu bytes wait, and memory is "
            "beyond maxmemory; closed (%llu more since the last line)",
            (unsigned long long)c->id, c->address, c->reply.pending, (unsigned long long)dropped);
    client_close(c, "memory is full and it does not read");
}

/* Closes the client that has taken no byte of its output for longest, at least so long, and for
 * which at least so many bytes wait: others lack the room that its replies hold, and chunks that
 * they lie in can't be used again. Never the one whose command is running. False if there is
 * none. */
static bool clients_cut_silent(struct server *s, size_t least, int64_t silent_us) {
    struct client *c = TAILQ_FIRST(&s->clients->unread), *next;
    for (; c; c = next) {
        next = TAILQ_NEXT(c, unread);
        if (c == s->current || c->reply.pending < least) continue;
        if (s->now_us - c->output_us < silent_us) return false;
        if (silent_us && !client_is_silent(c)) continue;
        client_cut_full(c);
        return true;
    }
    return false;
}

/* Bytes that are missing for so many more in replies and messages of all clients. */
static uint64_t clients_missing(const struct server *s, uint64_t bytes) {
    size_t most = server_memory_replies(s);
    uint64_t held = reply_pool_held(s->reply_pool) + bytes;
    return held > most ? held - most : 0;
}

bool clients_have_room(const struct server *s, uint64_t bytes) {
    return !s->maxmemory || !clients_missing(s, bytes);
}

/* What replies of silent clients hold, the running one's left out; of the longest silent ones only,
 * where these hold `enough`. */
static size_t clients_silent_bytes(struct server *s, uint64_t enough) {
    size_t bytes = 0;
    struct client *c = TAILQ_FIRST(&s->clients->unread), *next;
    for (; c && bytes < enough; c = next) {
        next = TAILQ_NEXT(c, unread);
        if (s->now_us - c->output_us < CLIENT_SILENT_US) break;
        if (c != s->current && client_is_silent(c)) bytes += c->reply.blocks;
    }
    return bytes;
}

/* Closes silent clients, as few as it takes; nobody where all of them would be too few. */
static bool clients_make_room(struct server *s, uint64_t bytes) {
    uint64_t missing = s->maxmemory ? clients_missing(s, bytes) : 0;
    if (clients_silent_bytes(s, missing) < missing) return false;
    while (!clients_have_room(s, bytes))
        if (!clients_cut_silent(s, 1, CLIENT_SILENT_US)) return false;
    return true;
}

/* ---- whether there is memory for a reply */

int client_check_reply(const struct client *c, uint64_t bytes, struct error *e) {
    enum client_class class = CLIENT_NORMAL; /* of a subscriber messages alone have another limit */
    size_t hard = c->server->clients->output_limits[class].hard;
    if (!hard || bytes <= hard - (c->reply.pending < hard ? c->reply.pending : hard)) return 0;
    return error_set(
        e, ERROR_ERR,
        "the reply would have %llu bytes beside %zu that wait: client-output-buffer-limit "
        "normal is %zu bytes. Nothing was done: ask for less",
        (unsigned long long)bytes, c->reply.pending, hard);
}

struct client_mark client_reply_try(struct client *c, size_t beyond) {
    size_t hard = c->server->clients->output_limits[CLIENT_NORMAL].hard;
    size_t most = server_memory_replies(c->server);
    size_t held = most < SIZE_MAX - beyond ? most + beyond : SIZE_MAX;
    return (struct client_mark){.reply = reply_try(&c->reply, hard ? hard : SIZE_MAX, held),
                                .most = most,
                                .beyond = beyond};
}

/* The reply was taken back for lack of memory. */
static int client_refuse_room(struct client *c, struct error *e) {
    struct server *s = c->server;
    return error_set(
        e, ERROR_OOM,
        "used memory is at 'maxmemory', and all replies together may hold %zu bytes "
        "beyond it, of which others hold %zu. Nothing was done: ask for less, or again "
        "when they have been read",
        server_memory_reply_most(s), reply_pool_held(s->reply_pool));
}

int client_reply_end(struct client *c, const struct client_mark *mark, struct error *e) {
    size_t hard = c->server->clients->output_limits[CLIENT_NORMAL].hard;
    size_t before = mark->reply.pending;
    bool no_room = c->reply.no_room;
    if (reply_fits(&c->reply, &mark->reply)) {
        struct server *s = c->server;
        while (mark->beyond && reply_pool_held(s->reply_pool) > mark->most)
            if (!clients_cut_silent(s, 1, CLIENT_SILENT_US)) break;
        return 0;
    }
    if (no_room) return client_refuse_room(c, e);
    return error_set(
        e, ERROR_ERR,
        "the reply would have more than %zu bytes beside %zu that wait: client-output-buffer-limit "
        "normal is %zu bytes. Nothing was done: ask for less",
        hard > before ? hard - before : 0, before, hard);
}

void client_output_ready(struct client *c) {
    client_check_output(c);
    if (!c->dead && !c->writable_armed) client_send_later(c);
}

void client_send_later(struct client *c) {
    if (c->is_sending) return;
    c->is_sending = true;
    /* LIFO: woken consumers are answered before the producer that woke them. */
    TAILQ_INSERT_HEAD(&c->server->clients->sending, c, sending);
    server_turn(c->server);
}

void client_message_ready(struct client *c, size_t bytes) {
    c->messages += bytes;
    client_output_ready(c);
}

size_t client_reply_beyond(struct client *c, const struct client_mark *mark,
                           const struct error *e) {
    struct server *s = c->server;
    if (e->code != ERROR_OOM) return 0;
    size_t bytes = mark->beyond ? 0 : clients_silent_bytes(s, server_memory_replies(s));
    if (!bytes) s->metrics.refused_oom++;
    return bytes;
}

int client_need_room(struct client *c, uint64_t bytes, struct error *e) {
    if (clients_make_room(c->server, bytes)) return 0;
    c->server->metrics.refused_oom++;
    return client_refuse_room(c, e);
}

int client_check_room(struct client *c, uint64_t bytes, struct error *e) {
    enum { SHORT = 8 * 1024 }; /* always granted, as between reply_try and reply_fits */
    return bytes <= SHORT ? 0 : client_need_room(c, bytes, e);
}

/* Does a write wait for memory, or was one refused since it was asked last? */
static bool clients_lack_memory(struct server *s) {
    bool refused = s->metrics.refused_oom != s->clients->refused_seen;
    s->clients->refused_seen = s->metrics.refused_oom;
    return refused || server_memory_full(s, 0) || waiter_queued(s, WAITER_SERVER, SPAN_LITERAL(""));
}

size_t clients_output_most(const struct server *s) {
    return reply_pool_bytes(s->reply_pool) > server_memory_spare(s) ? 0 : CLIENT_PENDING_FULL;
}

/* Some at a time: what one gives back may be enough. */
void clients_cut_stalled(struct server *s) {
    enum { CUT_AT_ONCE = 16 };
    if (!s->maxmemory) return;
    clients_look_at_unread(s);
    if (!clients_lack_memory(s)) return;
    mem_trim();
    for (int i = 0; i < CUT_AT_ONCE; i++) {
        if (!clients_cut_silent(s, clients_output_most(s) + 1, CLIENT_SILENT_US)) return;
        if (!server_memory_full(s, (size_t)s->maxmemory / 16)) return;
    }
}

bool clients_are_beyond(struct server *s) {
    enum { SPARES = 2 };
    return s->maxmemory && reply_pool_held(s->reply_pool) > SPARES * server_memory_spare(s) &&
           server_memory_full(s, 0);
}

void clients_cut_beyond(struct server *s) {
    enum { CUT_A_TURN = 512 };
    for (int i = 0; i < CUT_A_TURN && clients_are_beyond(s); i++)
        if (!clients_cut_silent(s, 1, 0)) return;
}
