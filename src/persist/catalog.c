/* See catalog.h. */
#include "persist/catalog.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const char *catalog_file(uint64_t number, char out[static CATALOG_FILE_MAX]) {
    snprintf(out, CATALOG_FILE_MAX, "%06" PRIu64 ".tqs", number);
    return out;
}

static const char *mark_file(uint64_t number, char out[static CATALOG_FILE_MAX]) {
    snprintf(out, CATALOG_FILE_MAX, "%06" PRIu64 ".forgotten", number);
    return out;
}

static const char *catalog_path(const struct catalog *c, const char *file,
                                char out[static PATH_MAX]) {
    snprintf(out, PATH_MAX, "%s/%s", c->directory, file);
    return out;
}

int catalog_check_name(struct span name, struct error *e) {
    bool fits = name.len > 0 && name.len <= CATALOG_NAME_MAX;
    for (size_t i = 0; fits && i < name.len; i++)
        fits = isalnum((unsigned char)name.ptr[i]) || (name.ptr[i] && strchr("_.@-", name.ptr[i]));
    if (fits) return 0;
    return error_set(e, ERROR_ERR,
                     "checkpoint name %s is not made of 1 to %d of A-Z a-z 0-9 _ . @ -",
                     QUOTE(name), CATALOG_NAME_MAX);
}

size_t catalog_meta(struct span name, struct span text, char *out) {
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\n';
    if (text.len) memcpy(out + name.len + 1, text.ptr, text.len);
    return name.len + 1 + text.len;
}

/* ---- entries ------------------------------------------------------------------------------ */

static void entry_free(struct checkpoint *entry) {
    mem_free(entry->name);
    mem_free(entry->text);
    mem_free(entry->needs);
}

static char *text_dup(struct span text) {
    char *copy = mem_alloc(text.len + 1);
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

static bool file_number(const char *name, uint64_t *number) {
    char own[CATALOG_FILE_MAX];
    return sscanf(name, "%" SCNu64, number) == 1 && !strcmp(catalog_file(*number, own), name);
}

static int entry_read(const struct catalog *c, uint64_t number, struct checkpoint *out,
                      struct error *e) {
    char path[PATH_MAX], file[CATALOG_FILE_MAX];
    struct snapshot *snapshot;
    catalog_path(c, catalog_file(number, file), path);
    int failed = snapshot_open(c->disk, path, &snapshot, e);
    if (failed) return failed;
    const struct snapshot_info *info = snapshot_info(snapshot);
    const char *end = info->meta.len ? memchr(info->meta.ptr, '\n', info->meta.len) : NULL;
    size_t len = end ? (size_t)(end - info->meta.ptr) : info->meta.len;
    size_t skip = end ? len + 1 : len;
    *out = (struct checkpoint){
        .number = number,
        .name = text_dup(span_of(info->meta.ptr, len)),
        .text = text_dup(span_of(info->meta.ptr + skip, info->meta.len - skip)),
        .created_ms = info->created_ms,
        .partitions = info->partitions,
        .samples = info->samples,
        .payload_bytes = info->payload_bytes,
        .file_bytes = info->file_bytes,
    };
    size_t capacity = 0;
    const char *other;
    for (size_t i = 0; (other = snapshot_file(snapshot, i)); i++) {
        out->needs = mem_grow(out->needs, &capacity, out->n_needs + 1, sizeof(*out->needs));
        if (file_number(other, &out->needs[out->n_needs])) out->n_needs++;
    }
    snapshot_close(snapshot);
    return 0;
}

static struct checkpoint *entry_find(const struct catalog *c, uint64_t number) {
    for (size_t i = 0; i < c->n; i++)
        if (c->entries[i].number == number) return &c->entries[i];
    return NULL;
}

/* Into its place by number. */
static void entry_insert(struct catalog *c, const struct checkpoint *entry) {
    c->entries = mem_grow(c->entries, &c->capacity, c->n + 1, sizeof(*c->entries));
    size_t at = c->n++;
    for (; at > 0 && c->entries[at - 1].number > entry->number; at--)
        c->entries[at] = c->entries[at - 1];
    c->entries[at] = *entry;
}

const struct checkpoint *catalog_find(const struct catalog *c, struct span name) {
    for (size_t i = c->n; i-- > 0;)
        if (name.len && span_equal(span_of_string(c->entries[i].name), name)) return &c->entries[i];
    return NULL;
}

const struct checkpoint *catalog_newest(const struct catalog *c) {
    return c->n ? &c->entries[c->n - 1] : NULL;
}

/* ---- what nobody needs -------------------------------------------------------------------- */

static bool is_needed(const struct catalog *c, uint64_t number) {
    if (number < c->unread || (c->held && number == c->held)) return true;
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->entries[i].n_needs; k++)
            if (c->entries[i].needs[k] == number) return true;
    return false;
}

