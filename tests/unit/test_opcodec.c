/* Ops as bytes: every kind with every member there and back, cut short, broken, and without a copy of what is large. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kit/replay.h"
#include "kit/source.h"
#include "kit/store.h"
#include "persist/opcodec.h"
#include "store/bounds.h"
#include "store/mput.h"

#define S SPAN_LITERAL
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Two stores, the second fed through bytes. */
struct pair {
    struct kit kit; /* first: KIT_TEST's functions take the pair for a kit */
    struct replay replay;
    struct scratch scratch;
    size_t ops;
};

/* Wherever the bytes end too early, that is an error; each cut in memory of its own, for a sanitizer to see a read beyond. */
static void check_cuts(struct pair *pair, struct span bytes) {
    size_t step = bytes.len > 2000 ? bytes.len / 500 : 1;
    for (size_t cut = 0; cut < bytes.len; cut += cut < 300 ? 1 : step) {
        struct op op;
        struct error e = {0};
        char *copy = mem_dup(bytes.ptr, cut);
        struct unpack in = unpack_of(span_of(copy, cut));
        scratch_reset(&pair->scratch);
        int failed = opcodec_decode(pair->replay.to, &in, &pair->scratch, &op, &e);
        if (failed != ERROR_ERR || !e.text[0]) fail_msg("cut at %zu of %zu", cut, bytes.len);
        mem_free(copy);
    }
}

static void pass_on(void *context, const struct op *op) {
    struct pair *pair = context;
    struct opcodec_out out = {0};
    struct pack bytes = {0};
    opcodec_encode(pair->kit.store, op, &out);
    replay_flatten(&out, &bytes);
    opcodec_out_free(&out);
    check_cuts(pair, pack_span_of(&bytes));
    pack_free(&bytes);
    replay_op(&pair->replay, pair->kit.store, op);
    pair->ops++;
}

static int pair_setup(void **state) {
    struct pair *pair = calloc(1, sizeof(*pair));
    kit_open(&pair->kit);
    pair->replay.to = store_new(NULL);
    store_on_change(pair->kit.store, pass_on, pair);
    *state = pair;
    return 0;
}

static int pair_teardown(void **state) {
    struct pair *pair = *state;
    struct span ours = kit_dump(pair->kit.store), theirs = kit_dump(pair->replay.to);
    bool same = span_equal(ours, theirs);
    kit_dump_free(ours);
    kit_dump_free(theirs);
    kit_empty(&pair->kit);
    store_free(pair->replay.to);
    replay_free(&pair->replay);
    scratch_free(&pair->scratch);
    size_t left = kit_close(&pair->kit);
    free(pair);
    if (!same || left) fprintf(stderr, "same: %d, %zu bytes left\n", same, left);
    return same && !left ? 0 : -1;
}

#define PAIR_TEST(test) cmocka_unit_test_setup_teardown(test, pair_setup, pair_teardown)

/* ---- every kind, as plans make them ------------------------------------------------------- */

static void apply(struct pair *pair, int failed, const struct op *op) {
    if (failed) fail_msg("%s", pair->kit.error.text);
    store_apply(pair->kit.store, op);
}

static void test_puts(void **state) {
    struct pair *pair = *state;
    struct kit *k = &pair->kit;
    char *large = mem_calloc(1, 100000);
    memset(large, 'x', 100000);
    assert_int_equal(kit_field(k, "p", "a", "f:f32[2]", S("\0\0\0\0\1\2\3\4")), 0);
    assert_int_equal(kit_field(k, "p", "a", "s:str", S("gr\xc3\xbc\xc3\x9f")), 0);
    assert_int_equal(kit_field(k, "p", "b", "f:f32[1]", S("abcd")), 0); /* ragged now */
    assert_int_equal(kit_field(k, "p", "b", "empty", S("")), 0);
    assert_int_equal(kit_text(k, "p", "b", "two:i64[*,*]", "[[1,2],[3,4]]"), 0);
    assert_int_equal(kit_text(k, "p", "c", "none:u8[0,*]", "[]"), 0);
    assert_int_equal(kit_tag(k, "p", "b", "t", ""), 0);
    assert_int_equal(kit_tag(k, "p", "b", "t", "value"), 0);
    assert_int_equal(kit_group(k, "p", "g1", "group", 2), 0);
    assert_int_equal(kit_group(k, "p", "a", "group", 2), 0);
    for (size_t len = OPCODEC_COPY_MAX - 1; len <= OPCODEC_COPY_MAX + 1; len++)
        assert_int_equal(kit_field(k, "p", "c", "large", span_of(large, len)), 0);
    assert_int_equal(kit_field(k, "p", "c", "large", span_of(large, 100000)), 0);
    assert_int_equal(pair->ops, 14);
    mem_free(large);
}

