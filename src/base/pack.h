/* Packed bytes: what goes into files and streams, and comes back from them.
 *
 * Integers are little-endian or, where most are small, varints (LEB128: seven bits a byte, the lowest first).
 * A span is its length as a varint, then its bytes. Writing cannot fail. Reading believes nothing: past the end, or
 * where bytes make no sense, a reader turns bad, and from then on every read gives 0, false or an empty span; so a
 * decoder reads on as if all were well and looks at `bad` where it has to know: before it trusts what it read. */
#ifndef TQ_BASE_PACK_H
#define TQ_BASE_PACK_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/span.h"

/* ---- writing ---- */

/* Zeroed: empty. Owns its bytes, which move when it grows. */
struct pack {
    char *bytes;
    size_t len, capacity;
};

enum { PACK_VARINT_MAX = 10 }; /* bytes of the longest varint */

/* Room for more bytes behind those that are there. */
void pack_grow(struct pack *p, size_t more);

/* Where the next `len` bytes go: the caller fills them in. Valid until the pack is next written to. */
static inline char *pack_room(struct pack *p, size_t len) {
    if (p->capacity - p->len < len) pack_grow(p, len);
    char *out = p->bytes + p->len;
    p->len += len;
    return out;
}

static inline void pack_u8(struct pack *p, uint8_t value) {
    *pack_room(p, 1) = (char)value;
}

static inline void pack_u32(struct pack *p, uint32_t value) {
    value = htole32(value);
    memcpy(pack_room(p, sizeof(value)), &value, sizeof(value));
}

static inline void pack_u64(struct pack *p, uint64_t value) {
    value = htole64(value);
    memcpy(pack_room(p, sizeof(value)), &value, sizeof(value));
}

/* The part of pack_varint for what does not fit into one byte. */
void pack_long_varint(struct pack *p, uint64_t value);

static inline void pack_varint(struct pack *p, uint64_t value) {
    if (value < 0x80)
        pack_u8(p, (uint8_t)value);
    else
        pack_long_varint(p, value);
}

/* Zigzag: 0, -1, 1, -2 … become 0, 1, 2, 3 … */
static inline void pack_signed(struct pack *p, int64_t value) {
    pack_varint(p, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

/* The bytes alone, without a length. */
static inline void pack_bytes(struct pack *p, struct span bytes) {
    if (bytes.len) memcpy(pack_room(p, bytes.len), bytes.ptr, bytes.len);
}

/* Length, bytes. A NULL ptr is an empty span. */
static inline void pack_span(struct pack *p, struct span bytes) {
    pack_varint(p, bytes.len);
    pack_bytes(p, bytes);
}

/* A span that may be absent, told apart from an empty one: 0 for a NULL ptr, else length + 1, bytes. */
static inline void pack_optional(struct pack *p, struct span bytes) {
    pack_varint(p, bytes.ptr ? (uint64_t)bytes.len + 1 : 0);
    if (bytes.ptr) pack_bytes(p, bytes);
}

static inline struct span pack_span_of(const struct pack *p) {
    return span_of(p->bytes, p->len);
}

/* Empty again; the memory stays. */
static inline void pack_clear(struct pack *p) {
    p->len = 0;
}

void pack_free(struct pack *p);

/* How many bytes pack_varint and pack_signed write. */
static inline size_t pack_varint_len(uint64_t value) {
    size_t len = 1;
    for (; value >= 0x80; value >>= 7) len++;
    return len;
}

/* ---- reading ---- */

/* Spans that come out borrow from what is read. Made by unpack_of. */
struct unpack {
    const char *at, *end;
    bool bad;
};

static inline struct unpack unpack_of(struct span bytes) {
    const char *at = bytes.ptr ? bytes.ptr : "";
    return (struct unpack){.at = at, .end = at + bytes.len};
}

static inline size_t unpack_left(const struct unpack *u) {
    return (size_t)(u->end - u->at);
}

/* No read gives anything from here on. */
static inline void unpack_fail(struct unpack *u) {
    u->bad = true;
    u->at = u->end;
}

/* The next `len` bytes; ptr is never NULL. */
static inline struct span unpack_bytes(struct unpack *u, uint64_t len) {
    if (unpack_left(u) < len) {
        unpack_fail(u);
        len = 0;
    }
    struct span out = span_of(u->at, (size_t)len);
    u->at += len;
    return out;
}

static inline uint8_t unpack_u8(struct unpack *u) {
    struct span s = unpack_bytes(u, 1);
    return s.len ? (uint8_t)*s.ptr : 0;
}

static inline uint32_t unpack_u32(struct unpack *u) {
    uint32_t value = 0;
    struct span s = unpack_bytes(u, sizeof(value));
    memcpy(&value, s.ptr, s.len);
    return le32toh(value);
}

static inline uint64_t unpack_u64(struct unpack *u) {
    uint64_t value = 0;
    struct span s = unpack_bytes(u, sizeof(value));
    memcpy(&value, s.ptr, s.len);
    return le64toh(value);
}

/* The part of unpack_varint for what did not fit into one byte. More than 64 bits are bad, and so is a form that is longer
 * than it has to be: what was written has one form only. */
uint64_t unpack_long_varint(struct unpack *u);

static inline uint64_t unpack_varint(struct unpack *u) {
    if (u->at < u->end && (uint8_t)*u->at < 0x80) return (uint8_t)*u->at++;
    return unpack_long_varint(u);
}

static inline int64_t unpack_signed(struct unpack *u) {
    uint64_t value = unpack_varint(u);
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

/* What pack_span wrote; ptr is never NULL. */
static inline struct span unpack_span(struct unpack *u) {
    return unpack_bytes(u, unpack_varint(u));
}

/* What pack_optional wrote; ptr is NULL where it was. */
static inline struct span unpack_optional(struct unpack *u) {
    uint64_t len = unpack_varint(u);
    return len ? unpack_bytes(u, len - 1) : span_of(NULL, 0);
}

/* A count of things of which each takes at least so many (1 or more) of the bytes that follow: a count that cannot
 * be true is bad, so whoever allocates for it allocates no more than the input justifies. */
static inline size_t unpack_count(struct unpack *u, size_t at_least_bytes_each) {
    uint64_t count = unpack_varint(u);
    if (count <= unpack_left(u) / at_least_bytes_each) return (size_t)count;
    unpack_fail(u);
    return 0;
}

#endif
