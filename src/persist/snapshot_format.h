/* The layout of a snapshot's file, for those who write and read it. See docs/format.md. */
#ifndef TQ_PERSIST_SNAPSHOT_FORMAT_H
#define TQ_PERSIST_SNAPSHOT_FORMAT_H

#include <limits.h>

#include "base/checksum.h"
#include "base/pack.h"
#include "persist/readahead.h"
#include "persist/snapshot.h"
#include "store/arena.h"
#include "store/keyindex.h"

#define SNAPSHOT_MAGIC "tq-snap\n"
#define SNAPSHOT_END "tq-end.\n"

enum {
    SNAPSHOT_KIND = 1, /* in the header: a snapshot of a store */
    SNAPSHOT_HEADER = 8 + 4 + 4 + 8,
    SNAPSHOT_TRAILER = 9 * 8 + 8 + 8,
    SNAPSHOT_FRAME = 1 + 4 + 4 + 8, /* before a section's head */
    SNAPSHOT_HEAD_SUM = 8,          /* behind it */
    SNAPSHOT_SHARE_MIN = 4096,      /* smaller sections are always written */
    SNAPSHOT_NAME_MAX = 255,

    SNAPSHOT_BATCH = 64,  /* sections that are read together at most */
    SNAPSHOT_BATCHES = 8, /* the one that is loaded, and those that are read ahead */
};

/* A section, as the index has it. */
struct snapshot_section {
    uint8_t kind;
    uint32_t file; /* 0: this one, else the place in the table of names + 1 */
    uint64_t offset;
    uint32_t head_len, payload_len;
    struct checksum128 identity;
};

/* Bytes that a section takes in its file. */
static inline uint64_t snapshot_section_bytes(const struct snapshot_section *s) {
    return (uint64_t)SNAPSHOT_FRAME + s->head_len + SNAPSHOT_HEAD_SUM + s->payload_len;
}

/* What follows one upon another in the index. */
struct snapshot_listed {
    struct span name;
    uint64_t samples, payload_bytes;
    uint64_t sections; /* how many */
    bool wanted;       /* by snapshot_select */
};

/* A section that is read: its frame and head, and where its payload goes, pinned; NULL where it has none. */
struct snapshot_fetch {
    const struct snapshot_section *section;
    struct pack frame;
    struct chunk *chunk;
};

/* Sections that are fetched by one job. Behind those that could be planned, and read, comes the error. */
struct snapshot_batch {
    struct snapshot *snapshot;
    struct readahead_job job; /* where there is a section */
    struct snapshot_fetch fetches[SNAPSHOT_BATCH];
    size_t n, at; /* how many there are; which one is next to be loaded */
    int failed;
    struct error error;
};

struct snapshot {
    struct disk *disk;
    char *directory, *name;
    struct snapshot_info info;
    char *index; /* its bytes: names point in here */
    struct snapshot_listed *partitions;
    char **files; /* names of others */
    size_t n_files;
    struct snapshot_section *sections;
    struct keyindex identities; /* → section, of those large enough to be shared */

    /* Loading. */
    struct disk_file **opened; /* by file number, NULL until it is needed */
    size_t n_opened;           /* how many places that has beside this file's own */
    uint64_t *sizes;           /* of those */
    uint64_t section, partition,
        left; /* next to be planned; of which partition, and how many it still has */
    uint64_t done, total;
    struct readahead *reader;
    struct snapshot_batch batches[SNAPSHOT_BATCHES]; /* a ring */
    size_t first, n_batches; /* the one that is loaded; how many are planned, with it */
    bool planned;            /* there is nothing more to plan */
};

/* The hash under which a section is found by its identity. */
static inline uint64_t snapshot_identity_hash(struct checksum128 identity) {
    return identity.low ^ identity.high << 1;
}

/* A section of the same kind, lengths and identity, NULL where there is none. */
const struct snapshot_section *snapshot_find(const struct snapshot *snapshot,
                                             const struct snapshot_section *like);

/* Frame and head as one: identity is that of these bytes followed by the upper half of the payload's checksum. `frame` has room. */
static inline struct checksum128 snapshot_identify(struct pack *frame, struct checksum128 payload) {
    pack_u64(frame, payload.high);
    struct checksum128 identity = checksum128(pack_span_of(frame));
    frame->len -= 8;
    return identity;
}

/* ---- what reading a snapshot's parts has in common ---- */

const char *snapshot_name(const struct snapshot *s, uint32_t file);

/* ERROR_ERR: "snapshot 'file' at 123: " and the sentence. */
int snapshot_bad(const struct snapshot *s, uint32_t file, uint64_t offset, struct error *e,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The file of that number is open, and its size known. */
int snapshot_open_file(struct snapshot *s, uint32_t file, struct error *e);

/* All of these bytes, which the file has. */
int snapshot_read(struct snapshot *s, uint32_t file, uint64_t offset, void *out, size_t len,
                  struct error *e);

/* Whatever was read, or was to be, is let go. */
void snapshot_forget_batches(struct snapshot *s);

/* The directory and the name of a path. False where one is too long. */
bool snapshot_split(const char *path, char directory[static PATH_MAX], const char **name);

#endif
