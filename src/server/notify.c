/* See notify.h. Partitions touched in this turn stand in a list, each with the fields touched;
 * those of which `complete` has been said stay in the table between turns. */
#include "server/notify.h"

#include <stdint.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "base/mem.h"
#include "server/changes.h"
#include "server/config.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/table.h"
#include "server/text.h"
#include "store/store.h"

#define CHANNEL_PREFIX "__tq__:"

struct notify_field {
    struct table_link link;
    const struct notify_partition *partition;
    TAILQ_ENTRY(notify_field) order;
    struct span name;
};

struct notify_partition {
    struct table_link link;
    TAILQ_ENTRY(notify_partition) order; /* of the touched */
    TAILQ_HEAD(, notify_field) fields;
    bool is_touched;
    bool sealed, may_complete; /* in this turn */
    bool is_complete;          /* it has been said */
    bool is_heard;
    uint64_t joins; /* when that was found out: pubsub->joins */
    struct span name;
};

struct notify {
    struct table partitions, fields;
    TAILQ_HEAD(, notify_partition) touched;
    uint64_t silences; /* pubsub->silences when anyone last listened */
};

/* ---- entries */

static bool entry_is(const struct table_link *link, const void *key) {
    return span_equal(TABLE_ENTRY(link, struct notify_partition, link)->name,
                      *(const struct span *)key);
}

static struct notify_partition *entry_find(const struct notify *n, struct span name) {
    struct table_link *link = table_find(&n->partitions, hash_bytes(name), entry_is, &name);
    return link ? TABLE_ENTRY(link, struct notify_partition, link) : NULL;
}

static struct notify_partition *entry_touch(struct notify *n, struct span name) {
    struct notify_partition *p = entry_find(n, name);
    if (!p) {
        p = mem_calloc(1, sizeof(*p) + name.len);
        memcpy(p + 1, name.ptr, name.len);
        p->name = span_of(p + 1, name.len);
        TAILQ_INIT(&p->fields);
        table_add(&n->partitions, &p->link, hash_bytes(name));
    }
    if (!p->is_touched) TAILQ_INSERT_TAIL(&n->touched, p, order);
    p->is_touched = true;
    return p;
}

struct field_key {
    const struct notify_partition *partition;
    struct span name;
};

static bool field_is(const struct table_link *link, const void *key) {
    const struct notify_field *field = TABLE_ENTRY(link, struct notify_field, link);
    const struct field_key *wanted = key;
    return field->partition == wanted->partition && span_equal(field->name, wanted->name);
}

static void field_touch(struct notify *n, struct notify_partition *p, struct span name) {
    struct field_key key = {p, name};
    uint64_t hash = hash_bytes(name) ^ p->link.hash * UINT64_C(0x9e3779b97f4a7c15);
    if (table_find(&n->fields, hash, field_is, &key)) return;
    struct notify_field *field = mem_calloc(1, sizeof(*field) + name.len);
    memcpy(field + 1, name.ptr, name.len);
    field->name = span_of(field + 1, name.len);
    field->partition = p;
    TAILQ_INSERT_TAIL(&p->fields, field, order);
    table_add(&n->fields, &field->link, hash);
}

/* Drops the events of this turn so far. */
static void entry_clear_turn(struct notify *n, struct notify_partition *p) {
    for (struct notify_field *field; (field = TAILQ_FIRST(&p->fields));) {
        TAILQ_REMOVE(&p->fields, field, order);
        table_remove(&n->fields, &field->link);
        mem_free(field);
    }
    p->sealed = p->may_complete = false;
}

/* The turn is over for it. */
static void entry_finish(struct notify *n, struct notify_partition *p) {
    entry_clear_turn(n, p);
    if (p->is_touched) TAILQ_REMOVE(&n->touched, p, order);
    p->is_touched = p->is_heard = false;
    p->joins = 0;
    if (p->is_complete) return;
    table_remove(&n->partitions, &p->link);
    mem_free(p);
}

/* Everything is void, what has been said before too. */
static void notify_forget(struct notify *n) {
    for (size_t i = 0; i < n->partitions.size; i++) {
        while (n->partitions.buckets[i]) {
            struct notify_partition *p =
                TABLE_ENTRY(n->partitions.buckets[i], struct notify_partition, link);
            p->is_complete = false;
            entry_finish(n, p);
        }
    }
}

void notify_free(struct notify *n) {
    notify_forget(n);
    table_free(&n->partitions);
    table_free(&n->fields);
    mem_free(n);
}

/* ---- gathering */

struct channel {
    char bytes[sizeof(CHANNEL_PREFIX) + UINT8_MAX];
    size_t len;
};

static struct span channel_of(struct span partition, struct channel *out) {
    struct span prefix = SPAN_LITERAL(CHANNEL_PREFIX);
    memcpy(out->bytes, prefix.ptr, prefix.len);
    memcpy(out->bytes + prefix.len, partition.ptr, partition.len);
    return span_of(out->bytes, prefix.len + partition.len);
}

