/* What load.c, load_ranks.c and load_rows.c share: the load, and the section that is under way. */
#ifndef TQ_STORE_LOAD_STATE_H
#define TQ_STORE_LOAD_STATE_H

#include "base/pack.h"
#include "base/scratch.h"
#include "store/arena.h"
#include "store/load.h"
#include "store/range.h"

/* What a PARTITION says of what follows. */
struct load_task {
    uint64_t consumed, leases, ranks, done;
};

struct load_counts {
    uint64_t samples, groups;
    uint64_t *fields, *tags; /* produced */
    struct load_task *tasks;
    bool has_remembered; /* `ended`, `onces` and `done` of the tasks; not in version 1 */
    uint64_t ended, onces;
};

struct load {
    struct arena *arena;
    struct partition **all; /* the last one is under way */
    size_t n, capacity;
    struct keyindex names; /* → index in all */
    bool has_store;        /* the STORE section came */
    uint64_t room;         /* names that indexes may still be made room for */
    uint64_t last_lease;
    int64_t now_ms;

    struct partition *p; /* the one under way, NULL before the first */
    struct load_counts counts;
    struct scratch counts_scratch;
    uint64_t rows_end, groups_end; /* rows, groups of rows are loaded up to here */
    size_t pages, pages_made;      /* of the index of keys: reserved, made */
    struct keyindex_slot *slots;   /* of keys that are not in the index yet */
    struct keyindex_slot *sorted;  /* room to sort them, kept: fresh memory costs page faults */
    size_t n_slots, slots_capacity, sorted_capacity;

    /* The section under way. */
    struct chunk *chunk; /* the caller's; NULL: no payload */
    struct span payload;
    struct scratch scratch;
    struct range alive, rows; /* rows: those that it is about */
    size_t first, end;        /* in `rows` */
    size_t n_rows;            /* how many are meant */
    struct column *column;
    bool column_is_tag;
    struct column_values values;
    size_t n_groups;
    uint8_t *broken;
    uint32_t *members; /* of each row: 0, or the place of its group + 1 */
};

/* ERROR_ERR: "partition 'x': " and the sentence. */
int load_bad(const struct load *l, struct error *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Make so many pages of the index of keys, or all that are left. */
void load_make_pages(struct load *l, size_t n);

/* ---- load.c: parts of heads ---- */

/* Reads which task a section is about. Fails before all rows are loaded: a seq without a row has
 * been cleared. */
int load_find_task(struct load *l, struct unpack *u, struct task **out, struct error *e);

/* The seqs are valid until the section ends. */
int load_seqs(struct load *l, struct unpack *u, uint64_t **out, size_t *n, struct error *e);

/* ---- load_ranks.c: sections about ranks ---- */

int load_done(struct load *l, struct unpack *u, struct error *e);
int load_ranks(struct load *l, struct unpack *u, struct error *e);

/* ---- load_rows.c: sections about rows ---- */

int load_rows(struct load *l, struct unpack *u, struct error *e);
/* Keys that were put by enter the partition's index. */
int load_index(struct load *l, struct error *e);
int load_groups(struct load *l, struct unpack *u, struct error *e);
int load_column(struct load *l, struct unpack *u, struct error *e);
int load_consumed(struct load *l, struct unpack *u, struct error *e);

#endif
