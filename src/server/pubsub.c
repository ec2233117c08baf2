/* See pubsub.h. */
#include "server/pubsub.h"

#include "base/glob.h"
#include "base/mem.h"

/* A message that waits for the end of its receiver's command; the bytes lie behind it. */
struct pubsub_letter {
    TAILQ_ENTRY(pubsub_letter) order;
    struct span pattern; /* NULL ptr: sent to the channel's own subscribers */
    struct span channel, message;
};

struct pubsub *pubsub_new(void) {
    struct pubsub *p = mem_calloc(1, sizeof(*p));
    audience_init(&p->audiences[PUBSUB_CHANNEL]);
    audience_init(&p->audiences[PUBSUB_PATTERN]);
    TAILQ_INIT(&p->kept);
    return p;
}

void pubsub_free(struct pubsub *p) {
    audience_free(&p->audiences[PUBSUB_CHANNEL]);
    audience_free(&p->audiences[PUBSUB_PATTERN]);
    mem_free(p);
}

/* ---- subscribing */

static struct seats *seats_of(struct client *c, enum pubsub_kind kind) {
    return kind == PUBSUB_CHANNEL ? &c->channels : &c->patterns;
}

/* The client had `before` subscriptions. */
static void count_clients(struct client *c, size_t before) {
    struct pubsub *p = c->server->pubsub;
    size_t now = pubsub_count(c);
    if (!before && now) p->clients++;
    if (before && !now && !--p->clients) p->silences++;
}

bool pubsub_subscribe(struct client *c, enum pubsub_kind kind, struct span name) {
    struct pubsub *p = c->server->pubsub;
    size_t before = pubsub_count(c);
    if (!audience_join(&p->audiences[kind], c, seats_of(c, kind), name)) return false;
    p->joins++;
    count_clients(c, before);
    return true;
}

bool pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct span name) {
    struct pubsub *p = c->server->pubsub;
    size_t before = pubsub_count(c);
    if (!audience_leave(&p->audiences[kind], c, seats_of(c, kind), name)) return false;
    count_clients(c, before);
    return true;
}

void pubsub_forget(struct client *c) {
    struct pubsub *p = c->server->pubsub;
    size_t before = pubsub_count(c);
    audience_leave_all(&p->audiences[PUBSUB_CHANNEL], &c->channels);
    audience_leave_all(&p->audiences[PUBSUB_PATTERN], &c->patterns);
    count_clients(c, before);
}

/* ---- publishing */

enum { LETTER_BYTES = 96 }; /* of a message, beside its parts */

static uint64_t letter_bytes(struct span pattern, struct span channel, struct span message) {
    return LETTER_BYTES + (uint64_t)pattern.len + channel.len + message.len;
}

static void letter_write(struct client *c, struct span pattern, struct span channel,
                         struct span message) {
    struct reply *r = &c->reply;
    size_t before = r->pending;
    if (!clients_have_room(c->server, letter_bytes(pattern, channel, message)) &&
        client_is_silent(c)) { /* a system call: only without room */
        client_cut_full(c);
        return;
    }
    bool discard = r->discard;
    r->discard = false; /* CLIENT REPLY is about replies, which this is not */
    reply_push(r, pattern.ptr ? 4 : 3);
    reply_text(r, pattern.ptr ? "pmessage" : "message");
    if (pattern.ptr) reply_bulk(r, pattern);
    reply_bulk(r, channel);
    reply_bulk(r, message);
    r->discard = discard;
    client_message_ready(c, r->pending - before);
}

static struct span letter_copy(char **at, struct span bytes) {
    if (!bytes.ptr) return bytes;
    struct span copy = span_of(*at, bytes.len);
    if (bytes.len) memcpy(*at, bytes.ptr, bytes.len);
    *at += bytes.len;
    return copy;
}

