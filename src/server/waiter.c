/* See waiter.h.
 *
 * Two tables: partitions that have waiters, and their queues. A partition with queues that are due
 * stands in a list, so what nobody waits for costs one lookup, and serving costs what is due. */
#include "server/waiter.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "server/changes.h"
#include "server/client.h"
#include "server/filter.h"
#include "server/server.h"
#include "server/table.h"
#include "server/thresholds.h"
#include "store/store.h"

enum { SERVE_BUDGET_US = 10000 };

TAILQ_HEAD(queue_list, wait_queue);

struct wait_partition {
    struct table_link link;
    struct queue_list queues; /* in the order in which they were made */
    struct queue_list due;    /* heads are to be tried, in this order */
    struct queue_list fresh;  /* due after these; sorted by arrival once `due` is empty */
    size_t n_fresh;
    struct queue_list asked; /* with `filters` set, and in no filter */
    struct filter filter;    /* the others with `filters` set */
    TAILQ_ENTRY(wait_partition) signalled;
    bool is_signalled, is_serving;
    uint64_t arrived;           /* samples that changed, since there are waiters here */
    struct thresholds counting; /* queues without `filters` that are not due, by `arrived` */
    uint64_t ops;               /* counts ops, to ask each queue once about each */
    uint32_t group_size;        /* of the partition, at the last op */
    struct span name;
};

struct wait_queue {
    struct table_link link;
    struct wait_partition *partition;
    TAILQ_ENTRY(wait_queue) siblings, dues, askeds;
    TAILQ_HEAD(, waiter) waiters;
    /* `due` or `fresh` of its partition, or `slices`; NULL: not due */
    struct queue_list *due_in;
    bool filters; /* the head waits for `missing` more samples that matches() counts */
    uint64_t missing;
    struct threshold wake_at; /* without `filters`: in partition->counting */
    bool is_asked;            /* it is in partition->asked */
    uint64_t op;              /* the one it was asked about last */
    struct filter_entry entry;
    struct span name;
};

struct waiter {
    struct client *client;
    const struct waiter_kind *kind;
    void *request;
    struct wait_queue *queue;
    uint64_t arrival; /* its number among all */
    TAILQ_ENTRY(waiter) order;
    struct event timer;
    struct table_link named; /* in waiters->named */
    struct span name;        /* owned; ptr NULL: none */
};

struct waiters {
    struct table partitions, queues, named;
    TAILQ_HEAD(, wait_partition) signalled;
    struct queue_list slices; /* their heads go on in the next turn, one queue a turn */
    size_t count;
    uint64_t arrivals;
};

struct waiters *waiters_new(struct server *s) {
    struct waiters *waiters = mem_calloc(1, sizeof(*waiters));
    TAILQ_INIT(&waiters->signalled);
    TAILQ_INIT(&waiters->slices);
    changes_listen(s, CHANGES_ALL, waiter_on_change);
    return waiters;
}

void waiters_free(struct waiters *waiters) {
    table_free(&waiters->partitions);
    table_free(&waiters->queues);
    table_free(&waiters->named);
    mem_free(waiters);
}

/* ---- partitions and queues */

static bool waiting_is(const struct table_link *link, const void *key) {
    return span_equal(TABLE_ENTRY(link, struct wait_partition, link)->name,
                      *(const struct span *)key);
}

static struct wait_partition *waiting_find(const struct waiters *w, struct span name) {
    if (!w->count) return NULL;
    struct table_link *link = table_find(&w->partitions, hash_bytes(name), waiting_is, &name);
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
    struct wait_partition *p = waiting_find(w, partition);
    struct span name;
    if (!p) {
        p = entry_new(sizeof(*p), partition, &name);
        p->name = name;
        TAILQ_INIT(&p->queues);
        TAILQ_INIT(&p->due);
        TAILQ_INIT(&p->fresh);
        TAILQ_INIT(&p->asked);
        table_add(&w->partitions, &p->link, hash_bytes(name));
    }
    struct queue_key key = {p, queue};
    struct wait_queue *q = queue_find(w, &key);
    if (q) return q;
    q = entry_new(sizeof(*q), queue, &name);
    q->name = name;
    q->partition = p;
    TAILQ_INIT(&q->waiters);
    TAILQ_INSERT_TAIL(&p->queues, q, siblings);
    table_add(&w->queues, &q->link, queue_hash(&key));
    return q;
}

