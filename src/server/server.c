/* See server.h. */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/appendonly.h"
#include "server/asks.h"
#include "server/changes.h"
#include "server/checkpoints.h"
#include "server/client.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/eventlog.h"
#include "server/expiry.h"
#include "server/feed.h"
#include "server/info.h"
#include "server/listener.h"
#include "server/loading.h"
#include "server/notify.h"
#include "server/pubsub.h"
#include "server/saves.h"
#include "server/scan.h"
#include "server/transaction.h"
#include "server/waiter.h"
#include "store/store.h"
#include "wire/reply.h"

enum { TICK_MS = 100 };

/* ---- options */

static int apply_loglevel(void *context, struct error *e) {
    (void)e;
    struct server *s = context;
    log_set_level((enum log_level)s->loglevel);
    return 0;
}

static int apply_logfile(void *context, struct error *e) {
    struct server *s = context;
    return log_open(s->logfile, e);
}

/* Writers that wait for memory may go when there is more of it. */
static int apply_maxmemory(void *context, struct error *e) {
    (void)e;
    struct server *s = context;
    if (s->store) server_memory_limit(s);
    if (s->base) waiter_signal_all(s);
    return 0;
}

static void register_options(struct server *s) {
    static const struct config_choice levels[] = {{"debug", LOG_DEBUG},
                                                  {"verbose", LOG_VERBOSE},
                                                  {"notice", LOG_NOTICE},
                                                  {"warning", LOG_WARNING},
                                                  {NULL, 0}};
    const struct config_option options[] = {
        {.name = "maxmemory",
         .kind = CONFIG_MEMORY,
         .value = &s->maxmemory,
         .summary = "the most memory that may be held for clients; 0: no limit",
         .fallback = "0",
         .min = 0,
         .max = INT64_MAX,
         .apply = apply_maxmemory,
         .context = s},
        {.name = "memory-prefault",
         .kind = CONFIG_MEMORY,
         .value = &s->prefault,
         .fixed = true,
         .summary = "payload memory to fault in at the start and to keep; 0: as it is used",
         .fallback = "0",
         .min = 0,
         .max = INT64_C(1) << 40},
        {.name = "loglevel",
         .kind = CONFIG_ENUM,
         .value = &s->loglevel,
         .choices = levels,
         .summary = "debug, verbose, notice or warning",
         .fallback = "notice",
         .apply = apply_loglevel,
         .context = s},
        {.name = "logfile",
         .kind = CONFIG_STRING,
         .value = &s->logfile,
         .fixed = true,
         .summary = "append the log to this file; empty: standard error",
         .fallback = "",
         .apply = apply_logfile,
         .context = s},
        {.name = "daemonize",
         .kind = CONFIG_BOOL,
         .value = &s->daemonize,
         .fixed = true,
         .summary = "run in the background",
         .fallback = "no"},
        {.name = "pidfile",
         .kind = CONFIG_STRING,
         .value = &s->pidfile,
         .fixed = true,
         .summary = "write the process id to this file while running; empty: none",
         .fallback = ""},
        {.name = NULL},
    };
    listener_register_options(s);
    clients_register_options(s);
    notify_register_options(s);
    persistence_register_options(s);
    config_register(s->config, options);
}

/* ---- the turn */

void server_turn(struct server *s) {
    if (s->in_turn) return;
    s->in_turn = true;
    s->now_us = clock_monotonic_us();
    s->now_ms = (s->wall_us + s->now_us) / 1000;
    event_active(&s->turn_end, EV_TIMEOUT, 0);
}

/* Work on the store that goes on in the next turn. */
static bool server_has_more(const struct server *s) {
    return store_is_reclaiming(s->store) ||
           (store_is_building(s->store) && !s->persistence.loading);
}

