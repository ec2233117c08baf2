/* Samples that every task of RETIRE has had are cleared, by an op of its own behind the one that
 * consumed the last. */
#ifndef TQ_SERVER_RETIRE_H
#define TQ_SERVER_RETIRE_H

#include "server/server.h"
#include "store/bounds.h"

/* Room in the log for the op and for the OP_CLEAR that retire_consumed applies behind it. `seqs` as
 * there. */
static inline int retire_admit(struct server *s, const struct op *op, const uint64_t *seqs,
                               size_t n, struct error *e) {
    const struct partition *p = store_find(s->store, op->partition);
    return persistence_admit(s, op, retire_bound(p, seqs, n, &s->scratch), e);
}

/* `seqs` were consumed just now (NULL: whoever was). */
static inline void retire_consumed(struct server *s, struct span partition, const uint64_t *seqs,
                                   size_t n) {
    struct op op;
    if (retire_plan(s->store, partition, seqs, n, s->now_ms, &s->scratch, &op))
        store_apply(s->store, &op);
}

#endif
