/* See tagindex.h. */
#include "store/tagindex.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/number.h"
#include "store/op.h"
#include "store/partition.h"
#include "store/ready.h"

struct tagindex_view {
    uint64_t hash;
    struct span key; /* owned */
    uint64_t used;   /* by tag_index.clock */
};

struct tag_index {
    struct span tag; /* owned */
    struct order order;
    struct tagindex_view views[ORDER_VIEWS];
    size_t n_views;
    uint64_t clock;
};

/* ---- keys --------------------------------------------------------------------------------- */

/* Behind the value come 12 bits for what a double leaves out of an integer, then the low bits of
 * the seq: all alive are within 2^32. */
enum { TAGINDEX_SEQ_BITS = 52, TAGINDEX_REST_ZERO = 1 << 11 };

#define TAGINDEX_SEQ_MASK ((UINT64_C(1) << TAGINDEX_SEQ_BITS) - 1)

/* A double as an integer of the same order; 0 and -0 are one. */
static uint64_t tagindex_value(double number) {
    uint64_t bits;
    number += 0.0;
    memcpy(&bits, &number, sizeof(bits));
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static struct order_key tagindex_number_key(const struct number *number, uint64_t seq) {
    uint64_t rest = (uint64_t)(number->rest + TAGINDEX_REST_ZERO);
    return (struct order_key){tagindex_value(number->value),
                              rest << TAGINDEX_SEQ_BITS | (seq & TAGINDEX_SEQ_MASK)};
}

/* The entry of a sample, by its tag as it is now. */
static struct order_key tagindex_key(const struct column *tag, uint64_t seq) {
    struct span value;
    struct number number;
    if (!tag || !column_get(tag, seq, &value))
        return (struct order_key){TAGINDEX_MISSING.value, seq & TAGINDEX_SEQ_MASK};
    if (!number_parse(value, &number))
        return (struct order_key){TAGINDEX_TEXT.value, seq & TAGINDEX_SEQ_MASK};
    return tagindex_number_key(&number, seq);
}

void tagindex_equals(struct order_key key, struct order_key *from, struct order_key *end) {
    *from = (struct order_key){key.value, key.seq & ~TAGINDEX_SEQ_MASK};
    *end = (struct order_key){key.value, from->seq + TAGINDEX_SEQ_MASK + 1};
}

uint64_t tagindex_seq(const struct partition *p, struct order_key key) {
    uint64_t seq = (p->next_seq & ~TAGINDEX_SEQ_MASK) | (key.seq & TAGINDEX_SEQ_MASK);
    return seq > p->next_seq ? seq - TAGINDEX_SEQ_MASK - 1 : seq;
}

/* ---- views -------------------------------------------------------------------------------- */

static void tagindex_forget_views(struct tag_index *index) {
    for (size_t i = 0; i < index->n_views; i++) mem_free((void *)index->views[i].key.ptr);
    index->n_views = 0;
    order_forget(&index->order, UINT64_MAX);
}

/* The place for a new view: the view that was not used for longest goes. */
static size_t tagindex_view_place(struct tag_index *index) {
    size_t oldest = 0;
    if (index->n_views < ORDER_VIEWS) return index->n_views++;
    for (size_t i = 1; i < ORDER_VIEWS; i++)
        if (index->views[i].used < index->views[oldest].used) oldest = i;
    mem_free((void *)index->views[oldest].key.ptr);
    order_forget(&index->order, UINT64_C(1) << oldest);
    return oldest;
}

/* The bit of the view. */
static uint64_t tagindex_view(struct tag_index *index, struct span key) {
    uint64_t hash = hash_bytes(key);
    size_t at = 0;
    while (at < index->n_views &&
           !(index->views[at].hash == hash && span_equal(index->views[at].key, key)))
        at++;
    if (at == index->n_views) {
        at = tagindex_view_place(index);
        index->views[at].hash = hash;
        index->views[at].key = span_of(mem_dup(key.ptr, key.len), key.len);
    }
    index->views[at].used = ++index->clock;
    return UINT64_C(1) << at;
}

static int tagindex_compare_spans(const void *a, const void *b) {
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* Task and fields, each with a NUL behind it, which no name holds; *wide is as long as that. Then
 * the WHERE. */
static struct span tagindex_view_key(const struct ready *ready, struct span *wide,
                                     struct scratch *scratch) {
    struct span *names = scratch_alloc(scratch, ready->n_fields + 1, sizeof(*names));
    const struct where *where = ready->where.where;
    size_t len = 0, where_len = where_key_len(where);
    for (size_t i = 0; i < ready->n_fields; i++) names[i + 1] = ready->fields[i]->name;
    qsort(names + 1, ready->n_fields, sizeof(*names), tagindex_compare_spans);
    names[0] = ready->task ? ready->task->name : span_of("", 0);
    for (size_t i = 0; i <= ready->n_fields; i++) len += names[i].len + 1;
    char *bytes = scratch_alloc(scratch, 1, len + where_len), *at = bytes;
    for (size_t i = 0; i <= ready->n_fields; i++) {
        memcpy(at, names[i].ptr, names[i].len);
        at += names[i].len;
        *at++ = '\0';
    }
    where_key_write(where, at);
    *wide = span_of(bytes, len);
    return span_of(bytes, len + where_len);
}

/* ---- WHERE -------------------------------------------------------------------------------- */

static bool tagindex_order_less(struct order_key a, struct order_key b) {
    return a.value != b.value ? a.value < b.value : a.seq < b.seq;
}

/* `=` with a number: values that are equal as numbers may differ as ids. With another: only a tag
 * that is no number can have the same bytes. */
static void tagindex_narrow_equal(struct tagindex_range *range, const struct number *number) {
    struct order_key from = ORDER_KEY_MIN, end = ORDER_KEY_MIN;
    range->is_exact = false;
    if (number) {
        tagindex_equals(tagindex_number_key(number, 0), &from, &end);
        range->has_text = false;
    }
    if (tagindex_order_less(range->from, from)) range->from = from;
    if (tagindex_order_less(end, range->end)) range->end = end;
}

/* False where the condition leaves the range as it is. */
static bool tagindex_narrow(struct tagindex_range *range, const struct where_condition *c) {
    struct number number;
    struct order_key from, end;
    bool is_number = number_parse(c->value, &number);
    if (c->operator== WHERE_EQ) {
        tagindex_narrow_equal(range, is_number ? &number : NULL);
        return true;
    }
    if (!is_number || c->operator== WHERE_NE) return false;
    tagindex_equals(tagindex_number_key(&number, 0), &from, &end);
    bool is_less = c->operator== WHERE_LT || c->operator== WHERE_LE;
    struct order_key at = c->operator== WHERE_LT || c->operator== WHERE_GE ? from : end;
    if (is_less && tagindex_order_less(at, range->end)) range->end = at;
    if (!is_less && tagindex_order_less(range->from, at)) range->from = at;
    return true;
}

static bool tagindex_range_of(const struct tag_index *index, const struct where *where,
                              struct tagindex_range *out) {
    bool is_narrow = false;
    *out = (struct tagindex_range){.index = index,
                                   .from = ORDER_KEY_MIN,
                                   .end = TAGINDEX_TEXT,
                                   .has_text = true,
                                   .is_exact = true};
    for (size_t i = 0; i < where->n; i++) {
        bool is_of_use = span_equal(where->conditions[i].tag, index->tag) &&
                         tagindex_narrow(out, &where->conditions[i]);
        if (is_of_use)
            is_narrow = true;
        else
            out->is_exact = false;
    }
    if (!is_narrow) return false;
    uint64_t text =
        order_rank(&index->order, TAGINDEX_MISSING) - order_rank(&index->order, TAGINDEX_TEXT);
    if (!text) out->has_text = false;
    if (out->has_text) out->is_exact = false;
    if (tagindex_order_less(out->from, out->end))
        out->n = order_rank(&index->order, out->end) - order_rank(&index->order, out->from);
    if (out->has_text) out->n += text;
    return true;
}

bool tagindex_range(const struct partition *p, const struct where *where,
                    struct tagindex_range *out) {
    bool found = false;
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tagindex_range range;
        if (!tagindex_range_of(p->indexes[i], where, &range) || (found && range.n >= out->n))
            continue;
        *out = range;
        found = true;
    }
    return found;
}

void tagindex_each(const struct tagindex_range *range, order_run *run, void *context) {
    const struct order *order = &range->index->order;
    if (tagindex_order_less(range->from, range->end))
        order_each(order, range->from, range->end, run, context);
    if (range->has_text) order_each(order, TAGINDEX_TEXT, TAGINDEX_MISSING, run, context);
}

/* ---- walks -------------------------------------------------------------------------------- */

static enum order_use tagindex_use(void *context, struct order_key key) {
    const struct ready *ready = context;
    uint64_t seq = tagindex_seq(ready->partition, key);
    if (!ready_is_left(ready, seq)) return ORDER_NEVER;
    return where_admits(&ready->where, seq) ? ORDER_WANTED : ORDER_UNWANTED;
}

void tagindex_open(struct tagindex_walk *w, struct tag_index *index, const struct ready *ready,
                   struct scratch *scratch) {
    struct span wide, key = tagindex_view_key(ready, &wide, scratch);
    w->order = &index->order;
    w->walk = (struct order_walk){
        .use = tagindex_use, .context = (void *)ready, .left = &ready->limit->left};
    w->walk.wide = tagindex_view(index, wide);
    w->walk.narrow =
        tagindex_view(index, key); /* the one used last: it does not displace the first */
}

bool tagindex_first(struct tagindex_walk *w, struct order_key from, struct order_key end,
                    struct order_key *out) {
    bool found = order_first(w->order, &w->walk, from, end, out);
    if (w->walk.is_cut) ((const struct ready *)w->walk.context)->limit->is_cut = true;
    return found;
}

bool tagindex_last(struct tagindex_walk *w, struct order_key from, struct order_key end,
                   struct order_key *out) {
    bool found = order_last(w->order, &w->walk, from, end, out);
    if (w->walk.is_cut) ((const struct ready *)w->walk.context)->limit->is_cut = true;
    return found;
}

/* ---- looking ------------------------------------------------------------------------------ */

struct tag_index *tagindex_find(const struct partition *p, struct span tag) {
    for (size_t i = 0; i < p->n_indexes; i++)
        if (span_equal(p->indexes[i]->tag, tag)) return p->indexes[i];
    return NULL;
}

size_t tagindex_bytes(const struct tag_index *index) {
    size_t bytes = sizeof(*index) + index->tag.len + index->order.bytes;
    for (size_t i = 0; i < index->n_views; i++) bytes += index->views[i].key.len;
    return bytes;
}

size_t tagindexes_overhead(const struct partition *p) {
    size_t bytes = p->n_indexes * sizeof(struct tag_index *);
    for (size_t i = 0; i < p->n_indexes; i++) bytes += tagindex_bytes(p->indexes[i]);
    return bytes;
}

/* ---- building ----------------------------------------------------------------------------- */

static int tagindex_compare_keys(const void *a, const void *b) {
    const struct order_key *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

static void tagindex_build(const struct partition *p, struct tag_index *index) {
    const struct column *tag = column_set_find(&p->tags, index->tag);
    struct order_key *keys = mem_alloc((p->samples + 1) * sizeof(*keys));
    size_t n = 0;
    bool sorted = true;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++, n++) {
        keys[n] = tagindex_key(tag, seq);
        sorted = sorted && (!n || tagindex_compare_keys(&keys[n - 1], &keys[n]) < 0);
    }
    if (!sorted) qsort(keys, n, sizeof(*keys), tagindex_compare_keys);
    tagindex_forget_views(index);
    order_build(&index->order, keys, n);
    mem_free(keys);
}

void tagindexes_build(struct partition *p) {
    for (size_t i = 0; i < p->n_indexes; i++) tagindex_build(p, p->indexes[i]);
}

static void tagindex_free(struct tag_index *index) {
    tagindex_forget_views(index);
    order_free(&index->order);
    mem_free((void *)index->tag.ptr);
    mem_free(index);
}

static struct tag_index *tagindex_new(const struct partition *p, struct span tag) {
    struct tag_index *index = mem_calloc(1, sizeof(*index));
    index->tag = span_of(mem_dup(tag.ptr, tag.len), tag.len);
    tagindex_build(p, index);
    return index;
}

void tagindexes_declare(struct partition *p, const struct span *tags, size_t n) {
    struct tag_index **indexes = n ? mem_calloc(n, sizeof(struct tag_index *)) : NULL;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < p->n_indexes && !indexes[i]; k++) {
            if (!p->indexes[k] || !span_equal(p->indexes[k]->tag, tags[i])) continue;
            indexes[i] = p->indexes[k];
            p->indexes[k] = NULL;
        }
        if (!indexes[i]) indexes[i] = tagindex_new(p, tags[i]);
    }
    tagindexes_free(p);
    p->indexes = indexes;
    p->n_indexes = n;
}

