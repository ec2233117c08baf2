/* See kind.h. */
#include "tools/kind.h"

#include <stdio.h>
#include <string.h>

#include "persist/disk.h"

int file_kind(const char *path, enum file_kind *out, struct error *e) {
    static const struct {
        const char *begin;
        enum file_kind kind;
    } kinds[] = {
        {"tq-snap\n", FILE_SNAPSHOT}, {"tq log\r\n", FILE_SEGMENT}, {"tq op lo", FILE_MANIFEST}};
    struct disk *disk = disk_system();
    struct disk_file *file;
    char begin[8] = {0};
    size_t got = 0;
    int failed = disk->ops->open(disk, path, DISK_READ, &file, e);
    if (failed) return failed;
    failed = disk->ops->read(file, 0, begin, sizeof(begin), &got, e);
    disk->ops->close(file);
    for (size_t i = 0; !failed && i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!memcmp(begin, kinds[i].begin, sizeof(begin))) {
            *out = kinds[i].kind;
            return 0;
        }
    return failed ? failed
                  : error_set(e, ERROR_ERR,
                              "'%s' is no snapshot, no segment and no manifest of a log", path);
}

void file_split(const char *path, char *directory, size_t size, const char **name) {
    const char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (slash)
        snprintf(directory, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    else
        snprintf(directory, size, ".");
}
