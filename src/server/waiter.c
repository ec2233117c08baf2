/* See waiter.h.
 *
 * Two tables: partitions that somebody waits for, and their queues. A partition that is signalled
 * goes onto a list once, however often it is signalled in a turn, so what nobody waits for costs
 * one lookup and what is signalled costs its queues. */
#include "server/waiter.h"

#include <sys/queue.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "server/client.h"
#include "server/server.h"
#include "server/table.h"
#include "store/op.h"

enum { SERVE_BUDGET_US = 10000 };

struct wait_partition {
    struct table_link link;
    TAILQ_HEAD(, wait_queue) queues, counting; /* all; those whose heads count for themselves */
    TAILQ_ENTRY(wait_partition) signalled;
    bool is_signalled, is_serving;
    bool all, all_plain; /* every head is to be tried; every one that does not count */
    uint64_t arrived;    /* samples that changed, since somebody waits here */
    uint64_t wake_at;    /* what has to have arrived before any head that does not count can go */
    struct span name;
};

struct wait_queue {
    struct table_link link;
    struct wait_partition *partition;
    TAILQ_ENTRY(wait_queue) siblings, counted;
    TAILQ_HEAD(, waiter) waiters;
    bool counts;      /* the head looks at each op itself, until */
    uint64_t lacks;   /* is 0; else it may go when */
    uint64_t wake_at; /* so many have arrived */
    struct span name;
};

struct waiter {
    struct client *client;
    const struct waiter_kind *kind;
    void *request;
    struct wait_queue *queue;
    TAILQ_ENTRY(waiter) order;
    struct event timer;
};

struct waiters {
    struct table partitions, queues;
    TAILQ_HEAD(, wait_partition) signalled;
    size_t count;
};

struct waiters *waiters_new(void) {
    struct waiters *waiters = mem_calloc(1, sizeof(*waiters));
    TAILQ_INIT(&waiters->signalled);
    return waiters;
}

void waiters_free(struct waiters *waiters) {
    table_free(&waiters->partitions);
    table_free(&waiters->queues);
    mem_free(waiters);
}

/* ---- partitions and queues */

static bool partition_is(const struct table_link *link, const void *key) {
    return span_equal(TABLE_ENTRY(link, struct wait_partition, link)->name,
                      *(const struct span *)key);
}

static struct wait_partition *partition_find(const struct waiters *w, struct span name) {
    if (!w->count) return NULL;
    struct table_link *link = table_find(&w->partitions, hash_bytes(name), partition_is, &name);
    return link ? TABLE_ENTRY(link, struct wait_partition, link) : NULL;
}

struct queue_key {
    const struct wait_partition *partition;
    struct span name;
};

static bool queue_is(const struct table_link *link, const void *key) {
    const struct wait_queue *queue = TABLE_ENTRY(link, struct wait_queue, link);
    const struct queue_key *wanted = key;
    return queue->partition == wanted->partition && span_equal(queue->name, wanted->name);
}

/* The same queue name occurs in many partitions. */
static uint64_t queue_hash(const struct queue_key *key) {
    return hash_bytes(key->name) ^ key->partition->link.hash * UINT64_C(0x9e3779b97f4a7c15);
}

static struct wait_queue *queue_find(const struct waiters *w, const struct queue_key *key) {
    struct table_link *link = table_find(&w->queues, queue_hash(key), queue_is, key);
    return link ? TABLE_ENTRY(link, struct wait_queue, link) : NULL;
}

/* An entry with its name behind it in one block. */
static void *entry_new(size_t size, struct span name, struct span *copy) {
    char *entry = mem_calloc(1, size + name.len);
    if (name.len) memcpy(entry + size, name.ptr, name.len);
    *copy = span_of(entry + size, name.len);
    return entry;
}

static struct wait_queue *queue_get(struct waiters *w, struct span partition, struct span queue) {
    struct wait_partition *p = partition_find(w, partition);
    struct span name;
    if (!p) {
        p = entry_new(sizeof(*p), partition, &name);
        p->name = name;
        TAILQ_INIT(&p->queues);
        TAILQ_INIT(&p->counting);
        table_add(&w->partitions, &p->link, hash_bytes(name));
    }
    struct queue_key key = {p, queue};
    struct wait_queue *q = queue_find(w, &key);
    if (q) return q;
    q = entry_new(sizeof(*q), queue, &name);
    q->name = name;
    q->partition = p;
    TAILQ_INIT(&q->waiters);
    q->wake_at = p->wake_at =
        p->arrived; /* what the first one lacks shows when it is tried again */
    TAILQ_INSERT_TAIL(&p->queues, q, siblings);
    table_add(&w->queues, &q->link, queue_hash(&key));
    return q;
}