static void on_turn_end(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct server *s = context;
    waiter_serve(s);
    if (!feed_turn(s) || !persistence_turn(s)) {
        s->in_turn = false;
        event_base_loopbreak(s->base);
        return;
    }
    if (!s->persistence.loading) expiry_turn(s);
    notify_publish(s);
    clients_send(s);
    clients_sweep(s);
    store_reclaim(s->store, SERVER_RECLAIM_STEPS);
    if (!s->persistence.loading) store_build_indexes(s->store, s->slices.indexed);
    bool squeezing = server_memory_turn(s);
    s->in_turn = false;
    if (s->stopping)
        event_base_loopbreak(s->base);
    else if (squeezing || waiter_is_due(s) || clients_waiting(s) || server_has_more(s))
        event_add(&s->next_turn, &(struct timeval){0, 0});
}

/* What one turn left undone goes on in the next, after the I/O that came up meanwhile. */
static void on_next_turn(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct server *s = context;
    server_turn(s);
    clients_resume(s);
}

static void on_tick(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct server *s = context;
    server_turn(s);
    metrics_tick(&s->metrics, s->now_us, server_memory_used(s));
    clients_tick(s);
    store_tick(s->store, s->now_us / 1000);
    persistence_tick(s);
    eventlog_tick(s);
    waiter_signal(s, WAITER_SERVER); /* replies were sent, chunks let go */
}

static void on_signal(evutil_socket_t signal, short what, void *context) {
    (void)what;
    struct server *s = context;
    struct error e;
    server_turn(s);
    log_notice("%s: ending", signal == SIGINT ? "SIGINT" : "SIGTERM");
    if (saves_at_end(s, SAVES_AUTO, &e))
        log_warning("not ending, since not all could be kept (SHUTDOWN NOSAVE FORCE ends it): %s",
                    e.text);
    else
        server_stop(s);
}

/* The log was moved away (logrotate), or the terminal is gone. */
static void on_hangup(evutil_socket_t signal, short what, void *context) {
    (void)signal, (void)what;
    struct server *s = context;
    struct error e;
    server_turn(s);
    if (!*s->logfile) return;
    if (log_open(s->logfile, &e))
        log_warning("SIGHUP: %s; the log stays where it was", e.text);
    else
        log_notice("SIGHUP: the log file is opened anew");
}

void server_stop(struct server *s) {
    s->stopping = true;
    server_turn(s);
}

void server_fail(struct server *s, const struct error *why) {
    s->failure = *why;
    server_stop(s);
}

/* ---- life */

void server_init(struct server *s) {
    *s = (struct server){0};
    s->slices = (struct slice_limits){.evaluations = SCAN_EVALUATIONS,
                                      .scanned = SCAN_SLICE,
                                      .cells = SCAN_CELLS,
                                      .indexed = SERVER_INDEX_SAMPLES};
    child_init(s);
    s->changes = changes_new();
    s->feed = feed_new(s);
    s->config = config_new();
    persistence_init(s);
    eventlog_init(s);
    s->clients = clients_new(s);
    s->asks = asks_new(s);
    s->waiters = waiters_new(s);
    transactions_init(s);
    s->pubsub = pubsub_new();
    s->notify = notify_new(s);
    s->listener = listener_new(s);
    unsigned char id[SERVER_RUN_ID_LEN / 2];
    hash_random(id, sizeof(id));
    for (size_t i = 0; i < sizeof(id); i++) snprintf(s->run_id + 2 * i, 3, "%02x", id[i]);
    register_options(s);
    info_register_sections();
}

static int make_base(struct server *s, struct error *e) {
    struct event_config *options = event_config_new();
    if (options) {
        event_config_set_flag(options, EVENT_BASE_FLAG_NOLOCK);
        event_config_set_flag(options, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
        s->base = event_base_new_with_config(options);
        event_config_free(options);
    }
    if (!s->base) return error_set(e, ERROR_ERR, "libevent can't make an event loop");
    return 0;
}

static void arm_events(struct server *s) {
    static const int ending[] = {SIGTERM, SIGINT};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write past the limit of files fails, and says why */
    for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++) {
        evsignal_assign(&s->signals[i], s->base, ending[i], on_signal, s);
        event_add(&s->signals[i], NULL);
    }
    evsignal_assign(&s->hangup, s->base, SIGHUP, on_hangup, s);
    event_add(&s->hangup, NULL);
    event_assign(&s->turn_end, s->base, -1, 0, on_turn_end, s);
    event_assign(&s->next_turn, s->base, -1, 0, on_next_turn, s);
    expiry_init(s);
    event_assign(&s->cron, s->base, -1, EV_PERSIST, on_tick, s);
    event_add(&s->cron, &(struct timeval){0, TICK_MS * 1000});
}

