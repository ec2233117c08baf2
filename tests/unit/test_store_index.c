/* Indexes: the ordered set against a sorted array; and a partition with indexes against one
 * without, which must answer alike whatever is written, cleared, taken, leased, given back and
 * restored. */
#include "kit/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "kit/source.h"
#include "kit/store.h"
#include "kit/tape.h"
#include "store/bounds.h"
#include "store/lease.h"
#include "store/matches.h"
#include "store/order.h"
#include "store/ready.h"
#include "store/sums.h"
#include "store/tagindex.h"

/* ---- the ordered set ---------------------------------------------------------------------- */

enum { ENTRIES = 20000 };

/* All entries that may be there, sorted; an entry's seq is its place. */
struct array {
    struct order_key keys[ENTRIES];
    bool is_there[ENTRIES];
    enum order_use use[ENTRIES];
    uint64_t n, looks;
};

static void array_init(struct array *a, struct source *s) {
    *a = (struct array){0};
    for (uint64_t i = 0, value = 0; i < ENTRIES; i++) {
        value += source_below(s, 3) == 0;
        a->keys[i] = (struct order_key){value, i};
    }
}

static enum order_use array_use(void *context, struct order_key key) {
    struct array *a = context;
    a->looks++;
    return a->use[key.seq];
}

static struct order_key draw_key(const struct array *a, struct source *s) {
    if (source_below(s, 16) == 0) return source_below(s, 2) ? ORDER_KEY_MIN : TAGINDEX_END;
    return a->keys[source_below(s, ENTRIES)];
}

static bool less(struct order_key a, struct order_key b) {
    return a.value != b.value ? a.value < b.value : a.seq < b.seq;
}

/* The first, or last, wanted entry of a range, by the array; ENTRIES where there is none. */
static size_t array_find(const struct array *a, struct order_key from, struct order_key end,
                         bool last) {
    for (size_t n = 0; n < ENTRIES; n++) {
        size_t i = last ? ENTRIES - 1 - n : n;
        if (a->is_there[i] && a->use[i] == ORDER_WANTED && !less(a->keys[i], from) &&
            less(a->keys[i], end))
            return i;
    }
    return ENTRIES;
}

static void check_walk(struct order *o, struct array *a, struct source *s) {
    struct order_key from = draw_key(a, s), end = draw_key(a, s), got;
    uint64_t left = UINT64_MAX, waste = UINT64_MAX;
    struct order_walk walk = {
        .use = array_use, .context = a, .wide = 1, .narrow = 2, .left = &left, .waste = &waste};
    bool last = source_below(s, 2);
    size_t expected = array_find(a, from, end, last);
    bool found = (last ? order_last : order_first)(o, &walk, from, end, &got);
    assert_int_equal(found, expected < ENTRIES);
    if (found) assert_int_equal(got.seq, expected);
}

static void check_rank(const struct order *o, const struct array *a, struct source *s) {
    struct order_key key = draw_key(a, s);
    uint64_t rank = 0;
    for (size_t i = 0; i < ENTRIES; i++) rank += a->is_there[i] && less(a->keys[i], key);
    assert_int_equal(order_rank(o, key), rank);
    assert_int_equal(o->n, a->n);
}

static void flip(struct order *o, struct array *a, size_t i) {
    if (a->is_there[i]) {
        assert_true(order_remove(o, a->keys[i]));
        a->n--;
    } else {
        assert_false(order_remove(o, a->keys[i]));
        order_add(o, a->keys[i]);
        a->n++;
    }
    a->is_there[i] = !a->is_there[i];
}

/* Of less use: without a word. Of more: with order_touch. */
static void change_use(struct order *o, struct array *a, size_t i, enum order_use use) {
    bool is_more = use > a->use[i];
    a->use[i] = use;
    if (is_more) order_touch(o, a->keys[i]);
}

static void test_an_order_is_a_sorted_array(void **state) {
    (void)state;
    static struct array a;
    struct source s = source_of_seed(3);
    struct order o = {0};
    size_t used = mem_used();
    array_init(&a, &s);
    for (unsigned round = 0; round < 12; round++) {
        bool grows = round % 4 != 3;
        for (unsigned step = 0; step < 8000; step++) {
            size_t i = source_below(&s, ENTRIES);
            if (round == 1) i = step; /* in order */
            if (a.is_there[i] != grows || source_below(&s, 8) == 0) flip(&o, &a, i);
            change_use(&o, &a, source_below(&s, ENTRIES), (enum order_use)source_below(&s, 3));
            if (step % 400 == 0) check_walk(&o, &a, &s);
            if (step % 2000 == 0) check_rank(&o, &a, &s);
        }
        for (size_t i = 0; i < ENTRIES; i++) /* most are used up */
            if (a.use[i] && source_below(&s, 50)) a.use[i] = ORDER_NEVER;
        for (unsigned i = 0; i < 40; i++) check_walk(&o, &a, &s);
        if (round == 5) order_forget(&o, 1);
    }
    for (size_t i = 0; i < ENTRIES; i++)
        if (a.is_there[i]) flip(&o, &a, i);
    assert_null(o.root);
    assert_int_equal(o.bytes, 0);
    assert_int_equal(mem_used(), used);
}

/* What was walked over once is not looked at again, and a walk is cut at its limit. */
static void test_a_walk_skips_what_is_spent(void **state) {
    (void)state;
    static struct array a;
    struct source s = source_of_seed(5);
    struct order o = {0};
    struct order_key got;
    array_init(&a, &s);
    for (size_t i = 0; i < ENTRIES; i++) a.is_there[i] = true;
    for (size_t i = 0; i < ENTRIES; i++) order_add(&o, a.keys[i]);
    a.use[100] = ORDER_WANTED;
    uint64_t left = 1000, waste = UINT64_MAX;
    struct order_walk walk = {
        .use = array_use, .context = &a, .wide = 1, .narrow = 1, .left = &left, .waste = &waste};
    unsigned tries = 0;
    for (; !order_last(&o, &walk, ORDER_KEY_MIN, TAGINDEX_END, &got); tries++) {
        assert_true(walk.is_cut);
        walk.is_cut = false;
        left = 1000;
    }
    assert_int_equal(got.seq, 100);
    assert_in_range(tries, ENTRIES / 1100, ENTRIES / 900);
    a.looks = 0;
    assert_true(order_last(&o, &walk, ORDER_KEY_MIN, TAGINDEX_END, &got));
    assert_in_range(a.looks, 1, 128);
    a.use[15000] = ORDER_WANTED;
    assert_true(order_last(&o, &walk, ORDER_KEY_MIN, TAGINDEX_END, &got));
    assert_int_equal(got.seq, 100); /* that it is of use again was not said */
    order_touch(&o, a.keys[15000]);
    assert_true(order_last(&o, &walk, ORDER_KEY_MIN, TAGINDEX_END, &got));
    assert_int_equal(got.seq, 15000);
    size_t steps = 5;
    while (!order_shrink(&o, &steps)) steps = 5;
    assert_int_equal(o.bytes, 0);
}

/* Bytes an entry of an order of `n` entries, of which the `at`-th has the key that `key` says. */
static double bytes_an_entry(unsigned n, struct order_key (*key)(unsigned at, unsigned n)) {
    struct order o = {0};
    for (unsigned i = 0; i < n; i++) order_add(&o, key(i, n));
    double bytes = (double)o.bytes / n;
    struct order_key got;
    for (unsigned i = 0; i < n; i++) {
        got = key(i, n);
        assert_true(order_remove(&o, got));
    }
    assert_null(o.root);
    return bytes;
}

