/* A fuzzer without its engine: every input that is kept in tests/fuzz/corpus/NAME goes through it
 * once, so that what a campaign found once is tried again by every `make check`, whichever compiler
 * built it. Arguments, where there are any, name the files instead. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail(path);
    long size = ftell(file);
    if (size < 0) fail(path);
    rewind(file);
    /* An allocation of exactly this size, so that ASan sees the first byte past the input. */
    uint8_t *data = malloc((size_t)size);
    if (size && (!data || fread(data, 1, (size_t)size, file) != (size_t)size)) fail(path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

static int replay_directory(const char *directory) {
    DIR *dir = opendir(directory);
    if (!dir) fail(directory);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.') continue;
        char *path;
        if (asprintf(&path, "%s/%s", directory, entry->d_name) < 0) fail(directory);
        replay(path);
        free(path);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv) {
    int count = argc - 1;
    for (int i = 1; i < argc; i++) replay(argv[i]);
    if (argc == 1) {
        const char *top = getenv("srcdir");
        char corpus[4096];
        snprintf(corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s", top ? top : ".",
                 program_invocation_short_name);
        count = replay_directory(corpus);
    }
    printf("%d inputs\n", count);
    if (count) return 0;
    fprintf(stderr, "%s: nothing to replay\n", argv[0]);
    return 1;
}
