/* See disk.h. */
#include "persist/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

struct system_file {
    struct disk_file file;
    int fd;
    char *path;
    uint64_t synced, uncached; /* bytes from its beginning */
};

#define SYSTEM_FILE(f) ((struct system_file *)(f))

/* The code follows errno. */
static int system_refused(struct error *e, const char *what, const char *path, const char *why) {
    enum error_code code = errno == ENOSPC || errno == EDQUOT || errno == EROFS || errno == EFBIG
                               ? ERROR_MISCONF
                               : ERROR_ERR;
    return error_set(e, code, "can't %s '%s': %s", what, path, why);
}

static int system_error(struct error *e, const char *what, const char *path) {
    return system_refused(e, what, path, strerror(errno));
}

/* ---- files -------------------------------------------------------------------------------- */

static int system_open(struct disk *disk, const char *path, enum disk_mode mode,
                       struct disk_file **out, struct error *e) {
    static const int flags[] = {[DISK_READ] = O_RDONLY,
                                [DISK_CREATE] = O_RDWR | O_CREAT | O_TRUNC | O_APPEND,
                                [DISK_APPEND] = O_RDWR | O_APPEND};
    const char *why;
    int fd = file_open(path, flags[mode], 0644, FILE_REGULAR, &why);
    if (fd < 0) return system_refused(e, mode == DISK_CREATE ? "create" : "open", path, why);
    struct system_file *file = mem_calloc(1, sizeof(*file));
    file->file.disk = disk;
    file->fd = fd;
    file->path = mem_dup(path, strlen(path) + 1);
    *out = &file->file;
    return 0;
}

static int system_write(struct disk_file *f, const struct iovec *parts, size_t n, struct error *e) {
    enum { PARTS = 256 };
    const struct system_file *file = SYSTEM_FILE(f);
    struct iovec now[PARTS];
    size_t at = 0, skip = 0; /* the first part not written, and its bytes that are */
    for (;;) {
        while (at < n && skip == parts[at].iov_len) at++, skip = 0;
        if (at == n) return 0;
        int count = 0;
        for (size_t i = at; i < n && count < PARTS; i++) now[count++] = parts[i];
        now[0].iov_base = (char *)now[0].iov_base + skip;
        now[0].iov_len -= skip;
        ssize_t wrote = writev(file->fd, now, count);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return system_error(e, "write to", file->path);
        for (size_t left = (size_t)wrote; left;) {
            size_t step = parts[at].iov_len - skip < left ? parts[at].iov_len - skip : left;
            left -= step;
            skip += step;
            if (skip == parts[at].iov_len && left) at++, skip = 0;
        }
    }
}

static int system_read(struct disk_file *f, uint64_t offset, void *out, size_t len, size_t *got,
                       struct error *e) {
    const struct system_file *file = SYSTEM_FILE(f);
    for (*got = 0; *got < len;) {
        ssize_t n = pread(file->fd, (char *)out + *got, len - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return error_set(e, ERROR_ERR, "can't read '%s', offset %" PRIu64 ": %s", file->path,
                             offset + *got, strerror(errno));
        if (n == 0) break;
        *got += (size_t)n;
    }
    return 0;
}

static int system_size(struct disk_file *f, uint64_t *out, struct error *e) {
    struct stat st;
    if (fstat(SYSTEM_FILE(f)->fd, &st)) return system_error(e, "look at", SYSTEM_FILE(f)->path);
    *out = (uint64_t)st.st_size;
    return 0;
}

static int system_sync(struct disk_file *f, struct error *e) {
    uint64_t size;
    int failed = system_size(f, &size, e);
    if (failed) return failed;
    while (fdatasync(SYSTEM_FILE(f)->fd))
        if (errno != EINTR) return system_error(e, "sync", SYSTEM_FILE(f)->path);
    SYSTEM_FILE(f)->synced = size;
    return 0;
}

/* Whole pages, and not a few at a time. A system that does not do it keeps them: that is no error. */
static void system_uncache(struct disk_file *f) {
    enum { PAGE = 4096, AT_ONCE = 1024 * 1024 };
    struct system_file *file = SYSTEM_FILE(f);
    uint64_t end = file->synced - file->synced % PAGE;
    if (end < file->uncached + AT_ONCE) return;
    posix_fadvise(file->fd, (off_t)file->uncached, (off_t)(end - file->uncached),
                  POSIX_FADV_DONTNEED);
    file->uncached = end;
}

/* Does it say that there is so much? */
static int ask_for_room(const struct system_file *file, uint64_t end, struct error *e) {
    struct statvfs fs;
    struct stat st;
    if (fstatvfs(file->fd, &fs) || fstat(file->fd, &st))
        return system_error(e, "look at", file->path);
    uint64_t has = (uint64_t)st.st_blocks * 512; /* with what was reserved */
    if ((uint64_t)st.st_size > has) has = (uint64_t)st.st_size;
    uint64_t more = end > has ? end - has : 0;
    errno = ENOSPC;
    return more / fs.f_frsize < fs.f_bavail || !more
               ? 0
               : system_error(e, "reserve room for", file->path);
}

/* It is asked first, since an attempt in vain takes what there is until it fails, or keeps it: then nobody else has room for anything,
 * such as the snapshot that would replace the log. Where a file system cannot allocate ahead, its answer has to do. */
static int system_reserve(struct disk_file *f, uint64_t end, struct error *e) {
    const struct system_file *file = SYSTEM_FILE(f);
    int failed = ask_for_room(file, end, e);
    while (!failed && fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)end)) {
        if (errno == EINTR) continue;
        if (errno == EOPNOTSUPP || errno == ENOSYS) return 0;
        failed = system_error(e, "reserve room for", file->path);
    }
    return failed;
}