static struct order_key key_rising(unsigned at, unsigned n) {
    (void)n;
    return (struct order_key){at, at};
}

static struct order_key key_falling(unsigned at, unsigned n) {
    return (struct order_key){n - at, at};
}

/* A full leaf, then what falls above it. */
static struct order_key key_falling_above(unsigned at, unsigned n) {
    return at < 63 ? (struct order_key){0, at} : key_falling(at, n);
}

/* Two full inner nodes of full leaves, then what falls between them. */
static struct order_key key_falling_between(unsigned at, unsigned n) {
    enum { FULL = 63 * 63, STEP = 1000000 };
    if (at < 2 * FULL) return (struct order_key){(uint64_t)at * STEP, at};
    return (struct order_key){(uint64_t)FULL * STEP - 1 - (at - 2 * FULL), at % n};
}

/* One value, later samples first. */
static struct order_key key_seqs_falling(unsigned at, unsigned n) {
    return (struct order_key){7, n - at};
}

/* One value: the oldest samples, then the newest first. */
static struct order_key key_seqs_falling_behind(unsigned at, unsigned n) {
    return (struct order_key){7, at < 62 ? at : n + 62 - at};
}

/* One value: the oldest and the newest in turn. */
static struct order_key key_seqs_from_both_ends(unsigned at, unsigned n) {
    return (struct order_key){7, at % 2 ? 2 * n - at : at};
}

/* A thousand values in turn. */
static struct order_key key_runs(unsigned at, unsigned n) {
    (void)n;
    return (struct order_key){at % 1000, at};
}

/* In whatever order entries come, they take about the same. */
static void test_an_entry_takes_few_bytes(void **state) {
    (void)state;
    struct order_key (*const keys[])(unsigned, unsigned) = {key_rising,
                                                            key_falling,
                                                            key_falling_above,
                                                            key_falling_between,
                                                            key_seqs_falling,
                                                            key_seqs_falling_behind,
                                                            key_seqs_from_both_ends,
                                                            key_runs};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        double bytes = bytes_an_entry(100000, keys[i]);
        print_message("order %zu: %.1f bytes an entry\n", i, bytes);
        assert_true(bytes < 35);
    }
}

/* Where one of 64 is wanted, no leaf is spent: a walk ends when it has looked at as many in vain as
 * it may. */
static void test_a_walk_in_vain_is_cut(void **state) {
    (void)state;
    enum { EVERY = 64, WASTE = 1000 };
    static struct array a;
    struct source s = source_of_seed(6);
    struct order o = {0};
    array_init(&a, &s);
    for (size_t i = 0; i < ENTRIES; i++) a.use[i] = i % EVERY ? ORDER_UNWANTED : ORDER_WANTED;
    for (size_t i = 0; i < ENTRIES; i++) order_add(&o, a.keys[i]);
    uint64_t left = UINT64_MAX, waste = WASTE;
    struct order_walk walk = {
        .use = array_use, .context = &a, .wide = 1, .narrow = 2, .left = &left, .waste = &waste};
    struct order_key from = ORDER_KEY_MIN, got;
    unsigned n = 0;
    for (; order_first(&o, &walk, from, TAGINDEX_END, &got); n++)
        from = (struct order_key){got.value, got.seq + 1};
    assert_true(walk.is_cut);
    assert_in_range(n, WASTE / EVERY, WASTE / EVERY + 3);
    assert_in_range(a.looks, WASTE, WASTE + 3 * EVERY);
    order_free(&o);
}

/* ---- a partition with indexes, and its twin without ---------------------------------------- */

static const struct span field = SPAN_LITERAL("f");

static void define(struct kit *k, bool alter, size_t n, const struct span *tags) {
    struct op op;
    struct define define = {.partition = SPAN_LITERAL("with"),
                            .alter = alter,
                            .sets_indexes = true,
                            .bounds = {.n_indexes = n, .indexes = tags}};
    scratch_reset(&k->scratch);
    assert_int_equal(define_plan(k->store, &define, k->now_ms, &k->scratch, &op, &k->error), 0);
    store_apply(k->store, &op);
}

struct twins {
    struct kit *k;
    struct source source;
    struct scratch scratch; /* of the step; requests of the kit reset theirs */
    unsigned next;          /* keys below it were made */
    uint64_t leases[8][2];
    unsigned n_leases, n_exact;
    unsigned n_complete, n_incomplete; /* steps at which the indexes were so */
};

static const char *const names[] = {"with", "without"};

static const char *key_of(struct twins *t, unsigned number) {
    char *key = scratch_alloc(&t->scratch, 16, 1);
    snprintf(key, 16, "k%u", number);
    return key;
}

static const char *draw_name(struct twins *t) {
    unsigned back = (unsigned)source_below(&t->source, 3000);
    return key_of(t, back < t->next ? t->next - 1 - back : 0);
}

static const char *draw_value(struct twins *t) {
    static const char *const odd[] = {"inf",
                                      "-inf",
                                      "nan",
                                      "abc",
                                      "",
                                      "1e1",
                                      "010",
                                      "-0",
                                      "0.0",
                                      "0",
                                      "5.00",
                                      "0x10",
                                      "5e0",
                                      "-5",
                                      "9223372036854775807",
                                      "9223372036854775806",
                                      "-9223372036854775808",
                                      "18446744073709551615"};
    if (source_below(&t->source, 8) == 0)
        return odd[source_below(&t->source, sizeof(odd) / sizeof(odd[0]))];
    char *text = scratch_alloc(&t->scratch, 24, 1);
    snprintf(text, 24, source_below(&t->source, 2) ? "%d" : "%d.5",
             (int)source_below(&t->source, 400) - 100);
    return text;
}

static struct where draw_where(struct twins *t, size_t most) {
    struct where where = {.n = source_below(&t->source, most + 1)};
    struct where_condition *c = scratch_alloc(&t->scratch, most, sizeof(*c));
    for (size_t i = 0; i < where.n; i++)
        c[i] =
            (struct where_condition){span_of_string(source_below(&t->source, 4) ? "v" : "u"),
                                     (enum where_operator)source_below(&t->source, WHERE_OPERATORS),
                                     span_of_string(draw_value(t))};
    where.conditions = c;
    return where;
}

/* The keys of a batch, behind each other. */
static struct span batch_text(struct twins *t, const char *partition,
                              const struct sampled *sampled) {
    const struct partition *p = kit_partition(t->k, partition);
    char *text = scratch_alloc(&t->scratch, sampled->n + 1, 16), *at = text;
    at += sprintf(at, "%d:", sampled->outcome);
    for (size_t i = 0; sampled->outcome == SAMPLE_BATCH && i < sampled->n; i++) {
        struct span key = partition_key(p, sampled->seqs[i]);
        memcpy(at, key.ptr, key.len);
        at += key.len;
        *at++ = ' ';
    }
    return span_of(text, (size_t)(at - text));
}

/* The scan that a plan asked for, in slices. */
static void scan(struct twins *t, const char *partition, const struct where *where) {
    struct match_set *set = matches_hold(kit_partition(t->k, partition), where, &t->scratch);
    while (set && !matches_fill(set, 50)) continue;
    if (set) matches_release(set);
}

