/* A directory of data has one owner.
 *
 * Two servers that write into one directory each replace what the other has acknowledged. The owner
 * holds a lock of the system (fcntl) on a file in the directory; it ends with the process, however
 * that ends, so a file that was left means nothing by itself. A forked child does not have it. */
#ifndef TQ_PERSIST_DIRLOCK_H
#define TQ_PERSIST_DIRLOCK_H

#include <stdbool.h>

#include "base/error.h"

#define DIRLOCK_NAME "tq.lock"

/* Lock the directory, which exists, and write the process id and `what` (such as a port, for
 * people) into the file. *fd holds the lock until it is closed; no other descriptor of that file
 * may be closed meanwhile. ERROR_ERR says which process has it. */
int dirlock_take(const char *directory, const char *what, int *fd, struct error *e);

/* Is the file that `fd` locks still the one in the directory? Where somebody removed it, another
 * process can take the directory: release `fd` and take the lock again. */
bool dirlock_is_there(const char *directory, int fd);

#endif
