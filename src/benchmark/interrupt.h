/* Ctrl-C ends a benchmark in order: servers stopped, sockets removed.
 *
 * A signal only raises a flag; whatever waits returns an error when it sees it, and the program
 * unwinds as after any other failure. */
#ifndef TQ_BENCHMARK_INTERRUPT_H
#define TQ_BENCHMARK_INTERRUPT_H

#include <stdbool.h>

#include "base/error.h"

/* SIGINT and SIGTERM raise the flag from here on, and SIGPIPE is ignored. */
void interrupt_install(void);

/* In a forked child: all of them as they were. */
void interrupt_reset(void);

/* 0, or an error once a signal has come; it takes the place of what `e` says already. */
int interrupt_check(struct error *e);

#endif
