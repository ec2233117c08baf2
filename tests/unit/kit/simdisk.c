/* See simdisk.h. What is found after a crash is in simdisk_crash.c. */
#include "simdisk.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fail.h"
#include "simdisk_node.h"

struct sim_file {
    struct disk_file file;
    struct simdisk_node *node;
    char *path;
};

#define DISK(d) ((struct simdisk *)(d))
#define FILE_OF(f) ((struct sim_file *)(f))

/* ---- nodes and names ---------------------------------------------------------------------- */

int simdisk_node_new(struct simdisk *d, bool directory) {
    d->nodes = mem_grow(d->nodes, &d->capacity, d->n + 1, sizeof(struct simdisk_node *));
    struct simdisk_node *node = d->nodes[d->n] = mem_calloc(1, sizeof(*node));
    node->directory = directory;
    return (int)d->n++;
}

static void changes_clear(struct simdisk_node *node) {
    for (size_t i = 0; i < node->n_changes; i++) mem_free(node->changes[i].bytes);
    node->n_changes = 0;
}

void simdisk_node_settle(struct simdisk_node *node) {
    changes_clear(node);
    pack_clear(&node->synced);
    pack_bytes(&node->synced, pack_span_of(&node->now));
    for (size_t i = 0; i < node->n_entries; i++) {
        struct simdisk_entry *entry = &node->entries[i];
        entry->nodes[0] = simdisk_entry_now(entry);
        entry->n = 1;
    }
}

static void node_free(struct simdisk_node *node) {
    changes_clear(node);
    mem_free(node->changes);
    pack_free(&node->now);
    pack_free(&node->synced);
    for (size_t i = 0; i < node->n_entries; i++) {
        mem_free(node->entries[i].name);
        mem_free(node->entries[i].nodes);
    }
    mem_free(node->entries);
    mem_free(node);
}

void simdisk_entry_set(struct simdisk_entry *entry, int node) {
    entry->nodes = mem_grow(entry->nodes, &entry->capacity, entry->n + 1, sizeof(*entry->nodes));
    entry->nodes[entry->n++] = node;
}

struct simdisk_entry *simdisk_entry_add(struct simdisk_node *directory, const char *name) {
    directory->entries = mem_grow(directory->entries, &directory->entries_capacity,
                                  directory->n_entries + 1, sizeof(*directory->entries));
    struct simdisk_entry *entry = &directory->entries[directory->n_entries++];
    *entry = (struct simdisk_entry){.name = mem_dup(name, strlen(name) + 1)};
    return entry;
}

/* One that stands for nothing is made where it is not there. */
static struct simdisk_entry *entry_of(struct simdisk_node *directory, const char *name) {
    for (size_t i = 0; i < directory->n_entries; i++)
        if (!strcmp(directory->entries[i].name, name)) return &directory->entries[i];
    struct simdisk_entry *entry = simdisk_entry_add(directory, name);
    simdisk_entry_set(entry, SIMDISK_NOTHING);
    return entry;
}

/* The entry that the path ends in; NULL where a directory on the way is missing. */
static struct simdisk_entry *find_entry(struct simdisk *d, const char *path) {
    struct simdisk_node *at = d->nodes[0];
    char name[256];
    EXPECT(path[0] == '/', "a path from the root: %s", path);
    for (const char *part = path + 1;;) {
        const char *slash = strchrnul(part, '/');
        snprintf(name, sizeof(name), "%.*s", (int)(slash - part), part);
        struct simdisk_entry *entry = entry_of(at, name);
        if (!*slash) return entry;
        int node = simdisk_entry_now(entry);
        if (node == SIMDISK_NOTHING || !d->nodes[node]->directory) return NULL;
        at = d->nodes[node];
        part = slash + 1;
    }
}

static struct simdisk_node *find(struct simdisk *d, const char *path) {
    if (!strcmp(path, "/")) return d->nodes[0];
    const struct simdisk_entry *entry = find_entry(d, path);
    int node = entry ? simdisk_entry_now(entry) : SIMDISK_NOTHING;
    return node == SIMDISK_NOTHING ? NULL : d->nodes[node];
}