/* The mark goes last: a file without it would be a checkpoint again. */
static int entry_remove(struct catalog *c, struct checkpoint *entry, struct error *e) {
    char path[PATH_MAX], file[CATALOG_FILE_MAX];
    const struct disk_ops *ops = c->disk->ops;
    int failed = ops->remove(c->disk, catalog_path(c, catalog_file(entry->number, file), path), e);
    if (failed) return failed;
    failed = ops->sync_directory(c->disk, c->directory, e);
    catalog_path(c, mark_file(entry->number, file), path);
    if (!failed && ops->exists(c->disk, path)) failed = ops->remove(c->disk, path, e);
    entry_free(entry);
    memmove(entry, entry + 1, (size_t)(c->entries + c->n - entry - 1) * sizeof(*entry));
    c->n--;
    return failed;
}

/* What can't be removed takes room, and is tried again with the next that goes. */
static void sweep(struct catalog *c) {
    int failed = 0;
    for (size_t i = c->n; !failed && i-- > 0;) /* the newest first: nothing stands on a later one */
        if (!*c->entries[i].name && !is_needed(c, c->entries[i].number))
            failed = entry_remove(c, &c->entries[i], NULL);
}

void catalog_hold(struct catalog *c, uint64_t number) {
    c->held = number;
}

void catalog_release(struct catalog *c) {
    c->held = 0;
    sweep(c);
}

static int entry_mark(const struct catalog *c, const struct checkpoint *entry, struct error *e) {
    char path[PATH_MAX], file[CATALOG_FILE_MAX];
    struct disk_file *mark;
    catalog_path(c, mark_file(entry->number, file), path);
    int failed = c->disk->ops->open(c->disk, path, DISK_CREATE, &mark, e);
    if (failed) return failed;
    c->disk->ops->close(mark);
    return c->disk->ops->sync_directory(c->disk, c->directory, e);
}

/* It is no checkpoint any more, though its file may have to stay. After an error it still is one, and can be forgotten again: unless
 * all that failed is the sync behind its removal. */
static int entry_forget(struct catalog *c, struct checkpoint *entry, struct error *e) {
    bool stays = is_needed(c, entry->number);
    int failed = stays ? entry_mark(c, entry, e) : entry_remove(c, entry, e);
    if (failed) return failed;
    if (stays) entry->name[0] = '\0';
    sweep(c);
    return 0;
}

/* Of those with one name the newest counts, and the others do not come back when it goes. */
static int supersede(struct catalog *c, struct error *e) {
    int failed = 0;
    for (size_t i = c->n; !failed && i-- > 0;) { /* what goes meanwhile is this one, or older */
        struct span name = i < c->n ? span_of_string(c->entries[i].name) : span_of("", 0);
        if (name.len && catalog_find(c, name) != &c->entries[i])
            failed = entry_forget(c, &c->entries[i], e);
    }
    return failed;
}

/* ---- the directory ------------------------------------------------------------------------ */

