/* See pack.h. */
#include "base/pack.h"

#include "base/mem.h"

enum { VARINT_BITS = 7, VARINT_MORE = 0x80 };

void pack_grow(struct pack *p, size_t more) {
    p->bytes = mem_grow(p->bytes, &p->capacity, p->len + more, 1);
}

void pack_long_varint(struct pack *p, uint64_t value) {
    if (p->capacity - p->len < PACK_VARINT_MAX) pack_grow(p, PACK_VARINT_MAX);
    char *at = p->bytes + p->len;
    for (; value >= VARINT_MORE; value >>= VARINT_BITS) *at++ = (char)(value | VARINT_MORE);
    *at++ = (char)value;
    p->len = (size_t)(at - p->bytes);
}

void pack_free(struct pack *p) {
    mem_free(p->bytes);
    *p = (struct pack){0};
}

uint64_t unpack_long_varint(struct unpack *u) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += VARINT_BITS) {
        uint64_t byte = unpack_u8(u);
        if (shift == 63 && byte > 1) break; /* a 65th bit */
        value |= (byte & ~(uint64_t)VARINT_MORE) << shift;
        if (byte & VARINT_MORE) continue;
        if (byte == 0 && shift) break; /* longer than need be, or the end */
        return value;
    }
    unpack_fail(u);
    return 0;
}
