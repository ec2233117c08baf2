/* tq-server: the one file that knows everyone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "server/config.h"
#include "server/crash.h"
#include "server/server.h"

static void print_help(const struct config *config) {
    printf("usage: tq-server [FILE] [--option value …]\n"
           "\n"
           "FILE holds options as tq.conf does, one a line; - is standard input. What is given on\n"
           "the command line wins.\n"
           "\n");
    for (const struct config_option *o = NULL; (o = config_next(config, o));)
        printf("  --%-27s %s (%s)\n", o->name, o->summary, *o->fallback ? o->fallback : "\"\"");
    printf("\n  --help, -h                    this\n"
           "  --version, -v                 the version\n");
}

/* `tq-server [FILE] [--option value …]` */
static int load_options(struct server *s, int argc, char **argv, struct error *e) {
    int first = 1;
    if (argc > 1 && (argv[1][0] != '-' || !strcmp(argv[1], "-"))) {
        int failed = config_load_file(s->config, argv[1], e);
        if (failed) return failed;
        s->config_file = realpath(argv[1], NULL); /* NULL for standard input */
        first = 2;
    }
    return config_load_words(s->config, (size_t)(argc - first), argv + first, e);
}

static bool is_word(int argc, char **argv, const char *longer, const char *shorter) {
    return argc == 2 && (!strcmp(argv[1], longer) || !strcmp(argv[1], shorter));
}

/* On standard error too, which after daemon_begin is still the terminal's, until the server is
 * ready. */
static void report_failure(const struct error *e) {
    log_warning("%s", e->text);
    if (log_descriptor() != STDERR_FILENO) fprintf(stderr, "tq-server: %s\n", e->text);
}

int main(int argc, char **argv) {
    static struct server server;
    struct error e;
    hash_init();
    server_init(&server);
    cmd_register_all();
    if (is_word(argc, argv, "--version", "-v")) {
        printf("tq-server %s\n", PACKAGE_VERSION);
        return 0;
    }
    if (is_word(argc, argv, "--help", "-h")) {
        print_help(server.config);
        return 0;
    }
    int failed = load_options(&server, argc, argv, &e);
    crash_init(&server);
    if (!failed) failed = server_start(&server, &e);
    if (!failed) failed = server_run(&server, &e);
    if (failed) report_failure(&e);
    server_free(&server);
    if (!failed) log_notice("bye");
    return failed ? 1 : 0;
}
