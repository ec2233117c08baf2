/* See dump.h. Heads are described in docs/format.md; load.c reads them. */
#include "store/dump.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/pack.h"

/* The section that is being made, and what is asked again and again on the way. */
struct dump {
    dump_sink *sink;
    void *context;
    struct error *e;
    const struct partition *p;
    struct pack head;
    struct span *runs;
    size_t n_runs, runs_capacity;
    uint64_t payload_len;
    uint32_t *lengths; /* of the rows of this section */
    size_t n_lengths, lengths_capacity;
    struct range alive, rows;
};

static int dump_emit(struct dump *d, enum section_kind kind) {
    const struct dump_section section = {
        .kind = kind,
        .head = pack_span_of(&d->head),
        .n_runs = d->n_runs,
        .runs = d->runs,
        .payload_len = d->payload_len,
    };
    int failed = d->sink(d->context, &section, d->e);
    pack_clear(&d->head);
    d->n_runs = d->n_lengths = 0;
    d->payload_len = 0;
    return failed;
}

/* Bytes that lie behind those before are one run with them. */
static void dump_add_payload(struct dump *d, struct span bytes) {
    d->lengths = mem_grow(d->lengths, &d->lengths_capacity, d->n_lengths + 1, sizeof(*d->lengths));
    d->lengths[d->n_lengths++] = (uint32_t)bytes.len;
    d->payload_len += bytes.len;
    if (!bytes.len) return;
    struct span *last = d->n_runs ? &d->runs[d->n_runs - 1] : NULL;
    if (last && last->ptr + last->len == bytes.ptr) {
        last->len += bytes.len;
        return;
    }
    d->runs = mem_grow(d->runs, &d->runs_capacity, d->n_runs + 1, sizeof(*d->runs));
    d->runs[d->n_runs++] = bytes;
}

static bool dump_is_full(const struct dump *d, size_t more) {
    return d->n_lengths && d->payload_len + more > SECTION_PAYLOAD;
}

/* ---- parts of heads ----------------------------------------------------------------------- */

/* Rows from `first` to `end` - 1 of those meant; `whole` says which of them go without saying, NULL: all. */
static void dump_rows(struct dump *d, size_t first, size_t end, const struct range *whole) {
    uint64_t differ = 0;
    pack_varint(&d->head, d->rows.base + first);
    pack_varint(&d->head, end - first);
    for (size_t w = first / 64; w <= (end - 1) / 64; w++)
        differ |=
            ((whole ? whole->bits[w] : ~UINT64_C(0)) ^ d->rows.bits[w]) & range_mask(w, first, end);
    pack_u8(&d->head, differ ? SECTION_SET_BITS : SECTION_SET_ALL);
    for (size_t w = first / 64; differ && w <= (end - 1) / 64; w++)
        pack_u64(&d->head, d->rows.bits[w] & range_mask(w, first, end));
}

static void dump_lengths(struct dump *d) {
    size_t same = 1;
    while (same < d->n_lengths && d->lengths[same] == d->lengths[0]) same++;
    pack_u8(&d->head, same >= d->n_lengths ? SECTION_LENGTHS_SAME : SECTION_LENGTHS_EACH);
    size_t n = same >= d->n_lengths ? 1 : d->n_lengths;
    for (size_t i = 0; i < n; i++) pack_varint(&d->head, d->lengths[i]);
}

static void dump_seqs(struct dump *d, const uint64_t *seqs, size_t n) {
    uint64_t before = 0;
    pack_varint(&d->head, n);
    for (size_t i = 0; i < n; i++) {
        pack_signed(&d->head, (int64_t)(seqs[i] - before));
        before = seqs[i];
    }
}

/* ---- the partition as a whole ------------------------------------------------------------- */

static void dump_bounds(struct dump *d, const struct bounds *bounds) {
    pack_varint(&d->head, bounds->samples);
    pack_varint(&d->head, bounds->bytes);
    pack_varint(&d->head, bounds->ahead);
    pack_optional(&d->head, bounds->ahead_task);
    pack_varint(&d->head, bounds->n_retire);
    for (size_t i = 0; i < bounds->n_retire; i++) pack_span(&d->head, bounds->retire[i]);
}