/* Batches in which samples are new and old, in groups and not, with values of all forms. */
static void test_batches(void **state) {
    struct pair *pair = *state;
    enum { N = 300 };
    struct source source = source_of_seed(5);
    static char keys[N][8], text[N * 40], ints[N * 8];
    static struct span names[N], groups[N], tags[N];
    static uint32_t lengths[N], sizes[2 * N];
    memset(text, 'y', sizeof(text));
    for (unsigned round = 0; round < 6; round++) {
        size_t total = 0;
        unsigned first = round * 100;
        for (unsigned i = 0; i < N; i++) { /* half of them were there in the last round */
            unsigned number = round % 2 ? first + N - 1 - i : first + i;
            snprintf(keys[i], sizeof(keys[i]), "%u", number);
            names[i] = span_of_string(keys[i]);
            tags[i] = span_of(text, source_below(&source, 60));
            groups[i] = span_of(&"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"[number / 20], 1);
            total += lengths[i] = (uint32_t)source_below(&source, 40);
            sizes[2 * i] = 1, sizes[2 * i + 1] = 1;
        }
        struct mput_tag tag = {S("tag"), tags};
        struct mput_column columns[] = {
            {.name = S("text"), .shape = span_of(lengths, sizeof(lengths))},
            {.name = S("dense"), .payload = span_of(ints, sizeof(ints))},
            {.name = S("ragged"), .shape = span_of(sizes, sizeof(sizes)), .payload = {ints, N * 4}},
        };
        columns[0].payload = span_of(text, total);
        dtype_parse(S("str"), &columns[0].type, NULL);
        dtype_parse(S("i64"), &columns[1].type, NULL);
        dtype_parse(S("i32[*,*]"), &columns[2].type, NULL);
        struct mput mput = {.partition = S("p"),
                            .n = round == 5 ? 1 : N,
                            .keys = names,
                            .group_ids = round < 5 ? groups : NULL,
                            .group_size = 20,
                            .n_tags = 1,
                            .tags = &tag,
                            .n_columns = round < 5 ? 3 : 0,
                            .columns = columns};
        struct op op;
        scratch_reset(&pair->kit.scratch);
        apply(pair,
              mput_plan(pair->kit.store, &mput, WRITE_VALUES_FIRST, 9, &pair->kit.scratch, &op,
                        &(bool){false}, &pair->kit.error),
              &op);
    }
    assert_int_equal(kit_partition(&pair->kit, "p")->samples, 701);
    assert_int_equal(kit_partition(&pair->kit, "p")->groups->count, 35);
}

static void fill(struct pair *pair, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(kit_field(&pair->kit, "p", key, "f", S("v")), 0);
    }
}

static struct sampled call(struct pair *pair, const char *sampler, struct sample_call call) {
    static const struct span field = SPAN_LITERAL("f");
    struct sampled sampled;
    call.partition = S("p");
    call.task = S("task");
    call.at_least = call.count;
    call.n_fields = 1;
    call.fields = &field;
    call.sampler = sampler_find(span_of_string(sampler));
    assert_int_equal(kit_sample(&pair->kit, &call, &sampled), 0);
    assert_int_equal(sampled.outcome, SAMPLE_BATCH);
    return sampled;
}

static void test_taking(void **state) {
    struct pair *pair = *state;
    fill(pair, 60);
    call(pair, "SEQUENTIAL", (struct sample_call){.count = 5});
    call(pair, "LIFO", (struct sample_call){.count = 5});
    call(pair, "RANDOM", (struct sample_call){.count = 9, .args = {.seed = 7}});
    call(pair, "SEQUENTIAL",
         (struct sample_call){
             .count = 3, .ranked = true, .rank = 7, .batch = 1ull << 40, .fingerprint = S("h")});
    struct sample_call balanced = {.count = 4,
                                   .ranked = true,
                                   .rank = 1,
                                   .batch = 2,
                                   .fingerprint = S("how"),
                                   .args = {.tag = S("tag"), .ranks = 3}};
    struct sampled sampled = call(pair, "BALANCED", balanced);
    assert_int_equal(sampled.op.kind, OP_SAMPLE);
    balanced.rank = 2;
    sampled = call(pair, "BALANCED", balanced);
    assert_int_equal(sampled.op.kind, OP_DELIVER);
    const struct partition *there = store_find(pair->replay.to, S("p"));
    const struct ranks *ranks = &partition_task(there, S("task"))->ranks;
    assert_int_equal(ranks->n, 4);
    assert_true(ranks_find(ranks, 2, 2)->delivered);
    assert_false(ranks_find(ranks, 0, 2)->delivered);
    assert_true(span_equal(rank_batch_fingerprint(ranks_find(ranks, 2, 2)), S("how")));
}

