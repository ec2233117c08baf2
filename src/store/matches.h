/* Match sets: which samples a WHERE admits, remembered as bits.
 *
 * A consumer that streams with WHERE version >= 7, or a call that is tried again and again until its samples come, would ask each
 * ready sample for its tags at every try. The answers change only with the tags. So the answers to a WHERE are kept, a bit a
 * sample, in blocks of SPINE_ROWS that are filled when they are first asked for; 64 samples are then decided by one AND.
 *
 * A write of tags costs one entry in a journal of the partition, however many sets there are; a set catches up with the journal when
 * it is used next, so a use costs what has changed since. A set that fell too far behind forgets its blocks. The sets used last are
 * kept, MATCHES_SETS of them; their memory is 130 bytes for 1,024 samples and set, and the journal has 32 KiB. */
#ifndef TQ_STORE_MATCHES_H
#define TQ_STORE_MATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scratch.h"
#include "store/spine.h"
#include "store/where.h"

enum {
    MATCHES_SETS = 16,               /* of a partition */
    MATCHES_JOURNAL = 4096,     /* entries: what a set may be behind */
    MATCHES_FROM_SAMPLES = 256 /* in a smaller partition asking each sample is as good */
};

struct match_set;
struct match_sets; /* of a partition */

/* The set of this WHERE, up to date with all tags written so far; NULL where the partition is small or the WHERE is empty. `bound` is the
 * WHERE bound to the partition's tags. Valid until the next change. */
struct match_set *matches_use(const struct partition *p, const struct where_bound *bound,
                              struct scratch *scratch);

/* Clears the bits of samples that are not admitted. `number` is the block of the words; `bound` as above. */
void matches_and(struct match_set *set, const struct partition *p, const struct where_bound *bound,
                 uint64_t number, uint64_t words[SPINE_WORDS]);

/* ---- changing: for store_apply alone ---- */

/* Tags of these samples, which were there before, have changed. */
void matches_touch(struct partition *p, const uint64_t *seqs, size_t n);

/* Tags of any sample may have changed. */
void matches_touch_all(struct partition *p);

void matches_free(struct match_sets *sets);

/* Bytes that they take. */
size_t matches_overhead(const struct match_sets *sets);

#endif
