/* See select.h. */
#include "store/select.h"

#include "store/ready.h"

static bool select_is_all(const struct select *select) {
    return !select->keys && select->where.n == 0;
}

static void select_keys(const struct select *select, const struct partition *p,
                        struct scratch *scratch, struct op_select *out) {
    struct where_bound where = where_bind(&select->where, p, scratch);
    uint64_t *seqs = scratch_alloc(scratch, select->n_keys, sizeof(*seqs));
    for (size_t i = 0; i < select->n_keys; i++) {
        uint64_t seq = partition_find(p, select->keys[i]);
        if (seq != SEQ_NONE && where_admits(&where, seq)) seqs[out->n++] = seq;
    }
    out->seqs = seqs;
}

/* False where the limit of evaluations was reached. */
static bool select_scan(const struct select *select, const struct partition *p,
                        struct scratch *scratch, struct op_select *out) {
    struct ready_query query = {
        .partition = p, .where = &select->where, .evaluations = select->evaluations};
    struct ready ready;
    ready_open(&ready, &query, scratch);
    uint64_t *seqs = scratch_alloc(scratch, ready_count(&ready), sizeof(*seqs));
    if (ready_is_cut(&ready)) return false;
    ready_open(&ready, &query, scratch);
    for (uint64_t seq; (seq = ready_next(&ready)) != SEQ_NONE;) seqs[out->n++] = seq;
    out->seqs = seqs;
    return true;
}

static bool select_resolve(const struct select *select, const struct partition *p,
                           struct scratch *scratch, struct op_select *out) {
    if (select_is_all(select))
        out->all = true;
    else if (select->keys)
        select_keys(select, p, scratch, out);
    else
        return select_scan(select, p, scratch, out);
    return true;
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
    if (!select_resolve(&clear->select, p, scratch, &op->select)) return CLEAR_SCAN;
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
