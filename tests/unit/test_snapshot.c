/* Snapshots in files: what is written comes back, what was spoilt is refused, what an earlier one has is not written again. */
#include "kit/test.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/mem.h"
#include "kit/store.h"
#include "kit/tape.h"
#include "persist/snapshot.h"
#include "persist/worker.h"
#include "store/arena.h"

static const struct span field = SPAN_LITERAL("f");

/* ---- files in memory, to read ------------------------------------------------------------- */

enum { SHELF = 4 };

struct shelf {
    struct disk disk;
    const char *names[SHELF];
    struct span files[SHELF];
};

struct shelf_file {
    struct disk_file file;
    struct span bytes;
};

static int shelf_open(struct disk *disk, const char *path, enum disk_mode mode,
                      struct disk_file **out, struct error *e) {
    struct shelf *shelf = (struct shelf *)disk;
    assert_int_equal(mode, DISK_READ);
    for (int i = 0; i < SHELF && shelf->names[i]; i++) {
        if (strcmp(strrchr(path, '/') + 1, shelf->names[i])) continue;
        struct shelf_file *file = mem_calloc(1, sizeof(*file));
        file->file.disk = disk;
        file->bytes = shelf->files[i];
        *out = &file->file;
        return 0;
    }
    return error_set(e, ERROR_ERR, "can't open '%s'", path);
}

static int shelf_read(struct disk_file *file, uint64_t offset, void *out, size_t len, size_t *got,
                      struct error *e) {
    (void)e;
    struct span bytes = ((struct shelf_file *)file)->bytes;
    *got = offset >= bytes.len ? 0 : bytes.len - offset < len ? bytes.len - offset : len;
    if (*got) memcpy(out, bytes.ptr + offset, *got);
    return 0;
}

static int shelf_size(struct disk_file *file, uint64_t *out, struct error *e) {
    (void)e;
    *out = ((struct shelf_file *)file)->bytes.len;
    return 0;
}

static void shelf_close(struct disk_file *file) {
    mem_free(file);
}

static const struct disk_ops shelf_ops = {
    .open = shelf_open, .read = shelf_read, .size = shelf_size, .close = shelf_close};

/* ---- a directory -------------------------------------------------------------------------- */

static char directory[64];

static const char *path_of(const char *name) {
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", directory, name);
    return path[turn];
}

