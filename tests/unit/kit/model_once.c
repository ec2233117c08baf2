/* ONCE in the model: an entry a holder, with what is left of its last batch. */
#include "model.h"

#include "base/mem.h"
#include "fail.h"
#include "model_check.h"

#define U(number) (unsigned long long)(number)

static struct model_once *find(const struct model_partition *p, struct span holder) {
    for (size_t i = 0; p && i < p->n_onces; i++)
        if (span_equal(p->onces[i].holder, holder)) return &p->onces[i];
    return NULL;
}

static void set_batch(struct model_once *once, const uint64_t *seqs, size_t n) {
    mem_free(once->seqs);
    once->seqs = n ? mem_dup(seqs, n * sizeof(*seqs)) : NULL;
    once->n = n;
}

static void took_nothing(struct model_once *once) {
    set_batch(once, NULL, 0);
    once->took = false;
    once->lease = 0;
    once->held_until_ms = 0;
}

void model_drop_once(struct model_partition *p, size_t at) {
    took_nothing(&p->onces[at]);
    model_let_go(&p->onces[at].holder);
    p->onces[at] = p->onces[--p->n_onces];
}

void model_unonce(struct model_partition *p, size_t task, uint64_t seq, bool forget) {
    for (size_t i = 0; i < p->n_onces; i++) {
        struct model_once *once = &p->onces[i];
        size_t kept = 0, before = once->n;
        if (task < p->n_tasks && once->task != task) continue;
        if (forget && once->lease) continue; /* its lease says what is left */
        for (size_t s = 0; s < before; s++)
            if (once->seqs[s] != seq) once->seqs[kept++] = once->seqs[s];
        once->n = kept;
        if (forget && kept < before && kept == 0) took_nothing(once);
    }
}

bool model_holds(const struct model_partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->n_onces; i++)
        for (size_t s = 0; p->onces[i].held_until_ms && s < p->onces[i].n; s++)
            if (p->onces[i].seqs[s] == seq) return true;
    return false;
}

bool model_confirm(struct model *m, const struct sample_call *call) {
    struct model_once *once = find(model_find(m, call->partition), call->once.holder);
    if (!once || call->once.number <= once->number) return false;
    took_nothing(once);
    once->number = call->once.number;
    return true;
}

unsigned model_look_once(const struct model_partition *p, const struct sample_call *call,
                         struct scratch *scratch, struct model_answer *answer) {
    const struct model_once *once = find(p, call->once.holder);
    if (!once || call->once.number > once->number) return 0;
    if (call->once.number < once->number) return MODEL_ERROR(ERROR_ERR);
    if (!once->took) return 0;
    if (!checksum128_equal(once->request, call->once.request)) return MODEL_ERROR(ERROR_ERR);
    size_t at = 0;
    while (at < p->n_leases && p->leases[at].id != once->lease) at++;
    if (once->lease && at == p->n_leases) return MODEL_ERROR(ERROR_NOLEASE);
    uint64_t *seqs = scratch_alloc(scratch, once->n, sizeof(*seqs));
    size_t n = 0;
    for (size_t i = 0; i < once->n; i++) {
        const struct model_sample *sample =
            model_by_seq((struct model_partition *)p, once->seqs[i]);
        if (!once->lease || sample->lease[once->task] == once->lease) seqs[n++] = once->seqs[i];
    }
    if (n == 0) return MODEL_ERROR(ERROR_NOKEY);
    answer->outcome = SAMPLE_BATCH;
    answer->remembered = true;
    answer->n = n;
    answer->seqs = seqs;
    answer->lease = once->lease;
    return 0;
}

void model_once_sampled(struct model_partition *p, size_t task, const struct op *op) {
    const struct op_select *select = &op->select;
    struct model_once *once = find(p, select->once.holder);
    if (!once) {
        p->onces = mem_grow(p->onces, &p->onces_capacity, p->n_onces + 1, sizeof(*p->onces));
        once = &p->onces[p->n_onces++];
        *once = (struct model_once){.holder = model_own(select->once.holder)};
    }
    set_batch(once, select->seqs, select->n);
    once->number = select->once.number;
    once->request = select->once.request;
    once->task = task;
    once->took = true;
    once->lease = select->lease.id;
    once->held_until_ms = once->lease ? 0 : op->now_ms + 3600 * 1000;
}

int64_t model_next_hold(const struct model *m) {
    int64_t first = LEASE_NEVER;
    for (size_t i = 0; i < MODEL_PARTITIONS; i++)
        for (size_t k = 0; k < m->partitions[i].n_onces; k++) {
            int64_t until = m->partitions[i].onces[k].held_until_ms;
            if (until && until < first) first = until;
        }
    return first;
}

void model_end_hold(struct model *m, struct span partition, struct span holder) {
    struct model_once *once = find(model_find(m, partition), holder);
    EXPECT(once && once->held_until_ms == model_next_hold(m), "the hold of %.*s", SPAN_ARG(holder));
    once->held_until_ms = 0;
}

void model_check_onces(const struct partition *p, const struct model_partition *expected) {
    EXPECT(p->onces->n == expected->n_onces, "%zu holders, expected %zu", p->onces->n,
           expected->n_onces);
    size_t bytes = 0;
    for (size_t i = 0; i < expected->n_onces; i++) {
        const struct model_once *once = &expected->onces[i];
        const struct once *entry = once_find(p, once->holder);
        EXPECT(entry && entry->number == once->number, "holder %zu", i);
        EXPECT(once_has_batch(entry) == once->took && entry->lease == once->lease,
               "holder %zu, lease %llu", i, U(entry->lease));
        EXPECT(span_equal(entry->task->name, expected->tasks[once->task]), "holder %zu", i);
        EXPECT(entry->held_until_ms == once->held_until_ms, "holder %zu is held until %lld", i,
               (long long)entry->held_until_ms);
        size_t n = 0;
        for (size_t s = 0; s < entry->n; s++) {
            bool alive = partition_alive(p, entry->seqs[s]);
            EXPECT(task_is_held(entry->task, entry->seqs[s]) == (alive && once->held_until_ms > 0),
                   "holder %zu, seq %llu", i, U(entry->seqs[s]));
            if (!alive) continue;
            EXPECT(n < once->n && once->seqs[n] == entry->seqs[s], "holder %zu, seq %llu", i,
                   U(entry->seqs[s]));
            n++;
        }
        EXPECT(once->lease || n == once->n, "holder %zu has %zu samples", i, n);
        bytes += sizeof(*entry) + entry->holder.len + entry->n * sizeof(*entry->seqs);
    }
    EXPECT(p->onces->bytes == bytes, "%zu bytes, expected %zu", p->onces->bytes, bytes);
}
