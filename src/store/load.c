/* See load.h: the load as a whole, partitions, and what tasks remember. Rows are
 * in load_rows.c, batches of ranks in load_ranks.c. */
#include "store/load.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/load_state.h"
#include "store/names.h"
#include "store/tagindex.h"

#define U(number) ((unsigned long long)(number))

/* Bytes of a sample: where they are fewer, indexes grow by themselves. */
enum { LOAD_SAMPLE_MIN = 16 };

int load_bad(const struct load *l, struct error *e, const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (!l->p) return error_set(e, ERROR_ERR, "%s", text);
    return error_set(e, ERROR_ERR, "partition %s: %s", QUOTE(l->p->name), text);
}

struct load *load_new(const struct store *s, uint64_t bytes) {
    struct load *l = mem_calloc(1, sizeof(*l));
    l->arena = store_arena(s);
    l->room = bytes / LOAD_SAMPLE_MIN;
    return l;
}

static void load_discard(struct partition *p) {
    for (size_t i = 0; i < p->n_tasks; i++) lease_discard_all(p->tasks[i]);
    partition_free(p);
}

void load_free(struct load *l) {
    for (size_t i = 0; i < l->n; i++) load_discard(l->all[i]);
    mem_free(l->all);
    mem_free(l->slots);
    mem_free(l->sorted);
    keyindex_free(&l->names);
    scratch_free(&l->scratch);
    scratch_free(&l->counts_scratch);
    mem_free(l);
}

int64_t load_clock(const struct load *l) {
    return l->now_ms;
}

/* ---- the store ---------------------------------------------------------------------------- */

static int load_store(struct load *l, struct unpack *u, struct error *e) {
    l->last_lease = unpack_varint(u);
    l->now_ms = unpack_signed(u);
    if (l->has_store) return load_bad(l, e, "the store is described twice");
    if (u->bad || unpack_left(u) || l->last_lease > LEASE_ID_MAX || l->now_ms < 0 ||
        l->now_ms > OP_TIME_MAX)
        return load_bad(l, e, "the store's head makes no sense");
    l->has_store = true;
    return 0;
}

/* ---- partitions: complete, when the next one begins ---------------------------------------- */

static int load_check_columns(const struct load *l, const struct column_set *set,
                              const uint64_t *produced, struct error *e) {
    for (size_t i = 0; i < set->count; i++)
        if (set->columns[i]->produced != produced[i])
            return load_bad(l, e, "column %s has %llu values, not %llu",
                            QUOTE(column_name(set->columns[i])), U(set->columns[i]->produced),
                            U(produced[i]));
    return 0;
}

static int load_check_tasks(const struct load *l, struct error *e) {
    for (size_t i = 0; i < l->p->n_tasks; i++) {
        const struct task *t = l->p->tasks[i];
        const struct load_task *expected = &l->counts.tasks[i];
        if (t->consumed != expected->consumed || t->n_leases != expected->leases ||
            t->ranks.n != expected->ranks ||
            (l->counts.has_remembered && t->ranks.n_done != expected->done))
            return load_bad(l, e, "something of task %s is missing", QUOTE(t->name));
    }
    if (!l->counts.has_remembered ||
        (l->p->ended->n == l->counts.ended && l->p->onces->n == l->counts.onces))
        return 0;
    return load_bad(l, e, "%zu of %llu replies and %zu of %llu holders are there", l->p->ended->n,
                    U(l->counts.ended), l->p->onces->n, U(l->counts.onces));
}

static int load_complete(struct load *l, struct error *e) {
    if (!l->p) return 0;
    int failed = load_index(l, e);
    if (failed) return failed;
    if (l->p->samples != l->counts.samples || l->p->groups->count != l->counts.groups)
        return load_bad(l, e, "%llu of %llu samples and %zu of %llu groups are there",
                        U(l->p->samples), U(l->counts.samples), l->p->groups->count,
                        U(l->counts.groups));
    partition_count_stranded(l->p);
    failed = load_check_columns(l, &l->p->fields, l->counts.fields, e);
    if (!failed) failed = load_check_columns(l, &l->p->tags, l->counts.tags, e);
    return failed ? failed : load_check_tasks(l, e);
}

