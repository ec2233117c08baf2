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
#include "base/number.h"
#include "persist/opcodec.h"
#include "persist/oplog.h"
#include "server/checkpoints.h"
#include "server/config.h"
#include "server/config_value.h"
#include "server/info.h"
#include "server/loading.h"
#include "server/saves.h"
#include "server/server.h"

/* ---- options ------------------------------------------------------------------------------ */

static int apply_appendfsync(void *context, struct error *e) {
    (void)e;
    struct server *s = context;
    if (s->persistence.log)
        oplog_set_sync(s->persistence.log, (enum oplog_sync)s->persistence.appendfsync);
    return 0;
}

/* Names of files stand in `dir`, wherever that is. */
static int check_name(const char *name, struct error *e) {
    if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return error_set(e, ERROR_ERR, "expected a name without a path");
    return 0;
}

static int apply_dump_name(void *context, struct error *e) {
    return check_name(((struct server *)context)->persistence.dump_name, e);
}

static int apply_checkpoint_name(void *context, struct error *e) {
    return check_name(((struct server *)context)->persistence.checkpoint_name, e);
}

static int apply_log_name(void *context, struct error *e) {
    return check_name(((struct server *)context)->persistence.log_name, e);
}

/* "3600 1 300 100": pairs of seconds and changes. */
static int apply_save(void *context, struct error *e) {
    struct persistence *p = &((struct server *)context)->persistence;
    struct config_words words;
    int failed = config_split(span_of_string(p->save_words), &words, e);
    if (failed) return failed;
    struct save_rule rules[SAVE_RULES_MAX];
    size_t n = words.n / 2;
    if (words.n == 1 && words.words[0].len == 0) words.n = n = 0;
    if (words.n % 2 || n > SAVE_RULES_MAX)
        failed = error_set(e, ERROR_ERR, "expected up to %d pairs of seconds and changes",
                           SAVE_RULES_MAX);
    for (size_t i = 0; !failed && i < n; i++)
        if (!number_parse_i64(words.words[2 * i], &rules[i].seconds) || rules[i].seconds < 1 ||
            !number_parse_i64(words.words[2 * i + 1], &rules[i].changes) || rules[i].changes < 0)
            failed = error_set(e, ERROR_ERR, "expected pairs of seconds and changes, got %s %s",
                               QUOTE(words.words[2 * i]), QUOTE(words.words[2 * i + 1]));
    config_words_free(&words);
    if (failed) return failed;
    memcpy(p->rules, rules, n * sizeof(*rules));
    p->n_rules = n;
    return 0;
}

void persistence_register_options(struct server *s) {
    static const struct config_choice syncs[] = {
        {"always", OPLOG_ALWAYS}, {"everysec", OPLOG_EVERYSEC}, {"no", OPLOG_NO}, {NULL, 0}};
    struct persistence *p = &s->persistence;
    const struct config_option options[] = {
        {.name = "dir",
         .kind = CONFIG_STRING,
         .value = &p->directory,
         .fixed = true,
         .summary = "the directory of what is kept on disk",
         .fallback = "."},
        {.name = "appendonly",
         .kind = CONFIG_BOOL,
         .value = &p->appendonly,
         .fixed = true,
         .summary = "keep an op log: what is acknowledged outlives the process",
         .fallback = "no"},
        {.name = "appendfsync",
         .kind = CONFIG_ENUM,
         .value = &p->appendfsync,
         .choices = syncs,
         .summary = "when the log is synced: always, everysec or no",
         .fallback = "everysec",
         .apply = apply_appendfsync,
         .context = s},
        {.name = "appenddirname",
         .kind = CONFIG_STRING,
         .value = &p->log_name,
         .fixed = true,
         .summary = "the log's directory, in dir",
         .fallback = "appendonlydir",
         .apply = apply_log_name,
         .context = s},
        {.name = "auto-aof-rewrite-percentage",
         .kind = CONFIG_INTEGER,
         .value = &p->rewrite_percentage,
         .summary = "renew the log's base when it has grown by so much; 0: never by itself",
         .fallback = "100",
         .min = 0,
         .max = 1000000},
        {.name = "auto-aof-rewrite-min-size",
         .kind = CONFIG_MEMORY,
         .value = &p->rewrite_min_size,
         .summary = "but not before it is of this size",
         .fallback = "64mb",
         .min = 0,
         .max = INT64_MAX},
        {.name = "dbfilename",
         .kind = CONFIG_STRING,
         .value = &p->dump_name,
         .fixed = true,
         .summary = "the snapshot of SAVE and BGSAVE, in dir",
         .fallback = "dump.tqs",
         .apply = apply_dump_name,
         .context = s},
        {.name = "checkpointdirname",
         .kind = CONFIG_STRING,
         .value = &p->checkpoint_name,
         .fixed = true,
         .summary = "the directory of checkpoints, in dir",
         .fallback = "checkpoints",
         .apply = apply_checkpoint_name,
         .context = s},
        {.name = "save",
         .kind = CONFIG_WORDS,
         .value = &p->save_words,
         .summary =
             "pairs: after so many seconds, if so many samples changed, BGSAVE; empty: never",
         .fallback = "",
         .apply = apply_save,
         .context = s},
        {.name = "stop-writes-on-bgsave-error",
         .kind = CONFIG_BOOL,
         .value = &p->stop_on_save_error,
         .summary = "with save rules: refuse writes while the last snapshot failed",
         .fallback = "yes"},
        {.name = NULL},
    };
    p->disk = disk_system();
    p->saves.took_s = p->rewrites.took_s = -1;
    config_register(s->config, options);
}

