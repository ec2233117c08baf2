/* See store.h. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "fail.h"
#include "store/bounds.h"

#define KIT_CHECK(condition) EXPECT(condition, "in the test's kit")

/* ---- opening and closing ------------------------------------------------------------------ */

void kit_open(struct kit *k) {
    static bool has_secret;
    if (!has_secret) hash_init();
    has_secret = true;
    *k = (struct kit){.used = mem_used(), .now_ms = 1700000000000};
    k->store = store_new(&k->error);
    KIT_CHECK(k->store);
}

void kit_empty(struct kit *k) {
    for (uint64_t cursor = 0;;) {
        struct partition *p = store_next(k->store, &cursor);
        if (!p) break;
        char name[256];
        memcpy(name, p->name.ptr, p->name.len);
        struct op op = {.kind = OP_DROP, .partition = span_of(name, p->name.len)};
        KIT_CHECK(store_apply(k->store, &op) == 1);
    }
    struct store_stats stats;
    store_stats(k->store, &stats);
    KIT_CHECK(stats.partitions == 0 && stats.samples == 0 && stats.payload_bytes == 0);
    KIT_CHECK(stats.arena.chunks == 0 && stats.arena.allocated == 0);
    KIT_CHECK(stats.arena.regions_free == stats.arena.regions);
}

void kit_renew(struct kit *k) {
    kit_empty(k);
    ((struct leases *)store_leases(k->store))->last_id = 0;
}

size_t kit_close(struct kit *k) {
    kit_empty(k);
    store_free(k->store);
    k->store = NULL;
    scratch_free(&k->scratch);
    return mem_used() - k->used;
}

int kit_setup(void **state) {
    struct kit *k = calloc(1, sizeof(*k));
    kit_open(k);
    *state = k;
    return 0;
}

int kit_teardown(void **state) {
    size_t left = kit_close(*state);
    free(*state);
    if (left) fprintf(stderr, "%zu bytes did not come back, unless the test failed before\n", left);
    return left ? -1 : 0;
}

/* ---- commands ----------------------------------------------------------------------------- */

int kit_put(struct kit *k, const struct put *put) {
    struct op op;
    scratch_reset(&k->scratch);
    k->changed = 0;
    int failed = put_plan(k->store, put, WRITE_VALUES_FIRST, k->now_ms, &k->scratch, &op,
                          &k->skipped, &k->error);
    if (!failed && !k->skipped) k->changed = store_apply(k->store, &op);
    return failed;
}

int kit_sample(struct kit *k, const struct sample_call *call, struct sampled *sampled) {
    scratch_reset(&k->scratch);
    k->changed = 0;
    int failed = sample_plan(k->store, call, k->now_ms, &k->scratch, sampled, &k->error);
    if (!failed && sampled->outcome == SAMPLE_BATCH && sampled->changes)
        k->changed = store_apply(k->store, &sampled->op);
    return failed;
}

int kit_reset(struct kit *k, const struct reset *reset) {
    struct op op;
    scratch_reset(&k->scratch);
    k->changed = 0;
    int failed = reset_plan(k->store, reset, k->now_ms, &k->scratch, &op, &k->error);
    if (!failed) k->changed = store_apply(k->store, &op);
    return failed;
}

int kit_expect(struct kit *k, const char *partition, uint64_t samples) {
    struct op op;
    int failed =
        expect_plan(k->store, span_of_string(partition), samples, k->now_ms, &op, &k->error);
    if (!failed) k->changed = store_apply(k->store, &op);
    return failed;
}

int kit_seal(struct kit *k, const char *partition) {
    struct op op;
    int failed = seal_plan(span_of_string(partition), k->now_ms, &op, &k->error);
    if (!failed) k->changed = store_apply(k->store, &op);
    return failed;
}

size_t kit_clear(struct kit *k, const struct clear *clear) {
    struct op op;
    scratch_reset(&k->scratch);
    k->changed = 0;
    if (clear_plan(k->store, clear, k->now_ms, &k->scratch, &op))
        k->changed = store_apply(k->store, &op);
    return k->changed;
}

/* ---- the usual case ----------------------------------------------------------------------- */

static int kit_value_put(struct kit *k, const char *partition, const char *key, const char *field,
                         struct span bytes, bool text) {
    const char *colon = strchr(field, ':');
    struct put_value value = {.name = span_of_string(field), .bytes = bytes, .text = text};
    if (colon) {
        value.name.len = (size_t)(colon - field);
        value.typed = true;
        int failed = dtype_parse(span_of_string(colon + 1), &value.type, &k->error);
        if (failed) return failed;
    }
    return kit_put(k, &(struct put){.partition = span_of_string(partition),
                                    .key = span_of_string(key),
                                    .n_values = 1,
                                    .values = &value});
}

int kit_field(struct kit *k, const char *partition, const char *key, const char *field,
              struct span bytes) {
    return kit_value_put(k, partition, key, field, bytes, false);
}

int kit_text(struct kit *k, const char *partition, const char *key, const char *field,
             const char *literal) {
    return kit_value_put(k, partition, key, field, span_of_string(literal), true);
}

int kit_tag(struct kit *k, const char *partition, const char *key, const char *tag,
            const char *value) {
    struct put_tag one = {span_of_string(tag), span_of_string(value)};
    return kit_put(k, &(struct put){.partition = span_of_string(partition),
                                    .key = span_of_string(key),
                                    .n_tags = 1,
                                    .tags = &one});
}

int kit_group(struct kit *k, const char *partition, const char *key, const char *group,
              uint64_t size) {
    return kit_put(k, &(struct put){.partition = span_of_string(partition),
                                    .key = span_of_string(key),
                                    .group = span_of_string(group),
                                    .group_size = size});
}

size_t kit_clear_key(struct kit *k, const char *partition, const char *key) {
    struct span name = span_of_string(key);
    return kit_clear(
        k, &(struct clear){
               .select = {.partition = span_of_string(partition), .n_keys = 1, .keys = &name}});
}

size_t kit_drop(struct kit *k, const char *partition) {
    return kit_clear(k, &(struct clear){.select = {.partition = span_of_string(partition)}});
}

/* ---- looking ------------------------------------------------------------------------------ */

struct partition *kit_partition(struct kit *k, const char *partition) {
    struct partition *p = store_find(k->store, span_of_string(partition));
    KIT_CHECK(p);
    return p;
}

uint64_t kit_seq(struct kit *k, const char *partition, const char *key) {
    uint64_t seq = partition_find(kit_partition(k, partition), span_of_string(key));
    KIT_CHECK(seq != SEQ_NONE);
    return seq;
}

static struct column *kit_column(struct kit *k, const char *partition, const char *field) {
    struct column *column =
        column_set_find(&kit_partition(k, partition)->fields, span_of_string(field));
    KIT_CHECK(column);
    return column;
}

struct span kit_value(struct kit *k, const char *partition, const char *key, const char *field) {
    struct span value;
    KIT_CHECK(column_get(kit_column(k, partition, field), kit_seq(k, partition, key), &value));
    return value;
}

const char *kit_type(struct kit *k, const char *partition, const char *field) {
    return dtype_format(column_type(kit_column(k, partition, field)),
                        scratch_alloc(&k->scratch, 1, DTYPE_TEXT_MAX));
}

const char *kit_item(struct kit *k, const char *partition, const char *key, const char *field) {
    struct dtype item =
        column_item_type(kit_column(k, partition, field), kit_seq(k, partition, key));
    return dtype_format(&item, scratch_alloc(&k->scratch, 1, DTYPE_TEXT_MAX));
}