static void draw_sampler(struct twins *t, struct sample_call *call) {
    static const char *const samplers[] = {"MAX",        "MIN",  "MAX",    "MIN",
                                           "SEQUENTIAL", "LIFO", "RANDOM", "GROUP"};
    uint64_t by = source_below(&t->source, 8);
    call->sampler = sampler_find(span_of_string(samplers[by]));
    call->args =
        (struct sampler_args){.tag = span_of_string(source_below(&t->source, 4) ? "v" : "u"),
                              .exponent = 1,
                              .number = by == 7,
                              .seed = source_below(&t->source, 1000),
                              .seeded = true};
}

static void step_sample(struct twins *t) {
    static const char *const tasks[] = {"a", "b", "c"};
    struct sample_call call = {.count = 1 + source_below(&t->source, 60), .fields = &field};
    call.at_least = source_below(&t->source, 2) ? 1 : call.count;
    call.task = span_of_string(tasks[source_below(&t->source, 3)]);
    call.n_fields = source_below(&t->source, 4) != 0;
    draw_sampler(t, &call);
    if (source_below(&t->source, 2)) call.where = draw_where(t, 2);
    call.keep = source_below(&t->source, 4) == 0;
    call.lease_ms = !call.keep && source_below(&t->source, 2) ? 1000 : 0;
    struct span text[2];
    for (int i = 0; i < 2; i++) {
        struct sampled sampled;
        call.partition = span_of_string(names[i]);
        call.evaluations = source_below(&t->source, 2) ? 100 : 0;
        call.walk = (struct sample_walk){0};
        do {
            int failed =
                sample_plan(t->k->store, &call, t->k->now_ms, &t->scratch, &sampled, &t->k->error);
            assert_int_equal(failed, 0);
            call.walk = sampled.walk;
            if (sampled.outcome == SAMPLE_SCAN) scan(t, names[i], &call.where);
        } while (sampled.outcome == SAMPLE_WALK || sampled.outcome == SAMPLE_SCAN);
        text[i] = batch_text(t, names[i], &sampled);
        if (sampled.outcome != SAMPLE_BATCH || !sampled.changes) continue;
        t->leases[t->n_leases % 8][i] = sampled.op.select.lease.id;
        store_apply(t->k->store, &sampled.op);
    }
    if (call.lease_ms) t->n_leases++;
    if (!span_equal(text[0], text[1]))
        fprintf(stderr, "with: %.*s\nwithout: %.*s\n", SPAN_ARG(text[0]), SPAN_ARG(text[1]));
    assert_true(span_equal(text[0], text[1]));
}

/* What TQ.COUNT answers, and what the range of an index says of it. */
static void step_count(struct twins *t) {
    struct where where = draw_where(t, 3);
    bool of_task = source_below(&t->source, 2);
    uint64_t counts[2], admitted = 0;
    for (int i = 0; i < 2; i++) {
        const struct partition *p = kit_partition(t->k, names[i]);
        struct ready_query query = {.partition = p,
                                    .task = of_task ? partition_task(p, SPAN_LITERAL("a")) : NULL,
                                    .where = &where,
                                    .evaluations = source_below(&t->source, 2) ? 100 : 0};
        struct ready ready;
        ready_open(&ready, &query, &t->scratch);
        counts[i] = ready_count(&ready);
        if (!ready_is_cut(&ready)) continue;
        scan(t, names[i], &where);
        ready_open(&ready, &query, &t->scratch);
        counts[i] = ready_count(&ready);
        assert_false(ready_is_cut(&ready));
    }
    assert_int_equal(counts[0], counts[1]);
    const struct partition *p = kit_partition(t->k, "with");
    struct tagindex_range range;
    if (!where.n || !tagindex_range(p, &where, &range)) return;
    struct where_bound bound = where_bind(&where, p, &t->scratch);
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++)
        admitted += where_admits(&bound, seq);
    assert_true(range.is_exact ? range.n == admitted : range.n >= admitted);
    t->n_exact += range.is_exact;
}

/* Ends a lease, or as if its time had run out, or gives one sample back. */
static void step_lease(struct twins *t) {
    unsigned which = (unsigned)source_below(&t->source, 8),
             how = (unsigned)source_below(&t->source, 3);
    struct span key = span_of_string(draw_name(t));
    for (int i = 0; i < 2; i++) {
        char id[24];
        struct op op;
        const struct partition *p = kit_partition(t->k, names[i]);
        snprintf(id, sizeof(id), "%llu", (unsigned long long)t->leases[which][i]);
        for (size_t task = 0; task < p->n_tasks; task++) {
            struct lease_request request = {.partition = span_of_string(names[i]),
                                            .task = p->tasks[task]->name,
                                            .id = span_of_string(id),
                                            .n_keys = how == 2,
                                            .keys = how == 2 ? &key : NULL};
            if (how == 0 ? !lease_plan_ack(t->k->store, &request, t->k->now_ms, &t->scratch, &op,
                                           &t->k->error)
                         : !lease_plan_nack(t->k->store, &request, t->k->now_ms, &t->scratch, &op,
                                            &t->k->error))
                store_apply(t->k->store, &op);
        }
    }
}

static void step_reset(struct twins *t) {
    struct span key = span_of_string(draw_name(t)), task = SPAN_LITERAL("b");
    bool all = source_below(&t->source, 20) == 0, one = source_below(&t->source, 2);
    for (int i = 0; i < 2; i++) {
        struct reset reset = {.select = {.partition = span_of_string(names[i]),
                                         .n_keys = !all,
                                         .keys = all ? NULL : &key}};
        if (one) reset.task = task;
        kit_reset(t->k, &reset);
    }
}

/* As TQ.CLEAR does it: without keys, in slices. */
static size_t clear_one(struct twins *t, const char *partition, struct clear clear) {
    struct select_slice slice = {.end = UINT64_MAX};
    struct op op;
    size_t cleared = 0;
    clear.select.partition = span_of_string(partition);
    if (clear.select.where.n) clear.select.slice = &slice;
    do {
        slice.samples = 1 + source_below(&t->source, 2000);
        slice.evaluations = 1 + source_below(&t->source, 2000);
        if (clear_plan(t->k->store, &clear, t->k->now_ms, &t->scratch, &op) == CLEAR_OP)
            cleared += store_apply(t->k->store, &op);
    } while (slice.more);
    return cleared;
}

static void step_clear(struct twins *t) {
    struct span key = span_of_string(draw_name(t)), tag = SPAN_LITERAL("v");
    struct clear clear = {.select = {.n_keys = 1, .keys = &key}};
    uint64_t kind = source_below(&t->source, 40);
    struct where where = draw_where(t, 2);
    if (kind < 15) {
        clear.what = kind < 10 ? SELECT_TAGS : SELECT_FIELDS;
        clear.n_names = 1;
        clear.names = kind < 10 ? &tag : &field;
    }
    if (kind >= 38 && where.n == 2) clear.select = (struct select){.where = where};
    if (kind == 0) clear.select = (struct select){.keys = NULL}; /* the tag of all */
    size_t cleared = clear_one(t, "with", clear);
    assert_int_equal(clear_one(t, "without", clear), cleared);
}

