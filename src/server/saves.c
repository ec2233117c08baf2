/* See saves.h. */
#include "server/saves.h"

#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "persist/oplog.h"
#include "persist/snapshot.h"
#include "server/appendonly.h"
#include "server/child.h"
#include "server/server.h"

/* ---- writing one -------------------------------------------------------------------------- */

static void progress(void *context, uint64_t done, uint64_t total) {
    child_progress(context, done, total);
}

static int write_dump(struct server *s, void *context, struct error *e) {
    (void)context;
    char path[PATH_MAX];
    persistence_path(s, s->persistence.dump_name, path, sizeof(path));
    const struct snapshot_options options = {
        .now_ms = s->now_ms, .progress = progress, .context = s};
    return snapshot_write(s->persistence.disk, path, s->store, &options, e);
}

static void record(struct save_record *r, struct server *s, int failed, int64_t took_s) {
    r->tried_s = s->now_ms / 1000;
    r->failed = failed != 0;
    r->took_s = took_s;
    if (failed) return;
    r->ended_s = s->now_ms / 1000;
    r->count++;
}

static int64_t child_seconds(const struct server *s) {
    return (clock_monotonic_us() - s->child.started_us) / 1000000;
}

/* ---- SAVE and BGSAVE ---------------------------------------------------------------------- */

int saves_now(struct server *s, struct error *e) {
    if (saves_is_saving(s)) return error_set(e, ERROR_ERR, "Background save already in progress");
    int64_t began = clock_monotonic_us();
    int failed = persistence_own(s, e);
    if (!failed) failed = write_dump(s, NULL, e);
    record(&s->persistence.saves, s, failed, (clock_monotonic_us() - began) / 1000000);
    if (!failed) s->persistence.changes = 0;
    return failed;
}

static void dump_ended(struct server *s, void *context, int failed, const struct error *why) {
    (void)context, (void)why;
    struct persistence *p = &s->persistence;
    record(&p->saves, s, failed, child_seconds(s));
    if (!failed) p->changes -= p->changes_at_save;
}

static const struct child_job dump_job = {"background save", write_dump, dump_ended};

static int begin_dump(struct server *s, struct error *e) {
    int failed = persistence_own(s, e);
    if (failed) return failed;
    s->persistence.save_wanted = false;
    s->persistence.changes_at_save = s->persistence.changes;
    return child_start(s, &dump_job, NULL, e);
}

int saves_begin(struct server *s, bool later, bool *waits, struct error *e) {
    *waits = false;
    if (saves_is_saving(s)) return error_set(e, ERROR_ERR, "Background save already in progress");
    if (!child_is_running(&s->child)) return begin_dump(s, e);
    if (!later)
        return error_set(
            e, ERROR_ERR,
            "Another child process is active (%s): can't BGSAVE right now. Use BGSAVE SCHEDULE in "
            "order to schedule a BGSAVE whenever possible.",
            s->child.job->name);
    *waits = s->persistence.save_wanted = true;
    return 0;
}

bool saves_is_saving(const struct server *s) {
    return child_is_running(&s->child) && s->child.job == &dump_job;
}

int saves_at_end(struct server *s, enum saves_end how, struct error *e) {
    if (appendonly_begins(s))
        return error_set(e, ERROR_ERR,
                         "the op log is being begun and does not hold everything yet (SHUTDOWN "
                         "FORCE ends the server all the same)");
    if (s->persistence.appendonly && s->persistence.lapsed)
        return error_set(e, ERROR_ERR,
                         "the op log is not in force, acknowledged writes would be lost (SHUTDOWN "
                         "FORCE ends the server all the same): %s",
                         s->persistence.lapse.text);
    if (s->persistence.loading || how == SAVES_NEVER) return 0;
    if (how == SAVES_AUTO && !s->persistence.n_rules) return 0;
    child_kill(s);
    log_notice("saving a snapshot before the end");
    return saves_now(s, e);
}

/* ---- a new base for the log --------------------------------------------------------------- */

