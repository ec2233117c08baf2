/* libevent's loop in the hands of a test: the test decides which of the events that are ready run,
 * and in which order.
 *
 * simloop.c implements the part of libevent's interface that the server uses, on top of simulated
 * sockets (simsock.h) and a simulated clock. A program that is linked with it never calls
 * libevent's own loop. As in libevent, an event that is activated from inside of a callback runs in
 * the same pass, after those that are active already. */
#ifndef TQ_TESTS_KIT_SIMLOOP_H
#define TQ_TESTS_KIT_SIMLOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source.h"

enum { SIMLOOP_READY_MAX = 256 };

/* What is true of an event that is ready. */
struct simloop_ready {
    int fd;    /* -1: a timer */
    bool read; /* else it is ready for writing, or a timer */
};

/* Forget all events and begin at time 0. */
void simloop_reset(void);

/* The simulated clock, in microseconds. It moves by a microsecond whenever it is read, so that
 * budgets of time are used up. */
int64_t simloop_now_us(void);
void simloop_advance_us(int64_t us);

/* When the next timer is due, in microseconds from now on (0: it is); INT64_MAX where none is
 * set. */
int64_t simloop_next_timer_us(void);

/* The events that are ready now; returns how many. */
size_t simloop_ready(struct simloop_ready out[static SIMLOOP_READY_MAX]);

/* One pass of the loop. `order` draws which of the ready events run, at least one of them, and in
 * which order; NULL: all, in the order in which they were added. False where none is ready. */
bool simloop_pass(struct source *order);

/* The same with exactly these events of simloop_ready, by their places in it, in this order. */
void simloop_pass_of(const size_t *places, size_t n);

/* Did a callback end the loop (event_base_loopbreak)? */
bool simloop_is_broken(void);

#endif
