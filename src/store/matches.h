/* Match sets: which samples a WHERE admits, remembered as bits.
 *
 * A consumer that streams with WHERE version >= 7, or a call that is tried again and again until
 * its samples come, would ask each ready sample for its tags at every try. The answers change only
 * with the tags. So the answers to a WHERE are kept, a bit a sample, in blocks of BLOCK_ROWS that
 * are filled when they are first asked for; 64 samples are then decided by one AND.
 *
 * Where an index (tagindex.h) has a range for the WHERE, a set asks the samples of the range alone,
 * as soon as that costs no more than what it has asked already, or than goes on at once: then all
 * blocks are known, and those without a match are not there.
 *
 * Overwriting tags costs one entry in a journal of the partition, however many sets there are; a
 * set catches up with the journal when it is used next, so a use costs what has changed since. A
 * set that fell too far behind forgets its blocks. A set takes 130 bytes for 1,024 samples, and the
 * text of its WHERE; the journal grows with what is written to 32 KiB. The sets used last are kept:
 * MATCHES_SETS of a partition, and as many more, up to MATCHES_SETS_MAX, as fit into MATCHES_BYTES;
 * of all partitions of a store no more than the limit of its cache. Sets that are held stay; they
 * are counted.
 *
 * To fill a set costs some 30 ns a sample, which is too much at once for a large partition. A scan
 * can be given a limit of evaluations; where it reaches it, its caller holds the set, fills it in
 * slices (matches_fill), between which other work goes on, and scans again. A set that is held is
 * neither replaced nor does it fall behind: it is brought up to date before the journal is full. So
 * a scan ends, however many others there are and whatever is written meanwhile. */
#ifndef TQ_STORE_MATCHES_H
#define TQ_STORE_MATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/scratch.h"
#include "store/blockindex.h"
#include "store/where.h"

enum {
    MATCHES_SETS = 16,         /* of a partition, kept whatever their size */
    MATCHES_SETS_MAX = 1024,   /* kept as long as they have no more than MATCHES_BYTES */
    MATCHES_BYTES = 8 << 20,   /* of a partition: sets, their texts, table and journal */
    MATCHES_JOURNAL = 4096,    /* entries at the most: what a set may be behind */
    MATCHES_AT_ONCE = 65536,   /* evaluations, for the range of an index */
    MATCHES_FROM_SAMPLES = 256 /* in a smaller partition asking each sample is as good */
};

struct match_set;
TAILQ_HEAD(match_idle, match_set);

/* Of a store: what bounds the sets of all partitions together. */
struct match_cache {
    size_t bytes;             /* of all sets, texts, tables and journals */
    size_t most;              /* beyond it sets without a holder are freed; SIZE_MAX: no limit */
    struct match_idle idle;   /* sets without a holder, the least recently used first */
    struct match_set *in_use; /* the set that was used last: it is not freed; or NULL */
};

void match_cache_init(struct match_cache *cache);

/* Frees the least recently used set that has no holder and is not in use. Returns how many bytes
 * were freed, 0: there was none. */
size_t match_cache_drop(struct match_cache *cache);

/* Of a partition, which stays where it is: a cache, made by its first use, that changes while the
 * partition stays as it is. Functions take NULL for one that was not made. */
struct match_sets;

/* The set of this WHERE, up to date with all tags written so far; NULL where the partition is small
 * or the WHERE is empty. `bound` is the WHERE bound to the partition's tags. Valid until the next
 * change. */
struct match_set *matches_use(const struct partition *p, const struct where_bound *bound,
                              struct scratch *scratch);

/* No sample of this block is admitted, which costs nothing to see. */
bool matches_has_none(const struct match_set *set, uint64_t number);

/* Clears the bits of samples that are not admitted. `number` is the block of the words; `bound` as
 * above. What it evaluates is taken from *evaluations; false where that is 0 and an evaluation is
 * needed: then the words are as they were. */
bool matches_and(struct match_set *set, const struct partition *p, const struct where_bound *bound,
                 uint64_t number, uint64_t words[BLOCK_WORDS], uint64_t *evaluations);

/* ---- filling in slices ---- */

/* The set of a WHERE, for one holder more; NULL where matches_use says so. */
struct match_set *matches_hold(const struct partition *p, const struct where *where,
                               struct scratch *scratch);

/* The holder lets go; also of a set whose partition is gone meanwhile. */
void matches_release(struct match_set *set);

/* Evaluate about so many samples more, one block of them at least. True when all blocks that there
 * are were evaluated, or when the partition is gone. The last block may get more samples
 * afterwards; a scan evaluates these. */
bool matches_fill(struct match_set *set, uint64_t evaluations);

/* ---- changing: for store_apply alone ---- */

/* Tags of these samples, which were there before, have changed. New samples need no call. */
void matches_touch(struct partition *p, const uint64_t *seqs, size_t n);

/* Tags of any sample may have changed. */
void matches_touch_all(struct partition *p);

/* The partition goes: sets that are held are their holders' alone, who see nothing of it any more.
 * The others have to be freed. */
void matches_leave(struct match_sets *sets);

/* Frees blocks, at most *steps, and takes them off *steps. True when none is left. After
 * matches_leave. */
bool matches_shrink(struct match_sets *sets, size_t *steps);

void matches_free(struct match_sets *sets);

/* Bytes that they take. */
size_t matches_overhead(const struct match_sets *sets);

#endif
