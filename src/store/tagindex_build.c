/* See tagindex.h: what is in an index, and how it gets there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "store/op.h"
#include "store/tagindex_state.h"

/* ---- weights ------------------------------------------------------------------------------ */

/* A weight that sums keep beside any others. */
static bool tagindex_is_odd(double weight) {
    enum { TAGINDEX_WEIGHT_EXPONENT = 660 }; /* 2^660 is 1e198 */
    int exponent;
    if (weight == 0) return false;
    if (!isfinite(weight)) return true;
    frexp(weight, &exponent);
    return abs(exponent) > TAGINDEX_WEIGHT_EXPONENT;
}

/* tag^p; 0 where PRIORITY gives the sample no weight, infinite (or nearly 0) where it is odd. */
static double tagindex_weight(const struct tag_index *index, const struct column *tag,
                              uint64_t seq) {
    double exponent = index->spec.exponent;
    struct span value;
    struct number number;
    if (!tag || !column_get(tag, seq, &value) || !number_parse(value, &number)) return 0;
    if (number.value < 0) return 0;
    if (exponent == 0) return 1;
    if (number.value == 0) return exponent > 0 ? 0 : INFINITY;
    if (isinf(number.value)) return exponent > 0 ? INFINITY : 0;
    double weight = pow(number.value, exponent);
    return weight == 0 ? INFINITY : weight; /* not 0, but too small */
}

static void tagindex_add_weight(struct tag_index *index, const struct column *tag, uint64_t seq) {
    double weight = tagindex_weight(index, tag, seq);
    bool is_odd = tagindex_is_odd(weight);
    index->n_odd += is_odd;
    sums_set(&index->sums, seq, is_odd ? 0 : weight);
}

static void tagindex_drop_weight(struct tag_index *index, const struct column *tag, uint64_t seq) {
    index->n_odd -= tagindex_is_odd(tagindex_weight(index, tag, seq));
    sums_set(&index->sums, seq, 0);
}

/* ---- entries ------------------------------------------------------------------------------ */

/* False for a sample that the building has not come to: its writes and its end leave the index
 * alone. */
static bool tagindex_has(const struct tag_index *index, uint64_t seq) {
    return seq < index->gap || seq >= index->gap_end;
}

static void tagindex_add(struct tag_index *index, const struct column *tag, uint64_t seq) {
    index->n++;
    if (index->spec.is_sum)
        tagindex_add_weight(index, tag, seq);
    else
        order_add(&index->order, tagindex_key(tag, seq));
}

static void tagindex_remove(struct tag_index *index, const struct column *tag, uint64_t seq) {
    index->n--;
    if (index->spec.is_sum)
        tagindex_drop_weight(index, tag, seq);
    else
        order_remove(&index->order, tagindex_key(tag, seq));
}

static void tagindex_touch(struct tag_index *index, const struct column *tag, uint64_t seq) {
    if (index->spec.is_sum)
        sums_touch(&index->sums, seq);
    else if (index->n_views)
        order_touch(&index->order, tagindex_key(tag, seq));
}

/* ---- keeping up --------------------------------------------------------------------------- */

static bool tagindex_is_written(const struct tag_index *index, const struct op_put *put) {
    for (size_t i = 0; i < put->n_tags; i++)
        if (span_equal(put->tags[i].name, index->spec.tag)) return true;
    return false;
}

void tagindexes_before_put(struct partition *p, const struct op_put *put) {
    for (size_t i = 0; i < p->n_indexes && put->n_tags; i++) {
        struct tag_index *index = p->indexes[i];
        if (!tagindex_is_written(index, put)) continue;
        const struct column *tag = column_set_find(&p->tags, index->spec.tag);
        for (size_t k = 0; k < put->n; k++)
            if (partition_alive(p, put->seqs[k]) && tagindex_has(index, put->seqs[k]))
                tagindex_remove(index, tag, put->seqs[k]);
    }
}

void tagindexes_after_put(struct partition *p, const struct op_put *put) {
    uint64_t first_new = put->n_new ? put->new_seqs[0] : SEQ_NONE;
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        const struct column *tag = column_set_find(&p->tags, index->spec.tag);
        bool is_written = tagindex_is_written(index, put);
        for (size_t k = 0; k < put->n; k++) {
            uint64_t seq = put->seqs[k];
            if (!tagindex_has(index, seq)) continue;
            if (is_written || seq >= first_new)
                tagindex_add(index, tag, seq);
            else
                tagindex_touch(index, tag, seq);
        }
    }
}

