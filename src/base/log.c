/* See log.h. */
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

static enum log_level log_threshold = LOG_NOTICE;
static int log_fd = STDERR_FILENO;

void log_set_level(enum log_level level) {
    log_threshold = level;
}

bool log_is_on(enum log_level level) {
    return level >= log_threshold;
}

int log_descriptor(void) {
    return log_fd;
}

int log_open(const char *path, struct error *e) {
    int fd = STDERR_FILENO;
    if (*path) {
        const char *why;
        fd = file_open(path, O_WRONLY | O_CREAT | O_APPEND, 0644, FILE_OR_DEVICE, &why);
        if (fd < 0) return error_set(e, ERROR_ERR, "can't open the log file '%s': %s", path, why);
    }
    if (log_fd != STDERR_FILENO) close(log_fd);
    log_fd = fd;
    return 0;
}

bool log_is_due(struct log_limit *limit, int64_t now_us, int64_t every_us, uint64_t *dropped) {
    if (limit->last_us && now_us - limit->last_us < every_us) {
        limit->dropped++;
        return false;
    }
    *dropped = limit->dropped;
    *limit = (struct log_limit){now_us, 0};
    return true;
}

void log_write(enum log_level level, const char *format, ...) {
    static const char marks[] = ".-*#"; /* as in Redis' log, debug to warning */
    if (level < log_threshold) return;

    char line[1024];
    int64_t now = clock_wall_us();
    time_t seconds = (time_t)(now / 1000000);
    struct tm local;
    localtime_r(&seconds, &local);
    size_t at = (size_t)snprintf(line, sizeof(line), "%d ", (int)getpid());
    at += strftime(line + at, sizeof(line) - at, "%d %b %Y %H:%M:%S", &local);
    at += (size_t)snprintf(line + at, sizeof(line) - at, ".%03d %c ", (int)(now / 1000 % 1000),
                           marks[level]);
    va_list args;
    va_start(args, format);
    at += error_format(line + at, sizeof(line) - at - 1, format, args);
    va_end(args);
    line[at++] = '\n';
    if (write(log_fd, line, at) < 0) return; /* nowhere left to report it */
}
