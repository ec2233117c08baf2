/* The catalog: checkpoints, which are snapshots with names.
 *
 * A checkpoint is a file of the directory, 000012.tqs, that says its name itself (as the first line of the snapshot's text); of several with the
 * same name the newest counts. So making one, replacing one and forgetting one is each a single change of the directory,
 * and nothing else has to agree with it. A checkpoint may stand on earlier files, whose sections it shares; a file that is forgotten but
 * stood on stays, marked by an empty 000012.forgotten, until nobody needs it. */
#ifndef TQ_PERSIST_CATALOG_H
#define TQ_PERSIST_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "persist/disk.h"
#include "persist/snapshot.h"

enum { CATALOG_NAME_MAX = 128, CATALOG_TEXT_MAX = 4096, CATALOG_FILE_MAX = 32 };

struct checkpoint {
    uint64_t number;
    char *name; /* "" where it is forgotten or replaced, and kept for others */
    char *text; /* META */
    int64_t created_ms;
    uint64_t partitions, samples;
    uint64_t payload_bytes; /* of field values */
    uint64_t file_bytes;    /* of its own file: what it does not share */
    uint64_t *needs;        /* the numbers of files that it stands on */
    size_t n_needs;
};

struct catalog {
    struct disk *disk;
    char *directory;
    struct checkpoint *entries; /* by number, ascending */
    size_t n, capacity;
    uint64_t unread; /* the highest number of a file that could not be read, 0: none */
    uint64_t held;   /* by catalog_hold; 0: none */
};

/* What is there; `directory` is made when it is first written to. A file that can't be read is
 * passed to `report` (may be NULL) and left alone, and so are all before it: it may stand on
 * them. */
int catalog_open(struct disk *disk, const char *directory, struct catalog *out,
                 void (*report)(void *context, const struct error *e), void *context,
                 struct error *e);
void catalog_close(struct catalog *c);

/* May a checkpoint have this name: [A-Za-z0-9_.@-]{1,128}? ERROR_ERR. */
int catalog_check_name(struct span name, struct error *e);

/* NULL where unknown. */
const struct checkpoint *catalog_find(const struct catalog *c, struct span name);

/* The newest file, which the next one may stand on; NULL where there is none. */
const struct checkpoint *catalog_newest(const struct catalog *c);

/* "000012.tqs" */
const char *catalog_file(uint64_t number, char out[static CATALOG_FILE_MAX]);

/* The number for a new file, and the directory is there to take it. */
int catalog_prepare(struct catalog *c, uint64_t *number, struct error *e);

/* The snapshot's text of a checkpoint. Returns its length; `out` has room for both and one more. */
size_t catalog_meta(struct span name, struct span text, char *out);

/* The file of this number has been written: it is a checkpoint from now on, and takes the place of one with the same name. */
int catalog_add(struct catalog *c, uint64_t number, struct error *e);

/* Writing the file of this number failed, or whoever wrote it died: what there is of it goes, or it would be a checkpoint after the next
 * start, whatever was done to its name since. Nothing happens where it was added. */
void catalog_drop(struct catalog *c, uint64_t number);

/* The files of a checkpoint that is being read stay, whatever becomes of its name, until it is
 * released. One at a time. */
void catalog_hold(struct catalog *c, uint64_t number);
void catalog_release(struct catalog *c);

/* ERROR_NOKEY where there is none of the name. */
int catalog_forget(struct catalog *c, struct span name, struct error *e);

#endif
