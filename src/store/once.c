/* See once.h. */
#include "store/once.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/scratch.h"
#include "store/store.h"

/* Most partitions have none: they share this one, which is never changed. */
static struct onces once_none;

struct onces *onces_none(void) {
    return &once_none;
}

static bool once_is(const void *context, uint32_t at, struct span holder) {
    return span_equal(((const struct onces *)context)->table[at]->holder, holder);
}

struct once *once_find(const struct partition *p, struct span holder) {
    const struct onces *all = p->onces;
    uint32_t at = keyindex_find(&all->index, hash_bytes(holder), holder, once_is, all);
    return at == KEYINDEX_NONE ? NULL : all->table[at];
}

const struct once *once_evicted(const struct partition *p, struct span holder) {
    if (p->onces->n < ONCE_MAX || once_find(p, holder)) return NULL;
    return TAILQ_FIRST(&p->onces->order);
}

static size_t once_bytes(const struct once *entry) {
    return sizeof(*entry) + entry->holder.len + entry->n * sizeof(*entry->seqs);
}

/* ---- holds -------------------------------------------------------------------------------- */

void once_bound(struct leases *leases, int64_t now_ms) {
    int64_t most = now_ms + ONCE_HOLD_MS;
    struct once *last = TAILQ_LAST(&leases->holds, once_list);
    for (; last && last->held_until_ms > most; last = TAILQ_PREV(last, once_list, holds))
        last->held_until_ms = most;
}

/* Behind those that end no later. Holds last equally long, so that is at the end of the list. */
static void once_queue(struct leases *leases, struct once *entry) {
    struct once *before = TAILQ_LAST(&leases->holds, once_list);
    while (before && before->held_until_ms > entry->held_until_ms)
        before = TAILQ_PREV(before, once_list, holds);
    if (before)
        TAILQ_INSERT_AFTER(&leases->holds, before, entry, holds);
    else
        TAILQ_INSERT_HEAD(&leases->holds, entry, holds);
}

static void once_hold(struct leases *leases, struct once *entry, const struct op *op) {
    entry->held_until_ms = op->select.once.held_until_ms;
    for (size_t i = 0; i < entry->n; i++)
        if (partition_alive(entry->partition, entry->seqs[i]))
            task_hold(entry->task, entry->seqs[i]);
    once_bound(leases, op->now_ms);
    once_queue(leases, entry);
}

static void once_release(struct leases *leases, struct once *entry) {
    if (!entry->held_until_ms) return;
    for (size_t i = 0; i < entry->n; i++) task_unhold(entry->task, entry->seqs[i]);
    TAILQ_REMOVE(&leases->holds, entry, holds);
    entry->held_until_ms = 0;
}

struct op once_confirmation(const struct once *entry, uint64_t number, int64_t now_ms) {
    return (struct op){.kind = OP_CONFIRM,
                       .partition = entry->partition->name,
                       .now_ms = now_ms,
                       .select = {.once = {.holder = entry->holder, .number = number}}};
}

size_t once_held(const struct once *entry, struct scratch *scratch, const uint64_t **seqs) {
    size_t n = entry->held_until_ms ? entry->n : 0;
    uint64_t *copy = scratch_alloc(scratch, n + 1, sizeof(*copy));
    if (n) memcpy(copy, entry->seqs, n * sizeof(*copy));
    *seqs = copy;
    return n;
}

int64_t once_next_end(const struct store *s) {
    const struct once *first = TAILQ_FIRST(&store_leases(s)->holds);
    return first ? first->held_until_ms : LEASE_NEVER;
}

bool once_plan_expiry(const struct store *s, int64_t now_ms, struct scratch *scratch, struct op *op,
                      const uint64_t **seqs, size_t *n) {
    if (once_next_end(s) > now_ms) return false;
    const struct once *first = TAILQ_FIRST(&store_leases(s)->holds);
    *op = once_confirmation(first, first->number, now_ms);
    *n = once_held(first, scratch, seqs);
    return true;
}

/* ---- entries ------------------------------------------------------------------------------ */

static struct once *once_make(struct partition *p, struct span holder) {
    if (p->onces == &once_none) p->onces = mem_calloc(1, sizeof(*p->onces));
    struct onces *all = p->onces;
    struct once *entry = mem_calloc(1, sizeof(*entry));
    entry->partition = p;
    entry->holder = span_of(mem_dup(holder.ptr, holder.len), holder.len);
    entry->place = (uint32_t)all->n;
    if (!all->n) TAILQ_INIT(&all->order);
    all->table = mem_grow(all->table, &all->capacity, all->n + 1, sizeof(*all->table));
    all->table[all->n++] = entry;
    keyindex_add(&all->index, hash_bytes(holder), entry->place);
    TAILQ_INSERT_TAIL(&all->order, entry, order);
    all->bytes += once_bytes(entry);
    return entry;
}

/* The call with its number has got nothing. */
static void once_empty(struct leases *leases, struct once *entry) {
    struct onces *all = entry->partition->onces;
    once_release(leases, entry);
    all->bytes -= once_bytes(entry);
    mem_free(entry->seqs);
    entry->seqs = NULL;
    entry->n = 0;
    entry->lease = 0;
    all->bytes += once_bytes(entry);
}

/* The last of the table takes its place. */
static void once_drop(struct leases *leases, struct once *entry) {
    struct onces *all = entry->partition->onces;
    once_empty(leases, entry);
    struct once *last = all->table[--all->n];
    keyindex_remove(&all->index, hash_bytes(entry->holder), entry->place);
    if (last != entry) {
        uint64_t hash = hash_bytes(last->holder);
        keyindex_remove(&all->index, hash, last->place);
        last->place = entry->place;
        all->table[last->place] = last;
        keyindex_add(&all->index, hash, last->place);
    }
    TAILQ_REMOVE(&all->order, entry, order);
    all->bytes -= once_bytes(entry);
    mem_free((void *)entry->holder.ptr);
    mem_free(entry);
}