static void waiting_tidy(struct waiters *w, struct wait_partition *p) {
    if (!TAILQ_EMPTY(&p->queues) || p->is_serving) return;
    if (p->is_signalled) TAILQ_REMOVE(&w->signalled, p, signalled);
    table_remove(&w->partitions, &p->link);
    thresholds_free(&p->counting);
    mem_free(p);
}

static void queue_unfilter(struct wait_queue *q) {
    struct wait_partition *p = q->partition;
    if (q->is_asked) TAILQ_REMOVE(&p->asked, q, askeds);
    q->is_asked = false;
    filter_remove(&p->filter, &q->entry);
}

static void queue_not_due(struct wait_queue *q) {
    if (!q->due_in) return;
    if (q->due_in == &q->partition->fresh) q->partition->n_fresh--;
    TAILQ_REMOVE(q->due_in, q, dues);
    q->due_in = NULL;
}

static void queue_tidy(struct waiters *w, struct wait_queue *q) {
    if (!TAILQ_EMPTY(&q->waiters)) return;
    struct wait_partition *p = q->partition;
    queue_unfilter(q);
    queue_not_due(q);
    thresholds_remove(&p->counting, &q->wake_at);
    TAILQ_REMOVE(&p->queues, q, siblings);
    table_remove(&w->queues, &q->link);
    mem_free(q);
    waiting_tidy(w, p);
}

/* ---- signals */

static void waiting_wake(struct server *s, struct wait_partition *p) {
    if (p->is_signalled || (TAILQ_EMPTY(&p->due) && !p->n_fresh)) return;
    p->is_signalled = true;
    TAILQ_INSERT_TAIL(&s->waiters->signalled, p, signalled);
    server_turn(s);
}

static void queue_due(struct wait_queue *q) {
    if (q->due_in) return;
    thresholds_remove(&q->partition->counting, &q->wake_at);
    q->due_in = &q->partition->fresh;
    q->partition->n_fresh++;
    TAILQ_INSERT_TAIL(q->due_in, q, dues);
}

/* The head goes on in the next turn, after other queues whose heads do. */
static void queue_slice(struct waiters *w, struct wait_queue *q) {
    queue_not_due(q);
    thresholds_remove(&q->partition->counting, &q->wake_at);
    q->due_in = &w->slices;
    TAILQ_INSERT_TAIL(q->due_in, q, dues);
}

static void waiting_signal(struct server *s, struct wait_partition *p) {
    struct wait_queue *q;
    TAILQ_FOREACH(q, &p->queues, siblings) queue_due(q);
    waiting_wake(s, p);
}

/* The heads without `filters` that need no more than has arrived, or all of them. */
static void waiting_arrived(struct wait_partition *p, bool all) {
    struct threshold *reached;
    while ((reached = thresholds_pop(&p->counting, all ? UINT64_MAX : p->arrived)))
        queue_due(TABLE_ENTRY(reached, struct wait_queue, wake_at));
}

/* A head with `filters` looks at an op. */
static void queue_match(struct wait_queue *q, const struct op *op) {
    const struct waiter *head = TAILQ_FIRST(&q->waiters);
    if (q->due_in || q->op == q->partition->ops) return;
    q->op = q->partition->ops;
    uint64_t matches = head->kind->matches(head->client, head->request, op);
    q->missing -= matches < q->missing ? matches : q->missing;
    if (!q->missing) queue_due(q);
}

static void entry_match(void *context, struct filter_entry *entry) {
    queue_match(TABLE_ENTRY(entry, struct wait_queue, entry), context);
}

/* Does the op concern calls whatever the samples that it names? Samples come back without being
 * named, a rank is done with batches that were not asked for yet, or groups have another size, of
 * which a COUNT may be no multiple. */
static bool waiting_concerns_all(struct wait_partition *p, const struct partition *data,
                                 const struct op *op) {
    bool is_release = op->kind == OP_EXPIRE || op->kind == OP_NACK;
    bool is_resized = data->groups->size != p->group_size;
    p->group_size = data->groups->size;
    return partition_is_ended(data) || (is_release && op->select.all) || op->kind == OP_DONE ||
           is_resized;
}

/* Each head is asked in an ended partition, and where the op concerns all; else those with
 * conditions only about samples that meet one of these. */
