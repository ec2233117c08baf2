/* See lease.h. */
#include "store/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "store/ended.h"
#include "store/store.h"
#include "store/tagindex.h"

/* ---- the heap, earliest end first --------------------------------------------------------- */

static void heap_set(struct leases *leases, size_t place, struct lease *lease) {
    leases->heap[place] = lease;
    lease->place = place;
}

/* Leases that end in the same millisecond end in the order they were given, whatever the heap has been through. */
static bool heap_before(const struct lease *a, const struct lease *b) {
    return a->ends_ms != b->ends_ms ? a->ends_ms < b->ends_ms : a->id < b->id;
}

static void heap_rise(struct leases *leases, struct lease *lease) {
    size_t at = lease->place;
    for (; at > 0; at = (at - 1) / 2) {
        struct lease *parent = leases->heap[(at - 1) / 2];
        if (!heap_before(lease, parent)) break;
        heap_set(leases, at, parent);
    }
    heap_set(leases, at, lease);
}

static void heap_sink(struct leases *leases, struct lease *lease) {
    size_t at = lease->place;
    for (size_t child; (child = 2 * at + 1) < leases->count; at = child) {
        if (child + 1 < leases->count && heap_before(leases->heap[child + 1], leases->heap[child]))
            child++;
        if (!heap_before(leases->heap[child], lease)) break;
        heap_set(leases, at, leases->heap[child]);
    }
    heap_set(leases, at, lease);
}

static void heap_add(struct leases *leases, struct lease *lease) {
    leases->heap =
        mem_grow(leases->heap, &leases->capacity, leases->count + 1, sizeof(*leases->heap));
    heap_set(leases, leases->count++, lease);
    heap_rise(leases, lease);
}

static void heap_remove(struct leases *leases, struct lease *lease) {
    struct lease *last = leases->heap[--leases->count];
    if (last == lease) return;
    heap_set(leases, lease->place, last);
    heap_rise(leases, last);
    heap_sink(leases, last);
}

/* ---- of a task ---------------------------------------------------------------------------- */

