/* Every bit of every file of a small log, and of checkpoints, and every end that a file can have: it is noticed, or it makes no
 * difference, or it is a tail of which nobody was promised anything. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "kit/fail.h"
#include "kit/power.h"
#include "kit/recover.h"
#include "kit/simdisk_node.h"
#include "persist/segment.h"

static struct kit glass; /* what is found is looked at in there */

/* ---- a small log -------------------------------------------------------------------------- */

static void put_into(struct power *p, const char *partition, const char *key, size_t len) {
    char bytes[8192];
    memset(bytes, key[0], len);
    assert_true(power_admit(p));
    assert_int_equal(kit_field(&p->kit, partition, key, "f", span_of(bytes, len)), 0);
    power_turn(p);
}

static void put(struct power *p, const char *key, size_t len) {
    put_into(p, "p", key, len);
}

static void call(struct power *p, int64_t lease_ms) {
    static const struct span field = SPAN_LITERAL("f");
    struct sampled sampled;
    const struct sample_call call = {.partition = SPAN_LITERAL("p"),
                                     .task = SPAN_LITERAL("t"),
                                     .count = 1,
                                     .at_least = 1,
                                     .n_fields = 1,
                                     .fields = &field,
                                     .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL")),
                                     .lease_ms = lease_ms};
    assert_true(power_admit(p));
    assert_int_equal(kit_sample(&p->kit, &call, &sampled), 0);
    power_turn(p);
}

/* A base, a segment behind it, one more that has no base of its own, and the snapshot of a restore. */
static void make_log(struct power *p) {
    *p = (struct power){.disk = simdisk_new(), .sync = OPLOG_ALWAYS};
    assert_true(power_open(p));
    put(p, "a", 9);
    put(p, "b", 2);
    assert_true(power_rewrite_begin(p) && power_rewrite_write(p));
    power_rewrite_end(p);
    call(p, 1000);
    put(p, "c", 5);
    power_checkpoint(p, 0);
    put(p, "d", 20);
    power_restore(p, 0);
    assert_true(power_rewrite_begin(p) && power_rewrite_write(p)); /* and comes to no end */
    put(p, "e", 4);
    call(p, 0);
    put(p, "f", 3);
    assert_false(p->dead);
}

static void free_log(struct power *p) {
    power_free(p);
    simdisk_free(p->disk);
}

enum { FILES = 5 };
static const char *const files[FILES] = {
    POWER_LOG "/manifest",       POWER_LOG "/base.000002.tqs",
    POWER_LOG "/log.000002.tql", POWER_LOG "/log.000002.7.d/000001.tqs",
    POWER_LOG "/log.000003.tql",
};
#define LAST_FILE (FILES - 1)
static const char *const first_segment = POWER_LOG "/log.000001.tql";

/* ---- what may be found -------------------------------------------------------------------- */

struct outcomes {
    unsigned long long refused, same, cut, shorter;
};

/* Which moment is found, -1: none, but an error that says something. *cut: so many bytes were thought to be torn. */
static long find(const struct power *p, uint64_t *cut) {
    struct recovered found;
    struct error e = {0};
    kit_renew(&glass);
    if (recover_log(simdisk_disk(p->disk), POWER_LOG, glass.store, false, &found, &e)) {
        assert_true(e.code != ERROR_NONE && e.text[0]);
        return -1;
    }
    *cut = found.cut;
    struct checksum128 sum = power_sum(glass.store);
    for (size_t at = p->n; at-- > 0;)
        if (checksum128_equal(p->moments[at].sum, sum)) return (long)at;
    return -2;
}

/* At least this moment is to be found, or an error. */
static void expect(const struct power *p, size_t least, const char *path, const char *what,
                   size_t at, struct outcomes *out) {
    uint64_t cut = 0;
    long moment = find(p, &cut), last = (long)p->n - 1;
    EXPECT(moment != -2, "%s, %s %zu: what is found never was", path, what, at);
    EXPECT(moment == -1 || moment >= (long)least, "%s, %s %zu: moment %ld of %ld", path, what, at,
           moment, last);
    ++*(moment == -1    ? &out->refused
        : moment < last ? &out->shorter
        : cut           ? &out->cut
                        : &out->same);
}

