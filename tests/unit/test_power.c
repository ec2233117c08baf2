/* Loss of power, and errors of the disk, at each step of a history. See kit/power.h for what has to hold, and
 * kit/simdisk.h for what a disk may do. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "kit/fail.h"
#include "kit/power.h"
#include "persist/oplog_jobs.h"
#include "store/lease.h"

#define U(number) (unsigned long long)(number)

/* ---- what is done ------------------------------------------------------------------------- */

static void put_into(struct power *p, const char *partition, const char *key, char what,
                     size_t len) {
    char bytes[8192];
    memset(bytes, what, len);
    if (power_admit(p))
        assert_int_equal(kit_field(&p->kit, partition, key, "f", span_of(bytes, len)), 0);
}

static void put(struct power *p, const char *key, char what, size_t len) {
    put_into(p, "p", key, what, len);
}

static void put_alone(struct power *p, const char *key, char what, size_t len) {
    put(p, key, what, len);
    power_turn(p);
}

static void call(struct power *p, uint64_t count, int64_t lease_ms) {
    static const struct span field = SPAN_LITERAL("f");
    struct sampled sampled;
    const struct sample_call call = {.partition = SPAN_LITERAL("p"),
                                     .task = SPAN_LITERAL("t"),
                                     .count = count,
                                     .at_least = 1,
                                     .n_fields = 1,
                                     .fields = &field,
                                     .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL")),
                                     .lease_ms = lease_ms,
                                     .holder = SPAN_LITERAL("me")};
    if (power_admit(p)) kit_sample(&p->kit, &call, &sampled);
    power_turn(p);
}

static void clear(struct power *p, const char *key) {
    if (power_admit(p)) kit_clear_key(&p->kit, "p", key);
    power_turn(p);
}

static void rewrite(struct power *p, char what) {
    char key[] = {'r', what, '\0'};
    if (!power_rewrite_begin(p)) return;
    put_alone(p, key, what, 30);
    if (!power_rewrite_write(p)) return;
    key[0] = 's';
    put_alone(p, key, what, 4200);
    call(p, 1, 500);
    power_rewrite_end(p);
}

static void first_writes(struct power *p) {
    put_alone(p, "a", '1', 40);
    put_into(p, "still", "x", '0', 4200); /* checkpoints share it */
    power_turn(p);
    put(p, "b", '2', 4500); /* several ops in one frame */
    put(p, "c", '3', 10);
    if (power_admit(p)) kit_tag(&p->kit, "p", "c", "tag", "x");
    power_turn(p);
    if (power_admit(p)) kit_group(&p->kit, "p", "d", "g", 2);
    power_turn(p);
    power_pass(p, 300);
    put_alone(p, "e", '4', 700);
    call(p, 1, 0);
    call(p, 1, 800);
    power_pass(p, 1200); /* the lease runs out */
}

/* Numbers of checkpoints come again, names of files with them. */
static void checkpoints(struct power *p) {
    power_checkpoint(p, 0);
    put_alone(p, "f", '5', 12);
    power_checkpoint(p, 1); /* stands on the first */
    clear(p, "a");
    power_restore(p, 0);
    call(p, 1, 60000);
    power_checkpoint(p, 0);
    power_restore(p, 1); /* of two files */
    power_forget(p, 1);
    power_forget(p, 0);
    power_forget(p, 0); /* if that failed: else there is none */
    put_alone(p, "g", '6', 12);
    power_checkpoint(p, 2);
    clear(p, "b");
    power_restore(p, 2);
}

static void history(struct power *p) {
    if (!power_open(p)) return;
    first_writes(p);
    rewrite(p, '1');
    put_alone(p, "h", '7', 4200);
    power_pass(p, 1500);
    checkpoints(p);
    rewrite(p, '2');
    put_alone(p, "i", '8', 50);
    power_pass(p, 200);
}

/* A log that is turned off, and another that takes its place. */
static void off_and_on(struct power *p) {
    power_log_off(p);
    put_alone(p, "l", 'b', 4200);
    if (!power_log_begin(p)) return;
    put_alone(p, "m", 'c', 4200);
    call(p, 1, 0);
    power_log_end(p);
    put_alone(p, "n", 'd', 50);
}

/* Closed, and opened again. */
static void history_goes_on(struct power *p, enum oplog_sync sync) {
    if (p->dead) return;
    power_close(p);
    p->sync = sync;
    if (p->dead || !power_open(p)) return;
    put_alone(p, "j", '9', 4200);
    power_pass(p, 1100);
    rewrite(p, '3');
    put_alone(p, "k", 'a', 50);
    off_and_on(p);
    rewrite(p, '4');
    power_pass(p, 1100);
}

/* ---- loss of power ------------------------------------------------------------------------ */

static void lose_power(const char *name, enum oplog_sync sync, enum oplog_sync later) {
    struct power_counts counts = {0};
    for (uint64_t round = 0; round < test_rounds(1); round++) {
        struct source source = source_of_seed(round + 1);
        struct power p = {.disk = simdisk_new(),
                          .sync = sync,
                          .source = &source,
                          .counts = &counts,
                          .outcomes = TEST_IS_SLOW ? 1 : 3,
                          .depth = TEST_IS_SLOW ? 0 : 1,
                          .first = true};
        power_watch(&p);
        history(&p);
        history_goes_on(&p, later);
        assert_false(p.dead);
        power_abandon(&p);
        power_free(&p);
        simdisk_free(p.disk);
    }
    print_message("# %s: %llu crash points, %llu outcomes; %llu of these went on, with %llu crash "
                  "points and %llu outcomes\n",
                  name, U(counts.points), U(counts.outcomes), U(counts.again),
                  U(counts.later_points), U(counts.later_outcomes));
}

