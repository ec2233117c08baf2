/* See loading.h. */
#include "server/loading.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "persist/replay.h"
#include "persist/snapshot.h"
#include "server/changes.h"
#include "server/commit.h"
#include "server/server.h"
#include "store/load.h"

enum {
    SLICE_US = 20 * 1000,      /* of loading between other work */
    SLICE_BYTES = 1024 * 1024, /* at a time, then the clock is read */
};

struct loading {
    struct server *server;
    struct event step;
    int64_t began_us, began_s;
    struct snapshot *base; /* what is loaded first; NULL: nothing, or it is done */
    char base_path[PATH_MAX + MANIFEST_BASE_NAME_MAX];
    struct load *load;
    bool has_log;
    struct manifest manifest;
    struct replay replay;
    uint64_t base_bytes; /* of the base, when it is done */
};

static void loading_free(struct loading *l) {
    event_del(&l->step);
    if (l->load) load_free(l->load);
    if (l->base) snapshot_close(l->base);
    if (l->has_log) replay_close(&l->replay);
    mem_free(l);
}

void loading_end(struct server *s) {
    if (!s->persistence.loading) return;
    loading_free(s->persistence.loading);
    s->persistence.loading = NULL;
}

void loading_progress(const struct server *s, struct loading_progress *out) {
    const struct loading *l = s->persistence.loading;
    *out = (struct loading_progress){
        .began_s = l->began_s, .done = l->base_bytes, .total = l->base_bytes};
    if (l->base) {
        out->done = snapshot_done(l->base);
        out->total = snapshot_total(l->base);
    }
    if (!l->has_log) return;
    out->done += l->replay.done;
    out->total += l->replay.total;
}

/* ---- the end ------------------------------------------------------------------------------ */

/* Leases go on with the time they had left: nobody could acknowledge, or ask for more, while the
 * server was down. Where the log has no room for that they end when they would have: a full disk is
 * no reason not to start. `then_ms` is when the last frame was written, INT64_MIN where the log has
 * none. */
static void extend_leases(struct server *s, int64_t then_ms) {
    const struct leases *leases = store_leases(s->store);
    int64_t away;
    size_t n = leases->count;
    struct error e;
    if (!n || __builtin_sub_overflow(s->now_ms, then_ms, &away) || away <= 0) return;
    struct lease **all = scratch_alloc(&s->scratch, n, sizeof(struct lease *));
    memcpy(all, leases->heap, n * sizeof(*all)); /* the heap moves */
    for (size_t i = 0; i < n; i++) {
        const struct lease *lease = all[i];
        if (lease->ends_ms >= LEASE_NEVER - 1 - away) continue;
        const struct op op = {
            .kind = OP_EXTEND,
            .partition = lease->partition->name,
            .now_ms = s->now_ms,
            .select = {.all = true,
                       .n = lease->n,
                       .task = lease->task->name,
                       .lease = {.id = lease->id, .ends_ms = lease->ends_ms + away}}};
        if (commit_op(s, &op, NULL, NULL, &e)) {
            log_warning("leases were not given the time that the server was down: %s", e.text);
            return;
        }
    }
}

/* The log goes on where it ended; without one, and with appendonly, one begins with the dump that was loaded, if any. */
static int begin_log(struct server *s, struct loading *l, struct error *e) {
    if (!s->persistence.appendonly) return 0;
    if (!l->has_log) return persistence_begin_log(s, NULL, 1, e);
    int failed = replay_end(&l->replay, e);
    return failed ? failed : persistence_begin_log(s, &l->manifest, l->replay.next_lsn, e);
}

static void log_loaded(const struct server *s, const struct loading *l) {
    double seconds = (double)(clock_monotonic_us() - l->began_us) / 1e6;
    struct store_stats stats;
    store_stats(s->store, &stats);
    log_notice("loaded %" PRIu64 " samples in %" PRIu64 " partitions, %" PRIu64
               " frames of the op log, in %.3f s",
               stats.samples, stats.partitions, l->has_log ? l->replay.frames : 0, seconds);
    if (l->has_log && l->replay.cut)
        log_warning(
            "the op log ended in a torn frame, %s (%s): %" PRIu64
            " bytes that nobody was promised were cut off, and are kept in a file .cut-OFFSET "
            "beside it",
            l->replay.cut_where, l->replay.cut_why, l->replay.cut);
}

static int loading_finish(struct server *s, struct loading *l, int64_t then_ms, struct error *e) {
    int failed = begin_log(s, l, e);
    if (failed) return failed;
    log_loaded(s, l);
    loading_end(s);
    changes_begin(s);
    extend_leases(s, then_ms);
    scratch_reset(&s->scratch);
    server_ready(s);
    return 0;
}

/* ---- step by step ------------------------------------------------------------------------- */