int load_finish(struct load *l, struct op *op, struct error *e) {
    if (!l->has_store) return load_bad(l, e, "the store is not described");
    int failed = load_complete(l, e);
    if (failed) return failed;
    *op = (struct op){.kind = OP_ADOPT, .now_ms = l->now_ms};
    op->adopt = (struct op_adopt){.n = l->n, .partitions = l->all, .last_lease = l->last_lease};
    l->n = 0;
    l->p = NULL;
    return 0;
}

void load_take_back(struct load *l, const struct op *op) {
    l->n = op->adopt.n;
}

static void extend_lease(struct lease *lease, int64_t ms) {
    if (lease->ends_ms < LEASE_NEVER - 1 - ms) lease->ends_ms += ms;
    lease->given_ms = lease->given_ms < OP_TIME_MAX - ms ? lease->given_ms + ms : OP_TIME_MAX;
}

void load_extend_leases(const struct op *op, int64_t ms) {
    if (ms <= 0) return; /* the clock was set back: they keep the end that they were given */
    for (size_t i = 0; i < op->adopt.n; i++)
        for (size_t t = 0; t < op->adopt.partitions[i]->n_tasks; t++) {
            const struct task *task = op->adopt.partitions[i]->tasks[t];
            for (struct lease *lease = lease_after(task, 0); lease;
                 lease = lease_after(task, lease->id))
                extend_lease(lease, ms);
        }
    for (size_t i = 0; i < op->adopt.n; i++) once_extend(op->adopt.partitions[i], ms);
}

/* ---- partitions: what is said of them ------------------------------------------------------ */

static bool load_has_name(const void *context, uint32_t at, struct span name) {
    return span_equal(((const struct load *)context)->all[at]->name, name);
}

static int load_make(struct load *l, struct unpack *u, struct error *e) {
    struct span name = unpack_span(u);
    uint64_t hash = hash_bytes(name);
    l->p = NULL;
    int failed = names_check_partition(name, e);
    if (failed) return failed;
    if (keyindex_find(&l->names, hash, name, load_has_name, l) != KEYINDEX_NONE)
        return load_bad(l, e, "partition %s comes twice", QUOTE(name));
    l->all = mem_grow(l->all, &l->capacity, l->n + 1, sizeof(*l->all));
    keyindex_add(&l->names, hash, (uint32_t)l->n);
    l->p = l->all[l->n++] = partition_new(name, l->arena);
    l->rows_end = l->groups_end = 0;
    scratch_reset(&l->counts_scratch);
    l->counts = (struct load_counts){0};
    return 0;
}

static int load_numbers(struct load *l, struct unpack *u, struct error *e) {
    struct partition *p = l->p;
    p->next_seq = unpack_varint(u);
    p->written = unpack_varint(u);
    l->counts.samples = unpack_varint(u);
    uint8_t flags = unpack_u8(u);
    p->has_expected = flags & SECTION_EXPECTED;
    p->sealed = flags & SECTION_SEALED;
    p->expected = unpack_varint(u);
    if (p->next_seq > PARTITION_SEQ_MAX || (uint32_t)p->next_seq == KEYINDEX_NONE ||
        p->written > p->next_seq || l->counts.samples > p->written)
        return load_bad(l, e, "%llu samples of %llu written, the next one would be %llu",
                        U(l->counts.samples), U(p->written), U(p->next_seq));
    if (flags & ~(SECTION_EXPECTED | SECTION_SEALED))
        return load_bad(l, e, "unknown flags %#x", flags);
    if (p->has_expected ? p->written > p->expected : p->expected)
        return load_bad(l, e, "%llu samples are expected, %llu were written", U(p->expected),
                        U(p->written));
    return 0;
}

static void load_reserve(struct load *l) {
    uint64_t n = l->counts.samples < l->room ? l->counts.samples : l->room;
    l->pages = keyindex_reserve(&l->p->index, n);
    l->pages_made = 0;
    l->room -= n;
}

