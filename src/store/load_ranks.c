/* See load_state.h: the batches of a task's ranks, and which of them the ranks are done with. */
#include "store/load_state.h"
#include "store/section.h"

#define U(number) ((unsigned long long)(number))

int load_done(struct load *l, struct unpack *u, struct error *e) {
    struct task *task;
    int failed = load_find_task(l, u, &task, e);
    while (!failed && unpack_left(u)) {
        uint64_t rank = unpack_varint(u), batch = unpack_varint(u);
        if (u->bad) return load_bad(l, e, "a section's head is too short");
        if (ranks_is_done(&task->ranks, rank, 0) || task->ranks.n)
            return load_bad(l, e, "task %s: rank %llu is done twice, or after its batches",
                            QUOTE(task->name), U(rank));
        ranks_finish(&task->ranks, rank, batch);
    }
    return failed;
}

/* Batches of one block that have the same fingerprint: they are loaded together, so that memory
 * has the fingerprint once. */
struct load_block {
    uint64_t batch;
    struct span fingerprint;
    struct rank_load loads[RANK_BLOCK]; /* ranks ascending */
    size_t n;
};

static void load_end_block(struct task *task, struct load_block *block) {
    if (block->n)
        ranks_load(&task->ranks, block->batch, block->fingerprint, block->loads, block->n);
    block->n = 0;
}

static bool load_block_takes(const struct load_block *block, uint64_t rank, uint64_t batch) {
    const struct rank_load *last = block->n ? &block->loads[block->n - 1] : NULL;
    return last && block->batch == batch && last->rank < rank &&
           last->rank / RANK_BLOCK == rank / RANK_BLOCK;
}

/* A fingerprint is shared within a block only: were it shared among all blocks, a short section
 * could ask for much memory. */
static int load_batch(struct load *l, struct task *task, struct load_block *block, struct unpack *u,
                      struct error *e) {
    struct rank_load load = {.rank = unpack_varint(u)};
    uint64_t batch = unpack_varint(u), *seqs;
    unsigned flags = unpack_u8(u);
    bool shared = flags & SECTION_RANK_SHARED, fits = load_block_takes(block, load.rank, batch);
    struct span fingerprint = shared ? block->fingerprint : unpack_span(u);
    int failed = load_seqs(l, u, &seqs, &load.n, e);
    if (failed) return failed;
    if (!fits || !span_equal(fingerprint, block->fingerprint)) load_end_block(task, block);
    if (flags > (SECTION_RANK_DELIVERED | SECTION_RANK_SHARED) || (shared && !fits) ||
        ranks_find(&task->ranks, load.rank, batch))
        return load_bad(l, e, "task %s: batch %llu of rank %llu comes twice or makes no sense",
                        QUOTE(task->name), U(batch), U(load.rank));
    load.seqs = seqs;
    load.delivered = flags & SECTION_RANK_DELIVERED;
    block->batch = batch;
    block->fingerprint = fingerprint;
    block->loads[block->n++] = load;
    if (ranks_is_done(&task->ranks, load.rank, batch)) return 0;
    for (size_t i = 0; i < load.n; i++)
        if (partition_alive(l->p, seqs[i])) task_hold(task, seqs[i]);
    return 0;
}

int load_ranks(struct load *l, struct unpack *u, struct error *e) {
    struct task *task;
    struct load_block block = {.n = 0};
    int failed = load_find_task(l, u, &task, e);
    while (!failed && unpack_left(u)) failed = load_batch(l, task, &block, u, e);
    if (!failed) load_end_block(task, &block);
    return failed;
}
