/* See readahead.h. */
#include "persist/readahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/mem.h"

struct readahead {
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;

    /* Under the lock. */
    struct readahead_job *first, **last; /* nobody has begun these */
    bool busy;                           /* the thread is */
    bool ending;
};

/* Under the lock, which is let go meanwhile. There is a job. */
static void do_first(struct readahead *r) {
    struct readahead_job *job = r->first;
    r->first = job->next;
    if (!r->first) r->last = &r->first;
    pthread_mutex_unlock(&r->lock);
    job->run(job->context);
    pthread_mutex_lock(&r->lock);
    job->ended = true;
}

static void *readahead_main(void *context) {
    struct readahead *r = context;
    pthread_mutex_lock(&r->lock);
    while (!r->ending) {
        if (!r->first) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        r->busy = true;
        do_first(r);
        r->busy = false;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* Signals are for the thread that serves. */
struct readahead *readahead_new(bool thread) {
    struct readahead *r = mem_calloc(1, sizeof(*r));
    r->last = &r->first;
    r->has_thread = thread;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    if (!thread) return r;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r->has_thread = !pthread_create(&r->thread, NULL, readahead_main, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

void readahead_free(struct readahead *r) {
    readahead_drop(r);
    pthread_mutex_lock(&r->lock);
    r->ending = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (r->has_thread) pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

bool readahead_has_thread(const struct readahead *r) {
    return r->has_thread;
}

void readahead_give(struct readahead *r, struct readahead_job *job) {
    job->next = NULL;
    job->ended = false;
    pthread_mutex_lock(&r->lock);
    *r->last = job;
    r->last = &job->next;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

bool readahead_ended(struct readahead *r, const struct readahead_job *job) {
    pthread_mutex_lock(&r->lock);
    bool ended = job->ended;
    pthread_mutex_unlock(&r->lock);
    return ended;
}

void readahead_wait(struct readahead *r, const struct readahead_job *job) {
    pthread_mutex_lock(&r->lock);
    while (!job->ended) {
        if (r->first)
            do_first(r);
        else
            pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

void readahead_drop(struct readahead *r) {
    pthread_mutex_lock(&r->lock);
    r->first = NULL;
    r->last = &r->first;
    while (r->busy) pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}