static int write_pidfile(struct server *s, struct error *e) {
    if (!*s->pidfile) return 0;
    /* A symbolic link, in a directory that others may write, would have any file overwritten. */
    const char *why;
    int fd =
        file_open(s->pidfile, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644, FILE_REGULAR, &why);
    if (fd < 0 && errno == ELOOP) why = "is a symbolic link";
    if (fd >= 0 && dprintf(fd, "%d\n", (int)getpid()) < 0) why = strerror(errno);
    if (fd >= 0 && close(fd) && !why) why = strerror(errno);
    if (why) return error_set(e, ERROR_ERR, "can't write the pid file '%s': %s", s->pidfile, why);
    s->pidfile_written = true;
    return 0;
}

int server_start(struct server *s, struct error *e) {
    int failed = s->daemonize ? daemon_begin(e) : 0;
    if (!failed) failed = clients_raise_descriptors(s, e);
    if (failed) return failed;
    s->started_us = s->now_us = clock_monotonic_us();
    s->wall_us = clock_wall_us() - s->now_us;
    s->now_ms = (s->wall_us + s->now_us) / 1000;
    s->metrics.ticked_us = s->now_us;
    s->reply_pool = reply_pool_new();
    s->store = store_new(e);
    if (!s->store) return e->code;
    server_memory_limit(s);
    failed = arena_prefault(store_arena(s->store), (size_t)s->prefault, e);
    if (!failed) failed = make_base(s, e);
    if (failed) return failed;
    arm_events(s);
    failed = listener_open(s->listener, e);
    if (!failed) failed = persistence_start(s, e);
    return failed ? failed : write_pidfile(s, e);
}

void server_ready(struct server *s) {
    store_begin_leases(s->store, s->now_ms);
    struct text where = {0};
    listener_describe(s->listener, &where);
    log_notice("tq %s is ready on %s", PACKAGE_VERSION, where.ptr);
    text_free(&where);
    daemon_ready();
}

int server_run(struct server *s, struct error *e) {
    if (!s->persistence.loading) server_ready(s);
    if (event_base_loop(s->base, 0) < 0)
        return error_set(e, ERROR_ERR, "the event loop failed: %s", strerror(errno));
    if (s->failure.code) *e = s->failure;
    return (int)s->failure.code;
}

static void close_base(struct server *s) {
    if (!s->base) return;
    listener_close(s->listener);
    clients_close_all(s);
    event_del(&s->cron);
    event_del(&s->lease_end);
    event_del(&s->next_turn);
    event_del(&s->turn_end);
    for (size_t i = 0; i < sizeof(s->signals) / sizeof(*s->signals); i++)
        if (event_initialized(&s->signals[i])) event_del(&s->signals[i]);
    if (event_initialized(&s->hangup)) event_del(&s->hangup);
    event_base_free(s->base);
    s->base = NULL;
}

void server_free(struct server *s) {
    if (s->base) child_kill(s);
    loading_end(s);
    if (s->base) checkpoints_free(s);
    close_base(s);
    appendonly_end(s);
    persistence_disown(s);
    feed_free(s->feed);
    if (s->pidfile_written) unlink(s->pidfile);
    if (s->store) store_free(s->store);
    if (s->reply_pool) reply_pool_free(s->reply_pool);
    scratch_free(&s->scratch);
    config_free(s->config);
    listener_free(s->listener);
    waiters_free(s->waiters);
    notify_free(s->notify);
    asks_free(s->asks);
    pubsub_free(s->pubsub);
    subscriptions_free(&s->watchers);
    changes_free(s->changes);
    clients_free(s->clients);
    free(s->config_file);
}
