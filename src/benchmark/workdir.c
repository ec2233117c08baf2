/* See workdir.h. */
#include "benchmark/workdir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int workdir_make(struct workdir *w, struct error *e) {
    const char *base = getenv("TMPDIR");
    const char *name = "tq-benchmark-XXXXXX";
    if (!base || !*base || strlen(base) + strlen(name) + 2 > sizeof(w->path)) base = "/tmp";
    snprintf(w->path, sizeof(w->path), "%s/%s", base, name);
    if (mkdtemp(w->path)) return 0;
    int failed = error_set(e, ERROR_ERR, "can't make a directory in %s: %s", base, strerror(errno));
    *w->path = 0;
    return failed;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)st, (void)kind, (void)where;
    return remove(path);
}

void workdir_remove_tree(const char *path) {
    nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void workdir_remove(struct workdir *w) {
    if (*w->path) workdir_remove_tree(w->path);
    *w->path = 0;
}

int workdir_make_files(const char *base, char *out, struct error *e) {
    int len = snprintf(out, WORKDIR_FILES_MAX, "%s/tq-benchmark-XXXXXX", base);
    int failed = 0;
    if (len >= WORKDIR_FILES_MAX)
        failed = error_set(e, ERROR_ERR, "the path of the directory is too long: %s", base);
    else if (!mkdtemp(out))
        failed = error_set(e, ERROR_ERR, "can't make a directory in %s: %s", base, strerror(errno));
    if (failed) *out = 0;
    return failed;
}