static void waiting_ask(struct server *s, struct wait_partition *p, const struct op *op) {
    const struct partition *data = store_find(s->store, p->name);
    bool is_put = op->kind == OP_PUT, is_release = op->kind == OP_EXPIRE || op->kind == OP_NACK;
    struct wait_queue *q;
    p->ops++;
    if (!data || waiting_concerns_all(p, data, op)) {
        TAILQ_FOREACH(q, &p->queues, siblings)
        if (q->filters) queue_match(q, op);
        return;
    }
    TAILQ_FOREACH(q, &p->asked, askeds) queue_match(q, op);
    if (is_put)
        filter_match(&p->filter, data, op->put.seqs, op->put.n, entry_match, (void *)op);
    else if (is_release)
        filter_match(&p->filter, data, op->select.seqs, op->select.n, entry_match, (void *)op);
}

static void waiting_signal_op(struct server *s, struct wait_partition *p, const struct op *op,
                              uint64_t samples) {
    if (samples != WAITER_ALL) p->arrived += samples;
    waiting_arrived(p, samples == WAITER_ALL);
    waiting_ask(s, p, op);
    waiting_wake(s, p);
}

/* The head stays, and says why. */
static void queue_set_needs(struct wait_queue *q, const struct waiter_needs *needs) {
    struct wait_partition *p = q->partition;
    const struct waiter *head = TAILQ_FIRST(&q->waiters);
    q->filters = needs->filters;
    q->missing = needs->samples;
    thresholds_remove(&p->counting, &q->wake_at);
    if (!q->filters) {
        queue_unfilter(q);
        if (!q->due_in) thresholds_add(&p->counting, &q->wake_at, p->arrived + needs->samples);
    } else if (!q->is_asked && !q->entry.tag) {
        const struct where *where = head->kind->where ? head->kind->where(head->request) : NULL;
        q->is_asked = !where || !filter_add(&p->filter, &q->entry, where);
        if (q->is_asked) TAILQ_INSERT_TAIL(&p->asked, q, askeds);
    }
}

/* ---- waiters */

/* Take it out of its queue, which may be gone then. */
static void waiter_detach(struct waiter *w) {
    struct wait_queue *q = w->queue;
    TAILQ_REMOVE(&q->waiters, w, order);
    queue_tidy(w->client->server->waiters, q);
}

static void waiter_attach(struct waiters *all, struct waiter *w, struct span partition,
                          struct span queue) {
    w->queue = queue_get(all, partition, queue);
    TAILQ_INSERT_TAIL(&w->queue->waiters, w, order);
}

/* Take it out and free it; its request is over. */
static void waiter_end(struct waiter *w) {
    struct client *c = w->client;
    event_del(&w->timer);
    c->server->waiters->count--;
    c->waiter = NULL;
    if (w->name.ptr) table_remove(&c->server->waiters->named, &w->named);
    mem_free((void *)w->name.ptr);
    waiter_detach(w);
    w->kind->free(w->request);
    mem_free(w);
}