void tagindexes_leave(struct partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        if (!tagindex_has(index, seq)) continue;
        tagindex_remove(index, column_set_find(&p->tags, index->spec.tag), seq);
    }
}

void tagindexes_enter(struct partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        if (!tagindex_has(index, seq)) continue;
        tagindex_add(index, column_set_find(&p->tags, index->spec.tag), seq);
    }
}

void tagindexes_touch(struct partition *p, const uint64_t *seqs, size_t n) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        if (!index->n_views && !index->sums.n_views) continue;
        const struct column *tag = column_set_find(&p->tags, index->spec.tag);
        for (size_t k = 0; k < n; k++)
            if (partition_alive(p, seqs[k])) tagindex_touch(index, tag, seqs[k]);
    }
}

void tagindexes_touch_all(struct partition *p) {
    for (size_t i = 0; i < p->n_indexes; i++) tagindex_forget_views(p->indexes[i]);
}

/* ---- declaring ---------------------------------------------------------------------------- */

static struct tag_index *tagindex_new(const struct partition *p, struct span name) {
    struct tag_index *index = mem_calloc(1, sizeof(*index));
    index->name = span_of(mem_dup(name.ptr, name.len), name.len);
    tagindex_parse(index->name, &index->spec, NULL); /* it parsed in the plan */
    index->gap_end = p->next_seq;
    return index;
}

/* The index of this name, out of those that the partition had. */
static struct tag_index *tagindex_keep(struct partition *p, struct span name) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        if (!index || !span_equal(index->name, name)) continue;
        p->indexes[i] = NULL;
        return index;
    }
    return NULL;
}

void tagindexes_declare(struct partition *p, const struct span *tags, size_t n) {
    size_t n_before = p->n_indexes, at = n;
    while (p->indexes && p->indexes[n_before]) n_before++; /* to be freed */
    struct tag_index **indexes =
        n + n_before ? mem_calloc(n + n_before + 1, sizeof(struct tag_index *)) : NULL;
    for (size_t i = 0; i < n; i++) {
        indexes[i] = tagindex_keep(p, tags[i]);
        if (!indexes[i]) indexes[i] = tagindex_new(p, tags[i]);
    }
    for (size_t i = 0; i < n_before; i++)
        if (p->indexes[i]) indexes[at++] = p->indexes[i];
    mem_free(p->indexes);
    p->indexes = indexes;
    p->n_indexes = (uint8_t)n;
}

/* ---- building ----------------------------------------------------------------------------- */

/* The samples of the gap enter, oldest first: at most *samples, which is what is left of them. */
static void tagindex_fill(const struct partition *p, struct tag_index *index, size_t *samples) {
    const struct column *tag = column_set_find(&p->tags, index->spec.tag);
    while (!tagindex_is_complete(index) && *samples) {
        uint64_t seq = partition_next(p, index->gap);
        if (seq >= index->gap_end) { /* or SEQ_NONE */
            index->gap = index->gap_end;
            return;
        }
        tagindex_add(index, tag, seq);
        index->gap = seq + 1;
        --*samples;
    }
}

bool tagindexes_build(struct partition *p, size_t *samples) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        tagindex_fill(p, p->indexes[i], samples);
        if (!tagindex_is_complete(p->indexes[i])) return false;
    }
    return true;
}

bool tagindexes_are_complete(const struct partition *p) {
    for (size_t i = 0; i < p->n_indexes; i++)
        if (!tagindex_is_complete(p->indexes[i])) return false;
    return true;
}

/* ---- freeing ------------------------------------------------------------------------------ */

static bool tagindex_shrink(struct tag_index *index, size_t *steps) {
    return order_shrink(&index->order, steps) && sums_shrink(&index->sums, steps);
}

static void tagindex_free(struct tag_index *index) {
    for (size_t i = 0; i < index->n_views; i++) mem_free((void *)index->views[i].key.ptr);
    order_free(&index->order);
    sums_free(&index->sums);
    mem_free((void *)index->name.ptr);
    mem_free(index);
}

bool tagindexes_shrink(struct partition *p, size_t *steps) {
    for (size_t i = 0; i < p->n_indexes; i++)
        if (!tagindex_shrink(p->indexes[i], steps)) return false;
    return true;
}

