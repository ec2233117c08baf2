/* See manifest.h. */
#include "persist/manifest.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "persist/segment.h"

enum { MANIFEST_BYTES_MAX = 1024 };

#define MANIFEST_FORM                                                                              \
    "tq op log\nformat %u\nid %016" PRIx64 "\nbase %" PRIu64 " lsn %" PRIu64 "\nsegments %" PRIu64 \
    " %" PRIu64 "\n"

const char *manifest_base_name(uint64_t number, char out[static MANIFEST_BASE_NAME_MAX]) {
    snprintf(out, MANIFEST_BASE_NAME_MAX, "base.%06" PRIu64 ".tqs", number);
    return out;
}

static size_t manifest_print(const struct manifest *m, char out[static MANIFEST_BYTES_MAX]) {
    int n = snprintf(out, MANIFEST_BYTES_MAX, MANIFEST_FORM, MANIFEST_VERSION, m->log_id, m->base,
                     m->lsn, m->first, m->last);
    uint64_t sum = checksum64(span_of(out, (size_t)n));
    n += snprintf(out + n, MANIFEST_BYTES_MAX - (size_t)n, "checksum %016" PRIx64 "\n", sum);
    return (size_t)n;
}

int manifest_write(struct disk *disk, const char *directory, const struct manifest *m,
                   struct error *e) {
    char text[MANIFEST_BYTES_MAX];
    size_t len = manifest_print(m, text);
    return disk_replace(disk, directory, MANIFEST_NAME, span_of(text, len), e);
}

/* What was read has to be, byte by byte, what would be written for it: then nothing in it can be wrong without showing. */
static int manifest_parse(const char *path, char *text, size_t len, struct manifest *m,
                          struct error *e) {
    unsigned version = 0;
    char again[MANIFEST_BYTES_MAX];
    text[len] = '\0';
    if (sscanf(text, "tq op log\nformat %u\n", &version) == 1 && version > MANIFEST_VERSION)
        return error_set(e, ERROR_ERR, "'%s' has format %u, this tq reads format %d", path, version,
                         MANIFEST_VERSION);
    int found = sscanf(text,
                       "tq op log\nformat %u\nid %" SCNx64 "\nbase %" SCNu64 " lsn %" SCNu64
                       "\nsegments %" SCNu64 " %" SCNu64 "\n",
                       &version, &m->log_id, &m->base, &m->lsn, &m->first, &m->last);
    if (found != 6) return error_set(e, ERROR_ERR, "'%s' is no manifest of an op log", path);
    if (manifest_print(m, again) != len || memcmp(again, text, len) != 0)
        return error_set(e, ERROR_ERR, "'%s' does not match its checksum", path);
    if (!m->lsn || !m->first || m->first > m->last || m->last - m->first > 1000000 ||
        (m->lsn | m->last) > INT64_MAX)
        return error_set(e, ERROR_ERR,
                         "'%s' names segments %" PRIu64 " to %" PRIu64 ", lsn %" PRIu64, path,
                         m->first, m->last, m->lsn);
    return 0;
}

int manifest_read(struct disk *disk, const char *directory, struct manifest *out, struct error *e) {
    char path[PATH_MAX], text[MANIFEST_BYTES_MAX];
    struct disk_file *file;
    size_t len = 0;
    snprintf(path, sizeof(path), "%s/%s", directory, MANIFEST_NAME);
    if (!disk->ops->exists(disk, path)) return error_set(e, ERROR_NOKEY, "there is no '%s'", path);
    int failed = disk->ops->open(disk, path, DISK_READ, &file, e);
    if (failed) return failed;
    failed = disk->ops->read(file, 0, text, sizeof(text) - 1, &len, e);
    disk->ops->close(file);
    return failed ? failed : manifest_parse(path, text, len, out, e);
}

/* ---- what is left over -------------------------------------------------------------------- */

struct sweep {
    struct disk *disk;
    const char *directory;
    const struct manifest *manifest;
};

static bool is_left_over(const struct manifest *m, const char *name) {
    char own[SEGMENT_NAME_MAX + MANIFEST_BASE_NAME_MAX];
    uint64_t number, lsn = 0;
    size_t len = strlen(name);
    if (sscanf(name, "log.%" SCNu64 ".%" SCNu64, &number, &lsn) >= 1 &&
        (!strcmp(segment_name(number, own), name) ||
         !strcmp(segment_directory(number, lsn, own), name)))
        return number < m->first || number > m->last;
    if (sscanf(name, "base.%" SCNu64, &number) == 1 &&
        !strcmp(manifest_base_name(number, own), name))
        return number != m->base;
    bool ours = !strncmp(name, "log.", 4) || !strncmp(name, "base.", 5) ||
                !strncmp(name, MANIFEST_NAME, strlen(MANIFEST_NAME));
    return ours && len > 4 && !strcmp(name + len - 4, ".tmp");
}

static void remove_inside(void *context, const char *name) {
    const struct sweep *sweep = context;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", sweep->directory, name);
    sweep->disk->ops->remove(sweep->disk, path, NULL);
}

static void sweep_one(void *context, const char *name) {
    const struct sweep *sweep = context;
    char path[PATH_MAX];
    if (!is_left_over(sweep->manifest, name)) return;
    snprintf(path, sizeof(path), "%s/%s", sweep->directory, name);
    struct sweep inside = {.disk = sweep->disk, .directory = path};
    if (name[strlen(name) - 1] == 'd')
        sweep->disk->ops->list(sweep->disk, path, remove_inside, &inside, NULL);
    sweep->disk->ops->remove(sweep->disk, path, NULL);
}

void manifest_sweep(struct disk *disk, const char *directory, const struct manifest *m) {
    struct sweep sweep = {disk, directory, m};
    disk->ops->list(disk, directory, sweep_one, &sweep, NULL);
}
