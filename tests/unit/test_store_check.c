/* Ops that nobody planned: what store_apply relies on is refused by name, and nothing has changed. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kit/store.h"
#include "store/bounds.h"
#include "store/check.h"
#include "store/names.h"
#include "store/sampler.h"

#define S SPAN_LITERAL
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* The op breaks one rule; the sentence has these words in it. */
static void refuse(struct kit *k, const struct op *op, const char *words) {
    scratch_reset(&k->scratch);
    k->error = (struct error){0};
    struct span before = kit_dump(k->store);
    int failed = op_check(k->store, op, &k->scratch, &k->error);
    struct span after = kit_dump(k->store);
    if (!failed || (enum error_code)failed != k->error.code) fail_msg("passed, but: %s", words);
    if (!strstr(k->error.text, words)) fail_msg("'%s', not '%s'", k->error.text, words);
    assert_true(span_equal(before, after));
    kit_dump_free(before);
    kit_dump_free(after);
}

static void accept(struct kit *k, const struct op *op) {
    scratch_reset(&k->scratch);
    if (op_check(k->store, op, &k->scratch, &k->error)) fail_msg("%s", k->error.text);
}

static struct dtype type_of(const char *text) {
    struct dtype type;
    assert_int_equal(dtype_parse(span_of_string(text), &type, NULL), 0);
    return type;
}

/* ---- OP_PUT ------------------------------------------------------------------------------- */

/* A write of two samples into a partition that has three: the one of seq 1 and a new one. Each test spoils one thing. */
struct write {
    uint64_t seqs[3], new_seqs[2];
    struct span keys[2], groups[3], tag_items[3];
    uint32_t sizes[3], lengths[3], shape[6];
    struct op_column tag, field;
    struct op op;
};

static struct write *write_new(struct kit *k) {
    static struct write w;
    if (!store_find(k->store, S("p"))) {
        kit_field(k, "p", "a", "f:i32[2]", S("12345678"));
        kit_field(k, "p", "b", "text:str", S("x"));
        kit_group(k, "p", "c", "group", 2);
    }
    w = (struct write){
        .seqs = {1, 3, 4},
        .new_seqs = {3, 4},
        .keys = {S("new"), S("newer")},
        .tag_items = {S("u"), S("v"), S("w")},
        .lengths = {8, 8},
    };
    w.tag = (struct op_column){
        .name = S("t"), .type = {.base = DTYPE_BYTES}, .values.items = w.tag_items};
    w.field = (struct op_column){
        .name = S("f"), .type = type_of("i32[2]"), .values = {.payload = S("abcdefghABCDEFGH")}};
    w.op = (struct op){.kind = OP_PUT, .partition = S("p"), .now_ms = 1000};
    w.op.put = (struct op_put){.n = 2,
                               .seqs = w.seqs,
                               .n_new = 1,
                               .new_seqs = w.new_seqs,
                               .keys = w.keys,
                               .n_tags = 1,
                               .n_columns = 1,
                               .tags = &w.tag,
                               .columns = &w.field};
    return &w;
}

static void test_a_good_write_passes(void **state) {
    struct kit *k = *state;
    struct write *w = write_new(k);
    accept(k, &w->op);
    assert_int_equal(store_apply(k->store, &w->op), 1);
    assert_true(span_equal(kit_value(k, "p", "new", "f"), S("ABCDEFGH")));
    w->op.put.n_new = w->op.put.n = 0;
    refuse(k, &w->op, "0 samples");
}

static void test_names(void **state) {
    struct kit *k = *state;
    char *large = mem_calloc(1, 5000);
    struct write *w = write_new(k);
    w->op.partition = S("");
    refuse(k, &w->op, "partition ''");
    w = write_new(k);
    w->op.partition.len = 256, w->op.partition.ptr = large;
    refuse(k, &w->op, "partition");
    w = write_new(k);
    w->keys[0] = span_of(large, 1025);
    refuse(k, &w->op, "1024");
    w->keys[0] = S("");
    refuse(k, &w->op, "key ''");
    w = write_new(k);
    w->tag.name = S("@t");
    refuse(k, &w->op, "tag '@t'");
    w = write_new(k);
    w->tag_items[1] = span_of(large, NAMES_TAG_VALUE_MAX + 1);
    refuse(k, &w->op, "tag 't'");
    w = write_new(k);
    w->field.name = S("f f");
    refuse(k, &w->op, "field 'f f'");
    w = write_new(k);
    w->op.now_ms = -1;
    refuse(k, &w->op, "time");
    mem_free(large);
}

