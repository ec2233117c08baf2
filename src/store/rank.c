/* See rank.h. */
#include "store/rank.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/scratch.h"
#include "store/op.h"
#include "store/partition.h"

static struct span rank_id(const uint64_t id[2]) {
    return span_of((const char *)id, 2 * sizeof(*id));
}

static bool rank_is(const void *context, uint32_t at, struct span id) {
    return span_equal(rank_id(((const struct ranks *)context)->table[at]->id), id);
}

struct rank_batch *ranks_find(const struct ranks *ranks, uint64_t rank, uint64_t batch) {
    uint64_t id[2] = {rank, batch};
    uint32_t at =
        keyindex_find(&ranks->index, hash_bytes(rank_id(id)), rank_id(id), rank_is, ranks);
    return at == KEYINDEX_NONE ? NULL : ranks->table[at];
}

bool rank_batch_lives(const struct rank_batch *batch, const struct partition *p) {
    return partition_any_alive(p, batch->seqs, batch->n);
}

static size_t rank_batch_bytes(const struct rank_batch *batch) {
    return sizeof(*batch) + batch->n * sizeof(*batch->seqs) + batch->how.len;
}

/* The last one takes its place. */
static void ranks_remove(struct ranks *ranks, size_t at) {
    struct rank_batch *batch = ranks->table[at], *last = ranks->table[--ranks->n];
    keyindex_remove(&ranks->index, hash_bytes(rank_id(batch->id)), (uint32_t)at);
    if (last != batch) {
        uint64_t hash = hash_bytes(rank_id(last->id));
        keyindex_remove(&ranks->index, hash, (uint32_t)ranks->n);
        ranks->table[at] = last;
        keyindex_add(&ranks->index, hash, (uint32_t)at);
    }
    ranks->bytes -= rank_batch_bytes(batch);
    mem_free(batch);
}

/* ---- batches that are done ------------------------------------------------------------------ */

static struct span rank_done_id(const uint64_t *rank) {
    return span_of((const char *)rank, sizeof(*rank));
}

static bool rank_done_is(const void *context, uint32_t at, struct span id) {
    return span_equal(rank_done_id(&((const struct ranks *)context)->done[at].rank), id);
}

static struct rank_done *ranks_find_done(const struct ranks *ranks, uint64_t rank) {
    struct span id = rank_done_id(&rank);
    uint32_t at = keyindex_find(&ranks->done_index, hash_bytes(id), id, rank_done_is, ranks);
    return at == KEYINDEX_NONE ? NULL : &ranks->done[at];
}

bool ranks_is_done(const struct ranks *ranks, uint64_t rank, uint64_t batch) {
    const struct rank_done *done = ranks_find_done(ranks, rank);
    return done && batch <= done->batch;
}

void ranks_finish(struct ranks *ranks, uint64_t rank, uint64_t batch) {
    struct rank_done *done = ranks_find_done(ranks, rank);
    if (!done) {
        size_t before = ranks->done_capacity;
        ranks->done =
            mem_grow(ranks->done, &ranks->done_capacity, ranks->n_done + 1, sizeof(*ranks->done));
        ranks->bytes += (ranks->done_capacity - before) * sizeof(*ranks->done);
        done = &ranks->done[ranks->n_done];
        *done = (struct rank_done){rank, batch};
        keyindex_add(&ranks->done_index, hash_bytes(rank_done_id(&rank)),
                     (uint32_t)ranks->n_done++);
    } else if (batch > done->batch) {
        done->batch = batch;
    }
}

/* Samples of the rank's batches in [first, last]; `seqs` is NULL where they are only counted. */
static size_t ranks_collect(const struct ranks *ranks, uint64_t rank, uint64_t first, uint64_t last,
                            uint64_t *seqs) {
    size_t n = 0;
    bool by_number = last - first < ranks->n;
    uint64_t steps = by_number ? last - first + 1 : ranks->n;
    for (uint64_t i = 0; i < steps; i++) {
        const struct rank_batch *batch =
            by_number ? ranks_find(ranks, rank, first + i) : ranks->table[i];
        if (!batch || batch->id[0] != rank || batch->id[1] < first || batch->id[1] > last) continue;
        if (seqs) memcpy(seqs + n, batch->seqs, batch->n * sizeof(*seqs));
        n += batch->n;
    }
    return n;
}

