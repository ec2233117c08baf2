/* What is kept on disk, and when: the op log and snapshots, as options and commands want them.
 *
 * With `appendonly yes` every op goes into the log (persist/oplog.h) at the end of the turn that applied it, before any reply of that
 * turn is sent; the log's base is renewed by BGREWRITEAOF, or by itself when the log has grown. `save` rules, SAVE and BGSAVE
 * write a snapshot of their own, `dbfilename`, which is what a server without a log begins with.
 *
 * Here are options, the turn, and the figures; loading.h is the start, appendonly.h turns the log on and off, saves.h makes snapshots,
 * checkpoints.h those with names. */
#ifndef TQ_SERVER_PERSISTENCE_H
#define TQ_SERVER_PERSISTENCE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "persist/dirlock.h"
#include "server/feed.h"
#include "server/text.h"

struct disk;
struct loading;
struct manifest;
struct op;
struct oplog;
struct oplog_options;
struct server;

enum { SAVE_RULES_MAX = 16 };

struct save_rule {
    int64_t seconds,
        changes; /* a snapshot is due when so many samples changed and the last is as old */
};

/* How the last one of a kind went. */
struct save_record {
    bool failed;
    int64_t tried_s,
        ended_s;    /* wall clock: the last that ended, the last that did so well; 0: never */
    int64_t took_s; /* -1: never */
    uint64_t count;
};

struct persistence {
    struct disk *disk;

    /* Options. */
    bool appendonly;
    int appendfsync; /* enum oplog_sync */
    char *directory, *dump_name, *log_name, *checkpoint_name, *save_words;
    bool stop_on_save_error;
    int64_t rewrite_percentage, rewrite_min_size;
    struct save_rule rules[SAVE_RULES_MAX];
    size_t n_rules;

    bool started;
    struct dirlock lock;            /* of `directory` */
    struct dirlock checkpoint_lock; /* of the directory of checkpoints */
    struct oplog *log;              /* NULL: there is none; set by persistence_use_log */
    struct feed_reader reader;      /* of the feed, while there is a log */
    struct oplog *begun;     /* that becomes `log` as soon as a child can write its base */
    bool awaiting_base;      /* `log` has no base yet and is not in force */
    bool lapsed;             /* the log was lost: writes are refused until there is one again */
    struct error lapse;      /* why */
    uint64_t lost_id;        /* of the log that was lost, until there is one again; 0: none */
    uint64_t known_id;       /* of the log there that this process wrote or replaces; 0: none */
    int64_t looked_us;       /* when it was last seen that the log's files are there */
    struct loading *loading; /* NULL: the store is complete */
    bool failed;             /* the log can't be written any more: the process ends */

    /* Of saves.c. */
    uint64_t changes;         /* samples changed since the last snapshot of dump_name */
    uint64_t changes_at_save; /* the same, when the one under way began */
    struct save_record saves, rewrites;
    bool save_wanted, rewrite_wanted; /* when the child that runs has ended */
    bool rewrite_runs;                /* from making the next segment until the base is in force */
    bool rewrite_prepares;            /* the next segment is being made */
    uint64_t rewrite_base, rewrite_lsn;
    uint64_t base_bytes;   /* of the log's base */
    uint64_t size_at_base; /* of base and segments when the base was made */
};

/* Nothing is kept yet; listens to changes. Before the options are registered. */
void persistence_init(struct server *s);

void persistence_register_options(struct server *s);

/* This process may write into `dir`, and alone: asked before anything is written there. It is
 * locked at the start where something is kept or found there, else when the first thing is written,
 * so that servers that keep nothing may share a directory. ERROR_ERR names the owner. */
int persistence_own(struct server *s, struct error *e);

/* The same for the directory of checkpoints, which is there. */
int persistence_own_checkpoints(struct server *s, struct error *e);

/* Would a crash now find everything that was acknowledged? */
bool persistence_in_force(const struct server *s);

/* At the end of the process. */
void persistence_disown(struct server *s);

/* The directories are there and can be used; what is on disk begins to be loaded. */
int persistence_start(struct server *s, struct error *e);

/* The log goes on behind what was loaded of it; without a manifest one begins, with an empty store. */
int persistence_begin_log(struct server *s, const struct manifest *manifest, uint64_t next_lsn,
                          struct error *e);

/* Make a log that holds what this snapshot does (another name for the same file), or nothing where it is NULL. */
int persistence_make_log(struct server *s, const char *dump, struct manifest *out, struct error *e);

/* Where the log is, and how it is kept; `path` holds the name of its directory. */
void persistence_log_options(const struct server *s, char path[static PATH_MAX],
                             struct oplog_options *out);

/* For commit.h alone. May this op be applied, as far as the disk is concerned, and behind it another
 * that names so many `more` samples, or those of the op once more (RETIRE)? Room for both is set
 * aside in the log. ERROR_MISCONF. */
enum { PERSISTENCE_SAMPLE_BYTES = 20 }; /* that a sample takes in an op at the most */
int persistence_admit(struct server *s, const struct op *op, uint64_t more, struct error *e);

/* The end of the turn, behind feed_turn and before replies go out. False where the log can't be written: then nothing may be sent, and
 * the process has to end. */
bool persistence_turn(struct server *s);

/* Ten times a second. */
void persistence_tick(struct server *s);

/* The base has changed, or the log has begun: see how large it is. */
void persistence_measure_log(struct server *s);

/* Frames go to this log from now on; NULL: to none. Between turns, or before anything has changed. The log that was used before is the
 * caller's. */
void persistence_use_log(struct server *s, struct oplog *log);

/* The log is closed, if there is one. */
void persistence_close_log(struct server *s);

/* `directory`/name; cut where too long for a path. */
const char *persistence_path(const struct server *s, const char *name, char *out, size_t size);

/* INFO persistence. */
void persistence_write_info(const struct server *s, struct text *out);

#endif
