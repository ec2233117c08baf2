/* Samples that every task of RETIRE has had are cleared, by an op of its own behind the one that consumed the last. */
#ifndef TQ_CMD_RETIRE_H
#define TQ_CMD_RETIRE_H

#include "server/server.h"
#include "store/bounds.h"

/* `seqs` were consumed just now (NULL: whoever was). */
static inline void retire_consumed(struct server *s, struct span partition, const uint64_t *seqs,
                                   size_t n) {
    struct op op;
    if (retire_plan(s->store, partition, seqs, n, s->now_ms, &s->scratch, &op))
        store_apply(s->store, &op);
}

#endif