/* Where the lease stands among those of its task, or would. */
static size_t lease_slot_place(const struct task *task, uint64_t id) {
    size_t low = 0, high = task->n_lease_slots;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (task->lease_slots[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct lease *lease_find(const struct task *task, uint64_t id) {
    size_t at = lease_slot_place(task, id);
    if (at == task->n_lease_slots || task->lease_slots[at].id != id) return NULL;
    return task->lease_slots[at].lease;
}

struct lease *lease_after(const struct task *task, uint64_t id) {
    for (size_t at = lease_slot_place(task, id + 1); at < task->n_lease_slots; at++)
        if (task->lease_slots[at].lease) return task->lease_slots[at].lease;
    return NULL;
}

static size_t lease_bytes(const struct lease *lease) {
    return sizeof(*lease) + lease->n * sizeof(*lease->seqs) + lease->holder.len;
}

static void lease_free(struct lease *lease) {
    mem_free((void *)lease->holder.ptr);
    mem_free(lease->seqs);
    mem_free(lease);
}

/* Its slot stays. */
static void lease_end_slot(struct leases *leases, struct lease_slot *slot) {
    struct lease *lease = slot->lease;
    slot->lease = NULL;
    lease->task->n_leases--;
    heap_remove(leases, lease);
    leases->overhead -= lease_bytes(lease);
    lease_free(lease);
}

/* Once more slots have ended than not they are taken out: O(1) for each that ends, on average. */
static void lease_slots_squeeze(struct task *task) {
    size_t kept = 0;
    if (task->n_lease_slots / 2 < task->n_leases) return;
    for (size_t at = 0; at < task->n_lease_slots; at++)
        if (task->lease_slots[at].lease) task->lease_slots[kept++] = task->lease_slots[at];
    task->n_lease_slots = kept;
}

static void lease_end_now(struct leases *leases, struct lease *lease) {
    struct task *task = lease->task;
    lease_end_slot(leases, &task->lease_slots[lease_slot_place(task, lease->id)]);
    lease_slots_squeeze(task);
}

uint64_t lease_samples(const struct lease *lease) {
    uint64_t n = 0;
    for (size_t i = 0; i < lease->n; i++) n += task_is_leased(lease->task, lease->seqs[i]);
    return n;
}

int64_t lease_next_end(const struct store *s) {
    const struct leases *leases = store_leases(s);
    return leases->count ? leases->heap[0]->ends_ms : LEASE_NEVER;
}

/* ---- planning ----------------------------------------------------------------------------- */

static int lease_resolve(const struct store *s, const struct lease_request *request, int64_t now_ms,
                         enum op_kind kind, struct op *op, const struct lease **lease,
                         struct error *e) {
    const struct partition *p = store_find(s, request->partition);
    if (!p) return error_set(e, ERROR_NOPART, "no partition %s", QUOTE(request->partition));
    const struct task *task = partition_task(p, request->task);
    uint64_t id = 0;
    *lease = task && number_parse_u64(request->id, &id) ? lease_find(task, id) : NULL;
    if (!*lease)
        return error_set(e, ERROR_NOLEASE, "task %s has no lease %s, or its time has run out",
                         QUOTE(request->task), QUOTE(request->id));
    *op = (struct op){.kind = kind, .partition = request->partition, .now_ms = now_ms};
    op->select.task = request->task;
    op->select.lease.id = id;
    op->select.all = true;
    op->select.n = (*lease)->n;
    return 0;
}

bool lease_answered(const struct store *s, const struct lease_request *request, bool is_nack,
                    struct scratch *scratch, uint64_t *samples) {
    const struct partition *p = store_find(s, request->partition);
    const struct task *task = p ? partition_task(p, request->task) : NULL;
    uint64_t id, what = is_nack ? ENDED_NACK : ENDED_ACK;
    if (!task || !p->ended->n || !number_parse_u64(request->id, &id)) return false;
    if (request->keys) what = ended_keys(request->keys, request->n_keys, scratch);
    const struct ended_reply *reply = ended_find(p->ended, task, id, what);
    if (reply) *samples = reply->samples;
    return reply != NULL;
}

int lease_plan_ack(const struct store *s, const struct lease_request *request, int64_t now_ms,
                   struct scratch *scratch, struct op *op, struct error *e) {
    const struct lease *lease;
    int failed = lease_resolve(s, request, now_ms, OP_ACK, op, &lease, e);
    if (failed) return failed;
    uint64_t *seqs = scratch_alloc(scratch, lease->n, sizeof(*seqs));
    memcpy(seqs, lease->seqs, lease->n * sizeof(*seqs));
    op->select.seqs = seqs;
    return 0;
}

/* Those of the keys that the lease still holds. */
static void lease_select(const struct partition *p, const struct lease *lease,
                         const struct lease_request *request, struct scratch *scratch,
                         struct op_select *out) {
    uint64_t *held = scratch_alloc(scratch, lease->n, sizeof(*held));
    uint64_t *seqs = scratch_alloc(scratch, request->n_keys, sizeof(*seqs));
    memcpy(held, lease->seqs, lease->n * sizeof(*held));
    qsort(held, lease->n, sizeof(*held), seq_compare);
    out->all = false;
    out->n = 0;
    for (size_t i = 0; i < request->n_keys; i++) {
        uint64_t seq = partition_find(p, request->keys[i]);
        if (seq == SEQ_NONE || !task_is_leased(lease->task, seq)) continue;
        if (!bsearch(&seq, held, lease->n, sizeof(*held), seq_compare)) continue;
        seqs[out->n++] = seq;
    }
    out->seqs = seqs;
}

int lease_plan_nack(const struct store *s, const struct lease_request *request, int64_t now_ms,
                    struct scratch *scratch, struct op *op, struct error *e) {
    const struct lease *lease;
    int failed = lease_resolve(s, request, now_ms, OP_NACK, op, &lease, e);
    if (failed || !request->keys) return failed;
    op->select.lease.request = ended_keys(request->keys, request->n_keys, scratch);
    lease_select(lease->partition, lease, request, scratch, &op->select);
    return 0;
}

int lease_plan_extend(const struct store *s, const struct lease_request *request, int64_t lease_ms,
                      int64_t now_ms, struct op *op, struct error *e) {
    const struct lease *lease;
    int failed = lease_resolve(s, request, now_ms, OP_EXTEND, op, &lease, e);
    if (!failed) op->select.lease.ends_ms = lease_end(now_ms, lease_ms);
    return failed;
}

bool lease_plan_expiry(const struct store *s, int64_t now_ms, struct op *op) {
    const struct leases *leases = store_leases(s);
    if (!leases->count || leases->heap[0]->ends_ms > now_ms) return false;
    const struct lease *lease = leases->heap[0];
    *op = (struct op){
        .kind = OP_EXPIRE,
        .partition = lease->partition->name,
        .now_ms = now_ms,
        .select = {.all = true,
                   .n = lease->n,
                   .task = lease->task->name,
                   .lease = {.id = lease->id}},
    };
    return true;
}

/* ---- changing ----------------------------------------------------------------------------- */

/* With the heap it begins to run. */
static void lease_begin(struct leases *leases, struct lease *lease) {
    if (lease->id > leases->last_id) leases->last_id = lease->id;
    heap_add(leases, lease);
    leases->overhead += lease_bytes(lease);
}

struct lease *lease_load(struct task *task, const struct lease *what) {
    struct lease *lease = mem_alloc(sizeof(*lease));
    *lease = *what;
    lease->task = task;
    lease->holder = span_of(mem_dup(what->holder.ptr, what->holder.len), what->holder.len);
    lease->seqs = mem_dup(what->seqs, what->n * sizeof(*what->seqs));
    task->lease_slots = mem_grow(task->lease_slots, &task->lease_slots_capacity,
                                 task->n_lease_slots + 1, sizeof(*task->lease_slots));
    task->lease_slots[task->n_lease_slots++] = (struct lease_slot){lease->id, lease}; /* ids grow */
    task->n_leases++;
    return lease;
}

size_t lease_give(struct leases *leases, struct partition *p, struct task *task,
                  const struct op *op) {
    const struct op_select *select = &op->select;
    struct lease *lease = lease_load(task, &(struct lease){.id = select->lease.id,
                                                           .partition = p,
                                                           .holder = select->lease.holder,
                                                           .given_ms = op->now_ms,
                                                           .ends_ms = select->lease.ends_ms,
                                                           .seqs = (uint64_t *)select->seqs,
                                                           .n = select->n});
    for (size_t i = 0; i < lease->n; i++) task_lease(task, lease->seqs[i]);
    lease_begin(leases, lease);
    return lease->n;
}

void lease_adopt_all(struct leases *leases, struct task *task) {
    for (size_t at = 0; at < task->n_lease_slots; at++)
        lease_begin(leases, task->lease_slots[at].lease);
}

void lease_discard_all(struct task *task) {
    for (size_t i = 0; i < task->n_lease_slots; i++) lease_free(task->lease_slots[i].lease);
    task->n_lease_slots = task->n_leases = 0;
}

/* The lease an op is about: it is there, the plan has seen it. */
static struct lease *lease_of(const struct partition *p, const struct op_select *select) {
    return lease_find(partition_task(p, select->task), select->lease.id);
}

static void lease_remember(struct partition *p, const struct lease *lease, uint64_t request,
                           size_t samples) {
    ended_add(ended_own(&p->ended),
              &(struct ended_reply){lease->id, request, lease->task, samples});
}

size_t lease_ack(struct leases *leases, struct partition *p, const struct op_select *select) {
    struct lease *lease = lease_of(p, select);
    size_t n = 0;
    for (size_t i = 0; i < lease->n; i++)
        if (task_unlease(lease->task, lease->seqs[i]))
            n += partition_consume(p, lease->task, lease->seqs[i]);
    lease_remember(p, lease, ENDED_ACK, n);
    lease_end_now(leases, lease);
    return n;
}

/* Seqs that came back leave the list: another lease may hold them tomorrow. */
static void lease_forget_released(struct leases *leases, struct lease *lease) {
    size_t kept = 0;
    leases->overhead -= lease_bytes(lease);
    for (size_t i = 0; i < lease->n; i++)
        if (task_is_leased(lease->task, lease->seqs[i])) lease->seqs[kept++] = lease->seqs[i];
    lease->n = kept;
    leases->overhead += lease_bytes(lease);
    if (kept == 0) lease_end_now(leases, lease);
}

static size_t lease_give_back(const struct lease *lease, const struct op_select *select) {
    const uint64_t *seqs = select->all ? lease->seqs : select->seqs;
    size_t n = select->all ? lease->n : select->n, released = 0;
    for (size_t i = 0; i < n; i++) released += task_unlease(lease->task, seqs[i]);
    tagindexes_touch(lease->partition, seqs, n);
    return released;
}

/* After lease_give_back: a lease that holds nothing any more ends. */
static void lease_finish(struct leases *leases, struct lease *lease,
                         const struct op_select *select) {
    if (select->all)
        lease_end_now(leases, lease);
    else
        lease_forget_released(leases, lease);
}

size_t lease_expire(struct leases *leases, struct partition *p, const struct op_select *select) {
    struct lease *lease = lease_of(p, select);
    size_t released = lease_give_back(lease, select);
    lease_finish(leases, lease, select);
    return released;
}

size_t lease_nack(struct leases *leases, struct partition *p, const struct op_select *select) {
    struct lease *lease = lease_of(p, select);
    size_t released = lease_give_back(lease, select);
    lease_remember(p, lease, select->all ? ENDED_NACK : select->lease.request, released);
    lease_finish(leases, lease, select);
    return released;
}

size_t lease_extend(struct leases *leases, struct partition *p, const struct op_select *select) {
    struct lease *lease = lease_of(p, select);
    lease->ends_ms = select->lease.ends_ms;
    heap_rise(leases, lease);
    heap_sink(leases, lease);
    return lease_samples(lease);
}

void lease_drop_all(struct leases *leases, struct task *task) {
    for (size_t at = 0; at < task->n_lease_slots; at++) {
        struct lease *lease = task->lease_slots[at].lease;
        for (size_t i = 0; lease && i < lease->n; i++) task_unlease(task, lease->seqs[i]);
        if (lease) lease_end_slot(leases, &task->lease_slots[at]);
    }
    task->n_lease_slots = 0;
}

void leases_free(struct leases *leases) {
    mem_free(leases->heap);
}
