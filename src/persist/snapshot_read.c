/* See snapshot.h: opening, and what the index says. Files may be hostile: nothing is believed that is not checked, and no more is allocated than a file's
 * size justifies. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "persist/snapshot_format.h"

#define U(number) ((unsigned long long)(number))

bool snapshot_split(const char *path, char directory[static PATH_MAX], const char **name) {
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 1;
    *name = slash ? slash + 1 : path;
    if (len >= PATH_MAX || !**name || strlen(*name) > SNAPSHOT_NAME_MAX) return false;
    memcpy(directory, slash ? path : ".", len);
    if (len == 0) directory[len++] = '/';
    directory[len] = '\0';
    return true;
}

const char *snapshot_name(const struct snapshot *s, uint32_t file) {
    return file ? s->files[file - 1] : s->name;
}

int snapshot_bad(const struct snapshot *s, uint32_t file, uint64_t offset, struct error *e,
                 const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(e, ERROR_ERR, "snapshot %s at %llu: %s",
                     QUOTE(span_of_string(snapshot_name(s, file))), U(offset), text);
}

/* ---- files -------------------------------------------------------------------------------- */

int snapshot_open_file(struct snapshot *s, uint32_t file, struct error *e) {
    char path[PATH_MAX];
    if (s->opened[file]) return 0;
    int len = snprintf(path, sizeof(path), "%s/%s", s->directory, snapshot_name(s, file));
    if (len < 0 || (size_t)len >= sizeof(path))
        return snapshot_bad(s, file, 0, e, "its path is too long");
    int failed = s->disk->ops->open(s->disk, path, DISK_READ, &s->opened[file], e);
    if (failed) s->opened[file] = NULL;
    return failed ? failed : s->disk->ops->size(s->opened[file], &s->sizes[file], e);
}

int snapshot_read(struct snapshot *s, uint32_t file, uint64_t offset, void *out, size_t len,
                  struct error *e) {
    size_t got;
    int failed = s->disk->ops->read(s->opened[file], offset, out, len, &got, e);
    if (failed || got == len) return failed;
    return snapshot_bad(s, file, offset + got, e, "the file ends in the midst");
}

/* ---- header and trailer ------------------------------------------------------------------- */

static int snapshot_check_header(struct snapshot *s, struct error *e) {
    char bytes[SNAPSHOT_HEADER];
    int failed = snapshot_read(s, 0, 0, bytes, sizeof(bytes), e);
    if (failed) return failed;
    struct unpack u = unpack_of(span_of(bytes, sizeof(bytes)));
    if (!span_equal(unpack_bytes(&u, 8), SPAN_LITERAL(SNAPSHOT_MAGIC)))
        return snapshot_bad(s, 0, 0, e, "this is no snapshot");
    uint32_t version = unpack_u32(&u), kind = unpack_u32(&u);
    if (unpack_u64(&u) != checksum64(span_of(bytes, sizeof(bytes) - 8)))
        return snapshot_bad(s, 0, 8, e, "the header's checksum is wrong");
    if (version < 1 || version > SNAPSHOT_VERSION)
        return snapshot_bad(s, 0, 8, e, "its format has version %u, this tq reads versions 1 to %d",
                            version, SNAPSHOT_VERSION);
    if (kind != SNAPSHOT_KIND) return snapshot_bad(s, 0, 12, e, "an unknown kind of file %u", kind);
    return 0;
}

/* Where the index is, and the totals. */
static int snapshot_check_trailer(struct snapshot *s, uint64_t *index, uint64_t *index_len,
                                  uint64_t *index_sum, struct error *e) {
    char bytes[SNAPSHOT_TRAILER];
    uint64_t at = s->info.file_bytes - SNAPSHOT_TRAILER;
    int failed = snapshot_read(s, 0, at, bytes, sizeof(bytes), e);
    if (failed) return failed;
    struct unpack u = unpack_of(span_of(bytes, sizeof(bytes)));
    *index = unpack_u64(&u);
    *index_len = unpack_u64(&u);
    *index_sum = unpack_u64(&u);
    s->info.partitions = unpack_u64(&u);
    s->info.samples = unpack_u64(&u);
    s->info.payload_bytes = unpack_u64(&u);
    s->info.sections = unpack_u64(&u);
    s->info.lsn = unpack_u64(&u);
    s->info.created_ms = (int64_t)unpack_u64(&u);
    uint64_t sum = unpack_u64(&u);
    if (!span_equal(unpack_bytes(&u, 8), SPAN_LITERAL(SNAPSHOT_END)) ||
        sum != checksum64(span_of(bytes, sizeof(bytes) - 16)))
        return snapshot_bad(s, 0, at, e, "the trailer's checksum is wrong: the file is not whole");
    if (*index < SNAPSHOT_HEADER || *index > at || at - *index != *index_len)
        return snapshot_bad(s, 0, at, e, "the index is not where it is said to be");
    return 0;
}

