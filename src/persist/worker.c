/* See worker.h. */
#include "persist/worker.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/mem.h"

struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool busy, threadless; /* of the giver alone */

    /* Under the lock. */
    bool ending, running, ended;
    worker_job *run;
    void *context;
    int failed;
    struct error error;
};

static void *worker_main(void *context) {
    struct worker *w = context;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->running && !w->ending) pthread_cond_wait(&w->changed, &w->lock);
        if (!w->running) break;
        pthread_mutex_unlock(&w->lock);
        int failed = w->run(w->context, &w->error);
        pthread_mutex_lock(&w->lock);
        w->failed = failed;
        w->running = false;
        w->ended = true;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Signals are for the thread that serves. */
struct worker *worker_new(bool threadless, struct error *e) {
    struct worker *w = mem_calloc(1, sizeof(*w));
    w->threadless = threadless;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    if (threadless) return w;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int why = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!why) return w;
    error_set(e, ERROR_ERR, "can't start a thread: %s", strerror(why));
    w->threadless = true; /* there is none to join */
    worker_free(w);
    return NULL;
}

void worker_free(struct worker *w) {
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    if (!w->threadless) pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

bool worker_is_busy(const struct worker *w) {
    return w->busy;
}

void worker_start(struct worker *w, worker_job *run, void *context) {
    w->busy = true;
    if (w->threadless) {
        w->failed = run(context, &w->error);
        w->ended = true;
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->run = run;
    w->context = context;
    w->running = true;
    w->ended = false;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* Under the lock. */
static void worker_take_result(struct worker *w, int *failed, struct error *e) {
    *failed = w->failed;
    if (w->failed && e) *e = w->error;
    w->ended = false;
    w->busy = false;
}

bool worker_poll(struct worker *w, int *failed, struct error *e) {
    if (!w->busy) return false;
    pthread_mutex_lock(&w->lock);
    bool ended = w->ended;
    if (ended) worker_take_result(w, failed, e);
    pthread_mutex_unlock(&w->lock);
    return ended;
}

void worker_wait(struct worker *w, int *failed, struct error *e) {
    pthread_mutex_lock(&w->lock);
    while (!w->ended) pthread_cond_wait(&w->changed, &w->lock);
    worker_take_result(w, failed, e);
    pthread_mutex_unlock(&w->lock);
}