static void test_always(void **state) {
    (void)state;
    lose_power("always", OPLOG_ALWAYS, OPLOG_EVERYSEC);
}

static void test_everysec(void **state) {
    (void)state;
    lose_power("everysec", OPLOG_EVERYSEC, OPLOG_ALWAYS);
}

static void test_no(void **state) {
    (void)state;
    lose_power("no", OPLOG_NO, OPLOG_ALWAYS);
}

/* ---- errors of the disk ------------------------------------------------------------------- */

/* Whatever has failed, what was acknowledged is there, at once and after a crash, and it goes on. */
static void expect_recovers(struct power *p, const char *key) {
    power_crash(p);
    power_abandon(p);
    p->sync = OPLOG_ALWAYS;
    assert_true(power_open(p));
    put_alone(p, key, 'z', 4200);
    assert_int_equal(p->safe, p->n - 1);
    power_crash(p);
    power_abandon(p);
    power_free(p);
    simdisk_free(p->disk);
}

/* The n-th operation fails. Returns false where there were fewer. */
static bool fail_once(uint64_t nth, enum oplog_sync sync, enum oplog_sync later,
                      enum error_code code, struct power_counts *counts) {
    struct source source = source_of_seed(nth);
    struct power p = {.disk = simdisk_new(),
                      .sync = sync,
                      .source = &source,
                      .counts = counts,
                      .outcomes = 1,
                      .first = true};
    simdisk_fail(p.disk, nth, code);
    history(&p);
    history_goes_on(&p, later);
    bool failed = simdisk_has_failed(p.disk);
    simdisk_fail(p.disk, 0, ERROR_NONE); /* no more */
    expect_recovers(&p, "y");
    return failed;
}

static void test_errors(void **state) {
    (void)state;
    static const enum oplog_sync syncs[] = {OPLOG_ALWAYS, OPLOG_EVERYSEC, OPLOG_NO, OPLOG_ALWAYS};
    struct power_counts counts = {0};
    uint64_t n = 0;
    for (int i = 0; i < 3; i++)
        for (uint64_t nth = 1;
             fail_once(nth, syncs[i], syncs[i + 1], nth % 2 ? ERROR_ERR : ERROR_MISCONF, &counts);
             nth += TEST_IS_SLOW ? 5 : 1)
            n++;
    print_message("# %llu errors, %llu outcomes\n", U(n), U(counts.outcomes));
}

/* Whatever a first try to make a new base leaves behind is no danger to the second. */
static void test_a_second_try(void **state) {
    (void)state;
    struct power_counts counts = {0};
    for (uint64_t nth = 1; nth < 16; nth += TEST_IS_SLOW ? 2 : 1) {
        struct source source = source_of_seed(nth);
        struct power p = {.disk = simdisk_new(),
                          .source = &source,
                          .counts = &counts,
                          .outcomes = 3,
                          .depth = 1,
                          .first = true};
        assert_true(power_open(&p));
        put_alone(&p, "a", '1', 40);
        simdisk_fail(p.disk, nth, ERROR_ERR);
        rewrite(&p, '1');
        if (p.dead) power_abandon(&p);
        simdisk_fail(p.disk, 0, ERROR_NONE);
        power_watch(&p);
        if (!p.kit.store) assert_true(power_open(&p));
        rewrite(&p, '2');
        power_abandon(&p);
        power_free(&p);
        simdisk_free(p.disk);
    }
    print_message("# %llu crash points, %llu outcomes\n", U(counts.points), U(counts.outcomes));
}

/* Segments are counted from the first that there is, not from 0: a log that has run for long would
 * keep an identity for each segment that it ever had. */
static void test_the_watch_begins_with_the_first_segment(void **state) {
    (void)state;
    struct power_counts counts = {0};
    struct source source = source_of_seed(1);
    struct power p = {.disk = simdisk_new(), .source = &source, .counts = &counts, .first = true};
    assert_true(power_open(&p));
    assert_int_equal(p.log->watch.first, oplog_manifest(p.log)->first);
    for (int i = 0; i < 3; i++) {
        put_alone(&p, "a", '1', 40);
        rewrite(&p, '1');
    }
    power_close(&p);
    assert_true(power_open(&p));
    assert_true(oplog_manifest(p.log)->first > 1);
    assert_int_equal(p.log->watch.first, oplog_manifest(p.log)->first);
    power_close(&p);
    power_free(&p);
    simdisk_free(p.disk);
}

/* Where there is no room writes are refused, and nothing else: the log does not fail. */
static void test_a_full_disk(void **state) {
    (void)state;
    struct power_counts counts = {0};
    for (uint64_t limit = 500; limit < 300000; limit += limit / (TEST_IS_SLOW ? 4 : 16)) {
        struct source source = source_of_seed(limit);
        struct power p = {.disk = simdisk_new(),
                          .source = &source,
                          .counts = &counts,
                          .outcomes = 1,
                          .first = true};
        simdisk_limit(p.disk, limit);
        history(&p);
        assert_false(p.dead);
        simdisk_limit(p.disk, 0);
        expect_recovers(&p, "y");
    }
    print_message("# %llu outcomes\n", U(counts.outcomes));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always),
        cmocka_unit_test(test_everysec),
        cmocka_unit_test(test_no),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_a_second_try),
        cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_the_watch_begins_with_the_first_segment),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]); /* one test alone: they take a while */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
