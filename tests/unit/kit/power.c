/* See power.h: what is done. What has to come of it is in power_check.c. */
#include "power.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fail.h"
#include "recover.h"
#include "store/load.h"

enum { ROOM = 64 * 1024, TICK_MS = 100 };

#define EPOCH_MS INT64_C(1700000000000)

static int64_t now_ms(const struct power *p) {
    return EPOCH_MS + p->now_us / 1000;
}

/* ---- life --------------------------------------------------------------------------------- */

static void on_change(void *context, const struct op *op) {
    struct power *p = context;
    if (p->log) framer_add(&p->framer, p->kit.store, op);
}

static void leave_log(struct power *p) {
    p->safe = power_safe_moment(p);
    if (p->log) oplog_abandon(p->log);
    p->log = NULL;
    framer_clear(&p->framer);
    p->awaiting_base = false;
}

/* Stores that were used before: to map the memory of new ones takes longer than to fill it. */
enum { USED = 4 };
static struct kit used[USED];

static void get_kit(struct power *p) {
    for (int i = 0; i < USED; i++)
        if (used[i].store) {
            p->kit = used[i];
            used[i].store = NULL;
            kit_renew(&p->kit);
            return;
        }
    kit_open(&p->kit);
}

static void give_kit(struct power *p) {
    for (int i = 0; i < USED && p->kit.store; i++)
        if (!used[i].store) {
            used[i] = p->kit;
            p->kit.store = NULL;
        }
    if (p->kit.store) kit_close(&p->kit);
}

static void die(struct power *p) {
    p->dead = true;
    leave_log(p);
}

static void add_moment(struct power *p, uint64_t lsn) {
    p->moments = mem_grow(p->moments, &p->capacity, p->n + 1, sizeof(*p->moments));
    p->moments[p->n++] = (struct power_moment){power_sum(p->kit.store), lsn, p->now_us};
}

/* What was found is what there is from now on, and nothing less will do. */
static void settle_on(struct power *p, uint64_t next_lsn) {
    struct oplog *log = p->log;
    p->log = NULL; /* which has nothing to say of moments before */
    p->safe = power_find_moment(p, p->kit.store, next_lsn, "a start");
    p->log = log;
    p->n = p->safe + 1;
    for (int i = 0; i < POWER_NAMES; i++)
        p->wishes[i] = (struct power_wish){{power_checkpoint_sum(&p->catalog, i)}, 1};
}

static int open_log(struct power *p, uint64_t *next_lsn, struct error *e) {
    struct recovered found = {.next_lsn = 1};
    struct oplog_options options = {
        .disk = simdisk_disk(p->disk), .directory = POWER_LOG, .sync = p->sync, .threadless = true};
    int failed = recover_log(options.disk, POWER_LOG, p->kit.store, true, &found, e);
    if (failed && failed != ERROR_NOKEY) return failed;
    EXPECT(!failed || !p->created, "the log is gone");
    failed = failed ? oplog_create(&options, &p->log, e)
                    : oplog_continue(&options, &found.manifest, found.next_lsn, &p->log, e);
    p->created |= !failed;
    *next_lsn = found.next_lsn;
    return failed;
}

bool power_open(struct power *p) {
    struct error e = {0};
    uint64_t next_lsn;
    p->dead = false;
    if (!p->now_us) p->now_us = 1;
    get_kit(p);
    framer_init(&p->framer);
    p->kit.now_ms = now_ms(p);
    if (!p->n) add_moment(p, 0);
    int failed =
        catalog_open(simdisk_disk(p->disk), POWER_CHECKPOINTS, &p->catalog, power_report, NULL, &e);
    if (!failed) power_check_wishes(p, &p->catalog, "a start");
    if (!failed) failed = open_log(p, &next_lsn, &e);
    EXPECT(!failed || simdisk_has_failed(p->disk), "a start fails: %s", e.text);
    if (failed)
        die(p);
    else
        settle_on(p, next_lsn);
    store_on_change(p->kit.store, on_change, p);
    return !failed;
}

static void power_end(struct power *p) {
    p->log = NULL;
    if (!p->kit.store) return;
    store_on_change(p->kit.store, NULL, NULL);
    framer_free(&p->framer);
    if (p->catalog.directory) catalog_close(&p->catalog);
    give_kit(p);
}

void power_close(struct power *p) {
    struct error e;
    p->safe = power_safe_moment(p);
    if (p->log && oplog_close(p->log, &e))
        p->dead = true;
    else if (p->log)
        p->safe = p->n - 1;
    power_end(p);
}

void power_abandon(struct power *p) {
    leave_log(p);
    power_end(p);
}

void power_free(struct power *p) {
    mem_free(p->moments);
}

/* ---- turns -------------------------------------------------------------------------------- */

