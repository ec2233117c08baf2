/* Which samples qualify: alive, produced in all the fields asked for, not yet consumed or leased by
 * the task, admitted by WHERE.
 *
 * Sixty-four samples are decided with a few ANDs; WHERE is asked only of what is left. Scans begin
 * where the task's hint says that something may be left. */
#ifndef TQ_STORE_READY_H
#define TQ_STORE_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scratch.h"
#include "store/matches.h"
#include "store/partition.h"
#include "store/where.h"

/* What is asked: borrowed for as long as the struct ready lives. */
struct ready_query {
    const struct partition *partition;
    struct task *task; /* NULL: consumption does not matter. Its hint may be moved on */
    size_t n_fields;
    const struct span *fields;
    const struct where *where;
    bool lookup;          /* only ready_has is going to be asked: of a few samples, or by a walk */
    uint64_t evaluations; /* of WHERE at the most, where the partition is large; 0: no limit */
    bool whole_blocks;    /* a block that is begun is evaluated to its end, beyond that limit */
    uint64_t first;       /* samples of blocks before this one do not matter */
};

/* Counts evaluations of WHERE, as where_admits does. */
struct ready_limit {
    uint64_t left;
    bool is_cut;
    uint64_t cut_at; /* the first block that was not evaluated */
    uint64_t view;   /* number of the view that a walk of an index made or found; 0: no walk */
    bool rescans;    /* ready_rescan was called */
    bool is_whole;   /* as whole_blocks of the query */
    uint64_t waste;  /* what a walk may cost where it does not get on: see struct order_walk */
};

struct ready {
    const struct partition *partition;
    struct task *task;
    size_t n_fields;
    const struct column **fields;
    bool impossible; /* a field that no sample has */
    bool lookup;     /* as in the query */
    bool backwards;  /* ready_previous has been called */
    struct where_bound where;
    struct ready_limit *limit;   /* in scratch */
    struct match_set *matches;   /* the answers to `where`, or NULL: each sample is asked */
    uint64_t first, end;         /* blocks outside of these have nothing */
    uint64_t number;             /* the block that `words` is about */
    unsigned word;               /* words below it are used up; backwards, from it on */
    uint64_t words
        [BLOCK_WORDS]; /* candidates not yet returned; without `matches`, WHERE not yet asked */
};

/* A scan from the oldest sample; `scratch` keeps what it needs. Valid until the next change. */
void ready_open(struct ready *r, const struct ready_query *query, struct scratch *scratch);

/* A scan of what `r`, a lookup, is about, from the oldest sample, with a match set: for a sampler
 * whose walk of an index can't fill its batch. They share the limit. */
void ready_rescan(struct ready *scan, const struct ready *r, struct scratch *scratch);

/* The scan ended where the limit of evaluations was reached: it did not return all. Then
 * matches_hold() and matches_fill() the set of the WHERE, and scan again. */
static inline bool ready_is_cut(const struct ready *r) {
    return r->limit->is_cut;
}

/* The next one in seq order; SEQ_NONE when there are no more. */
uint64_t ready_next(struct ready *r);

/* The next one going back from the newest. A scan goes one way: forward or backward. */
uint64_t ready_previous(struct ready *r);

/* The candidates of one block, without `matches` WHERE not asked, wherever the scan is; `number`
 * from first to end - 1. False when there are none. */
bool ready_block(const struct ready *r, uint64_t number, uint64_t words[BLOCK_WORDS]);

/* The 64 samples of a word of this block that qualify but for WHERE, which is not asked. */
uint64_t ready_word(const struct ready *r, uint64_t number, unsigned word);

/* Does this sample qualify but for WHERE, which is not asked? */
bool ready_is_left(const struct ready *r, uint64_t seq);

/* Does this sample qualify? Independent of how far the scan is. */
bool ready_has(const struct ready *r, uint64_t seq);

/* No more than so many qualify, from what columns and tasks count anyway: no scan. *exact: just so many do. */
uint64_t ready_bound(const struct ready *r, bool *exact);

/* How many qualify from here on; the scan is used up. */
uint64_t ready_count(struct ready *r);

#endif