/* One that leaves without being served may have stood before others who can go. */
static void waiter_leave(struct waiter *w) {
    struct wait_queue *q = w->queue;
    if (w == TAILQ_FIRST(&q->waiters)) {
        queue_due(q);
        waiting_wake(w->client->server, q->partition);
    }
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

static void waiter_arm(struct waiter *w, int64_t timeout_ms) {
    if (!timeout_ms) return;
    /* A timer further away than a lifetime is none; its sum with the clock must not overflow. */
    if (timeout_ms > INT32_MAX * INT64_C(1000)) return;
    struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    event_add(&w->timer, &tv);
}

void waiter_park(struct client *c, const struct waiter_kind *kind, void *request,
                 const struct waiter_needs *needs, struct span partition, struct span queue,
                 int64_t timeout_ms) {
    struct server *s = c->server;
    if (!c->owned) abort(); /* its arguments would be in the buffer that all clients share */
    struct waiter *w = mem_calloc(1, sizeof(*w));
    w->client = c;
    w->kind = kind;
    w->request = request;
    w->arrival = s->waiters->arrivals++;
    waiter_attach(s->waiters, w, partition, queue);
    if (w == TAILQ_FIRST(&w->queue->waiters)) {
        if (needs->reason == WAITER_NEEDS_TURN)
            queue_slice(s->waiters, w->queue);
        else
            queue_set_needs(w->queue, needs);
        waiting_wake(s, w->queue->partition);
    }
    s->waiters->count++;
    c->waiter = w;
    event_assign(&w->timer, s->base, -1, 0, on_timer, w);
    waiter_arm(w, timeout_ms);
}

static bool waiter_has_name(const struct table_link *link, const void *key) {
    return span_equal(TABLE_ENTRY(link, struct waiter, named)->name, *(const struct span *)key);
}

void waiter_name(struct client *c, struct span name) {
    struct waiter *w = c->waiter;
    w->name = span_of(mem_dup(name.ptr, name.len), name.len);
    table_add(&c->server->waiters->named, &w->named, hash_bytes(name));
}

struct client *waiter_named(const struct server *s, struct span name, void **request) {
    if (!s->waiters->named.count) return NULL;
    struct table_link *link =
        table_find(&s->waiters->named, hash_bytes(name), waiter_has_name, &name);
    if (!link) return NULL;
    struct waiter *w = TABLE_ENTRY(link, struct waiter, named);
    *request = w->request;
    return w->client;
}

void waiter_replace(struct client *parked, struct client *c, void *request, int64_t timeout_ms) {
    struct waiter *w = parked->waiter;
    event_del(&w->timer);
    w->kind->free(w->request);
    w->request = request;
    w->client = c;
    parked->waiter = NULL;
    c->waiter = w;
    waiter_arm(w, timeout_ms);
}

void waiter_dismiss(struct client *c, const struct error *e) {
    reply_error(&c->reply, e);
    waiter_leave(c->waiter);
    client_unpark(c);
}

bool waiter_queued(struct server *s, struct span partition, struct span queue) {
    struct wait_partition *p = waiting_find(s->waiters, partition);
    return p && queue_find(s->waiters, &(struct queue_key){p, queue});
}

void waiter_signal(struct server *s, struct span partition) {
    struct wait_partition *p = waiting_find(s->waiters, partition);
    if (p) waiting_signal(s, p);
}

void waiter_signal_op(struct server *s, const struct op *op, uint64_t samples) {
    struct wait_partition *p = waiting_find(s->waiters, op->partition);
    if (p) waiting_signal_op(s, p, op, samples);
}

void waiter_signal_all(struct server *s) {
    struct table *t = &s->waiters->partitions;
    for (size_t i = 0; i < t->size; i++)
        for (struct table_link *link = t->buckets[i]; link; link = link->next)
            waiting_signal(s, TABLE_ENTRY(link, struct wait_partition, link));
}

void waiter_forget(struct client *c) {
    if (c->waiter) waiter_leave(c->waiter);
}

void waiter_unblock(struct client *c, bool with_error) {
    if (!with_error) {
        waiter_expire(c->waiter);
        return;
    }
    struct error e;
    error_set(&e, ERROR_UNBLOCKED, "client unblocked via CLIENT UNBLOCK");
    waiter_dismiss(c, &e);
}

void waiter_each_queue(const struct server *s, struct span partition,
                       void (*visit)(void *context, struct span queue, size_t parked),
                       void *context) {
    const struct wait_partition *p = waiting_find(s->waiters, partition);
    if (!p) return;
    const struct wait_queue *q;
    TAILQ_FOREACH(q, &p->queues, siblings) {
        const struct waiter *w;
        size_t parked = 0;
        TAILQ_FOREACH(w, &q->waiters, order) parked++;
        visit(context, q->name, parked);
    }
}

size_t waiter_count(const struct server *s) {
    return s->waiters->count;
}

/* ---- the end of the turn */

static bool waiter_try(struct waiter *w, struct waiter_needs *needs) {
    struct client *c = w->client;
    struct server *s = c->server;
    s->current = c;
    bool served = w->kind->try(c, w->request, needs);
    s->current = NULL;
    return served;
}

/* Its reason is another one: it goes to the end of another queue. Tried in the same turn again only
 * if something changes. */
static void waiter_move(struct waiter *w, const struct waiter_needs *needs) {
    struct waiters *all = w->client->server->waiters;
    waiter_detach(w);
    waiter_attach(all, w, needs->partition, needs->queue);
    if (w != TAILQ_FIRST(&w->queue->waiters)) return;
    queue_set_needs(w->queue, needs);
}

static int queue_compare(const void *a, const void *b) {
    const struct wait_queue *const *x = a, *const *y = b;
    uint64_t first = TAILQ_FIRST(&(*x)->waiters)->arrival;
    uint64_t second = TAILQ_FIRST(&(*y)->waiters)->arrival;
    return (first > second) - (first < second);
}

/* Call when `due` is empty. Changes are signalled in the order of an index; heads are tried in that
 * of their arrival. */
static void waiting_refresh(struct wait_partition *p) {
    if (!p->n_fresh) return;
    size_t n = 0;
    struct wait_queue *q, **queues = mem_calloc(p->n_fresh, sizeof(struct wait_queue *));
    TAILQ_FOREACH(q, &p->fresh, dues) queues[n++] = q;
    qsort(queues, n, sizeof(struct wait_queue *), queue_compare);
    TAILQ_INIT(&p->fresh);
    p->n_fresh = 0;
    for (size_t i = 0; i < n; i++) {
        queues[i]->due_in = &p->due;
        TAILQ_INSERT_TAIL(&p->due, queues[i], dues);
    }
    mem_free(queues);
}

/* The head was not served. */
static void queue_keep(struct wait_queue *q, struct waiter *w, const struct waiter_needs *needs) {
    switch (needs->reason) {
    case WAITER_NEEDS_CHANGE: queue_set_needs(q, needs); break;
    case WAITER_NEEDS_TURN: queue_slice(w->client->server->waiters, q); break;
    case WAITER_NEEDS_QUEUE: waiter_move(w, needs); break;
    }
}

/* Tries heads until one has to stay or the queue is empty, which frees it. False where the time of
 * this turn is up after the first try: then the queue is due again. */
static bool queue_serve(struct server *s, struct wait_queue *q, int64_t until_us) {
    for (struct waiter *w = TAILQ_FIRST(&q->waiters), *next; w; w = next) {
        struct waiter_needs needs = {0};
        struct client *c = w->client;
        bool served = waiter_try(w, &needs);
        next = TAILQ_NEXT(w, order);
        if (served) {
            waiter_end(w);
            client_unpark(c);
        } else {
            if (needs.reason != WAITER_NEEDS_QUEUE) next = NULL;
            queue_keep(q, w, &needs);
        }
        scratch_reset(&s->scratch); /* `needs` may point into it */
        if (next && clock_monotonic_us() > until_us) {
            queue_due(q);
            return false;
        }
    }
    return true;
}

/* A head whose try changed what others of this partition wait for made their queues due: they come
 * after those that are due already. False where time is up. */
static bool waiting_serve(struct server *s, struct wait_partition *p, int64_t until_us) {
    for (;;) {
        if (TAILQ_EMPTY(&p->due)) waiting_refresh(p);
        struct wait_queue *q = TAILQ_FIRST(&p->due);
        if (!q) return true;
        if (clock_monotonic_us() > until_us) return false;
        queue_not_due(q);
        if (!queue_serve(s, q, until_us)) return false;
    }
}

/* After serving queues of the partition: what is left of it goes on behind the others. */
static void waiting_served(struct server *s, struct wait_partition *p) {
    p->is_serving = false;
    waiting_wake(s, p);
    waiting_tidy(s->waiters, p);
}

/* One slice a turn, in turn for each queue that needs more, whatever others have used of the
 * time. */
static void waiters_serve_slice(struct server *s, int64_t until_us) {
    struct wait_queue *q = TAILQ_FIRST(&s->waiters->slices);
    if (!q) return;
    struct wait_partition *p = q->partition;
    p->is_serving = true;
    queue_not_due(q);
    queue_serve(s, q, until_us);
    waiting_served(s, p);
}

void waiter_serve(struct server *s) {
    struct waiters *all = s->waiters;
    if (!waiter_is_due(s)) return;
    int64_t until_us = clock_monotonic_us() + SERVE_BUDGET_US;
    bool in_time = true;
    waiters_serve_slice(s, until_us);
    for (struct wait_partition *p; in_time && (p = TAILQ_FIRST(&all->signalled));) {
        if (clients_are_beyond(s)) break;
        TAILQ_REMOVE(&all->signalled, p, signalled);
        p->is_signalled = false;
        p->is_serving = true;
        in_time = waiting_serve(s, p, until_us);
        waiting_served(s, p);
    }
}

bool waiter_is_due(const struct server *s) {
    return !TAILQ_EMPTY(&s->waiters->signalled) || !TAILQ_EMPTY(&s->waiters->slices);
}
