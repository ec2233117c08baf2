/* See snapshot.h: writing. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "persist/snapshot_format.h"
#include "store/dump.h"

enum {
    SMALL = 64 * 1024,      /* payloads that are copied, to be written together */
    GATHERED = 1024 * 1024, /* bytes that are */
    UNSYNCED = 32 << 20,    /* bytes that may wait for a sync */
};

struct writer {
    const struct snapshot_options *options;
    char directory[PATH_MAX];
    const char *name;
    struct disk_file *file;
    uint64_t offset;     /* of the next section */
    uint64_t unsynced;   /* bytes written since the last sync */
    struct pack out;     /* not written yet */
    struct pack frame;   /* of the section under way */
    struct iovec *parts; /* of a large payload */
    size_t parts_capacity;
    struct checksum *checksum;
    struct pack sections, partitions, files; /* of the index */
    uint64_t n_sections, n_partitions, n_files;
    uint32_t *files_of_base; /* by file number of the base: the number here, 0: none yet */
    uint64_t samples, payload_bytes;
    uint64_t done, total; /* bytes that were dumped, and will be */
};

/* ---- bytes -------------------------------------------------------------------------------- */

/* Now and then and not all at the end: a system that is left with gigabytes to write back makes others wait who write to the disk,
 * the log before all, and its cache has taken as much memory. */
static int writer_sync(struct writer *w, struct error *e) {
    int failed = w->file->disk->ops->sync(w->file, e);
    if (!failed) w->file->disk->ops->uncache(w->file);
    w->unsynced = 0;
    return failed;
}

static int writer_flush(struct writer *w, const struct dump_section *section, struct error *e) {
    size_t n = section ? section->n_runs : 0;
    w->parts = mem_grow(w->parts, &w->parts_capacity, n + 1, sizeof(*w->parts));
    w->parts[0] = (struct iovec){w->out.bytes, w->out.len};
    for (size_t i = 0; i < n; i++)
        w->parts[i + 1] = (struct iovec){(void *)section->runs[i].ptr, section->runs[i].len};
    int failed = w->file->disk->ops->write(w->file, w->parts, n + 1, e);
    w->unsynced += w->out.len + (section ? section->payload_len : 0);
    pack_clear(&w->out);
    return failed || w->unsynced < UNSYNCED ? failed : writer_sync(w, e);
}

/* Small payloads are copied behind what waits, large ones go out from where they are. */
static int writer_section_bytes(struct writer *w, const struct dump_section *section,
                                struct error *e) {
    pack_bytes(&w->out, pack_span_of(&w->frame));
    if (section->payload_len > SMALL) return writer_flush(w, section, e);
    for (size_t i = 0; i < section->n_runs; i++) pack_bytes(&w->out, section->runs[i]);
    return w->out.len < GATHERED ? 0 : writer_flush(w, NULL, e);
}

/* ---- sections ----------------------------------------------------------------------------- */

/* Frame and head, and what they say of the section. */
static void writer_frame(struct writer *w, const struct dump_section *section,
                         struct snapshot_section *out) {
    checksum_reset(w->checksum);
    for (size_t i = 0; i < section->n_runs; i++) checksum_add(w->checksum, section->runs[i]);
    struct checksum128 payload = checksum_end128(w->checksum);
    pack_clear(&w->frame);
    pack_u8(&w->frame, (uint8_t)section->kind);
    pack_u32(&w->frame, (uint32_t)section->head.len);
    pack_u32(&w->frame, (uint32_t)section->payload_len);
    pack_u64(&w->frame, payload.low);
    pack_bytes(&w->frame, section->head);
    *out = (struct snapshot_section){
        .kind = (uint8_t)section->kind,
        .offset = w->offset,
        .head_len = (uint32_t)section->head.len,
        .payload_len = (uint32_t)section->payload_len,
        .identity = snapshot_identify(&w->frame, payload),
    };
    pack_u64(&w->frame, checksum64(pack_span_of(&w->frame)));
}