static void test_calls_of_a_holder(void **state) {
    struct pair *pair = *state;
    struct sample_call first = {
        .count = 3, .once = {.holder = S("h"), .number = 1, .request = {1, UINT64_MAX}}};
    struct sample_call second = {
        .count = 2, .lease_ms = 1000, .once = {.holder = S("h"), .number = 2}};
    struct sample_call other = {
        .count = 2, .once = {.holder = S("other"), .number = UINT64_MAX, .request = {5, 6}}};
    struct op op;
    const uint64_t *seqs;
    size_t n;
    fill(pair, 20);
    call(pair, "SEQUENTIAL", first);
    call(pair, "SEQUENTIAL", other);
    const struct partition *there = store_find(pair->replay.to, S("p"));
    const struct once *entry = once_find(there, S("h"));
    assert_true(entry->number == 1 && entry->n == 3 && entry->request.high == UINT64_MAX);
    assert_true(entry->held_until_ms == pair->kit.now_ms + ONCE_HOLD_MS);
    assert_true(task_is_held(entry->task, entry->seqs[2]));
    second.partition = S("p");
    assert_true(sample_plan_confirm(pair->kit.store, &second, pair->kit.now_ms, &pair->kit.scratch,
                                    &op, &seqs, &n));
    assert_int_equal(n, 3);
    apply(pair, 0, &op);
    assert_true(entry->number == 2 && !once_has_batch(entry));
    assert_int_equal(entry->task->held, 2);
    call(pair, "SEQUENTIAL", second);
    assert_true(entry->lease == 1 && !entry->held_until_ms);
    assert_true(once_plan_expiry(pair->kit.store, pair->kit.now_ms + ONCE_HOLD_MS,
                                 &pair->kit.scratch, &op, &seqs, &n));
    assert_int_equal(n, 2);
    apply(pair, 0, &op);
    assert_int_equal(entry->task->held, 0);
    assert_int_equal(once_find(there, S("other"))->n, 2);
    assert_true(once_find(there, S("other"))->number == UINT64_MAX);
}

static void lease_ops(struct pair *pair, struct lease_request *request, char *id) {
    static const struct span keys[] = {SPAN_LITERAL("k0"), SPAN_LITERAL("k2"), SPAN_LITERAL("k2")};
    struct kit *k = &pair->kit;
    struct op op;
    scratch_reset(&k->scratch);
    *request = (struct lease_request){.partition = S("p"), .task = S("task"), .id = {id, 1}};
    id[0] = '1';
    apply(pair, lease_plan_extend(k->store, request, 777, k->now_ms, &op, &k->error), &op);
    request->keys = keys;
    request->n_keys = 3;
    apply(pair, lease_plan_nack(k->store, request, k->now_ms, &k->scratch, &op, &k->error), &op);
    request->n_keys = 1; /* which was given back */
    apply(pair, lease_plan_nack(k->store, request, k->now_ms, &k->scratch, &op, &k->error), &op);
    request->keys = NULL;
    apply(pair, lease_plan_nack(k->store, request, k->now_ms, &k->scratch, &op, &k->error), &op);
    id[0] = '2';
    apply(pair, lease_plan_ack(k->store, request, k->now_ms, &k->scratch, &op, &k->error), &op);
    assert_true(lease_plan_expiry(k->store, k->now_ms + 5000, &op));
    apply(pair, 0, &op);
}

static void test_leases(void **state) {
    struct pair *pair = *state;
    struct lease_request request;
    char id[2];
    fill(pair, 20);
    for (int i = 0; i < 4; i++)
        call(pair, "SEQUENTIAL",
             (struct sample_call){.count = 4, .lease_ms = 1000 + 2000 * i, .holder = S("holder")});
    lease_ops(pair, &request, id);
    const struct leases *ours = store_leases(pair->kit.store),
                        *theirs = store_leases(pair->replay.to);
    assert_int_equal(theirs->count, 1);
    assert_int_equal(theirs->last_id, 4);
    assert_true(span_equal(theirs->heap[0]->holder, S("holder")));
    assert_int_equal(theirs->heap[0]->given_ms, ours->heap[0]->given_ms);
    assert_int_equal(theirs->heap[0]->ends_ms, ours->heap[0]->ends_ms);
    assert_int_equal(theirs->heap[0]->n, 4);
    const struct ended *replies = store_find(pair->replay.to, S("p"))->ended;
    static const uint64_t samples[] = {2, 0, 2, 4}; /* the lease that ran out has none */
    assert_int_equal(replies->n, 4);
    for (size_t i = 0; i < 4; i++) assert_int_equal(ended_at(replies, i)->samples, samples[i]);
}