bool tagindexes_shrink(struct partition *p, size_t *steps) {
    for (size_t i = 0; i < p->n_indexes; i++)
        if (!order_shrink(&p->indexes[i]->order, steps)) return false;
    return true;
}

void tagindexes_free(struct partition *p) {
    for (size_t i = 0; i < p->n_indexes; i++)
        if (p->indexes[i]) tagindex_free(p->indexes[i]);
    mem_free(p->indexes);
    p->indexes = NULL;
    p->n_indexes = 0;
}

/* ---- keeping up --------------------------------------------------------------------------- */

static bool tagindex_is_written(const struct tag_index *index, const struct op_put *put) {
    for (size_t i = 0; i < put->n_tags; i++)
        if (span_equal(put->tags[i].name, index->tag)) return true;
    return false;
}

void tagindexes_before_put(struct partition *p, const struct op_put *put) {
    for (size_t i = 0; i < p->n_indexes && put->n_tags; i++) {
        struct tag_index *index = p->indexes[i];
        if (!tagindex_is_written(index, put)) continue;
        const struct column *tag = column_set_find(&p->tags, index->tag);
        for (size_t k = 0; k < put->n; k++)
            if (partition_alive(p, put->seqs[k]))
                order_remove(&index->order, tagindex_key(tag, put->seqs[k]));
    }
}

