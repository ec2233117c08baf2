/* The system's files: what the log and snapshots rely on, seen from beside them. */
#include "kit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "persist/disk.h"

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
    struct span bytes;
    assert_int_equal(disk_system()->ops->map(file, &bytes, NULL), 0);
    assert_int_equal(bytes.len, (size_t)n * PAGE);
    for (size_t i = 0; i < bytes.len; i += 4) {
        uint32_t word;
        memcpy(&word, bytes.ptr + i, 4);
        if (word != i / PAGE) fail_msg("page %zu has %u in it", i / PAGE, word);
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_uncached_is_there, make_file, remove_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
