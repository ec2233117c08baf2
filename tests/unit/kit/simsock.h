/* Sockets in memory, and a disk that fails when told to.
 *
 * A program that is linked with simsock.c and with the linker's --wrap for the system calls named
 * there has its calls on simulated descriptors answered here; calls on other descriptors reach the
 * system. */
#ifndef TQ_TESTS_KIT_SIMSOCK_H
#define TQ_TESTS_KIT_SIMSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIMSOCK_FIRST = 100000, SIMSOCK_MAX = 1100 };

/* Bytes in pages of their own: what comes from malloc counts as used by the server. Zeroed:
 * empty. */
struct simsock_bytes {
    char *ptr;
    size_t len, capacity;
};
void simsock_bytes_add(struct simsock_bytes *b, const void *bytes, size_t len);
void simsock_bytes_free(struct simsock_bytes *b);

/* Close all. */
void simsock_reset(void);

/* The server's end of a new connection. */
int simsock_open(void);

static inline bool simsock_is(int fd) {
    return fd >= SIMSOCK_FIRST && fd < SIMSOCK_FIRST + SIMSOCK_MAX;
}

/* ---- what the client does */

void simsock_send(int fd, const char *bytes, size_t len);

/* The client sends without end from now on. The bytes have no content: for a server that throws
 * them away. */
void simsock_flood(int fd);
uint64_t simsock_flooded(int fd); /* how many of them the server has read */

/* A read of what the client sends gets at most so many bytes, as from a socket that is small and that
 * the client fills again at once. At first there is no limit. */
void simsock_trickle(int fd, size_t bytes);

/* The client closes its end: what it sent can still be read; `reset`: nothing can, and writes
 * fail. */
void simsock_leave(int fd, bool reset);

/* How many bytes the server may write from now on before its socket is full. At first there is no
 * limit. */
void simsock_room(int fd, size_t bytes);

/* How many bytes of what the server wrote the client has not taken yet, as SIOCOUTQ tells. At first
 * 0. */
void simsock_untaken(int fd, int bytes);

/* What the server has written so far. The caller may shorten it. */
struct simsock_bytes *simsock_output(int fd);

/* Has the server closed its end? */
bool simsock_is_closed(int fd);

/* ---- what the loop asks */

bool simsock_readable(int fd);
bool simsock_writable(int fd);

/* Grows whenever something arrives. */
uint64_t simsock_edge(int fd);

/* ---- what the test is told */

struct simsock_hooks {
    void (*sent)(void *context, int fd, size_t bytes); /* the server wrote to a client */
    void (*got)(void *context, int fd, size_t bytes);  /* it read from one */
    void (*wrote)(void *context, size_t bytes);        /* the server wrote to a file */
    void (*synced)(void *context);                     /* the server synced a file */
    void *context;
};
void simsock_watch(const struct simsock_hooks *hooks);

/* Writes and syncs of files fail with this errno from now on; 0: they succeed. */
void simsock_fail_files(int error);

#endif