bool power_admit(struct power *p) {
    uint64_t bytes = framer_len(&p->framer) + ROOM;
    return !p->dead && (!p->log || !oplog_reserve(p->log, bytes, NULL));
}

void power_turn(struct power *p) {
    struct oplog_stats stats;
    struct turn_frame frame;
    if (!p->log || !framer_len(&p->framer)) return;
    oplog_stats(p->log, &stats);
    add_moment(p, stats.lsn + 1);
    framer_end(&p->framer, p->n, now_ms(p), &frame);
    int failed = oplog_write(p->log, &frame, p->now_us, NULL);
    framer_clear(&p->framer);
    if (failed)
        die(p);
    else if (p->sync == OPLOG_ALWAYS && !p->awaiting_base)
        p->safe = p->n - 1;
}

/* With `everysec` a loss of power takes a second, and the time until a sync that was due is begun and was seen to end. */
static void check_lag(const struct power *p) {
    struct oplog_stats stats;
    if (!p->log || p->awaiting_base || p->sync != OPLOG_EVERYSEC) return;
    oplog_stats(p->log, &stats);
    for (size_t i = p->n; i-- > p->safe + 1;)
        EXPECT(p->moments[i].lsn <= stats.synced ||
                   p->now_us - p->moments[i].us <= (1000 + 2 * TICK_MS) * 1000,
               "moment %zu was written %lld ms ago and is not safe", i,
               (long long)(p->now_us - p->moments[i].us) / 1000);
}

/* Whatever the log did to its files, or did not get done: they are there. */
static void check_files(const struct power *p) {
    struct error e = {0};
    if (p->dead || !p->log || p->awaiting_base) return;
    EXPECT(oplog_is_there(p->log, &e), "the log thinks that it was lost: %s", e.text);
}

void power_pass(struct power *p, int64_t ms) {
    for (int64_t left = ms; !p->dead && left > 0; left -= TICK_MS) {
        struct op op;
        p->now_us += TICK_MS * 1000;
        p->kit.now_ms = now_ms(p);
        while (lease_plan_expiry(p->kit.store, now_ms(p), &op) && power_admit(p))
            store_apply(p->kit.store, &op);
        power_turn(p);
        bool leases = store_leases(p->kit.store)->count > 0;
        if (p->log && (oplog_tick(p->log, p->now_us, NULL) ||
                       oplog_record_durable(p->log, p->now_us, now_ms(p), leases, NULL)))
            die(p);
        check_lag(p);
        check_files(p);
    }
}

/* ---- a new base --------------------------------------------------------------------------- */

bool power_rewrite_begin(struct power *p) {
    enum oplog_prepared prepared = OPLOG_NOT_YET;
    if (!p->log) return false;
    oplog_prepare(p->log);
    for (int i = 0; i < 100 && !p->dead && prepared == OPLOG_NOT_YET; i++) {
        power_pass(p, TICK_MS);
        if (!p->dead) prepared = oplog_is_prepared(p->log, NULL);
    }
    EXPECT(p->dead || prepared != OPLOG_NOT_YET, "the next segment is never prepared");
    return !p->dead && prepared == OPLOG_PREPARED;
}

static bool write_base(struct power *p) {
    char path[PATH_MAX], name[MANIFEST_BASE_NAME_MAX];
    snprintf(path, sizeof(path), "%s/%s", POWER_LOG, manifest_base_name(p->base, name));
    const struct snapshot_options options = {.now_ms = now_ms(p), .lsn = p->base_lsn};
    return !snapshot_write(simdisk_disk(p->disk), path, p->kit.store, &options, NULL);
}

bool power_rewrite_write(struct power *p) {
    if (!p->log) return false;
    p->base_lsn = oplog_switch(p->log, &p->base);
    return write_base(p);
}

/* Is it in force? */
static bool rebase(struct power *p) {
    int failed = 0;
    oplog_rebase(p->log, p->base, p->base_lsn);
    for (int i = 0; i < 100; i++) {
        if (p->dead || oplog_is_rebased(p->log, &failed, NULL)) return !p->dead && !failed;
        power_pass(p, TICK_MS);
    }
    EXPECT(false, "the new base is never in force");
    return false;
}

void power_rewrite_end(struct power *p) {
    if (p->log) rebase(p);
}

/* ---- off and on --------------------------------------------------------------------------- */

void power_log_off(struct power *p) {
    struct error e;
    if (!p->log) return;
    p->safe = power_safe_moment(p);
    if (oplog_close(p->log, &e))
        p->dead = true;
    else
        p->safe = p->n - 1;
    p->log = NULL;
    framer_clear(&p->framer);
}

