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

/* ---- the files beside it ------------------------------------------------------------------ */

enum role { ROLE_NONE, ROLE_SEGMENT, ROLE_KEPT, ROLE_BASE, ROLE_TEMPORARY };

/* What this file is to a log, by its name; its number, of all but temporary ones. */
static enum role role_of(const char *name, uint64_t *number) {
    char own[SEGMENT_NAME_MAX + MANIFEST_BASE_NAME_MAX];
    uint64_t lsn = 0;
    size_t len = strlen(name);
    if (sscanf(name, "log.%" SCNu64 ".%" SCNu64, number, &lsn) >= 1 && *number < INT64_MAX) {
        if (!strcmp(segment_name(*number, own), name)) return ROLE_SEGMENT;
        if (!strcmp(segment_directory(*number, lsn, own), name)) return ROLE_KEPT;
    }
    if (sscanf(name, "base.%" SCNu64, number) == 1 && *number < INT64_MAX &&
        !strcmp(manifest_base_name(*number, own), name))
        return ROLE_BASE;
    bool ours = !strncmp(name, "log.", 4) || !strncmp(name, "base.", 5) ||
                !strncmp(name, MANIFEST_NAME, strlen(MANIFEST_NAME));
    return ours && len > 4 && !strcmp(name + len - 4, ".tmp") ? ROLE_TEMPORARY : ROLE_NONE;
}

struct look {
    struct disk *disk;
    const char *directory;
    uint64_t highest;
    char orphan[NAME_MAX + 1]; /* that a manifest must have named */
};

static void look_one(void *context, const char *name) {
    struct look *look = context;
    uint64_t number;
    enum role role = role_of(name, &number);
    if (role == ROLE_NONE || role == ROLE_TEMPORARY) return;
    if (number > look->highest) look->highest = number;
    if (role == ROLE_KEPT || number > 1) snprintf(look->orphan, sizeof(look->orphan), "%s", name);
}

/* A log that was begun and has no manifest yet is a base or none, and a segment without frames, both of number 1. */
static int check_orphans(struct disk *disk, const char *directory, struct error *e) {
    struct look look = {.disk = disk, .directory = directory};
    char path[PATH_MAX], name[SEGMENT_NAME_MAX];
    struct disk_file *first;
    uint64_t size = 0;
    int failed = disk->ops->list(disk, directory, look_one, &look, e);
    snprintf(path, sizeof(path), "%s/%s", directory, segment_name(1, name));
    if (!failed && disk->ops->exists(disk, path)) {
        failed = disk->ops->open(disk, path, DISK_READ, &first, e);
        if (failed) return failed;
        failed = disk->ops->size(first, &size, e);
        disk->ops->close(first);
    }
    if (failed) return failed;
    if (size > SEGMENT_HEADER) memcpy(look.orphan, name, strlen(name) + 1);
    if (!look.orphan[0]) return 0;
    return error_set(e, ERROR_ERR,
                     "'%s' holds '%s' of an op log, but its '" MANIFEST_NAME "' is missing",
                     directory, look.orphan);
}

int manifest_number(struct disk *disk, const char *directory, uint64_t *out, struct error *e) {
    struct look look = {.disk = disk, .directory = directory};
    int failed = disk->ops->list(disk, directory, look_one, &look, e);
    *out = look.highest + 1;
    return failed;
}

/* ---- reading ------------------------------------------------------------------------------ */

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
    int failed = 0;
    if (!disk->ops->exists(disk, path)) {
        if (disk->ops->exists(disk, directory)) failed = check_orphans(disk, directory, e);
        return failed ? failed : error_set(e, ERROR_NOKEY, "there is no '%s'", path);
    }
    failed = disk->ops->open(disk, path, DISK_READ, &file, e);
    if (failed) return failed;
    failed = disk->ops->read(file, 0, text, sizeof(text) - 1, &len, e);
    disk->ops->close(file);
    return failed ? failed : manifest_parse(path, text, len, out, e);
}

/* ---- what ops speak of -------------------------------------------------------------------- */

struct kept {
    struct disk *disk;
    const char *directory, *inside;
    const struct manifest *manifest;
    uint64_t number;
    void (*each)(void *context, uint64_t number, const char *name);
    void *context;
    int failed;
    struct error *e;
};

static void kept_file(void *context, const char *name) {
    const struct kept *kept = context;
    char both[2 * NAME_MAX + 2];
    snprintf(both, sizeof(both), "%s/%s", kept->inside, name);
    kept->each(kept->context, kept->number, both);
}

static void kept_directory(void *context, const char *name) {
    struct kept *kept = context;
    const struct manifest *m = kept->manifest;
    char path[PATH_MAX];
    if (kept->failed || role_of(name, &kept->number) != ROLE_KEPT) return;
    if (kept->number < m->first || kept->number > m->last) return;
    snprintf(path, sizeof(path), "%s/%s", kept->directory, name);
    kept->inside = name;
    kept->failed = kept->disk->ops->list(kept->disk, path, kept_file, kept, kept->e);
}

int manifest_list_kept(struct disk *disk, const char *directory, const struct manifest *m,
                       void (*each)(void *context, uint64_t number, const char *name),
                       void *context, struct error *e) {
    struct kept kept = {.disk = disk,
                        .directory = directory,
                        .manifest = m,
                        .each = each,
                        .context = context,
                        .e = e};
    int failed = disk->ops->list(disk, directory, kept_directory, &kept, e);
    return failed ? failed : kept.failed;
}

/* ---- what is left over -------------------------------------------------------------------- */

struct sweep {
    struct disk *disk;
    const char *directory;
    const struct manifest *manifest;
};

static bool is_left_over(const struct manifest *m, const char *name) {
    uint64_t number;
    switch (role_of(name, &number)) {
    case ROLE_SEGMENT:
    case ROLE_KEPT: return number < m->first || number > m->last;
    case ROLE_BASE: return number != m->base;
    case ROLE_TEMPORARY: return true;
    default: return false;
    }
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
