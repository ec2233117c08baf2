/* The end of a connection whose last reply has been sent: see client_close_lingering in client.h. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/client.h"
#include "server/server.h"

enum { DRAIN_MAX = 1024 * 1024 };

/* Bytes that a lingering client may send; far above what clients send in one request, since one
 * that is cut off here reads a reset in place of the reason. */
#define LINGER_MAX (UINT64_C(4) << 30)

/* Unread input at close would make the kernel send a reset, which may overtake the last reply. */
static void client_drain(struct client *c) {
    char *buffer = c->server->clients->input;
    size_t total = 0;
    for (ssize_t n; total < DRAIN_MAX && (n = read(c->fd, buffer, CLIENT_READ_SIZE)) > 0;)
        total += (size_t)n;
}

/* What a lingering client still sends is nobody's; when it ends its side it has read what it
 * wants. */
static void on_lingering(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct client *c = context;
    server_turn(c->server);
    ssize_t n = read(fd, c->server->clients->input, CLIENT_READ_SIZE);
    if (n > 0) {
        c->active_us = c->server->now_us;
        c->lingered += (uint64_t)n;
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        client_close(c, "done with it");
    else if (c->lingered > LINGER_MAX)
        client_close(c, "it went on sending after its request was refused");
}

/* Its last reply is sent. client_tick closes one that lingers too long. */
void client_finish(struct client *c) {
    if (!c->lingers) {
        client_drain(c);
        client_close(c, "done with it");
        return;
    }
    if (event_pending(&c->readable, EV_READ, NULL)) return;
    shutdown(c->fd, SHUT_WR);
    event_assign(&c->readable, c->server->base, c->fd, EV_READ | EV_PERSIST, on_lingering, c);
    event_add(&c->readable, NULL);
}
