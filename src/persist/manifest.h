/* The manifest of an op log: which base and which segments it consists of.
 *
 * A few lines of text, replaced as a whole (disk_replace), with a checksum in the last line. What it does not name is left over from
 * something that did not come to its end, and may be removed. */
#ifndef TQ_PERSIST_MANIFEST_H
#define TQ_PERSIST_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "persist/disk.h"

enum { MANIFEST_VERSION = 1, MANIFEST_BASE_NAME_MAX = 40 };

#define MANIFEST_NAME "manifest"

struct manifest {
    uint64_t log_id;
    uint64_t base;        /* the number of the snapshot to begin with, 0: an empty store */
    uint64_t lsn;         /* the first frame that the base does not hold; 1 without one */
    uint64_t first, last; /* the segments, all numbers in between */
};

/* "base.000007.tqs" */
const char *manifest_base_name(uint64_t number, char out[static MANIFEST_BASE_NAME_MAX]);

int manifest_write(struct disk *disk, const char *directory, const struct manifest *m,
                   struct error *e);

/* ERROR_ERR names the file and what is wrong with it; also where there is none, but files that one must have named. ERROR_NOKEY: there
 * is no log. */
int manifest_read(struct disk *disk, const char *directory, struct manifest *out, struct error *e);

/* A number that no base and no segment in `directory` has. */
int manifest_number(struct disk *disk, const char *directory, uint64_t *out, struct error *e);

/* The files in directories of segments that the manifest names (segment_directory): `name` is that
 * of a file, in `directory`, `number` its segment's. */
int manifest_list_kept(struct disk *disk, const char *directory, const struct manifest *m,
                       void (*each)(void *context, uint64_t number, const char *name),
                       void *context, struct error *e);

/* Remove logs, bases and temporary files of `directory` that the manifest does not name. What cannot be removed stays. */
void manifest_sweep(struct disk *disk, const char *directory, const struct manifest *m);

#endif