static void test_seqs(void **state) {
    struct kit *k = *state;
    struct write *w = write_new(k);
    w->new_seqs[0] = w->seqs[1] = 4; /* one is left out */
    refuse(k, &w->op, "next sample of partition 'p' is 3, not 4");
    w = write_new(k);
    w->new_seqs[0] = w->seqs[1] = 2; /* one that is there */
    refuse(k, &w->op, "is 3, not 2");
    w = write_new(k);
    w->seqs[0] = UINT64_MAX;
    refuse(k, &w->op, "no sample 18446744073709551615");
    w = write_new(k);
    w->seqs[0] = 3; /* new twice */
    refuse(k, &w->op, "no sample 3");
    w = write_new(k);
    w->seqs[1] = 0; /* made, but not written */
    refuse(k, &w->op, "0 of 1 new");
    w = write_new(k);
    w->op.put.n = 3, w->op.put.n_new = 2;
    w->seqs[1] = 4, w->seqs[2] = 3; /* in another order */
    w->field.values.payload = S("abcdefghABCDEFGHabcdefgh");
    refuse(k, &w->op, "no sample 4");
    kit_clear_key(k, "p", "b");
    refuse(k, &write_new(k)->op, "no sample 1");
    w = write_new(k);
    w->op.put.n = 2, w->op.put.n_new = 0;
    w->seqs[0] = w->seqs[1] = 2;
    refuse(k, &w->op, "sample 2 of partition 'p' is there twice");
    w = write_new(k);
    w->op.partition = S("unknown");
    refuse(k, &w->op, "next sample of partition 'unknown' is 0, not 3");
}

static void test_keys(void **state) {
    struct kit *k = *state;
    struct write *w = write_new(k);
    w->keys[0] = S("b");
    refuse(k, &w->op, "has key 'b' already");
    w = write_new(k);
    w->op.put.n = 3, w->op.put.n_new = 2;
    w->keys[1] = S("new");
    refuse(k, &w->op, "key 'new' is there twice");
}

static void test_groups(void **state) {
    struct kit *k = *state;
    struct write *w = write_new(k);
    w->op.put.group_ids = w->groups;
    w->op.put.group_sizes = w->sizes;
    w->groups[1] = S("group");
    w->sizes[1] = 2;
    accept(k, &w->op);
    w->sizes[1] = 3;
    refuse(k, &w->op, "have 2 members, not 3");
    w->sizes[1] = 0;
    refuse(k, &w->op, "size of 1 to");
    w->sizes[1] = GROUP_SIZE_MAX + 1;
    refuse(k, &w->op, "size of 1 to");
    w->sizes[1] = w->sizes[0] = 2;
    w->groups[0] = S("group");
    refuse(k, &w->op, "no room for sample");
    w->groups[1] = S("");
    refuse(k, &w->op, "group ''");
    w = write_new(k);
    w->op.put.group_ids = w->groups;
    w->op.put.group_sizes = w->sizes;
    w->op.put.n_new = 0, w->op.put.n = 1;
    w->field.values.payload = S("abcdefgh");
    w->seqs[0] = 2;
    w->groups[0] = S("another");
    w->sizes[0] = 2;
    refuse(k, &w->op, "sample 'c' is in group 'group'");

    w = write_new(k); /* where there are no groups yet, those of the op agree */
    w->op.partition = S("q");
    w->op.put.n_new = 2;
    w->seqs[0] = w->new_seqs[0] = 0, w->seqs[1] = w->new_seqs[1] = 1;
    w->op.put.group_ids = w->groups;
    w->op.put.group_sizes = w->sizes;
    w->groups[0] = S("x"), w->groups[1] = S("y");
    w->sizes[0] = w->sizes[1] = 4;
    accept(k, &w->op);
    w->sizes[1] = 5;
    refuse(k, &w->op, "group 'y' has 5 members");
}