static void test_clearing(void **state) {
    struct pair *pair = *state;
    struct kit *k = &pair->kit;
    static const struct span keys[] = {SPAN_LITERAL("k1"), SPAN_LITERAL("k5"), SPAN_LITERAL("k5"),
                                       SPAN_LITERAL("k4")};
    static const struct span names[] = {SPAN_LITERAL("f"), SPAN_LITERAL("unknown")};
    struct select some = {.partition = S("p"), .n_keys = 4, .keys = keys};
    struct select all = {.partition = S("p")};
    fill(pair, 20);
    kit_tag(k, "p", "k1", "t", "v");
    call(pair, "SEQUENTIAL", (struct sample_call){.count = 20});
    assert_int_equal(kit_reset(k, &(struct reset){some, S("task")}), 0);
    assert_int_equal(kit_reset(k, &(struct reset){some, S("nobody")}), 0);
    assert_int_equal(kit_reset(k, &(struct reset){some, {NULL, 0}}), 0);
    assert_int_equal(kit_clear(k, &(struct clear){some, SELECT_FIELDS, 2, names}), 3);
    assert_int_equal(kit_clear(k, &(struct clear){all, SELECT_TAGS, 2, names}), 0);
    assert_int_equal(kit_clear(k, &(struct clear){some, SELECT_SAMPLES, 0, NULL}), 3);
    assert_int_equal(kit_clear(k, &(struct clear){all, SELECT_FIELDS, 1, names}), 17);
    assert_int_equal(kit_reset(k, &(struct reset){all, S("task")}), 0);
    assert_int_equal(kit_reset(k, &(struct reset){all, {NULL, 0}}), 0);
    assert_int_equal(pair->ops, 31);
    kit_tag(k, "other", "x", "t", "v");
    assert_int_equal(kit_drop(k, "other"), 1);
}

/* A client may name samples twice; then an op has more seqs than its partition has samples, and each that comes again takes its
 * byte. */
static void test_all_samples_twice(void **state) {
    struct pair *pair = *state;
    enum { N = 40 };
    static char text[N][8];
    struct span keys[2 * N];
    fill(pair, N);
    for (unsigned i = 0; i < N; i++) {
        snprintf(text[i], sizeof(text[i]), "k%u", i);
        keys[i] = keys[N + i] = span_of_string(text[i]);
    }
    struct select all = {.partition = S("p"), .n_keys = 2 * N, .keys = keys};
    call(pair, "SEQUENTIAL", (struct sample_call){.count = N});
    assert_int_equal(kit_reset(&pair->kit, &(struct reset){all, S("task")}), 0);
    assert_int_equal(pair->kit.changed, N);
    assert_int_equal(kit_clear(&pair->kit, &(struct clear){all, SELECT_SAMPLES, 0, NULL}), N);
}

/* Each change of the bounds keeps the names of what is not changed, which the op has to outlive. */
static void test_defining(void **state) {
    struct pair *pair = *state;
    struct kit *k = &pair->kit;
    static const struct span tasks[] = {SPAN_LITERAL("one"), SPAN_LITERAL("two")};
    struct op_column fields[2] = {{.name = S("f")}, {.name = S("g")}};
    struct op op;
    dtype_parse(S("f32[3,*]"), &fields[0].type, NULL);
    dtype_parse(S("str"), &fields[1].type, NULL);
    struct define define = {
        .partition = S("p"),
        .sets_samples = true,
        .sets_bytes = true,
        .sets_ahead = true,
        .sets_retire = true,
        .bounds = {1000, 1ull << 40, 300, S("one"), 2, tasks},
        .n_fields = 2,
        .fields = fields,
    };
    apply(pair, define_plan(k->store, &define, 5, &k->scratch, &op, &k->error), &op);
    define = (struct define){.partition = S("p"), .alter = true, .sets_samples = true};
    for (int i = 0; i < 3; i++)
        apply(pair, define_plan(k->store, &define, 5, &k->scratch, &op, &k->error), &op);
    apply(pair, expect_plan(k->store, S("p"), 1ull << 32, 5, &op, &k->error), &op);
    apply(pair, seal_plan(S("other"), 5, &op, &k->error), &op);
    const struct partition *p = store_find(pair->replay.to, S("p"));
    assert_int_equal(p->bounds->samples, 0);
    assert_true(p->bounds->bytes == 1ull << 40 && p->bounds->ahead == 300);
    assert_true(span_equal(p->bounds->ahead_task, S("one")));
    assert_true(p->bounds->n_retire == 2 && span_equal(p->bounds->retire[1], S("two")));
    assert_true(column_set_find(&p->fields, S("f"))->declared);
    assert_true(p->has_expected && p->expected == 1ull << 32 && !p->sealed);
    assert_true(store_find(pair->replay.to, S("other"))->sealed);
}

