/* GROUP: whole groups, oldest first.
 *
 * Bare GROUP hands out declared groups that are complete and whose members are all ready; a group stands where its
 * oldest member stands. GROUP n needs no declaration: n ready samples with consecutive seqs are a group, found greedily
 * from the oldest on. */
#include "store/samplers.h"

static int group_check(const struct sampler_args *args, const struct partition *p, uint64_t count,
                       struct error *e) {
    uint64_t size = args->number ? args->number : p ? p->groups->size : 0;
    if (size == 0 || count % size == 0) return 0;
    return error_set(e, ERROR_ERR, "COUNT %llu is not a multiple of the group size %llu",
                     (unsigned long long)count, (unsigned long long)size);
}

static void group_pick_runs(uint64_t size, struct ready *ready, struct picks *picks) {
    size_t run = 0; /* members of the run found so far, written behind picks->n */
    while (picks->n + size <= picks->room) {
        uint64_t seq = ready_next(ready);
        if (seq == SEQ_NONE) return;
        uint64_t *members = picks->seqs + picks->n;
        if (run > 0 && members[run - 1] + 1 != seq) run = 0;
        members[run++] = seq;
        if (run < size) continue;
        picks->n += size;
        run = 0;
    }
}

static bool group_is_ready(const struct group *group, const struct ready *ready) {
    if (!group_is_complete(group)) return false;
    for (uint32_t i = 0; i < group->members; i++)
        if (!ready_has(ready, group->seqs[i])) return false;
    return true;
}

static void group_pick_declared(struct ready *ready, struct picks *picks) {
    const struct partition *p = ready->partition;
    while (picks->n + p->groups->size <= picks->room) {
        uint64_t seq = ready_next(ready);
        if (seq == SEQ_NONE) return;
        uint32_t number = partition_group(p, seq);
        if (number == GROUP_NONE) continue;
        const struct group *group = groups_get(p->groups, number);
        if (group->seqs[0] != seq || !group_is_ready(group, ready)) continue;
        memcpy(picks->seqs + picks->n, group->seqs, group->members * sizeof(*group->seqs));
        picks->n += group->members;
    }
}

static void group_pick(const struct sampler_args *args, struct ready *ready, struct picks *picks) {
    if (args->number)
        group_pick_runs(args->number, ready, picks);
    else if (ready->partition->groups->size)
        group_pick_declared(ready, picks);
}

const struct sampler sampler_group = {
    .name = "GROUP",
    .in_units = true,
    .takes = SAMPLER_NUMBER,
    .check = group_check,
    .pick = group_pick,
};
