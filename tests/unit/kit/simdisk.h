/* A disk in memory that can lose power, fail, and run full.
 *
 * It remembers for each file what was synced and every change since, and for each name in a directory what it stood for when the
 * directory was synced and everything it has stood for since. What is found after a loss of power is any of what these allow:
 *   - of a file, each sector of 512 bytes is as it was synced or as any change since left it, whatever became of others; one that
 *     was never synced may also be zeros; its length is anything between the shortest and the longest since;
 *   - of a directory, each name stands for any of what it stood for since: a rename may have happened to both names, to one,
 *     or not at all;
 *   - a file whose content was synced may be without a name, and one with a name may be without content.
 * So nothing is kept in order but by a sync between. A process that is killed loses nothing of that, and syncs nothing. */
#ifndef TQ_TESTS_KIT_SIMDISK_H
#define TQ_TESTS_KIT_SIMDISK_H

#include "base/pack.h"
#include "persist/disk.h"
#include "source.h"

struct simdisk;

/* With the directories "/" and "/data", synced. */
struct simdisk *simdisk_new(void);
void simdisk_free(struct simdisk *d);

struct disk *simdisk_disk(struct simdisk *d);

/* `after` is called when anything has changed or was synced, at the end of the operation; NULL: no more. It may look at the disk,
 * and may not change it. */
void simdisk_watch(struct simdisk *d, void (*after)(void *context, struct simdisk *d),
                   void *context);

enum simdisk_crash {
    SIMDISK_KILLED, /* all is there, nothing more is synced than was */
    SIMDISK_LOST,   /* what was not synced is lost */
    SIMDISK_KEPT,   /* what was not synced has made it */
    SIMDISK_TORN,   /* as `source` has it */
};

/* The disk as it is found after that: another one, which nobody watches. */
struct simdisk *simdisk_crash(const struct simdisk *d, enum simdisk_crash how,
                              struct source *source);

/* Operations so far: those that change something, sync, or reserve room. */
uint64_t simdisk_operations(const struct simdisk *d);

/* The n-th operation from now on fails with that code: a write has done half of its work by then, anything else nothing. 0: none
 * does. */
void simdisk_fail(struct simdisk *d, uint64_t nth, enum error_code code);

/* Has that happened? */
bool simdisk_has_failed(const struct simdisk *d);

/* No more than that many bytes in all files. */
void simdisk_limit(struct simdisk *d, uint64_t bytes);

/* What is in the file, to be spoilt; NULL where there is none. */
struct pack *simdisk_bytes(struct simdisk *d, const char *path);

#endif
