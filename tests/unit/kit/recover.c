/* See recover.h. */
#include "recover.h"

#include <limits.h>
#include <stdio.h>

#include "fail.h"
#include "persist/replay.h"
#include "persist/snapshot.h"
#include "store/load.h"

enum { STEP = 1000 };

static int load_all(struct snapshot *snapshot, struct load *load, struct store *s,
                    struct error *e) {
    struct op op;
    bool done = false;
    int failed = 0;
    while (!failed && !done) failed = snapshot_load_step(snapshot, load, STEP, &done, e);
    if (!failed) failed = load_finish(load, &op, e);
    if (!failed) store_apply(s, &op);
    return failed;
}

int recover_snapshot(struct disk *disk, const char *path, struct store *s, struct error *e) {
    struct snapshot *snapshot;
    int failed = snapshot_open(disk, path, &snapshot, e);
    if (failed) return failed;
    struct load *load = load_new(s, snapshot_total(snapshot));
    failed = load_all(snapshot, load, s, e);
    load_free(load);
    snapshot_close(snapshot);
    return failed;
}

static int recover_base(struct disk *disk, const char *directory, const struct manifest *m,
                        struct store *s, struct error *e) {
    char path[PATH_MAX], name[MANIFEST_BASE_NAME_MAX];
    if (!m->base) return 0;
    snprintf(path, sizeof(path), "%s/%s", directory, manifest_base_name(m->base, name));
    return recover_snapshot(disk, path, s, e);
}

int recover_log(struct disk *disk, const char *directory, struct store *s, bool settle,
                struct recovered *out, struct error *e) {
    struct replay r;
    bool done = false;
    int failed = manifest_read(disk, directory, &out->manifest, e);
    if (failed) return failed;
    failed = replay_open(&r, disk, directory, &out->manifest, e);
    if (failed) return failed;
    failed = recover_base(disk, directory, &out->manifest, s, e);
    while (!failed && !done) failed = replay_step(&r, s, STEP, &done, e);
    if (!failed) EXPECT(r.done == r.total, "progress comes to its end");
    if (!failed && settle) failed = replay_end(&r, e);
    out->next_lsn = r.next_lsn ? r.next_lsn : out->manifest.lsn;
    out->cut = r.cut;
    replay_close(&r);
    return failed;
}
