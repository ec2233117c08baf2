/* A connection for what is asked and done beside the measurement. */
#ifndef TQ_BENCHMARK_CONTROL_H
#define TQ_BENCHMARK_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "benchmark/link.h"
#include "wire/reply_reader.h"

struct control {
    bool is_open;
    int fd;
    struct reply_reader reader;
};

int control_open(struct control *c, const struct link_address *a, enum link_transport transport,
                 struct error *e);
void control_close(struct control *c);

/* A command of C strings, ended by NULL. An error reply is a failure. *integer, where it is not
 * NULL, gets an integer reply. */
int control_do(struct control *c, int64_t *integer, struct error *e, const char *word, ...)
    __attribute__((sentinel));

/* A number of INFO's section; 0 where INFO does not have it. */
int control_info(struct control *c, const char *section, const char *field, int64_t *out,
                 struct error *e);

#endif
