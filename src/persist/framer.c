/* See framer.h. */
#include "persist/framer.h"

#include "base/mem.h"

void framer_init(struct framer *f) {
    *f = (struct framer){.checksum = checksum_new()};
}

void framer_free(struct framer *f) {
    opcodec_out_free(&f->ops);
    checksum_free(f->checksum);
    mem_free(f->parts);
}

void framer_add(struct framer *f, const struct store *s, const struct op *op) {
    opcodec_encode(s, op, &f->ops);
}

static void framer_part(struct framer *f, const char *bytes, size_t len) {
    if (!len) return;
    f->parts = mem_grow(f->parts, &f->parts_capacity, f->n_parts + 1, sizeof(*f->parts));
    f->parts[f->n_parts++] = (struct iovec){.iov_base = (char *)bytes, .iov_len = len};
    checksum_add(f->checksum, span_of(bytes, len));
}

void framer_end(struct framer *f, uint64_t number, int64_t now_ms, struct turn_frame *out) {
    const struct opcodec_out *ops = &f->ops;
    size_t at = 0;
    f->n_parts = 0;
    checksum_reset(f->checksum);
    for (size_t i = 0; i < ops->n_refs; i++) {
        framer_part(f, ops->bytes.bytes + at, ops->refs[i].at - at);
        framer_part(f, ops->refs[i].bytes.ptr, ops->refs[i].bytes.len);
        at = ops->refs[i].at;
    }
    framer_part(f, ops->bytes.bytes + at, ops->bytes.len - at);
    *out = (struct turn_frame){.number = number,
                               .now_ms = now_ms,
                               .parts = f->parts,
                               .n_parts = f->n_parts,
                               .length = opcodec_out_len(ops),
                               .sum = checksum_end64(f->checksum)};
}

void framer_clear(struct framer *f) {
    opcodec_out_clear(&f->ops);
}
