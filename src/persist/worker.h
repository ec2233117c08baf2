/* A helper thread for what blocks: syncing files, making and removing them.
 *
 * It does one job at a time and never touches the store. Whoever gives a job asks later, from its own thread, whether it is done; a
 * job's data is the worker's until then. */
#ifndef TQ_PERSIST_WORKER_H
#define TQ_PERSIST_WORKER_H

#include <stdbool.h>

#include "base/error.h"

struct worker;

typedef int worker_job(void *context, struct error *e);

/* `threadless`: jobs run where they are given, for tests that have to go the same way each time.
 * NULL and ERROR_ERR where the system refuses another thread. */
struct worker *worker_new(bool threadless, struct error *e);
/* Waits for the job that runs. */
void worker_free(struct worker *w);

/* Is there a job that runs, or whose end nobody has asked for? */
bool worker_is_busy(const struct worker *w);

/* The worker is not busy. */
void worker_start(struct worker *w, worker_job *run, void *context);

/* Has the job ended? Then the worker is free again, and *failed is what the job returned. */
bool worker_poll(struct worker *w, int *failed, struct error *e);

/* The same, waiting for the end. There is a job. */
void worker_wait(struct worker *w, int *failed, struct error *e);

#endif