/* The C library keeps the stack of a thread that ended, and what belongs to it: better before memory is counted. */
static int make_directory(void **state) {
    (void)state;
    worker_free(worker_new(false, NULL));
    snprintf(directory, sizeof(directory), "/tmp/tq-snapshot-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static void remove_one(void *context, const char *name) {
    (void)context;
    unlink(path_of(name));
}

static int remove_directory(void **state) {
    (void)state;
    disk_system()->ops->list(disk_system(), directory, remove_one, NULL, NULL);
    return rmdir(directory);
}

static void count_one(void *context, const char *name) {
    (void)name;
    ++*(int *)context;
}

/* The whole file, on the heap. */
static struct span slurp(const char *name) {
    struct disk_file *file;
    uint64_t size;
    size_t got;
    struct error e;
    assert_int_equal(disk_system()->ops->open(disk_system(), path_of(name), DISK_READ, &file, &e),
                     0);
    assert_int_equal(disk_system()->ops->size(file, &size, &e), 0);
    char *bytes = mem_alloc(size);
    assert_int_equal(disk_system()->ops->read(file, 0, bytes, size, &got, &e), 0);
    disk_system()->ops->close(file);
    return span_of(bytes, size);
}

/* ---- writing and reading ------------------------------------------------------------------ */

static struct snapshot *open_one(struct disk *disk, const char *name) {
    struct snapshot *snapshot;
    struct error e = {0};
    if (snapshot_open(disk, path_of(name), &snapshot, &e)) fail_msg("%s", e.text);
    return snapshot;
}

/* Writes the store; `base` is the name of an earlier snapshot or NULL. Returns how many bytes that took. */
static uint64_t write_one(struct kit *k, const char *name, const char *base) {
    uint64_t written = 0;
    struct snapshot_options options = {.now_ms = k->now_ms,
                                       .lsn = 77,
                                       .meta = SPAN_LITERAL("step 12"),
                                       .base = base ? open_one(disk_system(), base) : NULL,
                                       .written = &written};
    if (snapshot_write(disk_system(), path_of(name), k->store, &options, &k->error))
        fail_msg("%s", k->error.text);
    if (base) snapshot_close((struct snapshot *)options.base);
    return written;
}

/* In steps of `budget` bytes, perhaps only when they find something read. Where it fails, the store is what it was. */
static int load_all(struct snapshot *snapshot, struct store *s, uint64_t budget, bool when_ready,
                    struct error *e) {
    struct load *load = load_new(s, snapshot_total(snapshot));
    struct op op;
    bool done = false;
    int failed = 0;
    while (!failed && !done) {
        while (when_ready && !snapshot_is_ready(snapshot, load)) sched_yield();
        failed = snapshot_load_step(snapshot, load, budget, &done, e);
    }
    if (!failed) assert_true(snapshot_done(snapshot) == snapshot_total(snapshot));
    if (!failed) failed = load_finish(load, &op, e);
    if (!failed) store_apply(s, &op);
    load_free(load);
    return failed;
}

static int try_file(struct disk *disk, const char *name, struct store *s, struct error *e) {
    struct snapshot *snapshot;
    int failed = snapshot_open(disk, path_of(name), &snapshot, e);
    if (failed) return failed;
    failed = load_all(snapshot, s, UINT64_MAX, false, e);
    snapshot_close(snapshot);
    return failed;
}

static void expect_comes_back(struct kit *k, const char *name) {
    struct kit copy;
    kit_open(&copy);
    if (try_file(disk_system(), name, copy.store, &copy.error)) fail_msg("%s", copy.error.text);
    struct span ours = kit_dump(k->store), theirs = kit_dump(copy.store);
    assert_true(span_equal(ours, theirs));
    kit_dump_free(ours);
    kit_dump_free(theirs);
    kit_close(&copy);
}

static void fill(struct kit *k, const char *partition, unsigned from, unsigned n, size_t len) {
    char *bytes = mem_calloc(1, len + 1), key[16];
    for (unsigned i = from; i < from + n; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        memset(bytes, (int)i, len);
        assert_int_equal(kit_field(k, partition, key, "f", span_of(bytes, len)), 0);
    }
    mem_free(bytes);
}

static void call(struct kit *k, uint64_t count, int64_t lease_ms) {
    struct sampled sampled;
    struct sample_call call = {.partition = SPAN_LITERAL("p"),
                               .task = SPAN_LITERAL("t"),
                               .count = count,
                               .at_least = count,
                               .n_fields = 1,
                               .fields = &field,
                               .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL")),
                               .lease_ms = lease_ms,
                               .holder = SPAN_LITERAL("me")};
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
}

static void write_a_bit(struct kit *k) {
    fill(k, "p", 0, 6, 3);
    kit_text(k, "p", "k1", "g:i32[2,1]", "[[1],[2]]");
    kit_text(k, "p", "k2", "g:i32[1,2]", "[[1,2]]");
    kit_tag(k, "p", "k1", "tag", "x");
    kit_group(k, "p", "k1", "group", 2);
    kit_clear_key(k, "p", "k0");
    call(k, 2, 0);
    call(k, 1, 1000);
    kit_seal(k, "q");
}

/* ---- tests -------------------------------------------------------------------------------- */

static void test_a_file_comes_back(void **state) {
    struct kit *k = *state;
    int files = 0;
    write_a_bit(k);
    fill(k, "large", 0, 5, 3000000);
    fill(k, "many", 0, 20000, 7);
    uint64_t written = write_one(k, "one", NULL);
    expect_comes_back(k, "one");
    struct snapshot *snapshot = open_one(disk_system(), "one");
    const struct snapshot_info *info = snapshot_info(snapshot);
    assert_true(info->lsn == 77 && info->created_ms == k->now_ms && info->partitions == 4);
    assert_true(info->samples == 20010 && info->payload_bytes == 5 * 3000000 + 140000 + 15 + 16);
    assert_true(info->file_bytes == written && info->shared == 0);
    assert_true(span_equal(info->meta, SPAN_LITERAL("step 12")));
    assert_true(span_equal(snapshot_partition(snapshot, 2).name, SPAN_LITERAL("large")));
    assert_int_equal(snapshot_partition(snapshot, 2).samples, 5);
    assert_null(snapshot_file(snapshot, 0));
    snapshot_close(snapshot);
    disk_system()->ops->list(disk_system(), directory, count_one, &files, NULL);
    assert_int_equal(files, 1);
}

/* Enough for more batches than are read ahead. */
static void fill_many_partitions(struct kit *k) {
    char name[16];
    for (unsigned i = 0; i < 400; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        fill(k, name, 0, 2, 5);
    }
}

enum way { ALONE, AHEAD, AHEAD_WHEN_READY };

/* Loads from a file into a store of its own. Returns the dump, or why there is none, for kit_dump_free; then the store has kept
 * nothing. */
static struct span load_with(const char *name, enum way way) {
    struct kit copy;
    kit_open(&copy);
    struct snapshot *snapshot = open_one(disk_system(), name);
    if (way != ALONE) snapshot_read_ahead(snapshot);
    int failed = load_all(snapshot, copy.store, 1, way == AHEAD_WHEN_READY, &copy.error);
    if (failed) assert_int_equal(arena_allocated(store_arena(copy.store)), 0);
    snapshot_close(snapshot);
    struct span out = failed ? span_of_string(strdup(copy.error.text)) : kit_dump(copy.store);
    kit_close(&copy);
    return out;
}

static void expect_same(const char *name, struct span expected) {
    for (enum way way = ALONE; way <= AHEAD_WHEN_READY; way++) {
        struct span out = load_with(name, way);
        assert_true(span_equal(out, expected));
        kit_dump_free(out);
    }
}

static void test_read_ahead(void **state) {
    struct kit *k = *state;
    write_a_bit(k);
    fill(k, "large", 0, 3, 3000000);
    fill(k, "many", 0, 20000, 7);
    fill_many_partitions(k);
    write_one(k, "one", NULL);
    struct span whole = kit_dump(k->store), bytes = slurp("one");
    expect_same("one", whole);
    kit_dump_free(whole);
    for (size_t at = 100; at < bytes.len - 100000; at += bytes.len / 20) {
        ((char *)(uintptr_t)bytes.ptr)[at] ^= 1;
        assert_int_equal(disk_replace(disk_system(), directory, "bad", bytes, &k->error), 0);
        struct span why = load_with("bad", ALONE);
        assert_non_null(memmem(why.ptr, why.len, "checksum", 8));
        expect_same("bad", why);
        kit_dump_free(why);
        ((char *)(uintptr_t)bytes.ptr)[at] ^= 1;
    }
    mem_free((void *)(uintptr_t)bytes.ptr);
}

static void test_given_up_in_the_midst(void **state) {
    struct kit *k = *state, copy;
    fill(k, "large", 0, 3, 3000000);
    fill_many_partitions(k);
    write_one(k, "one", NULL);
    for (int i = 0; i < 20; i++) {
        bool done = false;
        kit_open(&copy);
        struct snapshot *snapshot = open_one(disk_system(), "one");
        if (i) snapshot_read_ahead(snapshot);
        struct load *load = load_new(copy.store, snapshot_total(snapshot));
        for (int steps = 0; steps <= i * 40; steps++) {
            assert_int_equal(snapshot_load_step(snapshot, load, 1, &done, &copy.error), 0);
            assert_false(done);
        }
        load_free(load);
        snapshot_close(snapshot);
        assert_int_equal(arena_allocated(store_arena(copy.store)), 0);
        kit_close(&copy);
    }
}

static void test_in_slices_and_selected(void **state) {
    struct kit *k = *state, copy;
    write_a_bit(k);
    fill(k, "many", 0, 20000, 700);
    write_one(k, "one", NULL);
    kit_open(&copy);
    struct snapshot *snapshot = open_one(disk_system(), "one");
    struct load *load = load_new(copy.store, snapshot_total(snapshot));
    bool done = false;
    int steps = 0, prepared = 0;
    for (uint64_t before = 0; !done; before = snapshot_done(snapshot), steps++) {
        assert_int_equal(snapshot_load_step(snapshot, load, 1, &done, &copy.error), 0);
        prepared += snapshot_done(snapshot) == before;
    }
    assert_int_equal(prepared, 1); /* the index of the keys of "many" is no part of a section */
    assert_int_equal(steps, snapshot_info(snapshot)->sections + 1);
    assert_int_equal(store_partitions(copy.store), 0);
    load_free(load);
    struct span names[] = {SPAN_LITERAL("many"), SPAN_LITERAL("none")};
    assert_int_equal(snapshot_select(snapshot, names, 2, &copy.error), ERROR_NOPART);
    assert_int_equal(snapshot_select(snapshot, names, 1, &copy.error), 0);
    assert_int_equal(load_all(snapshot, copy.store, 100000, false, &copy.error), 0);
    assert_int_equal(store_partitions(copy.store), 1);
    assert_int_equal(kit_partition(&copy, "many")->samples, 20000);
    snapshot_close(snapshot);
    kit_close(&copy);

    struct snapshot_options options = {.n_partitions = 2, .partitions = names};
    assert_int_equal(snapshot_write(disk_system(), path_of("two"), k->store, &options, &k->error),
                     ERROR_NOPART);
    assert_false(disk_system()->ops->exists(disk_system(), path_of("two")));
    assert_false(disk_system()->ops->exists(disk_system(), path_of("two.tmp")));
    options.n_partitions = 1;
    assert_int_equal(snapshot_write(disk_system(), path_of("two"), k->store, &options, &k->error),
                     0);
    snapshot = open_one(disk_system(), "two");
    assert_int_equal(snapshot_info(snapshot)->partitions, 1);
    snapshot_close(snapshot);
}

/* Refused, or the same store. */
static void expect_refused(struct shelf *shelf, struct kit *empty, struct span expected,
                           const char *what, size_t at) {
    int failed = try_file(&shelf->disk, "one", empty->store, &empty->error);
    if (failed) {
        assert_true(empty->error.text[0]);
        assert_int_equal(store_partitions(empty->store), 0);
        assert_non_null(strstr(empty->error.text, "one"));
    } else {
        struct span got = kit_dump(empty->store);
        if (!span_equal(got, expected)) fail_msg("%s %zu: other content", what, at);
        kit_dump_free(got);
        fail_msg("%s %zu was not noticed", what, at);
    }
    kit_empty(empty);
}

static void test_every_byte_and_every_end(void **state) {
    struct kit *k = *state, empty;
    write_a_bit(k);
    write_one(k, "one", NULL);
    struct span file = slurp("one"), expected = kit_dump(k->store);
    char *bytes = (char *)file.ptr;
    struct shelf shelf = {.disk = {&shelf_ops}, .names = {"one"}, .files = {file}};
    kit_open(&empty);
    assert_int_equal(try_file(&shelf.disk, "one", empty.store, &empty.error), 0);
    kit_empty(&empty);
    for (size_t at = 0; at < file.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (char)(1 << bit);
            expect_refused(&shelf, &empty, expected, "byte", at);
            bytes[at] ^= (char)(1 << bit);
        }
    }
    for (shelf.files[0].len = 0; shelf.files[0].len < file.len; shelf.files[0].len++)
        expect_refused(&shelf, &empty, expected, "end", shelf.files[0].len);
    kit_close(&empty);
    kit_dump_free(expected);
    mem_free(bytes);
}