static int missing(struct error *e, const char *path) {
    return error_set(e, ERROR_ERR, "there is no '%s'", path);
}

/* ---- operations --------------------------------------------------------------------------- */

/* Does this one fail? */
static int begin(struct simdisk *d, const char *what, const char *path, struct error *e) {
    if (++d->operations != d->fails_at) return 0;
    return error_set(e, d->fails_with, "can't %s '%s': it was to fail", what, path);
}

static int end(struct simdisk *d) {
    if (d->after) d->after(d->context, d);
    return 0;
}

/* What the file has, were it this long. */
static uint64_t bytes_of(const struct simdisk_node *node, uint64_t len) {
    return len > node->reserved ? len : node->reserved;
}

/* By files that have a name; one with several counts with each. */
static uint64_t bytes_used(const struct simdisk *d) {
    uint64_t sum = 0;
    for (size_t i = 0; i < d->n; i++)
        for (size_t k = 0; k < d->nodes[i]->n_entries; k++) {
            int node = simdisk_entry_now(&d->nodes[i]->entries[k]);
            sum += node == SIMDISK_NOTHING ? 0 : bytes_of(d->nodes[node], d->nodes[node]->now.len);
        }
    return sum;
}

static int check_room(const struct simdisk *d, const struct sim_file *file, uint64_t len,
                      struct error *e) {
    const struct simdisk_node *node = file->node;
    uint64_t more = bytes_of(node, len) - bytes_of(node, node->now.len);
    if (!d->limit || !more || bytes_used(d) + more <= d->limit) return 0;
    return error_set(e, ERROR_MISCONF, "no room for '%s'", file->path);
}

/* ---- files -------------------------------------------------------------------------------- */

void simdisk_change_apply(const struct simdisk_change *change, struct pack *bytes) {
    if (change->truncates) {
        EXPECT(change->offset <= bytes->len, "nobody makes files longer");
        bytes->len = (size_t)change->offset;
        return;
    }
    EXPECT(change->offset == bytes->len, "writes go to the end");
    pack_bytes(bytes, span_of(change->bytes, change->len));
}

static void change(struct simdisk_node *node, struct simdisk_change change) {
    node->changes = mem_grow(node->changes, &node->changes_capacity, node->n_changes + 1,
                             sizeof(*node->changes));
    node->changes[node->n_changes++] = change;
    simdisk_change_apply(&change, &node->now);
}

static int sim_create(struct simdisk *d, const char *path, struct error *e) {
    int failed = begin(d, "create", path, e);
    if (failed) return failed;
    struct simdisk_entry *entry = find_entry(d, path);
    if (!entry) return missing(e, path);
    if (simdisk_entry_now(entry) == SIMDISK_NOTHING)
        simdisk_entry_set(entry, simdisk_node_new(d, false));
    else
        change(find(d, path), (struct simdisk_change){.truncates = true});
    return end(d);
}

static int sim_open(struct disk *disk, const char *path, enum disk_mode mode,
                    struct disk_file **out, struct error *e) {
    int failed = mode == DISK_CREATE ? sim_create(DISK(disk), path, e) : 0;
    if (failed) return failed;
    struct simdisk_node *node = find(DISK(disk), path);
    if (!node || node->directory) return missing(e, path);
    struct sim_file *file = mem_calloc(1, sizeof(*file));
    file->file.disk = disk;
    file->node = node;
    file->path = mem_dup(path, strlen(path) + 1);
    *out = &file->file;
    return 0;
}

static int sim_write(struct disk_file *f, const struct iovec *parts, size_t n, struct error *e) {
    struct sim_file *file = FILE_OF(f);
    struct simdisk *d = DISK(f->disk);
    struct pack bytes = {0};
    for (size_t i = 0; i < n; i++) pack_bytes(&bytes, span_of(parts[i].iov_base, parts[i].iov_len));
    int failed = begin(d, "write to", file->path, e);
    if (!failed) failed = check_room(d, file, file->node->now.len + bytes.len, e);
    size_t len = failed ? bytes.len / 2 : bytes.len;
    if (!len) {
        pack_free(&bytes);
        return failed;
    }
    change(file->node, (struct simdisk_change){
                           .offset = file->node->now.len, .len = len, .bytes = bytes.bytes});
    end(d);
    return failed;
}

