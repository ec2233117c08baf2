/* Opening files by name without waiting.
 *
 * open(2) of a FIFO waits for the process at its other end, for ever where there is none. A name
 * in a configuration, or in a directory of data, can be one. */
#ifndef TQ_BASE_FILE_H
#define TQ_BASE_FILE_H

#include <sys/types.h>

enum file_kinds {
    FILE_REGULAR = 0,
    FILE_OR_DEVICE = 1 /* a character device too, such as /dev/null */
};

/* open(2) with O_CLOEXEC, of a regular file or what `kinds` admits. Returns the descriptor, or -1;
 * then *why says what is wrong, in words of a static buffer of the system or of this program. */
int file_open(const char *path, int flags, mode_t mode, enum file_kinds kinds, const char **why);

#endif
