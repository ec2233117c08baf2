/* See dirlock.h. */
#include "persist/dirlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* What the owner wrote: one line. */
static void dirlock_read(int fd, char *out, size_t size) {
    ssize_t n = pread(fd, out, size - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static int dirlock_refuse(int fd, const char *directory, struct error *e) {
    char said[128];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool known = !fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK;
    dirlock_read(fd, said, sizeof(said));
    return error_set(e, ERROR_ERR, "directory '%s' is in use by another tq: process %d (%s)",
                     directory, known ? (int)lock.l_pid : 0, *said ? said : "which said nothing");
}

static int dirlock_write(int fd, const char *what) {
    char line[128];
    int n = snprintf(line, sizeof(line), "pid %d, %.100s\n", (int)getpid(), what);
    return ftruncate(fd, 0) || pwrite(fd, line, (size_t)n, 0) != n ? -1 : 0;
}

int dirlock_take(const char *directory, const char *what, int *fd, struct error *e) {
    char path[PATH_MAX];
    const char *why;
    snprintf(path, sizeof(path), "%s/%s", directory, DIRLOCK_NAME);
    *fd = file_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644, FILE_REGULAR, &why);
    if (*fd < 0) return error_set(e, ERROR_ERR, "can't open '%s': %s", path, why);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int failed = 0;
    if (fcntl(*fd, F_SETLK, &lock)) {
        failed = errno == EACCES || errno == EAGAIN
                     ? dirlock_refuse(*fd, directory, e)
                     : error_set(e, ERROR_ERR, "can't lock '%s': %s", path, strerror(errno));
    }
    /* A full disk does not matter: what is written is for people. */
    if (!failed && dirlock_write(*fd, what) && errno != ENOSPC && errno != EDQUOT)
        failed = error_set(e, ERROR_ERR, "can't write '%s': %s", path, strerror(errno));
    if (!failed) return 0;
    close(*fd);
    *fd = -1;
    return failed;
}

bool dirlock_is_there(const char *directory, int fd) {
    char path[PATH_MAX];
    struct stat locked, named;
    snprintf(path, sizeof(path), "%s/%s", directory, DIRLOCK_NAME);
    return !fstat(fd, &locked) && !lstat(path, &named) && locked.st_dev == named.st_dev &&
           locked.st_ino == named.st_ino;
}
