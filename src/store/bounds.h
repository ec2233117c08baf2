/* Planning what is said about a partition as a whole: what may be in it, how many samples it will have, that no more
 * will come; and what its bounds do: who has to wait, what is retired. */
#ifndef TQ_STORE_BOUNDS_H
#define TQ_STORE_BOUNDS_H

#include "base/scratch.h"
#include "store/store.h"

/* As asked for by TQ.CREATE, TQ.ALTER; everything borrowed. */
struct define {
    struct span partition;
    bool alter;    /* the partition must exist */
    bool or_alter; /* the partition may exist; without either it must not */
    bool sets_samples, sets_bytes, sets_ahead, sets_retire, sets_indexes;
    struct bounds bounds; /* what is not set stays as it is */
    size_t n_fields;
    const struct op_column *fields; /* name and type */
};

/* ERROR_ERR where CREATE finds it or a name is wrong, ERROR_NOPART where ALTER does not, ERROR_SCHEMA where a field has another type. */
int define_plan(const struct store *s, const struct define *define, int64_t now_ms,
                struct scratch *scratch, struct op *op, struct error *e);

/* Can a bound hold this write back at all? Bounds are about new samples: what is written to those
 * that are there always passes. */
bool bounds_hold_back(const struct partition *p, const struct op_put *put);

/* May this write come: its new samples, and their values beside what is there? `p` NULL: there is
 * no partition yet. Under MAXAHEAD members of a group that has begun pass. ERROR_FULL, which is
 * retryable unless it could never fit. */
int bounds_check_put(const struct partition *p, const struct op_put *put, struct error *e);

/* Can the task ever find so many ready? ERROR_FULL where MAXAHEAD holds its producers before. */
int bounds_check_sample(const struct partition *p, struct span task, uint64_t at_least,
                        struct error *e);

/* Do samples wait for this task, under RETIRE or MAXAHEAD? */
bool bounds_name_task(const struct partition *p, struct span task);

/* An OP_CLEAR of those of the samples (seqs NULL: of all) that every task of RETIRE has consumed, groups as a whole; false when
 * there are none. */
bool retire_plan(const struct store *s, struct span partition, const uint64_t *seqs, size_t n,
                 int64_t now_ms, struct scratch *scratch, struct op *op);

/* Upper bound of the samples that retire_plan can clear once these samples (seqs NULL: all) are
 * consumed: the members of every group that one of them belongs to, and the samples without a
 * group. For the reservation in the log. */
uint64_t retire_bound(const struct partition *p, const uint64_t *seqs, size_t n,
                      struct scratch *scratch);

/* Before an OP_CLEAR is applied: the members of groups that it takes somebody from, `n` seqs in scratch. A broken group waits for
 * no one, so that the others may be due to retire afterwards. */
const uint64_t *retire_left_alone(const struct partition *p, const struct op *clear,
                                  struct scratch *scratch, size_t *n);

/* ERROR_FULL where more than `samples` were written already. */
int expect_plan(const struct store *s, struct span partition, uint64_t samples, int64_t now_ms,
                struct op *op, struct error *e);

int seal_plan(struct span partition, int64_t now_ms, struct op *op, struct error *e);

#endif
