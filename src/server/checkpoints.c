/* See checkpoints.h. */
#include "server/checkpoints.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "persist/oplog.h"
#include "server/child.h"
#include "server/commit.h"
#include "server/server.h"
#include "server/waiter.h"
#include "store/load.h"

enum {
    SLICE_US = 5 * 1000, /* of restoring between other work */
    SLICE_BYTES = 1024 * 1024,
    READ_US = 1000, /* until it is asked again whether something was read */
};

/* One kind of job: what is under way, or how the last one went that nobody has asked for yet. */
struct job {
    uint64_t ticket; /* of the newest */
    bool runs;
    struct error why; /* of one that has ended; code 0: it went well */
};

struct checkpoints {
    struct catalog catalog;
    struct job making, restoring;

    /* Making. */
    const struct checkpoint_request *request; /* until the fork is done */
    uint64_t number;

    /* Restoring. */
    struct server *server;
    struct event step;
    uint64_t source; /* the checkpoint's number */
    char source_name[CATALOG_NAME_MAX + 1];
    struct snapshot *snapshot;
    struct load *load;
    bool replace;
    uint64_t restored; /* partitions */
};

/* ---- life --------------------------------------------------------------------------------- */

static void log_unreadable(void *context, const struct error *e) {
    (void)context;
    log_warning("checkpoints: %s", e->text);
}

static void on_step(evutil_socket_t fd, short what, void *context);

int checkpoints_start(struct server *s, struct error *e) {
    char path[PATH_MAX];
    struct checkpoints *c = mem_calloc(1, sizeof(*c));
    persistence_path(s, s->persistence.checkpoint_name, path, sizeof(path));
    int failed = catalog_open(s->persistence.disk, path, &c->catalog, log_unreadable, NULL, e);
    if (failed) {
        mem_free(c);
        return failed;
    }
    c->server = s;
    event_assign(&c->step, s->base, -1, 0, on_step, c);
    s->checkpoints = c;
    return 0;
}

static void restore_close(struct checkpoints *c) {
    event_del(&c->step);
    if (c->snapshot) catalog_release(&c->catalog);
    if (c->load) load_free(c->load);
    if (c->snapshot) snapshot_close(c->snapshot);
    c->load = NULL;
    c->snapshot = NULL;
}

void checkpoints_free(struct server *s) {
    if (!s->checkpoints) return;
    restore_close(s->checkpoints);
    catalog_close(&s->checkpoints->catalog);
    mem_free(s->checkpoints);
    s->checkpoints = NULL;
}

const struct catalog *checkpoints_catalog(const struct server *s) {
    return &s->checkpoints->catalog;
}

/* ---- jobs --------------------------------------------------------------------------------- */

static void job_begin(struct job *job, uint64_t *ticket) {
    job->runs = true;
    job->why.code = ERROR_NONE;
    *ticket = ++job->ticket;
}

static void job_end(struct server *s, struct job *job, const struct error *why) {
    job->runs = false;
    if (why)
        job->why = *why;
    else
        job->why.code = ERROR_NONE;
    waiter_signal(s, WAITER_SERVER);
}

/* Is it over for whoever has this ticket? */
static bool job_is_over(const struct job *job, uint64_t ticket, struct error *e) {
    if (job->runs) return false;
    if (job->ticket != ticket)
        error_set(e, ERROR_ERR, "the result is lost"); /* nobody waits so long */
    else
        *e = job->why;
    return true;
}

static int check_partitions(const struct server *s, const struct checkpoint_request *request,
                            struct error *e) {
    for (size_t i = 0; i < request->n_partitions; i++)
        if (!store_find(s->store, request->partitions[i]))
            return error_set(e, ERROR_NOPART, "no partition %s", QUOTE(request->partitions[i]));
    return 0;
}

/* ---- making ------------------------------------------------------------------------------- */

static void progress(void *context, uint64_t done, uint64_t total) {
    child_progress(context, done, total);
}

static const char *number_path(const struct checkpoints *c, uint64_t number,
                               char out[static PATH_MAX]) {
    char file[CATALOG_FILE_MAX];
    snprintf(out, PATH_MAX, "%s/%s", c->catalog.directory, catalog_file(number, file));
    return out;
}

