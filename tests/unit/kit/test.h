/* What every unit test includes: cmocka with the headers it expects, and how long to run. */
#ifndef TQ_TESTS_KIT_TEST_H
#define TQ_TESTS_KIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A campaign's length: `usual`, or a hundred times that when TQ_LONG is in the environment. */
static inline uint64_t test_rounds(uint64_t usual) {
    const char *is_long = getenv("TQ_LONG");
    return is_long && *is_long && *is_long != '0' ? usual * 100 : usual;
}

/* Everything takes ten times as long: a campaign may try less. */
#ifdef TQ_SANITIZERS
#define TEST_IS_SLOW 1
#else
#define TEST_IS_SLOW 0
#endif

#endif
