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

struct tagindex_view {
    uint64_t hash;
    struct span key; /* owned */
    uint64_t used;   /* by tag_index.clock */
    uint64_t number; /* from tag_index.clock, when the view was made */
};

struct tag_index {
    struct span name;          /* as declared; owned */
    struct tagindex_spec spec; /* spec.tag is the beginning of the name */
    struct sums sums;          /* spec.is_sum */
    uint64_t n_odd;            /* weights that are not in the sums */
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

static void tagindex_add(struct tag_index *index, const struct column *tag, uint64_t seq) {
    if (index->spec.is_sum)
        tagindex_add_weight(index, tag, seq);
    else
        order_add(&index->order, tagindex_key(tag, seq));
}

static void tagindex_remove(struct tag_index *index, const struct column *tag, uint64_t seq) {
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

/* ---- views -------------------------------------------------------------------------------- */

static void tagindex_forget_views(struct tag_index *index) {
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
        if (p->indexes[i]->spec.is_sum || !tagindex_range_of(p->indexes[i], where, &range) ||
            (found && range.n >= out->n))
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
    w->walk.wide = UINT64_C(1) << tagindex_view(index, wide);
    size_t narrow = tagindex_view(index, key); /* not in the place of `wide`, which was used last */
    w->walk.narrow = UINT64_C(1) << narrow;
    ready->limit->view = index->views[narrow].number;
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
        if (!p->indexes[i]->spec.is_sum && span_equal(p->indexes[i]->spec.tag, tag))
            return p->indexes[i];
    return NULL;
}

struct sums *tagindex_sums(const struct partition *p, struct span tag, double exponent) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tag_index *index = p->indexes[i];
        const struct tagindex_spec *spec = &index->spec;
        if (spec->is_sum && spec->exponent == exponent && span_equal(spec->tag, tag))
            return index->n_odd ? NULL : &index->sums;
    }
    return NULL;
}

size_t tagindex_bytes(const struct tag_index *index) {
    size_t bytes = sizeof(*index) + index->name.len + index->order.bytes + index->sums.bytes;
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

static void tagindex_build_order(const struct partition *p, struct tag_index *index) {
    const struct column *tag = column_set_find(&p->tags, index->spec.tag);
    struct order_key *keys = mem_alloc((p->samples + 1) * sizeof(*keys));
    size_t n = 0;
    bool sorted = true;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++, n++) {
        keys[n] = tagindex_key(tag, seq);
        sorted = sorted && (!n || tagindex_compare_keys(&keys[n - 1], &keys[n]) < 0);
    }
    if (!sorted) qsort(keys, n, sizeof(*keys), tagindex_compare_keys);
    order_build(&index->order, keys, n);
    mem_free(keys);
}

static void tagindex_build(const struct partition *p, struct tag_index *index) {
    tagindex_forget_views(index);
    if (!index->spec.is_sum) {
        tagindex_build_order(p, index);
        return;
    }
    const struct column *tag = column_set_find(&p->tags, index->spec.tag);
    sums_free(&index->sums);
    index->n_odd = 0;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++)
        tagindex_add_weight(index, tag, seq);
}

void tagindexes_build(struct partition *p) {
    for (size_t i = 0; i < p->n_indexes; i++) tagindex_build(p, p->indexes[i]);
}

static void tagindex_free(struct tag_index *index) {
    tagindex_forget_views(index);
    order_free(&index->order);
    sums_free(&index->sums);
    mem_free((void *)index->name.ptr);
    mem_free(index);
}

static struct tag_index *tagindex_new(const struct partition *p, struct span name) {
    struct tag_index *index = mem_calloc(1, sizeof(*index));
    index->name = span_of(mem_dup(name.ptr, name.len), name.len);
    tagindex_parse(index->name, &index->spec, NULL); /* it parsed in the plan */
    tagindex_build(p, index);
    return index;
}

void tagindexes_declare(struct partition *p, const struct span *tags, size_t n) {
    struct tag_index **indexes = n ? mem_calloc(n, sizeof(struct tag_index *)) : NULL;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < p->n_indexes && !indexes[i]; k++) {
            if (!p->indexes[k] || !span_equal(p->indexes[k]->name, tags[i])) continue;
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
        if (!order_shrink(&p->indexes[i]->order, steps) ||
            !sums_shrink(&p->indexes[i]->sums, steps))
            return false;
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
        if (span_equal(put->tags[i].name, index->spec.tag)) return true;
    return false;
}

void tagindexes_before_put(struct partition *p, const struct op_put *put) {
    for (size_t i = 0; i < p->n_indexes && put->n_tags; i++) {
        struct tag_index *index = p->indexes[i];
        if (!tagindex_is_written(index, put)) continue;
        const struct column *tag = column_set_find(&p->tags, index->spec.tag);
        for (size_t k = 0; k < put->n; k++)
            if (partition_alive(p, put->seqs[k])) tagindex_remove(index, tag, put->seqs[k]);
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
            if (is_written || seq >= first_new)
                tagindex_add(index, tag, seq);
            else
                tagindex_touch(index, tag, seq);
        }
    }
}

void tagindexes_leave(struct partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->n_indexes; i++)
        tagindex_remove(p->indexes[i], column_set_find(&p->tags, p->indexes[i]->spec.tag), seq);
}

void tagindexes_enter(struct partition *p, uint64_t seq) {
    for (size_t i = 0; i < p->n_indexes; i++)
        tagindex_add(p->indexes[i], column_set_find(&p->tags, p->indexes[i]->spec.tag), seq);
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

/* ---- estimates ---------------------------------------------------------------------------- */

static bool tagindexes_have(const struct partition *p, struct span name) {
    for (size_t i = 0; i < p->n_indexes; i++)
        if (span_equal(p->indexes[i]->name, name)) return true;
    return false;
}

size_t tagindexes_cost(const struct partition *p, const struct span *tags, size_t n) {
    enum { ENTRY_BYTES = 24 }; /* of a sample in a tree as it is built, with the allocator's loss */
    size_t bytes = 0, pieces = 0;
    for (uint64_t at = p->rows.first; at < spine_end(&p->rows); at++)
        pieces += spine_get(&p->rows, at) != NULL;
    for (size_t i = 0; i < n; i++) {
        if (tagindexes_have(p, tags[i])) continue;
        bool is_sum = memchr(tags[i].ptr, '^', tags[i].len) != NULL;
        size_t sums = pieces * SPINE_ROWS * sizeof(double);
        bytes += is_sum ? sums : p->samples * ENTRY_BYTES;
    }
    return bytes;
}
