/* See child.h. What the child has to say comes as lines through a pipe: "p DONE TOTAL", "e CODE TEXT"; its end is the end
 * of the pipe. */
#include "server/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/server.h"
#include "store/store.h"

enum {
    CHILD_PIPE = 3,  /* the descriptor in the child */
    CHILD_NICE = 10, /* a ninth of what a server weighs: where all is busy a save still goes on */
};

void child_init(struct server *s) {
    s->child.pipe = -1;
}

/* ---- in the child ------------------------------------------------------------------------- */

static void child_say(const char *line, size_t len) {
    ssize_t ignored = write(CHILD_PIPE, line, len); /* who does not listen any more has killed it */
    (void)ignored;
}

void child_progress(struct server *s, uint64_t done, uint64_t total) {
    char line[64];
    int64_t now = clock_monotonic_us();
    if (!s->child.is_child || (done < total && now - s->child.started_us < 100000)) return;
    s->child.started_us = now;
    int len = snprintf(line, sizeof(line), "p %" PRIu64 " %" PRIu64 "\n", done, total);
    child_say(line, (size_t)len);
}

/* It works for seconds without a pause, and whoever does that is as entitled to a processor as a
 * server that wakes for a request: on few processors requests would wait for its turns to end. */
static void child_step_back(void) {
    setpriority(PRIO_PROCESS, 0, CHILD_NICE);
}

static _Noreturn void child_main(struct server *s, int pipe, pid_t parent,
                                 const struct child_job *job, void *context) {
    struct error e = {0};
    char line[sizeof(e.text) + 32];
    s->child.is_child = true;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    child_step_back();
    if (getppid() != parent) _exit(1);
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        if (signal_number != SIGPIPE && signal_number != SIGXFSZ) signal(signal_number, SIG_DFL);
    dup2(pipe, CHILD_PIPE);
    close_range(CHILD_PIPE + 1, ~0u, 0); /* connections that end have to end for their peers */
    int failed = job->run(s, context, &e);
    if (failed) {
        int len = snprintf(line, sizeof(line), "e %d %s\n", failed, e.text);
        child_say(line, (size_t)len);
    }
    _exit(failed ? 1 : 0);
}

/* ---- in the server ------------------------------------------------------------------------ */

static void child_hear(struct child *child, char *line) {
    int code, at = 0;
    if (sscanf(line, "p %" SCNu64 " %" SCNu64, &child->done, &child->total) == 2) return;
    if (sscanf(line, "e %d %n", &code, &at) == 1 && at)
        error_set(&child->error, (enum error_code)code, "%s", line + at);
}

static void child_hear_lines(struct child *child) {
    char *line = child->said, *end;
    child->said[child->said_len] = '\0';
    while ((end = strchr(line, '\n'))) {
        *end = '\0';
        child_hear(child, line);
        line = end + 1;
    }
    child->said_len -= (size_t)(line - child->said);
    memmove(child->said, line, child->said_len);
    if (child->said_len == sizeof(child->said) - 1) child->said_len = 0;
}

/* It has ended, or is about to. */
static void child_over(struct server *s) {
    struct child *child = &s->child;
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) continue;
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!well && !child->error.code && WIFSIGNALED(status))
        error_set(&child->error, ERROR_ERR, "the child was ended by signal %d", WTERMSIG(status));
    else if (!well && !child->error.code)
        error_set(&child->error, ERROR_ERR, "the child ended with status %d", WEXITSTATUS(status));
    event_del(&child->readable);
    close(child->pipe);
    child->pipe = -1;
    child->pid = 0;
    arena_resume_frees(store_arena(s->store));
    const struct error why = child->error;
    if (why.code)
        log_warning("%s failed: %s", child->job->name, why.text);
    else
        log_notice("%s: done in %.1f s", child->job->name,
                   (double)(clock_monotonic_us() - child->started_us) / 1e6);
    child->job->ended(s, child->context, (int)why.code, &why);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    (void)what;
    struct server *s = context;
    struct child *child = &s->child;
    server_turn(s);
    ssize_t n = read(fd, child->said + child->said_len, sizeof(child->said) - 1 - child->said_len);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0) {
        child_over(s);
        return;
    }
    child->said_len += (size_t)n;
    child_hear_lines(child);
}

int child_start(struct server *s, const struct child_job *job, void *context, struct error *e) {
    struct child *child = &s->child;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return error_set(e, ERROR_ERR, "can't make a pipe: %s", strerror(errno));
    pid_t parent = getpid();
    int64_t began = clock_monotonic_us();
    arena_defer_frees(store_arena(s->store));
    pid_t pid = fork();
    if (pid == 0) child_main(s, ends[1], parent, job, context);
    int why = errno;
    int64_t now = clock_monotonic_us();
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        arena_resume_frees(store_arena(s->store));
        return error_set(e, ERROR_ERR, "can't fork: %s", strerror(why));
    }
    *child = (struct child){.pid = pid,
                            .job = job,
                            .context = context,
                            .pipe = ends[0],
                            .started_us = now,
                            .fork_us = now - began};
    log_notice("%s: process %d, forked in %lld us", job->name, (int)pid, (long long)child->fork_us);
    event_assign(&child->readable, s->base, ends[0], EV_READ | EV_PERSIST, on_readable, s);
    event_add(&child->readable, NULL);
    return 0;
}

void child_kill(struct server *s) {
    if (!child_is_running(&s->child)) return;
    error_set(&s->child.error, ERROR_ERR, "the server ended it");
    kill(s->child.pid, SIGKILL);
    child_over(s);
}
