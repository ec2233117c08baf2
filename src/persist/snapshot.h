/* Snapshots: a store in a file.
 *
 * The sections of store/section.h one after the other as they come, each checksummed; then an index
 * of them; then a trailer of fixed length, which says where the index is. docs/format.md has the
 * layout. The file is written under a temporary name, synced and renamed, so that under its own
 * name it is whole or not there.
 *
 * A snapshot may stand on an earlier one of the same directory: sections that are the same there
 * are not written again but named in the index, by file and offset. Files are named flatly: what
 * the earlier one refers to in a third file is named as that file's. Whoever removes files has to
 * know who names them (snapshot_file). */
#ifndef TQ_PERSIST_SNAPSHOT_H
#define TQ_PERSIST_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/disk.h"
#include "store/load.h"
#include "store/store.h"

enum { SNAPSHOT_VERSION = 2 }; /* 1, which has fewer kinds of sections, is read too */

struct snapshot;

/* ---- writing ---- */

/* Zeroed: all partitions, nothing said, nothing shared. */
struct snapshot_options {
    int64_t now_ms; /* the store's clock */
    uint64_t lsn;   /* the first frame of the log that is not in here */
    void (*progress)(void *context, uint64_t done, uint64_t total); /* bytes, `total` a guess */
    void *context;
    size_t n_partitions; /* with partitions: these only, which exist */
    const struct span *partitions;
    struct span meta;            /* text for people */
    const struct snapshot *base; /* an earlier one, open, of the same directory */
    uint64_t *written;           /* where not NULL: bytes written, those shared not counted */
};

/* ERROR_NOPART; ERROR_MISCONF where the disk is full; what the disk says. Then what was there is there still; or,
 * where only the directory could not be synced, the new file is. */
int snapshot_write(struct disk *disk, const char *path, const struct store *s,
                   const struct snapshot_options *options, struct error *e);

/* ---- reading ---- */

/* Checks header, trailer and index. An error names the file and what is wrong, or which version it has. */
int snapshot_open(struct disk *disk, const char *path, struct snapshot **out, struct error *e);
void snapshot_close(struct snapshot *snapshot);

struct snapshot_info {
    uint64_t partitions, samples;
    uint64_t payload_bytes; /* of field values */
    uint64_t lsn;
    int64_t created_ms;
    uint64_t sections, shared; /* in all; in other files */
    uint64_t file_bytes;       /* of this file */
    struct span meta;
};

/* Borrowed, as all that follows, until it is closed. */
const struct snapshot_info *snapshot_info(const struct snapshot *snapshot);

struct snapshot_partition {
    struct span name;
    uint64_t samples, payload_bytes;
};

/* The i-th of info.partitions, in the order of the store. */
struct snapshot_partition snapshot_partition(const struct snapshot *snapshot, uint64_t i);

/* Names of the other files that it needs, in the same directory: the i-th, NULL behind the last. */
const char *snapshot_file(const struct snapshot *snapshot, size_t i);

/* Load these partitions only, from the beginning. ERROR_NOPART. */
int snapshot_select(struct snapshot *snapshot, const struct span *names, size_t n, struct error *e);

/* From here on a thread of its own reads and checks what comes next while the caller puts together what came before. Once; not for a
 * disk that one thread only may use. */
void snapshot_read_ahead(struct snapshot *snapshot);

/* With such a thread: begins to read, and says whether a step would find something read, or the end. Where it would not, a step reads
 * along with the thread, and waits for it. */
bool snapshot_is_ready(struct snapshot *snapshot, const struct load *load);

/* Load sections of about `budget` bytes, or of what is read of them, one at least (none where the partition before needs
 * load_prepare); *done: that was all, load_finish may follow. Any
 * error is final and names file and offset. Payload that is read ahead is in the store's arena: who ends before *done or an error
 * closes the snapshot before the store. */
int snapshot_load_step(struct snapshot *snapshot, struct load *load, uint64_t budget, bool *done,
                       struct error *e);

/* Bytes loaded, and to be loaded in all. */
uint64_t snapshot_done(const struct snapshot *snapshot);
uint64_t snapshot_total(const struct snapshot *snapshot);

#endif
