/* See file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *file_refused(mode_t mode, enum file_kinds kinds) {
    if (S_ISREG(mode)) return NULL;
    if (S_ISCHR(mode)) return kinds == FILE_OR_DEVICE ? NULL : "is a device, not a regular file";
    if (S_ISFIFO(mode)) return "is a pipe, not a regular file";
    if (S_ISDIR(mode)) return "is a directory, not a regular file";
    return "is not a regular file";
}

int file_open(const char *path, int flags, mode_t mode, enum file_kinds kinds, const char **why) {
    struct stat st;
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
    if (fd < 0) {
        int failed = errno;
        *why = failed == ENXIO ? "is a pipe or a socket, not a regular file" : strerror(failed);
        errno = failed;
        return -1;
    }
    *why = fstat(fd, &st) ? strerror(errno) : file_refused(st.st_mode, kinds);
    /* O_NONBLOCK means nothing to a regular file, and would make a device such as a terminal lose
     * output. */
    if (!*why && !(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags & ~O_CREAT & ~O_TRUNC))
        *why = strerror(errno);
    if (!*why) return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}
