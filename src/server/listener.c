/* See listener.h. */
#include "server/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/client.h"
#include "server/config.h"
#include "server/config_value.h"
#include "server/server.h"

enum {
    LISTENER_SOCKETS = 16,
    ACCEPTS_PER_EVENT = 256, /* a flood of newcomers must not starve those that are there */
    PAUSE_MS = 100,          /* when the system has no descriptor left */
};

struct listening {
    struct listener *listener;
    int fd;
    bool is_tcp;
    struct event readable;
};

struct listener {
    struct server *server;
    struct listening sockets[LISTENER_SOCKETS];
    size_t n;
    struct event pause;
    bool is_paused, owns_path;

    /* Options. */
    char *bind, *unixsocket;
    int64_t port, backlog, unixsocketperm;
};

/* One word of `bind`: an address, `*` (all of IPv4) or `::*` (all of IPv6), perhaps behind a '-'.
 * Names are not looked up: what a server listens on must not hang on who answers for a name. */
static int resolve(const char *word, int64_t port, struct addrinfo **out, struct error *e) {
    if (*word == '-') word++;
    bool any4 = !strcmp(word, "*"), any6 = !strcmp(word, "::*");
    int family = any4 ? AF_INET : any6 ? AF_INET6 : AF_UNSPEC;
    struct addrinfo hints = {.ai_family = family,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV | AI_NUMERICHOST};
    char service[8];
    snprintf(service, sizeof(service), "%d", (int)port);
    int failed = getaddrinfo(any4 || any6 ? NULL : word, service, &hints, out);
    if (!failed) return 0;
    return error_set(e, ERROR_ERR,
                     "argument must be addresses such as 127.0.0.1, ::1, * or ::*, got %s",
                     QUOTE(span_of_string(word)));
}

static int apply_bind(void *context, struct error *e) {
    struct listener *l = context;
    struct config_words words;
    int failed = config_split(span_of_string(l->bind), CONFIG_WORD, &words, e);
    for (size_t i = 0; i < words.n && !failed; i++) {
        struct addrinfo *found;
        failed = resolve(words.words[i].ptr, 0, &found, e);
        if (!failed) freeaddrinfo(found);
    }
    config_words_free(&words);
    return failed;
}

struct listener *listener_new(struct server *s) {
    struct listener *l = mem_calloc(1, sizeof(*l));
    l->server = s;
    return l;
}

void listener_register_options(struct server *s) {
    struct listener *l = s->listener;
    const struct config_option options[] = {
        {.name = "bind",
         .kind = CONFIG_WORDS,
         .value = &l->bind,
         .fixed = true,
         .summary = "addresses to listen on; with a leading '-', only where it exists",
         .fallback = "127.0.0.1 -::1",
         .apply = apply_bind,
         .context = l},
        {.name = "port",
         .kind = CONFIG_INTEGER,
         .value = &l->port,
         .fixed = true,
         .summary = "TCP port; 0: no TCP",
         .fallback = "6399",
         .min = 0,
         .max = 65535},
        {.name = "tcp-backlog",
         .kind = CONFIG_INTEGER,
         .value = &l->backlog,
         .fixed = true,
         .summary = "how many connections may wait to be accepted",
         .fallback = "511",
         .min = 1,
         .max = 65535},
        {.name = "unixsocket",
         .kind = CONFIG_STRING,
         .value = &l->unixsocket,
         .fixed = true,
         .summary = "path of a unix socket to listen on; empty: none",
         .fallback = ""},
        {.name = "unixsocketperm",
         .kind = CONFIG_OCTAL,
         .value = &l->unixsocketperm,
         .fixed = true,
         .summary = "its permissions, octal; 0: as the umask says",
         .fallback = "0",
         .min = 0,
         .max = 0777},
        {.name = NULL},
    };
    config_register(s->config, options);
}

/* ---- accepting */

static void listener_pause(struct listener *l, bool pause) {
    l->is_paused = pause;
    for (size_t i = 0; i < l->n; i++) {
        if (pause)
            event_del(&l->sockets[i].readable);
        else
            event_add(&l->sockets[i].readable, NULL);
    }
    if (pause) event_add(&l->pause, &(struct timeval){0, PAUSE_MS * 1000});
}

static void on_pause_over(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct listener *l = context;
    server_turn(l->server);
    listener_pause(l, false);
}

static void accept_failed(struct listener *l) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log_warning("can't accept a connection: %s; trying again in %d ms", strerror(errno),
                    PAUSE_MS);
        listener_pause(l, true);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        log_warning("can't accept a connection: %s", strerror(errno));
    }
}

static void on_connection(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct listening *from = context;
    struct listener *l = from->listener;
    server_turn(l->server);
    struct text name = {0};
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);
        int client = accept4(fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) {
            accept_failed(l);
            break;
        }
        name.len = 0;
        if (from->is_tcp)
            client_format_address((struct sockaddr *)&address, len, &name);
        else
            text_printf(&name, "%s:0", l->unixsocket);
        client_accept(l->server, client, name.ptr, from->is_tcp);
    }
    text_free(&name);
}

/* ---- opening */