/* ---- the index ---------------------------------------------------------------------------- */

static bool name_is_flat(struct span name) {
    return name.len >= 1 && name.len <= SNAPSHOT_NAME_MAX && !memchr(name.ptr, '/', name.len) &&
           !memchr(name.ptr, '\0', name.len) && name.ptr[0] != '.';
}

static bool index_files(struct snapshot *s, struct unpack *u) {
    size_t n = unpack_count(u, 2);
    s->files = mem_calloc(n + 1, sizeof(*s->files));
    for (size_t i = 0; i < n; i++) {
        struct span name = unpack_span(u);
        if (!name_is_flat(name)) return false;
        s->files[i] = mem_calloc(1, name.len + 1);
        memcpy(s->files[i], name.ptr, name.len);
        s->n_files++;
    }
    return true;
}

static bool index_partitions(struct snapshot *s, struct unpack *u) {
    uint64_t samples = 0, payload_bytes = 0, sections = 1; /* of the store itself */
    size_t n = unpack_count(u, 5);
    s->partitions = mem_calloc(n + 1, sizeof(*s->partitions));
    for (size_t i = 0; i < n; i++) {
        struct snapshot_listed *p = &s->partitions[i];
        *p = (struct snapshot_listed){.name = unpack_span(u), .wanted = true};
        samples += p->samples = unpack_varint(u);
        payload_bytes += p->payload_bytes = unpack_varint(u);
        p->sections = unpack_varint(u);
        if (p->sections < 1 || p->sections > s->info.sections) return false;
        sections += p->sections;
    }
    return !u->bad && n == s->info.partitions && samples == s->info.samples &&
           payload_bytes == s->info.payload_bytes && sections == s->info.sections;
}

/* This file's own follow one upon another, from the header to the index. */
static bool index_sections(struct snapshot *s, struct unpack *u, uint64_t index) {
    uint64_t offset = SNAPSHOT_HEADER;
    size_t n = unpack_count(u, 21);
    if (n != s->info.sections) return false;
    s->sections = mem_calloc(n + 1, sizeof(*s->sections));
    for (size_t i = 0; i < n; i++) {
        struct snapshot_section *section = &s->sections[i];
        section->kind = unpack_u8(u);
        uint64_t file = unpack_varint(u);
        section->offset = unpack_varint(u);
        uint64_t head_len = unpack_varint(u), payload_len = unpack_varint(u);
        section->identity.low = unpack_u64(u);
        section->identity.high = unpack_u64(u);
        if (u->bad || file > s->n_files || (head_len | payload_len) > UINT32_MAX) return false;
        section->file = (uint32_t)file;
        section->head_len = (uint32_t)head_len;
        section->payload_len = (uint32_t)payload_len;
        s->total += snapshot_section_bytes(section);
        s->info.shared += file != 0;
        if (!file && section->offset != offset) return false;
        if (!file) offset += snapshot_section_bytes(section);
    }
    return offset == index;
}

static void index_identities(struct snapshot *s) {
    for (uint64_t i = 0; i < s->info.sections && i < KEYINDEX_NONE; i++)
        if (snapshot_section_bytes(&s->sections[i]) >= SNAPSHOT_SHARE_MIN &&
            !snapshot_find(s, &s->sections[i]))
            keyindex_add(&s->identities, snapshot_identity_hash(s->sections[i].identity),
                         (uint32_t)i);
}

static int snapshot_read_index(struct snapshot *s, struct error *e) {
    uint64_t index, len, sum;
    int failed = snapshot_check_trailer(s, &index, &len, &sum, e);
    if (failed) return failed;
    s->index = mem_alloc(len);
    failed = snapshot_read(s, 0, index, s->index, len, e);
    if (failed) return failed;
    struct unpack u = unpack_of(span_of(s->index, len));
    if (sum != checksum64(span_of(s->index, len)))
        return snapshot_bad(s, 0, index, e, "the index's checksum is wrong");
    s->info.meta = unpack_span(&u);
    if (!index_files(s, &u) || !index_partitions(s, &u) || !index_sections(s, &u, index) || u.bad ||
        unpack_left(&u))
        return snapshot_bad(s, 0, index, e, "the index contradicts itself");
    index_identities(s);
    return 0;
}

