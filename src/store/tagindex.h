/* The declared indexes of a partition: its samples in the order of a tag (INDEX of TQ.CREATE).
 *
 * Every sample alive has one entry in each index: by its number, or behind all numbers where the
 * tag is no number, or is missing. An index is derived from the tags: it is neither logged nor
 * saved. A write of the tag moves the entry in O(log n).
 *
 * An index that is declared for samples that are there, or comes out of a snapshot, is built in
 * slices (store_build_indexes), oldest sample first. The samples that the building has not come to
 * are a gap of seqs. Samples written after the declaration are behind the gap and enter at once, so
 * the gap only shrinks, and the building ends whatever is written meanwhile. Writes and clears of
 * samples in the gap leave the index alone. Until the gap is closed nothing reads the index:
 * answers are those without it.
 *
 * `tag^p` is an index for PRIORITY with EXPONENT p: the samples' weights tag^p, in sums (sums.h).
 *
 * A walk of an index looks for samples that are ready for a call (ready.h): for its task, its
 * fields and its WHERE, which together are a view. What a walk found to be of no use to a view is
 * skipped by the next one (order.h), so a sample that the task has consumed is met once, not at
 * each call. Whatever makes a sample ready again must touch its entries: a write, a lease that is
 * given back, RESET. An index remembers the ORDER_VIEWS views used last. A view that comes again
 * has another number: a call whose walk was cut compares them to see whether its progress is lost
 * (sample.h). */
#ifndef TQ_STORE_TAGINDEX_H
#define TQ_STORE_TAGINDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/scratch.h"
#include "base/span.h"
#include "store/order.h"

enum { TAGINDEX_MAX = 64 /* of a partition */ };

struct op_put;
struct partition;
struct ready;
struct tag_index;

/* Bounds in the order of keys. Entries with a number come first. From TAGINDEX_TEXT on are those
 * whose tag is no number, from TAGINDEX_MISSING on those without the tag; TAGINDEX_END is behind
 * all. */
#define TAGINDEX_TEXT ((struct order_key){UINT64_MAX - 1, 0})
#define TAGINDEX_MISSING ((struct order_key){UINT64_MAX, 0})
#define TAGINDEX_END ((struct order_key){UINT64_MAX, UINT64_MAX})

/* What a declaration says: `tag`, or `tag^p`. Returns 0, or ERROR_ERR with the culprit. */
struct tagindex_spec {
    struct span tag;
    bool is_sum; /* tag^p */
    double exponent;
};
int tagindex_parse(struct span text, struct tagindex_spec *out, struct error *e);

/* Do both declare the same index? x^1 and x^1.0 do. */
bool tagindex_spec_equal(const struct tagindex_spec *a, const struct tagindex_spec *b);

/* The ordered index of this tag, NULL where none is declared, or it is not complete. */
struct tag_index *tagindex_find(const struct partition *p, struct span tag);

/* The weights of tag^exponent, NULL where none are declared, where they are not complete, or where
 * one is infinite or too large or small to be summed up with others. */
struct sums;
struct sums *tagindex_sums(const struct partition *p, struct span tag, double exponent);

/* The entries whose number equals that of `key`: from *from to before *end. */
void tagindex_equals(struct order_key key, struct order_key *from, struct order_key *end);

uint64_t tagindex_seq(const struct partition *p, struct order_key key);

struct tagindex_progress {
    uint64_t samples; /* that are in it; the partition may have more while it is built */
    size_t bytes;
    bool is_complete; /* it is in use */
};
void tagindex_progress(const struct tag_index *index, struct tagindex_progress *out);

/* Bytes of all indexes of the partition. */
size_t tagindexes_overhead(const struct partition *p);

/* ---- WHERE ---- */

struct where;

/* The samples that the conditions of a WHERE on the tag of an index leave over: entries from `from`
 * to before `end`, and where has_text is set those without a number in the tag, which compare as
 * bytes. Each has to be asked for the whole WHERE, unless is_exact is set. */
struct tagindex_range {
    const struct tag_index *index;
    struct order_key from, end;
    bool has_text, is_exact;
    uint64_t n; /* entries */
};

/* The smallest range that a complete index has for the WHERE. False where none is of help: a condition
 * `!=`, or one that orders a value that is no number. Time: O(log n) a condition and index. */
bool tagindex_range(const struct partition *p, const struct where *where,
                    struct tagindex_range *out);

void tagindex_each(const struct tagindex_range *range, order_run *run, void *context);

/* What names the view of a call, with its WHERE and (*wide) without; in scratch. */
struct span tagindex_view_key(const struct ready *ready, struct span *wide,
                              struct scratch *scratch);

/* ---- walks: for samplers. Valid until the next change ---- */

struct tagindex_walk {
    struct order *order;
    const struct ready *ready;
    struct order_walk walk;
};

/* A walk over what is ready; it is cut at the limit of `ready`. */
void tagindex_open(struct tagindex_walk *w, struct tag_index *index, const struct ready *ready,
                   struct scratch *scratch);

/* The first, or last, ready entry from `from` to before `end`. False where there is none, or where
 * the walk was cut (ready_is_cut). */
bool tagindex_first(struct tagindex_walk *w, struct order_key from, struct order_key end,
                    struct order_key *out);
bool tagindex_last(struct tagindex_walk *w, struct order_key from, struct order_key end,
                   struct order_key *out);

/* ---- changing: for store_apply and loading alone ---- */

/* Estimate of the bytes that those of these indexes will take that the partition does not have: an
 * index takes some KiB without any sample. p NULL: a new partition. */
size_t tagindexes_cost(const struct partition *p, const struct span *tags, size_t n);

/* Estimate of the bytes that its indexes will take more until they are complete. */
size_t tagindexes_missing(const struct partition *p);

/* From now on these have indexes (tag, or tag^p), and no others; for new ones, all samples are in
 * the gap. Those that are no longer declared stay for tagindexes_remove(). */
void tagindexes_declare(struct partition *p, const struct span *tags, size_t n);

/* Samples of gaps enter: at most *samples, which is what is left of them. True when all indexes are
 * complete. Time: O(log n) a sample, and a step for each empty block of rows. */
bool tagindexes_build(struct partition *p, size_t *samples);
bool tagindexes_are_complete(const struct partition *p);

/* An OP_PUT is about to change tags, and has changed them. */
void tagindexes_before_put(struct partition *p, const struct op_put *put);
void tagindexes_after_put(struct partition *p, const struct op_put *put);

/* The sample loses its tags, or is cleared: its entries go; and come again, by its tags as they are
 * now. */
void tagindexes_leave(struct partition *p, uint64_t seq);
void tagindexes_enter(struct partition *p, uint64_t seq);

/* The samples may be ready for a task again. */
void tagindexes_touch(struct partition *p, const uint64_t *seqs, size_t n);

/* All samples may be. */
void tagindexes_touch_all(struct partition *p);

/* Frees nodes in slices, as partition_shrink() does. */
bool tagindexes_shrink(struct partition *p, size_t *steps);
void tagindexes_free(struct partition *p);

/* The indexes that are no longer declared go to the list, whose members are then freed in
 * slices. */
void tagindexes_remove(struct partition *p, struct tag_index **list);
bool tagindex_removed_shrink(struct tag_index **list, size_t *steps);

#endif
