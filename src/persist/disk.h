/* Files, as the log and snapshots see them.
 *
 * What is promised after a loss of power depends on which writes were synced, in which order, and on directories being
 * synced too. To show that the promise holds, the code that makes it runs on an interface: the server has one
 * that calls the system (disk_system), tests have one that forgets or reorders what was not synced, fails, or runs full.
 *
 * Nothing here is retried and nothing is swallowed: an error names the file and what the system said about it. */
#ifndef TQ_PERSIST_DISK_H
#define TQ_PERSIST_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/span.h"

enum disk_mode {
    DISK_READ,   /* an existing file */
    DISK_CREATE, /* a new one, or an old one emptied; to write */
    DISK_APPEND, /* an existing one; writes go to its end */
};

struct disk;

/* Which file a name stands for, and how long it is. */
struct disk_identity {
    uint64_t device, inode, size;
};

/* Implementations put their own data behind these. */
struct disk_file {
    struct disk *disk;
};

struct disk_ops {
    int (*open)(struct disk *disk, const char *path, enum disk_mode mode, struct disk_file **out,
                struct error *e);
    /* All of it, at the end of the file, or an error: then part of it may be there. */
    int (*write)(struct disk_file *file, const struct iovec *parts, size_t n, struct error *e);
    /* *got is less than len only at the end of the file. An error names the offset. Files are read
     * this way and never mapped: behind a mapping a bad sector, or an end that moved, is SIGBUS. */
    int (*read)(struct disk_file *file, uint64_t offset, void *out, size_t len, size_t *got,
                struct error *e);
    int (*size)(struct disk_file *file, uint64_t *out, struct error *e);
    /* What was written is on the medium. May be called by another thread than the one that writes. */
    int (*sync)(struct disk_file *file, struct error *e);
    /* What was synced will not be read soon: the system need not keep it in its cache, and can use that memory for what is
     * written next. A hint; by the thread that syncs. */
    void (*uncache)(struct disk_file *file);
    /* Writes up to this offset will find room. ERROR_MISCONF where there is none, or the medium is read-only. */
    int (*reserve)(struct disk_file *file, uint64_t end, struct error *e);
    int (*truncate)(struct disk_file *file, uint64_t len, struct error *e);
    void (*close)(struct disk_file *file);
    /* Does the name by which the file was opened still stand for it? */
    bool (*is_there)(struct disk_file *file);

    int (*rename)(struct disk *disk, const char *from, const char *to, struct error *e);
    int (*link)(struct disk *disk, const char *from, const char *to, struct error *e);
    int (*remove)(struct disk *disk, const char *path, struct error *e);
    int (*make_directory)(struct disk *disk, const char *path,
                          struct error *e); /* or it is there */
    int (*sync_directory)(struct disk *disk, const char *path, struct error *e);
    /* Names without "." and "..", in no order. */
    int (*list)(struct disk *disk, const char *path, void (*each)(void *context, const char *name),
                void *context, struct error *e);
    bool (*exists)(struct disk *disk, const char *path);
    /* False where there is nothing, or where that can't be determined. */
    bool (*look)(struct disk *disk, const char *path, struct disk_identity *out);
};

struct disk {
    const struct disk_ops *ops;
};

/* The system's files. */
struct disk *disk_system(void);

/* ---- what is made of these ---- */

/* What `path` names, which may be new, is found again after a loss of power: the directory that it is in is synced. */
int disk_sync_parent(struct disk *disk, const char *path, struct error *e);

/* `bytes` are in `path`, on the medium, or what was there before still is: a temporary file, synced and renamed. */
int disk_replace(struct disk *disk, const char *directory, const char *name, struct span bytes,
                 struct error *e);

/* Copies the bytes of `file` from `offset` on into a file `to`, which is created and synced. After
 * an error `to` holds a part of them. */
int disk_copy(struct disk_file *file, uint64_t offset, const char *to, struct error *e);

#endif
