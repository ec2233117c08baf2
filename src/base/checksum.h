/* Checksums of what is stored: XXH3 without a secret, so that any process finds the same.
 *
 * 64 bits say whether bytes are still those that were written; 128 bits say that two pieces are the same one. Neither
 * withstands someone who forges files on purpose. For hashes of what clients choose see hash.h. */
#ifndef TQ_BASE_CHECKSUM_H
#define TQ_BASE_CHECKSUM_H

#include <stdint.h>

#include "base/span.h"

struct checksum128 {
    uint64_t low, high;
};

uint64_t checksum64(struct span bytes);
struct checksum128 checksum128(struct span bytes);

static inline bool checksum128_equal(struct checksum128 a, struct checksum128 b) {
    return a.low == b.low && a.high == b.high;
}

/* The same, of bytes that come in parts: however they are cut, the result is that of the whole. */
struct checksum;

struct checksum *checksum_new(void); /* ready for the first part */
void checksum_free(struct checksum *c);
void checksum_reset(struct checksum *c);
void checksum_add(struct checksum *c, struct span bytes);

/* Of all that was added since the reset; more may be added after. */
uint64_t checksum_end64(const struct checksum *c);
struct checksum128 checksum_end128(const struct checksum *c);

#endif
