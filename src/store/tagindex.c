/* See tagindex.h. */
#include "store/tagindex.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/number.h"
#include "store/names.h"
#include "store/op.h"
#include "store/partition.h"
#include "store/ready.h"
#include "store/sums.h"
#include "store/tagindex_state.h"

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

struct order_key tagindex_key(const struct column *tag, uint64_t seq) {
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

/* ---- weights ------------------------------------------------------------------------------ */

int tagindex_parse(struct span text, struct tagindex_spec *out, struct error *e) {
    const char *at = text.len ? memchr(text.ptr, '^', text.len) : NULL;
    *out = (struct tagindex_spec){.tag = text, .exponent = 1};
    if (at) {
        struct span exponent = span_of(at + 1, text.len - (size_t)(at + 1 - text.ptr));
        out->tag.len = (size_t)(at - text.ptr);
        out->is_sum = true;
        if (!number_parse_double(exponent, false, &out->exponent))
            return error_set(e, ERROR_ERR, "INDEX %s: expected a number behind ^, got %s",
                             QUOTE(text), QUOTE(exponent));
    }
    return names_check_word("tag", out->tag, e);
}

bool tagindex_spec_equal(const struct tagindex_spec *a, const struct tagindex_spec *b) {
    return a->is_sum == b->is_sum && a->exponent == b->exponent && span_equal(a->tag, b->tag);
}

/* ---- views -------------------------------------------------------------------------------- */

void tagindex_forget_views(struct tag_index *index) {
    for (size_t i = 0; i < index->n_views; i++) mem_free((void *)index->views[i].key.ptr);
    index->n_views = 0;
    sums_touch_all(&index->sums);
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

/* The place of the view, whose bit is 1 << place. */
static size_t tagindex_view(struct tag_index *index, struct span key) {
    uint64_t hash = hash_bytes(key);
    size_t at = 0;
    while (at < index->n_views &&
           !(index->views[at].hash == hash && span_equal(index->views[at].key, key)))
        at++;
    if (at == index->n_views) {
        at = tagindex_view_place(index);
        index->views[at].hash = hash;
        index->views[at].key = span_of(mem_dup(key.ptr, key.len), key.len);
        index->views[at].number = ++index->clock;
    }
    index->views[at].used = ++index->clock;
    return at;
}

static int tagindex_compare_spans(const void *a, const void *b) {
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* Task and fields, each with a NUL behind it, which no name holds; *wide is as long as that. Then
 * the WHERE. */
struct span tagindex_view_key(const struct ready *ready, struct span *wide,
                              struct scratch *scratch) {
    struct span *names = scratch_alloc(scratch, ready->n_fields + 1, sizeof(*names));
    const struct where *where = ready->where.where;
    size_t len = 0, where_len = where_key_len(where);
    for (size_t i = 0; i < ready->n_fields; i++) names[i + 1] = column_name(ready->fields[i]);
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
        bool is_of_use = span_equal(where->conditions[i].tag, index->spec.tag) &&
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
        const struct tag_index *index = p->indexes[i];
        if (index->spec.is_sum || !tagindex_is_complete(index) ||
            !tagindex_range_of(index, where, &range) || (found && range.n >= out->n))
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
    struct tagindex_walk *w = context;
    const struct ready *ready = w->ready;
    uint64_t seq = tagindex_seq(ready->partition, key);
    if (!ready_is_left(ready, seq)) return ORDER_NEVER;
    uint64_t before = *ready->where.cost;
    if (where_admits(&ready->where, seq)) return ORDER_WANTED;
    w->walk.extra += *ready->where.cost - before - 1;
    return ORDER_UNWANTED;
}

void tagindex_open(struct tagindex_walk *w, struct tag_index *index, const struct ready *ready,
                   struct scratch *scratch) {
    struct span wide, key = tagindex_view_key(ready, &wide, scratch);
    w->order = &index->order;
    w->ready = ready;
    w->walk = (struct order_walk){.use = tagindex_use,
                                  .context = w,
                                  .left = &ready->limit->left,
                                  .waste = &ready->limit->waste};
    w->walk.wide = UINT64_C(1) << tagindex_view(index, wide);
    size_t narrow = tagindex_view(index, key); /* not in the place of `wide`, which was used last */
    w->walk.narrow = UINT64_C(1) << narrow;
    ready->limit->view = index->views[narrow].number;
}

bool tagindex_first(struct tagindex_walk *w, struct order_key from, struct order_key end,
                    struct order_key *out) {
    bool found = order_first(w->order, &w->walk, from, end, out);
    if (w->walk.is_cut) w->ready->limit->is_cut = true;
    return found;
}

bool tagindex_last(struct tagindex_walk *w, struct order_key from, struct order_key end,
                   struct order_key *out) {
    bool found = order_last(w->order, &w->walk, from, end, out);
    if (w->walk.is_cut) w->ready->limit->is_cut = true;
    return found;
}

/* ---- looking ------------------------------------------------------------------------------ */

struct tag_index *tagindex_find(const struct partition *p, struct span tag) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        if (!index->spec.is_sum && span_equal(index->spec.tag, tag))
            return tagindex_is_complete(index) ? index : NULL;
    }
    return NULL;
}

struct sums *tagindex_sums(const struct partition *p, struct span tag, double exponent) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        const struct tagindex_spec *spec = &index->spec;
        if (spec->is_sum && spec->exponent == exponent && span_equal(spec->tag, tag))
            return index->n_odd || !tagindex_is_complete(index) ? NULL : &index->sums;
    }
    return NULL;
}
