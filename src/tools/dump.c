/* tq-dump: a snapshot, or a segment of a log, as JSON lines. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "persist/segment.h"
#include "persist/snapshot.h"
#include "tools/dump_ops.h"
#include "tools/dump_store.h"
#include "tools/json.h"
#include "tools/kind.h"

/* ---- snapshots ---------------------------------------------------------------------------- */

static int load_snapshot(const char *path, struct store *s, struct error *e) {
    struct snapshot *snapshot;
    int failed = snapshot_open(disk_system(), path, &snapshot, e);
    if (failed) return failed;
    const struct snapshot_info *info = snapshot_info(snapshot);
    struct json j = {0};
    json_begin(&j, NULL, '{');
    json_string(&j, "snapshot", path);
    json_signed(&j, "created-ms", info->created_ms);
    json_number(&j, "lsn", info->lsn);
    json_number(&j, "partitions", info->partitions);
    json_number(&j, "samples", info->samples);
    json_text(&j, "meta", info->meta);
    json_end(&j, '}');
    json_line(&j);
    struct load *load = load_new(s, snapshot_total(snapshot));
    bool done = false;
    while (!failed && !done) failed = snapshot_load_step(snapshot, load, 1 << 24, &done, e);
    struct op op;
    if (!failed && !(failed = load_finish(load, &op, e))) store_apply(s, &op);
    load_free(load);
    snapshot_close(snapshot);
    return failed;
}

static int dump_snapshot(const char *path, struct scratch *scratch, struct error *e) {
    struct store *s = store_new(e);
    if (!s) return (int)e->code;
    int failed = load_snapshot(path, s, e);
    if (!failed) dump_store(s, scratch);
    store_free(s);
    return failed;
}

/* ---- segments ----------------------------------------------------------------------------- */

static int dump_segment(const char *path, struct scratch *scratch, struct error *e) {
    struct segment segment;
    int failed = segment_open_path(disk_system(), path, &segment, e);
    if (failed) return failed;
    for (bool more = true; more && !failed;) {
        struct frame frame;
        struct span body;
        const char *why;
        uint64_t offset = segment.place.offset;
        enum segment_found found = segment_next(&segment, &frame, &body, &why, e);
        more = found == SEGMENT_FRAME;
        if (found == SEGMENT_BROKEN)
            failed = error_set(e, ERROR_ERR, "'%s', offset %" PRIu64 ": %s", path, offset, why);
        if (found == SEGMENT_UNREAD) failed = ERROR_ERR;
        if (!more) break;
        struct json j = {0};
        json_begin(&j, NULL, '{');
        json_number(&j, "frame", frame.lsn);
        json_number(&j, "offset", offset);
        json_number(&j, "bytes", frame.length);
        json_number(&j, "durable", frame.durable);
        json_signed(&j, "now-ms", frame.now_ms);
        json_end(&j, '}');
        json_line(&j);
        failed = dump_ops(frame.lsn, body, scratch, e);
    }
    segment_close(&segment);
    return failed;
}

/* ---- the command -------------------------------------------------------------------------- */

static void usage(FILE *out) {
    fprintf(out, "usage: tq-dump FILE\n\n"
                 "Prints a snapshot (dump.tqs, a checkpoint, a log's base) or a segment of a log "
                 "(log.000001.tql) as\n"
                 "JSON lines: of a snapshot each partition and each sample, of a segment each "
                 "frame and each op.\n"
                 "Values are shown as TQ.MGET … AS TEXT shows them. The status is 1 where the file "
                 "can't be read\n"
                 "to its end.\n");
}

int main(int argc, char **argv) {
    struct scratch scratch = {0};
    enum file_kind kind;
    struct error e;
    bool help = argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
    if (argc != 2 || help) {
        usage(help ? stdout : stderr);
        return help ? 0 : 2;
    }
    hash_init();
    int failed = file_kind(argv[1], &kind, &e);
    if (!failed && kind == FILE_MANIFEST)
        failed = error_set(&e, ERROR_ERR, "'%s' is text: look at it, or dump the files it names",
                           argv[1]);
    else if (!failed)
        failed = kind == FILE_SNAPSHOT ? dump_snapshot(argv[1], &scratch, &e)
                                       : dump_segment(argv[1], &scratch, &e);
    scratch_free(&scratch);
    if (failed) fprintf(stderr, "tq-dump: %s\n", e.text);
    return failed ? 1 : 0;
}