void load_make_pages(struct load *l, size_t n) {
    size_t left = l->pages - l->pages_made;
    if (n > left) n = left;
    keyindex_make_pages(&l->p->index, l->pages_made, l->pages_made + n);
    l->pages_made += n;
}

bool load_prepare(struct load *l) {
    enum { PAGES = 256 }; /* about a millisecond */
    if (!l->p || l->pages_made == l->pages) return false;
    load_make_pages(l, PAGES);
    return true;
}

static int load_bounds(struct load *l, struct unpack *u, struct error *e) {
    struct bounds bounds = {.samples = unpack_varint(u)};
    bounds.bytes = unpack_varint(u);
    bounds.ahead = unpack_varint(u);
    bounds.ahead_task = unpack_optional(u);
    bounds.n_retire = unpack_count(u, 2);
    struct span *retire = scratch_alloc(&l->scratch, bounds.n_retire, sizeof(*retire));
    bounds.retire = retire;
    int failed = bounds.ahead_task.ptr ? names_check_word("task", bounds.ahead_task, e) : 0;
    if (!failed && bounds.ahead && !bounds.ahead_task.ptr)
        failed = load_bad(l, e, "MAXAHEAD is of no task");
    for (size_t i = 0; !failed && i < bounds.n_retire; i++) {
        retire[i] = unpack_span(u);
        failed = names_check_word("task", retire[i], e);
    }
    if (!failed) partition_bound(l->p, &bounds);
    return failed;
}

static int load_group_counts(struct load *l, struct unpack *u, struct error *e) {
    uint64_t size = unpack_varint(u);
    l->counts.groups = unpack_varint(u);
    if (size > GROUP_SIZE_MAX || !size != !l->counts.groups || l->counts.groups > l->counts.samples)
        return load_bad(l, e, "%llu groups of %llu samples", U(l->counts.groups), U(size));
    if (size) groups_own(&l->p->groups)->size = (uint32_t)size;
    return 0;
}

/* How many of these there are, each of which takes so many bytes. */
static int load_count(struct load *l, struct unpack *u, const char *what, size_t each, size_t most,
                      size_t *n, struct error *e) {
    *n = unpack_count(u, each);
    if (!u->bad && *n <= most) return 0;
    return load_bad(l, e, "more %s than the %zu it can have, or than the head has room for", what,
                    most);
}

static int load_add_column(struct load *l, struct column_set *set, const char *what,
                           struct span name, const struct dtype *type, struct error *e) {
    int failed = names_check_word(what, name, e);
    if (failed) return failed;
    if (column_set_find(set, name)) return load_bad(l, e, "two %ss %s", what, QUOTE(name));
    partition_add_column(l->p, set, name, type);
    return 0;
}

static int load_fields(struct load *l, struct unpack *u, struct error *e) {
    size_t n;
    int failed = load_count(l, u, "fields", 4, PARTITION_FIELDS_MAX, &n, e);
    l->counts.fields = scratch_alloc(&l->counts_scratch, n, sizeof(*l->counts.fields));
    for (size_t i = 0; !failed && i < n; i++) {
        struct dtype type;
        struct span name = unpack_span(u);
        failed = dtype_parse(unpack_span(u), &type, e);
        if (!failed) failed = load_add_column(l, &l->p->fields, "field", name, &type, e);
        uint8_t declared = unpack_u8(u);
        if (!failed && declared > 1) failed = load_bad(l, e, "field %s", QUOTE(name));
        if (!failed) l->p->fields.columns[i]->declared = declared;
        l->counts.fields[i] = unpack_varint(u);
    }
    return failed;
}

static int load_tags(struct load *l, struct unpack *u, struct error *e) {
    static const struct dtype bytes = {.base = DTYPE_BYTES};
    size_t n;
    int failed = load_count(l, u, "tags", 3, PARTITION_TAGS_MAX, &n, e);
    l->counts.tags = scratch_alloc(&l->counts_scratch, n, sizeof(*l->counts.tags));
    for (size_t i = 0; !failed && i < n; i++) {
        failed = load_add_column(l, &l->p->tags, "tag", unpack_span(u), &bytes, e);
        l->counts.tags[i] = unpack_varint(u);
    }
    return failed;
}

