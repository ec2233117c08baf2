/* Ops as bytes: what the log, and later replicas, are made of.
 *
 * An op is encoded right behind its application, from the store's change hook, and decoded, checked
 * (store/check.h) and applied where it is replayed. What is encoded depends on what the op means
 * and on nothing else: how values came (one payload or many items, lengths given or all equal)
 * leaves no trace, so a replica that encodes what it applied gets the same bytes.
 *
 * Payload is not copied. After the op was applied its values lie in a chunk, in a row, and
 * published bytes never change: a column of OPCODEC_COPY_MAX bytes or more is referenced where it
 * lies, under a pin. Encoded is thus a string of bytes with holes, to be written with one writev.
 *
 * The form, see base/pack.h for what its parts are:
 *
 *   op       u8 kind, span partition, signed now_ms, then by kind
 *   PUT      varint n, seqs; varint n_new, [varint first new seq, where some but not all are new],
 *            [values: keys]; u8 has groups, [groups]; varint n_tags, {span name, values};
 *            varint n_columns, {span name, type, values}
 *   EXPECT   varint expected
 *   DEFINE   varints samples, bytes, ahead; optional ahead_task; varint n_retire, {span task};
 *            varint n_fields, {span name, type}. With indexes the kind is DEFINE + 64, and
 *            varint n_indexes, {span tag or tag^p} come last
 *   ADOPT    span source; varint n, {span partition}: the partitions themselves are in that snapshot
 *   SEAL     nothing
 *   DROP     nothing
 *   others   u8 flags, varint n, [seqs, unless ALL], [TASK: span],
 *            [LEASE: varint id; SAMPLE, EXTEND: signed ends_ms; SAMPLE: span holder;
 *            NACK without ALL: u64 checksum of its keys],
 *            [RANK: varints rank, batch; span fingerprint],
 *            [SLICES: varint n_slices, n_slices + 1 varints, each less the one before],
 *            [ONCE: span holder, varint number; SAMPLE: u64 and u64, the lower and upper half of a
 *            checksum of the arguments, signed end of the hold, 0 with a lease],
 *            [NAMES: varint n_names, {span}]
 *
 *   seqs     signed: the first. Where there are several, runs until there are n: signed, the first less what would
 *            have come next; varint, how many. A run rises, by one each time, above all seqs before it; seqs that
 *            do not are runs of one
 *   groups   for each sample varint 0: none; 1: that of the sample before, with its size; else length + 2,
 *            then the id's bytes and varint size
 *   values   varints: sizes, n for each `*`, where the type's shapes are not implied (dtype_shape_implied). Else varint
 *            length + 1, where all are of that length; or 0, then n lengths. Then the values back to back
 *   type     see dtype_pack */
#ifndef TQ_PERSIST_OPCODEC_H
#define TQ_PERSIST_OPCODEC_H

#include "base/error.h"
#include "base/pack.h"
#include "base/scratch.h"
#include "store/op.h"
#include "store/store.h"

enum {
    OPCODEC_COPY_MAX = 4096,
    OPCODEC_BLIND_MAX = 1 << 24, /* samples of an op that is decoded without a store */
};

/* A hole in the bytes. */
struct opcodec_ref {
    size_t at; /* where in out.bytes: before the byte of this offset */
    struct span bytes;
    struct chunk *chunk; /* that they lie in, pinned */
};

/* Zeroed: empty. Ops are appended. */
struct opcodec_out {
    struct pack bytes;
    struct opcodec_ref *refs; /* `at` rises */
    size_t n_refs, refs_capacity;
    size_t refs_bytes; /* their total */
};

/* The op has just been applied to `s`, and what it points at is still there. Everything that is encoded is in bytes or
 * refs of `out`, which points into nothing of the op. */
void opcodec_encode(const struct store *s, const struct op *op, struct opcodec_out *out);

/* How many bytes there are, refs included. */
static inline size_t opcodec_out_len(const struct opcodec_out *out) {
    return out->bytes.len + out->refs_bytes;
}

/* Unpins; empty again, the memory stays. */
void opcodec_out_clear(struct opcodec_out *out);
void opcodec_out_free(struct opcodec_out *out);

/* At most so many bytes will be encoded, refs included: to be reserved before the op is applied. Time: columns and samples
 * of the op. */
size_t opcodec_bound(const struct op *op);

/* The next op of `in`. Its spans point into the input, its arrays are in `scratch`; its values are ready to be copied, none
 * is adopted. `s` is what it is to be applied to, in the state in which that would be: a few bytes can name all
 * the samples of a partition, but not more than it has, so memory is in proportion to input and store.
 * Without one (NULL), to look at the op only, it may name OPCODEC_BLIND_MAX. Nothing else is compared with the store: see op_check. ERROR_ERR says what is wrong; then `in` is void. */
int opcodec_decode(const struct store *s, struct unpack *in, struct scratch *scratch, struct op *op,
                   struct error *e);

#endif