size_t ranks_list_unfinished(const struct ranks *ranks, uint64_t rank, uint64_t batch,
                             struct scratch *scratch, uint64_t **seqs) {
    const struct rank_done *done = ranks_find_done(ranks, rank);
    *seqs = NULL;
    if (done && batch <= done->batch) return 0;
    uint64_t first = done ? done->batch + 1 : 0;
    size_t n = ranks_collect(ranks, rank, first, batch, NULL);
    *seqs = scratch_alloc(scratch, n, sizeof(**seqs));
    return ranks_collect(ranks, rank, first, batch, *seqs);
}

/* ---- changing -------------------------------------------------------------------------------- */

static bool ranks_is_due(const struct ranks *ranks, const struct rank_batch *batch,
                         const struct partition *p) {
    return !rank_batch_lives(batch, p) && ranks_is_done(ranks, batch->id[0], batch->id[1]);
}

/* Sweeps four batches for each that is added: what is remembered stays in proportion to what lives
 * or is not done. */
static void ranks_sweep(struct ranks *ranks, const struct partition *p) {
    for (int i = 0; i < 4 && ranks->n; i++) {
        if (ranks->swept >= ranks->n) ranks->swept = 0;
        if (!ranks_is_due(ranks, ranks->table[ranks->swept], p))
            ranks->swept++;
        else
            ranks_remove(ranks, ranks->swept);
    }
}

void ranks_load(struct ranks *ranks, const struct rank_batch *what) {
    size_t seqs_size = what->n * sizeof(*what->seqs);
    struct rank_batch *batch = mem_alloc(sizeof(*batch) + seqs_size + what->how.len);
    char *how = (char *)(batch + 1) + seqs_size;
    *batch = *what;
    batch->seqs = (uint64_t *)(batch + 1);
    batch->how = span_of(how, what->how.len);
    if (seqs_size) memcpy(batch->seqs, what->seqs, seqs_size);
    if (what->how.len) memcpy(how, what->how.ptr, what->how.len);
    ranks->table = mem_grow(ranks->table, &ranks->capacity, ranks->n + 1, sizeof(*ranks->table));
    ranks->table[ranks->n] = batch;
    keyindex_add(&ranks->index, hash_bytes(rank_id(batch->id)), (uint32_t)ranks->n++);
    ranks->bytes += rank_batch_bytes(batch);
}

static void ranks_add(struct ranks *ranks, const struct partition *p, uint64_t rank,
                      const struct op_select *select, size_t from, size_t to) {
    ranks_sweep(ranks, p);
    uint64_t id[2] = {rank, select->rank.batch};
    uint32_t old =
        keyindex_find(&ranks->index, hash_bytes(rank_id(id)), rank_id(id), rank_is, ranks);
    if (old != KEYINDEX_NONE) ranks_remove(ranks, old);
    ranks_load(ranks, &(struct rank_batch){.id = {id[0], id[1]},
                                           .how = select->rank.how,
                                           .seqs = (uint64_t *)select->seqs + from,
                                           .n = to - from,
                                           .handed = rank == select->rank.rank});
}

void ranks_remember(struct ranks *ranks, const struct partition *p,
                    const struct op_select *select) {
    if (!select->rank.shares) {
        ranks_add(ranks, p, select->rank.rank, select, 0, select->n);
        return;
    }
    for (size_t r = 0; r < select->rank.n_shares; r++)
        ranks_add(ranks, p, r, select, select->rank.shares[r], select->rank.shares[r + 1]);
}

void ranks_hand(struct ranks *ranks, uint64_t rank, uint64_t batch) {
    struct rank_batch *found = ranks_find(ranks, rank, batch);
    found->handed = true;
}

void ranks_forget(struct ranks *ranks, const struct partition *p, const uint64_t *sorted,
                  size_t n) {
    for (size_t b = ranks->n; n && b-- > 0;) {
        struct rank_batch *batch = ranks->table[b];
        size_t before = batch->n, kept = seqs_without(batch->seqs, before, sorted, n);
        if (kept == before) continue;
        batch->n = kept;
        ranks->bytes -= (before - kept) * sizeof(*sorted);
        if (!rank_batch_lives(batch, p)) ranks_remove(ranks, b);
    }
}

void ranks_free(struct ranks *ranks) {
    for (size_t i = 0; i < ranks->n; i++) mem_free(ranks->table[i]);
    mem_free(ranks->table);
    keyindex_free(&ranks->index);
    mem_free(ranks->done);
    keyindex_free(&ranks->done_index);
}
