/* See persistence.h. */
#include "server/persistence.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "persist/dirlock.h"
#include "persist/opcodec.h"
#include "persist/oplog.h"
#include "server/appendonly.h"
#include "server/changes.h"
#include "server/checkpoints.h"
#include "server/listener.h"
#include "server/loading.h"
#include "server/saves.h"
#include "server/server.h"

const char *persistence_path(const struct server *s, const char *name, char *out, size_t size) {
    snprintf(out, size, "%s/%s", s->persistence.directory, name);
    return out;
}

/* ---- the directory ------------------------------------------------------------------------ */

/* The directory is locked, its file is not there: nothing is lost yet. */
static void own_file(const char *directory, const char *what, struct dirlock *lock) {
    struct error e;
    bool failed = dirlock_renew(directory, what, lock, &e) != 0;
    if (!failed)
        log_warning("'%s/%s' was removed: it is locked anew", directory, DIRLOCK_NAME);
    else if (!lock->warned)
        log_warning("'%s/%s' was removed and can't be made again: %s", directory, DIRLOCK_NAME,
                    e.text);
    lock->warned = failed;
}

static int own(struct server *s, const char *directory, struct dirlock *lock, struct error *e) {
    char what[96];
    enum dirlock_state state = dirlock_look(directory, lock);
    if (state == DIRLOCK_HELD) return 0;
    snprintf(what, sizeof(what), "port %lld", (long long)listener_port(s->listener));
    if (state == DIRLOCK_FILE_GONE) {
        own_file(directory, what, lock);
        return 0;
    }
    if (lock->file >= 0)
        log_warning("'%s/%s' was removed: it is locked anew", directory, DIRLOCK_NAME);
    dirlock_release(lock);
    return dirlock_take(directory, what, !s->persistence.started, lock, e);
}

int persistence_own(struct server *s, struct error *e) {
    return own(s, s->persistence.directory, &s->persistence.lock, e);
}

int persistence_own_checkpoints(struct server *s, struct error *e) {
    char path[PATH_MAX];
    int failed = persistence_own(s, e);
    persistence_path(s, s->persistence.checkpoint_name, path, sizeof(path));
    return failed ? failed : own(s, path, &s->persistence.checkpoint_lock, e);
}

static bool has_file(const struct server *s, const char *name) {
    char path[PATH_MAX];
    persistence_path(s, name, path, sizeof(path));
    return s->persistence.disk->ops->exists(s->persistence.disk, path);
}

/* Something is kept in the directory, or was. */
static int own_at_start(struct server *s, struct error *e) {
    const struct persistence *p = &s->persistence;
    if (has_file(s, p->checkpoint_name)) return persistence_own_checkpoints(s, e);
    bool used =
        p->appendonly || p->n_rules || has_file(s, p->log_name) || has_file(s, p->dump_name);
    return used ? persistence_own(s, e) : 0;
}

void persistence_disown(struct server *s) {
    struct persistence *p = &s->persistence;
    dirlock_release(&p->lock);
    dirlock_release(&p->checkpoint_lock);
}

/* ---- life --------------------------------------------------------------------------------- */

int persistence_start(struct server *s, struct error *e) {
    struct persistence *p = &s->persistence;
    char path[PATH_MAX];
    if (strlen(p->directory) + strlen(p->log_name) + strlen(p->dump_name) +
            strlen(p->checkpoint_name) >
        PATH_MAX - 128)
        return error_set(e, ERROR_ERR, "option 'dir': the path is too long");
    /* Where it stays, wherever the process goes. */
    if (!realpath(p->directory, path))
        return error_set(e, ERROR_ERR, "option 'dir': '%s': %s", p->directory, strerror(errno));
    mem_free(p->directory);
    p->directory = mem_dup(path, strlen(path) + 1);
    p->saves.ended_s = s->now_ms / 1000;
    int failed = own_at_start(s, e);
    if (!failed) failed = checkpoints_start(s, e);
    if (!failed) failed = loading_begin(s, e);
    p->started = !failed;
    return failed;
}

void persistence_log_options(const struct server *s, char path[static PATH_MAX],
                             struct oplog_options *out) {
    persistence_path(s, s->persistence.log_name, path, PATH_MAX);
    *out = (struct oplog_options){.disk = s->persistence.disk,
                                  .directory = path,
                                  .sync = (enum oplog_sync)s->persistence.appendfsync};
}

int persistence_begin_log(struct server *s, const struct manifest *manifest, uint64_t next_lsn,
                          struct error *e) {
    char path[PATH_MAX];
    struct oplog_options options;
    struct oplog *log;
    persistence_log_options(s, path, &options);
    int failed = manifest ? oplog_continue(&options, manifest, next_lsn, &log, e)
                          : oplog_create(&options, &log, e);
    if (failed) return failed;
    persistence_use_log(s, log);
    persistence_measure_log(s);
    return 0;
}

static int adopt_dump(struct disk *disk, const char *dump, const struct oplog_options *options,
                      struct error *e) {
    char base[PATH_MAX + MANIFEST_BASE_NAME_MAX], name[MANIFEST_BASE_NAME_MAX];
    snprintf(base, sizeof(base), "%s/%s", options->directory,
             manifest_base_name(options->base, name));
    int failed = disk->ops->make_directory(disk, options->directory, e);
    if (!failed && disk->ops->exists(disk, base)) failed = disk->ops->remove(disk, base, e);
    return failed ? failed : disk->ops->link(disk, dump, base, e);
}

