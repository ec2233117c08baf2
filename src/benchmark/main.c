/* tq-benchmark: what a tq server can do, measured against what the machine can do.
 *
 * One thread on raw sockets keeps the server busy; peers that do the same with less (a bare
 * process on bare sockets) or differently (Redis) take turns with it in the same run. */
#include <stdio.h>

#include "benchmark/interrupt.h"
#include "benchmark/plot.h"
#include "benchmark/scenario.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static void prepare_peers(struct bench *b) {
    const struct options *o = b->options;
    b->tq = (struct peer){.kind = PEER_TQ,
                          .program = o->own_server ? o->server : NULL,
                          .arguments = o->server_arguments,
                          .workdir = &b->workdir,
                          .files = b->files,
                          .address = o->address};
    b->redis = (struct peer){
        .kind = PEER_REDIS, .program = b->redis_program, .workdir = &b->workdir, .files = b->files};
    if (!o->compare) return;
    b->has_redis = peer_find_program("redis-server", b->redis_program, sizeof(b->redis_program));
    if (!b->has_redis) report_note(&b->report, "redis-server is not on PATH: not compared with it");
}

static int run(const struct options *o, struct error *e) {
    struct bench bench = {.options = o};
    int failed = workdir_make(&bench.workdir, e);
    if (!failed)
        failed =
            workdir_make_files(o->directory ? o->directory : bench.workdir.path, bench.files, e);
    if (failed) {
        workdir_remove(&bench.workdir);
        return failed;
    }
    report_begin(&bench.report, o->form, stdout);
    prepare_peers(&bench);
    failed = scenario_run_all(&bench, e);
    if (!failed && o->plot) failed = plot_write(o->plot, &bench.report, e);
    peer_stop(&bench.tq);
    peer_stop(&bench.redis);
    report_end(&bench.report);
    workdir_remove_tree(bench.files);
    workdir_remove(&bench.workdir);
    return failed;
}

int main(int argc, char **argv) {
    struct options options;
    struct error e;
    switch (options_read(&options, argc, argv, &e)) {
    case OPTIONS_HELP: fputs(options_help, stdout); return 0;
    case OPTIONS_VERSION: puts("tq-benchmark " PACKAGE_VERSION); return 0;
    case OPTIONS_WRONG:
        fprintf(stderr, "tq-benchmark: %s\nTry tq-benchmark --help\n", e.text);
        return EXIT_USAGE;
    case OPTIONS_RUN: break;
    }
    interrupt_install();
    if (run(&options, &e)) {
        interrupt_check(&e); /* the signal may be why a call failed: it is the better reason */
        fprintf(stderr, "tq-benchmark: %s\n", e.text);
        return EXIT_FAILED;
    }
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "tq-benchmark: can't write to standard output\n");
        return EXIT_FAILED;
    }
    return 0;
}
