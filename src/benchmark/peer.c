/* See peer.h. */
#include "benchmark/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "benchmark/interrupt.h"
#include "benchmark/timing.h"

enum { START_SECONDS = 120, STOP_SECONDS = 120, ARGUMENTS_MAX = 64, START_TRIES = 3 };
enum { LOG_PATH_MAX = WORKDIR_PATH_MAX + 32, DIRECTORY_MAX = WORKDIR_FILES_MAX + 32 };

static const char *peer_word(const struct peer *p) {
    return p->kind == PEER_REDIS ? "redis" : "tq";
}

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

/* Its output, into `out` of LOG_PATH_MAX bytes. */
static void log_path(const struct peer *p, char *out) {
    snprintf(out, LOG_PATH_MAX, "%s/%s.log", p->workdir->path, peer_word(p));
}

static void directory_path(const struct peer *p, char *out) {
    snprintf(out, DIRECTORY_MAX, "%s/%s", p->files, peer_word(p));
}

/* ---- the child ----------------------------------------------------------------------------- */

static int collect_arguments(const struct peer *p, const char *port, const char *directory,
                             const char **argv) {
    static const char *const quiet_redis[] = {"--save", "",           "--appendonly",
                                              "no",     "--loglevel", "warning"};
    int n = 0;
    argv[n++] = p->program;
    argv[n++] = "--bind";
    argv[n++] = "127.0.0.1";
    argv[n++] = "--port";
    argv[n++] = port;
    argv[n++] = "--unixsocket";
    argv[n++] = p->address.path;
    argv[n++] = "--dir"; /* else it would load what lies where the benchmark was started */
    argv[n++] = directory;
    for (size_t i = 0; p->kind == PEER_REDIS && i < sizeof(quiet_redis) / sizeof(char *); i++)
        argv[n++] = quiet_redis[i];
    for (char *const *more = p->arguments; more && *more && n < ARGUMENTS_MAX - 1; more++)
        argv[n++] = *more;
    argv[n] = NULL;
    return n;
}

static void become_server(const struct peer *p, pid_t parent) {
    const char *argv[ARGUMENTS_MAX];
    char port[16], log[LOG_PATH_MAX], directory[DIRECTORY_MAX];
    interrupt_reset();
    setpgid(0, 0); /* signals to the group are the benchmark's, which then stops its servers */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
    log_path(p, log);
    directory_path(p, directory);
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("/dev/null", O_RDONLY);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(1);
    close_range(3, ~0u, 0);
    snprintf(port, sizeof(port), "%d", p->address.port);
    collect_arguments(p, port, directory, argv);
    execv(p->program, (char *const *)argv);
    dprintf(2, "can't run %s: %s\n", p->program, strerror(errno));
    _exit(127);
}

/* The end of what the server wrote before it gave up. */
static int say_why(const struct peer *p, const char *what, struct error *e) {
    char path[LOG_PATH_MAX], text[200] = "";
    log_path(p, path);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fseek(file, -(long)sizeof(text) + 1, SEEK_END)) rewind(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = 0;
        fclose(file);
    }
    return error_set(e, ERROR_ERR, "%s %s: %s", p->program, what, text);
}

/* The socket comes last, in both programs. */
static bool is_ready(struct peer *p, int64_t *deadline) {
    struct error why;
    if (!p->control.is_open && control_open(&p->control, &p->address, LINK_UNIX, &why))
        return false;
    if (!control_do(&p->control, NULL, &why, "PING", NULL)) return true;
    if (strstr(why.text, "LOADING"))
        *deadline = timing_now_ns() + START_SECONDS * INT64_C(1000000000);
    else
        control_close(&p->control);
    return false;
}

static int await_ready(struct peer *p, struct error *e) {
    int64_t deadline = timing_now_ns() + START_SECONDS * INT64_C(1000000000);
    while (timing_now_ns() < deadline) {
        int failed = interrupt_check(e);
        if (failed) return failed;
        if (waitpid(p->pid, NULL, WNOHANG) == p->pid) {
            p->pid = 0;
            return say_why(p, "ended while it started", e);
        }
        if (is_ready(p, &deadline)) return 0;
        pause_ms(5);
    }
    return say_why(p, "did not answer", e);
}

static void stop_child(struct peer *p) {
    if (!p->pid) return;
    int64_t deadline = timing_now_ns() + STOP_SECONDS * INT64_C(1000000000);
    kill(p->pid, SIGTERM);
    while (waitpid(p->pid, NULL, WNOHANG) == 0) {
        if (timing_now_ns() > deadline) kill(p->pid, SIGKILL);
        pause_ms(2);
    }
    p->pid = 0;
}

/* What an earlier process kept is not to be loaded. */
static int make_directory(const struct peer *p, struct error *e) {
    char path[DIRECTORY_MAX];
    directory_path(p, path);
    workdir_remove_tree(path);
    if (!mkdir(path, 0700)) return 0;
    return error_set(e, ERROR_ERR, "can't make the directory %s: %s", path, strerror(errno));
}

static int start_child(struct peer *p, struct error *e) {
    int failed = make_directory(p, e);
    if (failed) return failed;
    snprintf(p->address.path, sizeof(p->address.path), "%s/%s.sock", p->workdir->path,
             peer_word(p));
    snprintf(p->address.host, sizeof(p->address.host), "127.0.0.1");
    p->address.port = link_free_port();
    pid_t parent = getpid();
    p->pid = fork();
    if (!p->pid) become_server(p, parent);
    if (p->pid < 0) {
        p->pid = 0;
        return error_set(e, ERROR_ERR, "fork: %s", strerror(errno));
    }
    failed = await_ready(p, e);
    if (failed) stop_child(p);
    return failed;
}

/* ---- both kinds ---------------------------------------------------------------------------- */

static int connect_to_running(struct peer *p, struct error *e) {
    enum link_transport transport = p->address.port ? LINK_TCP : LINK_UNIX;
    int64_t pid = 0;
    int failed = control_open(&p->control, &p->address, transport, e);
    if (!failed) failed = control_info(&p->control, "server", "process_id", &pid, e);
    if (failed) control_close(&p->control);
    if (!failed && link_is_local(&p->address)) p->pid = (pid_t)pid;
    return failed;
}

int peer_start(struct peer *p, struct error *e) {
    int failed = 0;
    if (!p->program) {
        failed = connect_to_running(p, e);
    } else {
        /* Another process may take the port before the server does. */
        for (int i = 0; i < START_TRIES; i++) {
            failed = start_child(p, e);
            if (!failed || !strcasestr(e->text, "in use")) break;
        }
    }
    p->running = !failed;
    return failed;
}

void peer_stop(struct peer *p) {
    control_close(&p->control);
    if (p->program) stop_child(p);
    p->pid = 0;
    p->running = false;
}

int peer_restart(struct peer *p, struct error *e) {
    peer_stop(p);
    return peer_start(p, e);
}

int peer_used_memory(struct peer *p, int64_t *out, struct error *e) {
    return control_info(&p->control, "memory", "used_memory", out, e);
}

bool peer_find_program(const char *name, char *out, size_t size) {
    const char *path = getenv("PATH");
    if (strchr(name, '/')) {
        if (out != name) snprintf(out, size, "%s", name);
        return !access(out, X_OK);
    }
    while (path && *path) {
        int len = (int)strcspn(path, ":");
        if (snprintf(out, size, "%.*s/%s", len, path, name) < (int)size && !access(out, X_OK))
            return true;
        path += len;
        if (*path) path++;
    }
    return false;
}