/* ---- the form ----------------------------------------------------------------------------- */

static struct span flat(const struct store *s, const struct op *op, struct pack *bytes) {
    struct opcodec_out out = {0};
    pack_clear(bytes);
    opcodec_encode(s, op, &out);
    replay_flatten(&out, bytes);
    opcodec_out_free(&out);
    return pack_span_of(bytes);
}

static void expect_bytes(const struct op *op, const struct store *s, struct span expected) {
    struct pack bytes = {0};
    struct span got = flat(s, op, &bytes);
    if (!span_equal(got, expected)) {
        for (size_t i = 0; i < got.len; i++) print_error("\\x%02x", (unsigned char)got.ptr[i]);
        fail_msg(": kind %d has another form", (int)op->kind);
    }
    pack_free(&bytes);
}

/* What is on disks stays readable: a change here is a change of the format. */
static void test_the_form_is_pinned(void **state) {
    struct kit *k = *state;
    assert_int_equal(kit_seal(k, "p"), 0);
    static const uint64_t seqs[] = {0, 1, 2, 9, 4}, fresh[] = {0};
    static const size_t slices[] = {0, 2, 5};
    static const struct span names[] = {SPAN_LITERAL("n")}, keys[] = {SPAN_LITERAL("key")};
    static const uint32_t group_size = 3;
    struct op_column tag = {.name = S("t"), .type = {.base = DTYPE_BYTES}, .values.items = names};
    struct op_column field = {
        .name = S("f"), .type = {DTYPE_F32, 1, {DTYPE_STAR}}, .values.payload = S("abcdefgh")};
    expect_bytes(
        &(struct op){.kind = OP_PUT,
                     .partition = S("p"),
                     .now_ms = 64,
                     .put = {1, fresh, 1, fresh, keys, keys, &group_size, 1, 1, &tag, &field}},
        k->store,
        S("\x00\x01p\x80\x01"
          "\x01\x00\x01\x04key"
          "\x01\x05key\x03"
          "\x01\x01t\x02n"
          "\x01\x01"
          "f\x0d\x01\x00\x09"
          "abcdefgh"));
    expect_bytes(&(struct op){.kind = OP_SAMPLE,
                              .partition = S("p"),
                              .now_ms = 1,
                              .select = {.n = 5,
                                         .seqs = seqs,
                                         .task = S("t"),
                                         .lease = {5, 100, S("h")},
                                         .rank = {true, 1, 2, S("how"), 2, slices}}},
                 k->store,
                 S("\x01\x01p\x02\x1e\x05"
                   "\x00\x03\x0c\x01\x0b\x01"
                   "\x01t"
                   "\x05\xc8\x01\x01h"
                   "\x01\x02\x03how\x02\x00\x02\x03"));
    expect_bytes(&(struct op){.kind = OP_ERASE,
                              .partition = S("p"),
                              .select = {.all = true, .n_names = 1, .names = names, .tags = true}},
                 k->store, S("\x08\x01p\x00\x61\x00\x01\x01n"));
    struct bounds bounds = {.samples = 1,
                            .bytes = 2,
                            .ahead = 300,
                            .ahead_task = S("a"),
                            .n_retire = 1,
                            .retire = names};
    expect_bytes(
        &(struct op){.kind = OP_DEFINE, .partition = S("p"), .define = {&bounds, 1, &field}},
        k->store,
        S("\x09\x01p\x00\x01\x02\xac\x02\x02"
          "a\x01\x01n\x01\x01"
          "f\x0d\x01\x00"));
    bounds.n_indexes = 1;
    bounds.indexes = names;
    expect_bytes(
        &(struct op){.kind = OP_DEFINE, .partition = S("p"), .define = {&bounds, 1, &field}},
        k->store,
        S("\x49\x01p\x00\x01\x02\xac\x02\x02"
          "a\x01\x01n\x01\x01"
          "f\x0d\x01\x00\x01\x01n"));
    expect_bytes(&(struct op){.kind = OP_EXPECT, .partition = S("p"), .expected = 7}, k->store,
                 S("\x0a\x01p\x00\x07"));
    expect_bytes(&(struct op){.kind = OP_SEAL, .partition = S("p")}, k->store, S("\x0b\x01p\x00"));
    expect_bytes(&(struct op){.kind = OP_DROP, .partition = S("p")}, k->store, S("\x0c\x01p\x00"));
}

static void check_spans(const struct span *a, const struct span *b, size_t n) {
    for (size_t i = 0; i < n; i++) assert_true(span_equal(a[i], b[i]));
}