static void partition_tidy(struct waiters *w, struct wait_partition *p) {
    if (!TAILQ_EMPTY(&p->queues) || p->is_serving) return;
    if (p->is_signalled) TAILQ_REMOVE(&w->signalled, p, signalled);
    table_remove(&w->partitions, &p->link);
    mem_free(p);
}

static void queue_tidy(struct waiters *w, struct wait_queue *q) {
    if (!TAILQ_EMPTY(&q->waiters)) return;
    struct wait_partition *p = q->partition;
    TAILQ_REMOVE(&p->queues, q, siblings);
    if (q->counts) TAILQ_REMOVE(&p->counting, q, counted);
    table_remove(&w->queues, &q->link);
    mem_free(q);
    partition_tidy(w, p);
}

/* ---- waiters */

static void partition_wake(struct server *s, struct wait_partition *p) {
    if (p->is_signalled) return;
    p->is_signalled = true;
    TAILQ_INSERT_TAIL(&s->waiters->signalled, p, signalled);
    server_turn(s);
}

static void partition_signal(struct server *s, struct wait_partition *p) {
    p->all = true;
    partition_wake(s, p);
}

/* A head that counts looks at the op. True when it has all it lacked. */
static bool queue_gain(struct wait_queue *q, const struct op *op) {
    const struct waiter *head = TAILQ_FIRST(&q->waiters);
    if (!q->lacks) return true;
    uint64_t gains = head->kind->gains(head->client, head->request, op);
    q->lacks -= gains < q->lacks ? gains : q->lacks;
    return q->lacks == 0;
}

static void partition_signal_op(struct server *s, struct wait_partition *p, const struct op *op,
                                uint64_t samples) {
    if (samples == WAITER_ALL)
        p->all_plain = true;
    else
        p->arrived += samples;
    bool due = p->all_plain || p->arrived >= p->wake_at;
    struct wait_queue *q;
    TAILQ_FOREACH(q, &p->counting, counted) due |= queue_gain(q, op);
    if (due) partition_wake(s, p);
}

/* The head stays, and says why. */
static void queue_lacks(struct wait_queue *q, const struct waiter_lack *lack) {
    struct wait_partition *p = q->partition;
    if (q->counts) TAILQ_REMOVE(&p->counting, q, counted);
    q->counts = lack->counts;
    if (q->counts) TAILQ_INSERT_TAIL(&p->counting, q, counted);
    q->lacks = lack->samples;
    q->wake_at = p->arrived + lack->samples;
}

/* Take it out and free it; its request is over. */
static void waiter_end(struct waiter *w) {
    struct client *c = w->client;
    struct waiters *all = c->server->waiters;
    struct wait_queue *q = w->queue;
    event_del(&w->timer);
    TAILQ_REMOVE(&q->waiters, w, order);
    all->count--;
    c->waiter = NULL;
    w->kind->free(w->request);
    mem_free(w);
    queue_tidy(all, q);
}

/* One that leaves without being served may have stood before others who can go. */
static void waiter_leave(struct waiter *w) {
    if (w == TAILQ_FIRST(&w->queue->waiters))
        partition_signal(w->client->server, w->queue->partition);
    waiter_end(w);
}

static void waiter_expire(struct waiter *w) {
    struct client *c = w->client;
    w->kind->expire(c, w->request);
    scratch_reset(&c->server->scratch);
    waiter_leave(w);
    client_unpark(c);
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct waiter *w = context;
    server_turn(w->client->server);
    waiter_expire(w);
}

void waiter_park(struct client *c, const struct waiter_kind *kind, void *request,
                 struct span partition, struct span queue, int64_t timeout_ms) {
    struct server *s = c->server;
    struct waiter *w = mem_calloc(1, sizeof(*w));
    w->client = c;
    w->kind = kind;
    w->request = request;
    w->queue = queue_get(s->waiters, partition, queue);
    TAILQ_INSERT_TAIL(&w->queue->waiters, w, order);
    s->waiters->count++;
    c->waiter = w;
    event_assign(&w->timer, s->base, -1, 0, on_timer, w);
    if (!timeout_ms) return;
    /* A timer further away than a lifetime is none; its sum with the clock must not overflow. */
    if (timeout_ms > INT32_MAX * INT64_C(1000)) return;
    struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    event_add(&w->timer, &tv);
}

