/* See asks.h. A table of partitions; of each a list of tasks, the last to ask first. */
#include "server/asks.h"

#include <string.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "base/mem.h"
#include "server/changes.h"
#include "server/server.h"
#include "server/table.h"
#include "store/store.h"

struct asks_task {
    TAILQ_ENTRY(asks_task) order;
    struct span name, fields; /* in the same block */
};

TAILQ_HEAD(asks_list, asks_task);

struct asks_partition {
    struct table_link link;
    struct asks_list tasks;
    size_t n;
    struct span name; /* in the same block */
};

struct asks {
    struct table partitions;
};

static bool asks_is(const struct table_link *link, const void *key) {
    return span_equal(TABLE_ENTRY(link, struct asks_partition, link)->name,
                      *(const struct span *)key);
}

static struct asks_partition *asks_find(const struct asks *asks, uint64_t hash, struct span name) {
    struct table_link *link = table_find(&asks->partitions, hash, asks_is, &name);
    return link ? TABLE_ENTRY(link, struct asks_partition, link) : NULL;
}

static void asks_drop_task(struct asks_partition *p, struct asks_task *task) {
    TAILQ_REMOVE(&p->tasks, task, order);
    p->n--;
    mem_free(task);
}

static void asks_drop(struct asks *asks, struct asks_partition *p) {
    while (!TAILQ_EMPTY(&p->tasks)) asks_drop_task(p, TAILQ_FIRST(&p->tasks));
    table_remove(&asks->partitions, &p->link);
    mem_free(p);
}

void asks_free(struct asks *asks) {
    struct table *t = &asks->partitions;
    for (size_t i = 0; i < t->size; i++)
        while (t->buckets[i])
            asks_drop(asks, TABLE_ENTRY(t->buckets[i], struct asks_partition, link));
    table_free(t);
    mem_free(asks);
}

/* How many of the fields are kept, and how long they are together. */
static size_t asks_fit(const struct span *fields, size_t n_fields, size_t *len) {
    size_t n = 0;
    *len = 0;
    while (n < n_fields && *len + 1 + fields[n].len <= ASKS_BYTES) *len += 1 + fields[n++].len;
    return n;
}

static void asks_write(char *at, const struct span *fields, size_t n) {
    for (size_t i = 0; i < n; i++) {
        *at++ = '\0';
        memcpy(at, fields[i].ptr, fields[i].len);
        at += fields[i].len;
    }
}

static struct asks_task *asks_task_new(struct span name, const struct span *fields, size_t n,
                                       size_t len) {
    struct asks_task *task = mem_alloc(sizeof(*task) + name.len + len);
    char *at = (char *)(task + 1);
    memcpy(at, name.ptr, name.len);
    asks_write(at + name.len, fields, n);
    task->name = span_of(at, name.len);
    task->fields = span_of(at + name.len, len);
    return task;
}

static struct asks_partition *asks_add(struct asks *asks, uint64_t hash, struct span name) {
    struct asks_partition *p = mem_calloc(1, sizeof(*p) + name.len);
    memcpy(p + 1, name.ptr, name.len);
    p->name = span_of(p + 1, name.len);
    TAILQ_INIT(&p->tasks);
    table_add(&asks->partitions, &p->link, hash);
    return p;
}

static bool asks_same(const struct asks_task *task, const struct span *fields, size_t n,
                      size_t len) {
    const char *at = task->fields.ptr;
    if (task->fields.len != len) return false;
    for (size_t i = 0; i < n; i++) {
        size_t left = len - (size_t)(at - task->fields.ptr);
        if (left < 1 + fields[i].len || *at || memcmp(at + 1, fields[i].ptr, fields[i].len))
            return false;
        at += 1 + fields[i].len;
    }
    return true;
}

void asks_note(struct server *s, struct span partition, struct span name, const struct span *fields,
               size_t n_fields) {
    uint64_t hash = hash_bytes(partition);
    struct asks_partition *p = asks_find(s->asks, hash, partition);
    struct asks_task *task = p ? TAILQ_FIRST(&p->tasks) : NULL;
    size_t len, n = asks_fit(fields, n_fields, &len);
    while (task && !span_equal(task->name, name)) task = TAILQ_NEXT(task, order);
    if (task && asks_same(task, fields, n, len)) {
        TAILQ_REMOVE(&p->tasks, task, order);
        TAILQ_INSERT_HEAD(&p->tasks, task, order);
        return;
    }
    if (!store_find(s->store, partition)) return;
    if (server_memory_full(s, len)) return;
    if (!p) p = asks_add(s->asks, hash, partition);
    if (!task && p->n == ASKS_TASKS) task = TAILQ_LAST(&p->tasks, asks_list);
    if (task) asks_drop_task(p, task);
    task = asks_task_new(name, fields, n, len);
    TAILQ_INSERT_HEAD(&p->tasks, task, order);
    p->n++;
}

void asks_each(const struct server *s, struct span partition,
               void (*visit)(void *context, struct span task, struct span fields), void *context) {
    const struct asks_partition *p = asks_find(s->asks, hash_bytes(partition), partition);
    const struct asks_task *task;
    if (!p) return;
    TAILQ_FOREACH(task, &p->tasks, order) visit(context, task->name, task->fields);
}

/* ---- changes ------------------------------------------------------------------------------ */

static void asks_forget(struct server *s, struct span partition) {
    if (!s->asks->partitions.count) return;
    struct asks_partition *p = asks_find(s->asks, hash_bytes(partition), partition);
    if (p) asks_drop(s->asks, p);
}

/* Partitions that are gone, or others were restored in their place. */
static void asks_on_change(struct server *s, const struct op *op) {
    if (op->kind == OP_DROP) asks_forget(s, op->partition);
    for (size_t i = 0; op->kind == OP_ADOPT && i < op->adopt.n; i++)
        asks_forget(s, op->adopt.partitions[i]->name);
}

struct asks *asks_new(struct server *s) {
    changes_listen(s, CHANGES_OF(OP_DROP) | CHANGES_OF(OP_ADOPT), asks_on_change);
    return mem_calloc(1, sizeof(struct asks));
}