static void flip_all(const struct power *p, const char *path, size_t from, size_t until,
                     size_t least, struct outcomes *out) {
    struct pack *file = simdisk_bytes(p->disk, path);
    assert_non_null(file);
    for (size_t at = from; at < until && at < file->len; at++)
        for (int bit = 0; bit < 8; bit++) {
            file->bytes[at] ^= (char)(1 << bit);
            expect(p, least, path, "byte", at, out);
            file->bytes[at] ^= (char)(1 << bit);
        }
}

static void cut_all(const struct power *p, const char *path, size_t least, struct outcomes *out) {
    struct pack *file = simdisk_bytes(p->disk, path);
    size_t len = file->len;
    for (file->len = 0; file->len < len; file->len++) expect(p, least, path, "end", file->len, out);
}

static void tell(const char *what, const struct outcomes *out) {
    print_message(
        "# %s: %llu refused, %llu made no difference, %llu cut off nothing, %llu cut off what "
        "was not promised\n",
        what, out->refused, out->same, out->cut, out->shorter);
}

/* ---- tests -------------------------------------------------------------------------------- */

/* The frame that closes a log says of all others that they are on the medium. */
static void test_a_log_that_was_closed(void **state) {
    (void)state;
    struct power p;
    struct outcomes flips = {0}, ends = {0};
    make_log(&p);
    power_close(&p);
    for (int i = 0; i < FILES; i++) {
        flip_all(&p, files[i], 0, SIZE_MAX, p.n - 1, &flips);
        cut_all(&p, files[i], i == LAST_FILE ? 0 : p.n - 1, &ends);
    }
    assert_int_equal(flips.same + flips.shorter, 0);
    assert_int_equal(flips.cut, 8 * FRAME_HEADER); /* in the closing frame itself */
    assert_true(ends.shorter > 0 && ends.refused > 0);
    tell("bits of a closed log", &flips);
    tell("ends of a closed log", &ends);
    free_log(&p);
}

/* The manifest too: a log is never begun over one that is there. */
static void test_a_file_that_is_missing(void **state) {
    (void)state;
    struct power p;
    uint64_t cut;
    make_log(&p);
    power_close(&p);
    struct disk *disk = simdisk_disk(p.disk);
    for (int i = 0; i < FILES; i++) {
        assert_int_equal(disk->ops->rename(disk, files[i], "/elsewhere", NULL), 0);
        struct recovered found;
        struct error e = {0};
        kit_renew(&glass);
        EXPECT(recover_log(disk, POWER_LOG, glass.store, false, &found, &e) == ERROR_ERR,
               "without %s: %s", files[i], e.text);
        assert_int_equal(disk->ops->rename(disk, "/elsewhere", files[i], NULL), 0);
    }
    assert_int_equal(find(&p, &cut), (long)p.n - 1);
    free_log(&p);
}

/* Of the last frame nobody says that. */
static void test_a_log_that_was_left(void **state) {
    (void)state;
    struct power p;
    struct outcomes flips = {0}, ends = {0};
    make_log(&p);
    power_abandon(&p);
    for (int i = 0; i < FILES; i++) {
        flip_all(&p, files[i], 0, SIZE_MAX, p.n - 2, &flips);
        cut_all(&p, files[i], i == LAST_FILE ? 0 : p.n - 1, &ends);
    }
    assert_int_equal(flips.same, 0);
    assert_true(flips.shorter > 8 * FRAME_HEADER);
    tell("bits of a log that was left", &flips);
    tell("ends of a log that was left", &ends);
    free_log(&p);
}

