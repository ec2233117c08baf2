/* See replay.h. */
#include "replay.h"

#include "fail.h"
#include "store/check.h"

void replay_flatten(const struct opcodec_out *out, struct pack *bytes) {
    size_t at = 0;
    for (size_t i = 0; i < out->n_refs; i++) {
        const struct opcodec_ref *ref = &out->refs[i];
        EXPECT(ref->at >= at && ref->at <= out->bytes.len, "holes come in order");
        EXPECT(ref->chunk->pins > 0 && ref->bytes.ptr >= ref->chunk->memory &&
                   ref->bytes.ptr + ref->bytes.len <= ref->chunk->memory + chunk_size(ref->chunk),
               "a reference lies in its chunk");
        pack_bytes(bytes, span_of(out->bytes.bytes + at, ref->at - at));
        pack_bytes(bytes, ref->bytes);
        at = ref->at;
    }
    pack_bytes(bytes, span_of(out->bytes.bytes + at, out->bytes.len - at));
}

static void encode(struct replay *r, const struct store *s, const struct op *op,
                   struct pack *bytes) {
    pack_clear(bytes);
    opcodec_encode(s, op, &r->out);
    replay_flatten(&r->out, bytes);
    EXPECT(bytes->len == opcodec_out_len(&r->out), "the length is what there is");
    EXPECT(bytes->len <= opcodec_bound(op), "kind %d: %zu bytes, bound is %zu", (int)op->kind,
           bytes->len, opcodec_bound(op));
    opcodec_out_clear(&r->out);
}

static void encode_again(void *context, const struct op *op) {
    struct replay *r = context;
    encode(r, r->to, op, &r->again);
}

void replay_op(struct replay *r, const struct store *from, const struct op *op) {
    struct op copy;
    struct error e = {0};
    encode(r, from, op, &r->bytes);
    scratch_reset(&r->scratch);
    struct unpack in = unpack_of(pack_span_of(&r->bytes));
    EXPECT(!opcodec_decode(r->to, &in, &r->scratch, &copy, &e), "kind %d: %s", (int)op->kind,
           e.text);
    EXPECT(unpack_left(&in) == 0, "kind %d: %zu bytes too many", (int)op->kind, unpack_left(&in));
    EXPECT(!op_check(r->to, &copy, &r->scratch, &e), "kind %d: %s", (int)op->kind, e.text);
    store_on_change(r->to, encode_again, r);
    store_apply(r->to, &copy);
    store_on_change(r->to, NULL, NULL);
    EXPECT(span_equal(pack_span_of(&r->bytes), pack_span_of(&r->again)),
           "kind %d: the second store encodes it in another way", (int)op->kind);
}

void replay_free(struct replay *r) {
    opcodec_out_free(&r->out);
    pack_free(&r->bytes);
    pack_free(&r->again);
    scratch_free(&r->scratch);
}