/* The number that a file of the base has in here. */
static uint32_t writer_file_of_base(struct writer *w, uint32_t file) {
    const struct snapshot *base = w->options->base;
    if (!w->files_of_base[file]) {
        const char *name = file ? base->files[file - 1] : base->name;
        pack_span(&w->files, span_of_string(name));
        w->files_of_base[file] = (uint32_t)++w->n_files;
    }
    return w->files_of_base[file];
}

/* The same section in a file that stays: then it need not be written. */
static bool writer_share(struct writer *w, struct snapshot_section *section) {
    const struct snapshot *base = w->options->base;
    if (!base || snapshot_section_bytes(section) < SNAPSHOT_SHARE_MIN) return false;
    const struct snapshot_section *same = snapshot_find(base, section);
    if (!same) return false;
    if (strcmp(same->file ? base->files[same->file - 1] : base->name, w->name) == 0) return false;
    section->file = writer_file_of_base(w, same->file);
    section->offset = same->offset;
    return true;
}

static void writer_list(struct writer *w, const struct snapshot_section *section) {
    pack_u8(&w->sections, section->kind);
    pack_varint(&w->sections, section->file);
    pack_varint(&w->sections, section->offset);
    pack_varint(&w->sections, section->head_len);
    pack_varint(&w->sections, section->payload_len);
    pack_u64(&w->sections, section->identity.low);
    pack_u64(&w->sections, section->identity.high);
    w->n_sections++;
}

static int writer_add(void *context, const struct dump_section *section, struct error *e) {
    struct writer *w = context;
    struct snapshot_section listed;
    if (section->head.len > UINT32_MAX)
        return error_set(e, ERROR_ERR, "%s/%s: a lease or a batch is too large for a snapshot",
                         w->directory, w->name);
    writer_frame(w, section, &listed);
    int failed = 0;
    if (!writer_share(w, &listed)) {
        failed = writer_section_bytes(w, section, e);
        w->offset += snapshot_section_bytes(&listed);
    }
    writer_list(w, &listed);
    w->done += section->payload_len;
    if (w->options->progress && !failed)
        w->options->progress(w->options->context, w->done, w->done > w->total ? w->done : w->total);
    return failed;
}

/* ---- partitions --------------------------------------------------------------------------- */

static int writer_partition(struct writer *w, const struct partition *p, struct error *e) {
    uint64_t before = w->n_sections;
    int failed = dump_partition(p, writer_add, w, e);
    pack_span(&w->partitions, p->name);
    pack_varint(&w->partitions, p->samples);
    pack_varint(&w->partitions, partition_bytes(p));
    pack_varint(&w->partitions, w->n_sections - before);
    w->n_partitions++;
    w->samples += p->samples;
    w->payload_bytes += partition_bytes(p);
    return failed;
}

static int writer_named(struct writer *w, const struct store *s, struct error *e) {
    const struct snapshot_options *options = w->options;
    for (size_t i = 0; i < options->n_partitions; i++) {
        const struct partition *p = store_find(s, options->partitions[i]);
        if (!p) return error_set(e, ERROR_NOPART, "no partition %s", QUOTE(options->partitions[i]));
        w->total += partition_live(p);
    }
    int failed = dump_begin(s, options->now_ms, writer_add, w, e);
    for (size_t i = 0; !failed && i < options->n_partitions; i++)
        failed = writer_partition(w, store_find(s, options->partitions[i]), e);
    return failed;
}

static int writer_store(struct writer *w, const struct store *s, struct error *e) {
    if (w->options->partitions) return writer_named(w, s, e);
    struct store_stats stats;
    store_stats(s, &stats);
    w->total = stats.live_bytes;
    uint64_t cursor = 0;
    int failed = dump_begin(s, w->options->now_ms, writer_add, w, e);
    for (struct partition *p; !failed && (p = store_next(s, &cursor));)
        failed = writer_partition(w, p, e);
    return failed;
}

