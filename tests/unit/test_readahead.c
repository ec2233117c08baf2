/* The queue that a thread and the one who gave the jobs work off together. */
#include "kit/test.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "persist/readahead.h"

enum { JOBS = 200, TIMES = 50 };

/* What the jobs saw: which began first, how often, in which thread. */
struct seen {
    struct trial *trial;
    struct readahead_job job;
    atomic_int began; /* 1: the first to begin; 0: it has not */
    atomic_int times;
    pthread_t thread;
    sem_t *until; /* waits for that first, where it is set */
};

struct trial {
    struct readahead *r;
    atomic_int began;
    struct seen jobs[JOBS];
};

static void run(void *context) {
    struct seen *job = context;
    job->began = ++job->trial->began;
    job->times++;
    job->thread = pthread_self();
    if (job->until)
        while (sem_wait(job->until)) continue;
}

static void trial_begin(struct trial *t, bool thread) {
    *t = (struct trial){.r = readahead_new(thread)};
    for (size_t i = 0; i < JOBS; i++) {
        t->jobs[i].trial = t;
        t->jobs[i].job = (struct readahead_job){.run = run, .context = &t->jobs[i]};
    }
}

static void give(struct trial *t, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) readahead_give(t->r, &t->jobs[i].job);
}

static void test_without_a_thread(void **state) {
    (void)state;
    struct trial t;
    trial_begin(&t, false);
    assert_false(readahead_has_thread(t.r));
    give(&t, 0, 3);
    assert_false(readahead_ended(t.r, &t.jobs[0].job));
    assert_int_equal(t.began, 0);
    readahead_wait(t.r, &t.jobs[1].job);
    assert_int_equal(t.jobs[0].began, 1);
    assert_int_equal(t.jobs[1].began, 2);
    assert_true(readahead_ended(t.r, &t.jobs[1].job));
    assert_false(readahead_ended(t.r, &t.jobs[2].job));
    readahead_drop(t.r);
    give(&t, 3, 4);
    readahead_wait(t.r, &t.jobs[3].job);
    assert_int_equal(t.jobs[2].times, 0);
    assert_int_equal(t.jobs[3].times, 1);
    readahead_free(t.r);
}

/* Nobody asks, and yet they are done. */
static void test_the_thread_does_them(void **state) {
    (void)state;
    struct trial t;
    trial_begin(&t, true);
    assert_true(readahead_has_thread(t.r));
    give(&t, 0, JOBS);
    while (!readahead_ended(t.r, &t.jobs[JOBS - 1].job)) sched_yield();
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(t.jobs[i].began, i + 1);
        assert_false(pthread_equal(t.jobs[i].thread, pthread_self()));
    }
    readahead_free(t.r);
}

/* The thread is busy with the first: who waits for the third does the second and the third. */
static void test_who_waits_helps(void **state) {
    (void)state;
    struct trial t;
    sem_t until;
    sem_init(&until, 0, 0);
    trial_begin(&t, true);
    t.jobs[0].until = &until;
    give(&t, 0, 1);
    while (!t.jobs[0].began) sched_yield();
    give(&t, 1, 4);
    readahead_wait(t.r, &t.jobs[2].job);
    assert_true(pthread_equal(t.jobs[1].thread, pthread_self()));
    assert_true(pthread_equal(t.jobs[2].thread, pthread_self()));
    assert_false(readahead_ended(t.r, &t.jobs[0].job));
    assert_int_equal(t.jobs[3].times, 0);
    sem_post(&until);
    readahead_wait(t.r, &t.jobs[0].job);
    readahead_free(t.r);
    sem_destroy(&until);
}

/* Each is begun once at most, in order, and is over when drop returns; those behind were never begun. */
static void test_dropped(void **state) {
    (void)state;
    for (int k = 0; k < TIMES; k++) {
        struct trial t;
        trial_begin(&t, true);
        give(&t, 0, JOBS);
        readahead_wait(t.r, &t.jobs[k].job);
        readahead_drop(t.r);
        int began = t.began;
        assert_in_range(began, k + 1, JOBS);
        for (int i = 0; i < JOBS; i++) {
            assert_int_equal(t.jobs[i].times, i < began);
            assert_true(readahead_ended(t.r, &t.jobs[i].job) == (i < began));
        }
        readahead_free(t.r);
        assert_int_equal(t.began, began);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_thread),
        cmocka_unit_test(test_the_thread_does_them),
        cmocka_unit_test(test_who_waits_helps),
        cmocka_unit_test(test_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
