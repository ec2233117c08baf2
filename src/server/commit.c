/* See commit.h. */
#include "server/commit.h"

#include "server/persistence.h"
#include "server/server.h"
#include "store/bounds.h"
#include "store/names.h"
#include "store/store.h"

/* How many samples the OP_CLEAR behind the op can name. The bounds that count are those that hold
 * once the op is applied. */
static uint64_t commit_retire_bound(struct server *s, const struct op *op,
                                    const struct commit_due *due) {
    if (!due || (!due->all && !due->n)) return 0;
    const struct partition *p = store_find(s->store, op->partition);
    if (op->kind == OP_DEFINE) return p && op->define.bounds->n_retire ? p->samples : 0;
    return retire_bound(p, due->all ? NULL : due->seqs, due->n, &s->scratch);
}

static void commit_retire(struct server *s, struct span partition, const struct commit_due *due) {
    struct op clear;
    const uint64_t *seqs = due->all ? NULL : due->seqs;
    if (!due->all && !due->n) return;
    if (retire_plan(s->store, partition, seqs, due->n, s->now_ms, &s->scratch, &clear))
        store_apply(s->store, &clear);
}

int commit_op(struct server *s, const struct op *op, const struct commit_due *due, size_t *changed,
              struct error *e) {
    int failed = persistence_admit(s, op, commit_retire_bound(s, op, due), e);
    if (failed) return failed;
    size_t n = store_apply(s->store, op);
    if (changed) *changed = n;
    if (due) commit_retire(s, op->partition, due);
    return 0;
}

int commit_drops(struct server *s, uint64_t most, bool (*next)(void *context, struct span *name),
                 void *context, size_t *dropped, struct error *e) {
    const uint64_t each = NAMES_PARTITION_MAX / PERSISTENCE_SAMPLE_BYTES + 2;
    struct op op = {.kind = OP_DROP, .partition = SPAN_LITERAL(""), .now_ms = s->now_ms};
    *dropped = 0;
    int failed = persistence_admit(s, &op, most * each, e);
    while (!failed && next(context, &op.partition))
        if (store_find(s->store, op.partition)) *dropped += store_apply(s->store, &op);
    return failed;
}
