/* See simsock.h. */
#include "simsock.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "base/log.h"

ssize_t __real_read(int fd, void *out, size_t len);
ssize_t __real_readv(int fd, const struct iovec *parts, int n);
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __real_writev(int fd, const struct iovec *parts, int n);
int __real_close(int fd);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_shutdown(int fd, int how);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __real_ioctl(int fd, unsigned long request, ...);
ssize_t __wrap_read(int fd, void *out, size_t len);
ssize_t __wrap_readv(int fd, const struct iovec *parts, int n);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int n);
int __wrap_close(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_shutdown(int fd, int how);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_ioctl(int fd, unsigned long request, ...);

struct simsock {
    bool is_open, server_closed, left, reset;
    struct simsock_bytes in, out;
    size_t in_at; /* first byte of `in` that was not read */
    size_t room;
    size_t trickle; /* bytes that one read gets at most */
    int untaken;
    uint64_t edge;
    bool floods;      /* reads never run out of bytes */
    uint64_t flooded; /* how many were read */
};

static struct simsock sockets[SIMSOCK_MAX];
static struct simsock_hooks watch;
static int file_error;

void simsock_bytes_add(struct simsock_bytes *b, const void *bytes, size_t len) {
    if (!len) return;
    if (b->len + len > b->capacity) {
        size_t capacity = (2 * (b->len + len) + 65535) / 65536 * 65536;
        void *room = b->ptr ? mremap(b->ptr, b->capacity, capacity, MREMAP_MAYMOVE)
                            : mmap(NULL, capacity, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED) abort();
        b->ptr = room;
        b->capacity = capacity;
    }
    memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
}

void simsock_bytes_free(struct simsock_bytes *b) {
    if (b->ptr) munmap(b->ptr, b->capacity);
    *b = (struct simsock_bytes){0};
}

static struct simsock *socket_of(int fd) {
    return &sockets[fd - SIMSOCK_FIRST];
}

void simsock_reset(void) {
    for (size_t i = 0; i < SIMSOCK_MAX; i++) {
        simsock_bytes_free(&sockets[i].in);
        simsock_bytes_free(&sockets[i].out);
        sockets[i] = (struct simsock){0};
    }
    watch = (struct simsock_hooks){0};
    file_error = 0;
}

int simsock_open(void) {
    for (int i = 0; i < SIMSOCK_MAX; i++) {
        struct simsock *s = &sockets[i];
        if (s->is_open) continue;
        simsock_bytes_free(&s->in);
        simsock_bytes_free(&s->out);
        *s = (struct simsock){.is_open = true, .room = SIZE_MAX, .trickle = SIZE_MAX};
        return SIMSOCK_FIRST + i;
    }
    abort();
}

void simsock_send(int fd, const char *bytes, size_t len) {
    struct simsock *s = socket_of(fd);
    simsock_bytes_add(&s->in, bytes, len);
    s->edge++;
}

void simsock_leave(int fd, bool reset) {
    struct simsock *s = socket_of(fd);
    s->left = true;
    s->reset |= reset;
    s->edge++;
    if (s->server_closed) s->is_open = false;
}

void simsock_room(int fd, size_t bytes) {
    socket_of(fd)->room = bytes;
}

void simsock_trickle(int fd, size_t bytes) {
    socket_of(fd)->trickle = bytes;
}

void simsock_untaken(int fd, int bytes) {
    socket_of(fd)->untaken = bytes;
}

struct simsock_bytes *simsock_output(int fd) {
    return &socket_of(fd)->out;
}

bool simsock_is_closed(int fd) {
    return socket_of(fd)->server_closed;
}

bool simsock_readable(int fd) {
    const struct simsock *s = socket_of(fd);
    return s->in_at < s->in.len || s->left || s->floods;
}

bool simsock_writable(int fd) {
    const struct simsock *s = socket_of(fd);
    return s->room > 0 || s->left;
}

void simsock_flood(int fd) {
    socket_of(fd)->floods = true;
    socket_of(fd)->edge++;
}

uint64_t simsock_flooded(int fd) {
    return socket_of(fd)->flooded;
}

uint64_t simsock_edge(int fd) {
    return socket_of(fd)->edge;
}

void simsock_watch(const struct simsock_hooks *hooks) {
    watch = *hooks;
}

void simsock_fail_files(int error) {
    file_error = error;
}

/* ---- system calls */

ssize_t __wrap_readv(int fd, const struct iovec *parts, int n) {
    if (!simsock_is(fd)) return __real_readv(fd, parts, n);
    struct simsock *s = socket_of(fd);
    if (s->reset) return errno = ECONNRESET, -1;
    size_t total = 0;
    if (s->floods) {
        for (int i = 0; i < n; i++) total += parts[i].iov_len;
        s->flooded += total;
        return (ssize_t)total;
    }
    if (s->in_at == s->in.len) return s->left ? 0 : (errno = EAGAIN, -1);
    for (int i = 0; i < n; i++) {
        size_t left = s->in.len - s->in_at, more = s->trickle - total;
        if (left > more) left = more;
        size_t step = left < parts[i].iov_len ? left : parts[i].iov_len;
        if (step) memcpy(parts[i].iov_base, s->in.ptr + s->in_at, step);
        s->in_at += step;
        total += step;
    }
    if (watch.got) watch.got(watch.context, fd, total);
    return (ssize_t)total;
}

ssize_t __wrap_read(int fd, void *out, size_t len) {
    if (!simsock_is(fd)) return __real_read(fd, out, len);
    return __wrap_readv(fd, &(struct iovec){out, len}, 1);
}

static bool is_log_of_server(int fd) {
    return fd == log_descriptor() || fd == STDOUT_FILENO || fd == STDERR_FILENO;
}

ssize_t __wrap_writev(int fd, const struct iovec *parts, int n) {
    size_t total = 0;
    for (int i = 0; i < n; i++) total += parts[i].iov_len;
    if (!simsock_is(fd)) {
        if (is_log_of_server(fd)) return __real_writev(fd, parts, n);
        if (file_error) return errno = file_error, -1;
        ssize_t wrote = __real_writev(fd, parts, n);
        if (wrote > 0 && watch.wrote) watch.wrote(watch.context, (size_t)wrote);
        return wrote;
    }
    struct simsock *s = socket_of(fd);
    if (s->left) return errno = EPIPE, -1;
    if (!s->room) return errno = EAGAIN, -1;
    if (total > s->room) total = s->room;
    if (s->room != SIZE_MAX) s->room -= total;
    for (size_t done = 0, i = 0; done < total; i++) {
        size_t step = total - done < parts[i].iov_len ? total - done : parts[i].iov_len;
        simsock_bytes_add(&s->out, parts[i].iov_base, step);
        done += step;
    }
    if (total && watch.sent) watch.sent(watch.context, fd, total);
    return (ssize_t)total;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t len) {
    if (!simsock_is(fd) && is_log_of_server(fd)) return __real_write(fd, bytes, len);
    return __wrap_writev(fd, &(struct iovec){(void *)bytes, len}, 1);
}

int __wrap_close(int fd) {
    if (!simsock_is(fd)) return __real_close(fd);
    struct simsock *s = socket_of(fd);
    s->server_closed = true;
    if (s->left) s->is_open = false;
    return 0;
}

static int file_synced(int failed) {
    if (!failed && watch.synced) watch.synced(watch.context);
    return failed;
}

int __wrap_fdatasync(int fd) {
    return file_error ? (errno = file_error, -1) : file_synced(__real_fdatasync(fd));
}

int __wrap_fsync(int fd) {
    return file_error ? (errno = file_error, -1) : file_synced(__real_fsync(fd));
}

int __wrap_shutdown(int fd, int how) {
    return simsock_is(fd) ? 0 : __real_shutdown(fd, how);
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout) {
    if (n != 1 || !simsock_is(fds->fd)) return __real_poll(fds, n, timeout);
    const struct simsock *s = socket_of(fds->fd);
    fds->revents = 0;
    if (s->left) fds->revents = (short)((fds->events & (POLLRDHUP | POLLIN)) | POLLHUP);
    if (s->in_at < s->in.len) fds->revents |= fds->events & POLLIN;
    if (s->room) fds->revents |= fds->events & POLLOUT;
    return fds->revents != 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
    va_list args;
    va_start(args, request);
    void *out = va_arg(args, void *);
    va_end(args);
    if (!simsock_is(fd)) return __real_ioctl(fd, request, out);
    if (request != SIOCOUTQ) return errno = EINVAL, -1;
    *(int *)out = socket_of(fd)->untaken;
    return 0;
}
