/* A log of ops that anyone may have written.
 *
 * An input is a list of ops, each behind its length (varint); a length that is wrong ends it. Each is decoded and checked, and applied where
 * it passes; what was applied is encoded from the store and has to come out as an op that encodes to the same. In the end
 * everything is dropped and all payload has to be back. The store stays from one input to the next: to map its memory takes
 * longer than to fill it. Ids of leases go on and on in it, so those of an input count from where it begins. */
#include <stdint.h>

#include "../unit/kit/fail.h"
#include "../unit/kit/replay.h"
#include "../unit/kit/source.h"
#include "../unit/kit/store.h"
#include "store/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct kit kit;
    struct opcodec_out out;
    struct pack bytes, again;
    struct scratch scratch, other;
    uint64_t last_lease; /* before this input */
};

/* The store has applied it; behind that, what can be said of it in bytes is said in one way only. */
static void encode_there_and_back(void *context, const struct op *op) {
    struct fuzz *f = context;
    struct op copy;
    struct error e = {0};
    pack_clear(&f->bytes);
    opcodec_encode(f->kit.store, op, &f->out);
    replay_flatten(&f->out, &f->bytes);
    opcodec_out_clear(&f->out);
    EXPECT(f->bytes.len <= opcodec_bound(op), "kind %d is within its bound", (int)op->kind);
    struct unpack in = unpack_of(pack_span_of(&f->bytes));
    scratch_reset(&f->other);
    int failed = opcodec_decode(f->kit.store, &in, &f->other, &copy, &e);
    /* What is cleared does not count any more: then seqs may be more than there are samples. */
    if (failed && op->kind == OP_CLEAR) return;
    EXPECT(!failed && unpack_left(&in) == 0, "kind %d: %s", (int)op->kind, e.text);
    if (op->kind == OP_DROP) return;
    pack_clear(&f->again);
    opcodec_encode(f->kit.store, &copy, &f->out);
    replay_flatten(&f->out, &f->again);
    opcodec_out_clear(&f->out);
    EXPECT(span_equal(pack_span_of(&f->bytes), pack_span_of(&f->again)), "kind %d", (int)op->kind);
}

static void run_op(struct fuzz *f, struct span bytes) {
    struct op op;
    struct error e = {0};
    struct unpack in = unpack_of(bytes);
    scratch_reset(&f->scratch);
    int failed = opcodec_decode(f->kit.store, &in, &f->scratch, &op, &e);
    if (!failed && (op.kind <= OP_ERASE || op.kind == OP_NACK) && op.kind != OP_PUT &&
        op.select.lease.id)
        op.select.lease.id += f->last_lease;
    if (!failed) failed = op_check(f->kit.store, &op, &f->scratch, &e);
    if (failed)
        EXPECT(e.code == (enum error_code)failed && e.text[0], "an error says what it is");
    else
        store_apply(f->kit.store, &op);
}

/* What readers rely on. */
static void look(const struct store *s) {
    struct store_stats stats;
    store_stats(s, &stats);
    kit_dump_free(kit_dump(s));
    uint64_t cursor = 0, leases = 0;
    for (struct partition *p; (p = store_next(s, &cursor));)
        for (size_t t = 0; t < p->n_tasks; t++) {
            const struct task *task = p->tasks[t];
            uint64_t held = 0;
            for (const struct lease *l = lease_after(task, 0); l; l = lease_after(task, l->id))
                held += lease_samples(l);
            EXPECT(held == task->leased, "a sample is in one lease at most");
            EXPECT(task->consumed + task->leased <= p->samples, "no sample counts twice");
            leases += task->n_leases;
        }
    EXPECT(leases == store_leases(s)->count, "leases are those of tasks");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct fuzz f;
    if (!f.kit.store) kit_open(&f.kit);
    f.last_lease = store_leases(f.kit.store)->last_id;
    store_on_change(f.kit.store, encode_there_and_back, &f);
    struct unpack in = unpack_of(span_of(data, size));
    while (unpack_left(&in)) {
        struct span op = unpack_span(&in);
        if (!in.bad) run_op(&f, op);
    }
    look(f.kit.store);
    store_on_change(f.kit.store, NULL, NULL);
    kit_empty(&f.kit);
    EXPECT(store_leases(f.kit.store)->count == 0, "no lease is left");
    return 0;
}

/* ---- mutations ---------------------------------------------------------------------------- */

/* libFuzzer's own; not there where inputs are only replayed. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { OPS_MAX = 256, OP_BYTES_MAX = 4096 };

static size_t split(struct span bytes, struct span ops[OPS_MAX]) {
    struct unpack in = unpack_of(bytes);
    size_t n = 0;
    while (n < OPS_MAX && unpack_left(&in)) {
        ops[n] = unpack_span(&in);
        n += !in.bad;
    }
    return n;
}

/* Most bytes that change at random make a length wrong, and nothing behind it is read. So mostly one op is changed, with a
 * length that is right again, or ops are left out, repeated, exchanged. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    static struct pack out;
    static uint8_t changed[OP_BYTES_MAX];
    struct span ops[OPS_MAX + 1];
    struct source source = source_of_seed(seed);
    size_t n = split(span_of(data, size), ops);
    if (n == 0 || source_once_in(&source, 16)) return LLVMFuzzerMutate(data, size, max_size);
    size_t at = source_below(&source, n), other = source_below(&source, n);
    uint64_t how = source_below(&source, 8);
    struct span chosen = ops[at];
    if (how == 0) { /* left out */
        memmove(&ops[at], &ops[at + 1], (--n - at) * sizeof(*ops));
    } else if (how == 1) { /* repeated */
        ops[n++] = chosen;
    } else if (how == 2) { /* exchanged */
        ops[at] = ops[other];
        ops[other] = chosen;
    } else if (chosen.len <= OP_BYTES_MAX) {
        memcpy(changed, chosen.ptr, chosen.len);
        ops[at] = span_of(changed, LLVMFuzzerMutate(changed, chosen.len, OP_BYTES_MAX));
    }
    pack_clear(&out);
    for (size_t i = 0; i < n; i++) pack_span(&out, ops[i]);
    if (out.len > max_size) return LLVMFuzzerMutate(data, size, max_size);
    memcpy(data, out.bytes, out.len);
    return out.len;
}
