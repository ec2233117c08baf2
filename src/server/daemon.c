/* See daemon.h. */
#include "server/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready_pipe = -1;

static void redirect_to_null(int fd, int flags) {
    int null = open("/dev/null", flags | O_CLOEXEC);
    if (null < 0) return;
    dup2(null, fd);
    close(null);
}

/* A child that fails says why itself; one that a signal ends can't. */
static void wait_for_child(pid_t child, int fd) {
    char byte;
    ssize_t n;
    int status;
    while ((n = read(fd, &byte, 1)) < 0 && errno == EINTR) continue;
    if (n == 1) _exit(0);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) _exit(1);
    if (WIFSIGNALED(status))
        fprintf(stderr, "tq-server: ended by signal %d (%s) before it was ready\n",
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    _exit(1);
}

int daemon_begin(struct error *e) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_set(e, ERROR_ERR, "can't go into the background: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0) {
        close(ends[0]);
        close(ends[1]);
        return error_set(e, ERROR_ERR, "can't go into the background: %s", strerror(errno));
    }
    if (child > 0) {
        close(ends[1]);
        wait_for_child(child, ends[0]);
    }
    close(ends[0]);
    ready_pipe = ends[1];
    setsid();
    redirect_to_null(STDIN_FILENO, O_RDONLY);
    return 0;
}

void daemon_ready(void) {
    if (ready_pipe < 0) return;
    redirect_to_null(STDOUT_FILENO, O_WRONLY);
    redirect_to_null(STDERR_FILENO, O_WRONLY);
    if (write(ready_pipe, "", 1) < 0) _exit(1); /* nobody could learn that this one runs */
    close(ready_pipe);
    ready_pipe = -1;
}
