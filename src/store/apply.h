/* What each op does to its partition. Called by store_apply and no one else. */
#ifndef TQ_STORE_APPLY_H
#define TQ_STORE_APPLY_H

#include "store/lease.h"
#include "store/op.h"
#include "store/partition.h"

/* Returns what store_apply returns. The partition exists; op->kind is not OP_DROP. `leases` are the store's: the op
 * may give one, or end some. */
size_t apply_to_partition(struct leases *leases, struct partition *p, const struct op *op);

#endif
