/* GROUP: whole groups, oldest first.
 *
 * Bare GROUP hands out declared groups that are complete and whose members are all ready; a group stands where its
 * oldest member stands. GROUP n needs no declaration: n ready samples with consecutive seqs are a group, found greedily
 * from the oldest on. */
#include "store/samplers.h"

#include <stdlib.h>

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

/* ---- what changed samples add ------------------------------------------------------------- */

/* How many ready samples follow each other up to seq - 1, or from seq + 1 up to `end` - 1. A run
 * that goes on after `size` and so many more is treated as a whole unit but for one sample, so that
 * what joins it counts too soon rather than too late. */
enum { RUN_LOOK = 1024 };

static uint64_t group_run_before(uint64_t size, const struct ready *ready, uint64_t seq) {
    uint64_t n = 0, most = size + RUN_LOOK;
    while (n < most && n < seq && ready_has(ready, seq - 1 - n)) n++;
    return n == most ? n - n % size + size - 1 : n;
}

static uint64_t group_run_behind(uint64_t size, const struct ready *ready, uint64_t seq,
                                 uint64_t end) {
    uint64_t n = 0, most = size + RUN_LOOK;
    while (n < most && seq + 1 + n < end && ready_has(ready, seq + 1 + n)) n++;
    return n == most ? n - n % size + size - 1 : n;
}

static const uint64_t *group_sort(const uint64_t *seqs, size_t n, struct scratch *scratch) {
    size_t i = 1;
    while (i < n && seqs[i - 1] < seqs[i]) i++;
    if (i >= n) return seqs;
    uint64_t *sorted = scratch_alloc(scratch, n, sizeof(*sorted));
    memcpy(sorted, seqs, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), seq_compare);
    return sorted;
}

/* As if the samples became ready one after the other, the oldest first: each joins the run before
 * it with the one behind it, up to the next one that changed. */
static uint64_t group_matches_runs(uint64_t size, const struct ready *ready, const uint64_t *seqs,
                                   size_t n) {
    uint64_t matches = 0, run = 0, run_end = 0; /* the run that the last one is in now */
    for (size_t i = 0; i < n; i++) {
        if (!ready_has(ready, seqs[i])) continue;
        uint64_t next = i + 1 < n ? seqs[i + 1] : SEQ_NONE;
        uint64_t before = run && seqs[i] == run_end ? run : group_run_before(size, ready, seqs[i]);
        uint64_t behind = group_run_behind(size, ready, seqs[i], next);
        run = before + 1 + behind;
        run_end = seqs[i] + 1 + behind;
        matches += run / size - before / size - behind / size;
    }
    return matches * size;
}

static int group_compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The groups that are ready now; each counts once, however many of its members changed. */
static uint64_t group_matches_declared(const struct ready *ready, const uint64_t *seqs, size_t n,
                                       struct scratch *scratch) {
    const struct partition *p = ready->partition;
    uint32_t *numbers = scratch_alloc(scratch, n, sizeof(*numbers));
    size_t n_numbers = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t number = partition_group(p, seqs[i]);
        if (number == GROUP_NONE || !group_is_complete(groups_get(p->groups, number))) continue;
        if (n_numbers && numbers[n_numbers - 1] == number) continue;
        numbers[n_numbers++] = number;
    }
    qsort(numbers, n_numbers, sizeof(*numbers), group_compare);
    uint64_t matches = 0;
    for (size_t i = 0; i < n_numbers; i++) {
        if (i > 0 && numbers[i - 1] == numbers[i]) continue;
        const struct group *group = groups_get(p->groups, numbers[i]);
        if (group_is_ready(group, ready)) matches += group->members;
    }
    return matches;
}

static uint64_t group_matches(const struct sampler_args *args, const struct ready *ready,
                              const uint64_t *seqs, size_t n, struct scratch *scratch) {
    if (!args->number) return group_matches_declared(ready, seqs, n, scratch);
    return group_matches_runs(args->number, ready, group_sort(seqs, n, scratch), n);
}

const struct sampler sampler_group = {
    .name = "GROUP",
    .takes = SAMPLER_NUMBER,
    .check = group_check,
    .pick = group_pick,
    .matches = group_matches,
};