static void test_types(void **state) {
    struct kit *k = *state;
    static const char *const narrower[] = {"i32[3]", "f32[2]", "i32[2,2]", "i32"};
    struct write *w = write_new(k);
    for (size_t i = 0; i < COUNT(narrower); i++) {
        w->field.type = type_of(narrower[i]);
        refuse(k, &w->op, "field 'f' is i32[2] and can't become");
    }
    w->field.type = type_of("i32[*]");
    accept(k, &w->op);
    store_find(k->store, S("p"))->fields.columns[0]->declared = true;
    refuse(k, &w->op, "can't become i32[*]");
    w->field.type = type_of("i32[2]");
    accept(k, &w->op);
    w->field.name = S("other");
    w->field.type.base = DTYPE_BASES;
    refuse(k, &w->op, "field 'other' has no valid type");
    w->field.type = (struct dtype){.base = DTYPE_F64, .dimensions = DTYPE_MAX_DIMS + 1};
    refuse(k, &w->op, "no valid type");
    w->field.type = (struct dtype){DTYPE_F64, 2, {1u << 20, 1u << 20}};
    refuse(k, &w->op, "no valid type");
    w->field.type = (struct dtype){DTYPE_STR, 1, {2}};
    refuse(k, &w->op, "no valid type");
    w = write_new(k);
    w->tag.type.base = DTYPE_STR;
    refuse(k, &w->op, "tag 't' has a type");
}

static void test_values(void **state) {
    struct kit *k = *state;
    struct write *w = write_new(k);
    w->field.values.payload.len = 15;
    refuse(k, &w->op, "come out even");
    w->field.values.payload.len = 14; /* 7 bytes each */
    refuse(k, &w->op, "field 'f' is i32[2], got 7 bytes for sample 'b'");
    w = write_new(k);
    w->field.values.lengths = w->lengths;
    accept(k, &w->op);
    w->lengths[1] = 9;
    refuse(k, &w->op, "come out even");
    w->lengths[0] = 7;
    refuse(k, &w->op, "got 7 bytes for sample 'b'");
    w->lengths[0] = 4, w->lengths[1] = 12;
    refuse(k, &w->op, "got 4 bytes");
    w->field.type = type_of("i32[*]");
    accept(k, &w->op);
    w->lengths[0] = 3, w->lengths[1] = 13;
    refuse(k, &w->op, "got 3 bytes");
    w = write_new(k);
    w->field.values.sizes = w->shape;
    refuse(k, &w->op, "come out even");
    w->field.name = S("new");
    w->field.type = type_of("i32[*,*]");
    w->shape[0] = 1, w->shape[1] = 2, w->shape[2] = 2, w->shape[3] = 1;
    accept(k, &w->op);
    w->shape[3] = 2;
    refuse(k, &w->op, "got 8 bytes for sample 'new'");
    w->shape[3] = DTYPE_STAR;
    refuse(k, &w->op, "got 8 bytes for sample 'new'");
    w->field.values.sizes = NULL;
    refuse(k, &w->op, "come out even");
}

static void test_bytes_of_bool_and_str(void **state) {
    struct kit *k = *state;
    struct write *w = write_new(k);
    w->field =
        (struct op_column){.name = S("b"), .type = type_of("bool"), .values.payload = S("\0\1")};
    accept(k, &w->op);
    w->field.values.payload = S("\0\2");
    refuse(k, &w->op, "field 'b' is bool, got bytes that are none for sample 'new'");
    w->field = (struct op_column){
        .name = S("text"), .type = type_of("str"), .values.payload = S("\xc3\xbc\xc3\xbc")};
    accept(k, &w->op);
    w->lengths[0] = 1, w->lengths[1] = 3; /* a character is cut */
    w->field.values.lengths = w->lengths;
    refuse(k, &w->op, "field 'text' is str, got bytes that are none for sample 'b'");
}

static void test_columns_of_a_write(void **state) {
    struct kit *k = *state;
    static struct op_column many[PARTITION_FIELDS_MAX];
    static char names[PARTITION_FIELDS_MAX][8];
    struct write *w = write_new(k);
    struct op_column two[] = {w->field, w->field};
    w->op.put.columns = two;
    w->op.put.n_columns = 2;
    refuse(k, &w->op, "field 'f' is named twice");
    w->op.put.columns = many;
    w->op.put.n_columns = COUNT(many);
    for (size_t i = 0; i < COUNT(many); i++) {
        snprintf(names[i], sizeof(names[i]), "n%zu", i);
        many[i] = w->field;
        many[i].name = span_of_string(names[i]);
    }
    refuse(k, &w->op, "no room for more than 4096 fields");
}

