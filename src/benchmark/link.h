/* Sockets: where a peer listens and how one connects to it.
 *
 * Every peer is reached over the same kind of socket with the same options set on both of its ends
 * where this program makes both; nothing else would be a comparison. */
#ifndef TQ_BENCHMARK_LINK_H
#define TQ_BENCHMARK_LINK_H

#include <stdbool.h>

#include "base/error.h"

enum link_transport { LINK_TCP, LINK_UNIX, LINK_TRANSPORTS };

enum { LINK_HOST_MAX = 256, LINK_PATH_MAX = 108 };

/* Both ways to a peer; port 0 or an empty path is a way that is not there. */
struct link_address {
    char host[LINK_HOST_MAX];
    int port;
    char path[LINK_PATH_MAX];
};

const char *link_transport_name(enum link_transport transport);

/* "127.0.0.1:6399" or the path, into `out`. */
void link_format(const struct link_address *a, enum link_transport transport, char *out,
                 size_t size);

/* Whether the address is this machine's loopback or a unix socket. */
bool link_is_local(const struct link_address *a);

/* A connected socket in *fd, which the caller closes, with TCP_NODELAY and send and receive
 * buffers of `buffer` bytes (0: the kernel's own). It does not block unless `blocking`. */
int link_connect(const struct link_address *a, enum link_transport transport, int buffer,
                 bool blocking, int *fd, struct error *e);

/* A listening socket with the same options, which those that it accepts inherit. For TCP the
 * port is chosen by the system and filled in; for unix, a->path says where. */
int link_listen(struct link_address *a, enum link_transport transport, int buffer, int *fd,
                struct error *e);

/* A TCP port of the loopback that was free just now, 0 on failure. */
int link_free_port(void);

#endif
