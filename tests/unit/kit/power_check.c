/* See power.h: crashes, and what has to be found then. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fail.h"
#include "power.h"
#include "recover.h"

/* ---- sums --------------------------------------------------------------------------------- */

const char *power_name(int name) {
    static const char *const names[POWER_NAMES] = {"0", "1", "2"};
    return names[name];
}

struct checksum128 power_sum(const struct store *s) {
    struct span dump = kit_dump(s);
    struct checksum128 sum = checksum128(dump);
    kit_dump_free(dump);
    return sum;
}

/* A store to look at things in. */
static struct kit *looking_glass(void) {
    static struct kit kit;
    if (!kit.store) kit_open(&kit);
    kit_renew(&kit);
    return &kit;
}

struct checksum128 power_checkpoint_sum(const struct catalog *c, int name) {
    char path[PATH_MAX], file[CATALOG_FILE_MAX];
    const struct checkpoint *found = catalog_find(c, span_of_string(power_name(name)));
    if (!found) return (struct checksum128){0, 0};
    struct kit *k = looking_glass();
    snprintf(path, sizeof(path), "%s/%s", c->directory, catalog_file(found->number, file));
    EXPECT(!recover_snapshot(c->disk, path, k->store, &k->error), "%s", k->error.text);
    return power_sum(k->store);
}

/* ---- what may be found -------------------------------------------------------------------- */

/* The newest moment of which the log says that it is on the medium. */
size_t power_safe_moment(const struct power *p) {
    struct oplog_stats stats;
    size_t safe = p->safe;
    if (!p->log || p->awaiting_base) return safe;
    oplog_stats(p->log, &stats);
    while (safe + 1 < p->n && p->moments[safe + 1].lsn <= stats.synced) safe++;
    return safe;
}

size_t power_find_moment(const struct power *p, const struct store *s, uint64_t next_lsn,
                         const char *how) {
    struct checksum128 sum = power_sum(s);
    size_t safe = power_safe_moment(p), at = p->n;
    while (at > 0 &&
           (p->moments[at - 1].lsn >= next_lsn || !checksum128_equal(p->moments[at - 1].sum, sum)))
        at--;
    EXPECT(at > 0, "%s, operation %llu: what is found never was", how,
           (unsigned long long)simdisk_operations(p->disk));
    EXPECT(at > safe,
           "%s, operation %llu: moment %zu is found, %zu was acknowledged, %zu is the last", how,
           (unsigned long long)simdisk_operations(p->disk), at - 1, safe, p->n - 1);
    return at - 1;
}

void power_check_wishes(const struct power *p, const struct catalog *c, const char *how) {
    for (int i = 0; i < POWER_NAMES; i++) {
        const struct power_wish *wish = &p->wishes[i];
        struct checksum128 sum = power_checkpoint_sum(c, i);
        size_t at = 0;
        while (at < wish->n && !checksum128_equal(wish->values[at], sum)) at++;
        bool none = !wish->n && !sum.low && !sum.high;
        EXPECT(at < wish->n || none, "%s, operation %llu: checkpoint %d is not what it may be", how,
               (unsigned long long)simdisk_operations(p->disk), i);
    }
}

void power_report(void *context, const struct error *e) {
    (void)context;
    EXPECT(false, "a checkpoint is broken: %s", e->text);
}

static void check_checkpoints(const struct power *p, struct simdisk *d, const char *how) {
    struct catalog catalog;
    struct error e;
    EXPECT(!catalog_open(simdisk_disk(d), POWER_CHECKPOINTS, &catalog, power_report, NULL, &e),
           "%s: %s", how, e.text);
    power_check_wishes(p, &catalog, how);
    catalog_close(&catalog);
}

static void check_log(const struct power *p, struct simdisk *d, const char *how) {
    struct recovered found;
    struct kit *k = looking_glass();
    int failed = recover_log(simdisk_disk(d), POWER_LOG, k->store, true, &found, &k->error);
    EXPECT(!failed || (failed == ERROR_NOKEY && !p->created), "%s, operation %llu: %s", how,
           (unsigned long long)simdisk_operations(p->disk), k->error.text);
    power_find_moment(p, k->store, failed ? 1 : found.next_lsn, how);
}

/* ---- and going on from there -------------------------------------------------------------- */

static void put(struct power *p, size_t len) {
    char key[32], *bytes = mem_calloc(1, len);
    memset(bytes, (int)('a' + p->n % 26), len);
    snprintf(key, sizeof(key), "again-%d-%zu", p->depth, p->n);
    if (power_admit(p))
        EXPECT(!kit_field(&p->kit, "again", key, "f", span_of(bytes, len)), "%s",
               p->kit.error.text);
    mem_free(bytes);
    power_turn(p);
}

static void go_on(struct power *p) {
    if (!power_open(p)) return;
    put(p, 10);
    put(p, 4200);
    power_pass(p, 1200);
    put(p, 20);
    if (power_rewrite_begin(p) && power_rewrite_write(p)) {
        put(p, 30);
        power_rewrite_end(p);
    }
    power_checkpoint(p, 0);
    power_pass(p, 200);
    put(p, 40);
}

/* What comes after a crash: the same past, another future. The disk is used up. */
static void power_again(const struct power *p, struct simdisk *d) {
    struct power next = {.disk = d,
                         .sync = p->sync,
                         .now_us = p->now_us,
                         .created = p->created,
                         .n = p->n,
                         .capacity = p->n,
                         .safe = power_safe_moment(p),
                         .source = p->source,
                         .counts = p->counts,
                         .outcomes = 1,
                         .depth = p->depth - 1};
    next.moments = mem_dup(p->moments, p->n * sizeof(*p->moments));
    memcpy(next.wishes, p->wishes, sizeof(next.wishes));
    p->counts->again++;
    power_watch(&next);
    go_on(&next);
    power_abandon(&next);
    power_free(&next);
}

/* ---- crashes ------------------------------------------------------------------------------ */

static void crash_and_look(struct power *p, enum simdisk_crash kind, bool again) {
    static const char *const hows[] = {[SIMDISK_KILLED] = "killed",
                                       [SIMDISK_LOST] = "all lost",
                                       [SIMDISK_KEPT] = "all kept",
                                       [SIMDISK_TORN] = "torn"};
    struct simdisk *found = simdisk_crash(p->disk, kind, p->source);
    ++*(p->first ? &p->counts->outcomes : &p->counts->later_outcomes);
    if (again) {
        power_again(p, found);
    } else {
        check_checkpoints(p, found, hows[kind]);
        check_log(p, found, hows[kind]);
    }
    simdisk_free(found);
}

void power_crash(struct power *p) {
    ++*(p->first ? &p->counts->points : &p->counts->later_points);
    bool again = p->depth > 0;
    if (p->depth > 0 || source_once_in(p->source, 4)) {
        crash_and_look(p, SIMDISK_LOST, false);
        crash_and_look(p, SIMDISK_KEPT, false);
    }
    for (unsigned i = 0; i < p->outcomes; i++) crash_and_look(p, SIMDISK_TORN, false);
    crash_and_look(p, SIMDISK_KILLED, again && source_once_in(p->source, 6));
    if (again && source_once_in(p->source, 6)) crash_and_look(p, SIMDISK_TORN, true);
}

static void after(void *context, struct simdisk *d) {
    (void)d;
    power_crash(context);
}

void power_watch(struct power *p) {
    simdisk_watch(p->disk, after, p);
}