/* Members one by one, of ops that no plan would make. */
static void test_every_member(void **state) {
    struct kit *k = *state;
    static const uint64_t seqs[] = {UINT64_MAX, 0, 5, 5, 6, 1ull << 63, 7, 8};
    static const size_t slices[] = {3, 1, SIZE_MAX};
    static const struct span names[] = {SPAN_LITERAL("a"), SPAN_LITERAL("")};
    for (unsigned kind = OP_SAMPLE; kind <= OP_ERASE; kind++) {
        struct op got, op = {.kind = (enum op_kind)kind,
                             .partition = S("partition"),
                             .now_ms = INT64_MIN,
                             .select = {.n = COUNT(seqs),
                                        .seqs = seqs,
                                        .task = S(""),
                                        .lease = {LEASE_ID_MAX, INT64_MIN, S("holder")},
                                        .rank = {true, UINT64_MAX, 3, S("how"), 2, slices},
                                        .n_names = 2,
                                        .names = names,
                                        .tags = true}};
        struct pack bytes = {0};
        struct unpack in = unpack_of(flat(k->store, &op, &bytes));
        assert_int_equal(opcodec_decode(k->store, &in, &k->scratch, &got, &k->error), 0);
        assert_int_equal(unpack_left(&in), 0);
        assert_int_equal(got.kind, kind);
        assert_true(span_equal(got.partition, S("partition")) && got.now_ms == INT64_MIN);
        const struct op_select *select = &got.select;
        assert_true(!select->all && select->tags && select->n == COUNT(seqs));
        assert_memory_equal(select->seqs, seqs, sizeof(seqs));
        assert_true(select->task.ptr && select->task.len == 0);
        assert_true(select->lease.id == LEASE_ID_MAX);
        if (kind == OP_SAMPLE || kind == OP_EXTEND) assert_true(select->lease.ends_ms == INT64_MIN);
        if (kind == OP_SAMPLE) assert_true(span_equal(select->lease.holder, S("holder")));
        assert_true(select->rank.given && select->rank.rank == UINT64_MAX);
        assert_true(select->rank.batch == 3 && span_equal(select->rank.fingerprint, S("how")));
        assert_int_equal(select->rank.n_slices, 2);
        assert_memory_equal(select->rank.slices, slices, sizeof(slices));
        assert_int_equal(select->n_names, 2);
        check_spans(select->names, names, 2);
        op.select.lease.id++;
        in = unpack_of(flat(k->store, &op, &bytes));
        assert_int_equal(opcodec_decode(k->store, &in, &k->scratch, &got, &k->error), ERROR_ERR);
        pack_free(&bytes);
        scratch_reset(&k->scratch);
    }
}

/* However values are given, the same is encoded. */
static void test_forms_leave_no_trace(void **state) {
    struct kit *k = *state;
    assert_int_equal(kit_seal(k, "p"), 0);
    static const uint64_t seqs[] = {0, 1, 2};
    static const struct span keys[] = {SPAN_LITERAL("a"), SPAN_LITERAL("b"), SPAN_LITERAL("c")};
    static const struct span items[] = {SPAN_LITERAL("xx"), SPAN_LITERAL("yy"), SPAN_LITERAL("zz")};
    static const struct span groups[3] = {{NULL, 0}};
    static const uint32_t lengths[] = {2, 2, 2}, sizes[3] = {0};
    const struct column_values forms[] = {
        {.items = items},
        {.payload = S("xxyyzz")},
        {.payload = S("xxyyzz"), .lengths = lengths},
    };
    struct pack bytes[3] = {{0}};
    for (size_t i = 0; i < 3; i++) {
        struct op_column column = {
            .name = S("f"), .type = {.base = DTYPE_BYTES}, .values = forms[i]};
        struct op op = {.kind = OP_PUT,
                        .partition = S("p"),
                        .put = {3, seqs, 3, seqs, keys, i ? groups : NULL, i ? sizes : NULL, 0, 1,
                                NULL, &column}};
        flat(k->store, &op, &bytes[i]);
        assert_true(span_equal(pack_span_of(&bytes[0]), pack_span_of(&bytes[i])));
    }
    for (size_t i = 0; i < 3; i++) pack_free(&bytes[i]);
}

static size_t op_bytes(struct kit *k, size_t n, const uint64_t *seqs) {
    struct pack bytes = {0};
    struct op op = {.kind = OP_CLEAR, .partition = S("p"), .select = {.n = n, .seqs = seqs}};
    size_t len = flat(k->store, &op, &bytes).len;
    pack_free(&bytes);
    return len;
}