bool power_log_begin(struct power *p) {
    const struct oplog_options options = {
        .disk = simdisk_disk(p->disk), .directory = POWER_LOG, .sync = p->sync, .threadless = true};
    if (p->dead || oplog_begin(&options, &p->base, &p->log, NULL)) return false;
    p->base_lsn = 1;
    p->awaiting_base = true;
    p->base_moment = p->n;
    add_moment(p, 0);
    if (write_base(p)) return true;
    leave_log(p);
    return false;
}

/* A manifest that was written and not synced may be in force or not. */
void power_log_end(struct power *p) {
    if (!p->log) return;
    if (!rebase(p)) {
        leave_log(p);
        return;
    }
    p->awaiting_base = false;
    p->safe = p->base_moment;
    p->safe = power_safe_moment(p);
    if (p->sync == OPLOG_ALWAYS) p->safe = p->n - 1;
}

/* ---- checkpoints -------------------------------------------------------------------------- */

/* It may be that from now on. */
static void wish_more(struct power_wish *wish, struct checksum128 value) {
    EXPECT(wish->n < POWER_VALUES, "too many wishes");
    wish->values[wish->n++] = value;
}

/* It is the last that it might be. */
static void wish_granted(struct power_wish *wish) {
    wish->values[0] = wish->values[wish->n - 1];
    wish->n = 1;
}

static const char *checkpoint_path(const struct power *p, uint64_t number, char *out) {
    char file[CATALOG_FILE_MAX];
    snprintf(out, PATH_MAX, "%s/%s", p->catalog.directory, catalog_file(number, file));
    return out;
}

/* What server/checkpoints.c does in the child. */
static int write_checkpoint(struct power *p, int name, uint64_t number) {
    char path[PATH_MAX], meta[CATALOG_NAME_MAX + 8];
    struct snapshot *base = NULL;
    struct disk *disk = simdisk_disk(p->disk);
    const struct checkpoint *newest = catalog_newest(&p->catalog);
    struct span text = span_of_string(power_name(name));
    if (newest && snapshot_open(disk, checkpoint_path(p, newest->number, path), &base, NULL))
        base = NULL;
    const struct snapshot_options options = {
        .now_ms = now_ms(p),
        .meta = span_of(meta, catalog_meta(text, span_of("", 0), meta)),
        .base = base};
    int failed =
        snapshot_write(disk, checkpoint_path(p, number, path), p->kit.store, &options, NULL);
    if (base) snapshot_close(base);
    return failed;
}

void power_checkpoint(struct power *p, int name) {
    uint64_t number;
    if (p->dead) return;
    wish_more(&p->wishes[name], power_sum(p->kit.store));
    if (catalog_prepare(&p->catalog, &number, NULL)) return;
    int failed = write_checkpoint(p, name, number);
    if (!failed) failed = catalog_add(&p->catalog, number, NULL);
    if (failed)
        catalog_drop(&p->catalog, number);
    else
        wish_granted(&p->wishes[name]);
}

void power_forget(struct power *p, int name) {
    if (p->dead) return;
    wish_more(&p->wishes[name], (struct checksum128){0, 0});
    if (!catalog_forget(&p->catalog, span_of_string(power_name(name)), NULL))
        wish_granted(&p->wishes[name]);
}

static int load_all(struct snapshot *snapshot, struct load *load) {
    bool done = false;
    int failed = 0;
    while (!failed && !done) failed = snapshot_load_step(snapshot, load, UINT64_MAX, &done, NULL);
    return failed;
}

/* As server/checkpoints.c, with REPLACE. */
static void adopt(struct power *p, const char *file, const struct snapshot *snapshot,
                  struct load *load) {
    char source[OPLOG_SOURCE_MAX];
    struct op op;
    int64_t clock = load_clock(load);
    if (!power_admit(p) || oplog_keep(p->log, POWER_CHECKPOINTS, file, snapshot, source, NULL) ||
        load_finish(load, &op, NULL))
        return;
    op.now_ms = now_ms(p);
    op.adopt.source = span_of_string(source);
    load_extend_leases(&op, op.now_ms - clock);
    store_apply(p->kit.store, &op);
}

void power_restore(struct power *p, int name) {
    char path[PATH_MAX], file[CATALOG_FILE_MAX];
    struct snapshot *snapshot;
    const struct checkpoint *found =
        p->log ? catalog_find(&p->catalog, span_of_string(power_name(name))) : NULL;
    if (!found) return;
    uint64_t number = found->number;
    if (snapshot_open(simdisk_disk(p->disk), checkpoint_path(p, number, path), &snapshot, NULL))
        return;
    struct load *load = load_new(p->kit.store, 0);
    if (!load_all(snapshot, load)) adopt(p, catalog_file(number, file), snapshot, load);
    load_free(load);
    snapshot_close(snapshot);
    power_turn(p);
}
