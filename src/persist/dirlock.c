/* See dirlock.h. */
#include "persist/dirlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

enum { WAIT_STEP_MS = 10, WAIT_STEPS = 100 };

static void dirlock_path(const char *directory, char out[static PATH_MAX]) {
    snprintf(out, PATH_MAX, "%s/%s", directory, DIRLOCK_NAME);
}

/* ---- who has it --------------------------------------------------------------------------- */

/* What the owner wrote: one line. */
static void dirlock_read(int fd, char *out, size_t size) {
    ssize_t n = pread(fd, out, size - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

/* The process that has locked the open file; 0: none. */
static pid_t dirlock_file_owner(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return !fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}

/* The process that has locked the open directory, as the system lists it; 0: it does not say. */
static pid_t dirlock_directory_owner(int fd) {
    char line[256];
    struct stat st;
    FILE *locks = fopen("/proc/locks", "re");
    pid_t owner = 0;
    if (!locks) return 0;
    bool known = !fstat(fd, &st);
    while (known && !owner && fgets(line, sizeof(line), locks)) {
        int pid;
        unsigned high, low;
        unsigned long long inode;
        if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &high, &low, &inode) == 4 &&
            high == major(st.st_dev) && low == minor(st.st_dev) && inode == st.st_ino)
            owner = pid;
    }
    fclose(locks);
    return owner;
}

static int dirlock_refuse(const char *directory, pid_t owner, const char *said, struct error *e) {
    if (owner <= 0)
        return error_set(e, ERROR_ERR,
                         "directory '%s' is in use by another tq: the system does not say by "
                         "which process (%s)",
                         directory, said);
    return error_set(e, ERROR_ERR, "directory '%s' is in use by another tq: process %d (%s)",
                     directory, (int)owner, said);
}

/* The directory is locked by another process. *owned: the file's lock has an owner as well. */
static int dirlock_busy(const char *directory, int fd, bool *owned, struct error *e) {
    char path[PATH_MAX], said[128] = "its " DIRLOCK_NAME " was removed";
    const char *why;
    pid_t owner = 0;
    dirlock_path(directory, path);
    int file = file_open(path, O_RDWR | O_NOFOLLOW, 0, FILE_REGULAR, &why);
    if (file >= 0) {
        owner = dirlock_file_owner(file);
        if (owner) dirlock_read(file, said, sizeof(said));
        close(file);
    }
    *owned = owner != 0;
    return dirlock_refuse(directory, owner ? owner : dirlock_directory_owner(fd), said, e);
}

/* ---- the two locks ------------------------------------------------------------------------ */

/* *busy: another process has it. Else what is returned is 0, or the system's reason. */
static int dirlock_flock(const char *directory, int fd, bool wait, bool *busy, struct error *e) {
    for (int step = 0; flock(fd, LOCK_EX | LOCK_NB); step++) {
        bool owned;
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return errno;
        int failed = dirlock_busy(directory, fd, &owned, e);
        *busy = owned || !wait || step >= WAIT_STEPS;
        if (*busy) return failed;
        nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP_MS * 1000 * 1000}, NULL);
    }
    return 0;
}

/* *out is -1 where the file system has no such locks. */
static int dirlock_lock_directory(const char *directory, bool wait, int *out, struct error *e) {
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *out = -1;
    if (fd < 0) return error_set(e, ERROR_ERR, "can't open '%s': %s", directory, strerror(errno));
    bool busy = false;
    int failed = dirlock_flock(directory, fd, wait, &busy, e);
    if (!failed) {
        *out = fd;
        return 0;
    }
    close(fd);
    if (busy) return ERROR_ERR;
    log_warning("'%s' can't be locked itself (%s): while its " DIRLOCK_NAME
                " is removed, another tq can take it",
                directory, strerror(failed));
    return 0;
}

static int dirlock_write(int fd, const char *what) {
    char line[128];
    int n = snprintf(line, sizeof(line), "pid %d, %.100s\n", (int)getpid(), what);
    return ftruncate(fd, 0) || pwrite(fd, line, (size_t)n, 0) != n ? -1 : 0;
}

static int dirlock_lock_file(const char *directory, const char *what, int *fd, struct error *e) {
    char path[PATH_MAX], said[128];
    const char *why;
    dirlock_path(directory, path);
    *fd = file_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644, FILE_REGULAR, &why);
    if (*fd < 0) return error_set(e, ERROR_ERR, "can't open '%s': %s", path, why);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int failed = 0;
    if (fcntl(*fd, F_SETLK, &lock)) {
        bool busy = errno == EACCES || errno == EAGAIN;
        if (busy) dirlock_read(*fd, said, sizeof(said));
        failed = busy ? dirlock_refuse(directory, dirlock_file_owner(*fd),
                                       *said ? said : "which said nothing", e)
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

/* ---- the interface ------------------------------------------------------------------------ */

/* The directory first: so nobody but its owner ever locks the file. */
int dirlock_take(const char *directory, const char *what, bool wait, struct dirlock *lock,
                 struct error *e) {
    *lock = (struct dirlock){-1, -1, false};
    int failed = dirlock_lock_directory(directory, wait, &lock->directory, e);
    if (!failed) failed = dirlock_lock_file(directory, what, &lock->file, e);
    if (failed) dirlock_release(lock);
    return failed;
}

/* Does `path` name the file that is open? */
static bool dirlock_same(const char *path, int flags, int fd) {
    struct stat locked, named;
    return fd >= 0 && !fstat(fd, &locked) && !fstatat(AT_FDCWD, path, &named, flags) &&
           locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

enum dirlock_state dirlock_look(const char *directory, const struct dirlock *lock) {
    char path[PATH_MAX];
    dirlock_path(directory, path);
    bool there = dirlock_same(path, AT_SYMLINK_NOFOLLOW, lock->file);
    if (lock->directory < 0) return there ? DIRLOCK_HELD : DIRLOCK_LOST;
    if (!dirlock_same(directory, 0, lock->directory)) return DIRLOCK_LOST;
    return there ? DIRLOCK_HELD : DIRLOCK_FILE_GONE;
}

int dirlock_renew(const char *directory, const char *what, struct dirlock *lock, struct error *e) {
    if (lock->file >= 0) close(lock->file);
    lock->file = -1;
    return dirlock_lock_file(directory, what, &lock->file, e);
}

void dirlock_release(struct dirlock *lock) {
    if (lock->file >= 0) close(lock->file);
    if (lock->directory >= 0) close(lock->directory);
    *lock = (struct dirlock){-1, -1, false};
}
