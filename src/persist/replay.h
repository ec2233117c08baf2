/* Replaying: the segments of a log, from a given frame on, applied to a store.
 *
 * Frames follow each other by lsn through all segments. Where one is broken or missing, what comes
 * behind it decides: if any later frame says that it was on the medium, that is damage, and the
 * replay fails with file, offset and reason. If none does, it is the torn tail of a server that
 * died: the log ends there, and replay_end cuts the rest off. Ops come from a file, which may hold
 * anything: each is checked before it is applied. */
#ifndef TQ_PERSIST_REPLAY_H
#define TQ_PERSIST_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scratch.h"
#include "persist/manifest.h"
#include "persist/segment.h"
#include "persist/snapshot.h"
#include "store/store.h"

struct replay {
    struct disk *disk;
    char *directory;
    bool read_ahead; /* snapshots that come back in (snapshot.h); may be set after replay_open */
    struct manifest manifest;
    uint64_t next_lsn; /* of the frame that is expected; those below manifest.lsn are in the base */
    int64_t last_ms;   /* the newest time of a frame; INT64_MIN: none */
    uint64_t done, total; /* bytes */
    uint64_t frames, ops; /* applied */
    uint64_t cut;         /* bytes of the torn tail, 0: there is none */
    char cut_where[128];  /* file and offset */
    const char *cut_why;
    uint64_t stopped_at; /* offset in segment `number` of the damage that made replay_step fail; 0:
                            it failed otherwise, such as by a file that can't be read */

    /* Its own. */
    struct scratch scratch;
    struct segment segment;
    bool is_open;
    uint64_t number;    /* of the segment that is read, or comes next */
    struct unpack body; /* of the frame that is being applied: what is left */
    uint64_t frame_offset;
    struct snapshot *snapshot; /* what an OP_ADOPT of it speaks of, while it is loaded */
    struct load *load;
    struct op adopt;
    uint64_t cut_number, cut_offset; /* where the log ends, when cut */
};

int replay_open(struct replay *r, struct disk *disk, const char *directory,
                const struct manifest *manifest, struct error *e);

/* Apply frames of about so many bytes, one at least. */
int replay_step(struct replay *r, struct store *s, uint64_t bytes, bool *done, struct error *e);

/* When done: the torn tail is cut off, and what was read is on the medium. */
int replay_end(struct replay *r, struct error *e);

void replay_close(struct replay *r);

#endif
