/* A connection on which things are asked and done beside the measurement, through hiredis. */
#ifndef TQ_BENCHMARK_CONTROL_H
#define TQ_BENCHMARK_CONTROL_H

#include <stdint.h>

#include "base/error.h"
#include "benchmark/link.h"

struct redisContext;

struct control {
    struct redisContext *context; /* NULL: not open */
};

int control_open(struct control *c, const struct link_address *a, enum link_transport transport,
                 struct error *e);
void control_close(struct control *c);

/* A command in printf's words (as redisCommand has them). An error reply is a failure. *integer,
 * where it is not NULL, gets an integer reply. */
int control_do(struct control *c, int64_t *integer, struct error *e, const char *format, ...);

/* The two halves of a command of one word, for who does something else meanwhile. */
int control_send(struct control *c, const char *command, struct error *e);
int control_receive(struct control *c, const char *command, struct error *e);

/* A number of INFO, from this section; `fallback` where INFO does not have it. */
int control_info(struct control *c, const char *section, const char *field, int64_t fallback,
                 int64_t *out, struct error *e);

#endif
