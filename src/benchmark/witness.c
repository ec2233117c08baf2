/* See witness.h. A witness writes, one thread reads: neither may wait for the other, or else waiting
 * would look like a stop. */
#include "benchmark/witness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "benchmark/timing.h"

enum {
    SLEEP_NS = 200 * 1000,
    LATE_NS = 300 * 1000, /* from here on it is a gap */
    PRIORITY = 50,      /* as that of threaded interrupts; other real-time tasks have less to do */
    GAPS = 1024 * 1024, /* more than ten minutes can have; what is never used is never there */
};

struct gap {
    int64_t begin, end;
};

static const struct gap never = {INT64_MAX, INT64_MAX};

struct processor {
    const struct witness *witness;
    pthread_t thread;
    struct gap *gaps;    /* in order */
    _Atomic size_t n;    /* that are written */
    _Atomic int64_t due; /* when it will look next; all gaps before are written */
    /* The reader's: what it knows of for a question, and where it is. */
    size_t known, at;
    struct gap last; /* one that may not be over */
};

struct witness {
    _Atomic bool is_over;
    size_t n;
    /* What the machine's clock is behind by at a time before which all is known. */
    int64_t settled, stood;
    struct processor processors[];
};

/* ---- witnesses ----------------------------------------------------------------------------- */

static void sleep_until(int64_t ns) {
    const struct timespec t = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)) continue;
}

static void *watch(void *context) {
    struct processor *p = context;
    while (!p->witness->is_over) {
        int64_t due = p->due;
        sleep_until(due);
        int64_t woke = timing_now_ns();
        if (woke - due > LATE_NS && p->n < GAPS) {
            p->gaps[p->n] = (struct gap){due, woke};
            p->n++;
        }
        p->due = woke + SLEEP_NS;
    }
    return NULL;
}

static int start_one(struct processor *p, int processor) {
    const struct sched_param priority = {.sched_priority = PRIORITY};
    pthread_attr_t how;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    p->gaps = mem_alloc(GAPS * sizeof(*p->gaps));
    p->due = timing_now_ns();
    pthread_attr_init(&how);
    pthread_attr_setinheritsched(&how, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&how, SCHED_FIFO);
    pthread_attr_setschedparam(&how, &priority);
    pthread_attr_setaffinity_np(&how, sizeof(set), &set);
    int code = pthread_create(&p->thread, &how, watch, p);
    pthread_attr_destroy(&how);
    if (code) mem_free(p->gaps);
    return code;
}

/* Signals are for the thread that asks. */
static int start_all(struct witness *w, const cpu_set_t *set) {
    sigset_t all, before;
    int code = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < CPU_SETSIZE && !code; i++) {
        if (!CPU_ISSET((size_t)i, set)) continue;
        w->processors[w->n].witness = w;
        code = start_one(&w->processors[w->n], i);
        if (!code) w->n++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

struct witness *witness_start(struct error *e) {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof(set), &set);
    size_t n = (size_t)CPU_COUNT(&set),
           bytes = sizeof(struct witness) + n * sizeof(struct processor);
    struct witness *w = mem_calloc(1, bytes);
    w->settled = timing_now_ns();
    int code = n ? start_all(w, &set) : EINVAL;
    if (!code) return w;
    witness_stop(w);
    error_set(e, ERROR_ERR, "a thread of real-time priority can't be made: %s", strerror(code));
    return NULL;
}

void witness_stop(struct witness *w) {
    if (!w) return;
    w->is_over = true;
    for (size_t i = 0; i < w->n; i++) {
        pthread_join(w->processors[i].thread, NULL);
        mem_free(w->processors[i].gaps);
    }
    mem_free(w);
}

/* ---- what they saw ------------------------------------------------------------------------- */

/* The first gap of a processor that ends after t; t may only grow until questions are asked anew. */
static const struct gap *seek(struct processor *p, int64_t t) {
    while (p->at < p->known && p->gaps[p->at].end <= t) p->at++;
    if (p->at < p->known) return &p->gaps[p->at];
    return p->last.end > t ? &p->last : &never;
}

static void seek_begin(struct processor *p, int64_t t) {
    size_t low = 0, high = p->known;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->gaps[middle].end <= t)
            low = middle + 1;
        else
            high = middle;
    }
    p->at = low;
}

/* A question about from..to. Who should have woken before `to` and has not yet is taken to be late
 * until then: right after a stop one of them may be a little later than the other. */
static void ask(struct witness *w, int64_t from, int64_t to) {
    for (size_t i = 0; i < w->n; i++) {
        struct processor *p = &w->processors[i];
        int64_t due = p->due; /* before n: of the gaps that end before it none is missed */
        p->known = p->n;
        p->last = to - due > LATE_NS ? (struct gap){due, to} : never;
        seek_begin(p, from);
    }
}

/* The first time after t in which all stand. */
static struct gap next_all(struct witness *w, int64_t t) {
    while (t != INT64_MAX) {
        struct gap all = {t, INT64_MAX};
        for (size_t i = 0; i < w->n; i++) {
            const struct gap *gap = seek(&w->processors[i], t);
            if (gap->begin > all.begin) all.begin = gap->begin;
            if (gap->end < all.end) all.end = gap->end;
        }
        if (all.begin < all.end) return all;
        t = all.begin; /* before this, somebody runs */
    }
    return never;
}

/* The first time after t in which one processor may stand; another's may follow at once. */
static struct gap next_any(struct witness *w, int64_t t) {
    struct gap any = never;
    for (size_t i = 0; i < w->n; i++) {
        const struct gap *gap = seek(&w->processors[i], t);
        if (gap->begin < any.begin) any = *gap;
    }
    if (any.begin != INT64_MAX) any.begin -= SLEEP_NS;
    if (any.begin < t) any.begin = t;
    return any;
}

static int64_t sum(struct witness *w, int64_t from, int64_t to,
                   struct gap (*next)(struct witness *w, int64_t t)) {
    int64_t sum = 0;
    if (!w) return 0;
    ask(w, from, to);
    for (struct gap gap = next(w, from); gap.begin < to; gap = next(w, gap.end))
        sum += (gap.end < to ? gap.end : to) - gap.begin;
    return sum;
}

int64_t witness_all_ns(struct witness *w, int64_t from, int64_t to) {
    return sum(w, from, to, next_all);
}

int64_t witness_any_ns(struct witness *w, int64_t from, int64_t to) {
    return sum(w, from, to, next_any);
}

int64_t witness_after(struct witness *w, int64_t from, int64_t ns) {
    if (!w) return from + ns;
    ask(w, from, 0); /* of what is settled alone */
    for (struct gap gap = next_all(w, from); gap.begin - from < ns; gap = next_all(w, from)) {
        ns -= gap.begin - from;
        from = gap.end;
    }
    return from + ns;
}

static int64_t known_before(const struct witness *w) {
    int64_t before = INT64_MAX;
    for (size_t i = 0; i < w->n; i++)
        if (w->processors[i].due < before) before = w->processors[i].due;
    return before;
}

int64_t witness_clock_ns(struct witness *w) {
    int64_t now = timing_now_ns();
    if (!w) return now;
    int64_t settled = known_before(w);
    if (settled > now) settled = now;
    if (settled > w->settled) {
        w->stood += witness_all_ns(w, w->settled, settled);
        w->settled = settled;
    }
    return now - w->stood - witness_all_ns(w, w->settled, now);
}

void witness_settle(const struct witness *w, int64_t until) {
    while (w && known_before(w) <= until + SLEEP_NS) sleep_until(timing_now_ns() + SLEEP_NS);
}
