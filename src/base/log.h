/* The server's log: one line an event, to stderr or a file.
 *
 * The one module below layer 3 with state of its own: a log that had to be passed around would not
 * be used. Lines are written with one write(2), so that processes sharing a file do not mix. */
#ifndef TQ_BASE_LOG_H
#define TQ_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING };

/* Lines below this level are dropped. NOTICE at first. */
void log_set_level(enum log_level level);

/* Is a line of this level written? */
bool log_is_on(enum log_level level);

/* Append to this file from now on; "" is stderr. On failure the log stays where it was. */
int log_open(const char *path, struct error *e);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_write(LOG_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)

/* A line that something outside can cause as often as it likes is written once in `every_us`.
 * Zeroed at first; true: write it, and say how many were left out since (*dropped). */
struct log_limit {
    int64_t last_us;
    uint64_t dropped;
};
bool log_is_due(struct log_limit *limit, int64_t now_us, int64_t every_us, uint64_t *dropped);

/* Where lines go, for a crash handler, which may use nothing but write(2). */
int log_descriptor(void);

#endif