static void step_write(struct twins *t) {
    bool is_new = source_below(&t->source, 2);
    const char *key = is_new ? key_of(t, t->next++) : draw_name(t);
    const char *value = draw_value(t), *tag = source_below(&t->source, 3) ? "v" : "u";
    uint64_t what = source_below(&t->source, 3);
    for (int i = 0; i < 2; i++) {
        if (what) assert_int_equal(kit_tag(t->k, names[i], key, tag, value), 0);
        if (what != 1) assert_int_equal(kit_field(t->k, names[i], key, "f", SPAN_LITERAL("x")), 0);
    }
}

/* The store goes through a dump: the index is built anew. */
static void step_restore(struct twins *t) {
    struct tape tape = tape_record(t->k->store, t->k->now_ms);
    const struct partition *p = kit_partition(t->k, "with");
    uint64_t last = store_leases(t->k->store)->last_id;
    size_t n = p->n_indexes;
    kit_empty(t->k);
    assert_int_equal(tape_play(&tape, t->k->store, &t->k->error), 0);
    assert_int_equal(store_leases(t->k->store)->last_id, last);
    tape_free(&tape);
    p = kit_partition(t->k, "with");
    assert_int_equal(p->n_indexes, n);
    for (size_t i = 0; i < n; i++)
        assert_true(span_equal(p->bounds->indexes[i], SPAN_LITERAL("v")));
}

/* Slices of building come between all others. */
static void step_build(struct twins *t) {
    const struct partition *p = kit_partition(t->k, "with");
    if (tagindexes_are_complete(p))
        t->n_complete++;
    else
        t->n_incomplete++;
    assert_int_equal(store_is_building(t->k->store), !tagindexes_are_complete(p));
    if (source_below(&t->source, 4) == 0)
        store_build_indexes(t->k->store, source_below(&t->source, 200));
}

/* The index has each sample that is not in its gap, and no other. */
static void check_samples(const struct partition *p) {
    for (size_t i = 0; i < p->n_indexes; i++) {
        struct tagindex_progress index;
        tagindex_progress(p->indexes[i], &index);
        assert_true(index.is_complete ? index.samples == p->samples : index.samples <= p->samples);
    }
}

static void test_an_index_changes_no_answer(void **state) {
    static const struct span tags[] = {SPAN_LITERAL("v")};
    struct twins t = {.k = *state, .source = source_of_seed(7)};
    define(t.k, false, 1, tags);
    while (t.next < 6000) step_write(&t);
    for (unsigned step = 0; step < 12000; step++) {
        uint64_t kind = source_below(&t.source, 100);
        scratch_reset(&t.scratch);
        scratch_reset(&t.k->scratch);
        step_build(&t);
        if (kind < 45)
            step_write(&t);
        else if (kind < 70)
            step_sample(&t);
        else if (kind < 75)
            step_count(&t);
        else if (kind < 85)
            step_lease(&t);
        else if (kind < 88)
            step_reset(&t);
        else if (kind < 99)
            step_clear(&t);
        else if (source_below(&t.source, 8) == 0)
            step_restore(&t);
        else if (source_below(&t.source, 8) == 0) {
            define(t.k, true, 0, NULL);
            define(t.k, true, 1, tags);
        }
        check_samples(kit_partition(t.k, "with"));
    }
    assert_true(t.n_complete && t.n_incomplete && t.n_exact);
    const struct partition *p = kit_partition(t.k, "with");
    while (store_is_building(t.k->store)) store_build_indexes(t.k->store, 1000);
    check_samples(p);
    assert_true(tagindexes_overhead(p) > p->samples * sizeof(struct order_key));
    scratch_free(&t.scratch);
}

/* ---- WHERE -------------------------------------------------------------------------------- */

/* n samples k0, k1, … with f, of which sample i has i in the tag. */
static void fill(struct kit *k, unsigned from, unsigned n) {
    char key[16];
    for (unsigned i = from; i < from + n; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        kit_field(k, "with", key, "f", SPAN_LITERAL("x"));
        kit_tag(k, "with", key, "v", key + 1);
    }
}

/* How many samples have a tag that is at least, or at most, this; by evaluating 128 of them at the
 * most. */
static uint64_t count_by_index(struct kit *k, enum where_operator operator, const char * value) {
    struct where_condition condition = {SPAN_LITERAL("v"), operator, span_of_string(value)};
    struct where where = {1, &condition};
    struct ready_query query = {
        .partition = kit_partition(k, "with"), .where = &where, .evaluations = 128};
    struct ready ready;
    scratch_reset(&k->scratch);
    ready_open(&ready, &query, &k->scratch);
    uint64_t n = ready_count(&ready);
    assert_false(ready_is_cut(&ready));
    return n;
}

static void test_a_where_is_a_range_and_keeps_up(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v")};
    define(k, false, 1, tags);
    fill(k, 0, 20000);
    assert_int_equal(count_by_index(k, WHERE_GE, "19995"), 5);
    assert_int_equal(count_by_index(k, WHERE_LE, "3"), 4);
    kit_tag(k, "with", "k7000", "v", "30000"); /* in a block without a match */
    assert_int_equal(count_by_index(k, WHERE_GE, "19995"), 6);
    kit_tag(k, "with", "k7000", "v", "1");
    assert_int_equal(count_by_index(k, WHERE_GE, "19995"), 5);
    assert_int_equal(count_by_index(k, WHERE_LE, "3"), 5);
    kit_tag(k, "with", "k20000", "v", "2"); /* a new one, in a block that had no match */
    assert_int_equal(count_by_index(k, WHERE_LE, "3"), 6);
    kit_tag(k, "with", "k20001", "v", "abc"); /* compares as bytes: above all digits */
    assert_int_equal(count_by_index(k, WHERE_GE, "19995"), 6);
    kit_clear_key(k, "with", "k1");
    assert_int_equal(count_by_index(k, WHERE_LE, "3"), 5);
    define(k, true, 0, NULL);
    assert_int_equal(count_by_index(k, WHERE_LE, "3"), 5); /* what is known stays */
}

/* ---- what is consumed is not walked over --------------------------------------------------- */

enum { MANY = 20000 };

static struct sampled sample_max(struct kit *k, uint64_t count, uint64_t evaluations, bool lease) {
    struct sampled sampled;
    struct sample_call call = {.partition = SPAN_LITERAL("with"),
                               .task = SPAN_LITERAL("a"),
                               .count = count,
                               .at_least = count,
                               .n_fields = 1,
                               .fields = &field,
                               .sampler = sampler_find(SPAN_LITERAL("MAX")),
                               .args = {.tag = SPAN_LITERAL("v"), .exponent = 1},
                               .lease_ms = lease ? 1000 : 0,
                               .evaluations = evaluations};
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    return sampled;
}

static struct sample_call call_of_oldest(uint64_t count) {
    return (struct sample_call){.partition = SPAN_LITERAL("with"),
                                .task = SPAN_LITERAL("a"),
                                .count = count,
                                .at_least = count,
                                .n_fields = 1,
                                .fields = &field,
                                .sampler = sampler_find(SPAN_LITERAL("SEQUENTIAL"))};
}

