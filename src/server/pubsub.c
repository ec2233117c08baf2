/* See pubsub.h. */
#include "server/pubsub.h"

#include "base/glob.h"
#include "base/mem.h"

/* A message that waits for the end of its receiver's command; the bytes lie behind it. */
struct pubsub_message {
    TAILQ_ENTRY(pubsub_message) order;
    struct span pattern; /* NULL ptr: sent to the channel's own subscribers */
    struct span channel, message;
};

struct pubsub *pubsub_new(void) {
    struct pubsub *p = mem_calloc(1, sizeof(*p));
    subscriptions_init(&p->subscriptions[PUBSUB_CHANNEL]);
    subscriptions_init(&p->subscriptions[PUBSUB_PATTERN]);
    TAILQ_INIT(&p->kept);
    return p;
}

void pubsub_free(struct pubsub *p) {
    subscriptions_free(&p->subscriptions[PUBSUB_CHANNEL]);
    subscriptions_free(&p->subscriptions[PUBSUB_PATTERN]);
    mem_free(p);
}

/* ---- subscribing */

static struct subscription_set *subscription_set_of(struct client *c, enum pubsub_kind kind) {
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
    if (!subscriptions_add(&p->subscriptions[kind], c, subscription_set_of(c, kind), name))
        return false;
    p->joins++;
    count_clients(c, before);
    return true;
}

bool pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct span name) {
    struct pubsub *p = c->server->pubsub;
    size_t before = pubsub_count(c);
    if (!subscriptions_remove(&p->subscriptions[kind], c, subscription_set_of(c, kind), name))
        return false;
    count_clients(c, before);
    return true;
}

void pubsub_forget(struct client *c) {
    struct pubsub *p = c->server->pubsub;
    size_t before = pubsub_count(c);
    subscriptions_remove_all(&p->subscriptions[PUBSUB_CHANNEL], &c->channels);
    subscriptions_remove_all(&p->subscriptions[PUBSUB_PATTERN], &c->patterns);
    count_clients(c, before);
}

/* ---- publishing */

enum { MESSAGE_BYTES = 96 }; /* of a message, beside its parts */

static uint64_t message_bytes(struct span pattern, struct span channel, struct span message) {
    return MESSAGE_BYTES + (uint64_t)pattern.len + channel.len + message.len;
}

static void message_write(struct client *c, struct span pattern, struct span channel,
                          struct span message) {
    struct reply *r = &c->reply;
    size_t before = r->pending;
    if (!clients_have_room(c->server, message_bytes(pattern, channel, message)) &&
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

static struct span message_copy(char **at, struct span bytes) {
    if (!bytes.ptr) return bytes;
    struct span copy = span_of(*at, bytes.len);
    if (bytes.len) memcpy(*at, bytes.ptr, bytes.len);
    *at += bytes.len;
    return copy;
}

static void message_keep(struct pubsub *p, struct span pattern, struct span channel,
                         struct span message) {
    struct pubsub_message *copy =
        mem_alloc(sizeof(*copy) + pattern.len + channel.len + message.len);
    char *at = (char *)(copy + 1);
    copy->pattern = message_copy(&at, pattern);
    copy->channel = message_copy(&at, channel);
    copy->message = message_copy(&at, message);
    TAILQ_INSERT_TAIL(&p->kept, copy, order);
    p->kept_bytes += message_bytes(pattern, channel, message);
}

/* To everyone who has that name: a channel, or a pattern that matches it. */
static size_t name_publish(struct server *s, const struct subscription_name *name,
                           struct span pattern, struct span channel, struct span message) {
    size_t sent = 0;
    struct subscription *next;
    for (struct subscription *subscription = TAILQ_FIRST(&name->subscriptions); subscription;
         subscription = next) {
        struct client *c = subscription->client;
        next = TAILQ_NEXT(subscription, neighbours);
        if (c == s->current)
            message_keep(s->pubsub, pattern, channel, message);
        else
            message_write(c, pattern, channel, message);
        sent++;
    }
    return sent;
}

/* Bytes of all copies. */
static uint64_t pubsub_bytes(struct server *s, struct span channel, struct span message) {
    const struct subscriptions *patterns = &s->pubsub->subscriptions[PUBSUB_PATTERN];
    const struct subscription_name *name =
        subscriptions_find(&s->pubsub->subscriptions[PUBSUB_CHANNEL], channel);
    uint64_t bytes = name ? name->count * message_bytes(span_of(NULL, 0), channel, message) : 0;
    TAILQ_FOREACH(name, &patterns->all, all)
    if (glob_match(name->name, channel, false))
        bytes += name->count * message_bytes(name->name, channel, message);
    return bytes;
}

/* No less than pubsub_bytes, without looking at each pattern. */
static uint64_t pubsub_most(struct server *s, struct span channel, struct span message) {
    enum { PATTERN_MAX = 1024 };
    const struct subscriptions *subscriptions = s->pubsub->subscriptions;
    const struct subscription_name *name =
        subscriptions_find(&subscriptions[PUBSUB_CHANNEL], channel);
    uint64_t copies = (name ? name->count : 0) + subscriptions[PUBSUB_PATTERN].pairs.count;
    return copies * (PATTERN_MAX + message_bytes(span_of(NULL, 0), channel, message));
}

int pubsub_check(struct client *c, struct span channel, struct span message, struct error *e) {
    struct server *s = c->server;
    if (clients_have_room(s, pubsub_most(s, channel, message))) return 0;
    return client_need_room(c, pubsub_bytes(s, channel, message), e);
}

size_t pubsub_publish(struct server *s, struct span channel, struct span message) {
    struct subscriptions *channels = &s->pubsub->subscriptions[PUBSUB_CHANNEL];
    struct subscriptions *patterns = &s->pubsub->subscriptions[PUBSUB_PATTERN];
    size_t sent = 0;
    subscriptions_walk_begin(channels);
    subscriptions_walk_begin(patterns);
    const struct subscription_name *name = subscriptions_find(channels, channel);
    if (name) sent += name_publish(s, name, span_of(NULL, 0), channel, message);
    TAILQ_FOREACH(name, &patterns->all, all)
    if (glob_match(name->name, channel, false))
        sent += name_publish(s, name, name->name, channel, message);
    subscriptions_walk_end(patterns);
    subscriptions_walk_end(channels);
    return sent;
}

void pubsub_finish(struct client *c) {
    struct pubsub *p = c->server->pubsub;
    for (struct pubsub_message *copy; (copy = TAILQ_FIRST(&p->kept));) {
        TAILQ_REMOVE(&p->kept, copy, order);
        p->kept_bytes -= message_bytes(copy->pattern, copy->channel, copy->message);
        if (!c->dead && !c->closing) message_write(c, copy->pattern, copy->channel, copy->message);
        mem_free(copy);
    }
}

bool pubsub_is_heard(const struct server *s, struct span channel) {
    if (subscriptions_find(&s->pubsub->subscriptions[PUBSUB_CHANNEL], channel)) return true;
    const struct subscription_name *name;
    TAILQ_FOREACH(name, &s->pubsub->subscriptions[PUBSUB_PATTERN].all, all)
    if (glob_match(name->name, channel, false)) return true;
    return false;
}
