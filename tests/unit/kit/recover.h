/* A start from what is on a disk, as server/loading.c does it, but in one go. */
#ifndef TQ_TESTS_KIT_RECOVER_H
#define TQ_TESTS_KIT_RECOVER_H

#include "persist/manifest.h"
#include "store/store.h"

struct recovered {
    struct manifest manifest;
    uint64_t next_lsn;
    uint64_t cut; /* bytes of the torn tail */
};

/* The log in `directory` into an empty store. With `settle` it can go on from there: else nothing on the disk is changed.
 * ERROR_NOKEY: there is no log. */
int recover_log(struct disk *disk, const char *directory, struct store *s, bool settle,
                struct recovered *out, struct error *e);

/* A snapshot into a store. After an error the store is what it was. */
int recover_snapshot(struct disk *disk, const char *path, struct store *s, struct error *e);

#endif