static int system_truncate(struct disk_file *f, uint64_t len, struct error *e) {
    if (ftruncate(SYSTEM_FILE(f)->fd, (off_t)len))
        return system_error(e, "truncate", SYSTEM_FILE(f)->path);
    return 0;
}

static bool system_is_there(struct disk_file *f) {
    const struct system_file *file = SYSTEM_FILE(f);
    struct stat opened, named;
    return !fstat(file->fd, &opened) && opened.st_nlink > 0 && !stat(file->path, &named) &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static void system_close(struct disk_file *f) {
    close(SYSTEM_FILE(f)->fd);
    mem_free(SYSTEM_FILE(f)->path);
    mem_free(f);
}

/* ---- names -------------------------------------------------------------------------------- */

static int system_rename(struct disk *disk, const char *from, const char *to, struct error *e) {
    (void)disk;
    return rename(from, to) ? system_error(e, "rename a file to", to) : 0;
}

static int system_link(struct disk *disk, const char *from, const char *to, struct error *e) {
    (void)disk;
    return link(from, to) ? system_error(e, "make a link", to) : 0;
}

static int system_remove(struct disk *disk, const char *path, struct error *e) {
    (void)disk;
    return remove(path) ? system_error(e, "remove", path) : 0;
}

static int system_make_directory(struct disk *disk, const char *path, struct error *e) {
    (void)disk;
    return mkdir(path, 0755) && errno != EEXIST ? system_error(e, "make the directory", path) : 0;
}

static int system_sync_directory(struct disk *disk, const char *path, struct error *e) {
    (void)disk;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return system_error(e, "open the directory", path);
    int failed = fsync(fd) ? system_error(e, "sync the directory", path) : 0;
    close(fd);
    return failed;
}

static int system_list(struct disk *disk, const char *path,
                       void (*each)(void *context, const char *name), void *context,
                       struct error *e) {
    (void)disk;
    DIR *directory = opendir(path);
    if (!directory) return system_error(e, "list the directory", path);
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) each(context, entry->d_name);
    closedir(directory);
    return 0;
}

static bool system_exists(struct disk *disk, const char *path) {
    (void)disk;
    return access(path, F_OK) == 0;
}

static bool system_look(struct disk *disk, const char *path, struct disk_identity *out) {
    (void)disk;
    struct stat st;
    if (stat(path, &st)) return false;
    *out = (struct disk_identity){st.st_dev, st.st_ino, (uint64_t)st.st_size};
    return true;
}

struct disk *disk_system(void) {
    static const struct disk_ops ops = {
        .open = system_open,
        .write = system_write,
        .read = system_read,
        .size = system_size,
        .sync = system_sync,
        .uncache = system_uncache,
        .reserve = system_reserve,
        .truncate = system_truncate,
        .close = system_close,
        .is_there = system_is_there,
        .rename = system_rename,
        .link = system_link,
        .remove = system_remove,
        .make_directory = system_make_directory,
        .sync_directory = system_sync_directory,
        .list = system_list,
        .exists = system_exists,
        .look = system_look,
    };
    static struct disk disk = {.ops = &ops};
    return &disk;
}

/* ---- made of these ------------------------------------------------------------------------ */

int disk_sync_parent(struct disk *disk, const char *path, struct error *e) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(parent, sizeof(parent), ".");
    else
        snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return disk->ops->sync_directory(disk, parent, e);
}

int disk_replace(struct disk *disk, const char *directory, const char *name, struct span bytes,
                 struct error *e) {
    char path[PATH_MAX], temporary[PATH_MAX];
    int fits = snprintf(temporary, sizeof(temporary), "%s/%s.tmp", directory, name);
    if (fits < 0 || (size_t)fits >= sizeof(temporary))
        return error_set(e, ERROR_ERR, "the path of '%s' is too long", name);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    struct disk_file *file;
    int failed = disk->ops->open(disk, temporary, DISK_CREATE, &file, e);
    if (failed) return failed;
    struct iovec part = {.iov_base = (void *)bytes.ptr, .iov_len = bytes.len};
    failed = disk->ops->write(file, &part, 1, e);
    if (!failed) failed = disk->ops->sync(file, e);
    disk->ops->close(file);
    if (!failed) failed = disk->ops->rename(disk, temporary, path, e);
    if (!failed) failed = disk->ops->sync_directory(disk, directory, e);
    return failed;
}

int disk_copy(struct disk_file *file, uint64_t offset, const char *to, struct error *e) {
    enum { PIECE = 256 * 1024 };
    const struct disk_ops *ops = file->disk->ops;
    struct disk_file *copy;
    int failed = ops->open(file->disk, to, DISK_CREATE, &copy, e);
    if (failed) return failed;
    char *piece = mem_alloc(PIECE);
    for (size_t got = PIECE; !failed && got == PIECE; offset += got) {
        failed = ops->read(file, offset, piece, PIECE, &got, e);
        const struct iovec part = {piece, got};
        if (!failed && got) failed = ops->write(copy, &part, 1, e);
    }
    mem_free(piece);
    if (!failed) failed = ops->sync(copy, e);
    ops->close(copy);
    return failed;
}
