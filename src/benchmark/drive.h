/* The engine: keeps connections busy from one thread and takes the time.
 *
 * Sockets do not block, so that a pipeline whose replies are larger than the socket's buffers can't
 * lock up; what is sent comes from a source, message by message, so many in flight on each
 * connection. A run begins with the first byte sent and ends with the last byte received;
 * nothing else is done in between. */
#ifndef TQ_BENCHMARK_DRIVE_H
#define TQ_BENCHMARK_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "benchmark/link.h"
#include "benchmark/replies.h"
#include "benchmark/series.h"

struct drive_message {
    const struct iovec *iov; /* borrowed until it is sent */
    size_t n_iov;
    uint64_t replies; /* that it will get */
};

/* Where messages come from: fills *m for a connection, or says that there are no more for it. */
struct drive_source {
    bool (*next)(void *context, size_t connection, struct drive_message *m);
    void *context;
};

struct drive_flight {
    int64_t began_ns;
    uint64_t due; /* replies */
};

struct drive_connection {
    int fd;
    struct replies *replies;
    struct drive_message sending;
    size_t iov_at, iov_offset; /* what of it is sent */
    bool is_sending, is_dry, wants_write;
    struct drive_flight *flights; /* a ring of `pipeline` places */
    size_t first, in_flight;
    uint64_t seen; /* replies that are accounted for */
};

struct drive {
    int epoll;
    struct drive_connection *connections;
    size_t n, pipeline;
    size_t busy; /* connections that still have something to do */
};

struct drive_time {
    int64_t elapsed_ns;
    struct series *latency_us; /* one a message is added; NULL: not asked for */
};

/* Connect `n` times; `replies` are n, one for each, and become the drive's in any case. On failure
 * *d is empty. */
int drive_open(struct drive *d, const struct link_address *a, enum link_transport transport,
               int buffer, size_t n, size_t pipeline, struct replies **replies, struct error *e);
void drive_close(struct drive *d);

/* Send all that the source has and wait for all replies. After a failure the connections are of no
 * use any more. */
int drive_run(struct drive *d, struct drive_source *source, struct drive_time *time,
              struct error *e);

/* Sums over all connections. */
struct replies_counts drive_counts(const struct drive *d);

#endif