static void once_speaks(struct once *entry, uint64_t number) {
    struct onces *all = entry->partition->onces;
    entry->number = number;
    TAILQ_REMOVE(&all->order, entry, order);
    TAILQ_INSERT_TAIL(&all->order, entry, order);
}

/* ---- changing ----------------------------------------------------------------------------- */

void once_remember(struct leases *leases, struct partition *p, struct task *task,
                   const struct op *op) {
    const struct op_select *select = &op->select;
    struct once *entry = once_find(p, select->once.holder);
    if (!entry && p->onces->n == ONCE_MAX) once_drop(leases, TAILQ_FIRST(&p->onces->order));
    if (!entry) entry = once_make(p, select->once.holder);
    once_empty(leases, entry);
    once_speaks(entry, select->once.number);
    entry->task = task;
    entry->request = select->once.request;
    entry->lease = select->lease.id;
    if (entry->lease) return;
    p->onces->bytes -= once_bytes(entry);
    entry->seqs = mem_dup(select->seqs, select->n * sizeof(*select->seqs));
    entry->n = select->n;
    p->onces->bytes += once_bytes(entry);
    once_hold(leases, entry, op);
}

void once_confirm(struct leases *leases, struct partition *p, const struct op_once *what) {
    struct once *entry = once_find(p, what->holder);
    if (what->number == entry->number) {
        once_release(leases, entry);
        return;
    }
    once_empty(leases, entry);
    once_speaks(entry, what->number);
}

void once_forget(struct leases *leases, struct partition *p, const struct task *task,
                 const uint64_t *sorted, size_t n) {
    for (size_t i = 0; n && i < p->onces->n; i++) {
        struct once *entry = p->onces->table[i];
        if (!entry->n || (task && entry->task != task)) continue;
        size_t kept = seqs_without(entry->seqs, entry->n, sorted, n);
        if (kept == entry->n) continue;
        p->onces->bytes -= (entry->n - kept) * sizeof(*entry->seqs);
        entry->n = kept;
        if (!partition_any_alive(p, entry->seqs, kept)) once_empty(leases, entry);
    }
}

void once_drop_task(struct leases *leases, struct partition *p, const struct task *task) {
    for (size_t i = p->onces->n; i-- > 0;)
        if (!task || p->onces->table[i]->task == task) once_drop(leases, p->onces->table[i]);
}

void once_leave(struct leases *leases, struct partition *p) {
    for (size_t i = 0; i < p->onces->n; i++) {
        struct once *entry = p->onces->table[i];
        if (entry->held_until_ms) TAILQ_REMOVE(&leases->holds, entry, holds);
    }
}

bool onces_shrink(struct onces *onces, size_t *steps) {
    for (; onces->n && *steps; --*steps) {
        struct once *entry = onces->table[--onces->n];
        mem_free((void *)entry->holder.ptr);
        mem_free(entry->seqs);
        mem_free(entry);
    }
    return onces->n == 0;
}

void onces_free(struct onces *onces) {
    size_t steps = onces->n;
    onces_shrink(onces, &steps);
    mem_free(onces->table);
    keyindex_free(&onces->index);
    if (onces != &once_none) mem_free(onces);
}

/* ---- loading ------------------------------------------------------------------------------ */

void once_load(struct partition *p, const struct once *what) {
    struct once *entry = once_make(p, what->holder);
    p->onces->bytes += what->n * sizeof(*what->seqs);
    entry->number = what->number;
    entry->task = what->task;
    entry->request = what->request;
    entry->lease = what->lease;
    if (what->n) entry->seqs = mem_dup(what->seqs, what->n * sizeof(*what->seqs));
    entry->n = what->n;
    entry->held_until_ms = what->held_until_ms;
}

void once_extend(struct partition *p, int64_t ms) {
    for (size_t i = 0; i < p->onces->n; i++) {
        int64_t *until = &p->onces->table[i]->held_until_ms;
        if (*until) *until = *until < LEASE_NEVER - 1 - ms ? *until + ms : LEASE_NEVER - 1;
    }
}

static int once_compare(const void *a, const void *b) {
    const struct once *x = *(struct once *const *)a, *y = *(struct once *const *)b;
    return (x->held_until_ms > y->held_until_ms) - (x->held_until_ms < y->held_until_ms);
}

void once_adopt(struct leases *leases, const struct op_adopt *adopt, int64_t now_ms) {
    size_t n = 0, capacity = 0;
    struct once *entry, **held = NULL;
    for (size_t i = 0; i < adopt->n; i++) {
        if (!adopt->partitions[i]->onces->n) continue;
        TAILQ_FOREACH(entry, &adopt->partitions[i]->onces->order, order)
        if (entry->held_until_ms) TAILQ_INSERT_TAIL(&leases->holds, entry, holds);
    }
    TAILQ_FOREACH(entry, &leases->holds, holds) {
        held = mem_grow(held, &capacity, n + 1, sizeof(struct once *));
        held[n++] = entry;
    }
    if (n) qsort(held, n, sizeof(struct once *), once_compare);
    TAILQ_INIT(&leases->holds);
    for (size_t i = 0; i < n; i++) TAILQ_INSERT_TAIL(&leases->holds, held[i], holds);
    mem_free(held);
    once_bound(leases, now_ms);
}