static void test_bounds_of_a_write(void **state) {
    struct kit *k = *state;
    struct write *w = write_new(k);
    struct partition *p = store_find(k->store, S("p"));
    partition_bound(p, &(struct bounds){.samples = 3});
    refuse(k, &w->op, "MAXSAMPLES");
    partition_bound(p, &(struct bounds){0});
    kit_expect(k, "p", 3);
    refuse(k, &w->op, "expects 3");
    kit_seal(k, "p");
    refuse(k, &w->op, "sealed");
    w->op.put.n = 1, w->op.put.n_new = 0; /* what is there may still be written */
    w->field.values.payload = S("abcdefgh");
    accept(k, &w->op);
}

/* ---- the others --------------------------------------------------------------------------- */

static const uint64_t first[] = {0, 1, 2, 3};

static struct op select_op(enum op_kind kind) {
    return (struct op){.kind = kind,
                       .partition = S("p"),
                       .now_ms = 1000,
                       .select = {.n = COUNT(first), .seqs = first, .task = S("task")}};
}

static void fill(struct kit *k) {
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(kit_field(k, "p", key, "f", S("v")), 0);
    }
}

static void test_only_what_is_there(void **state) {
    struct kit *k = *state;
    for (unsigned kind = OP_SAMPLE; kind <= OP_ERASE; kind++) {
        struct op op = select_op((enum op_kind)kind);
        refuse(k, &op, "no partition 'p'");
    }
    refuse(k, &(struct op){.kind = OP_DROP, .partition = S("p")}, "no partition 'p'");
    fill(k);
    kit_clear_key(k, "p", "k2");
    static const enum op_kind kinds[] = {OP_SAMPLE, OP_RESET, OP_CLEAR, OP_ERASE};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct op op = select_op(kinds[i]);
        refuse(k, &op, "partition 'p' has no sample 2");
        op.select.n = 2;
        accept(k, &op);
        op.select.all = true;
        if (kinds[i] == OP_RESET || kinds[i] == OP_ERASE)
            accept(k, &op);
        else
            refuse(k, &op, "that has to name them");
    }
    struct op strange = select_op((enum op_kind)99);
    refuse(k, &strange, "unknown kind 99");
}

static void test_taking(void **state) {
    struct kit *k = *state;
    static const uint64_t twice[] = {3, 1, 2, 1};
    fill(k);
    struct op op = select_op(OP_SAMPLE);
    accept(k, &op);
    op.select.task = S("");
    refuse(k, &op, "task ''");
    op = select_op(OP_SAMPLE);
    op.select.n = 0;
    refuse(k, &op, "takes no samples");
    op = select_op(OP_SAMPLE);
    op.select.seqs = twice;
    refuse(k, &op, "sample 1 of partition 'p' is there twice");
    op = select_op(OP_SAMPLE);
    op.select.n = 1;
    store_apply(k->store, &op);
    op.select.n = 4;
    refuse(k, &op, "task 'task' has had sample 0");
    op.select.task = S("other");
    accept(k, &op);
    for (unsigned i = 1; i < PARTITION_TASKS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%u", i);
        op.select.task = span_of_string(name);
        store_apply(k->store, &op);
    }
    op.select.task = S("one-too-many");
    refuse(k, &op, "has 1024 tasks already");
}

