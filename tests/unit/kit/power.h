/* A store with a log and checkpoints on a simulated disk, as the server drives them, and what has to be found of it after a
 * crash.
 *
 * Each turn (power_turn) is a moment: what the store holds then, as a checksum of its dump. After a crash a store has to be that of some
 * moment, not before the last one that was acknowledged: with `always` the last turn that was written, with `everysec` the last
 * that the log says is on the medium. Of checkpoints, each has to be what the last command made of it, or, where that command
 * was under way or failed, what it was before. A start must always succeed.
 *
 * Where a power is watched (power_watch), the disk crashes behind each of its operations, in several ways: out of
 * what is found then a store is made and compared. Some of these go on from there, watched in turn, and so on to some depth. */
#ifndef TQ_TESTS_KIT_POWER_H
#define TQ_TESTS_KIT_POWER_H

#include "base/checksum.h"
#include "persist/catalog.h"
#include "persist/oplog.h"
#include "simdisk.h"
#include "store.h"

#define POWER_LOG "/data/log"
#define POWER_CHECKPOINTS "/data/checkpoints"

enum { POWER_NAMES = 3, POWER_VALUES = 8 };

struct power_moment {
    struct checksum128 sum;
    uint64_t lsn; /* of its frame */
    int64_t us;   /* when it was written */
};

/* What a checkpoint may be found to be: {0, 0}, there is none. */
struct power_wish {
    struct checksum128 values[POWER_VALUES];
    size_t n;
};

/* Shared by all that come out of one. */
struct power_counts {
    uint64_t points, outcomes; /* of the history itself: where it crashed, and what was found */
    uint64_t again;            /* outcomes from which it went on */
    uint64_t later_points, later_outcomes; /* the same, of what went on */
};

struct power {
    struct simdisk *disk;
    struct kit kit;
    struct oplog *log; /* NULL: not begun, off, or dead */
    struct framer framer;
    struct catalog catalog;
    enum oplog_sync sync;
    int64_t now_us;
    bool created; /* there is a log from now on */
    bool dead;    /* the log has failed: the process would have ended */
    struct power_moment *moments;
    size_t n,
        capacity; /* of moments; the last is what the store is, and may be on the way to the disk */
    size_t safe;  /* this moment or a later one is found */
    struct power_wish wishes[POWER_NAMES];
    uint64_t base, base_lsn;
    bool awaiting_base; /* the log is not in force: what was there before it is */
    size_t base_moment;

    /* Watching. */
    struct source *source;
    struct power_counts *counts;
    unsigned outcomes; /* torn ones, at each point */
    int depth;         /* how often a crash may follow upon a crash */
    bool first;        /* no crash was before this */
};

/* A zeroed struct power with `disk`, `sync` and, to be watched, the last five is ready for this: a start. Aborts unless what is
 * found is right; false, and dead, where the disk failed. */
bool power_open(struct power *p);
/* Ends the log properly, or leaves all as it is; then it can be opened again. */
void power_close(struct power *p);
void power_abandon(struct power *p);
/* The rest of it, but for the disk; nothing is done to that. */
void power_free(struct power *p);

void power_watch(struct power *p);

/* Crash here, in all ways, and see. */
void power_crash(struct power *p);

/* Room for an op or more, to be made right after. False where there is none, or nothing can be done any more. */
bool power_admit(struct power *p);

/* The end of a turn: what was done is written. */
void power_turn(struct power *p);

/* Time passes, a tenth of a second at a time, with what is due then. */
void power_pass(struct power *p, int64_t ms);

/* A new base, in three parts, between which there may be turns. The first two return false where that came to nothing. */
bool power_rewrite_begin(struct power *p);
bool power_rewrite_write(struct power *p);
void power_rewrite_end(struct power *p);

/* The log is closed, and what is done then is not acknowledged; then one is begun beside it and its base is written, and then that comes into
 * force. Before the second and the third there may be turns. False where that came to nothing. */
void power_log_off(struct power *p);
bool power_log_begin(struct power *p);
void power_log_end(struct power *p);

/* Checkpoints have the names "0", "1", "2". */
void power_checkpoint(struct power *p, int name);
void power_forget(struct power *p, int name);
void power_restore(struct power *p, int name);

/* ---- for power.c and power_check.c alone ---- */

const char *power_name(int name);
struct checksum128 power_sum(const struct store *s);

/* What the checkpoint of that name holds; {0, 0} where there is none. */
struct checksum128 power_checkpoint_sum(const struct catalog *c, int name);

/* The newest moment of which is known that it is on the medium. */
size_t power_safe_moment(const struct power *p);

/* Is the store that of a moment that may be found, and before the next frame to come? Which one; aborts else. */
size_t power_find_moment(const struct power *p, const struct store *s, uint64_t next_lsn,
                         const char *how);
void power_check_wishes(const struct power *p, const struct catalog *c, const char *how);
void power_report(void *context, const struct error *e);

#endif
