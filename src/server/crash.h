/* Last words.
 *
 * A server that dies of a bug should say where and over what. The handlers use what is allowed
 * inside a signal handler and nothing else: no malloc, no stdio; a stack of their own, so that an
 * overflow of the stack is reported as well. Afterwards the signal takes its course, so that the
 * exit status (and a core, and a sanitizer's report) is what it would have been. */
#ifndef TQ_SERVER_CRASH_H
#define TQ_SERVER_CRASH_H

struct server;

/* From now on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT are reported to the log. `s` stays. */
void crash_init(const struct server *s);

#endif