static void test_runs_are_small(void **state) {
    struct kit *k = *state;
    uint64_t seqs[1000];
    for (uint64_t i = 0; i < 1000; i++) seqs[i] = 1000000 + i;
    assert_true(op_bytes(k, 1000, seqs) <= 16);
    for (uint64_t i = 0; i < 1000; i++) seqs[i] = 1000000 + 3 * i;
    assert_true(op_bytes(k, 1000, seqs) <= 2016);
    for (uint64_t i = 0; i < 1000; i++) seqs[i] = 1000000 - i;
    assert_true(op_bytes(k, 1000, seqs) <= 2016);
}

/* ---- hostile ------------------------------------------------------------------------------ */

/* A few bytes can't ask for more memory than they and the store justify, whatever count is in them. */
static void test_counts_are_bounded(void **state) {
    struct kit *k = *state;
    static const struct span hostile[] = {
        S("\x07\x01p\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00\xff\xff\xff\xff\xff\xff\xff"
          "\xff\x7f"),
        S("\x07\x01p\x00\x00\x80\x80\x80\x80\x04\x00\x80\x80\x80\x80\x04"),
        S("\x00\x01p\x00\xff\xff\xff\xff\x0f\x00\xff\xff\xff\xff\x0f"),
        S("\x08\x01p\x00\x21\x00\xff\xff\xff\xff\x0f"),
        S("\x01\x01p\x00\x18\x00\x00\x00\x00\xff\xff\xff\xff\x0f"),
        S("\x09\x01p\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f"),
        S("\x09\x01p\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f"),
        S("\x00\x01p\x00\x01\x00\x01\x02k\x00\xff\xff\xff\xff\x0f"),
        S("\x00\x01p\x00\x01\x00\x01\x02k\x00\x00\xff\xff\xff\xff\x0f"),
    };
    for (size_t i = 0; i < COUNT(hostile); i++) {
        struct op op;
        struct unpack in = unpack_of(hostile[i]);
        size_t used = mem_used();
        assert_int_equal(opcodec_decode(k->store, &in, &k->scratch, &op, &k->error), ERROR_ERR);
        assert_true(in.bad);
        assert_true(mem_used() - used < 16384);
    }
}

static void expect_error(struct kit *k, struct span bytes, const char *text) {
    struct op op;
    struct unpack in = unpack_of(bytes);
    k->error.text[0] = '\0';
    assert_int_equal(opcodec_decode(k->store, &in, &k->scratch, &op, &k->error), ERROR_ERR);
    if (!strstr(k->error.text, text)) fail_msg("'%s' is not about %s", k->error.text, text);
}

static void test_what_is_wrong_is_said(void **state) {
    struct kit *k = *state;
    expect_error(k, S(""), "beginning");
    expect_error(k, S("\x7f\x01p\x00"), "kind");
    expect_error(k, S("\x07\x01p\x00\x80\x00\x05"), "holder");
    expect_error(k, S("\x07\x01p\x00\x10"), "flags");
    expect_error(k, S("\x07\x01p\x00\x00\x09"), "number of samples");
    expect_error(k, S("\x07\x01p\x00\x00\x02\x00\x00\x00\x00"), "seqs");
    expect_error(k, S("\x07\x01p\x00\x00\x02\x00\x03\x00\x00"), "seqs");
    expect_error(k, S("\x01\x01p\x00\x04\x00\x00\x00"), "lease");
    expect_error(k, S("\x00\x01p\x00\x01\x00\x02"), "new samples");
    expect_error(k, S("\x00\x01p\x00\x02\x00\x02\x01\x05zz"), "new samples");
    expect_error(k, S("\x00\x01p\x00\x01\x00\x01\x09k"), "length");
    expect_error(k, S("\x00\x01p\x00\x01\x00\x00\x02"), "groups");
    expect_error(k, S("\x00\x01p\x00\x01\x00\x00\x01\x01"), "groups");
    expect_error(k,
                 S("\x00\x01p\x00\x01\x00\x00\x00\x00\x01\x01"
                   "f\x11\x00\x01"),
                 "type");
    expect_error(k,
                 S("\x00\x01p\x00\x01\x00\x00\x00\x00\x01\x01"
                   "f\x0f\x01\x03\x01"),
                 "type");
    expect_error(k,
                 S("\x00\x01p\x00\x01\x00\x00\x00\x00\x01\x01"
                   "f\x0d\x02\x00\x00\xff\xff\xff\xff\x07\x03"),
                 "4 GiB");
}

/* ---- what is not copied ------------------------------------------------------------------- */

static struct opcodec_out held;
static struct store *held_store;

static void hold(void *context, const struct op *op) {
    (void)context;
    opcodec_encode(held_store, op, &held);
}

