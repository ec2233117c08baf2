/* See checksum.h. The state of XXH3 is the same for both widths: only the end differs. */
#include "base/checksum.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <xxhash.h>

#include "base/mem.h"

struct checksum {
    XXH3_state_t state;
};

uint64_t checksum64(struct span bytes) {
    return XXH3_64bits(bytes.ptr, bytes.len);
}

struct checksum128 checksum128(struct span bytes) {
    XXH128_hash_t hash = XXH3_128bits(bytes.ptr, bytes.len);
    return (struct checksum128){hash.low64, hash.high64};
}

/* XXH3 wants its state at a whole cache line. */
struct checksum *checksum_new(void) {
    struct checksum *c = aligned_alloc(_Alignof(struct checksum), sizeof(*c));
    if (!c) abort();
    checksum_reset(c);
    return c;
}

void checksum_free(struct checksum *c) {
    mem_free(c);
}

void checksum_reset(struct checksum *c) {
    XXH3_128bits_reset(&c->state);
}

void checksum_add(struct checksum *c, struct span bytes) {
    XXH3_128bits_update(&c->state, bytes.ptr, bytes.len);
}

uint64_t checksum_end64(const struct checksum *c) {
    return XXH3_64bits_digest(&c->state);
}

struct checksum128 checksum_end128(const struct checksum *c) {
    XXH128_hash_t hash = XXH3_128bits_digest(&c->state);
    return (struct checksum128){hash.low64, hash.high64};
}
