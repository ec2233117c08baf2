/* How the kit gives up: with a sentence on stderr and abort, as it serves unit tests and fuzzers alike. */
#ifndef TQ_TESTS_KIT_FAIL_H
#define TQ_TESTS_KIT_FAIL_H

#include <stdio.h>
#include <stdlib.h>

#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: expected %s: ", __FILE__, __LINE__, #condition);               \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