bool waiter_queued(struct server *s, struct span partition, struct span queue) {
    struct wait_partition *p = partition_find(s->waiters, partition);
    return p && queue_find(s->waiters, &(struct queue_key){p, queue});
}

void waiter_signal(struct server *s, struct span partition) {
    struct wait_partition *p = partition_find(s->waiters, partition);
    if (p) partition_signal(s, p);
}

void waiter_signal_op(struct server *s, const struct op *op, uint64_t samples) {
    struct wait_partition *p = partition_find(s->waiters, op->partition);
    if (p) partition_signal_op(s, p, op, samples);
}

void waiter_signal_all(struct server *s) {
    struct table *t = &s->waiters->partitions;
    for (size_t i = 0; i < t->size; i++)
        for (struct table_link *link = t->buckets[i]; link; link = link->next)
            partition_signal(s, TABLE_ENTRY(link, struct wait_partition, link));
}

void waiter_forget(struct client *c) {
    if (c->waiter) waiter_leave(c->waiter);
}

void waiter_unblock(struct client *c, bool with_error) {
    if (!with_error) {
        waiter_expire(c->waiter);
        return;
    }
    reply_errorf(&c->reply, ERROR_UNBLOCKED, "client unblocked via CLIENT UNBLOCK");
    waiter_leave(c->waiter);
    client_unpark(c);
}

size_t waiter_count(const struct server *s) {
    return s->waiters->count;
}

/* ---- the end of the turn */

static bool waiter_try(struct waiter *w, struct waiter_lack *lack) {
    struct client *c = w->client;
    struct server *s = c->server;
    s->current = c;
    bool served = w->kind->try(c, w->request, lack);
    s->current = NULL;
    scratch_reset(&s->scratch);
    return served;
}

/* True where the head has to stay or the queue is empty (and gone), false where time is up. */
static bool queue_serve(struct wait_queue *q, int64_t until_us) {
    for (struct waiter *w = TAILQ_FIRST(&q->waiters), *next; w; w = next) {
        if (clock_monotonic_us() > until_us) return false;
        struct waiter_lack lack = {0};
        if (!waiter_try(w, &lack)) {
            queue_lacks(q, &lack);
            return true;
        }
        struct client *c = w->client;
        next = TAILQ_NEXT(w, order);
        waiter_end(w);
        client_unpark(c);
    }
    return true;
}

/* The queues of a partition whose heads may go. False where time is up. What the service itself
 * changes is for the next round. */
static bool partition_serve(struct wait_partition *p, int64_t until_us) {
    bool all = p->all, all_plain = all || p->all_plain, in_time = true;
    p->all = p->all_plain = false;
    for (struct wait_queue *q = TAILQ_FIRST(&p->queues), *next; q && in_time; q = next) {
        next = TAILQ_NEXT(q, siblings);
        bool due = q->counts ? all || q->lacks == 0 : all_plain || p->arrived >= q->wake_at;
        if (due) in_time = queue_serve(q, until_us);
    }
    p->wake_at = UINT64_MAX;
    struct wait_queue *q;
    TAILQ_FOREACH(q, &p->queues, siblings)
    if (!q->counts && q->wake_at < p->wake_at) p->wake_at = q->wake_at;
    return in_time;
}

void waiter_serve(struct server *s) {
    struct waiters *all = s->waiters;
    if (TAILQ_EMPTY(&all->signalled)) return;
    int64_t until_us = clock_monotonic_us() + SERVE_BUDGET_US;
    bool in_time = true;
    for (struct wait_partition *p; in_time && (p = TAILQ_FIRST(&all->signalled));) {
        TAILQ_REMOVE(&all->signalled, p, signalled);
        p->is_signalled = false;
        p->is_serving = true;
        in_time = partition_serve(p, until_us);
        p->is_serving = false;
        if (!in_time) partition_signal(s, p);
        partition_tidy(all, p);
    }
}

bool waiter_is_due(const struct server *s) {
    return !TAILQ_EMPTY(&s->waiters->signalled);
}
