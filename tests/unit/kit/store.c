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
    int failed = put_plan(k->store, put, k->now_ms, &k->scratch, &op, &k->held, &k->error);
    if (!failed && !k->held) k->changed = store_apply(k->store, &op);
    return failed;
}

int kit_take(struct kit *k, const struct take *take, struct taken *taken) {
    scratch_reset(&k->scratch);
    k->changed = 0;
    int failed = take_plan(k->store, take, k->now_ms, &k->scratch, taken, &k->error);
    if (!failed && taken->outcome == TAKE_BATCH && taken->changes)
        k->changed = store_apply(k->store, &taken->op);
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

/* ---- dumps -------------------------------------------------------------------------------- */

static void dump_span(FILE *out, const char *before, struct span bytes) {
    fprintf(out, "%s%zu:", before, bytes.len);
    fwrite(bytes.ptr, 1, bytes.len, out);
}

static void dump_columns(FILE *out, const char *what, const struct column_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        const struct column *c = set->columns[i];
        dump_span(out, what, c->name);
        fprintf(out, " %s%s produced %llu bytes %llu\n", DTYPE_NAME(column_type(c)),
                c->declared ? " declared" : "", (unsigned long long)c->produced,
                (unsigned long long)c->bytes);
    }
}

static void dump_cells(FILE *out, const char *what, const struct column_set *set, uint64_t seq) {
    for (size_t i = 0; i < set->count; i++) {
        struct span value;
        if (!column_get(set->columns[i], seq, &value)) continue;
        struct dtype item = column_item_type(set->columns[i], seq);
        fprintf(out, " %s%zu", what, i);
        dump_span(out, DTYPE_NAME(&item), value);
    }
}

static void dump_sample(FILE *out, const struct partition *p, uint64_t seq) {
    fprintf(out, " sample %llu", (unsigned long long)seq);
    dump_span(out, " ", partition_key(p, seq));
    uint32_t number = partition_group(p, seq);
    if (number != GROUP_NONE) {
        const struct group *g = groups_get(&p->groups, number);
        dump_span(out, " group ", g->id);
        fprintf(out, " %u/%u%s", g->members, g->size, g->broken ? " broken" : "");
    }
    dump_cells(out, "f", &p->fields, seq);
    dump_cells(out, "t", &p->tags, seq);
    for (size_t i = 0; i < p->tasks_count; i++) {
        if (consumer_has_had(p->tasks[i], seq)) fprintf(out, " had%zu", i);
        if (consumer_is_leased(p->tasks[i], seq)) fprintf(out, " leased%zu", i);
    }
    fputc('\n', out);
}

static void dump_seqs(FILE *out, const uint64_t *seqs, size_t n) {
    for (size_t i = 0; i < n; i++) fprintf(out, " %llu", (unsigned long long)seqs[i]);
    fputc('\n', out);
}

static int compare_batches(const void *a, const void *b) {
    const struct rank_batch *x = *(struct rank_batch *const *)a,
                            *y = *(struct rank_batch *const *)b;
    if (x->id[0] != y->id[0]) return x->id[0] < y->id[0] ? -1 : 1;
    return x->id[1] < y->id[1] ? -1 : x->id[1] > y->id[1];
}

/* By id: their places, and when those of which nothing lives are forgotten, is the table's own business. */
static void dump_ranks(FILE *out, const struct partition *p, const struct ranks *ranks) {
    struct rank_batch **batches = calloc(ranks->n + 1, sizeof(*batches));
    size_t n = 0;
    for (size_t i = 0; i < ranks->n; i++)
        if (rank_batch_lives(ranks->table[i], p)) batches[n++] = ranks->table[i];
    qsort(batches, n, sizeof(*batches), compare_batches);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "  batch %llu %llu%s", (unsigned long long)batches[i]->id[0],
                (unsigned long long)batches[i]->id[1], batches[i]->handed ? " handed" : "");
        dump_span(out, " ", batches[i]->how);
        dump_seqs(out, batches[i]->seqs, batches[i]->n);
    }
    free(batches);
}

static void dump_task(FILE *out, const struct partition *p, const struct consumer *task) {
    dump_span(out, " task ", task->name);
    fprintf(out, " consumed %llu leased %llu\n", (unsigned long long)task->consumed,
            (unsigned long long)task->leased);
    for (size_t i = 0; i < task->leases_count; i++) {
        const struct lease *lease = task->leases[i];
        fprintf(out, "  lease %llu from %lld to %lld, %llu held", (unsigned long long)lease->id,
                (long long)lease->given_ms, (long long)lease->ends_ms,
                (unsigned long long)lease_samples(lease));
        dump_span(out, " ", lease->holder);
        dump_seqs(out, lease->seqs, lease->n);
    }
    dump_ranks(out, p, &task->ranks);
}

static void dump_bounds(FILE *out, const struct bounds *bounds) {
    fprintf(out, " bounds %llu %llu %llu", (unsigned long long)bounds->samples,
            (unsigned long long)bounds->bytes, (unsigned long long)bounds->ahead);
    if (bounds->ahead_task.ptr) dump_span(out, " ahead ", bounds->ahead_task);
    for (size_t i = 0; i < bounds->n_retire; i++) dump_span(out, " retire ", bounds->retire[i]);
    fputc('\n', out);
}

static void dump_partition(FILE *out, const struct partition *p) {
    dump_span(out, "partition ", p->name);
    fprintf(out, " samples %llu written %llu next %llu groups %zu of %u",
            (unsigned long long)p->samples, (unsigned long long)p->written,
            (unsigned long long)p->next_seq, p->groups.count, p->groups.size);
    if (p->has_expected) fprintf(out, " expected %llu", (unsigned long long)p->expected);
    fprintf(out, "%s\n", p->sealed ? " sealed" : "");
    dump_columns(out, " field ", &p->fields);
    dump_columns(out, " tag ", &p->tags);
    dump_bounds(out, &p->bounds);
    for (size_t i = 0; i < p->tasks_count; i++) dump_task(out, p, p->tasks[i]);
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++)
        dump_sample(out, p, seq);
}

static int compare_partitions(const void *a, const void *b) {
    return span_compare((*(struct partition *const *)a)->name,
                        (*(struct partition *const *)b)->name);
}

/* By name: in which slot a partition sits depends on what was there before it. */
struct span kit_dump(const struct store *s) {
    char *text = NULL;
    size_t len = 0, n = 0;
    struct partition **partitions = calloc(store_partitions(s) + 1, sizeof(*partitions));
    FILE *out = open_memstream(&text, &len);
    KIT_CHECK(out);
    uint64_t cursor = 0;
    for (struct partition *p; (p = store_next(s, &cursor));) partitions[n++] = p;
    qsort(partitions, n, sizeof(*partitions), compare_partitions);
    for (size_t i = 0; i < n; i++) dump_partition(out, partitions[i]);
    free(partitions);
    fclose(out);
    return span_of(text, len);
}

void kit_dump_free(struct span dump) {
    free((void *)dump.ptr);
}
