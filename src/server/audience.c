/* See audience.h. */
#include "server/audience.h"

#include <stdint.h>

#include "base/hash.h"
#include "base/mem.h"
#include "server/client.h"

void audience_init(struct audience *a) {
    *a = (struct audience){0};
    TAILQ_INIT(&a->all);
}

void audience_free(struct audience *a) {
    table_free(&a->names);
    table_free(&a->taken);
}

void seats_init(struct seats *own) {
    TAILQ_INIT(&own->list);
    own->count = 0;
}

/* ---- names */

static bool name_is(const struct table_link *link, const void *key) {
    return span_equal(TABLE_ENTRY(link, struct audience_name, link)->name,
                      *(const struct span *)key);
}

struct audience_name *audience_find(const struct audience *a, struct span name) {
    if (!a->names.count) return NULL;
    struct table_link *link = table_find(&a->names, hash_bytes(name), name_is, &name);
    return link ? TABLE_ENTRY(link, struct audience_name, link) : NULL;
}

static struct audience_name *name_get(struct audience *a, struct span name) {
    struct audience_name *n = audience_find(a, name);
    if (n) return n;
    n = mem_calloc(1, sizeof(*n) + name.len);
    a->bytes += sizeof(*n) + name.len;
    if (name.len) memcpy(n + 1, name.ptr, name.len);
    n->name = span_of(n + 1, name.len);
    TAILQ_INIT(&n->seats);
    TAILQ_INSERT_TAIL(&a->all, n, all);
    table_add(&a->names, &n->link, hash_bytes(name));
    return n;
}

static void name_tidy(struct audience *a, struct audience_name *n) {
    if (n->count) return;
    if (a->walks) {
        a->has_empty = true;
        return;
    }
    TAILQ_REMOVE(&a->all, n, all);
    table_remove(&a->names, &n->link);
    a->bytes -= sizeof(*n) + n->name.len;
    mem_free(n);
}

/* ---- seats */

struct seat_key {
    const struct audience_name *name;
    const struct client *client;
};

static bool seat_is(const struct table_link *link, const void *key) {
    const struct seat *seat = TABLE_ENTRY(link, struct seat, link);
    const struct seat_key *wanted = key;
    return seat->name == wanted->name && seat->client == wanted->client;
}

static uint64_t seat_hash(const struct seat_key *key) {
    return key->name->link.hash ^ key->client->id * UINT64_C(0x9e3779b97f4a7c15);
}

static struct seat *seat_find(const struct audience *a, const struct seat_key *key) {
    struct table_link *link = table_find(&a->taken, seat_hash(key), seat_is, key);
    return link ? TABLE_ENTRY(link, struct seat, link) : NULL;
}

static void seat_leave(struct audience *a, struct seats *own, struct seat *seat) {
    struct audience_name *n = seat->name;
    TAILQ_REMOVE(&own->list, seat, own);
    own->count--;
    TAILQ_REMOVE(&n->seats, seat, neighbours);
    n->count--;
    table_remove(&a->taken, &seat->link);
    a->bytes -= sizeof(*seat);
    mem_free(seat);
    name_tidy(a, n);
}

bool audience_join(struct audience *a, struct client *c, struct seats *own, struct span name) {
    struct audience_name *n = name_get(a, name);
    struct seat_key key = {n, c};
    if (seat_find(a, &key)) return false;
    struct seat *seat = mem_calloc(1, sizeof(*seat));
    a->bytes += sizeof(*seat);
    seat->name = n;
    seat->client = c;
    TAILQ_INSERT_TAIL(&n->seats, seat, neighbours);
    n->count++;
    TAILQ_INSERT_TAIL(&own->list, seat, own);
    own->count++;
    table_add(&a->taken, &seat->link, seat_hash(&key));
    return true;
}

bool audience_leave(struct audience *a, struct client *c, struct seats *own, struct span name) {
    struct seat_key key = {audience_find(a, name), c};
    struct seat *seat = key.name ? seat_find(a, &key) : NULL;
    if (seat) seat_leave(a, own, seat);
    return seat != NULL;
}

void audience_leave_all(struct audience *a, struct seats *own) {
    while (!TAILQ_EMPTY(&own->list)) seat_leave(a, own, TAILQ_FIRST(&own->list));
}

/* ---- walks */

void audience_walk_begin(struct audience *a) {
    a->walks++;
}

void audience_walk_end(struct audience *a) {
    if (--a->walks || !a->has_empty) return;
    a->has_empty = false;
    struct audience_name *next;
    for (struct audience_name *n = TAILQ_FIRST(&a->all); n; n = next) {
        next = TAILQ_NEXT(n, all);
        name_tidy(a, n);
    }
}