/* A start says that what it found is on the medium, as soon as there is time for it. */
static void test_a_log_that_was_opened_again(void **state) {
    (void)state;
    struct power p = {.disk = simdisk_new()};
    struct outcomes flips = {0};
    assert_true(power_open(&p));
    put(&p, "a", 9);
    put(&p, "b", 2);
    power_abandon(&p);
    size_t len = simdisk_bytes(p.disk, first_segment)->len;
    assert_true(power_open(&p));
    power_pass(&p, 200);
    power_abandon(&p);
    flip_all(&p, first_segment, 0, len, p.n - 1, &flips);
    assert_int_equal(flips.same + flips.cut + flips.shorter, 0);
    free_log(&p);
}

/* A full disk tears the last frame, and has no room for what is cut off. */
static void test_a_torn_log_on_a_full_disk(void **state) {
    (void)state;
    struct power p = {.disk = simdisk_new()};
    struct recovered found;
    struct error e = {0};
    assert_true(power_open(&p));
    put(&p, "a", 9);
    put(&p, "b", 900);
    power_abandon(&p);
    simdisk_bytes(p.disk, first_segment)->len -= 500;
    simdisk_limit(p.disk, 1);
    kit_renew(&glass);
    EXPECT(!recover_log(simdisk_disk(p.disk), POWER_LOG, glass.store, true, &found, &e),
           "the log is not read: %s", e.text);
    assert_true(found.cut > 0);
    struct store_stats stats;
    store_stats(glass.store, &stats);
    assert_int_equal(stats.samples, 1);
    free_log(&p);
}

/* Take `gone` bytes out of the first segment at `at`, or put `more` in. */
static void displace(const struct power *p, size_t at, size_t gone, size_t more, char fill) {
    struct pack *file = simdisk_bytes(p->disk, first_segment);
    size_t behind = file->len - at - gone;
    for (size_t i = 0; i < more; i++) pack_u8(file, 0);
    memmove(file->bytes + at + more, file->bytes + at + gone, behind);
    memset(file->bytes + at, fill, more);
    file->len = at + more + behind;
}

/* A frame that nobody says is on the medium, but is whole at another place than its own, is no torn
 * tail: the start is refused, and both places are named. */
static void test_frames_that_were_displaced(void **state) {
    (void)state;
    for (size_t by = 1; by < 40; by++) {
        for (int how = 0; how < 3; how++) {
            struct power p = {.disk = simdisk_new()};
            struct recovered found;
            struct error e = {0};
            char place[32];
            assert_true(power_open(&p));
            put(&p, "a", 900);
            size_t first = simdisk_bytes(p.disk, first_segment)->len;
            put(&p, "b", 900);
            size_t second = simdisk_bytes(p.disk, first_segment)->len;
            put(&p, "c", 900);
            power_abandon(&p);
            size_t bad = how == 2 ? first : second, whole = how == 2 ? second - by : second + by;
            displace(&p, second - (how == 2 ? by : 0), how == 2 ? by : 0, how == 2 ? 0 : by,
                     how == 1 ? 'x' : 0);
            kit_renew(&glass);
            EXPECT(recover_log(simdisk_disk(p.disk), POWER_LOG, glass.store, true, &found, &e),
                   "displaced by %zu, kind %d: what is behind was cut off", by, how);
            snprintf(place, sizeof(place), "offset %zu", bad);
            EXPECT(strstr(e.text, place), "displaced by %zu, kind %d: %s", by, how, e.text);
            snprintf(place, sizeof(place), "offset %zu", whole);
            EXPECT(strstr(e.text, place), "displaced by %zu, kind %d: %s", by, how, e.text);
            free_log(&p);
        }
    }
}

/* ---- files that go under a running process ------------------------------------------------- */

static void is_lost(struct power *p, const char *path, const char *how) {
    struct error e = {0};
    EXPECT(!oplog_is_there(p->log, &e), "%s: %s is not noticed", path, how);
    EXPECT(strstr(e.text, path) && strstr(e.text, how), "%s: %s: %s", path, how, e.text);
}

