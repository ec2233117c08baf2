/* A start from a log that anyone may have written.
 *
 * An input is a byte of flags, then spans: the manifest, a snapshot that an OP_ADOPT may name ("s/1.tqs"), the first segment; the rest is the
 * second segment. Checksums keep most of it out, so flags can have them put right: bit 0, those of the segments: headers are
 * written anew, and of whatever stands where a frame should be, the checksums; bit 1, the manifest is one that fits. What is
 * refused says why. What is accepted can be gone on with: what was cut off is gone, the same is found again, also behind a
 * start and an orderly end, and a frame that is written is there the next time. The store stays from one input to the next. */
#include <stdint.h>
#include <string.h>

#include "../unit/kit/fail.h"
#include "../unit/kit/recover.h"
#include "../unit/kit/simdisk.h"
#include "../unit/kit/store.h"
#include "base/checksum.h"
#include "persist/oplog.h"
#include "persist/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOG "/data/log"

enum { MEND_SEGMENTS = 1, MEND_MANIFEST = 2, LOG_ID = 1 };

static void make_file(struct disk *disk, const char *path, struct span bytes) {
    struct disk_file *file;
    const struct iovec part = {(void *)bytes.ptr, bytes.len};
    EXPECT(!disk->ops->open(disk, path, DISK_CREATE, &file, NULL), "%s", path);
    EXPECT(!disk->ops->write(file, &part, 1, NULL), "%s", path);
    disk->ops->close(file);
}

/* ---- checksums that fit ------------------------------------------------------------------- */

/* Returns how long the frame is that now stands there. */
static size_t mend_frame(char *at, size_t left, const struct segment_place *place) {
    struct frame frame;
    struct unpack u = unpack_of(span_of(at + 4, FRAME_HEADER - 4));
    frame.lsn = unpack_u64(&u);
    frame.durable = unpack_u64(&u);
    frame.now_ms = (int64_t)unpack_u64(&u);
    frame.length = unpack_u64(&u) % (left - FRAME_HEADER + 1);
    frame.body_sum = checksum64(span_of(at + FRAME_HEADER, (size_t)frame.length));
    frame_pack(&frame, place, at);
    return FRAME_HEADER + (size_t)frame.length;
}

static void mend_segment(struct pack *bytes, uint64_t number) {
    if (bytes->len < SEGMENT_HEADER) pack_room(bytes, SEGMENT_HEADER - bytes->len);
    segment_header_pack(LOG_ID, number, bytes->bytes);
    struct segment_place place = {SEGMENT_VERSION, LOG_ID, number, SEGMENT_HEADER};
    while (bytes->len - place.offset >= FRAME_HEADER)
        place.offset +=
            mend_frame(bytes->bytes + place.offset, bytes->len - (size_t)place.offset, &place);
}

/* ---- the disk ----------------------------------------------------------------------------- */

static void make_manifest(struct disk *disk, struct span bytes, bool mend) {
    const struct manifest fits = {.log_id = LOG_ID, .lsn = 1, .first = 1, .last = 2};
    if (mend)
        EXPECT(!manifest_write(disk, LOG, &fits, NULL), "the manifest");
    else
        make_file(disk, LOG "/" MANIFEST_NAME, bytes);
}

static struct simdisk *make_disk(struct span input) {
    static const char *const names[] = {LOG "/log.000001.tql", LOG "/log.000002.tql"};
    struct simdisk *d = simdisk_new();
    struct disk *disk = simdisk_disk(d);
    struct unpack u = unpack_of(input);
    uint8_t flags = unpack_u8(&u);
    EXPECT(!disk->ops->make_directory(disk, LOG, NULL), "the log's");
    EXPECT(!disk->ops->make_directory(disk, LOG "/s", NULL), "the snapshot's");
    make_manifest(disk, unpack_span(&u), flags & MEND_MANIFEST);
    make_file(disk, LOG "/s/1.tqs", unpack_span(&u));
    make_file(disk, names[0], unpack_span(&u));
    make_file(disk, names[1], unpack_bytes(&u, unpack_left(&u)));
    for (unsigned i = 0; i < 2 && flags & MEND_SEGMENTS; i++)
        mend_segment(simdisk_bytes(d, names[i]), i + 1);
    return d;
}

/* ---- going on ----------------------------------------------------------------------------- */

static void log_op(void *context, const struct op *op) {
    struct framer *framer = ((void **)context)[0];
    const struct kit *k = ((void **)context)[1];
    framer_add(framer, k->store, op);
}

static void write_on(struct kit *k, struct disk *disk, const struct recovered *found) {
    const struct oplog_options options = {.disk = disk, .directory = LOG, .threadless = true};
    struct oplog *log;
    struct framer framer;
    struct turn_frame frame;
    EXPECT(!oplog_continue(&options, &found->manifest, found->next_lsn, &log, &k->error), "%s",
           k->error.text);
    framer_init(&framer);
    store_on_change(k->store, log_op, (void *[]){&framer, k});
    EXPECT(!kit_text(k, "one-more-partition", "k", "f", "v"), "%s", k->error.text);
    framer_end(&framer, 1, k->now_ms, &frame);
    EXPECT(!oplog_write(log, &frame, 1, &k->error), "%s", k->error.text);
    store_on_change(k->store, NULL, NULL);
    framer_free(&framer);
    oplog_abandon(log);
}

/* A server that starts and ends: its only frame has no ops. */
static void start_and_end(struct kit *k, struct disk *disk, const struct recovered *found) {
    const struct oplog_options options = {.disk = disk, .directory = LOG, .threadless = true};
    struct oplog *log;
    EXPECT(!oplog_continue(&options, &found->manifest, found->next_lsn, &log, &k->error), "%s",
           k->error.text);
    EXPECT(!oplog_close(log, &k->error), "%s", k->error.text);
}

static void expect_found(struct kit *k, struct disk *disk, struct recovered *found) {
    struct span before = kit_dump(k->store);
    kit_renew(k);
    EXPECT(!recover_log(disk, LOG, k->store, true, found, &k->error), "%s", k->error.text);
    struct span after = kit_dump(k->store);
    EXPECT(span_equal(before, after) && !found->cut, "something else is found");
    kit_dump_free(before);
    kit_dump_free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct kit k;
    struct recovered found;
    if (!k.store) kit_open(&k);
    struct simdisk *d = make_disk(span_of(data, size));
    struct disk *disk = simdisk_disk(d);
    k.error = (struct error){0};
    if (recover_log(disk, LOG, k.store, true, &found, &k.error)) {
        EXPECT(k.error.code && k.error.text[0], "an error says what it is");
    } else {
        expect_found(&k, disk, &found);
        start_and_end(&k, disk, &found);
        expect_found(&k, disk, &found);
        if (!store_find(k.store, SPAN_LITERAL("one-more-partition"))) {
            write_on(&k, disk, &found);
            expect_found(&k, disk, &found);
        }
    }
    simdisk_free(d);
    kit_renew(&k);
    scratch_reset(&k.scratch);
    return 0;
}
