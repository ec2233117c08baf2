/* What every write has to pass before it becomes an op: shared by TQ.PUT (put.c) and TQ.MPUT (mput.c). */
#ifndef TQ_STORE_PLAN_H
#define TQ_STORE_PLAN_H

#include "base/scratch.h"
#include "store/store.h"

/* What a plan looks at first. A write that just came is refused for what is wrong with its values
 * before it is refused for want of room. One that waits for room had its values checked, and they
 * may be many: they are looked at again only when there is room. */
enum write_order { WRITE_VALUES_FIRST, WRITE_BOUNDS_FIRST };

/* No key may come twice. `hashes` are hash_bytes of the keys. ERROR_ERR. */
int plan_keys_differ(const struct span *keys, const uint64_t *hashes, size_t n,
                     struct scratch *scratch, struct error *e);

/* A group's name, its size against the limits and the partition's other groups. ERROR_ERR. */
int plan_group(const struct partition *p, struct span partition, struct span group, uint64_t size,
               struct error *e);

/* May the sample (seq SEQ_NONE: a new one) join? *joins: it is not a member yet. ERROR_ERR. */
int plan_join(const struct partition *p, struct span key, uint64_t seq, struct span group,
              bool *joins, struct error *e);

/* Is there room in the group for `n` who join, of whom `key` is one? ERROR_ERR. */
int plan_group_room(const struct partition *p, struct span group, uint64_t size, uint64_t n,
                    struct span key, struct error *e);

/* Can the group be complete one day, if `key` joins it now? Not asked about ops of a log, which may
 * have been written before this was asked. ERROR_ERR. */
int plan_group_completes(const struct partition *p, struct span group, uint64_t size,
                         struct span key, struct error *e);

/* The same as plan_group_room for all who join, which sorts them: has each group room for all of
 * its own? */
struct plan_member {
    struct span group, key;
};
int plan_groups_room(const struct partition *p, struct plan_member *joining, size_t n,
                     uint64_t size, struct error *e);

/* The type of a field (NULL: a new one, of type `given`) once it has met an item, or items, of this type. ERROR_SCHEMA, naming
 * the sample. */
int plan_merge(const struct column *field, struct span name, const struct dtype *given,
               const struct dtype *item, struct span key, struct dtype *out, struct error *e);

/* A value that does not fit: `field 'x' is T, got … for sample 'k'`. Returns ERROR_SCHEMA. */
int plan_misfit(struct span name, const struct dtype *field, const char *got, struct span key,
                struct error *e);

/* Names of columns: none twice, not more than `max` in the partition. ERROR_ERR, ERROR_FULL. `what` is "field" or "tag". */
int plan_columns(const struct column_set *present, const char *what, size_t max,
                 const struct op_column *columns, size_t n, struct span partition, struct error *e);

/* Reserve memory for all that the op will copy: into each column less than 4 GiB. ERROR_OOM. */
int plan_reserve(const struct store *s, const struct partition *p, const struct op_put *put,
                 struct error *e);

#endif