/* The header of a snapshot with another version, and its checksum. */
static void set_version(char *bytes, char version) {
    bytes[8] = version;
    uint64_t sum = checksum64(span_of(bytes, 16));
    for (int i = 0; i < 8; i++) bytes[16 + i] = (char)(sum >> 8 * i);
}

static void test_versions(void **state) {
    struct kit *k = *state;
    write_a_bit(k);
    write_one(k, "one", NULL);
    struct span file = slurp("one");
    char *bytes = (char *)file.ptr;
    struct shelf shelf = {.disk = {&shelf_ops}, .names = {"one"}, .files = {file}};
    struct snapshot *snapshot;
    assert_int_equal(bytes[8], 2);
    set_version(bytes, 1);
    assert_int_equal(snapshot_open(&shelf.disk, path_of("one"), &snapshot, &k->error), 0);
    snapshot_close(snapshot);
    set_version(bytes, 0);
    assert_int_equal(snapshot_open(&shelf.disk, path_of("one"), &snapshot, &k->error), ERROR_ERR);
    set_version(bytes, 9);
    assert_int_equal(snapshot_open(&shelf.disk, path_of("one"), &snapshot, &k->error), ERROR_ERR);
    assert_non_null(strstr(k->error.text, "version 9"));
    mem_free(bytes);
}