static int start_listening(struct listener *l, int fd, bool is_tcp, const char *where,
                           struct error *e) {
    if (l->n == LISTENER_SOCKETS)
        return error_set(e, ERROR_ERR, "can't listen on more than %d addresses", LISTENER_SOCKETS);
    if (listen(fd, (int)l->backlog))
        return error_set(e, ERROR_ERR, "can't listen on %s: %s", where, strerror(errno));
    struct listening *socket = &l->sockets[l->n++];
    *socket = (struct listening){.listener = l, .fd = fd, .is_tcp = is_tcp};
    event_assign(&socket->readable, l->server->base, fd, EV_READ | EV_PERSIST, on_connection,
                 socket);
    event_add(&socket->readable, NULL);
    return 0;
}

static int listen_tcp_address(struct listener *l, const struct addrinfo *info, const char *where,
                              bool optional, struct error *e) {
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        if (optional && errno == EAFNOSUPPORT) return 0;
        return error_set(e, ERROR_ERR, "can't make a socket for %s: %s", where, strerror(errno));
    }
    if (info->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int failed = 0;
    if (bind(fd, info->ai_addr, info->ai_addrlen)) {
        if (!optional || errno != EADDRNOTAVAIL)
            failed = error_set(e, ERROR_ERR, "can't listen on %s: %s", where, strerror(errno));
        close(fd);
        return failed;
    }
    failed = start_listening(l, fd, true, where, e);
    if (failed) close(fd);
    return failed;
}

static int listen_tcp(struct listener *l, const char *word, struct error *e) {
    bool optional = *word == '-';
    char where[96];
    struct addrinfo *found;
    int failed = resolve(word, l->port, &found, e);
    if (failed) return failed;
    if (optional) word++;
    snprintf(where, sizeof(where), strchr(word, ':') ? "[%.64s]:%d" : "%.64s:%d", word,
             (int)l->port);
    for (struct addrinfo *info = found; info && !failed; info = info->ai_next)
        failed = listen_tcp_address(l, info, where, optional, e);
    freeaddrinfo(found);
    return failed;
}

/* A socket that nobody answers on was left by a process that died; another one's stays. */
static int clear_path(const struct sockaddr_un *address, struct error *e) {
    struct stat st;
    if (lstat(address->sun_path, &st)) return 0;
    if (!S_ISSOCK(st.st_mode))
        return error_set(e, ERROR_ERR, "can't listen on '%s': it exists and is no socket",
                         address->sun_path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool in_use = probe >= 0 && !connect(probe, (const struct sockaddr *)address, sizeof(*address));
    if (probe >= 0) close(probe);
    if (in_use)
        return error_set(e, ERROR_ERR, "can't listen on '%s': another process does",
                         address->sun_path);
    unlink(address->sun_path);
    return 0;
}

static int listen_unix(struct listener *l, struct error *e) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(l->unixsocket) >= sizeof(address.sun_path))
        return error_set(e, ERROR_ERR,
                         "the path of the unix socket is too long (%zu bytes at most)",
                         sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, l->unixsocket);
    int failed = clear_path(&address, e);
    if (failed) return failed;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return error_set(e, ERROR_ERR, "can't make a unix socket: %s", strerror(errno));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
        failed =
            error_set(e, ERROR_ERR, "can't listen on '%s': %s", l->unixsocket, strerror(errno));
    } else {
        l->owns_path = true;
        if (l->unixsocketperm && chmod(l->unixsocket, (mode_t)l->unixsocketperm))
            failed = error_set(e, ERROR_ERR, "can't set the permissions of '%s': %s", l->unixsocket,
                               strerror(errno));
        if (!failed) failed = start_listening(l, fd, false, l->unixsocket, e);
    }
    if (failed) close(fd);
    return failed;
}

int listener_open(struct listener *l, struct error *e) {
    event_assign(&l->pause, l->server->base, -1, 0, on_pause_over, l);
    struct config_words words = {0};
    int failed = 0;
    if (l->port) failed = config_split(span_of_string(l->bind), CONFIG_WORD, &words, e);
    for (size_t i = 0; i < words.n && !failed; i++) failed = listen_tcp(l, words.words[i].ptr, e);
    config_words_free(&words);
    if (!failed && *l->unixsocket) failed = listen_unix(l, e);
    if (!failed && !l->n)
        failed = error_set(e, ERROR_ERR,
                           "nothing to listen on: port is 0 or bind is empty, and there "
                           "is no unixsocket");
    if (failed) listener_close(l);
    return failed;
}

void listener_close(struct listener *l) {
    if (l->is_paused) event_del(&l->pause);
    for (size_t i = 0; i < l->n; i++) {
        event_del(&l->sockets[i].readable);
        close(l->sockets[i].fd);
    }
    l->n = 0;
    if (l->owns_path) unlink(l->unixsocket);
    l->owns_path = false;
}

void listener_free(struct listener *l) {
    mem_free(l);
}

void listener_describe(const struct listener *l, struct text *out) {
    for (size_t i = 0; i < l->n; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);
        if (i) text_add(out, SPAN_LITERAL(", "));
        if (!l->sockets[i].is_tcp)
            text_printf(out, "%s", l->unixsocket);
        else if (!getsockname(l->sockets[i].fd, (struct sockaddr *)&address, &len))
            client_format_address((struct sockaddr *)&address, len, out);
    }
}

int64_t listener_port(const struct listener *l) {
    return l->port;
}
