/* Which waiters an op is signalled to: see waiter.h. */
#include "server/server.h"
#include "server/waiter.h"
#include "store/store.h"

/* How many samples an op changed in a way that can let a waiter go. What makes room concerns every
 * writer; and in an ended partition any change can complete what a waiter needs. */
static uint64_t waiter_samples_of(const struct server *s, const struct op *op) {
    const struct partition *p = store_find(s->store, op->partition);
    if (!p || partition_is_ended(p)) return WAITER_ALL;
    switch (op->kind) {
    case OP_PUT: return op->put.n;
    case OP_EXPIRE:
    case OP_NACK: return op->select.n;
    case OP_SAMPLE:
    case OP_ACK:
    case OP_CONFIRM:
    case OP_EXTEND: return 0;
    default: return WAITER_ALL;
    }
}

/* Bounds and ends, samples that come back to any task, batches that other ranks wait for: heads that
 * count ops themselves (`filters`) have to try as well. */
static bool waiter_has_to_try(const struct op *op) {
    switch (op->kind) {
    case OP_SAMPLE: return op->select.rank.given;
    case OP_RESET:
    case OP_DEFINE:
    case OP_EXPECT:
    case OP_SEAL:
    case OP_DROP: return true;
    default: return false;
    }
}

void waiter_on_change(struct server *s, const struct op *op) {
    if (!waiter_count(s)) return;
    if (op->kind == OP_ADOPT)
        waiter_signal_all(s);
    else if (waiter_has_to_try(op))
        waiter_signal(s, op->partition);
    else
        waiter_signal_op(s, op, waiter_samples_of(s, op));
    if (op->kind == OP_CLEAR || op->kind == OP_DROP || op->kind == OP_ERASE)
        waiter_signal(s, WAITER_SERVER);
}
