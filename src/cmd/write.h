/* A write: planned, applied, answered; or parked until there is room. */
#ifndef TQ_CMD_WRITE_H
#define TQ_CMD_WRITE_H

#include "request/args.h"
#include "store/plan.h"
#include "store/store.h"

struct client;
struct reply;

/* What TQ.PUT and TQ.MPUT differ in. */
struct write_kind {
    const struct args_syntax *syntax;
    size_t block; /* the struct args_block is so many bytes into the request */
    /* *skipped: there is nothing to do. */
    int (*plan)(const struct store *s, const void *request, enum write_order order, int64_t now_ms,
                struct scratch *scratch, struct op *op, bool *skipped, struct error *e);
    /* Write the reply: so many samples are new (`op` NULL: it was skipped). */
    void (*reply)(struct reply *r, const void *request, const struct op *op, size_t made);
};

/* Run the client's command. With BLOCK, a write that bounds or memory do not admit for now waits, behind those that came
 * before it. */
void write_run(struct client *c, const struct write_kind *kind);

#endif
