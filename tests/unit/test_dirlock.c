/* Locks of a directory, where its file system can lock directories and where it can't (NFS). */
#include "kit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "persist/dirlock.h"

int __wrap_flock(int fd, int operation);
int __real_flock(int fd, int operation);

static bool no_flock; /* the file system has no locks for directories */

int __wrap_flock(int fd, int operation) {
    return no_flock ? (errno = EBADF, -1) : __real_flock(fd, operation);
}

/* ---- another process ---------------------------------------------------------------------- */

static char directory[64];

static int make_directory(void **state) {
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/tq-dirlock-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static void remove_lock_file(void) {
    char path[96];
    snprintf(path, sizeof(path), "%s/" DIRLOCK_NAME, directory);
    assert_int_equal(unlink(path), 0);
}

static int remove_directory(void **state) {
    (void)state;
    no_flock = false;
    remove_lock_file();
    return rmdir(directory);
}

/* What another process gets that takes the directory: exits with 0 where it has it, with 1 where it
 * is refused for the reason that `refusal` says, with 2 where the reason is another. */
static int other_takes(const char *refusal) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct dirlock lock;
        struct error e;
        if (!dirlock_take(directory, "port 2", false, &lock, &e)) _exit(0);
        _exit(strstr(e.text, refusal) ? 1 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- tests -------------------------------------------------------------------------------- */

static void take(struct dirlock *lock) {
    struct error e = {0};
    if (dirlock_take(directory, "port 1", false, lock, &e)) fail_msg("%s", e.text);
    assert_int_equal(dirlock_look(directory, lock), DIRLOCK_HELD);
}

static const char *owner(void) {
    static char text[64];
    snprintf(text, sizeof(text), "in use by another tq: process %d", (int)getpid());
    return text;
}

/* The lock of the directory itself is left when the file is removed. */
static void test_a_directory_is_locked_without_its_file(void **state) {
    (void)state;
    struct dirlock lock;
    struct error e;
    take(&lock);
    assert_true(lock.directory >= 0);
    assert_int_equal(other_takes(owner()), 1);
    remove_lock_file();
    assert_int_equal(dirlock_look(directory, &lock), DIRLOCK_FILE_GONE);
    assert_int_equal(other_takes("tq.lock was removed"), 1);
    assert_int_equal(dirlock_renew(directory, "port 1", &lock, &e), 0);
    assert_int_equal(dirlock_look(directory, &lock), DIRLOCK_HELD);
    assert_int_equal(other_takes("port 1"), 1);
    dirlock_release(&lock);
    assert_int_equal(other_takes(""), 0);
}

/* Where directories can't be locked, the file's lock keeps others out; without the file nothing
 * does, and the owner sees that when it looks. */
static void test_a_directory_that_can_not_be_locked_has_its_file(void **state) {
    (void)state;
    struct dirlock lock;
    no_flock = true;
    take(&lock);
    assert_int_equal(lock.directory, -1);
    assert_int_equal(other_takes(owner()), 1);
    assert_int_equal(other_takes("port 1"), 1);
    assert_int_equal(dirlock_look(directory, &lock), DIRLOCK_HELD);
    remove_lock_file();
    assert_int_equal(dirlock_look(directory, &lock), DIRLOCK_LOST);
    assert_int_equal(other_takes(""), 0);
    dirlock_release(&lock);
    take(&lock);
    assert_int_equal(other_takes(owner()), 1);
    dirlock_release(&lock);
    assert_int_equal(dirlock_look(directory, &lock), DIRLOCK_LOST);
}

int main(void) {
    struct error e;
    log_open("/dev/null", &e);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_directory_is_locked_without_its_file, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(test_a_directory_that_can_not_be_locked_has_its_file,
                                        make_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
