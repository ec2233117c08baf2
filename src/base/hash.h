/* Hashes of keys and names that clients choose.
 *
 * XXH3 (xxHash by Y. Collet) with a secret of this process' own: whoever sends keys cannot
 * choose ones that collide. Hashes are therefore never stored or sent. */
#ifndef TQ_BASE_HASH_H
#define TQ_BASE_HASH_H

#include <stdint.h>

#include "base/span.h"

/* Draw the secret; called once before the first hash, aborts when the system has no randomness. */
void hash_init(void);

uint64_t hash_bytes(struct span bytes);

/* Random bytes of the system, for ids and seeds. */
void hash_random(void *out, size_t len);

#endif