static void test_ranks(void **state) {
    struct kit *k = *state;
    size_t slices[] = {0, 2, 4};
    fill(k);
    struct op op = select_op(OP_DELIVER);
    op.select.rank = (struct op_rank){.given = true, .rank = 1, .batch = 7};
    refuse(k, &op, "task 'task' has no batch 7 of rank 1");
    op = select_op(OP_SAMPLE);
    op.select.rank = (struct op_rank){true, 1, 7, S("how"), 2, slices};
    accept(k, &op);
    static const size_t bad[][3] = {{0, 4, 2}, {1, 2, 4}, {0, 2, 3}, {0, 2, 5}, {0, 0, 4}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        op.select.rank.slices = bad[i];
        refuse(k, &op, "shares of 2 ranks do not split 4 samples");
    }
    op.select.rank.slices = slices;
    op.select.rank.rank = 2;
    refuse(k, &op, "batch 7 of rank 2");
    op.select.rank.rank = 0;
    op.select.lease.id = 1;
    refuse(k, &op, "lease 1 is for a rank");
    op.select.lease.id = 0;
    store_apply(k->store, &op);
    op = select_op(OP_DELIVER);
    op.select.rank = (struct op_rank){.given = true, .rank = 1, .batch = 7};
    accept(k, &op);
    op.select.rank.given = false;
    refuse(k, &op, "no batch 7");
    op = select_op(OP_DONE);
    refuse(k, &op, "no rank is done");
    op.select.rank = (struct op_rank){.given = true, .rank = 1, .batch = 7};
    accept(k, &op);
    op.select.task = S("no task");
    refuse(k, &op, "task");
}

static void test_once(void **state) {
    struct kit *k = *state;
    fill(k);
    struct op op = select_op(OP_CONFIRM);
    refuse(k, &op, "holder '' has nothing to confirm with call 0");
    op.select.once = (struct op_once){.holder = S("h"), .number = 7};
    refuse(k, &op, "holder 'h' has nothing to confirm with call 7");
    op = select_op(OP_SAMPLE);
    op.select.once = (struct op_once){.holder = S("h"), .number = 7, .held_until_ms = 5000};
    accept(k, &op);
    op.select.rank = (struct op_rank){.given = true, .rank = 1, .batch = 7};
    refuse(k, &op, "holder 'h' of a batch");
    op.select.rank.given = false;
    op.select.once.held_until_ms = op.now_ms + ONCE_HOLD_MS + 1;
    refuse(k, &op, "holder 'h' of a batch, held until");
    op.select.once.held_until_ms--;
    accept(k, &op);
    op.select.once.held_until_ms = 0;
    refuse(k, &op, "holder 'h' of a batch, held until 0");
    op.select.lease = (struct op_lease){.id = 1, .ends_ms = 5000};
    accept(k, &op);
    op.select.once.held_until_ms = 5000;
    refuse(k, &op, "holder 'h' of a batch, held until 5000");
    op.select.lease.id = 0;
    op.select.once.holder.len = 0;
    refuse(k, &op, "holder '' of a batch");
    static const char longer[ONCE_HOLDER_MAX + 1];
    op.select.once.holder = span_of(longer, sizeof(longer));
    refuse(k, &op, "of a batch");
    op.select.once.holder = span_of(longer, ONCE_HOLDER_MAX);
    accept(k, &op);
    op.select.once.holder = S("h");
    store_apply(k->store, &op);
    static const uint64_t others[] = {4, 5};
    op.select.seqs = others, op.select.n = 2;
    refuse(k, &op, "holder 'h' takes for call 7 after call 7");
    op.select.once.number = 6;
    refuse(k, &op, "holder 'h' takes for call 6 after call 7");
    op.select.once.number = 8;
    accept(k, &op);
    op = select_op(OP_CONFIRM);
    op.select.once = (struct op_once){.holder = S("h"), .number = 6};
    refuse(k, &op, "holder 'h' has nothing to confirm with call 6");
    op.select.once.number = 7;
    accept(k, &op);
    store_apply(k->store, &op);
    refuse(k, &op, "holder 'h' has nothing to confirm with call 7");
    op.select.once.number = 8;
    accept(k, &op);
    store_apply(k->store, &op);
    op = select_op(OP_SAMPLE);
    op.select.seqs = others, op.select.n = 2;
    op.select.once = (struct op_once){.holder = S("h"), .number = 8, .held_until_ms = 5000};
    accept(k, &op); /* call 8 got nothing so far */
}