static int load_tasks(struct load *l, struct unpack *u, struct error *e) {
    size_t n;
    int failed = load_count(l, u, "tasks", 5, PARTITION_TASKS_MAX, &n, e);
    l->counts.tasks = scratch_alloc(&l->counts_scratch, n, sizeof(*l->counts.tasks));
    for (size_t i = 0; !failed && i < n; i++) {
        struct span name = unpack_span(u);
        failed = names_check_word("task", name, e);
        if (!failed && partition_task(l->p, name))
            failed = load_bad(l, e, "two tasks %s", QUOTE(name));
        if (!failed) partition_add_task(l->p, name);
        l->counts.tasks[i].consumed = unpack_varint(u);
        l->counts.tasks[i].leases = unpack_varint(u);
        l->counts.tasks[i].ranks = unpack_varint(u);
    }
    return failed;
}

static int load_indexes(struct load *l, struct unpack *u, struct error *e) {
    struct bounds bounds = *l->p->bounds;
    int failed = load_count(l, u, "indexes", 2, TAGINDEX_MAX, &bounds.n_indexes, e);
    if (failed) return failed;
    struct span *tags = scratch_alloc(&l->scratch, bounds.n_indexes, sizeof(*tags));
    struct tagindex_spec specs[TAGINDEX_MAX];
    for (size_t i = 0; !failed && i < bounds.n_indexes; i++) {
        tags[i] = unpack_span(u);
        failed = tagindex_parse(tags[i], &specs[i], e);
        for (size_t k = 0; !failed && k < i; k++)
            if (tagindex_spec_equal(&specs[k], &specs[i]))
                failed = load_bad(l, e, "two indexes of tag %s", QUOTE(tags[i]));
    }
    bounds.indexes = tags;
    if (!failed) partition_bound(l->p, &bounds);
    return failed;
}

static void load_remembered(struct load *l, struct unpack *u) {
    l->counts.has_remembered = true;
    for (size_t i = 0; i < l->p->n_tasks; i++) l->counts.tasks[i].done = unpack_varint(u);
    l->counts.ended = unpack_varint(u);
    l->counts.onces = unpack_varint(u);
}

static int load_partition(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_complete(l, e);
    if (!failed) failed = load_make(l, u, e);
    if (!failed) failed = load_numbers(l, u, e);
    if (!failed) failed = load_bounds(l, u, e);
    if (!failed) failed = load_group_counts(l, u, e);
    if (!failed) failed = load_fields(l, u, e);
    if (!failed) failed = load_tags(l, u, e);
    if (!failed) failed = load_tasks(l, u, e);
    if (!failed && !u->bad && unpack_left(u)) failed = load_indexes(l, u, e);
    l->counts.has_remembered = false;
    if (!failed && !u->bad && unpack_left(u)) load_remembered(l, u);
    if (!failed && (u->bad || unpack_left(u)))
        failed = load_bad(l, e, "its head has not the length it should have");
    if (!failed) load_reserve(l);
    return failed;
}

/* ---- what tasks remember ------------------------------------------------------------------- */

int load_find_task(struct load *l, struct unpack *u, struct task **out, struct error *e) {
    uint64_t task = unpack_varint(u);
    if (u->bad || task >= l->p->n_tasks)
        return load_bad(l, e, "a section is about task %llu of %u", U(task), l->p->n_tasks);
    if (l->p->samples != l->counts.samples)
        return load_bad(l, e, "task %s has leases or batches before all rows are there",
                        QUOTE(l->p->tasks[task]->name));
    *out = l->p->tasks[task];
    return 0;
}