static void is_found(struct power *p) {
    struct error e = {0};
    EXPECT(oplog_is_there(p->log, &e), "%s", e.text);
}

static void move(struct power *p, const char *from, const char *to) {
    struct disk *disk = simdisk_disk(p->disk);
    assert_int_equal(disk->ops->rename(disk, from, to, NULL), 0);
}

static void copy(struct power *p, const char *from, const char *to) {
    struct disk *disk = simdisk_disk(p->disk);
    struct disk_file *file;
    assert_int_equal(disk->ops->open(disk, from, DISK_READ, &file, NULL), 0);
    assert_int_equal(disk_copy(file, 0, to, NULL), 0);
    disk->ops->close(file);
}

static void check_files_are_watched(struct power *p) {
    is_found(p);
    for (int i = 0; i < FILES; i++) {
        bool written = i == LAST_FILE; /* the simulated disk does not tell whose name it is */
        struct pack *file = simdisk_bytes(p->disk, files[i]);
        if (!written) {
            move(p, files[i], "/elsewhere");
            is_lost(p, files[i], "was removed");
            if (i > 0) { /* a copy of the manifest is as good */
                copy(p, "/elsewhere", files[i]);
                is_lost(p, files[i], "or replaced");
            }
            move(p, "/elsewhere", files[i]);
        }
        is_found(p);
        file->len--;
        is_lost(p, files[i], i ? "was cut short" : "was overwritten");
        file->len++;
        is_found(p);
    }
    struct pack *manifest = simdisk_bytes(p->disk, files[0]);
    manifest->bytes[30] ^= 1;
    is_lost(p, files[0], "was overwritten");
    oplog_mend_manifest(p->log);
    is_found(p);
}

static void test_files_that_are_taken_away(void **state) {
    (void)state;
    struct power p;
    make_log(&p);
    check_files_are_watched(&p);
    power_close(&p);
    free_log(&p);
}

/* Files that were there at the start are watched like those that were made since. */
static void test_files_of_a_log_that_goes_on(void **state) {
    (void)state;
    struct power p;
    make_log(&p);
    power_close(&p);
    assert_true(power_open(&p));
    check_files_are_watched(&p);
    power_abandon(&p);
    free_log(&p);
}

static struct power *rewritten;

static bool look_late(struct disk *disk, const char *path, struct disk_identity *out) {
    struct power *p = rewritten;
    rewritten = NULL;
    if (p) power_rewrite_end(p);
    return simdisk_ops.look(disk, path, out);
}

/* The helper thread puts a new base in force, and removes the old files, while they are looked
 * at. */
static void test_a_rewrite_takes_nothing_away(void **state) {
    (void)state;
    struct power p = {.disk = simdisk_new(), .sync = OPLOG_ALWAYS};
    struct disk_ops ops = simdisk_ops;
    ops.look = look_late;
    assert_true(power_open(&p));
    for (int i = 0; i < 3; i++) {
        put(&p, "a", 9);
        is_found(&p);
        assert_true(power_rewrite_begin(&p) && power_rewrite_write(&p));
        rewritten = i ? &p : NULL; /* before there is no base */
        if (i) simdisk_disk(p.disk)->ops = &ops;
        is_found(&p);
        simdisk_disk(p.disk)->ops = &simdisk_ops;
        assert_null(rewritten);
        if (!i) power_rewrite_end(&p);
    }
    power_close(&p);
    free_log(&p);
}

/* ---- checkpoints -------------------------------------------------------------------------- */

static void count_one(void *context, const struct error *e) {
    assert_true(e->text[0]);
    ++*(int *)context;
}

struct wishes {
    struct checksum128 sums[POWER_NAMES];
};