static void test_what_is_consumed_is_walked_over_once(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v")};
    char key[16], value[16];
    define(k, false, 1, tags);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        snprintf(value, sizeof(value), "%u", MANY - i);
        kit_field(k, "with", key, "f", SPAN_LITERAL("x"));
        kit_tag(k, "with", key, "v", value);
    }
    struct sampled sampled;
    struct sample_call call = call_of_oldest(MANY / 2);
    assert_int_equal(kit_sample(k, &call, &sampled), 0); /* the larger half */
    unsigned cuts = 0;
    while ((sampled = sample_max(k, 1, 500, false)).outcome == SAMPLE_WALK) cuts++;
    assert_in_range(cuts, MANY / 2 / 600, MANY / 2 / 400);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
    assert_int_equal(sampled.seqs[0], MANY / 2);
    for (unsigned i = 1; i < 1000; i++) { /* so many entries are in one leaf, or two */
        sampled = sample_max(k, 1, 1 + (i % 70 == 0) * 128, true);
        if (sampled.outcome == SAMPLE_WALK) sampled = sample_max(k, 1, 129, true);
        assert_int_equal(sampled.outcome, SAMPLE_BATCH);
        assert_int_equal(sampled.seqs[0], MANY / 2 + i);
    }
    k->now_ms += 2000;
    struct op op;
    while (lease_plan_expiry(k->store, k->now_ms, &op)) store_apply(k->store, &op);
    sampled = sample_max(k, 1, 129, false);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
    assert_int_equal(sampled.seqs[0], MANY / 2 + 1); /* given back: the old places */
    struct span again = SPAN_LITERAL("k7");
    kit_reset(k, &(struct reset){
                     .select = {.partition = SPAN_LITERAL("with"), .n_keys = 1, .keys = &again}});
    sampled = sample_max(k, 1, 129, false);
    assert_int_equal(sampled.seqs[0], 7);
}

/* A walk whose WHERE admits one of 64 gets on nowhere: each try would look at all of it again. It
 * ends after few tries, and the scan that takes its place finds the same. */
static void test_a_walk_in_vain_is_given_up(void **state) {
    enum { EVERY = 64, COUNT = 200 };
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v")};
    static const struct where_condition admits = {SPAN_LITERAL("w"), WHERE_EQ, SPAN_LITERAL("1")};
    char key[16];
    define(k, false, 1, tags);
    fill(k, 0, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        kit_tag(k, "with", key, "w", i % EVERY ? "0" : "1");
    }
    struct sampled sampled = {0};
    struct sample_call call = call_of_oldest(COUNT);
    call.sampler = sampler_find(SPAN_LITERAL("MAX"));
    call.args = (struct sampler_args){.tag = SPAN_LITERAL("v"), .exponent = 1};
    call.where = (struct where){1, &admits};
    call.evaluations = 500;
    for (unsigned tries = 0; !call.walk.is_given_up; tries++) {
        assert_true(tries < 3);
        scratch_reset(&k->scratch);
        assert_int_equal(sample_plan(k->store, &call, 0, &k->scratch, &sampled, &k->error), 0);
        assert_int_equal(sampled.outcome, SAMPLE_WALK);
        call.walk = sampled.walk;
    }
    struct match_set *set = matches_hold(kit_partition(k, "with"), &call.where, &k->scratch);
    while (!matches_fill(set, 500)) continue;
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(sampled.seqs[i], (MANY - 1) / EVERY * EVERY - i * EVERY);
    matches_release(set);
}

/* ---- PRIORITY ----------------------------------------------------------------------------- */

static struct sample_call priority_of(uint64_t count, double exponent, uint64_t seed) {
    return (struct sample_call){
        .partition = SPAN_LITERAL("with"),
        .task = SPAN_LITERAL("a"),
        .count = count,
        .at_least = count,
        .n_fields = 1,
        .fields = &field,
        .sampler = sampler_find(SPAN_LITERAL("PRIORITY")),
        .args = {.tag = SPAN_LITERAL("v"), .exponent = exponent, .seed = seed, .seeded = true},
        .keep = true};
}

/* n draws agree with what is expected of each of m: below the 99.99th percentile of chi-square
 * (Wilson and Hilferty's approximation); those that are expected less than 5 times count as one.
 * Seeds are fixed, so it always does or never. */
static void expect_frequencies(const unsigned *got, const double *weights, size_t m, unsigned n) {
    double all = 0, chi = 0, degrees = 0, rare = 0, n_rare = 0;
    for (size_t i = 0; i < m; i++) all += weights[i];
    for (size_t i = 0; i < m; i++) {
        double expected = n * weights[i] / all;
        if (weights[i] == 0) assert_int_equal(got[i], 0);
        if (expected < 5) {
            rare += expected;
            n_rare += got[i];
            continue;
        }
        chi += (got[i] - expected) * (got[i] - expected) / expected;
        degrees++;
    }
    if (rare >= 1) chi += (n_rare - rare) * (n_rare - rare) / rare;
    if (rare < 1) degrees--;
    double a = 2 / (9 * degrees), limit = degrees * pow(1 - a + 3.72 * sqrt(a), 3);
    if (chi >= limit) fprintf(stderr, "chi-square %g, expected less than %g\n", chi, limit);
    assert_true(chi < limit);
}

static void sample_some(struct kit *k, const char *sampler, uint64_t count) {
    struct sampled sampled;
    struct sample_call call = priority_of(count, 2, 99);
    call.sampler = sampler_find(span_of_string(sampler));
    call.keep = false;
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
}

enum { DRAWS = 40000, OF = 400 };

/* First picks of many seeds are in proportion to v^2 among what is left: the task consumes, a lease
 * comes back, a sample is cleared, tags change between the rounds, a WHERE restricts. */
static void test_priority_by_sums_is_proportional(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v^2")};
    define(k, false, 1, tags);
    fill(k, 0, OF);
    struct where_condition condition = {SPAN_LITERAL("v"), WHERE_LT, SPAN_LITERAL("300")};
    for (unsigned round = 0; round < 6; round++) {
        const struct partition *p = kit_partition(k, "with");
        struct where where = {round % 2, &condition};
        unsigned got[OF] = {0};
        double weights[OF] = {0};
        struct ready ready;
        scratch_reset(&k->scratch);
        ready_open(&ready,
                   &(struct ready_query){.partition = p,
                                         .task = partition_task(p, SPAN_LITERAL("a")),
                                         .n_fields = 1,
                                         .fields = &field,
                                         .where = &where},
                   &k->scratch);
        for (uint64_t seq; (seq = ready_next(&ready)) != SEQ_NONE;) {
            struct span value;
            assert_true(column_get(column_set_find(&p->tags, SPAN_LITERAL("v")), seq, &value));
            struct number number;
            assert_true(number_parse(value, &number));
            weights[seq] = number.value * number.value;
        }
        for (unsigned i = 0; i < DRAWS; i++) {
            struct sample_call call = priority_of(1, 2, i);
            struct sampled sampled;
            call.where = where;
            assert_true(sample_walks(k->store, &call) || where.n);
            assert_int_equal(kit_sample(k, &call, &sampled), 0);
            got[sampled.seqs[0]]++;
        }
        expect_frequencies(got, weights, OF, DRAWS);
        sample_some(k, round % 2 ? "SEQUENTIAL" : "PRIORITY", 60);
        kit_clear_key(k, "with",
                      (const char *[]){"k390", "k0", "k391", "k17", "k392", "k9"}[round]);
        kit_tag(k, "with", "k7", "v", round % 2 ? "1000" : "800");
    }
}

