/* See rank.h. */
#include "store/rank.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
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
    for (size_t i = 0; i < batch->n; i++)
        if (partition_alive(p, batch->seqs[i])) return true;
    return false;
}

static size_t rank_batch_bytes(const struct rank_batch *batch) {
    return sizeof(*batch) + batch->n * sizeof(*batch->seqs) + batch->how.len;
}

static void rank_batch_free(struct rank_batch *batch) {
    mem_free((void *)batch->how.ptr);
    mem_free(batch->seqs);
    mem_free(batch);
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
    ranks->unhanded -= !batch->handed;
    ranks->bytes -= rank_batch_bytes(batch);
    rank_batch_free(batch);
}

/* Four looked at for each that comes: one to forget, one that takes its place, two that live. What is remembered stays in
 * proportion to what lives. */
static void ranks_sweep(struct ranks *ranks, const struct partition *p) {
    for (int i = 0; i < 4 && ranks->n; i++) {
        if (ranks->swept >= ranks->n) ranks->swept = 0;
        if (rank_batch_lives(ranks->table[ranks->swept], p))
            ranks->swept++;
        else
            ranks_remove(ranks, ranks->swept);
    }
}

void ranks_load(struct ranks *ranks, const struct rank_batch *what) {
    struct rank_batch *batch = mem_alloc(sizeof(*batch));
    *batch = *what;
    batch->how = span_of(mem_dup(what->how.ptr, what->how.len), what->how.len);
    batch->seqs = mem_dup(what->seqs, what->n * sizeof(*what->seqs));
    ranks->table = mem_grow(ranks->table, &ranks->capacity, ranks->n + 1, sizeof(*ranks->table));
    ranks->table[ranks->n] = batch;
    keyindex_add(&ranks->index, hash_bytes(rank_id(batch->id)), (uint32_t)ranks->n++);
    ranks->unhanded += !batch->handed;
    ranks->bytes += rank_batch_bytes(batch);
}

static void ranks_add(struct ranks *ranks, uint64_t rank, const struct op_select *select,
                      size_t from, size_t to) {
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
    ranks_sweep(ranks, p);
    if (!select->rank.shares) {
        ranks_add(ranks, select->rank.rank, select, 0, select->n);
        return;
    }
    for (size_t r = 0; r < select->rank.n_shares; r++)
        ranks_add(ranks, r, select, select->rank.shares[r], select->rank.shares[r + 1]);
}

void ranks_hand(struct ranks *ranks, uint64_t rank, uint64_t batch) {
    struct rank_batch *found = ranks_find(ranks, rank, batch);
    ranks->unhanded -= !found->handed;
    found->handed = true;
}

void ranks_forget(struct ranks *ranks, uint64_t seq) {
    for (size_t b = ranks->n; b-- > 0;) {
        struct rank_batch *batch = ranks->table[b];
        size_t kept = 0;
        ranks->bytes -= rank_batch_bytes(batch);
        for (size_t i = 0; i < batch->n; i++)
            if (batch->seqs[i] != seq) batch->seqs[kept++] = batch->seqs[i];
        batch->n = kept;
        ranks->bytes += rank_batch_bytes(batch);
        if (!kept) ranks_remove(ranks, b);
    }
}

void ranks_free(struct ranks *ranks) {
    for (size_t i = 0; i < ranks->n; i++) rank_batch_free(ranks->table[i]);
    mem_free(ranks->table);
    keyindex_free(&ranks->index);
}