static void test_what_an_earlier_one_has(void **state) {
    struct kit *k = *state;
    fill(k, "p", 0, 70000, 100);
    call(k, 10, 0);
    uint64_t first = write_one(k, "one", NULL);
    fill(k, "p", 70000, 1000, 100);
    call(k, 10, 0);
    uint64_t second = write_one(k, "two", "one");
    fill(k, "p", 71000, 60000, 100);
    uint64_t third = write_one(k, "three", "two");
    assert_true(first > 7000000 && second < first / 10 && third < first);
    expect_comes_back(k, "three");
    struct snapshot *snapshot = open_one(disk_system(), "three");
    assert_string_equal(snapshot_file(snapshot, 0), "one"); /* not through two */
    assert_null(snapshot_file(snapshot, 1));
    assert_int_equal(snapshot_info(snapshot)->shared, 3);
    snapshot_close(snapshot);
    fill(k, "q", 0, 5, 5000000);
    write_one(k, "four", "three");
    call(k, 1, 0);
    assert_true(write_one(k, "four", "four") > 25000000); /* its own are written again */
    expect_comes_back(k, "four");

    struct kit copy;
    kit_open(&copy);
    unlink(path_of("one"));
    assert_int_equal(try_file(disk_system(), "three", copy.store, &copy.error), ERROR_ERR);
    assert_non_null(strstr(copy.error.text, "one"));
    fill(k, "p", 0, 5, 50);
    write_one(k, "one", NULL); /* another file of that name */
    assert_int_equal(try_file(disk_system(), "three", copy.store, &copy.error), ERROR_ERR);
    assert_non_null(strstr(copy.error.text, "one"));
    kit_close(&copy);
}