/* Of a batch, each is drawn in proportion among what the batch left over. */
static void test_priority_by_sums_replaces_nothing(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v^1")};
    static const double weights[] = {1, 2, 3, 50};
    double second[4] = {0}, all = 56;
    unsigned got[4] = {0};
    define(k, false, 1, tags);
    fill(k, 0, 200);
    for (unsigned i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        kit_tag(k, "with", key, "v",
                i % 60 == 0 ? (const char *[]){"1", "2", "3", "50"}[i / 60] : "0");
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            if (i != j) second[j] += weights[i] / all * weights[j] / (all - weights[i]);
    for (unsigned i = 0; i < DRAWS; i++) {
        struct sample_call call = priority_of(6, 1, i);
        struct sampled sampled;
        assert_int_equal(kit_sample(k, &call, &sampled), 0);
        assert_int_equal(sampled.n, 6);
        for (int at = 0; at < 6; at++) { /* those without a weight come last, none twice */
            assert_int_equal(at < 4, sampled.seqs[at] % 60 == 0);
            for (int before = 0; before < at; before++)
                assert_int_not_equal(sampled.seqs[before], sampled.seqs[at]);
        }
        got[sampled.seqs[1] / 60]++;
    }
    expect_frequencies(got, second, 4, DRAWS);
    kit_tag(k, "with", "k5", "v", "inf"); /* beyond sums: then draws are made without them */
    struct sample_call call = priority_of(1, 1, 1);
    struct sampled sampled;
    assert_false(sample_walks(k->store, &call));
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.seqs[0], 5);
    kit_tag(k, "with", "k5", "v", "1");
    assert_true(sample_walks(k->store, &call));
}

/* The task has consumed nearly all weight: that costs draws in vain once. */
static void test_priority_leaves_what_is_consumed(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v^8")};
    define(k, false, 1, tags);
    fill(k, 0, MANY);
    struct sampled sampled;
    struct sample_call call = call_of_oldest(MANY - 100);
    call.sampler = sampler_find(SPAN_LITERAL("LIFO"));
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    unsigned cuts = 0;
    struct sample_call draw = priority_of(1, 8, 1);
    draw.evaluations = 640; /* ten draws in vain */
    for (;; cuts++) {
        assert_int_equal(kit_sample(k, &draw, &sampled), 0);
        if (sampled.outcome == SAMPLE_BATCH) break;
        assert_int_equal(sampled.outcome, SAMPLE_WALK);
    }
    assert_in_range(cuts, 10, MANY / 64 / 10 + 1);
    draw.evaluations = 320;
    draw.keep = false;
    for (unsigned i = 0; i < 100; i++) {
        draw.args.seed = i;
        assert_int_equal(kit_sample(k, &draw, &sampled), 0);
        assert_int_equal(sampled.outcome, SAMPLE_BATCH);
        assert_true(sampled.seqs[0] < 100);
    }
    kit_reset(k, &(struct reset){.select = {.partition = SPAN_LITERAL("with")}});
    assert_int_equal(kit_sample(k, &draw, &sampled), 0);
    assert_true(sampled.seqs[0] >= 100); /* what came back weighs again */
}

/* A large batch of a partition that is consumed in part: each try that is cut leaves less to draw
 * in vain to the next one, though it picked samples of many words. */
static void test_priority_by_sums_ends(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v^0")};
    define(k, false, 1, tags);
    fill(k, 0, MANY);
    sample_some(k, "RANDOM", MANY / 2);
    struct sampled sampled;
    struct sample_call call = priority_of(1000, 0, 1);
    call.evaluations = 640; /* ten draws in vain */
    unsigned cuts = 0;
    for (;; cuts++) {
        assert_true(cuts <= MANY / 64 / 10 + 1);
        assert_int_equal(kit_sample(k, &call, &sampled), 0);
        if (sampled.outcome != SAMPLE_WALK) break;
    }
    assert_true(cuts > 0);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
    assert_int_equal(sampled.n, 1000);
}

/* x^1.0 and x^1 are one index, in a declaration and in a dump. */
static void test_an_index_is_declared_once(void **state) {
    struct kit *k = *state;
    static const struct span twice[] = {SPAN_LITERAL("v^1"), SPAN_LITERAL("v^1.0")};
    static const struct span tags[] = {SPAN_LITERAL("v^1"), SPAN_LITERAL("v^1.5")};
    struct op op;
    struct define define_twice = {.partition = SPAN_LITERAL("p"),
                                  .sets_indexes = true,
                                  .bounds = {.n_indexes = 2, .indexes = twice}};
    assert_int_equal(define_plan(k->store, &define_twice, 0, &k->scratch, &op, &k->error),
                     ERROR_ERR);
    assert_string_equal(k->error.text, "INDEX: tag 'v^1.0' is named twice");
    define(k, false, 2, tags);
    struct tape tape = tape_record(k->store, k->now_ms);
    kit_empty(k);
    bool is_found = false;
    for (size_t i = 0; i < tape.n; i++) {
        struct span head = tape.sections[i].head;
        char *name = memmem(head.ptr, head.len, "v^1.5", 5);
        if (!name) continue;
        name[4] = '0';
        is_found = true;
    }
    assert_true(is_found);
    assert_int_not_equal(tape_play(&tape, k->store, &k->error), 0);
    assert_non_null(strstr(k->error.text, "two indexes of tag 'v^1.0'"));
    tape_free(&tape);
}

/* How many samples the task can draw by weight now; they stay ready. */
static uint64_t count_drawn(struct kit *k) {
    struct sample_call call = priority_of(1000, 1, 1);
    struct sampled sampled;
    call.at_least = 1;
    assert_true(sample_walks(k->store, &call));
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    return sampled.outcome == SAMPLE_BATCH ? sampled.n : 0;
}

/* What becomes ready, or heavier, counts for views that had nothing left of its word. */
static void test_priority_sees_what_comes_back(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v^1")};
    struct sampled sampled;
    struct op op;
    define(k, false, 1, tags);
    fill(k, 1, 200);
    struct sample_call call = call_of_oldest(200);
    assert_int_equal(count_drawn(k), 200);
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(count_drawn(k), 0);
    assert_int_equal(count_drawn(k), 0);
    struct span again = SPAN_LITERAL("k7");
    kit_reset(k, &(struct reset){
                     .select = {.partition = SPAN_LITERAL("with"), .n_keys = 1, .keys = &again}});
    assert_int_equal(count_drawn(k), 1);
    call.count = call.at_least = 1;
    call.lease_ms = 1000;
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(count_drawn(k), 0);
    k->now_ms += 2000;
    assert_true(lease_plan_expiry(k->store, k->now_ms, &op));
    store_apply(k->store, &op);
    assert_int_equal(count_drawn(k), 1);
    kit_tag(k, "with", "k201", "v", "3"); /* without the field */
    assert_int_equal(count_drawn(k), 1);
    kit_field(k, "with", "k201", "f", SPAN_LITERAL("x"));
    assert_int_equal(count_drawn(k), 2);
    fill(k, 300, 1000);
    assert_int_equal(count_drawn(k), 1000);
}

/* The weight of each sample is what its tag says now, and no other sample has one. */
static void expect_weights(const struct sums *sums, const struct partition *p) {
    const struct column *tag = column_set_find(&p->tags, SPAN_LITERAL("v"));
    uint64_t n_positive = 0;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++) {
        struct span value;
        struct number number;
        double weight = 0;
        if (column_get(tag, seq, &value) && number_parse(value, &number) && number.value > 0)
            weight = pow(number.value, 2);
        assert_true(sums_weight(sums, seq) == weight);
        n_positive += weight > 0;
    }
    assert_int_equal(sums->n_positive, n_positive);
}