const char *persistence_path(const struct server *s, const char *name, char *out, size_t size) {
    snprintf(out, size, "%s/%s", s->persistence.directory, name);
    return out;
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
    int failed = checkpoints_start(s, e);
    return failed ? failed : loading_begin(s, e);
}

static struct oplog_options log_options(const struct server *s, char path[static PATH_MAX]) {
    persistence_path(s, s->persistence.log_name, path, PATH_MAX);
    return (struct oplog_options){.disk = s->persistence.disk,
                                  .directory = path,
                                  .sync = (enum oplog_sync)s->persistence.appendfsync};
}

int persistence_begin_log(struct server *s, const struct manifest *manifest, uint64_t next_lsn,
                          struct error *e) {
    char path[PATH_MAX];
    struct oplog_options options = log_options(s, path);
    struct persistence *p = &s->persistence;
    int failed = manifest ? oplog_continue(&options, manifest, next_lsn, &p->log, e)
                          : oplog_create(&options, &p->log, e);
    if (failed) return failed;
    persistence_measure_log(s);
    return 0;
}

int persistence_adopt_dump(struct server *s, const char *dump, struct manifest *out,
                           struct error *e) {
    char directory[PATH_MAX], base[PATH_MAX + MANIFEST_BASE_NAME_MAX], name[MANIFEST_BASE_NAME_MAX];
    struct oplog_options options = log_options(s, directory);
    struct disk *disk = s->persistence.disk;
    struct oplog *log;
    options.base = 1;
    snprintf(base, sizeof(base), "%s/%s", directory, manifest_base_name(options.base, name));
    int failed = disk->ops->make_directory(disk, directory, e);
    if (failed) return failed;
    if (disk->ops->exists(disk, base)) failed = disk->ops->remove(disk, base, e);
    if (!failed) failed = disk->ops->link(disk, dump, base, e);
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

void persistence_end(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    if (!p->log) return;
    if (p->failed)
        oplog_abandon(p->log);
    else if (oplog_close(p->log, &e))
        log_warning("op log: %s", e.text);
    p->log = NULL;
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
    if (failed || !p->log) return failed;
    if (op->kind != OP_PUT && op->kind < OP_DEFINE) more += op->select.n;
    uint64_t bound = opcodec_bound(op) + more * PERSISTENCE_SAMPLE_BYTES + 1024;
    struct error why;
    if (!oplog_reserve(p->log, bound, &why)) return 0;
    return error_set(e, ERROR_MISCONF, "the op log has no room, nothing was written: %s", why.text);
}

void persistence_change(struct server *s, const struct op *op) {
    struct persistence *p = &s->persistence;
    bool selects = op->kind != OP_PUT && op->kind < OP_DEFINE;
    size_t n = op->kind == OP_PUT ? op->put.n : selects ? op->select.n : 1;
    p->changes += n ? n : 1;
    if (p->log) oplog_add(p->log, s->store, op);
}

static bool log_failed(struct server *s, const struct error *e) {
    s->persistence.failed = true;
    error_set(&s->failure, ERROR_ERR,
              "op log: %s. What was done in this turn can't be kept; nothing of it was "
              "acknowledged. Ending",
              e->text);
    return false;
}

bool persistence_write(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    if (p->failed) return false;
    if (!p->log) return true;
    if (oplog_write(p->log, s->now_us, s->now_ms, &e)) return log_failed(s, &e);
    saves_turn(s);
    return true;
}

void persistence_tick(struct server *s) {
    struct persistence *p = &s->persistence;
    struct error e;
    if (p->loading || p->failed) return;
    bool leases = store_leases(s->store)->count > 0;
    if (p->log && oplog_tick(p->log, s->now_us, s->now_ms, leases, &e)) log_failed(s, &e);
    saves_tick(s);
}

/* ---- INFO --------------------------------------------------------------------------------- */

static void write_loading(const struct server *s, struct text *out) {
    struct loading_progress progress;
    info_line(out, "loading", "%d", s->persistence.loading != NULL);
    info_line(out, "async_loading", "0");
    if (!s->persistence.loading) return;
    loading_progress(s, &progress);
    int64_t took = s->now_ms / 1000 - progress.began_s;
    double part = progress.total ? (double)progress.done / (double)progress.total : 1;
    info_line(out, "loading_start_time", "%lld", (long long)progress.began_s);
    info_line(out, "loading_total_bytes", "%llu", (unsigned long long)progress.total);
    info_line(out, "loading_loaded_bytes", "%llu", (unsigned long long)progress.done);
    info_line(out, "loading_loaded_perc", "%.2f", part * 100);
    info_line(out, "loading_eta_seconds", "%.0f", part > 0 ? (double)took * (1 - part) / part : 1);
}

static const char *status_of(const struct save_record *r) {
    return r->failed ? "err" : "ok";
}

static void write_saves(const struct server *s, struct text *out) {
    const struct persistence *p = &s->persistence;
    bool saving = saves_is_saving(s), runs = child_is_running(&s->child);
    int64_t seconds = runs ? (s->now_us - s->child.started_us) / 1000000 : -1;
    info_line(out, "current_save_bytes_processed", "%llu",
              (unsigned long long)(runs ? s->child.done : 0));
    info_line(out, "current_save_bytes_total", "%llu",
              (unsigned long long)(runs ? s->child.total : 0));
    info_line(out, "rdb_changes_since_last_save", "%llu", (unsigned long long)p->changes);
    info_line(out, "rdb_bgsave_in_progress", "%d", saving);
    info_line(out, "rdb_last_save_time", "%lld", (long long)p->saves.ended_s);
    info_line(out, "rdb_last_bgsave_status", "%s", status_of(&p->saves));
    info_line(out, "rdb_last_bgsave_time_sec", "%lld", (long long)p->saves.took_s);
    info_line(out, "rdb_current_bgsave_time_sec", "%lld", saving ? (long long)seconds : -1LL);
    info_line(out, "rdb_saves", "%llu", (unsigned long long)p->saves.count);
    info_line(out, "latest_fork_usec", "%lld", (long long)s->child.fork_us);
    bool rewriting = saves_is_rewriting(s);
    info_line(out, "aof_enabled", "%d", p->log != NULL);
    info_line(out, "aof_rewrite_in_progress", "%d", rewriting);
    info_line(out, "aof_rewrite_scheduled", "%d", p->rewrite_wanted);
    info_line(out, "aof_last_rewrite_time_sec", "%lld", (long long)p->rewrites.took_s);
    info_line(out, "aof_current_rewrite_time_sec", "%lld",
              rewriting && !saving ? (long long)seconds : -1LL);
    info_line(out, "aof_last_bgrewrite_status", "%s", status_of(&p->rewrites));
    info_line(out, "aof_rewrites", "%llu", (unsigned long long)p->rewrites.count);
}

static void write_log(const struct persistence *p, struct text *out) {
    struct oplog_stats stats;
    oplog_stats(p->log, &stats);
    info_line(out, "aof_last_write_status", "%s", stats.room ? "ok" : "err");
    info_line(out, "aof_current_size", "%llu", (unsigned long long)(p->base_bytes + stats.bytes));
    info_line(out, "aof_base_size", "%llu", (unsigned long long)p->size_at_base);
    info_line(out, "aof_pending_bio_fsync", "%d", stats.sync_runs);
    info_line(out, "aof_delayed_fsync", "%llu", (unsigned long long)stats.delayed);
    info_line(out, "aof_last_frame", "%llu", (unsigned long long)stats.lsn);
    info_line(out, "aof_synced_frame", "%llu", (unsigned long long)stats.synced);
}

void persistence_write_info(const struct server *s, struct text *out) {
    write_loading(s, out);
    write_saves(s, out);
    if (s->persistence.log) write_log(&s->persistence, out);
}