static int write_base(struct server *s, void *context, struct error *e) {
    (void)context;
    const struct persistence *p = &s->persistence;
    char directory[PATH_MAX], path[PATH_MAX + MANIFEST_BASE_NAME_MAX], name[MANIFEST_BASE_NAME_MAX];
    persistence_path(s, s->persistence.log_name, directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/%s", directory, manifest_base_name(p->rewrite_base, name));
    const struct snapshot_options options = {
        .now_ms = s->now_ms, .lsn = p->rewrite_lsn, .progress = progress, .context = s};
    return snapshot_write(s->persistence.disk, path, s->store, &options, e);
}

static void base_ended(struct server *s, void *context, int failed, const struct error *why) {
    (void)context, (void)why;
    struct persistence *p = &s->persistence;
    p->rewrite_runs = !failed;
    if (failed)
        record(&p->rewrites, s, failed, child_seconds(s));
    else
        oplog_rebase(p->log, p->rewrite_base, p->rewrite_lsn);
}

static const struct child_job base_job = {"rewrite of the op log", write_base, base_ended};

bool saves_is_rewriting(const struct server *s) {
    return s->persistence.rewrite_runs;
}

int saves_begin_rewrite(struct server *s, bool *waits, struct error *e) {
    struct persistence *p = &s->persistence;
    *waits = false;
    if (!p->appendonly)
        return error_set(e, ERROR_ERR, "there is no op log to rewrite: appendonly is no");
    if (!p->log || p->rewrite_runs || p->rewrite_wanted)
        return error_set(e, ERROR_ERR, "Background append only file rewriting already in progress");
    *waits = child_is_running(&s->child);
    p->rewrite_wanted = true;
    return 0;
}

static void rewrite_failed(struct server *s, const struct error *why) {
    log_warning("%s failed: %s", base_job.name, why->text);
    s->persistence.rewrite_runs = s->persistence.rewrite_prepares = false;
    record(&s->persistence.rewrites, s, (int)why->code, 0);
}

/* The next segment is made ahead. When it is there, and no other child, the log goes over to it at the end of a turn, and
 * the fork sees just what was logged until then. */
static void rewrite_prepare(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    if (p->rewrite_wanted && !p->rewrite_runs && !child_is_running(&s->child)) {
        p->rewrite_wanted = false;
        p->rewrite_runs = p->rewrite_prepares = true;
        oplog_prepare(p->log);
    }
    if (p->rewrite_prepares && oplog_is_prepared(p->log, &e) == OPLOG_FAILED) rewrite_failed(s, &e);
}

void saves_turn(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    if (!p->rewrite_prepares || child_is_running(&s->child)) return;
    if (oplog_is_prepared(p->log, &e) != OPLOG_PREPARED) return;
    p->rewrite_prepares = false;
    p->rewrite_lsn = oplog_switch(p->log, &p->rewrite_base);
    if (child_start(s, &base_job, NULL, &e)) rewrite_failed(s, &e);
}

int saves_begin_base(struct server *s, struct error *e) {
    struct persistence *p = &s->persistence;
    p->rewrite_wanted = false;
    p->rewrite_runs = true;
    p->rewrite_lsn = 1;
    int failed = child_start(s, &base_job, NULL, e);
    if (!failed) return 0;
    p->rewrite_runs = false;
    record(&p->rewrites, s, failed, 0);
    return failed;
}

void saves_stop_rewrite(struct server *s) {
    struct persistence *p = &s->persistence;
    if (child_is_running(&s->child) && s->child.job == &base_job) child_kill(s);
    p->rewrite_wanted = p->rewrite_runs = p->rewrite_prepares = false;
}

static void rewrite_finish(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    int failed;
    if (!oplog_is_rebased(p->log, &failed, &e)) return;
    if (failed) log_warning("%s failed: %s", base_job.name, e.text);
    p->rewrite_runs = false;
    record(&p->rewrites, s, failed, child_seconds(s));
    if (!failed) persistence_measure_log(s);
}

/* ---- by themselves ------------------------------------------------------------------------ */

static bool rule_is_due(const struct persistence *p, int64_t now_s) {
    if (p->saves.failed && now_s - p->saves.tried_s < SAVES_RETRY_S) return false;
    for (size_t i = 0; i < p->n_rules; i++)
        if (p->changes && p->changes >= (uint64_t)p->rules[i].changes &&
            now_s - p->saves.ended_s >= p->rules[i].seconds)
            return true;
    return false;
}

static bool growth_is_due(const struct persistence *p, int64_t now_s) {
    struct oplog_stats stats;
    if (!p->log || !p->rewrite_percentage || p->rewrite_runs || p->rewrite_wanted) return false;
    if (p->rewrites.failed && now_s - p->rewrites.tried_s < SAVES_RETRY_S) return false;
    oplog_stats(p->log, &stats);
    uint64_t size = p->base_bytes + stats.bytes, base = p->size_at_base ? p->size_at_base : 1;
    return size >= (uint64_t)p->rewrite_min_size && size > base &&
           (double)(size - base) * 100 / (double)base >= (double)p->rewrite_percentage;
}

void saves_tick(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    int64_t now_s = s->now_ms / 1000;
    if (p->log) rewrite_finish(s);
    if (growth_is_due(p, now_s)) p->rewrite_wanted = true;
    if (p->log) rewrite_prepare(s);
    if (child_is_running(&s->child)) return;
    if (!p->save_wanted && !rule_is_due(p, now_s)) return;
    if (!begin_dump(s, &e)) return;
    log_warning("%s failed: %s", dump_job.name, e.text);
    record(&p->saves, s, e.code, 0);
}