static void test_leases(void **state) {
    struct kit *k = *state;
    static const uint64_t others[] = {4, 5};
    fill(k);
    struct op op = select_op(OP_SAMPLE);
    op.select.lease = (struct op_lease){UINT64_MAX, 5000, S("holder"), 0};
    refuse(k, &op, "is not above the last");
    op.select.lease.id = 1;
    op.select.lease.ends_ms = LEASE_NEVER;
    refuse(k, &op, "lease 1 ends at");
    op.select.lease.ends_ms = 5000;
    accept(k, &op);
    store_apply(k->store, &op);
    refuse(k, &op, "has had sample 0"); /* leased */
    op.select.lease.id = 2;
    op.select.seqs = others, op.select.n = 2;
    accept(k, &op);
    store_apply(k->store, &op);

    op = select_op(OP_EXPIRE);
    op.select.lease.id = 1;
    accept(k, &op);
    op.select.seqs = others, op.select.n = 2;
    refuse(k, &op, "lease 1 does not hold sample 4");
    op = select_op(OP_NACK);
    op.select.lease.id = 1;
    refuse(k, &op, "lease 1: a NACK 0 that was applied before, or has no keys");
    op.select.lease.request = ENDED_KEYS_MIN;
    accept(k, &op);
    op.select.n = 1;
    store_apply(k->store, &op);
    refuse(k, &op, "lease 1: a NACK 2 that was applied before");
    static const enum op_kind of_all[] = {OP_ACK, OP_EXPIRE, OP_NACK, OP_EXTEND};
    for (size_t i = 0; i < COUNT(of_all); i++) {
        op = select_op(of_all[i]);
        op.select.n = 3;
        op.select.lease.id = 1;
        op.select.all = true;
        accept(k, &op);
        op.select.n = 4;
        refuse(k, &op, "lease 1 has 3 samples, not 4");
        op.select.lease.id = 3;
        refuse(k, &op, "task 'task' has no lease 3");
        op.select.task = S("nobody");
        refuse(k, &op, "task 'nobody' has no lease");
    }
    op = select_op(OP_ACK);
    op.select.lease.id = 1;
    refuse(k, &op, "lease 1 has"); /* an acknowledgement is of all */
    op = select_op(OP_EXTEND);
    op.select.all = true;
    op.select.n = 3;
    op.select.lease = (struct op_lease){.id = 1, .ends_ms = -1};
    refuse(k, &op, "lease 1 ends at -1");
}

static void test_defining(void **state) {
    struct kit *k = *state;
    struct op_column field = {.name = S("f"), .type = type_of("f32")};
    struct span task = S("task");
    struct bounds bounds = {.ahead = 5, .ahead_task = task, .n_retire = 1, .retire = &task};
    struct op op = {.kind = OP_DEFINE, .partition = S("p"), .define = {&bounds, 1, &field}};
    accept(k, &op);
    fill(k);
    refuse(k, &op, "field 'f' is bytes, can't declare it f32");
    field.type = type_of("bytes");
    accept(k, &op);
    field.name = S("@f");
    refuse(k, &op, "field '@f'");
    field.name = S("g");
    field.type.base = 99;
    refuse(k, &op, "field 'g' has no valid type");
    field.type.base = DTYPE_U8;
    task = S(" ");
    refuse(k, &op, "task ' '");
    bounds.n_retire = 0;
    bounds.ahead_task = span_of(NULL, 0);
    refuse(k, &op, "task ''");
    bounds.ahead = 0;
    accept(k, &op);
    op.partition = S("");
    refuse(k, &op, "partition ''");
    op = (struct op){.kind = OP_SEAL, .partition = S("")};
    refuse(k, &op, "partition ''");
    op = (struct op){.kind = OP_EXPECT, .partition = S("p"), .expected = 19};
    refuse(k, &op, "has had 20 samples, can't expect 19");
    op.expected = 20;
    accept(k, &op);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_a_good_write_passes),
        KIT_TEST(test_names),
        KIT_TEST(test_seqs),
        KIT_TEST(test_keys),
        KIT_TEST(test_groups),
        KIT_TEST(test_types),
        KIT_TEST(test_values),
        KIT_TEST(test_bytes_of_bool_and_str),
        KIT_TEST(test_columns_of_a_write),
        KIT_TEST(test_bounds_of_a_write),
        KIT_TEST(test_only_what_is_there),
        KIT_TEST(test_taking),
        KIT_TEST(test_ranks),
        KIT_TEST(test_once),
        KIT_TEST(test_leases),
        KIT_TEST(test_defining),
    };
    return cmocka_run_group_tests_name("store/check", tests, NULL, NULL);
}