static void dump_fields(struct dump *d) {
    pack_varint(&d->head, d->p->fields.count);
    for (size_t i = 0; i < d->p->fields.count; i++) {
        const struct column *c = d->p->fields.columns[i];
        pack_span(&d->head, column_name(c));
        pack_span(&d->head, span_of_string(DTYPE_NAME(column_type(c))));
        pack_u8(&d->head, c->declared);
        pack_varint(&d->head, c->produced);
    }
    pack_varint(&d->head, d->p->tags.count);
    for (size_t i = 0; i < d->p->tags.count; i++) {
        pack_span(&d->head, column_name(d->p->tags.columns[i]));
        pack_varint(&d->head, d->p->tags.columns[i]->produced);
    }
}

static void dump_tasks(struct dump *d) {
    pack_varint(&d->head, d->p->n_tasks);
    for (size_t i = 0; i < d->p->n_tasks; i++) {
        const struct task *t = d->p->tasks[i];
        pack_span(&d->head, t->name);
        pack_varint(&d->head, t->consumed);
        pack_varint(&d->head, t->n_leases);
        pack_varint(&d->head, t->ranks.n);
    }
}

static void dump_indexes(struct dump *d, const struct bounds *bounds) {
    pack_varint(&d->head, bounds->n_indexes);
    for (size_t i = 0; i < bounds->n_indexes; i++) pack_span(&d->head, bounds->indexes[i]);
}

/* How much of DONE, ENDED and ONCE follows. */
static void dump_remembered(struct dump *d) {
    const struct partition *p = d->p;
    for (size_t i = 0; i < p->n_tasks; i++) pack_varint(&d->head, p->tasks[i]->ranks.n_done);
    pack_varint(&d->head, p->ended->n);
    pack_varint(&d->head, p->onces->n);
}

