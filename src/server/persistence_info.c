/* INFO persistence, under Redis' names where they mean the same. */
#include "persist/oplog.h"
#include "server/info.h"
#include "server/loading.h"
#include "server/saves.h"
#include "server/server.h"

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
    info_line(out, "aof_enabled", "%d", p->appendonly);
    info_line(out, "aof_in_force", "%d", persistence_in_force(s));
    info_line(out, "aof_rewrite_in_progress", "%d", rewriting);
    info_line(out, "aof_rewrite_scheduled", "%d", p->rewrite_wanted || p->begun);
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
