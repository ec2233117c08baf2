/* See appendonly.h. */
#include "server/appendonly.h"

#include <limits.h>

#include "base/log.h"
#include "persist/oplog.h"
#include "server/child.h"
#include "server/saves.h"
#include "server/server.h"

bool appendonly_begins(const struct server *s) {
    return s->persistence.begun || s->persistence.awaiting_base;
}

/* ---- on ----------------------------------------------------------------------------------- */

/* What a start with appendonly would make, if there is no log: after a crash that is what counts.
 * *foreign: there is one that this process neither loaded nor wrote. */
static int ensure_log(struct server *s, bool *foreign, struct error *e) {
    struct persistence *p = &s->persistence;
    struct manifest found;
    char directory[PATH_MAX], dump[PATH_MAX];
    persistence_path(s, p->log_name, directory, sizeof(directory));
    persistence_path(s, p->dump_name, dump, sizeof(dump));
    int failed = manifest_read(p->disk, directory, &found, e);
    *foreign = !failed && found.log_id != p->known_id && found.log_id != p->lost_id;
    if (failed == ERROR_NOKEY)
        failed =
            persistence_make_log(s, p->disk->ops->exists(p->disk, dump) ? dump : NULL, &found, e);
    if (failed) return failed;
    if (p->lost_id) p->lost_id = found.log_id;
    if (!*foreign) p->known_id = found.log_id;
    return 0;
}

/* The log was lost, and another server has begun one there, or had: what that acknowledged is not
 * replaced. */
static int refuse_other_log(const struct server *s, struct error *e) {
    const struct persistence *p = &s->persistence;
    struct manifest found;
    char directory[PATH_MAX];
    persistence_path(s, p->log_name, directory, sizeof(directory));
    if (!p->lost_id || manifest_read(p->disk, directory, &found, NULL)) return 0;
    if (found.log_id == p->lost_id) return 0;
    return error_set(e, ERROR_MISCONF, "'%s' holds another log: move it away", directory);
}

static int begin(struct server *s, struct error *e) {
    struct persistence *p = &s->persistence;
    struct oplog_options options;
    char directory[PATH_MAX];
    bool foreign = false;
    int failed = refuse_other_log(s, e);
    if (!failed) failed = persistence_own(s, e);
    if (!failed) failed = ensure_log(s, &foreign, e);
    if (failed) return failed;
    persistence_log_options(s, directory, &options);
    failed = oplog_begin(&options, &p->rewrite_base, &p->begun, e);
    if (failed || !foreign) return failed;
    log_warning("the op log in '%s' was not loaded: a new one, of what is in memory, replaces it "
                "as soon as its base is written",
                directory);
    return 0;
}

/* Nobody but this process knows of it yet. */
static void drop(struct server *s) {
    struct persistence *p = &s->persistence;
    struct oplog *awaiting_base = p->awaiting_base ? p->log : NULL;
    if (awaiting_base) persistence_use_log(s, NULL);
    if (awaiting_base) oplog_abandon(awaiting_base);
    if (p->begun) oplog_abandon(p->begun);
    p->begun = NULL;
    p->awaiting_base = false;
}

/* ---- the end of a turn -------------------------------------------------------------------- */

static void turn_on(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    persistence_use_log(s, p->begun);
    p->begun = NULL;
    p->awaiting_base = true;
    if (saves_begin_base(s, &e))
        log_warning("the op log can't be begun: %s", e.text); /* base_ended() goes on */
}

static void turn_off(struct server *s) {
    struct persistence *p = &s->persistence;
    if (p->log && !p->awaiting_base) p->known_id = oplog_id(p->log);
    if (p->lost_id) p->known_id = p->lost_id;
    p->lapsed = false;
    p->lost_id = 0;
    saves_stop_rewrite(s);
    appendonly_end(s);
    log_notice("the op log is turned off: it does not hold what happens from now on");
}

void appendonly_turn(struct server *s) {
    struct persistence *p = &s->persistence;
    if (!p->appendonly && (p->log || p->begun || p->lapsed)) turn_off(s);
    if (p->begun && !child_is_running(&s->child) && !s->stopping) turn_on(s);
}

int appendonly_apply(void *context, struct error *e) {
    struct server *s = context;
    struct persistence *p = &s->persistence;
    if (!p->started) return 0;
    if (p->loading) return error_set(e, ERROR_ERR, "not while data is loaded");
    return !p->appendonly || p->log || p->begun ? 0 : begin(s, e);
}

/* Writes are refused from the next command on. What was acknowledged since the files were last
 * looked at, up to the end of this turn, is in memory only until the new base is written. */
static void lapse(struct server *s, const char *why) {
    s->persistence.lapsed = true;
    error_set(&s->persistence.lapse, ERROR_MISCONF, "%s", why);
}

void appendonly_lost(struct server *s, bool owned, const struct error *why) {
    struct persistence *p = &s->persistence;
    struct oplog *log = p->log;
    saves_stop_rewrite(s);
    if (owned) oplog_mend_manifest(log);
    p->lost_id = oplog_id(log);
    persistence_use_log(s, NULL);
    oplog_abandon(log);
    p->rewrites.tried_s = 0; /* at once */
    lapse(s, why->text);
}

/* ---- now and then ------------------------------------------------------------------------- */

static void base_ended(struct server *s) {
    struct persistence *p = &s->persistence;
    if (p->rewrites.failed) {
        drop(s);
        log_warning(
            "the op log has no base and is given up: writes are refused; it is begun again in %d s",
            SAVES_RETRY_S);
        lapse(s, "its first base could not be written");
    } else {
        p->awaiting_base = p->lapsed = false;
        p->lost_id = 0;
        log_notice("the op log is in force");
    }
}

void appendonly_tick(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    int64_t now_s = s->now_ms / 1000;
    if (p->awaiting_base && !p->rewrite_runs) base_ended(s);
    if (!p->appendonly || p->log || p->begun || now_s - p->rewrites.tried_s < SAVES_RETRY_S) return;
    p->rewrites.tried_s = now_s;
    if (!begin(s, &e)) return;
    log_warning("the op log can't be begun: %s; it is tried again in %d s", e.text, SAVES_RETRY_S);
    lapse(s, e.text);
}

void appendonly_end(struct server *s) {
    drop(s);
    persistence_close_log(s);
}
