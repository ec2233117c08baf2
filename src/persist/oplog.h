/* The op log: what was done to the store, in order, on disk.
 *
 * The ops of a turn of the loop come as one frame (framer.h), which is written at the end of the turn (oplog_write), before any reply
 * of the turn goes out: one write, and with `always` one sync, for all clients of the turn. The log adds a header of its own, which
 * numbers the frames of the log (lsn) and ties each to its place (segment.h). Large values are written from the chunks where they
 * lie. With `everysec` a helper thread
 * syncs once a second; when the disk is so slow that a sync of two seconds ago has not ended, the turn waits for it, so what a loss
 * of power can take is bounded.
 *
 * Nothing is applied that might not be logged: whoever plans an op asks oplog_reserve for room on disk first. Where there is none the
 * write is refused, and accepted again as soon as there is. After that an error of the disk leaves no way back: what
 * was applied and cannot be logged must not be acknowledged, so oplog_write fails and the process has to end.
 *
 * The log is a base, which is a snapshot, and the segments from there on; the manifest names them. A new base is made in four steps:
 * oplog_prepare has the next segment made ahead, oplog_switch begins it, the server forks and writes the snapshot, oplog_rebase
 * has the manifest name it and drops what it made superfluous. At each moment the manifest on disk names a log that is whole. */
#ifndef TQ_PERSIST_OPLOG_H
#define TQ_PERSIST_OPLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/disk.h"
#include "persist/framer.h"
#include "persist/manifest.h"
#include "persist/snapshot.h"
#include "store/store.h"

enum oplog_sync { OPLOG_ALWAYS, OPLOG_EVERYSEC, OPLOG_NO };

struct oplog_options {
    struct disk *disk;
    const char *directory; /* copied */
    enum oplog_sync sync;
    bool threadless; /* no helper thread: see worker.h */
    /* oplog_create: the number of a base that is there and that the log begins with; or 0 */
    uint64_t base;
};

struct oplog;

/* Begin a log without frames, for a store that is empty or what the base holds: makes `directory` (its parent exists) and a
 * manifest. */
int oplog_create(const struct oplog_options *options, struct oplog **out, struct error *e);

/* Begin a log for a store that holds something that no log has: beside what is in `directory`, which is there, and which stays in force
 * until oplog_rebase has this log's base named: a snapshot of this moment, of the number *base and lsn 1. Before that no other
 * base may be prepared. */
int oplog_begin(const struct oplog_options *options, uint64_t *base, struct oplog **out,
                struct error *e);

/* The id that its manifest and segments carry. */
uint64_t oplog_id(const struct oplog *log);

/* Go on with one that was read to its end: `next_lsn` follows the last frame. */
int oplog_continue(const struct oplog_options *options, const struct manifest *manifest,
                   uint64_t next_lsn, struct oplog **out, struct error *e);

/* Syncs what was written, so that nothing is in doubt when it is read again; with the last frame it says so. An error is in *e,
 * the log is closed in every case. */
int oplog_close(struct oplog *log, struct error *e);

/* Close the log without writing: the files stay as they are. Waits for the job that runs. */
void oplog_abandon(struct oplog *log);

void oplog_set_sync(struct oplog *log, enum oplog_sync sync);

/* ---- each turn ----
 *
 * now_us is a clock that only goes forward, from above 0; now_ms the wall's. */

/* Room for the next frame, of so many bytes. ERROR_MISCONF. */
int oplog_reserve(struct oplog *log, uint64_t bytes, struct error *e);

/* Write a frame, for which room was reserved; on failure the process has to end. */
int oplog_write(struct oplog *log, const struct turn_frame *frame, int64_t now_us, struct error *e);

/* Would a start find the log: the manifest with its content, the base, every segment, the snapshots
 * that ops speak of, each the file that it was and as long as it was? What is removed under a
 * running process is written to without an error. *e names the file that is not. The content of
 * other files than the manifest is not read. A log that has a base to come is not to be asked. */
bool oplog_is_there(struct oplog *log, struct error *e);

/* After oplog_is_there was false, and only while the directory's lock is held: writes a manifest
 * again that can't be read, or that is missing while its segment is there, so that the log can be
 * begun anew over it; a crash before that finds everything, or is told which file is missing. A
 * manifest of another log is left alone. Waits for the job that runs. A failure is only
 * logged. */
void oplog_mend_manifest(struct oplog *log);

/* Ten times a second: starts syncs and sees how those went that run. Fails like oplog_write. */
int oplog_tick(struct oplog *log, int64_t now_us, struct error *e);

/* The same, while no ops wait to be written: writes a frame without ops where the last ones with ops are synced and no frame says so
 * yet. `heartbeat`: also where the log's time is a second old, since leases go by it. Fails like oplog_write. */
int oplog_record_durable(struct oplog *log, int64_t now_us, int64_t now_ms, bool heartbeat,
                         struct error *e);

/* ---- partitions that come in from a snapshot ---- */

enum { OPLOG_SOURCE_MAX = 256 };

/* An OP_ADOPT names the snapshot that its partitions are in. The snapshot is `name` in `directory`; what it consists of gets second
 * names with the log, and has them as long as the log holds the op. In the same turn as the op, before it is applied; `source` is
 * what the op is to say. */
int oplog_keep(struct oplog *log, const char *directory, const char *name,
               const struct snapshot *snapshot, char source[static OPLOG_SOURCE_MAX],
               struct error *e);

/* ---- a new base ---- */

/* Have the next segment made. Not while one is under way. */
void oplog_prepare(struct oplog *log);

enum oplog_prepared { OPLOG_NOT_YET, OPLOG_PREPARED, OPLOG_FAILED };
/* How far is that? *e where it failed; then nothing has changed. */
enum oplog_prepared oplog_is_prepared(struct oplog *log, struct error *e);

/* From here on frames go to the next segment; nothing is waiting to be written. Returns the lsn of its first frame, which is
 * the first that a snapshot taken now does not hold, and the number that the base is to have. */
uint64_t oplog_switch(struct oplog *log, uint64_t *base);

/* The snapshot is on disk under manifest_base_name of that number: the log begins with it. Done in the background;
 * until oplog_is_rebased says how that ended the log must not be prepared again. */
void oplog_rebase(struct oplog *log, uint64_t base, uint64_t lsn);
bool oplog_is_rebased(struct oplog *log, int *failed, struct error *e);

/* ---- figures ---- */

struct oplog_stats {
    uint64_t bytes;         /* of all segments */
    uint64_t bytes_at_base; /* the same, when the base was made */
    uint64_t lsn, synced; /* of the last frame written; of the last one known to be on the medium */
    uint64_t frames, syncs; /* since the start */
    uint64_t delayed;       /* turns that waited for a sync */
    bool sync_runs;
    bool room; /* did the last reservation find any? */
};

void oplog_stats(const struct oplog *log, struct oplog_stats *out);

const struct manifest *oplog_manifest(const struct oplog *log);

/* The number of the segment that frames go to. */
uint64_t oplog_segment(const struct oplog *log);

#endif