/* Asked once a turn, and again when anyone has subscribed since. */
static bool entry_is_heard(struct server *s, struct notify_partition *p) {
    if (p->is_heard || p->joins == s->pubsub->joins) return p->is_heard;
    struct channel channel;
    p->joins = s->pubsub->joins;
    return p->is_heard = pubsub_is_heard(s, channel_of(p->name, &channel));
}

static void gather(struct notify *n, struct notify_partition *p, const struct op *op) {
    if (op->kind == OP_SEAL) p->sealed = true;
    if (op->kind == OP_PUT)
        for (size_t i = 0; i < op->put.n_columns; i++) field_touch(n, p, op->put.columns[i].name);
    if (op->kind == OP_ERASE && !op->select.tags)
        for (size_t i = 0; i < op->select.n_names; i++) field_touch(n, p, op->select.names[i]);
    p->may_complete |= op->kind != OP_ERASE;
}

static void notify_on_change(struct server *s, const struct op *op) {
    struct notify *n = s->notify;
    if (!s->notify_events || !pubsub_is_used(s)) return;
    if (!op->partition.len || op->partition.len > UINT8_MAX) return; /* there is no such */
    if (n->silences != s->pubsub->silences) notify_forget(n);        /* it missed what came since */
    n->silences = s->pubsub->silences;
    switch (op->kind) {
    case OP_PUT:
    case OP_SEAL:
    case OP_EXPECT:
    case OP_CLEAR:
    case OP_ERASE: {
        struct notify_partition *p = entry_touch(n, op->partition);
        if (entry_is_heard(s, p)) gather(n, p, op);
        break;
    }
    case OP_DROP: {
        struct notify_partition *p = entry_find(n, op->partition);
        if (!p) break;
        p->is_complete = false;
        entry_finish(n, p);
        break;
    }
    default: break; /* consuming changes nothing that is published */
    }
}

struct notify *notify_new(struct server *s) {
    struct notify *n = mem_calloc(1, sizeof(*n));
    TAILQ_INIT(&n->touched);
    changes_listen(s,
                   CHANGES_OF(OP_PUT) | CHANGES_OF(OP_SEAL) | CHANGES_OF(OP_EXPECT) |
                       CHANGES_OF(OP_CLEAR) | CHANGES_OF(OP_ERASE) | CHANGES_OF(OP_DROP),
                   notify_on_change);
    return n;
}

/* ---- publishing */

static bool is_complete(const struct partition *p) {
    if (!partition_is_ended(p)) return false;
    for (size_t i = 0; i < p->fields.count; i++)
        if (p->fields.columns[i]->produced < p->samples) return false;
    return true;
}

static void publish_fields(struct server *s, const struct notify_partition *p,
                           const struct partition *partition, struct span channel) {
    struct text event = {0};
    const struct notify_field *field;
    TAILQ_FOREACH(field, &p->fields, order) {
        const struct column *column = column_set_find(&partition->fields, field->name);
        if (!column) continue;
        event.len = 0;
        text_printf(&event, "field %.*s produced %llu", SPAN_ARG(field->name),
                    (unsigned long long)column->produced);
        pubsub_publish(s, channel, text_span(&event));
    }
    text_free(&event);
}

static void entry_publish(struct server *s, struct notify_partition *p) {
    const struct partition *partition = store_find(s->store, p->name);
    if (!partition || (!p->is_heard && !p->is_complete)) return;
    struct channel memory;
    struct span channel = channel_of(p->name, &memory);
    publish_fields(s, p, partition, channel);
    if (p->sealed) pubsub_publish(s, channel, SPAN_LITERAL("sealed"));
    bool complete = is_complete(partition);
    if (complete && !p->is_complete && p->may_complete)
        pubsub_publish(s, channel, SPAN_LITERAL("complete"));
    p->is_complete = complete && (p->is_complete || p->may_complete);
}

void notify_publish(struct server *s) {
    struct notify *n = s->notify;
    for (struct notify_partition *p; (p = TAILQ_FIRST(&n->touched));) {
        entry_publish(s, p);
        entry_finish(n, p);
    }
}

/* ---- options */

/* Turned off, it misses what happens, so that what it said before means nothing any more. */
static int apply_events(void *context, struct error *e) {
    (void)e;
    struct server *s = context;
    if (!s->notify_events) notify_forget(s->notify);
    return 0;
}

void notify_register_options(struct server *s) {
    const struct config_option options[] = {
        {.name = "notify-events",
         .kind = CONFIG_BOOL,
         .value = &s->notify_events,
         .summary = "publish events of partitions on the channels __tq__:PARTITION",
         .fallback = "no",
         .apply = apply_events,
         .context = s},
        {.name = NULL},
    };
    config_register(s->config, options);
}