static int sim_read(struct disk_file *f, uint64_t offset, void *out, size_t len, size_t *got,
                    struct error *e) {
    (void)e;
    struct span bytes = pack_span_of(&FILE_OF(f)->node->now);
    *got = offset >= bytes.len ? 0 : bytes.len - offset < len ? bytes.len - offset : len;
    if (*got) memcpy(out, bytes.ptr + offset, *got);
    return 0;
}

static int sim_size(struct disk_file *f, uint64_t *out, struct error *e) {
    (void)e;
    *out = FILE_OF(f)->node->now.len;
    return 0;
}

static int sim_sync(struct disk_file *f, struct error *e) {
    int failed = begin(DISK(f->disk), "sync", FILE_OF(f)->path, e);
    if (failed) return failed;
    simdisk_node_settle(FILE_OF(f)->node);
    return end(DISK(f->disk));
}

static void sim_uncache(struct disk_file *f) {
    (void)f;
}

static int sim_reserve(struct disk_file *f, uint64_t until, struct error *e) {
    struct sim_file *file = FILE_OF(f);
    int failed = begin(DISK(f->disk), "reserve room for", file->path, e);
    if (!failed) failed = check_room(DISK(f->disk), file, until, e);
    if (!failed && until > file->node->reserved) file->node->reserved = until;
    return failed;
}

static int sim_truncate(struct disk_file *f, uint64_t len, struct error *e) {
    int failed = begin(DISK(f->disk), "truncate", FILE_OF(f)->path, e);
    if (failed) return failed;
    FILE_OF(f)->node->reserved = 0;
    if (len != FILE_OF(f)->node->now.len)
        change(FILE_OF(f)->node, (struct simdisk_change){.truncates = true, .offset = len});
    return end(DISK(f->disk));
}

static bool sim_is_there(struct disk_file *file) {
    (void)file;
    return true; /* nothing is removed from outside */
}

static void sim_close(struct disk_file *f) {
    mem_free(FILE_OF(f)->path);
    mem_free(f);
}

/* ---- names -------------------------------------------------------------------------------- */

/* Entries move when one is added, so both are there before either is pointed to. */
static int sim_name(struct disk *disk, const char *what, const char *from, const char *to,
                    bool moves, struct error *e) {
    struct simdisk *d = DISK(disk);
    int failed = begin(d, what, to, e);
    if (failed) return failed;
    const struct simdisk_node *found = find(d, from);
    if (!found || !find_entry(d, to)) return missing(e, from);
    struct simdisk_entry *source = find_entry(d, from), *target = find_entry(d, to);
    if (!moves && simdisk_entry_now(target) != SIMDISK_NOTHING)
        return error_set(e, ERROR_ERR, "there is a '%s'", to);
    simdisk_entry_set(target, simdisk_entry_now(source));
    if (moves) simdisk_entry_set(source, SIMDISK_NOTHING);
    return end(d);
}

static int sim_rename(struct disk *disk, const char *from, const char *to, struct error *e) {
    return sim_name(disk, "rename a file to", from, to, true, e);
}

static int sim_link(struct disk *disk, const char *from, const char *to, struct error *e) {
    return sim_name(disk, "make a link", from, to, false, e);
}

static bool is_empty(const struct simdisk_node *directory) {
    for (size_t i = 0; i < directory->n_entries; i++)
        if (simdisk_entry_now(&directory->entries[i]) != SIMDISK_NOTHING) return false;
    return true;
}

static int sim_remove(struct disk *disk, const char *path, struct error *e) {
    struct simdisk *d = DISK(disk);
    int failed = begin(d, "remove", path, e);
    if (failed) return failed;
    const struct simdisk_node *node = find(d, path);
    if (!node) return missing(e, path);
    if (node->directory && !is_empty(node))
        return error_set(e, ERROR_ERR, "'%s' is not empty", path);
    simdisk_entry_set(find_entry(d, path), SIMDISK_NOTHING);
    return end(d);
}