/* ---- the file ----------------------------------------------------------------------------- */

static void writer_header(struct writer *w) {
    pack_bytes(&w->out, SPAN_LITERAL(SNAPSHOT_MAGIC));
    pack_u32(&w->out, SNAPSHOT_VERSION);
    pack_u32(&w->out, SNAPSHOT_KIND);
    pack_u64(&w->out, checksum64(pack_span_of(&w->out)));
    w->offset = SNAPSHOT_HEADER;
}

static int writer_end(struct writer *w, struct error *e) {
    int failed = writer_flush(w, NULL, e);
    if (failed) return failed;
    struct pack *out = &w->out;
    pack_span(out, w->options->meta);
    pack_varint(out, w->n_files);
    pack_bytes(out, pack_span_of(&w->files));
    pack_varint(out, w->n_partitions);
    pack_bytes(out, pack_span_of(&w->partitions));
    pack_varint(out, w->n_sections);
    pack_bytes(out, pack_span_of(&w->sections));
    size_t index_len = out->len;
    uint64_t index_sum = checksum64(pack_span_of(out));
    const uint64_t numbers[] = {
        w->offset,       index_len,       index_sum,
        w->n_partitions, w->samples,      w->payload_bytes,
        w->n_sections,   w->options->lsn, (uint64_t)w->options->now_ms,
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) pack_u64(out, numbers[i]);
    pack_u64(out, checksum64(span_of(out->bytes + index_len, out->len - index_len)));
    pack_bytes(out, SPAN_LITERAL(SNAPSHOT_END));
    if (w->options->written) *w->options->written = w->offset + out->len;
    failed = writer_flush(w, NULL, e);
    return failed ? failed : writer_sync(w, e);
}

static void writer_free(struct writer *w) {
    pack_free(&w->out);
    pack_free(&w->frame);
    pack_free(&w->sections);
    pack_free(&w->partitions);
    pack_free(&w->files);
    mem_free(w->parts);
    mem_free(w->files_of_base);
    checksum_free(w->checksum);
    mem_free(w);
}

/* Under the temporary name. */
static int writer_write(struct writer *w, struct disk *disk, const char *path,
                        const struct store *s, struct error *e) {
    int failed = disk->ops->open(disk, path, DISK_CREATE, &w->file, e);
    if (failed) return failed;
    writer_header(w);
    failed = writer_store(w, s, e);
    if (!failed) failed = writer_end(w, e);
    disk->ops->close(w->file);
    if (failed) disk->ops->remove(disk, path, NULL);
    return failed;
}

static struct writer *writer_new(const struct snapshot_options *options) {
    struct writer *w = mem_calloc(1, sizeof(*w));
    w->options = options;
    w->checksum = checksum_new();
    if (options->base)
        w->files_of_base = mem_calloc(options->base->n_files + 1, sizeof(*w->files_of_base));
    return w;
}

int snapshot_write(struct disk *disk, const char *path, const struct store *s,
                   const struct snapshot_options *options, struct error *e) {
    char temporary[PATH_MAX];
    struct writer *w = writer_new(options);
    int failed = 0, len = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (len < 0 || (size_t)len >= sizeof(temporary) ||
        !snapshot_split(path, w->directory, &w->name))
        failed = error_set(e, ERROR_ERR, "the path '%.200s' is too long or names no file", path);
    if (!failed && options->base && strcmp(options->base->directory, w->directory))
        failed = error_set(e, ERROR_ERR, "a snapshot in '%.100s' can't stand on one in '%.100s'",
                           w->directory, options->base->directory);
    if (!failed) failed = writer_write(w, disk, temporary, s, e);
    if (!failed) failed = disk->ops->rename(disk, temporary, path, e);
    if (!failed) failed = disk->ops->sync_directory(disk, w->directory, e);
    writer_free(w);
    return failed;
}