/* Writes, clears and new samples between slices, before the gap, in it and behind it. Weights that
 * are beyond sums come and go: an odd weight left in the count would keep the sums from use. */
static void test_sums_are_built_between_writes(void **state) {
    struct kit *k = *state;
    enum { N = 3000 };
    static const struct span tags[] = {SPAN_LITERAL("v^2")};
    static const char *const values[] = {"7", "inf", "0", "abc", "1e-300", "12.5"};
    struct source s = source_of_seed(11);
    struct span tag = SPAN_LITERAL("v");
    char key[16];
    unsigned next = N, slices = 0;
    fill(k, 0, N);
    define(k, true, 1, tags);
    for (; store_is_building(k->store); slices++) {
        assert_null(tagindex_sums(kit_partition(k, "with"), tag, 2));
        for (unsigned i = 0; i < 60; i++) {
            snprintf(key, sizeof(key), "k%u", (unsigned)source_below(&s, next));
            struct span name = span_of_string(key);
            struct clear clear = {
                .select = {.partition = SPAN_LITERAL("with"), .n_keys = 1, .keys = &name}};
            switch (source_below(&s, 4)) {
            case 0: fill(k, next++, 1); break;
            case 1: kit_clear_key(k, "with", key); break;
            case 2:
                clear.what = SELECT_TAGS;
                clear.n_names = 1;
                clear.names = &tag;
                kit_clear(k, &clear);
                break;
            default: kit_tag(k, "with", key, "v", values[source_below(&s, 6)]);
            }
        }
        store_build_indexes(k->store, 100);
    }
    assert_in_range(slices, 10, N / 100);
    for (unsigned i = 0; i < next; i++) { /* without odd weights */
        snprintf(key, sizeof(key), "k%u", i);
        if (i % 3)
            kit_tag(k, "with", key, "v", key + 1);
        else
            kit_clear_key(k, "with", key);
    }
    const struct partition *p = kit_partition(k, "with");
    assert_non_null(tagindex_sums(p, tag, 2));
    expect_weights(tagindex_sums(p, tag, 2), p);
    check_samples(p);
}

/* What indexes that are built are going to take is counted until they are complete; a partition
 * that goes, or declares them no longer, takes it along. */
static void test_the_bytes_of_a_building_are_counted(void **state) {
    struct kit *k = *state;
    enum { N = 5000 };
    static const struct span tags[] = {SPAN_LITERAL("v"), SPAN_LITERAL("v^1")};
    fill(k, 0, N);
    for (unsigned round = 0; round < 3; round++) {
        size_t cost = tagindexes_cost(kit_partition(k, "with"), tags, 2), before = SIZE_MAX;
        size_t used = mem_used();
        define(k, true, 2, tags);
        size_t fixed = cost - store_building_bytes(k->store); /* taken at once, with no sample */
        assert_in_range(mem_used() - used, fixed * 3 / 4, fixed + 512); /* the bounds, too */
        assert_int_equal(tagindexes_cost(kit_partition(k, "with"), tags, 2), 0);
        for (unsigned i = 0; round == 0 || i < 3; i++) {
            assert_in_range(mem_used() - used + store_building_bytes(k->store), 0, cost + 16384);
            assert_true(store_building_bytes(k->store) <= before);
            assert_true(i < 20);
            before = store_building_bytes(k->store);
            if (!before) break;
            store_build_indexes(k->store, 1000);
        }
        if (round == 1)
            kit_drop(k, "with");
        else
            define(k, true, 0, NULL);
        assert_false(store_is_building(k->store));
        assert_int_equal(store_building_bytes(k->store), 0);
        for (size_t steps = 1; store_is_reclaiming(k->store); steps = 1)
            store_reclaim(k->store, steps);
        if (round == 1) fill(k, 0, N);
        assert_in_range(tagindexes_overhead(kit_partition(k, "with")), 0, 0);
    }
}

/* A few samples take a whole node of an index: where there are many small partitions, that is most
 * of what their indexes take. It is in the cost, and counted until the index is built. */
static void test_the_first_node_of_an_index_is_counted(void **state) {
    struct kit *k = *state;
    static const struct span tag = SPAN_LITERAL("v");
    static const unsigned counts[] = {1, 20};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        fill(k, 0, counts[i]);
        size_t empty = tagindexes_cost(NULL, &tag, 1);
        size_t cost = tagindexes_cost(kit_partition(k, "with"), &tag, 1);
        define(k, true, 1, &tag);
        size_t used = mem_used(), building = store_building_bytes(k->store);
        assert_int_equal(cost - empty, building);
        store_build_indexes(k->store, counts[i] + 1);
        assert_false(store_is_building(k->store));
        assert_in_range(mem_used() - used, 1, building);
        kit_drop(k, "with");
        while (store_is_reclaiming(k->store)) store_reclaim(k->store, 1000);
    }
}

/* What the indexes of a partition without samples take is in their cost, also under long names, and
 * in a partition that is new. */
static void test_an_empty_index_has_a_cost(void **state) {
    struct kit *k = *state;
    char text[TAGINDEX_MAX][201];
    struct span tags[TAGINDEX_MAX];
    struct op op;
    for (unsigned i = 0; i < TAGINDEX_MAX; i++) {
        memset(text[i], 'x', 200);
        snprintf(text[i], sizeof(text[i]), "%02u", i);
        if (i % 2) text[i][2] = 'x';
        memcpy(text[i] + 196, "^1.5", 4);
        tags[i] = span_of(text[i], i % 2 ? 200 : 2);
    }
    define(k, false, 0, NULL);
    const struct partition *p = kit_partition(k, "with");
    struct define all = {.partition = SPAN_LITERAL("with"),
                         .sets_indexes = true,
                         .alter = true,
                         .bounds = {.n_indexes = TAGINDEX_MAX, .indexes = tags}};
    size_t cost = tagindexes_cost(p, tags, TAGINDEX_MAX);
    assert_int_equal(tagindexes_cost(NULL, tags, TAGINDEX_MAX), cost);
    assert_int_equal(define_plan(k->store, &all, 0, &k->scratch, &op, &k->error), 0);
    size_t used = mem_used();
    store_apply(k->store, &op);
    assert_in_range(mem_used() - used, cost * 3 / 4, cost);
}

/* Indexes that come and go, and what walks keep in them, are not of tasks. */
static void test_indexes_are_not_of_tasks(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v"), SPAN_LITERAL("v^1")};
    struct sample_call call = priority_of(1, 1, 1);
    struct sampled sampled;
    int64_t before = 0;
    fill(k, 0, 100);
    for (unsigned i = 0; i < 4; i++) {
        define(k, true, 2, tags);
        while (store_is_building(k->store)) store_build_indexes(k->store, 1000);
        call.keep = false;
        call.task = SPAN_LITERAL("once");
        assert_int_equal(kit_sample(k, &call, &sampled), 0);
        assert_in_range(store_task_bytes(k->store) - before, 100, 3000); /* the task, the bounds */
        kit_reset(k, &(struct reset){.select = {.partition = SPAN_LITERAL("with")}});
        define(k, true, 0, NULL);
        while (store_is_reclaiming(k->store)) store_reclaim(k->store, 1000);
        if (i) assert_int_equal(store_task_bytes(k->store), before);
        before = store_task_bytes(k->store); /* the first task leaves room for others */
    }
}