static int dump_whole(struct dump *d) {
    const struct partition *p = d->p;
    pack_span(&d->head, p->name);
    pack_varint(&d->head, p->next_seq);
    pack_varint(&d->head, p->written);
    pack_varint(&d->head, p->samples);
    pack_u8(&d->head,
            (uint8_t)((p->has_expected ? SECTION_EXPECTED : 0) | (p->sealed ? SECTION_SEALED : 0)));
    pack_varint(&d->head, p->has_expected ? p->expected : 0);
    dump_bounds(d, p->bounds);
    pack_varint(&d->head, p->groups->size);
    pack_varint(&d->head, p->groups->count);
    dump_fields(d);
    dump_tasks(d);
    dump_indexes(d, p->bounds);
    dump_remembered(d);
    return dump_emit(d, SECTION_PARTITION);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Equal ones in a row once, as the difference to those before. */
static void dump_written(struct dump *d, size_t first, size_t end) {
    uint32_t before = 0, now = 0;
    size_t run = 0;
    for (size_t row = range_next(&d->rows, first); row < end; row = range_next(&d->rows, row + 1)) {
        uint32_t written = partition_written(d->p, d->rows.base + row);
        if (run && written != now) {
            pack_varint(&d->head, run);
            pack_signed(&d->head, (int64_t)now - before);
            before = now;
            run = 0;
        }
        now = written;
        run++;
    }
    pack_varint(&d->head, run);
    pack_signed(&d->head, (int64_t)now - before);
}

/* The section of rows from `first` on; sets *next to the first row not in it. */
static int dump_section_of_rows(struct dump *d, size_t first, size_t *next) {
    size_t row = first, end = first;
    for (; row < RANGE_ROWS; row = range_next(&d->rows, row + 1)) {
        struct span key = partition_key(d->p, d->rows.base + row);
        if (dump_is_full(d, key.len)) break;
        dump_add_payload(d, key);
        end = row + 1;
    }
    dump_rows(d, first, end, NULL);
    dump_written(d, first, end);
    dump_lengths(d);
    *next = row;
    return dump_emit(d, SECTION_ROWS);
}

/* ---- cells -------------------------------------------------------------------------------- */

static void dump_sizes(struct dump *d, const struct column *c, size_t first, size_t end) {
    const struct dtype *type = column_type(c);
    if (!column_sizes_kept(type)) return;
    for (size_t row = range_next(&d->rows, first); row < end; row = range_next(&d->rows, row + 1)) {
        struct dtype item = column_item_type(c, d->rows.base + row);
        for (unsigned i = 0; i < type->dimensions; i++)
            if (type->shape[i] == DTYPE_STAR) pack_varint(&d->head, item.shape[i]);
    }
}

static int dump_section_of_cells(struct dump *d, bool tag, size_t at, size_t first, size_t *next) {
    const struct column *c = (tag ? d->p->tags : d->p->fields).columns[at];
    size_t row = first, end = first;
    for (; row < RANGE_ROWS; row = range_next(&d->rows, row + 1)) {
        struct span value = {NULL, 0};
        column_get(c, d->rows.base + row, &value);
        if (dump_is_full(d, value.len)) break;
        dump_add_payload(d, value);
        end = row + 1;
    }
    pack_u8(&d->head, tag);
    pack_varint(&d->head, at);
    dump_rows(d, first, end, &d->alive);
    dump_lengths(d);
    dump_sizes(d, c, first, end);
    *next = row;
    return dump_emit(d, SECTION_COLUMN);
}

static int dump_cells(struct dump *d, bool tag, size_t at) {
    const struct column_set *set = tag ? &d->p->tags : &d->p->fields;
    if (!range_of_cells(&d->rows, set->columns[at], d->alive.base)) return 0;
    int failed = 0;
    for (size_t row = range_next(&d->rows, 0); !failed && row < RANGE_ROWS;)
        failed = dump_section_of_cells(d, tag, at, row, &row);
    return failed;
}

/* ---- groups ------------------------------------------------------------------------------- */

/* Groups in the order in which the rows of a section name them. */
struct dump_groups {
    uint32_t *table; /* their numbers */
    size_t n, capacity;
    struct keyindex index; /* number → place in the table */
    struct pack members;   /* for each row: 0, or its group's place + 1 */
};

static bool is_group(const void *context, uint32_t at, struct span number) {
    const struct dump_groups *groups = context;
    return span_equal(span_of(&groups->table[at], sizeof(groups->table[at])), number);
}

/* Where the group is in the table, `n` where it is not. */
static size_t dump_find_group(const struct dump_groups *groups, uint32_t number) {
    if (groups->n && groups->table[groups->n - 1] == number) return groups->n - 1;
    struct span name = span_of(&number, sizeof(number));
    uint32_t at = keyindex_find(&groups->index, hash_bytes(name), name, is_group, groups);
    return at == KEYINDEX_NONE ? groups->n : at;
}

static void dump_add_group(struct dump *d, struct dump_groups *groups, uint32_t number) {
    struct span name = span_of(&number, sizeof(number));
    groups->table =
        mem_grow(groups->table, &groups->capacity, groups->n + 1, sizeof(*groups->table));
    groups->table[groups->n] = number;
    keyindex_add(&groups->index, hash_bytes(name), (uint32_t)groups->n++);
    dump_add_payload(d, groups_get(d->p->groups, number)->id);
}

/* One row; false where its group does not fit any more. */
static bool dump_member(struct dump *d, struct dump_groups *groups, uint32_t number) {
    if (number == GROUP_NONE) {
        pack_varint(&groups->members, 0);
        return true;
    }
    size_t at = dump_find_group(groups, number);
    if (at == groups->n) {
        if (dump_is_full(d, groups_get(d->p->groups, number)->id.len)) return false;
        dump_add_group(d, groups, number);
    }
    pack_varint(&groups->members, at + 1);
    return true;
}

/* From `first`, a row in a group, to the last such row that fits; sets *next to the first row in a group behind it. */
static int dump_section_of_groups(struct dump *d, size_t first, size_t *next) {
    struct dump_groups groups = {0};
    size_t row = first, end = first, members_len = 0;
    for (; row < RANGE_ROWS; row = range_next(&d->rows, row + 1)) {
        uint32_t number = partition_group(d->p, d->rows.base + row);
        if (!dump_member(d, &groups, number)) break;
        if (number == GROUP_NONE) continue;
        end = row + 1;
        members_len = groups.members.len;
    }
    pack_varint(&d->head, d->rows.base + first);
    pack_varint(&d->head, end - first);
    pack_varint(&d->head, groups.n);
    for (size_t i = 0; i < groups.n; i++) {
        pack_varint(&d->head, d->lengths[i]);
        pack_u8(&d->head, groups_get(d->p->groups, groups.table[i])->broken);
    }
    pack_bytes(&d->head, span_of(groups.members.bytes, members_len));
    pack_free(&groups.members);
    keyindex_free(&groups.index);
    mem_free(groups.table);
    *next = row;
    return dump_emit(d, SECTION_GROUPS);
}

/* The first row from `row` on that is in a group. */
static size_t dump_next_member(const struct dump *d, size_t row) {
    row = range_next(&d->rows, row);
    while (row < RANGE_ROWS && partition_group(d->p, d->rows.base + row) == GROUP_NONE)
        row = range_next(&d->rows, row + 1);
    return row;
}

static int dump_groups(struct dump *d) {
    int failed = 0;
    if (!d->p->groups->count) return 0;
    for (size_t row = 0; !failed && (row = dump_next_member(d, row)) < RANGE_ROWS;)
        failed = dump_section_of_groups(d, row, &row);
    return failed;
}

/* ---- tasks -------------------------------------------------------------------------------- */

static int dump_consumed(struct dump *d, size_t task) {
    if (!range_of_consumed(&d->rows, d->p->tasks[task], d->alive.base)) return 0;
    size_t first = range_next(&d->rows, 0), end = first;
    for (size_t row = first; row < RANGE_ROWS; row = range_next(&d->rows, row + 1)) end = row + 1;
    pack_varint(&d->head, task);
    dump_rows(d, first, end, &d->alive);
    return dump_emit(d, SECTION_CONSUMED);
}

/* Leases and batches: the task's index comes first, and there are as many as the head holds. */
static int dump_leases(struct dump *d, size_t task) {
    const struct task *t = d->p->tasks[task];
    int failed = 0;
    const struct lease *lease = lease_after(t, 0);
    while (!failed && lease) {
        pack_varint(&d->head, task);
        do {
            pack_varint(&d->head, lease->id);
            pack_signed(&d->head, lease->given_ms);
            pack_signed(&d->head, lease->ends_ms);
            pack_span(&d->head, lease->holder);
            dump_seqs(d, lease->seqs, lease->n);
            lease = lease_after(t, lease->id);
        } while (lease && d->head.len < SECTION_HEAD);
        failed = dump_emit(d, SECTION_LEASES);
    }
    return failed;
}

/* Has the batch the block of the one before it, and the same fingerprint? */
static bool dump_shares_fingerprint(const struct rank_at *before, const struct rank_at *at) {
    if (before->batch_number != at->batch_number ||
        before->rank / RANK_BLOCK != at->rank / RANK_BLOCK)
        return false;
    return before->batch->decision == at->batch->decision ||
           span_equal(rank_batch_fingerprint(before->batch), rank_batch_fingerprint(at->batch));
}

static void dump_batch(struct dump *d, const struct rank_at *at, bool shared) {
    pack_varint(&d->head, at->rank);
    pack_varint(&d->head, at->batch_number);
    pack_u8(&d->head, (uint8_t)((at->batch->delivered ? SECTION_RANK_DELIVERED : 0) |
                                (shared ? SECTION_RANK_SHARED : 0)));
    if (!shared) pack_span(&d->head, rank_batch_fingerprint(at->batch));
    dump_seqs(d, at->batch->seqs, at->batch->n);
}

static int dump_ranks(struct dump *d, size_t task) {
    const struct ranks *ranks = &d->p->tasks[task]->ranks;
    int failed = 0;
    struct rank_at at = {0};
    bool more = ranks_next(ranks, &at);
    while (!failed && more) {
        struct rank_at before;
        bool shared = false; /* a section begins with a fingerprint */
        pack_varint(&d->head, task);
        do {
            dump_batch(d, &at, shared);
            before = at;
            more = ranks_next(ranks, &at);
            shared = more && dump_shares_fingerprint(&before, &at);
        } while (more && d->head.len < SECTION_HEAD);
        failed = dump_emit(d, SECTION_RANKS);
    }
    return failed;
}

/* Before the batches: a batch that is not done holds its samples. */
static int dump_done(struct dump *d, size_t task) {
    const struct ranks *ranks = &d->p->tasks[task]->ranks;
    int failed = 0;
    for (size_t i = 0; !failed && i < ranks->n_done;) {
        pack_varint(&d->head, task);
        do {
            const struct rank_done *done = &ranks->done[i++];
            pack_varint(&d->head, done->rank);
            pack_varint(&d->head, done->batch);
        } while (i < ranks->n_done && d->head.len < SECTION_HEAD);
        failed = dump_emit(d, SECTION_DONE);
    }
    return failed;
}

static size_t dump_task_index(const struct dump *d, const struct task *task) {
    size_t at = 0;
    while (d->p->tasks[at] != task) at++;
    return at;
}

static int dump_ended(struct dump *d) {
    const struct ended *ended = d->p->ended;
    int failed = 0;
    for (size_t i = 0; !failed && i < ended->n;) {
        do {
            const struct ended_reply *reply = ended_at(ended, i++);
            pack_varint(&d->head, dump_task_index(d, reply->task));
            pack_varint(&d->head, reply->lease);
            pack_varint(&d->head, reply->request);
            pack_varint(&d->head, reply->samples);
        } while (i < ended->n && d->head.len < SECTION_HEAD);
        failed = dump_emit(d, SECTION_ENDED);
    }
    return failed;
}

static int dump_onces(struct dump *d) {
    const struct once *entry = d->p->onces->n ? TAILQ_FIRST(&d->p->onces->order) : NULL;
    int failed = 0;
    while (!failed && entry) {
        do {
            pack_varint(&d->head, dump_task_index(d, entry->task));
            pack_span(&d->head, entry->holder);
            pack_varint(&d->head, entry->number);
            pack_u64(&d->head, entry->request.low);
            pack_u64(&d->head, entry->request.high);
            pack_varint(&d->head, entry->lease);
            pack_signed(&d->head, entry->held_until_ms);
            dump_seqs(d, entry->seqs, entry->n);
            entry = TAILQ_NEXT(entry, order);
        } while (entry && d->head.len < SECTION_HEAD);
        failed = dump_emit(d, SECTION_ONCE);
    }
    return failed;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static int dump_range(struct dump *d) {
    int failed = 0;
    d->rows = d->alive;
    for (size_t row = range_next(&d->rows, 0); !failed && row < RANGE_ROWS;)
        failed = dump_section_of_rows(d, row, &row);
    if (!failed) failed = dump_groups(d);
    for (size_t i = 0; !failed && i < d->p->tags.count; i++) failed = dump_cells(d, true, i);
    for (size_t i = 0; !failed && i < d->p->fields.count; i++) failed = dump_cells(d, false, i);
    for (size_t i = 0; !failed && i < d->p->n_tasks; i++) failed = dump_consumed(d, i);
    return failed;
}

static int dump_all(struct dump *d) {
    int failed = dump_whole(d);
    for (uint64_t seq = 0; !failed && (seq = partition_next(d->p, seq)) != SEQ_NONE;
         seq = d->alive.base + RANGE_ROWS) {
        range_of_alive(&d->alive, d->p, range_base(seq));
        failed = dump_range(d);
    }
    for (size_t i = 0; !failed && i < d->p->n_tasks; i++) failed = dump_leases(d, i);
    for (size_t i = 0; !failed && i < d->p->n_tasks; i++) failed = dump_done(d, i);
    for (size_t i = 0; !failed && i < d->p->n_tasks; i++) failed = dump_ranks(d, i);
    if (!failed) failed = dump_ended(d);
    return failed ? failed : dump_onces(d);
}

static void dump_free(struct dump *d) {
    pack_free(&d->head);
    mem_free(d->runs);
    mem_free(d->lengths);
    mem_free(d);
}

static struct dump *dump_new(dump_sink *sink, void *context, struct error *e) {
    struct dump *d = mem_calloc(1, sizeof(*d));
    d->sink = sink;
    d->context = context;
    d->e = e;
    return d;
}

int dump_partition(const struct partition *p, dump_sink *sink, void *context, struct error *e) {
    struct dump *d = dump_new(sink, context, e);
    d->p = p;
    int failed = dump_all(d);
    dump_free(d);
    return failed;
}

int dump_begin(const struct store *s, int64_t now_ms, dump_sink *sink, void *context,
               struct error *e) {
    struct dump *d = dump_new(sink, context, e);
    pack_varint(&d->head, store_leases(s)->last_id);
    pack_signed(&d->head, now_ms);
    int failed = dump_emit(d, SECTION_STORE);
    dump_free(d);
    return failed;
}