static void letter_keep(struct pubsub *p, struct span pattern, struct span channel,
                        struct span message) {
    struct pubsub_letter *letter =
        mem_alloc(sizeof(*letter) + pattern.len + channel.len + message.len);
    char *at = (char *)(letter + 1);
    letter->pattern = letter_copy(&at, pattern);
    letter->channel = letter_copy(&at, channel);
    letter->message = letter_copy(&at, message);
    TAILQ_INSERT_TAIL(&p->kept, letter, order);
    p->kept_bytes += letter_bytes(pattern, channel, message);
}

/* To everyone who has that name: a channel, or a pattern that matches it. */
static size_t name_publish(struct server *s, const struct audience_name *name, struct span pattern,
                           struct span channel, struct span message) {
    size_t sent = 0;
    struct seat *next;
    for (struct seat *seat = TAILQ_FIRST(&name->seats); seat; seat = next) {
        struct client *c = seat->client;
        next = TAILQ_NEXT(seat, neighbours);
        if (c == s->current)
            letter_keep(s->pubsub, pattern, channel, message);
        else
            letter_write(c, pattern, channel, message);
        sent++;
    }
    return sent;
}

/* Bytes of all copies. */
static uint64_t pubsub_bytes(struct server *s, struct span channel, struct span message) {
    const struct audience *patterns = &s->pubsub->audiences[PUBSUB_PATTERN];
    const struct audience_name *name =
        audience_find(&s->pubsub->audiences[PUBSUB_CHANNEL], channel);
    uint64_t bytes = name ? name->count * letter_bytes(span_of(NULL, 0), channel, message) : 0;
    TAILQ_FOREACH(name, &patterns->all, all)
    if (glob_match(name->name, channel, false))
        bytes += name->count * letter_bytes(name->name, channel, message);
    return bytes;
}

/* No less than pubsub_bytes, without looking at each pattern. */
static uint64_t pubsub_most(struct server *s, struct span channel, struct span message) {
    enum { PATTERN_MAX = 1024 };
    const struct audience *audiences = s->pubsub->audiences;
    const struct audience_name *name = audience_find(&audiences[PUBSUB_CHANNEL], channel);
    uint64_t copies = (name ? name->count : 0) + audiences[PUBSUB_PATTERN].taken.count;
    return copies * (PATTERN_MAX + letter_bytes(span_of(NULL, 0), channel, message));
}

int pubsub_check(struct client *c, struct span channel, struct span message, struct error *e) {
    struct server *s = c->server;
    if (clients_have_room(s, pubsub_most(s, channel, message))) return 0;
    return client_need_room(c, pubsub_bytes(s, channel, message), e);
}

size_t pubsub_publish(struct server *s, struct span channel, struct span message) {
    struct audience *channels = &s->pubsub->audiences[PUBSUB_CHANNEL];
    struct audience *patterns = &s->pubsub->audiences[PUBSUB_PATTERN];
    size_t sent = 0;
    audience_walk_begin(channels);
    audience_walk_begin(patterns);
    const struct audience_name *name = audience_find(channels, channel);
    if (name) sent += name_publish(s, name, span_of(NULL, 0), channel, message);
    TAILQ_FOREACH(name, &patterns->all, all)
    if (glob_match(name->name, channel, false))
        sent += name_publish(s, name, name->name, channel, message);
    audience_walk_end(patterns);
    audience_walk_end(channels);
    return sent;
}

void pubsub_settle(struct client *c) {
    struct pubsub *p = c->server->pubsub;
    for (struct pubsub_letter *letter; (letter = TAILQ_FIRST(&p->kept));) {
        TAILQ_REMOVE(&p->kept, letter, order);
        p->kept_bytes -= letter_bytes(letter->pattern, letter->channel, letter->message);
        if (!c->dead && !c->closing)
            letter_write(c, letter->pattern, letter->channel, letter->message);
        mem_free(letter);
    }
}

bool pubsub_is_heard(const struct server *s, struct span channel) {
    if (audience_find(&s->pubsub->audiences[PUBSUB_CHANNEL], channel)) return true;
    const struct audience_name *name;
    TAILQ_FOREACH(name, &s->pubsub->audiences[PUBSUB_PATTERN].all, all)
    if (glob_match(name->name, channel, false)) return true;
    return false;
}