/* Adds to the reason where the file is, and how to find out what of it is whole. */
static int loading_refuse_base(const struct loading *l, struct error *e) {
    struct error why = *e;
    return error_set(e, why.code, "%.220s (`tq-check '%.240s'` tells what of it can be read)",
                     why.text, l->base_path);
}

static int step_base(struct server *s, struct loading *l, struct error *e) {
    bool done = false;
    int failed = snapshot_load_step(l->base, l->load, SLICE_BYTES, &done, e);
    if (failed) return loading_refuse_base(l, e);
    if (!done) return 0;
    struct op op;
    failed = load_finish(l->load, &op, e);
    if (failed) return failed;
    op.now_ms = s->now_ms;
    store_apply(s->store, &op);
    l->base_bytes = snapshot_total(l->base);
    l->replay.last_ms = load_clock(l->load);
    load_free(l->load);
    snapshot_close(l->base);
    l->load = NULL;
    l->base = NULL;
    return 0;
}

/* *done: there is no more. */
static int loading_step(struct server *s, struct loading *l, bool *done, struct error *e) {
    if (l->base) return step_base(s, l, e);
    *done = !l->has_log;
    return *done ? 0 : replay_step(&l->replay, s->store, SLICE_BYTES, done, e);
}

static void on_step(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct loading *l = context;
    struct server *s = l->server;
    int64_t until = clock_monotonic_us() + SLICE_US;
    bool done = false;
    struct error e;
    int failed = 0;
    server_turn(s);
    while (!failed && !done && clock_monotonic_us() < until) failed = loading_step(s, l, &done, &e);
    if (!failed && !done) {
        event_add(&l->step, &(struct timeval){0, 0});
        return;
    }
    if (!failed) failed = loading_finish(s, l, l->replay.last_ms, &e);
    if (failed) server_fail(s, &e);
}

/* ---- the begin ---------------------------------------------------------------------------- */

static int open_base(struct server *s, struct loading *l, const char *path, struct error *e) {
    struct disk *disk = s->persistence.disk;
    snprintf(l->base_path, sizeof(l->base_path), "%s", path);
    int failed = snapshot_open(disk, path, &l->base, e);
    if (failed) return disk->ops->exists(disk, path) ? loading_refuse_base(l, e) : failed;
    snapshot_read_ahead(l->base);
    l->load = load_new(s->store, snapshot_total(l->base));
    return 0;
}

static int open_log(struct server *s, struct loading *l, const char *directory, struct error *e) {
    struct disk *disk = s->persistence.disk;
    char path[PATH_MAX + MANIFEST_BASE_NAME_MAX], name[MANIFEST_BASE_NAME_MAX];
    int failed = replay_open(&l->replay, disk, directory, &l->manifest, e);
    if (failed) return failed;
    l->has_log = l->replay.read_ahead = true;
    if (!l->manifest.base) return 0;
    snprintf(path, sizeof(path), "%s/%s", directory, manifest_base_name(l->manifest.base, name));
    return open_base(s, l, path, e);
}

/* What there is. A log that is not asked for is not passed over in silence. */
static int loading_open(struct server *s, struct loading *l, struct error *e) {
    struct persistence *p = &s->persistence;
    char directory[PATH_MAX], dump[PATH_MAX];
    persistence_path(s, p->log_name, directory, sizeof(directory));
    persistence_path(s, p->dump_name, dump, sizeof(dump));
    int failed = manifest_read(p->disk, directory, &l->manifest, e);
    bool has_log = !failed;
    if (has_log && p->appendonly) return open_log(s, l, directory, e);
    if (!p->appendonly && (has_log || failed != ERROR_NOKEY))
        log_warning("there is an op log in '%s', which appendonly no leaves as it is", directory);
    if (failed && failed != ERROR_NOKEY && p->appendonly) return failed;
    if (!p->disk->ops->exists(p->disk, dump)) return 0;
    failed = p->appendonly ? persistence_make_log(s, dump, &l->manifest, e) : 0;
    if (failed) return failed;
    return p->appendonly ? open_log(s, l, directory, e) : open_base(s, l, dump, e);
}

int loading_begin(struct server *s, struct error *e) {
    struct loading *l = mem_calloc(1, sizeof(*l));
    l->server = s;
    l->began_us = clock_monotonic_us();
    l->began_s = s->now_ms / 1000;
    l->replay.last_ms = INT64_MIN;
    event_assign(&l->step, s->base, -1, 0, on_step, l);
    int failed = loading_open(s, l, e);
    if (failed) {
        loading_free(l);
        return failed;
    }
    if (!l->base && !l->has_log) {
        failed = begin_log(s, l, e);
        loading_free(l);
        if (!failed) changes_begin(s);
        return failed;
    }
    s->persistence.loading = l;
    event_add(&l->step, &(struct timeval){0, 0});
    return 0;
}
