/* The raw peer: what the machine could do at best.
 *
 * A bare process without a protocol: it receives so many bytes into memory, then sends so many
 * bytes from memory, over and over. The bytes are those of the real command and the real reply,
 * the memory is of the server's kind and of the data's size and was touched before (or, to be
 * compared with a cold server, was not), the sockets have the same options. What a server
 * reaches of its speed is what is left after parsing, storing and finding. */
#ifndef TQ_BENCHMARK_RAWPEER_H
#define TQ_BENCHMARK_RAWPEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "benchmark/link.h"
#include "wire/reply.h"

struct rawpeer_plan {
    size_t connections;
    size_t pipeline; /* requests of a connection that have memory of their own */
    size_t request_bytes;
    struct reply *reply; /* sent after each request; the child empties its copy */
    bool fresh;          /* receive into memory that was not touched before */
    enum link_transport transport;
    int buffer;
};

struct rawpeer {
    pid_t pid; /* 0: none */
    struct link_address address;
};

/* Fork it and wait until it is ready for its connections. `path` is where its unix socket goes.
 * It ends when a connection does. On failure there is none. */
int rawpeer_start(struct rawpeer *r, const struct rawpeer_plan *plan, const char *path,
                  struct error *e);
void rawpeer_stop(struct rawpeer *r);

#endif
