/* The store against the model, in random walks.
 *
 * A failure prints the seed of its walk; TQ_SEED=that walks it again, alone. TQ_LONG=1 walks much longer. */
#include "kit/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "kit/trial.h"

static uint64_t walk_seed;

/* Whatever ends a walk, the seed is said. */
static void say_seed(int number) {
    char text[64];
    int len = snprintf(text, sizeof(text), "TQ_SEED=%llu walks there again\n",
                       (unsigned long long)walk_seed);
    if (write(STDERR_FILENO, text, (size_t)len) < 0) _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

#ifdef TQ_SANITIZERS
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) {
    return "abort_on_error=1";
}

const char *__ubsan_default_options(void) {
    return "abort_on_error=1:print_stacktrace=1";
}
#endif

static void walk(uint64_t seed, const struct trial_shape *shape, unsigned steps) {
    static struct trial t;
    walk_seed = seed;
    signal(SIGABRT, say_seed);
    signal(SIGSEGV, say_seed); /* cmocka's own would go on without a trace */
    signal(SIGFPE, say_seed);
    trial_open(&t, source_of_seed(seed), shape);
    for (unsigned i = 0; i < steps; i++) trial_step(&t);
    trial_close(&t);
}

/* Does a child see, when the walk has gone on, what there was when it was forked? */
static bool child_sees_the_same(struct trial *t, unsigned steps) {
    int ends[2], status = 0;
    char go = 'g';
    assert_int_equal(pipe(ends), 0);
    arena_defer_frees(store_arena(t->kit.store));
    struct span before = kit_dump(t->kit.store);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (read(ends[0], &go, 1) != 1) _exit(2);
        _exit(!span_equal(before, kit_dump(t->kit.store)));
    }
    for (unsigned i = 0; i < steps; i++) trial_step(t);
    assert_int_equal(write(ends[1], &go, 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    arena_resume_frees(store_arena(t->kit.store));
    arena_tick(store_arena(t->kit.store), t->kit.now_ms);
    kit_dump_free(before);
    close(ends[0]);
    close(ends[1]);
    return status == 0;
}

static void walk_with_children(uint64_t seed, const struct trial_shape *shape, unsigned children) {
    static struct trial t;
    walk_seed = seed;
    signal(SIGABRT, say_seed);
    trial_open(&t, source_of_seed(seed), shape);
    for (unsigned i = 0; i < children; i++)
        if (!child_sees_the_same(&t, 1 + i % 60)) {
            print_message("# seed %llu\n", (unsigned long long)seed);
            fail_msg("child %u sees something else", i);
        }
    trial_close(&t);
}

/* Walks for so many seconds, or the one that TQ_SEED names. */
static void walks(uint64_t seconds, const struct trial_shape *shape, unsigned steps) {
    const char *given = getenv("TQ_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)clock_wall_us();
    int64_t end = clock_monotonic_us() + (int64_t)test_rounds(seconds) * 1000000;
    unsigned n = 0;
    do {
        walk(seed++, shape, steps);
        n++;
    } while (!given && clock_monotonic_us() < end);
    print_message("# %u walks of %u steps\n", n, steps);
}

/* Few keys, so that everything happens to the same samples; compared after every step. */
static void test_narrow(void **state) {
    (void)state;
    walks(4,
          &(struct trial_shape){.partitions = 2,
                                .keys = 12,
                                .batch = 8,
                                .large = 40000,
                                .check_every = 1,
                                .replica = true},
          300);
}

/* More of everything; cells go, chunks become sparse. */
static void test_broad(void **state) {
    (void)state;
    walks(4,
          &(struct trial_shape){.partitions = MODEL_PARTITIONS,
                                .keys = 200,
                                .batch = 60,
                                .large = 200000,
                                .check_every = 25,
                                .replica = true},
          2000);
}

/* Samples in several blocks of every block index. */
static void test_long(void **state) {
    (void)state;
    walks(4,
          &(struct trial_shape){
              .partitions = 1, .keys = 3000, .batch = 700, .large = 1000, .check_every = 100},
          1000);
}

/* What a snapshot is made of: payload is shared with the child, the rest is its own. */
static void test_children_of_a_fork(void **state) {
    (void)state;
    const char *given = getenv("TQ_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)clock_wall_us();
    int64_t end = clock_monotonic_us() + (int64_t)test_rounds(3) * 1000000;
    do {
        walk_with_children(
            seed++,
            &(struct trial_shape){
                .partitions = 2, .keys = 12, .batch = 8, .large = 3000, .check_every = 1000},
            40);
    } while (!given && clock_monotonic_us() < end);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_broad),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_children_of_a_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