/* A hash alone does not say it: they are compared. */
struct finding {
    const struct snapshot *snapshot;
    const struct snapshot_section *like;
};

static bool finding_is(const void *context, uint32_t at, struct span name) {
    (void)name;
    const struct finding *f = context;
    const struct snapshot_section *a = &f->snapshot->sections[at], *b = f->like;
    return a->kind == b->kind && a->head_len == b->head_len && a->payload_len == b->payload_len &&
           checksum128_equal(a->identity, b->identity);
}

const struct snapshot_section *snapshot_find(const struct snapshot *snapshot,
                                             const struct snapshot_section *like) {
    const struct finding f = {snapshot, like};
    uint32_t at = keyindex_find(&snapshot->identities, snapshot_identity_hash(like->identity),
                                span_of("", 0), finding_is, &f);
    return at == KEYINDEX_NONE ? NULL : &snapshot->sections[at];
}

/* ---- opening and closing ------------------------------------------------------------------ */

static int snapshot_open_all(struct snapshot *s, struct error *e) {
    s->opened = mem_calloc(1, sizeof(*s->opened));
    s->sizes = mem_calloc(1, sizeof(*s->sizes));
    int failed = snapshot_open_file(s, 0, e);
    if (failed) return failed;
    s->info.file_bytes = s->sizes[0];
    if (s->info.file_bytes < SNAPSHOT_HEADER + SNAPSHOT_TRAILER)
        return snapshot_bad(s, 0, s->info.file_bytes, e, "the file is too short for a snapshot");
    failed = snapshot_check_header(s, e);
    if (!failed) failed = snapshot_read_index(s, e);
    if (failed) return failed;
    s->opened = mem_realloc(s->opened, (s->n_files + 1) * sizeof(*s->opened));
    s->sizes = mem_realloc(s->sizes, (s->n_files + 1) * sizeof(*s->sizes));
    for (size_t i = 1; i <= s->n_files; i++) s->opened[i] = NULL;
    s->n_opened = s->n_files;
    return 0;
}

int snapshot_open(struct disk *disk, const char *path, struct snapshot **out, struct error *e) {
    char directory[PATH_MAX];
    const char *name;
    if (!snapshot_split(path, directory, &name))
        return error_set(e, ERROR_ERR, "the path '%.200s' is too long or names no file", path);
    struct snapshot *s = mem_calloc(1, sizeof(*s));
    s->disk = disk;
    s->directory = mem_dup(directory, strlen(directory) + 1);
    s->name = mem_dup(name, strlen(name) + 1);
    s->reader = readahead_new(false);
    int failed = snapshot_open_all(s, e);
    if (failed)
        snapshot_close(s);
    else
        *out = s;
    return failed;
}

void snapshot_close(struct snapshot *s) {
    snapshot_forget_batches(s);
    readahead_free(s->reader);
    if (s->opened[0]) s->disk->ops->close(s->opened[0]);
    for (size_t i = 0; i < s->n_files; i++) {
        if (s->n_opened && s->opened[i + 1]) s->disk->ops->close(s->opened[i + 1]);
        mem_free(s->files[i]);
    }
    mem_free(s->opened);
    mem_free(s->sizes);
    mem_free(s->files);
    mem_free(s->partitions);
    mem_free(s->sections);
    mem_free(s->index);
    mem_free(s->directory);
    mem_free(s->name);
    keyindex_free(&s->identities);
    mem_free(s);
}

const struct snapshot_info *snapshot_info(const struct snapshot *s) {
    return &s->info;
}

struct snapshot_partition snapshot_partition(const struct snapshot *s, uint64_t i) {
    const struct snapshot_listed *p = &s->partitions[i];
    return (struct snapshot_partition){p->name, p->samples, p->payload_bytes};
}

const char *snapshot_file(const struct snapshot *s, size_t i) {
    return i < s->n_files ? s->files[i] : NULL;
}

uint64_t snapshot_done(const struct snapshot *s) {
    return s->done;
}

uint64_t snapshot_total(const struct snapshot *s) {
    return s->total;
}
