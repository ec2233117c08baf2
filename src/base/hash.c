/* See hash.h. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

static unsigned char hash_secret[XXH3_SECRET_SIZE_MIN + 56]; /* the size XXH3 uses by default */

void hash_random(void *out, size_t len) {
    char *at = out;
    while (len) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            perror("tq: getrandom");
            abort();
        }
        at += n;
        len -= (size_t)n;
    }
}

void hash_init(void) {
    hash_random(hash_secret, sizeof(hash_secret));
}

uint64_t hash_bytes(struct span bytes) {
    return XXH3_64bits_withSecret(bytes.ptr, bytes.len, hash_secret, sizeof(hash_secret));
}
