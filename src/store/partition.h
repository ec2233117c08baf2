/* A partition: a named table of samples with everything that belongs to it.
 *
 * Rows are numbered by `seq` in insertion order for as long as the partition lives. What is kept
 * per sample is spread over block indexes that share this numbering: the keys, each field and each
 * tag (columns), each task, and here who is alive, its group, and when it was written. */
#ifndef TQ_STORE_PARTITION_H
#define TQ_STORE_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "store/blockindex.h"
#include "store/column.h"
#include "store/ended.h"
#include "store/group.h"
#include "store/keyindex.h"
#include "store/once.h"
#include "store/task.h"

enum {
    PARTITION_FIELDS_MAX = 4096,
    PARTITION_TAGS_MAX = 4096,
    PARTITION_TASKS_MAX = 1024,
};

#define PARTITION_SAMPLES_MAX (UINT64_C(1) << 32)

/* The highest seq that the next sample can have. */
#define PARTITION_SEQ_MAX (UINT64_C(1) << 62)

#define SEQ_NONE UINT64_MAX

/* For qsort and bsearch over uint64_t seqs, ascending. */
int seq_compare(const void *a, const void *b);

/* Takes the seqs that are in `sorted` (ascending) out of the list; returns how many stay. */
size_t seqs_without(uint64_t *seqs, size_t n, const uint64_t *sorted, size_t n_sorted);

struct row_block {
    const uint64_t *alive; /* rowbits.h */
    uint16_t count;    /* alive */
    uint16_t capacity; /* rows in written (and groups) */
    uint32_t *written; /* when the sample was made: seconds since 1970 */
    uint32_t *groups;  /* group number or GROUP_NONE; NULL while no row has one */
};

/* Columns of one kind, by name and in order of appearance. Few are searched one by one. */
struct column_set {
    struct column **columns;
    uint32_t count, capacity;
    struct keyindex *index; /* NULL: searched one by one */
};

/* What may be in a partition, as TQ.CREATE and TQ.ALTER say. 0 is no bound. */
struct bounds {
    uint64_t samples;       /* alive at a time */
    uint64_t bytes;         /* of their field values */
    uint64_t ahead;         /* samples that ahead_task has not consumed */
    struct span ahead_task; /* ptr NULL without one */
    size_t n_retire;
    const struct span *retire; /* tasks: a sample that all of them have consumed is cleared */
    size_t n_indexes;
    const struct span *indexes; /* tags with an index; see tagindex.h */
};

struct match_sets;
struct store_building;
struct tag_index;

struct partition {
    struct span name; /* owned */
    uint32_t slot;    /* in the store's table; the store sets it */
    bool has_expected, sealed;
    uint8_t n_indexes; /* TAGINDEX_MAX at the most */
    int64_t task_bytes; /* its part of store_task_bytes: what a drop gives back */
    uint64_t serial;  /* differs from that of any other partition of the store, before or after */
    struct partition *dropped; /* the next one that the store has dropped and not yet freed */
    struct column_home home;

    struct blockindex rows; /* struct row_block */
    struct keyindex index; /* key → low 32 bits of seq */
    struct column keys;
    struct column_set fields, tags;
    const struct groups *groups; /* never NULL; changed through groups_own */
    struct task **tasks;
    uint32_t n_tasks, tasks_capacity;
    const struct ended *ended; /* replies to TQ.ACK and TQ.NACK; never NULL; see ended_own */
    struct onces *onces; /* batches of ONCE; never NULL */

    uint64_t samples; /* alive */
    uint64_t written; /* samples ever made, cleared ones included */
    uint64_t next_seq;
    uint64_t expected;    /* if has_expected is set */
    const struct bounds *bounds; /* names owned; never NULL; see partition_bound */
    uint64_t stranded; /* under MAXAHEAD: samples of broken groups that its task has not consumed */
    struct match_sets *matches; /* see matches.h; NULL while none was needed */
    struct match_cache *match_cache; /* the store's; NULL: it is in no store, and has no sets */
    struct tag_index **indexes; /* of bounds.indexes; then those to be freed, and NULL */
    struct store_building *building; /* the store's; NULL: all indexes are complete */
};

/* An empty one, in no store. */
struct partition *partition_new(struct span name, struct arena *arena);
void partition_free(struct partition *p);

/* The partition is not read any more: gives back its payload. Time: per chunk and column. */
void partition_release(struct partition *p);

/* After partition_release, what grows with the samples, in slices: frees at most *steps blocks and
 * takes them off *steps. True when none is left; partition_free frees the rest. */
bool partition_shrink(struct partition *p, size_t *steps);

/* ---- looking ---- */

