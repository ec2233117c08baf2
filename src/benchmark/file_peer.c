/* See file_peer.h. */
#include "benchmark/file_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "benchmark/interrupt.h"
#include "benchmark/timing.h"

void file_peer_make(struct file_peer *p, const struct bench *b, const char *name, bool sync) {
    *p = (struct file_peer){.sync = sync, .measure = {.name = name}};
    snprintf(p->path, sizeof(p->path), "%s/%s", b->files, name);
}

static int write_all(int fd, const char *path, const char *bytes, size_t len, struct error *e) {
    while (len) {
        ssize_t wrote = write(fd, bytes, len);
        if (wrote < 0 && errno != EINTR)
            return error_set(e, ERROR_ERR, "can't write to %s: %s", path, strerror(errno));
        if (wrote < 0) continue;
        bytes += wrote;
        len -= (size_t)wrote;
    }
    return 0;
}

static int write_pieces(int fd, const char *path, const struct iovec *pieces, size_t n,
                        uint64_t times, struct error *e) {
    int code = 0;
    for (uint64_t t = 0; t < times && !code; t++)
        for (size_t i = 0; i < n && !code; i++)
            code = write_all(fd, path, pieces[i].iov_base, pieces[i].iov_len, e);
    return code ? code : interrupt_check(e);
}

int file_peer_round(struct file_peer *p, const struct iovec *pieces, size_t n, uint64_t times,
                    const struct measure_wave *wave, size_t waves, struct error *e) {
    int fd = open(p->path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return error_set(e, ERROR_ERR, "can't make %s: %s", p->path, strerror(errno));
    int64_t began = timing_now_ns(), own = timing_own_cpu_ns();
    int code = write_pieces(fd, p->path, pieces, n, times, e);
    if (!code && p->sync && fdatasync(fd))
        code = error_set(e, ERROR_ERR, "can't sync %s: %s", p->path, strerror(errno));
    int64_t ns = timing_now_ns() - began;
    unlink(p->path);
    close(fd);
    measure_add_round(&p->measure, wave, waves, ns, timing_own_cpu_ns() - own);
    return code;
}

void file_peer_add_both(struct measure_peer *both, const struct measure_peer *without,
                        const struct file_peer *p, const struct measure_wave *wave, size_t waves) {
    const struct series *served = &without->rate, *written = &p->measure.rate;
    double samples = (double)(wave->samples * waves);
    double seconds =
        samples / served->values[served->n - 1] + samples / written->values[written->n - 1];
    measure_add_round(both, wave, waves, (int64_t)(seconds * 1e9), 0);
}
