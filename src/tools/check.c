/* tq-check: is a file of tq whole, and if not, what of it can be read?
 *
 * A snapshot is loaded as the server would load it, partition by partition; of a segment every frame's checksum is looked at; of a
 * log, named by its manifest, all of it is replayed as at a start. With --fix a log is cut where it can't be read any
 * further; what is cut off is kept beside it. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "persist/replay.h"
#include "persist/snapshot.h"
#include "tools/kind.h"

enum { STEP_BYTES = 16 * 1024 * 1024 };

enum { EXIT_WHOLE = 0, EXIT_DAMAGED = 1, EXIT_UNUSABLE = 2 };

static int report(const struct error *e) {
    printf("%s\n", e->text);
    return EXIT_DAMAGED;
}

/* ---- snapshots ---------------------------------------------------------------------------- */

/* What is selected is loaded into `s`, and thrown away or applied. */
static int load_all(struct snapshot *snapshot, struct store *s, bool apply, struct error *e) {
    struct load *load = load_new(s, snapshot_total(snapshot));
    bool done = false;
    int failed = 0;
    while (!failed && !done) failed = snapshot_load_step(snapshot, load, STEP_BYTES, &done, e);
    struct op op;
    if (!failed && apply && !(failed = load_finish(load, &op, e))) store_apply(s, &op);
    load_free(load);
    return failed;
}

static int check_partition(const char *path, struct snapshot_partition partition, struct error *e) {
    struct snapshot *snapshot;
    int failed = snapshot_open(disk_system(), path, &snapshot, e);
    if (failed) return failed;
    struct store *s = store_new(e);
    failed = s ? snapshot_select(snapshot, &partition.name, 1, e) : (int)e->code;
    if (!failed) failed = load_all(snapshot, s, false, e);
    if (s) store_free(s);
    snapshot_close(snapshot);
    return failed;
}

static int check_snapshot(const char *path) {
    struct error e;
    struct snapshot *snapshot;
    int damaged = 0;
    if (snapshot_open(disk_system(), path, &snapshot, &e)) return report(&e);
    const struct snapshot_info *info = snapshot_info(snapshot);
    for (uint64_t i = 0; i < info->partitions; i++) {
        struct snapshot_partition partition = snapshot_partition(snapshot, i);
        bool bad = check_partition(path, partition, &e) != 0;
        printf("partition %s: %" PRIu64 " samples, %" PRIu64 " bytes: %s\n", QUOTE(partition.name),
               partition.samples, partition.payload_bytes, bad ? e.text : "ok");
        damaged += bad;
    }
    const char *other;
    for (size_t i = 0; (other = snapshot_file(snapshot, i)); i++)
        printf("stands on sections of '%s'\n", other);
    printf("%s: snapshot of %" PRIu64 " partitions, %" PRIu64 " samples: %s\n", path,
           info->partitions, info->samples, damaged ? "DAMAGED" : "ok");
    snapshot_close(snapshot);
    return damaged ? EXIT_DAMAGED : EXIT_WHOLE;
}

/* ---- cutting ------------------------------------------------------------------------------ */

/* Bytes from `offset` on go to PATH.cut, and from the file. */
static int cut_file(const char *path, uint64_t offset, struct error *e) {
    struct disk *disk = disk_system();
    struct disk_file *file;
    char name[2 * PATH_MAX];
    uint64_t size;
    snprintf(name, sizeof(name), "%s.cut", path);
    int failed = disk->ops->open(disk, path, DISK_APPEND, &file, e);
    if (failed) return failed;
    failed = disk->ops->size(file, &size, e);
    if (!failed && offset >= size) {
        disk->ops->close(file);
        return 0;
    }
    if (!failed) failed = disk_copy(file, offset, name, e);
    if (!failed) failed = disk->ops->truncate(file, offset, e);
    if (!failed) failed = disk->ops->sync(file, e);
    disk->ops->close(file);
    if (!failed)
        printf("%s: cut at offset %" PRIu64 "; %" PRIu64 " bytes are in '%s'\n", path, offset,
               size - offset, name);
    return failed;
}

/* ---- segments ----------------------------------------------------------------------------- */

static int check_segment(const char *path, bool fix) {
    struct segment segment;
    struct error e;
    struct frame frame = {0};
    struct span body;
    const char *why = NULL;
    uint64_t frames = 0, first = 0, durable = 0, displaced = 0;
    if (segment_open_path(disk_system(), path, &segment, &e)) return report(&e);
    enum segment_found found;
    while ((found = segment_next(&segment, &frame, &body, &why, &e)) == SEGMENT_FRAME)
        if (!frames++) first = frame.lsn;
    uint64_t offset = segment.place.offset, bytes = segment.size;
    uint64_t last = frames ? first + frames - 1 : 0;
    bool unread = found == SEGMENT_UNREAD;
    if (found == SEGMENT_BROKEN)
        unread = segment_highest_durable(&segment, &durable, &e) ||
                 segment_displaced(&segment, &displaced, &e);
    bool moved = displaced > 0;
    segment_close(&segment);
    if (unread) return report(&e);
    printf("%s: segment %" PRIu64 ", %" PRIu64 " frames", path, segment.place.number, frames);
    if (frames) printf(", %" PRIu64 " to %" PRIu64, first, last);
    if (found == SEGMENT_END) {
        printf(", %" PRIu64 " bytes: ok\n", bytes);
        return EXIT_WHOLE;
    }
    printf(": readable up to offset %" PRIu64 " of %" PRIu64 ": %s. %s\n", offset, bytes, why,
           durable > last ? "DAMAGED: later frames say that it had been on the medium"
           : moved        ? "DAMAGED: bytes were put in or taken out"
                          : "Nobody was promised what is behind: a start cuts it off");
    if (moved)
        printf("%s: a whole frame at offset %" PRIu64 " was written for another place\n", path,
               displaced);
    if (!fix) return EXIT_DAMAGED;
    return cut_file(path, offset, &e) ? report(&e) : EXIT_WHOLE;
}

