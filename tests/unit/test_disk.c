/* The system's files: what the log and snapshots rely on, seen from beside them; and what a log
 * says that can't be read. */
#include "kit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "kit/store.h"
#include "persist/oplog.h"
#include "persist/replay.h"

enum { PAGE = 4096, PAGES = 2048, TMPFS = 0x01021994 };

static char path[64];

static int make_file(void **state) {
    (void)state;
    snprintf(path, sizeof(path), "/var/tmp/tq-disk-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

static struct disk_file *open_file(enum disk_mode mode) {
    struct disk_file *file;
    assert_int_equal(disk_system()->ops->open(disk_system(), path, mode, &file, NULL), 0);
    return file;
}

/* Each page full of its number. */
static void write_pages(struct disk_file *file, uint32_t from, uint32_t n) {
    uint32_t *words = mem_alloc((size_t)n * PAGE);
    for (size_t i = 0; i < (size_t)n * PAGE / 4; i++) words[i] = from + (uint32_t)(i * 4 / PAGE);
    const struct iovec part = {words, (size_t)n * PAGE};
    assert_int_equal(disk_system()->ops->write(file, &part, 1, NULL), 0);
    mem_free(words);
}

static void check_pages(uint32_t n) {
    struct disk_file *file = open_file(DISK_READ);
    size_t len = (size_t)n * PAGE, got;
    char *bytes = mem_alloc(len + 1);
    assert_int_equal(disk_system()->ops->read(file, 0, bytes, len + 1, &got, NULL), 0);
    assert_int_equal(got, len);
    for (size_t i = 0; i < len; i += 4) {
        uint32_t word;
        memcpy(&word, bytes + i, 4);
        if (word != i / PAGE) fail_msg("page %zu has %u in it", i / PAGE, word);
    }
    mem_free(bytes);
    disk_system()->ops->close(file);
}

/* Pages of the file in the system's cache. */
static size_t cached_pages(uint32_t n) {
    unsigned char there[PAGES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *bytes = mmap(NULL, (size_t)n * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    assert_int_equal(mincore(bytes, (size_t)n * PAGE, there), 0);
    munmap(bytes, (size_t)n * PAGE);
    close(fd);
    size_t cached = 0;
    for (uint32_t i = 0; i < n; i++) cached += there[i] & 1;
    return cached;
}

static bool is_in_memory(void) {
    struct statfs fs;
    assert_int_equal(statfs(path, &fs), 0);
    return fs.f_type == TMPFS;
}

/* What a log does: written, synced and let go of, then written on. */
static void test_uncached_is_there(void **state) {
    (void)state;
    struct disk_file *file = open_file(DISK_APPEND);
    const struct disk_ops *ops = disk_system()->ops;
    ops->uncache(file); /* nothing yet */
    write_pages(file, 0, PAGES);
    assert_int_equal(ops->sync(file, NULL), 0);
    ops->uncache(file);
    if (!is_in_memory()) assert_true(cached_pages(PAGES) < PAGES / 8);
    write_pages(file, PAGES, PAGES);
    ops->uncache(file); /* not synced yet */
    check_pages(2 * PAGES);
    assert_int_equal(ops->sync(file, NULL), 0);
    ops->uncache(file);
    check_pages(2 * PAGES);
    ops->close(file);
}

/* ---- a log that can't be read -------------------------------------------------------------- */

enum { FRAMES = 40, FRAME_BYTES = 100 * 1000, REPLAY_STEP = 1000 * 1000 };

struct logged {
    struct kit kit;
    struct oplog *log;
    struct framer framer;
};

/* The system's, but for its bad sector. */
struct bad_disk {
    struct disk disk;
    uint64_t bad; /* reads of this offset of a file fail; 0: none */
};

static char log_directory[64], segment[128];

static int bad_read(struct disk_file *file, uint64_t offset, void *out, size_t len, size_t *got,
                    struct error *e) {
    const struct bad_disk *bad = (struct bad_disk *)file->disk;
    if (bad->bad && bad->bad >= offset && bad->bad < offset + len)
        return error_set(e, ERROR_ERR, "can't read '%s', offset %llu: it was to fail", segment,
                         (unsigned long long)bad->bad);
    return disk_system()->ops->read(file, offset, out, len, got, e);
}

static struct bad_disk bad_disk_new(void) {
    static struct disk_ops ops;
    ops = *disk_system()->ops;
    ops.read = bad_read;
    return (struct bad_disk){.disk = {.ops = &ops}};
}

static void log_op(void *context, const struct op *op) {
    struct logged *logged = context;
    framer_add(&logged->framer, logged->kit.store, op);
}

static int make_log(void **state) {
    struct logged logged;
    struct error e = {0};
    char *value = mem_calloc(1, FRAME_BYTES);
    (void)state;
    snprintf(log_directory, sizeof(log_directory), "/var/tmp/tq-log-XXXXXX");
    if (!mkdtemp(log_directory)) return -1;
    snprintf(segment, sizeof(segment), "%s/log.000001.tql", log_directory);
    const struct oplog_options options = {
        .disk = disk_system(), .directory = log_directory, .threadless = true};
    assert_int_equal(oplog_create(&options, &logged.log, &e), 0);
    kit_open(&logged.kit);
    framer_init(&logged.framer);
    store_on_change(logged.kit.store, log_op, &logged);
    for (int i = 0; i < FRAMES; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(kit_field(&logged.kit, "p", key, "f", span_of(value, FRAME_BYTES)), 0);
        struct turn_frame frame;
        framer_end(&logged.framer, 1 + (uint64_t)i, 1 + i, &frame);
        assert_int_equal(oplog_write(logged.log, &frame, 1 + i, &e), 0);
        framer_clear(&logged.framer);
    }
    store_on_change(logged.kit.store, NULL, NULL);
    framer_free(&logged.framer);
    kit_close(&logged.kit);
    mem_free(value);
    return oplog_close(logged.log, &e);
}

static int remove_log(void **state) {
    char manifest[128];
    (void)state;
    snprintf(manifest, sizeof(manifest), "%s/" MANIFEST_NAME, log_directory);
    return unlink(manifest) | unlink(segment) | rmdir(log_directory);
}

/* Opens the log in the middle of `bad`'s life: some of it is replayed. */
static void replay_some(struct bad_disk *bad, struct kit *kit, struct replay *r) {
    struct manifest manifest;
    struct error e = {0};
    bool done = false;
    kit_open(kit);
    assert_int_equal(manifest_read(&bad->disk, log_directory, &manifest, &e), 0);
    assert_int_equal(replay_open(r, &bad->disk, log_directory, &manifest, &e), 0);
    assert_int_equal(replay_step(r, kit->store, REPLAY_STEP, &done, &e), 0);
    assert_true(!done && r->frames >= 5 && r->frames < FRAMES);
}

/* The rest can't be read: the error names the file and an offset from `from` until `until`. */
static void replay_fails(struct kit *kit, struct replay *r, uint64_t from, uint64_t until) {
    char words[256];
    struct error e = {0};
    bool done = false;
    int failed = 0;
    while (!failed && !done) failed = replay_step(r, kit->store, REPLAY_STEP, &done, &e);
    assert_int_equal(failed, ERROR_ERR);
    assert_non_null(strstr(e.text, segment));
    const char *offset = strstr(e.text, "offset ");
    assert_non_null(offset);
    snprintf(words, sizeof(words), "%s", offset + strlen("offset "));
    unsigned long long at = strtoull(words, NULL, 10);
    if (at < from || at > until) fail_msg("%s", e.text);
    assert_int_equal(r->stopped_at, 0); /* so that tq-check --fix does not cut it off */
    replay_close(r);
    kit_close(kit);
}

static void test_a_log_cut_short_while_it_is_read(void **state) {
    (void)state;
    enum { LEFT = 25 * FRAME_BYTES };
    struct bad_disk bad = bad_disk_new();
    struct kit kit;
    struct replay r;
    replay_some(&bad, &kit, &r);
    assert_int_equal(truncate(segment, LEFT), 0);
    replay_fails(&kit, &r, LEFT, LEFT);
}

static void test_a_bad_sector_of_a_log(void **state) {
    (void)state;
    enum { BAD = 30 * FRAME_BYTES + 12345 };
    struct bad_disk bad = bad_disk_new();
    struct kit kit;
    struct replay r;
    bad.bad = BAD;
    replay_some(&bad, &kit, &r);
    replay_fails(&kit, &r, BAD, BAD);
}

/* A broken frame, and behind it a sector that would tell whether it was promised: no guess is
 * made. */
static void test_a_bad_sector_behind_a_broken_frame(void **state) {
    (void)state;
    enum { BROKEN = 20 * FRAME_BYTES + 1000, BAD = 35 * FRAME_BYTES };
    struct bad_disk bad = bad_disk_new();
    struct kit kit;
    struct replay r;
    int fd = open(segment, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, BROKEN), 1);
    close(fd);
    bad.bad = BAD;
    replay_some(&bad, &kit, &r);
    replay_fails(&kit, &r, BAD, BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_uncached_is_there, make_file, remove_file),
        cmocka_unit_test_setup_teardown(test_a_log_cut_short_while_it_is_read, make_log,
                                        remove_log),
        cmocka_unit_test_setup_teardown(test_a_bad_sector_of_a_log, make_log, remove_log),
        cmocka_unit_test_setup_teardown(test_a_bad_sector_behind_a_broken_frame, make_log,
                                        remove_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