static void test_large_values_are_referenced(void **state) {
    struct kit *k = *state;
    enum { LEN = 64 * 1024 };
    struct chunk *chunk = arena_take(store_arena(k->store), LEN);
    memset(chunk->memory, 'v', LEN);
    struct put_value value = {.name = S("f"), .bytes = span_of(chunk->memory, LEN), .chunk = chunk};
    struct put put = {.partition = S("p"), .key = S("a"), .n_values = 1, .values = &value};
    held_store = k->store;
    store_on_change(k->store, hold, NULL);
    assert_int_equal(kit_put(k, &put), 0);
    assert_int_equal(held.n_refs, 1);
    assert_ptr_equal(held.refs[0].bytes.ptr, chunk->memory); /* adopted: it never moved */
    assert_int_equal(held.refs[0].bytes.len, LEN);
    assert_ptr_equal(held.refs[0].chunk, chunk);
    assert_int_equal(chunk->pins, 2);
    chunk_unpin(chunk);

    value.chunk = NULL; /* copied by the store, and referenced where it is now */
    char *own = mem_dup(chunk->memory, LEN);
    value.bytes.ptr = own;
    put.key = S("b");
    assert_int_equal(kit_put(k, &put), 0);
    mem_free(own);
    assert_int_equal(held.n_refs, 2);
    assert_ptr_equal(held.refs[1].bytes.ptr, kit_value(k, "p", "b", "f").ptr);
    assert_int_equal(held.refs_bytes, 2 * LEN);
    assert_true(held.bytes.len < 100);

    /* The partition goes, what is to be written stays. */
    struct chunk *second = held.refs[1].chunk;
    kit_drop(k, "p");
    assert_int_equal(chunk->pins, 1);
    assert_int_equal(second->pins, 1);
    for (size_t i = 0; i < LEN; i++) assert_int_equal(held.refs[1].bytes.ptr[i], 'v');
    store_on_change(k->store, NULL, NULL);
    opcodec_out_clear(&held);
    assert_int_equal(opcodec_out_len(&held), 0);
    assert_true(held.bytes.capacity > 0 && held.refs_capacity > 0);
    struct arena_stats stats;
    arena_stats(store_arena(k->store), &stats);
    assert_int_equal(stats.allocated, 0);
    opcodec_out_free(&held);
}

/* Small values of a batch that are large together lie in a row: one reference, from the first that is not empty. */
static void test_a_batch_is_one_reference(void **state) {
    struct kit *k = *state;
    enum { N = 1000 };
    static char keys[N][8], bytes[N * 10];
    static struct span names[N];
    static uint32_t lengths[N];
    for (size_t i = 0; i < N; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%zu", i);
        names[i] = span_of_string(keys[i]);
        lengths[i] = i % 3 ? 9 : 0;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (char)i;
    struct mput_column column = {.name = S("f"),
                                 .type = {.base = DTYPE_BYTES},
                                 .shape = span_of(lengths, sizeof(lengths)),
                                 .payload = span_of(bytes, 666 * 9)};
    struct mput mput = {
        .partition = S("p"), .n = N, .keys = names, .n_columns = 1, .columns = &column};
    struct op op;
    assert_int_equal(mput_plan(k->store, &mput, WRITE_VALUES_FIRST, 1, &k->scratch, &op,
                               &(bool){false}, &k->error),
                     0);
    held_store = k->store;
    store_on_change(k->store, hold, NULL);
    store_apply(k->store, &op);
    store_on_change(k->store, NULL, NULL);
    assert_int_equal(held.n_refs, 1);
    struct span ref = held.refs[0].bytes;
    assert_int_equal(ref.len, 666 * 9);
    assert_memory_equal(ref.ptr, bytes, ref.len);
    assert_true(ref.ptr != bytes);
    uint32_t pins = held.refs[0].chunk->pins;
    struct chunk *chunk = held.refs[0].chunk;
    opcodec_out_clear(&held);
    assert_int_equal(chunk->pins, pins - 1);
    opcodec_out_free(&held);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PAIR_TEST(test_puts),
        PAIR_TEST(test_batches),
        PAIR_TEST(test_taking),
        PAIR_TEST(test_calls_of_a_holder),
        PAIR_TEST(test_leases),
        PAIR_TEST(test_clearing),
        PAIR_TEST(test_all_samples_twice),
        PAIR_TEST(test_defining),
        KIT_TEST(test_the_form_is_pinned),
        KIT_TEST(test_every_member),
        KIT_TEST(test_forms_leave_no_trace),
        KIT_TEST(test_runs_are_small),
        KIT_TEST(test_counts_are_bounded),
        KIT_TEST(test_what_is_wrong_is_said),
        KIT_TEST(test_large_values_are_referenced),
        KIT_TEST(test_a_batch_is_one_reference),
    };
    return cmocka_run_group_tests_name("opcodec", tests, NULL, NULL);
}
