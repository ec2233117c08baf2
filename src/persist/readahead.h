/* Jobs that are done in the order in which they were given: by a thread of their own, and by the thread that gave them while it waits
 * for one. So neither stands idle while there is something to read. (worker.h is for jobs that only the helper may do, one at a time.)
 *
 * A job's data belongs to who does it, from when it is given until it has ended. Jobs of one queue may run at the same time, on two
 * threads at most. */
#ifndef TQ_PERSIST_READAHEAD_H
#define TQ_PERSIST_READAHEAD_H

#include <stdbool.h>

struct readahead;

typedef void readahead_run(void *context);

/* The giver's, who keeps it in place until it has ended or was dropped. */
struct readahead_job {
    readahead_run *run;
    void *context;

    /* The queue's own. */
    struct readahead_job *next;
    bool ended;
};

/* Without a thread, jobs are done when they are waited for; so they are where the system refuses
 * one: see readahead_has_thread. */
struct readahead *readahead_new(bool thread);
/* Drops what is left. */
void readahead_free(struct readahead *r);

bool readahead_has_thread(const struct readahead *r);

void readahead_give(struct readahead *r, struct readahead_job *job);

bool readahead_ended(struct readahead *r, const struct readahead_job *job);

/* Until a job that was given has ended; the caller does jobs that nobody has begun, the oldest first. */
void readahead_wait(struct readahead *r, const struct readahead_job *job);

/* Jobs that nobody has begun are forgotten; the one that the thread does ends. */
void readahead_drop(struct readahead *r);

#endif