/* The sample of a key, SEQ_NONE where there is none. */
uint64_t partition_find(const struct partition *p, struct span key);
uint64_t partition_find_hashed(const struct partition *p, struct span key, uint64_t hash);
bool partition_alive(const struct partition *p, uint64_t seq);
bool partition_any_alive(const struct partition *p, const uint64_t *seqs, size_t n);
struct span partition_key(const struct partition *p, uint64_t seq);
/* Has no cell, and was not declared by TQ.CREATE: its place is free where there is no other. */
bool column_is_spare(const struct column *c);

struct column *column_set_find(const struct column_set *set, struct span name);
struct task *partition_task(const struct partition *p, struct span name);
uint32_t partition_group(const struct partition *p, uint64_t seq); /* GROUP_NONE */

/* When a sample alive was made, in seconds since 1970. */
uint32_t partition_written(const struct partition *p, uint64_t seq);

/* The first sample alive at `seq` or behind it, SEQ_NONE at the end. */
uint64_t partition_next(const struct partition *p, uint64_t seq);

/* Has everything been written that ever will be? */
static inline bool partition_is_ended(const struct partition *p) {
    return p->sealed || (p->has_expected && p->written >= p->expected);
}

/* Seqs are given out in order. The index keeps their low 32 bits, of which one value means "none". */
static inline uint64_t partition_seq_after(uint64_t seq) {
    seq++;
    return (uint32_t)seq == KEYINDEX_NONE ? seq + 1 : seq;
}

/* The next seq once n < 2^32 - 1 more were given out, `seq` being the first. */
static inline uint64_t partition_seq_behind(uint64_t seq, uint64_t n) {
    uint64_t none = seq | KEYINDEX_NONE; /* the first seq that is passed over */
    return n && seq + n >= none ? seq + n + 1 : seq + n;
}

/* Can a partition have samples from this block of rows on, and `next_seq`? Seqs alive have to
 * differ in their low 32 bits. A write that breaks this is refused, and so is a snapshot. */
static inline bool partition_can_span(uint64_t first_block, uint64_t next_seq) {
    return next_seq <= PARTITION_SEQ_MAX &&
           next_seq - first_block * BLOCK_ROWS < PARTITION_SAMPLES_MAX;
}

/* Bytes of field values. */
uint64_t partition_bytes(const struct partition *p);

/* Bytes of values of any kind in its chunks: fields, tags, keys. */
uint64_t partition_live(const struct partition *p);

/* Everything else it takes, estimated from what its parts count. */
uint64_t partition_overhead(const struct partition *p);

/* ---- changing: for store_apply alone ---- */

/* New rows with the next n seqs. */
void partition_add(struct partition *p, const uint64_t *seqs, const struct span *keys, size_t n,
                   uint32_t now_s);
void partition_join(struct partition *p, uint64_t seq, struct span group, uint32_t size);
struct column *partition_add_column(struct partition *p, struct column_set *set, struct span name,
                                    const struct dtype *type);
struct task *partition_add_task(struct partition *p, struct span name);
void partition_drop_task(struct partition *p, struct task *task);
/* The names are copied. */
void partition_bound(struct partition *p, const struct bounds *bounds);

/* Mark as consumed by the task; true when it was not. */
bool partition_consume(struct partition *p, struct task *task, uint64_t seq);

/* task_forget. */
bool partition_forget(struct partition *p, struct task *task, uint64_t seq);

/* Counts p->stranded anew. Time: the groups. */
void partition_count_stranded(struct partition *p);

/* ---- loading: what a snapshot says, in the order of seqs; checked before ---- */

/* Rows of a range that were not there, with when they were made, one after the other. next_seq and written are the caller's. */
void partition_load_rows(struct partition *p, const struct range *range, const uint32_t *written);

/* What will be in the index for the keys of such rows: n slots, in the order of the rows. */
void partition_load_keys(const struct range *range, const struct column_values *keys, size_t n,
                         struct keyindex_slot *out);

/* Such keys, many at once, enter the index; column_load has put them where they belong. `spare` has room for n. Returns a sample whose
 * key another one has, SEQ_NONE where all are in. */
uint64_t partition_load_index(struct partition *p, const struct keyindex_slot *slots, size_t n,
                              struct keyindex_slot *spare);

/* The sample is a member of the group with this number; members come in order. */
void partition_load_member(struct partition *p, uint64_t seq, uint32_t group);

/* ---- clearing ---- */

/* Brings into the cache what partition_clear of these samples reads of the index: at most
 * PARTITION_TOGETHER of them, which are alive or not. */
enum { PARTITION_TOGETHER = 32 };
void partition_prefetch(const struct partition *p, const uint64_t *seqs, size_t n);

/* The sample with all its cells, tags and consumption. */
void partition_clear(struct partition *p, uint64_t seq);

#endif