/* Each checkpoint is what it was, or can't be read. Returns whether there was something to be noticed. */
static bool look(struct simdisk *d, const struct wishes *w, const char *what, size_t at) {
    struct catalog c;
    struct error e;
    int complaints = 0;
    bool noticed = false;
    assert_int_equal(
        catalog_open(simdisk_disk(d), POWER_CHECKPOINTS, &c, count_one, &complaints, &e), 0);
    for (int i = 0; i < POWER_NAMES; i++) {
        char path[128], file[CATALOG_FILE_MAX];
        const struct checkpoint *found = catalog_find(&c, span_of_string(power_name(i)));
        bool was = w->sums[i].low || w->sums[i].high;
        EXPECT(was || !found, "%s %zu: there is a checkpoint %d", what, at, i);
        EXPECT(!was || found || complaints, "%s %zu: checkpoint %d is gone", what, at, i);
        if (!found) continue;
        snprintf(path, sizeof(path), "%s/%s", POWER_CHECKPOINTS, catalog_file(found->number, file));
        kit_renew(&glass);
        if (recover_snapshot(simdisk_disk(d), path, glass.store, &e))
            noticed = true;
        else
            EXPECT(checksum128_equal(power_sum(glass.store), w->sums[i]),
                   "%s %zu: checkpoint %d holds something else", what, at, i);
    }
    catalog_close(&c);
    return noticed || complaints;
}

/* On a disk of its own, as looking may remove what it thinks is left over; put right again, all is there again. */
static void spoil(const struct power *p, const struct wishes *w, const char *path, size_t at,
                  int bit, size_t len, bool matters) {
    struct source source = source_of_seed(at);
    struct simdisk *d = simdisk_crash(p->disk, SIMDISK_KEPT, &source);
    struct pack *file = simdisk_bytes(d, path);
    size_t whole = file->len;
    file->bytes[at] ^= (char)(1 << bit);
    file->len = len;
    bool noticed = look(d, w, path, at);
    EXPECT(noticed || !matters, "%s, byte %zu, of %zu", path, at, len);
    file->bytes[at] ^= (char)(1 << bit);
    file->len = whole;
    EXPECT(!look(d, w, path, at), "%s, byte %zu, of %zu: right again", path, at, len);
    simdisk_free(d);
}

/* The second stands on the first, which is forgotten and stays. */
static void test_checkpoints(void **state) {
    (void)state;
    static const char *const paths[] = {POWER_CHECKPOINTS "/000001.tqs",
                                        POWER_CHECKPOINTS "/000002.tqs"};
    struct power p = {.disk = simdisk_new()};
    struct wishes w = {0};
    assert_true(power_open(&p));
    put_into(&p, "shared", "a", 4200);
    power_checkpoint(&p, 0);
    put(&p, "b", 3);
    power_checkpoint(&p, 1);
    power_forget(&p, 0);
    for (int i = 0; i < POWER_NAMES; i++) w.sums[i] = power_checkpoint_sum(&p.catalog, i);
    power_close(&p);
    for (int i = 0; i < 2; i++) {
        size_t len = simdisk_bytes(p.disk, paths[i])->len;
        for (size_t at = 0; at < len; at++) {
            bool all = i == 1; /* of the first, much is of no use any more */
            if (all || at % 16 == 0) spoil(&p, &w, paths[i], at, (int)(at % 8), len, all);
            if (all || at % 64 == 0) spoil(&p, &w, paths[i], at, 0, at, true);
        }
    }
    free_log(&p);
}

static int setup(void **state) {
    (void)state;
    kit_open(&glass);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_log_that_was_closed),
        cmocka_unit_test(test_a_file_that_is_missing),
        cmocka_unit_test(test_a_log_that_was_left),
        cmocka_unit_test(test_a_log_that_was_opened_again),
        cmocka_unit_test(test_a_torn_log_on_a_full_disk),
        cmocka_unit_test(test_frames_that_were_displaced),
        cmocka_unit_test(test_files_that_are_taken_away),
        cmocka_unit_test(test_files_of_a_log_that_goes_on),
        cmocka_unit_test(test_a_rewrite_takes_nothing_away),
        cmocka_unit_test(test_checkpoints),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
