/* A directory of data has one owner.
 *
 * Two servers that write into one directory each replace what the other has acknowledged. The owner
 * holds two locks of the system, which end with the process, however that ends: one on the
 * directory itself (flock), which nobody can take away by removing a file, and one on a file in it
 * (fcntl), which tells others the owner's process id. A file that was left means nothing by itself.
 * A forked child inherits the lock on the directory until it has closed its descriptors.
 *
 * Some file systems, such as NFS, can't lock a directory. Then the file's lock is the only one, and
 * if the file is removed, another server can start until the owner looks again: that is logged. */
#ifndef TQ_PERSIST_DIRLOCK_H
#define TQ_PERSIST_DIRLOCK_H

#include <stdbool.h>

#include "base/error.h"

#define DIRLOCK_NAME "tq.lock"

struct dirlock {
    int file;      /* DIRLOCK_NAME; -1: not locked */
    int directory; /* -1: not locked, or its file system can't */
    bool warned;   /* that the file can't be made again */
};

/* Lock the directory, which exists, and write the process id and `what` (such as a port, for
 * people) into the file. No other descriptor of that file may be closed while it is locked.
 * ERROR_ERR says which process has the directory. With `wait` it waits up to a second for a lock
 * without an owner: the child of a server that was killed just now may still have it. */
int dirlock_take(const char *directory, const char *what, bool wait, struct dirlock *lock,
                 struct error *e);

enum dirlock_state {
    DIRLOCK_HELD,
    DIRLOCK_FILE_GONE, /* the directory is locked, its file was removed: dirlock_renew */
    DIRLOCK_LOST,      /* another process can take it, or never taken: release and take */
};

enum dirlock_state dirlock_look(const char *directory, const struct dirlock *lock);

/* Make and lock the file again. After an error the directory is still locked. */
int dirlock_renew(const char *directory, const char *what, struct dirlock *lock, struct error *e);

void dirlock_release(struct dirlock *lock);

#endif
