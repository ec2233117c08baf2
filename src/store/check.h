/* May this op be applied?
 *
 * store_apply trusts: an op comes from a plan, made a moment ago against the same state. One that comes from a file or over a
 * wire is checked first: all that applying relies on, so that bytes nobody planned can do no more harm than to be
 * refused. What fails here was not made by a store in this state: the file is broken, or the two have gone different ways. */
#ifndef TQ_STORE_CHECK_H
#define TQ_STORE_CHECK_H

#include "base/scratch.h"
#include "store/store.h"

/* 0: store_apply may be called now, before anything else changes the store; payload memory is reserved. Else the code and
 * sentence of what is wrong. What a plan made passes. Arrays in `scratch`; time in proportion to the op. */
int op_check(const struct store *s, const struct op *op, struct scratch *scratch, struct error *e);

/* Its time alone, 0 to OP_TIME_MAX: for an OP_ADOPT, whose partitions were checked as they were loaded. */
int op_check_time(const struct op *op, struct error *e);

/* ---- for the files of the check ---- */

/* OP_PUT; `p` NULL: the partition will be made. */
int check_put(const struct store *s, const struct partition *p, const struct op *op,
              struct scratch *scratch, struct error *e);

/* No seq comes twice. */
int check_distinct(struct span partition, const uint64_t *seqs, size_t n, struct scratch *scratch,
                   struct error *e);

#endif
