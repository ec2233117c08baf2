/* See select.h. */
#include "store/select.h"

#include "base/hash.h"
#include "store/ready.h"

static bool select_is_all(const struct select *select) {
    return !select->keys && select->where.n == 0;
}

static void select_keys(const struct select *select, const struct partition *p,
                        struct scratch *scratch, struct op_select *out) {
    struct where_bound where = where_bind(&select->where, p, scratch);
    uint64_t *seqs = scratch_alloc(scratch, select->n_keys, sizeof(*seqs));
    uint64_t hashes[PARTITION_TOGETHER];
    for (size_t i = 0, n; i < select->n_keys; i += n) {
        n = select->n_keys - i < PARTITION_TOGETHER ? select->n_keys - i : PARTITION_TOGETHER;
        for (size_t k = 0; k < n; k++) hashes[k] = hash_bytes(select->keys[i + k]);
        keyindex_prefetch(&p->index, hashes, n);
        for (size_t k = 0; k < n; k++) {
            uint64_t seq = partition_find_hashed(p, select->keys[i + k], hashes[k]);
            if (seq != SEQ_NONE && where_admits(&where, seq)) seqs[out->n++] = seq;
        }
    }
    out->seqs = seqs;
}

static void select_scan(const struct select *select, const struct partition *p,
                        struct scratch *scratch, struct op_select *out) {
    struct ready_query query = {.partition = p, .where = &select->where};
    struct ready ready;
    ready_open(&ready, &query, scratch);
    uint64_t *seqs = scratch_alloc(scratch, ready_count(&ready), sizeof(*seqs));
    ready_open(&ready, &query, scratch);
    for (uint64_t seq; (seq = ready_next(&ready)) != SEQ_NONE;) seqs[out->n++] = seq;
    out->seqs = seqs;
}

/* With so many conditions a block of the match set may cost more than a slice has: samples are
 * evaluated one by one, and a slice may end behind any of them. */
static void select_slice_one_by_one(const struct select *select, const struct partition *p,
                                    struct scratch *scratch, struct op_select *out) {
    struct select_slice *slice = select->slice;
    struct where_bound where = where_bind(&select->where, p, scratch);
    size_t room = slice->samples < p->samples ? slice->samples : p->samples;
    uint64_t *seqs = scratch_alloc(scratch, room, sizeof(*seqs));
    uint64_t seq = p->samples ? slice->from : slice->end, first = p->rows.first * BLOCK_ROWS;
    if (seq < first) seq = first;
    for (uint64_t looked_at = 0; seq < slice->end && out->n < room; seq++, looked_at++) {
        if (looked_at + *where.cost >= slice->evaluations) break;
        if (partition_alive(p, seq) && where_admits(&where, seq)) seqs[out->n++] = seq;
    }
    slice->from = seq < slice->end ? seq : slice->end;
    slice->more = slice->from < slice->end;
    out->seqs = seqs;
}

static void select_slice(const struct select *select, const struct partition *p,
                         struct scratch *scratch, struct op_select *out) {
    enum { CONDITIONS = 16 };
    struct select_slice *slice = select->slice;
    if (select->where.n > CONDITIONS) {
        select_slice_one_by_one(select, p, scratch, out);
        return;
    }
    struct ready_query query = {.partition = p,
                                .where = &select->where,
                                .first = block_number(slice->from),
                                .evaluations = slice->evaluations,
                                .whole_blocks = true}; /* so that each slice gets on */
    size_t room = slice->samples < p->samples ? slice->samples : p->samples;
    uint64_t *seqs = scratch_alloc(scratch, room, sizeof(*seqs)), seq;
    struct ready ready;
    ready_open(&ready, &query, scratch);
    while ((seq = ready_next(&ready)) < slice->end && out->n < room)
        if (seq >= slice->from) seqs[out->n++] = seq;
    uint64_t cut = ready.limit->cut_at * BLOCK_ROWS; /* of the block that holds `from`, maybe */
    if (cut < slice->from) cut = slice->from;
    if (seq < slice->end)
        slice->from = seq; /* there was no room for it */
    else
        slice->from = ready_is_cut(&ready) && cut < slice->end ? cut : slice->end;
    slice->more = slice->from < slice->end;
    out->seqs = seqs;
}

static void select_resolve(const struct select *select, const struct partition *p,
                           struct scratch *scratch, struct op_select *out) {
    if (select->keys)
        select_keys(select, p, scratch, out);
    else if (select->slice)
        select_slice(select, p, scratch, out);
    else if (select_is_all(select))
        out->all = true;
    else
        select_scan(select, p, scratch, out);
}

enum clear_outcome clear_plan(const struct store *s, const struct clear *clear, int64_t now_ms,
                              struct scratch *scratch, struct op *op) {
    const struct partition *p = store_find(s, clear->select.partition);
    if (!p) return CLEAR_NOTHING;
    *op = (struct op){.kind = OP_ERASE, .partition = clear->select.partition, .now_ms = now_ms};
    if (clear->what == SELECT_SAMPLES) {
        op->kind = select_is_all(&clear->select) ? OP_DROP : OP_CLEAR;
        if (op->kind == OP_DROP) return CLEAR_OP;
    }
    select_resolve(&clear->select, p, scratch, &op->select);
    op->select.tags = clear->what == SELECT_TAGS;
    op->select.n_names = clear->n_names;
    op->select.names = clear->names;
    return op->select.all || op->select.n > 0 ? CLEAR_OP : CLEAR_NOTHING;
}

int reset_plan(const struct store *s, const struct reset *reset, int64_t now_ms,
               struct scratch *scratch, struct op *op, struct error *e) {
    const struct partition *p = store_find(s, reset->select.partition);
    if (!p) return error_set(e, ERROR_NOPART, "no partition %s", QUOTE(reset->select.partition));
    *op = (struct op){.kind = OP_RESET, .partition = reset->select.partition, .now_ms = now_ms};
    select_resolve(&reset->select, p, scratch, &op->select);
    op->select.task = reset->task;
    return 0;
}
