/* See bounds.h. */
#include "store/bounds.h"

#include "store/names.h"

int expect_plan(const struct store *s, struct span partition, uint64_t samples, int64_t now_ms,
                struct op *op, struct error *e) {
    int failed = names_check_partition(partition, e);
    if (failed) return failed;
    const struct partition *p = store_find(s, partition);
    if (p && p->written > samples)
        return error_set(e, ERROR_FULL, "partition %s has had %llu samples, can't expect %llu",
                         QUOTE(partition), (unsigned long long)p->written,
                         (unsigned long long)samples);
    *op = (struct op){
        .kind = OP_EXPECT, .partition = partition, .now_ms = now_ms, .expected = samples};
    return 0;
}

int seal_plan(struct span partition, int64_t now_ms, struct op *op, struct error *e) {
    int failed = names_check_partition(partition, e);
    if (failed) return failed;
    *op = (struct op){.kind = OP_SEAL, .partition = partition, .now_ms = now_ms};
    return 0;
}