static int sim_make_directory(struct disk *disk, const char *path, struct error *e) {
    struct simdisk *d = DISK(disk);
    int failed = begin(d, "make the directory", path, e);
    if (failed) return failed;
    struct simdisk_entry *entry = find_entry(d, path);
    if (!entry) return missing(e, path);
    if (simdisk_entry_now(entry) != SIMDISK_NOTHING) return 0;
    simdisk_entry_set(entry, simdisk_node_new(d, true));
    return end(d);
}

static int sim_sync_directory(struct disk *disk, const char *path, struct error *e) {
    struct simdisk *d = DISK(disk);
    int failed = begin(d, "sync the directory", path, e);
    if (failed) return failed;
    struct simdisk_node *node = find(d, path);
    if (!node) return missing(e, path);
    simdisk_node_settle(node);
    return end(d);
}

/* Those that are called for may be removed meanwhile. */
static int sim_list(struct disk *disk, const char *path,
                    void (*each)(void *context, const char *name), void *context, struct error *e) {
    const struct simdisk_node *node = find(DISK(disk), path);
    if (!node || !node->directory) return missing(e, path);
    char name[256];
    for (size_t i = 0; i < node->n_entries; i++) {
        if (simdisk_entry_now(&node->entries[i]) == SIMDISK_NOTHING) continue;
        snprintf(name, sizeof(name), "%s", node->entries[i].name);
        each(context, name);
    }
    return 0;
}

static bool sim_exists(struct disk *disk, const char *path) {
    return find(DISK(disk), path) != NULL;
}

static bool sim_look(struct disk *disk, const char *path, struct disk_identity *out) {
    const struct simdisk *d = DISK(disk);
    const struct simdisk_node *node = find(DISK(disk), path);
    if (!node) return false;
    *out = (struct disk_identity){.device = 1, .size = node->now.len};
    while (d->nodes[out->inode++] != node) continue;
    return true;
}

const struct disk_ops simdisk_ops = {
    .open = sim_open,
    .write = sim_write,
    .read = sim_read,
    .size = sim_size,
    .sync = sim_sync,
    .uncache = sim_uncache,
    .reserve = sim_reserve,
    .truncate = sim_truncate,
    .close = sim_close,
    .is_there = sim_is_there,
    .rename = sim_rename,
    .link = sim_link,
    .remove = sim_remove,
    .make_directory = sim_make_directory,
    .sync_directory = sim_sync_directory,
    .list = sim_list,
    .exists = sim_exists,
    .look = sim_look,
};

/* ---- for tests ---------------------------------------------------------------------------- */

struct simdisk *simdisk_new(void) {
    struct simdisk *d = mem_calloc(1, sizeof(*d));
    d->disk.ops = &simdisk_ops;
    simdisk_node_new(d, true);
    EXPECT(!sim_make_directory(&d->disk, "/data", NULL), "in a new disk");
    simdisk_node_settle(d->nodes[0]);
    d->operations = 0;
    return d;
}

void simdisk_free(struct simdisk *d) {
    for (size_t i = 0; i < d->n; i++) node_free(d->nodes[i]);
    mem_free(d->nodes);
    mem_free(d);
}

struct disk *simdisk_disk(struct simdisk *d) {
    return &d->disk;
}

void simdisk_watch(struct simdisk *d, void (*after)(void *context, struct simdisk *d),
                   void *context) {
    d->after = after;
    d->context = context;
}

uint64_t simdisk_operations(const struct simdisk *d) {
    return d->operations;
}

void simdisk_fail(struct simdisk *d, uint64_t nth, enum error_code code) {
    d->fails_at = d->operations + nth;
    d->fails_with = code;
}

bool simdisk_has_failed(const struct simdisk *d) {
    return d->fails_at && d->operations >= d->fails_at;
}

void simdisk_limit(struct simdisk *d, uint64_t bytes) {
    d->limit = bytes;
}

struct pack *simdisk_bytes(struct simdisk *d, const char *path) {
    struct simdisk_node *node = find(d, path);
    return node && !node->directory ? &node->now : NULL;
}
