/* See link.h. */
#include "benchmark/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *link_transport_name(enum link_transport transport) {
    return transport == LINK_UNIX ? "unix" : "tcp";
}

void link_format(const struct link_address *a, enum link_transport transport, char *out,
                 size_t size) {
    if (transport == LINK_UNIX)
        snprintf(out, size, "%s", a->path);
    else
        snprintf(out, size, strchr(a->host, ':') ? "[%s]:%d" : "%s:%d", a->host, a->port);
}

bool link_is_local(const struct link_address *a) {
    struct in_addr v4;
    if (!a->port) return true;
    if (!strcmp(a->host, "localhost") || !strcmp(a->host, "::1")) return true;
    return inet_pton(AF_INET, a->host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* Before connecting or listening: TCP agrees on the window's scale while it connects. */
static void set_options(int fd, enum link_transport transport, int buffer) {
    int on = 1;
    if (buffer) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    }
    if (transport == LINK_TCP) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int cannot(struct error *e, const char *what, const struct link_address *a,
                  enum link_transport transport, const char *why) {
    char name[LINK_HOST_MAX + 16];
    link_format(a, transport, name, sizeof(name));
    return error_set(e, ERROR_ERR, "can't %s %s: %s", what, name, why);
}

static int unix_address(const struct link_address *a, struct sockaddr_un *out, struct error *e) {
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(a->path) >= sizeof(out->sun_path))
        return error_set(e, ERROR_ERR, "the path of the unix socket is too long: '%s'", a->path);
    strcpy(out->sun_path, a->path);
    return 0;
}

static int connect_unix(const struct link_address *a, int buffer, int *fd, struct error *e) {
    struct sockaddr_un address;
    int failed = unix_address(a, &address, e);
    if (failed) return failed;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) return cannot(e, "connect to", a, LINK_UNIX, strerror(errno));
    set_options(*fd, LINK_UNIX, buffer);
    if (!connect(*fd, (struct sockaddr *)&address, sizeof(address))) return 0;
    int why = errno;
    close(*fd);
    return cannot(e, "connect to", a, LINK_UNIX, strerror(why));
}

static int connect_tcp(const struct link_address *a, int buffer, int *fd, struct error *e) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char service[8];
    snprintf(service, sizeof(service), "%d", a->port);
    int failed = getaddrinfo(a->host, service, &hints, &found);
    if (failed) return cannot(e, "connect to", a, LINK_TCP, gai_strerror(failed));
    int why = EADDRNOTAVAIL;
    for (struct addrinfo *info = found; info; info = info->ai_next) {
        *fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (*fd < 0) {
            why = errno;
            continue;
        }
        set_options(*fd, LINK_TCP, buffer);
        if (!connect(*fd, info->ai_addr, info->ai_addrlen)) {
            freeaddrinfo(found);
            return 0;
        }
        why = errno;
        close(*fd);
    }
    freeaddrinfo(found);
    return cannot(e, "connect to", a, LINK_TCP, strerror(why));
}

int link_connect(const struct link_address *a, enum link_transport transport, int buffer,
                 bool blocking, int *fd, struct error *e) {
    int failed =
        transport == LINK_UNIX ? connect_unix(a, buffer, fd, e) : connect_tcp(a, buffer, fd, e);
    if (!failed && !blocking) fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
    return failed;
}

static int bind_loopback(int fd, struct link_address *a) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    if (bind(fd, (struct sockaddr *)&address, len)) return -1;
    if (getsockname(fd, (struct sockaddr *)&address, &len)) return -1;
    strcpy(a->host, "127.0.0.1");
    a->port = ntohs(address.sin_port);
    return 0;
}

int link_listen(struct link_address *a, enum link_transport transport, int buffer, int *fd,
                struct error *e) {
    struct sockaddr_un address = {0};
    bool is_unix = transport == LINK_UNIX;
    if (is_unix) {
        int failed = unix_address(a, &address, e);
        if (failed) return failed;
    }
    *fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) return error_set(e, ERROR_ERR, "can't make a socket: %s", strerror(errno));
    set_options(*fd, transport, buffer);
    int failed =
        is_unix ? bind(*fd, (struct sockaddr *)&address, sizeof(address)) : bind_loopback(*fd, a);
    if (!failed && !listen(*fd, SOMAXCONN)) return 0;
    failed = cannot(e, "listen on", a, transport, strerror(errno));
    close(*fd);
    return failed;
}

int link_free_port(void) {
    struct link_address a = {.host = ""};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    int failed = bind_loopback(fd, &a);
    close(fd);
    return failed ? 0 : a.port;
}