int load_seqs(struct load *l, struct unpack *u, uint64_t **out, size_t *n, struct error *e) {
    uint64_t seq = 0;
    *n = unpack_count(u, 1);
    uint64_t *seqs = *out = scratch_alloc(&l->scratch, *n, sizeof(*seqs));
    for (size_t i = 0; i < *n; i++) {
        seqs[i] = seq += (uint64_t)unpack_signed(u);
        if (seq >= l->p->next_seq)
            return load_bad(l, e, "a task has row %llu, which was never given out", U(seq));
    }
    return u->bad ? load_bad(l, e, "a section's head is too short") : 0;
}

/* Those alive are leased, by this one only. */
static int load_lease_samples(struct load *l, struct task *task, const struct lease *lease,
                              struct error *e) {
    for (size_t i = 0; i < lease->n; i++) {
        uint64_t seq = lease->seqs[i];
        if (!partition_alive(l->p, seq)) continue;
        if (task_has_consumed(task, seq) || task_is_leased(task, seq))
            return load_bad(l, e, "task %s: sample %s of lease %llu is consumed or leased already",
                            QUOTE(task->name), QUOTE(partition_key(l->p, seq)), U(lease->id));
        task_lease(task, seq);
    }
    return 0;
}

static int load_lease(struct load *l, struct task *task, struct unpack *u, struct error *e) {
    struct lease lease = {.id = unpack_varint(u), .partition = l->p};
    lease.given_ms = unpack_signed(u);
    lease.ends_ms = unpack_signed(u);
    lease.holder = unpack_span(u);
    size_t n = task->n_lease_slots;
    uint64_t before = n ? task->lease_slots[n - 1].id : 0;
    int failed = load_seqs(l, u, &lease.seqs, &lease.n, e);
    if (failed) return failed;
    if (lease.id <= before || lease.id > l->last_lease)
        return load_bad(l, e, "task %s: lease %llu after %llu, the store's last is %llu",
                        QUOTE(task->name), U(lease.id), U(before), U(l->last_lease));
    if (lease.given_ms < 0 || lease.given_ms > OP_TIME_MAX || lease.ends_ms < 0 ||
        lease.ends_ms == LEASE_NEVER || !lease.n)
        return load_bad(l, e, "task %s: lease %llu of %zu samples from %lld to %lld",
                        QUOTE(task->name), U(lease.id), lease.n, (long long)lease.given_ms,
                        (long long)lease.ends_ms);
    lease_load(task, &lease);
    return load_lease_samples(l, task, &lease, e);
}

static int load_leases(struct load *l, struct unpack *u, struct error *e) {
    struct task *task;
    int failed = load_find_task(l, u, &task, e);
    while (!failed && unpack_left(u)) failed = load_lease(l, task, u, e);
    return failed;
}

/* Behind the leases of its task: one that goes on has no reply to a command that ended it. */
static int load_reply(struct load *l, struct unpack *u, struct error *e) {
    uint64_t task = unpack_varint(u);
    struct ended_reply reply = {.lease = unpack_varint(u)};
    reply.request = unpack_varint(u);
    reply.samples = unpack_varint(u);
    if (u->bad || task >= l->p->n_tasks)
        return load_bad(l, e, "a reply is about a lease of task %llu of %u", U(task),
                        l->p->n_tasks);
    reply.task = l->p->tasks[task];
    if (reply.lease < 1 || reply.lease > l->last_lease || reply.samples > PARTITION_SAMPLES_MAX ||
        l->p->ended->n == ENDED_MAX ||
        ended_find(l->p->ended, reply.task, reply.lease, reply.request) ||
        (reply.request < ENDED_KEYS_MIN && lease_find(reply.task, reply.lease)))
        return load_bad(l, e, "task %s: a reply about lease %llu makes no sense",
                        QUOTE(reply.task->name), U(reply.lease));
    ended_add(ended_own(&l->p->ended), &reply);
    return 0;
}

static int load_ended(struct load *l, struct unpack *u, struct error *e) {
    int failed = 0;
    while (!failed && unpack_left(u)) failed = load_reply(l, u, e);
    return failed;
}