void tagindexes_remove(struct partition *p, struct tag_index **list) {
    if (!p->indexes) return;
    struct tag_index **removed = p->indexes + p->n_indexes;
    for (size_t i = 0; removed[i]; i++) {
        removed[i]->next = *list;
        *list = removed[i];
    }
    *removed = NULL;
    if (p->n_indexes) return;
    mem_free(p->indexes);
    p->indexes = NULL;
}

bool tagindex_removed_shrink(struct tag_index **list, size_t *steps) {
    for (struct tag_index *index; (index = *list);) {
        if (!tagindex_shrink(index, steps)) return false;
        *list = index->next;
        tagindex_free(index);
    }
    return true;
}

void tagindexes_free(struct partition *p) {
    for (size_t i = 0; p->indexes && p->indexes[i]; i++) tagindex_free(p->indexes[i]);
    mem_free(p->indexes);
    p->indexes = NULL;
    p->n_indexes = 0;
}

/* ---- bytes -------------------------------------------------------------------------------- */

static size_t tagindex_bytes(const struct tag_index *index) {
    size_t bytes = sizeof(*index) + index->name.len + index->order.bytes + index->sums.bytes;
    for (size_t i = 0; i < index->n_views; i++) bytes += index->views[i].key.len;
    return bytes;
}

size_t tagindexes_overhead(const struct partition *p) {
    size_t bytes = (p->indexes ? p->n_indexes + 1u : 0) * sizeof(struct tag_index *);
    for (size_t i = 0; i < p->n_indexes; i++) bytes += tagindex_bytes(p->indexes[i]);
    return bytes;
}

void tagindex_progress(const struct tag_index *index, struct tagindex_progress *out) {
    *out = (struct tagindex_progress){.samples = index->n,
                                      .bytes = tagindex_bytes(index),
                                      .is_complete = tagindex_is_complete(index)};
}

/* Of an index without samples: the allocator's classes are 1 KiB apart here. The name is kept here
 * and in the bounds. */
static size_t tagindex_fixed(struct span name) {
    enum { CLASS_BYTES = 1024, POINTER_BYTES = 64 /* and spans of the names */ };
    size_t bytes = (sizeof(struct tag_index) + CLASS_BYTES - 1) / CLASS_BYTES * CLASS_BYTES;
    return bytes + POINTER_BYTES + 2 * name.len;
}

/* Of samples that enter an index, with the allocator's loss: of weights the blocks between these
 * seqs count, whatever is alive in them. */
static size_t tagindex_room(const struct partition *p, bool is_sum, uint64_t samples, uint64_t from,
                            uint64_t end) {
    enum { ENTRY_BYTES = 35 /* at worst, in order of falling numbers */, BLOCK_BYTES = 256 };
    enum { LEAF = 63, LEAF_BYTES = 1024, NODES_BYTES = 1024 + 2560 /* from two leaves on */ };
    size_t blocks = 0, nodes = samples > LEAF ? LEAF_BYTES + NODES_BYTES : LEAF_BYTES;
    if (!is_sum) return samples ? samples * ENTRY_BYTES + nodes : 0;
    if (from < p->rows.first * BLOCK_ROWS) from = p->rows.first * BLOCK_ROWS;
    for (uint64_t at = block_number(from); at < blockindex_end(&p->rows) && at * BLOCK_ROWS < end;
         at++)
        blocks += blockindex_get(&p->rows, at) != NULL;
    return blocks * (BLOCK_ROWS * sizeof(double) + BLOCK_BYTES);
}

static bool tagindexes_have(const struct partition *p, struct span name) {
    for (size_t i = 0; i < p->n_indexes; i++)
        if (span_equal(p->indexes[i]->name, name)) return true;
    return false;
}

size_t tagindexes_cost(const struct partition *p, const struct span *tags, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_sum = memchr(tags[i].ptr, '^', tags[i].len) != NULL;
        if (p && tagindexes_have(p, tags[i])) continue;
        bytes += tagindex_fixed(tags[i]);
        if (p) bytes += tagindex_room(p, is_sum, p->samples, 0, p->next_seq);
    }
    return bytes;
}

size_t tagindexes_missing(const struct partition *p) {
    size_t bytes = 0;
    for (size_t i = 0; i < p->n_indexes; i++) {
        const struct tag_index *index = p->indexes[i];
        if (!tagindex_is_complete(index))
            bytes += tagindex_room(p, index->spec.is_sum, p->samples - index->n, index->gap,
                                   index->gap_end);
    }
    return bytes;
}