void tagindexes_after_put(struct partition *p, const struct op_put *put) {
    uint64_t first_new = put->n_new ? put->new_seqs[0] : SEQ_NONE;
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        const struct column *tag = column_set_find(&p->tags, index->tag);
        bool is_written = tagindex_is_written(index, put);
        for (size_t k = 0; k < put->n; k++) {
            uint64_t seq = put->seqs[k];
            if (is_written || seq >= first_new)
                order_add(&index->order, tagindex_key(tag, seq));
            else if (index->n_views)
                order_touch(&index->order, tagindex_key(tag, seq));
        }
    }
}

void tagindexes_leave(struct partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->n_indexes; i++)
        order_remove(&p->indexes[i]->order,
                     tagindex_key(column_set_find(&p->tags, p->indexes[i]->tag), seq));
}

void tagindexes_enter(struct partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->n_indexes; i++)
        order_add(&p->indexes[i]->order,
                  tagindex_key(column_set_find(&p->tags, p->indexes[i]->tag), seq));
}

void tagindexes_touch(struct partition *p, const uint64_t *seqs, size_t n) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        if (!index->n_views) continue;
        const struct column *tag = column_set_find(&p->tags, index->tag);
        for (size_t k = 0; k < n; k++)
            if (partition_alive(p, seqs[k])) order_touch(&index->order, tagindex_key(tag, seqs[k]));
    }
}

void tagindexes_touch_all(struct partition *p) {
    for (size_t i = 0; i < p->n_indexes; i++)
        if (p->indexes[i]->n_views) tagindex_forget_views(p->indexes[i]);
}