struct scan {
    struct catalog *catalog;
    void (*report)(void *context, const struct error *e);
    void *context;
};

static void scan_file(void *context, const char *name) {
    struct scan *scan = context;
    struct catalog *c = scan->catalog;
    struct checkpoint entry;
    struct error e;
    char path[PATH_MAX], mark[CATALOG_FILE_MAX];
    uint64_t number;
    size_t len = strlen(name);
    if (len > 4 && !strcmp(name + len - 4, ".tmp"))
        c->disk->ops->remove(c->disk, catalog_path(c, name, path), NULL);
    if (!file_number(name, &number)) return;
    if (entry_read(c, number, &entry, &e)) {
        if (scan->report) scan->report(scan->context, &e);
        if (number > c->unread) c->unread = number;
        return;
    }
    if (c->disk->ops->exists(c->disk, catalog_path(c, mark_file(number, mark), path)))
        entry.name[0] = '\0';
    entry_insert(c, &entry);
}

int catalog_open(struct disk *disk, const char *directory, struct catalog *out,
                 void (*report)(void *context, const struct error *e), void *context,
                 struct error *e) {
    *out = (struct catalog){.disk = disk, .directory = text_dup(span_of_string(directory))};
    struct scan scan = {out, report, context};
    if (!disk->ops->exists(disk, directory)) return 0;
    int failed = disk->ops->list(disk, directory, scan_file, &scan, e);
    /* A process that was killed may have left a new file whose name is not on the medium yet: it must be, before older ones go. */
    if (!failed) failed = disk->ops->sync_directory(disk, directory, e);
    if (!failed) failed = supersede(out, e);
    if (failed)
        catalog_close(out);
    else
        sweep(out);
    return failed;
}

void catalog_close(struct catalog *c) {
    for (size_t i = 0; i < c->n; i++) entry_free(&c->entries[i]);
    mem_free(c->entries);
    mem_free(c->directory);
    *c = (struct catalog){0};
}

/* ---- changing ----------------------------------------------------------------------------- */

/* Numbers of files that could not be read are taken as well. */
int catalog_prepare(struct catalog *c, uint64_t *number, struct error *e) {
    char path[PATH_MAX], file[CATALOG_FILE_MAX];
    int failed = c->disk->ops->make_directory(c->disk, c->directory, e);
    if (!failed) failed = disk_sync_parent(c->disk, c->directory, e);
    *number = c->n ? c->entries[c->n - 1].number + 1 : 1;
    if (*number <= c->unread) *number = c->unread + 1;
    while (!failed &&
           (c->disk->ops->exists(c->disk, catalog_path(c, catalog_file(*number, file), path)) ||
            c->disk->ops->exists(c->disk, catalog_path(c, mark_file(*number, file), path))))
        ++*number;
    return failed;
}

int catalog_add(struct catalog *c, uint64_t number, struct error *e) {
    struct checkpoint entry;
    int failed = entry_read(c, number, &entry, e);
    if (failed) return failed;
    entry_insert(c, &entry);
    return supersede(c, e);
}

void catalog_drop(struct catalog *c, uint64_t number) {
    char path[PATH_MAX], temporary[PATH_MAX + 4], file[CATALOG_FILE_MAX];
    const struct disk_ops *ops = c->disk->ops;
    if (entry_find(c, number)) return;
    catalog_path(c, catalog_file(number, file), path);
    snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (ops->exists(c->disk, temporary)) ops->remove(c->disk, temporary, NULL);
    if (!ops->exists(c->disk, path) || ops->remove(c->disk, path, NULL)) return;
    ops->sync_directory(c->disk, c->directory, NULL);
}

int catalog_forget(struct catalog *c, struct span name, struct error *e) {
    const struct checkpoint *found = catalog_find(c, name);
    if (!found) return error_set(e, ERROR_NOKEY, "no checkpoint %s", QUOTE(name));
    return entry_forget(c, entry_find(c, found->number), e);
}