/* ---- syncing ------------------------------------------------------------------------------ */

static uint64_t unsynced, most_unsynced;

static int counted_write(struct disk_file *file, const struct iovec *parts, size_t n,
                         struct error *e) {
    for (size_t i = 0; i < n; i++) unsynced += parts[i].iov_len;
    if (unsynced > most_unsynced) most_unsynced = unsynced;
    return disk_system()->ops->write(file, parts, n, e);
}

static int counted_sync(struct disk_file *file, struct error *e) {
    unsynced = 0;
    return disk_system()->ops->sync(file, e);
}

/* Whoever writes to the same disk meanwhile, the log before all, does not wait for gigabytes. */
static void test_it_is_synced_as_it_grows(void **state) {
    enum { MIB = 1 << 20, TOTAL = 70, MOST = 34 };
    struct kit *k = *state;
    struct disk_ops ops = *disk_system()->ops;
    struct disk counted = {.ops = &ops};
    ops.write = counted_write;
    ops.sync = counted_sync;
    unsynced = most_unsynced = 0;
    fill(k, "p", 0, TOTAL, MIB);
    struct snapshot_options options = {.now_ms = 1};
    assert_int_equal(snapshot_write(&counted, path_of("one"), k->store, &options, &k->error), 0);
    assert_int_equal(unsynced, 0);
    assert_true(most_unsynced > 0 && most_unsynced < MOST * MIB);
}

static int setup(void **state) {
    return make_directory(state) || kit_setup(state);
}

static int teardown(void **state) {
    int left = kit_teardown(state);
    return remove_directory(state) || left;
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_a_file_comes_back),        FILE_TEST(test_read_ahead),
        FILE_TEST(test_given_up_in_the_midst),    FILE_TEST(test_in_slices_and_selected),
        FILE_TEST(test_every_byte_and_every_end), FILE_TEST(test_versions),
        FILE_TEST(test_what_an_earlier_one_has),  FILE_TEST(test_it_is_synced_as_it_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
