/* See keeper.h. */
#include "benchmark/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "benchmark/interrupt.h"

static void add_words(struct keeper *k, const char *sync) {
    const char *const words[] = {
        "--dir",         k->directory, "--auto-aof-rewrite-percentage", "0", "--appendonly", "yes",
        "--appendfsync", sync};
    size_t n = sync ? sizeof(words) / sizeof(*words) : 2;
    for (size_t i = 0; i < n; i++) k->words[i] = words[i];
    /* Values here do not shrink, and the child is to write, not to try. */
    if (k->peer.kind != PEER_REDIS) return;
    k->words[n++] = "--rdbcompression";
    k->words[n++] = "no";
}

int keeper_make(struct keeper *k, const struct bench *b, enum peer_kind kind, const char *name,
                const char *sync, struct error *e) {
    const struct peer *like = kind == PEER_REDIS ? &b->redis : &b->tq;
    *k = (struct keeper){.peer = {.kind = kind,
                                  .program = like->program,
                                  .arguments = like->arguments,
                                  .workdir = &b->workdir,
                                  .name = name}};
    snprintf(k->directory, sizeof(k->directory), "%s/%s", b->files, name);
    add_words(k, sync);
    k->peer.own = k->words;
    if (!mkdir(k->directory, 0700)) return 0;
    int code =
        error_set(e, ERROR_ERR, "can't make the directory %s: %s", k->directory, strerror(errno));
    *k->directory = 0;
    return code;
}

void keeper_end(struct keeper *k) {
    peer_stop(&k->peer);
    if (*k->directory) workdir_remove_tree(k->directory);
    *k->directory = 0;
}

/* One that is scheduled begins, so that is asked first. */
static int is_rewriting(struct keeper *k, int64_t *yes, struct error *e) {
    struct control *c = &k->peer.control;
    int64_t runs = 0, waits = 0;
    int code = control_info(c, "persistence", "aof_rewrite_scheduled", 0, &waits, e);
    if (!code) code = control_info(c, "persistence", "aof_rewrite_in_progress", 0, &runs, e);
    *yes = runs || waits;
    return code;
}

int keeper_empty(struct keeper *k, struct error *e) {
    int64_t runs = 1;
    int code = control_do(&k->peer.control, NULL, e, "FLUSHALL");
    if (!code) code = control_do(&k->peer.control, NULL, e, "BGREWRITEAOF");
    while (!code && runs) {
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        code = interrupt_check(e);
        if (!code) code = is_rewriting(k, &runs, e);
    }
    return code;
}

void keeper_warm(const struct keeper *k) {
    workdir_read_tree(k->directory);
}

static void file_path(const struct keeper *k, const char *name, char *out, size_t size) {
    snprintf(out, size, "%s/%s", k->directory, name);
}

uint64_t keeper_file_bytes(const struct keeper *k, const char *name) {
    char path[WORKDIR_FILES_MAX + 64];
    struct stat st;
    file_path(k, name, path, sizeof(path));
    return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

void keeper_remove(const struct keeper *k, const char *name) {
    char path[WORKDIR_FILES_MAX + 64];
    file_path(k, name, path, sizeof(path));
    unlink(path);
}