/* ---- a log -------------------------------------------------------------------------------- */

static int replay_base(const char *directory, const struct manifest *m, struct store *s,
                       struct error *e) {
    char path[PATH_MAX + MANIFEST_BASE_NAME_MAX], name[MANIFEST_BASE_NAME_MAX];
    struct snapshot *base;
    if (!m->base) return 0;
    snprintf(path, sizeof(path), "%s/%s", directory, manifest_base_name(m->base, name));
    int failed = snapshot_open(disk_system(), path, &base, e);
    if (failed) return failed;
    failed = load_all(base, s, true, e);
    if (!failed) printf("%s: ok\n", path);
    snapshot_close(base);
    return failed;
}

/* Where the replay could not go on. */
static int cut_log(const char *directory, const struct replay *r, struct error *e) {
    int failed = 0;
    for (uint64_t n = r->manifest.last; !failed && n >= r->number; n--) {
        char path[PATH_MAX + SEGMENT_NAME_MAX], name[SEGMENT_NAME_MAX];
        snprintf(path, sizeof(path), "%s/%s", directory, segment_name(n, name));
        failed = cut_file(path, n == r->number ? r->stopped_at : SEGMENT_HEADER, e);
    }
    return failed;
}

static int check_replay(const char *directory, struct replay *r, struct store *s, bool fix) {
    struct error e;
    bool done = false;
    int failed = 0;
    while (!failed && !done) failed = replay_step(r, s, STEP_BYTES, &done, &e);
    struct store_stats stats;
    store_stats(s, &stats);
    printf("%" PRIu64 " frames with %" PRIu64 " ops give %" PRIu64 " samples in %" PRIu64
           " partitions, up to frame %" PRIu64 "\n",
           r->frames, r->ops, stats.samples, stats.partitions, r->next_lsn ? r->next_lsn - 1 : 0);
    if (failed) {
        report(&e);
        if (!fix || !r->stopped_at) return EXIT_DAMAGED;
        return cut_log(directory, r, &e) ? report(&e) : EXIT_WHOLE;
    }
    if (r->cut)
        printf("%s: %s: a torn tail of %" PRIu64 " bytes, which a start cuts off\n", r->cut_where,
               r->cut_why, r->cut);
    return EXIT_WHOLE;
}

static int check_log(const char *path, bool fix) {
    char directory[PATH_MAX - 64];
    const char *name;
    struct manifest manifest;
    struct replay replay;
    struct error e;
    file_split(path, directory, sizeof(directory), &name);
    if (manifest_read(disk_system(), directory, &manifest, &e)) return report(&e);
    printf("%s: log %016" PRIx64 ", base %" PRIu64 ", frames from %" PRIu64 ", segments %" PRIu64
           " to %" PRIu64 "\n",
           path, manifest.log_id, manifest.base, manifest.lsn, manifest.first, manifest.last);
    if (replay_open(&replay, disk_system(), directory, &manifest, &e)) return report(&e);
    struct store *s = store_new(&e);
    int status = EXIT_DAMAGED;
    if (!s || replay_base(directory, &manifest, s, &e))
        report(&e);
    else
        status = check_replay(directory, &replay, s, fix);
    if (s) store_free(s);
    replay_close(&replay);
    printf("%s: %s\n", path, status == EXIT_WHOLE ? "ok" : "DAMAGED");
    return status;
}

/* ---- the command -------------------------------------------------------------------------- */

static void usage(FILE *out) {
    fprintf(out, "usage: tq-check FILE [--fix]\n\n"
                 "FILE is a snapshot (dump.tqs, a checkpoint, a log's base), a segment of a log "
                 "(log.000001.tql),\n"
                 "or the manifest of a log, which stands for all of it. --fix cuts a log, or a "
                 "segment, where it\n"
                 "can't be read any further, and keeps what it cuts off in FILE.cut. No server may "
                 "be using it.\n\n"
                 "The status is 0 when all is well, or has been mended; 1 when something is "
                 "damaged, 2 when\n"
                 "FILE is none of tq's.\n");
}

int main(int argc, char **argv) {
    const char *path = NULL;
    bool fix = false;
    enum file_kind kind;
    struct error e;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            usage(stdout);
            return EXIT_WHOLE;
        }
        if (!strcmp(argv[i], "--fix"))
            fix = true;
        else if (path || argv[i][0] == '-')
            path = "";
        else
            path = argv[i];
    }
    if (!path || !*path) {
        usage(stderr);
        return EXIT_UNUSABLE;
    }
    hash_init();
    if (file_kind(path, &kind, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return EXIT_UNUSABLE;
    }
    if (kind == FILE_SEGMENT) return check_segment(path, fix);
    if (kind == FILE_MANIFEST) return check_log(path, fix);
    if (!fix) return check_snapshot(path);
    fprintf(stderr, "a snapshot can't be mended: restore the partitions that are ok\n");
    return EXIT_UNUSABLE;
}