int persistence_make_log(struct server *s, const char *dump, struct manifest *out,
                         struct error *e) {
    char directory[PATH_MAX];
    struct oplog_options options;
    struct oplog *log;
    persistence_log_options(s, directory, &options);
    options.base = dump ? 1 : 0;
    int failed = dump ? adopt_dump(s->persistence.disk, dump, &options, e) : 0;
    if (!failed) failed = oplog_create(&options, &log, e);
    if (failed) return failed;
    *out = *oplog_manifest(log);
    oplog_abandon(log);
    return 0;
}

void persistence_measure_log(struct server *s) {
    struct persistence *p = &s->persistence;
    const struct manifest *m = oplog_manifest(p->log);
    char directory[PATH_MAX], path[PATH_MAX + MANIFEST_BASE_NAME_MAX], name[MANIFEST_BASE_NAME_MAX];
    struct oplog_stats stats;
    struct stat st;
    persistence_path(s, p->log_name, directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/%s", directory, manifest_base_name(m->base, name));
    p->base_bytes = m->base && !stat(path, &st) ? (uint64_t)st.st_size : 0;
    oplog_stats(p->log, &stats);
    p->size_at_base = p->base_bytes ? p->base_bytes + stats.bytes : 0;
}

void persistence_close_log(struct server *s) {
    struct oplog *log = s->persistence.log;
    struct error e;
    if (!log) return;
    persistence_use_log(s, NULL);
    if (s->persistence.failed)
        oplog_abandon(log);
    else if (oplog_close(log, &e))
        log_warning("op log: %s", e.text);
}

/* ---- ops ---------------------------------------------------------------------------------- */

static int check_saves(const struct persistence *p, struct error *e) {
    if (!p->n_rules || !p->stop_on_save_error || !p->saves.failed) return 0;
    return error_set(
        e, ERROR_MISCONF,
        "tq is configured to save snapshots, but the last one failed: writes are refused until "
        "one succeeds (stop-writes-on-bgsave-error). The log tells why");
}

int persistence_admit(struct server *s, const struct op *op, uint64_t more, struct error *e) {
    struct persistence *p = &s->persistence;
    int failed = check_saves(p, e);
    if (!failed && p->lapsed)
        failed = error_set(e, ERROR_MISCONF,
                           "the op log is not in force, writes are refused until it is again: %s",
                           p->lapse.text);
    if (failed || !p->log) return failed;
    if (op->kind != OP_PUT && op->kind < OP_DEFINE) more += op->select.n;
    uint64_t bound = opcodec_bound(op) + more * PERSISTENCE_SAMPLE_BYTES + 1024;
    struct error why;
    if (!oplog_reserve(p->log, feed_pending(s) + bound, &why)) return 0;
    return error_set(e, ERROR_MISCONF, "the op log has no room, nothing was written: %s", why.text);
}

static void persistence_on_change(struct server *s, const struct op *op) {
    struct persistence *p = &s->persistence;
    bool selects = op->kind != OP_PUT && op->kind < OP_DEFINE;
    size_t n = op->kind == OP_PUT ? op->put.n : selects ? op->select.n : 1;
    p->changes += n ? n : 1;
}

static bool log_failed(struct server *s, const struct error *e) {
    s->persistence.failed = true;
    error_set(&s->failure, ERROR_ERR,
              "op log: %s. What was done in this turn can't be kept; nothing of it was "
              "acknowledged. Ending",
              e->text);
    return false;
}

/* The feed's reader that writes the log. */
static bool take_frame(void *context, const struct turn_frame *frame) {
    struct server *s = context;
    struct persistence *p = &s->persistence;
    struct error e;
    if (p->failed) return false;
    return !oplog_write(p->log, frame, s->now_us, &e) || log_failed(s, &e);
}

void persistence_use_log(struct server *s, struct oplog *log) {
    struct persistence *p = &s->persistence;
    if (p->log && !log) feed_leave(s, &p->reader);
    if (!p->log && log) feed_join_first(s, &p->reader);
    p->log = log;
}

void persistence_init(struct server *s) {
    struct persistence *p = &s->persistence;
    p->disk = disk_system();
    p->saves.took_s = p->rewrites.took_s = -1;
    p->lock = p->checkpoint_lock = (struct dirlock){-1, -1, false};
    p->reader = (struct feed_reader){.take = take_frame, .context = s};
    changes_listen(s, CHANGES_ALL, persistence_on_change);
}

bool persistence_in_force(const struct server *s) {
    const struct persistence *p = &s->persistence;
    return p->appendonly && p->log && !p->awaiting_base && !p->lapsed && !p->failed && !p->loading;
}

/* Once a second: files that were removed are written to without an error, and without the lock's
 * file another server can take the directory. */
static void look_at_log(struct server *s) {
    enum { LOOK_EVERY_US = 1000 * 1000 };
    struct persistence *p = &s->persistence;
    struct error e;
    if (!persistence_in_force(s) || s->now_us - p->looked_us < LOOK_EVERY_US) return;
    p->looked_us = s->now_us;
    bool owned = !persistence_own(s, &e);
    if (owned && oplog_is_there(p->log, &e)) return;
    log_warning("op log: %s: it is begun anew, and writes are refused until then", e.text);
    appendonly_lost(s, owned, &e);
}

bool persistence_turn(struct server *s) {
    if (s->persistence.failed) return false;
    look_at_log(s);
    appendonly_turn(s);
    saves_turn(s);
    return true;
}

static int tick_log(struct server *s, struct error *e) {
    struct oplog *log = s->persistence.log;
    bool leases = store_leases(s->store)->count > 0;
    int failed = oplog_tick(log, s->now_us, e);
    if (failed || feed_pending(s)) return failed;
    return oplog_record_durable(log, s->now_us, s->now_ms, leases, e);
}

void persistence_tick(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    if (p->loading || p->failed) return;
    if (p->log && tick_log(s, &e)) log_failed(s, &e);
    saves_tick(s);
    appendonly_tick(s);
}