/* A batch was either leased or consumed; only what was consumed is held. */
static bool load_once_is_right(const struct load *l, const struct once *entry) {
    if (entry->holder.len < 1 || entry->holder.len > ONCE_HOLDER_MAX ||
        l->p->onces->n == ONCE_MAX || once_find(l->p, entry->holder) ||
        entry->lease > l->last_lease || entry->held_until_ms < 0 ||
        entry->held_until_ms == LEASE_NEVER)
        return false;
    return entry->n ? !entry->lease : !entry->held_until_ms;
}

static int load_once(struct load *l, struct unpack *u, struct error *e) {
    uint64_t task = unpack_varint(u);
    struct once entry = {.holder = unpack_span(u)};
    entry.number = unpack_varint(u);
    entry.request.low = unpack_u64(u);
    entry.request.high = unpack_u64(u);
    entry.lease = unpack_varint(u);
    entry.held_until_ms = unpack_signed(u);
    int failed = load_seqs(l, u, &entry.seqs, &entry.n, e);
    if (failed) return failed;
    if (task >= l->p->n_tasks)
        return load_bad(l, e, "a batch of holder %s is of task %llu of %u", QUOTE(entry.holder),
                        U(task), l->p->n_tasks);
    entry.task = l->p->tasks[task];
    if (!load_once_is_right(l, &entry))
        return load_bad(l, e, "call %llu of holder %s comes twice or makes no sense",
                        U(entry.number), QUOTE(entry.holder));
    once_load(l->p, &entry);
    for (size_t i = 0; entry.held_until_ms && i < entry.n; i++)
        if (partition_alive(l->p, entry.seqs[i])) task_hold(entry.task, entry.seqs[i]);
    return 0;
}

static int load_onces(struct load *l, struct unpack *u, struct error *e) {
    int failed = 0;
    if (l->p->samples != l->counts.samples)
        return load_bad(l, e, "batches of holders come before all rows are there");
    while (!failed && unpack_left(u)) failed = load_once(l, u, e);
    return failed;
}

/* ---- sections ------------------------------------------------------------------------------ */

static const struct {
    int (*load)(struct load *l, struct unpack *u, struct error *e);
    bool has_payload;
} load_kinds[SECTION_KINDS] = {
    [SECTION_STORE] = {load_store, false},   [SECTION_PARTITION] = {load_partition, false},
    [SECTION_ROWS] = {load_rows, true},      [SECTION_GROUPS] = {load_groups, true},
    [SECTION_COLUMN] = {load_column, true},  [SECTION_CONSUMED] = {load_consumed, false},
    [SECTION_LEASES] = {load_leases, false}, [SECTION_RANKS] = {load_ranks, false},
    [SECTION_DONE] = {load_done, false},     [SECTION_ENDED] = {load_ended, false},
    [SECTION_ONCE] = {load_onces, false},
};

int load_room(const struct load *l, uint64_t payload_len, struct chunk **out, struct error *e) {
    *out = payload_len <= ARENA_CHUNK_MAX ? arena_take(l->arena, payload_len) : NULL;
    if (*out) return 0;
    return error_set(e, ERROR_OOM, "no memory for %llu bytes of payload", U(payload_len));
}

int load_section(struct load *l, unsigned kind, struct span head, struct chunk *chunk,
                 uint64_t payload_len, struct error *e) {
    struct unpack u = unpack_of(head);
    l->chunk = chunk;
    l->payload = span_of(chunk ? chunk->memory : "", payload_len);
    scratch_reset(&l->scratch);
    if (kind >= SECTION_KINDS || !load_kinds[kind].load)
        return load_bad(l, e, "unknown kind of section %u", kind);
    if (kind != SECTION_STORE && !l->has_store)
        return load_bad(l, e, "the store is not described before its partitions");
    if (kind > SECTION_PARTITION && !l->p)
        return load_bad(l, e, "a section of kind %u before any partition", kind);
    if (payload_len && !load_kinds[kind].has_payload)
        return load_bad(l, e, "a section of kind %u with a payload of %llu bytes", kind,
                        U(payload_len));
    return load_kinds[kind].load(l, &u, e);
}
