/* See subscriptions.h. */
#include "server/subscriptions.h"

#include <stdint.h>

#include "base/hash.h"
#include "base/mem.h"
#include "server/client.h"

void subscriptions_init(struct subscriptions *s) {
    *s = (struct subscriptions){0};
    TAILQ_INIT(&s->all);
}

void subscriptions_free(struct subscriptions *s) {
    table_free(&s->names);
    table_free(&s->pairs);
}

void subscription_set_init(struct subscription_set *own) {
    TAILQ_INIT(&own->list);
    own->count = 0;
}

/* ---- names */

static bool name_is(const struct table_link *link, const void *key) {
    return span_equal(TABLE_ENTRY(link, struct subscription_name, link)->name,
                      *(const struct span *)key);
}

struct subscription_name *subscriptions_find(const struct subscriptions *s, struct span name) {
    if (!s->names.count) return NULL;
    struct table_link *link = table_find(&s->names, hash_bytes(name), name_is, &name);
    return link ? TABLE_ENTRY(link, struct subscription_name, link) : NULL;
}

static struct subscription_name *name_get(struct subscriptions *s, struct span name) {
    struct subscription_name *n = subscriptions_find(s, name);
    if (n) return n;
    n = mem_calloc(1, sizeof(*n) + name.len);
    s->bytes += sizeof(*n) + name.len;
    if (name.len) memcpy(n + 1, name.ptr, name.len);
    n->name = span_of(n + 1, name.len);
    TAILQ_INIT(&n->subscriptions);
    TAILQ_INSERT_TAIL(&s->all, n, all);
    table_add(&s->names, &n->link, hash_bytes(name));
    return n;
}

static void name_tidy(struct subscriptions *s, struct subscription_name *n) {
    if (n->count) return;
    if (s->walks) {
        s->has_empty = true;
        return;
    }
    TAILQ_REMOVE(&s->all, n, all);
    table_remove(&s->names, &n->link);
    s->bytes -= sizeof(*n) + n->name.len;
    mem_free(n);
}

/* ---- subscriptions */

struct subscription_key {
    const struct subscription_name *name;
    const struct client *client;
};

static bool subscription_is(const struct table_link *link, const void *key) {
    const struct subscription *subscription = TABLE_ENTRY(link, struct subscription, link);
    const struct subscription_key *wanted = key;
    return subscription->name == wanted->name && subscription->client == wanted->client;
}

static uint64_t subscription_hash(const struct subscription_key *key) {
    return key->name->link.hash ^ key->client->id * UINT64_C(0x9e3779b97f4a7c15);
}

static struct subscription *subscription_find(const struct subscriptions *s,
                                              const struct subscription_key *key) {
    struct table_link *link = table_find(&s->pairs, subscription_hash(key), subscription_is, key);
    return link ? TABLE_ENTRY(link, struct subscription, link) : NULL;
}

static void subscription_remove(struct subscriptions *s, struct subscription_set *own,
                                struct subscription *subscription) {
    struct subscription_name *n = subscription->name;
    TAILQ_REMOVE(&own->list, subscription, own);
    own->count--;
    TAILQ_REMOVE(&n->subscriptions, subscription, neighbours);
    n->count--;
    table_remove(&s->pairs, &subscription->link);
    s->bytes -= sizeof(*subscription);
    mem_free(subscription);
    name_tidy(s, n);
}

bool subscriptions_add(struct subscriptions *s, struct client *c, struct subscription_set *own,
                       struct span name) {
    struct subscription_name *n = name_get(s, name);
    struct subscription_key key = {n, c};
    if (subscription_find(s, &key)) return false;
    struct subscription *subscription = mem_calloc(1, sizeof(*subscription));
    s->bytes += sizeof(*subscription);
    subscription->name = n;
    subscription->client = c;
    TAILQ_INSERT_TAIL(&n->subscriptions, subscription, neighbours);
    n->count++;
    TAILQ_INSERT_TAIL(&own->list, subscription, own);
    own->count++;
    table_add(&s->pairs, &subscription->link, subscription_hash(&key));
    return true;
}

bool subscriptions_remove(struct subscriptions *s, struct client *c, struct subscription_set *own,
                          struct span name) {
    struct subscription_key key = {subscriptions_find(s, name), c};
    struct subscription *subscription = key.name ? subscription_find(s, &key) : NULL;
    if (subscription) subscription_remove(s, own, subscription);
    return subscription != NULL;
}

void subscriptions_remove_all(struct subscriptions *s, struct subscription_set *own) {
    while (!TAILQ_EMPTY(&own->list)) subscription_remove(s, own, TAILQ_FIRST(&own->list));
}

/* ---- walks */

void subscriptions_walk_begin(struct subscriptions *s) {
    s->walks++;
}

void subscriptions_walk_end(struct subscriptions *s) {
    if (--s->walks || !s->has_empty) return;
    s->has_empty = false;
    struct subscription_name *next;
    for (struct subscription_name *n = TAILQ_FIRST(&s->all); n; n = next) {
        next = TAILQ_NEXT(n, all);
        name_tidy(s, n);
    }
}