/* In the child. What the newest checkpoint has already is not written again. */
static int write_checkpoint(struct server *s, void *context, struct error *e) {
    const struct checkpoints *c = context;
    const struct checkpoint_request *request = c->request;
    const struct checkpoint *newest = catalog_newest(&c->catalog);
    char path[PATH_MAX], meta[CATALOG_NAME_MAX + 1 + CATALOG_TEXT_MAX];
    struct snapshot *base = NULL;
    struct snapshot_options options = {
        .now_ms = s->now_ms,
        .progress = progress,
        .context = s,
        .n_partitions = request->n_partitions,
        .partitions = request->n_partitions ? request->partitions : NULL,
        .meta = span_of(meta, catalog_meta(request->name, request->text, meta)),
    };
    if (newest &&
        !snapshot_open(s->persistence.disk, number_path(c, newest->number, path), &base, NULL))
        options.base = base;
    int failed =
        snapshot_write(s->persistence.disk, number_path(c, c->number, path), s->store, &options, e);
    if (base) snapshot_close(base);
    return failed;
}

static void checkpoint_written(struct server *s, void *context, int failed,
                               const struct error *why) {
    struct checkpoints *c = context;
    struct error e;
    if (!failed && (failed = catalog_add(&c->catalog, c->number, &e))) why = &e;
    if (failed) catalog_drop(&c->catalog, c->number);
    job_end(s, &c->making, failed ? why : NULL);
}

static const struct child_job checkpoint_job = {"checkpoint", write_checkpoint, checkpoint_written};

static int make_begin(struct server *s, const struct checkpoint_request *request, uint64_t *ticket,
                      struct error *e) {
    struct checkpoints *c = s->checkpoints;
    int failed = check_partitions(s, request, e);
    if (!failed) failed = persistence_own(s, e);
    if (!failed) failed = catalog_prepare(&c->catalog, &c->number, e);
    if (!failed) failed = persistence_own_checkpoints(s, e);
    if (failed) return failed;
    c->request = request;
    failed = child_start(s, &checkpoint_job, c, e);
    c->request = NULL;
    if (!failed) job_begin(&c->making, ticket);
    return failed;
}

bool checkpoints_make(struct server *s, const struct checkpoint_request *request, uint64_t *ticket,
                      struct error *e) {
    struct checkpoints *c = s->checkpoints;
    e->code = ERROR_NONE;
    if (*ticket) return job_is_over(&c->making, *ticket, e);
    if (c->making.runs || child_is_running(&s->child)) return false;
    return make_begin(s, request, ticket, e) != 0;
}

/* ---- restoring ---------------------------------------------------------------------------- */

static int refuse_present(const struct server *s, struct span name, struct error *e) {
    if (!store_find(s->store, name)) return 0;
    return error_set(e, ERROR_ERR,
                     "partition %s exists: REPLACE puts the checkpoint's in its place",
                     QUOTE(name));
}

/* All of it was read: it comes in, or nothing does. */
static int restore_adopt(struct server *s, struct error *e) {
    struct checkpoints *c = s->checkpoints;
    char source[OPLOG_SOURCE_MAX] = "", file[CATALOG_FILE_MAX];
    struct op op;
    int64_t clock = load_clock(c->load);
    int failed = 0;
    if (s->persistence.log)
        failed = oplog_keep(s->persistence.log, c->catalog.directory, catalog_file(c->source, file),
                            c->snapshot, source, e);
    if (!failed) failed = load_finish(c->load, &op, e);
    if (failed) return failed;
    op.now_ms = s->now_ms;
    op.adopt.source = span_of_string(source);
    for (size_t i = 0; !failed && !c->replace && i < op.adopt.n; i++)
        failed = refuse_present(s, op.adopt.partitions[i]->name, e);
    if (!failed) {
        load_extend_leases(&op, op.now_ms - clock);
        failed = commit_op(s, &op, NULL, NULL, e);
    }
    if (failed)
        load_take_back(c->load, &op);
    else
        c->restored = op.adopt.n;
    return failed;
}