/* ---- walks that are cut ------------------------------------------------------------------- */

/* How often the call is cut before it has its batch; `disturb` comes between its tries. */
static unsigned count_cuts(struct kit *k, struct sample_call call, void disturb(struct kit *k)) {
    struct sampled sampled;
    for (unsigned cuts = 0;; cuts++) {
        assert_int_equal(kit_sample(k, &call, &sampled), 0);
        if (sampled.outcome == SAMPLE_BATCH) return cuts;
        assert_int_equal(sampled.outcome, SAMPLE_WALK);
        assert_true(cuts < 1000);
        call.walk = sampled.walk;
        disturb(k);
    }
}

static void disturb_nothing(struct kit *k) {
    (void)k;
}

/* Samples of every leaf of the index, and of every word of the sums. */
static void disturb_all(struct kit *k) {
    char key[16];
    for (unsigned i = 0; i < MANY / 4; i += 16) {
        snprintf(key, sizeof(key), "k%u", i);
        kit_field(k, "with", key, "other", SPAN_LITERAL("x"));
    }
}

/* The views of other tasks take the places of those that are kept. */
static void disturb_views(struct kit *k) {
    char task[16];
    struct sampled sampled;
    struct sample_call call = priority_of(1, 1, 1);
    call.keep = false;
    for (unsigned i = 0; i < 2 * ORDER_VIEWS + 2; i++) {
        snprintf(task, sizeof(task), "t%u", i);
        call.task = span_of_string(task);
        call.sampler = sampler_find(i % 2 ? SPAN_LITERAL("MAX") : SPAN_LITERAL("PRIORITY"));
        assert_int_equal(kit_sample(k, &call, &sampled), 0);
        assert_int_equal(sampled.outcome, SAMPLE_BATCH);
    }
}

/* A walk of what the task has consumed goes on where it was cut; where that can't be, or takes too
 * long, the call is answered without the index. */
static void test_a_walk_that_is_cut_ends(void **state) {
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v"), SPAN_LITERAL("v^1")};
    enum { N = MANY / 4, SLICE = 500, SLICES = N / SLICE };
    define(k, false, 2, tags);
    fill(k, 0, N);
    struct sampled sampled;
    struct sample_call call = call_of_oldest(N - 1);
    call.sampler = sampler_find(SPAN_LITERAL("LIFO"));
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    disturb_views(k); /* makes the tasks: those that have taken nothing share a view */
    for (int i = 0; i < 2; i++) {
        call = priority_of(1, 1, 1);
        call.evaluations = SLICE;
        call.sampler = sampler_find(i ? SPAN_LITERAL("PRIORITY") : SPAN_LITERAL("MAX"));
        assert_in_range(count_cuts(k, call, disturb_views), 2, 2);
        assert_in_range(count_cuts(k, call, disturb_all), SLICES, 2 * SLICES + 9);
        assert_in_range(count_cuts(k, call, disturb_nothing), SLICES / 2, SLICES);
    }
}

/* One try is cut at its limit, since it needs the match set; with that, the next one gets this
 * sample. */
static void expect_scanned(struct kit *k, const char *value) {
    struct where_condition condition = {SPAN_LITERAL("u"), WHERE_EQ, span_of_string(value)};
    struct sample_call call = priority_of(10, 1, 1);
    struct sampled sampled;
    call.at_least = 1;
    call.where = (struct where){1, &condition};
    call.evaluations = 1000;
    assert_true(sample_walks(k->store, &call));
    assert_int_equal(kit_sample(k, &call, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_SCAN);
    call.walk = sampled.walk;
    assert_false(sample_walks(k->store, &call)); /* so that the caller fills the match set */
    struct match_set *set = matches_hold(kit_partition(k, "with"), &call.where, &k->scratch);
    while (!matches_fill(set, 1000)) continue;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(kit_sample(k, &call, &sampled), 0);
        assert_int_equal(sampled.outcome, SAMPLE_BATCH);
        assert_int_equal(sampled.n, 1);
        assert_int_equal(sampled.seqs[0], strtoul(value, NULL, 10));
        call.walk = (struct sample_walk){0}; /* a call that comes later */
    }
    matches_release(set);
}

/* One sample of 40,000 has a weight: the sums draw it. Not where few samples are left of those
 * between. */
static void test_few_weights_are_drawn_by_sums(void **state) {
    enum { SAMPLES = 40000 };
    struct kit *k = *state;
    static const struct span tags[] = {SPAN_LITERAL("v^1")};
    char key[16];
    define(k, false, 1, tags);
    for (unsigned i = 0; i < SAMPLES; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        kit_tag(k, "with", key, "v", i == 7 ? "1" : "0");
    }
    const struct partition *p = kit_partition(k, "with");
    struct sums *sums = tagindex_sums(p, SPAN_LITERAL("v"), 1);
    assert_non_null(sums);
    assert_non_null(sums_view(sums, SPAN_LITERAL("key"), p->next_seq, p->samples));
    for (unsigned i = 8; i + 1 < SAMPLES; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        kit_clear_key(k, "with", key);
    }
    assert_null(sums_view(sums, SPAN_LITERAL("key"), p->next_seq, p->samples));
}

/* What sums can't draw is looked for within the limit of evaluations. */
static void test_priority_without_weight_is_cut(void **state) {
    struct kit *k = *state;
    enum { SPARSE = 40000 };
    static const struct span tags[] = {SPAN_LITERAL("v^1")};
    char key[16];
    define(k, false, 1, tags);
    for (unsigned i = 0; i < SPARSE; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        kit_field(k, "with", key, "f", SPAN_LITERAL("x"));
        kit_tag(k, "with", key, "u", key + 1);
    }
    expect_scanned(k, "30007"); /* no sample has a weight */
    kit_tag(k, "with", "k0", "v", "1");
    expect_scanned(k, "30008"); /* one has, among too many without for a view of the sums */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_order_is_a_sorted_array),
        cmocka_unit_test(test_a_walk_skips_what_is_spent),
        cmocka_unit_test(test_an_entry_takes_few_bytes),
        cmocka_unit_test(test_a_walk_in_vain_is_cut),
        KIT_TEST(test_an_index_changes_no_answer),
        KIT_TEST(test_a_where_is_a_range_and_keeps_up),
        KIT_TEST(test_what_is_consumed_is_walked_over_once),
        KIT_TEST(test_a_walk_in_vain_is_given_up),
        KIT_TEST(test_priority_by_sums_is_proportional),
        KIT_TEST(test_priority_by_sums_replaces_nothing),
        KIT_TEST(test_priority_leaves_what_is_consumed),
        KIT_TEST(test_priority_by_sums_ends),
        KIT_TEST(test_an_index_is_declared_once),
        KIT_TEST(test_few_weights_are_drawn_by_sums),
        KIT_TEST(test_priority_without_weight_is_cut),
        KIT_TEST(test_priority_sees_what_comes_back),
        KIT_TEST(test_sums_are_built_between_writes),
        KIT_TEST(test_the_bytes_of_a_building_are_counted),
        KIT_TEST(test_the_first_node_of_an_index_is_counted),
        KIT_TEST(test_an_empty_index_has_a_cost),
        KIT_TEST(test_indexes_are_not_of_tasks),
        KIT_TEST(test_a_walk_that_is_cut_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