static void restore_end(struct server *s, const struct error *why) {
    struct checkpoints *c = s->checkpoints;
    if (why) log_warning("restore of checkpoint '%s': %s", c->source_name, why->text);
    restore_close(c);
    job_end(s, &c->restoring, why);
}

static void on_step(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct checkpoints *c = context;
    struct server *s = c->server;
    struct error e;
    bool done = false, ready = true;
    int failed = 0;
    server_turn(s);
    int64_t until = clock_monotonic_us() + SLICE_US;
    while (!failed && !done && ready && clock_monotonic_us() < until) {
        failed = server_check_memory(s, &e);
        if (!failed) ready = snapshot_is_ready(c->snapshot, c->load);
        if (!failed && ready)
            failed = snapshot_load_step(c->snapshot, c->load, SLICE_BYTES, &done, &e);
    }
    if (!failed && !done) { /* others are served while a disk is slow */
        event_add(&c->step, &(struct timeval){.tv_usec = ready ? 0 : READ_US});
        return;
    }
    if (!failed) failed = restore_adopt(s, &e);
    restore_end(s, failed ? &e : NULL);
}

static int restore_open(struct server *s, const struct checkpoint_request *request,
                        struct error *e) {
    struct checkpoints *c = s->checkpoints;
    const struct checkpoint *found = catalog_find(&c->catalog, request->name);
    char path[PATH_MAX];
    if (!found) return error_set(e, ERROR_NOKEY, "no checkpoint %s", QUOTE(request->name));
    c->source = found->number;
    snprintf(c->source_name, sizeof(c->source_name), "%s", found->name);
    c->replace = request->replace;
    int failed =
        snapshot_open(s->persistence.disk, number_path(c, c->source, path), &c->snapshot, e);
    if (failed) return failed;
    catalog_hold(&c->catalog, c->source);
    snapshot_read_ahead(c->snapshot);
    struct error why;
    if (request->n_partitions &&
        snapshot_select(c->snapshot, request->partitions, request->n_partitions, &why))
        failed = error_set(e, why.code, "checkpoint %s: %s", QUOTE(request->name), why.text);
    const struct snapshot_info *info = snapshot_info(c->snapshot);
    for (uint64_t i = 0; !failed && !c->replace && i < info->partitions; i++)
        if (!request->n_partitions)
            failed = refuse_present(s, snapshot_partition(c->snapshot, i).name, e);
    for (size_t i = 0; !failed && !c->replace && i < request->n_partitions; i++)
        failed = refuse_present(s, request->partitions[i], e);
    return failed;
}

static int restore_begin(struct server *s, const struct checkpoint_request *request,
                         uint64_t *ticket, struct error *e) {
    struct checkpoints *c = s->checkpoints;
    int failed = restore_open(s, request, e);
    if (failed) {
        restore_close(c);
        return failed;
    }
    c->load = load_new(s->store, snapshot_total(c->snapshot));
    event_add(&c->step, &(struct timeval){0, 0});
    job_begin(&c->restoring, ticket);
    return 0;
}

bool checkpoints_restore(struct server *s, const struct checkpoint_request *request,
                         uint64_t *ticket, uint64_t *restored, struct error *e) {
    struct checkpoints *c = s->checkpoints;
    e->code = ERROR_NONE;
    *restored = c->restored;
    if (*ticket) return job_is_over(&c->restoring, *ticket, e);
    return !c->restoring.runs && restore_begin(s, request, ticket, e) != 0;
}

/* ---- forgetting --------------------------------------------------------------------------- */

/* What a checkpoint under way stands on, and what is being restored, has to stay until that is over. */
int checkpoints_forget(struct server *s, struct span name, struct error *e) {
    struct checkpoints *c = s->checkpoints;
    const struct checkpoint *found = catalog_find(&c->catalog, name);
    bool busy = c->making.runs || (c->restoring.runs && found && found->number == c->source);
    if (found && busy)
        return error_set(e, ERROR_ERR,
                         "a checkpoint is being written or read: try again when it is done");
    return catalog_forget(&c->catalog, name, e);
}
