/* See model_check.h. */
#include "model_check.h"

#include "base/mem.h"
#include "fail.h"
#include "store/gather.h"

#define U(number) (unsigned long long)(number)

/* ---- columns ------------------------------------------------------------------------------ */

static void check_cell(const struct column *c, uint64_t seq, const struct model_cell *cell) {
    struct span value;
    EXPECT(column_has(c, seq) == cell->produced, "%.*s of seq %llu", SPAN_ARG(column_name(c)),
           U(seq));
    EXPECT(column_get(c, seq, &value) == cell->produced, "seq %llu", U(seq));
    if (!cell->produced) return;
    EXPECT(span_equal(value, span_of(cell->bytes, cell->len)),
           "%.*s of seq %llu: %zu bytes, expected %zu", SPAN_ARG(column_name(c)), U(seq), value.len,
           cell->len);
    struct dtype item = column_item_type(c, seq);
    EXPECT(dtype_equal(&item, &cell->item), "%.*s of seq %llu: %s, expected %s",
           SPAN_ARG(column_name(c)), U(seq), DTYPE_NAME(&item), DTYPE_NAME(&cell->item));
}

static void check_columns(const struct column_set *set, const struct model_columns *columns,
                          const struct model_partition *p, bool tags) {
    EXPECT(set->count == columns->n, "%u columns, expected %zu", set->count, columns->n);
    for (size_t i = 0; i < columns->n; i++) {
        const struct column *c = set->columns[i];
        const struct model_column *expected = &columns->all[i];
        uint64_t produced = 0, bytes = 0;
        EXPECT(span_equal(column_name(c), expected->name), "column %zu is %.*s, not %.*s", i,
               SPAN_ARG(column_name(c)), SPAN_ARG(expected->name));
        EXPECT(column_set_find(set, expected->name) == c, "%.*s", SPAN_ARG(column_name(c)));
        EXPECT(c->declared == expected->declared, "%.*s", SPAN_ARG(column_name(c)));
        EXPECT(dtype_equal(column_type(c), &expected->type), "%.*s: %s, expected %s",
               SPAN_ARG(column_name(c)), DTYPE_NAME(column_type(c)), DTYPE_NAME(&expected->type));
        for (size_t k = 0; k < p->n; k++) {
            const struct model_cell *cell =
                &(tags ? p->samples[k]->tags : p->samples[k]->fields)[i];
            check_cell(c, p->samples[k]->seq, cell);
            produced += cell->produced;
            bytes += cell->produced ? cell->len : 0;
        }
        EXPECT(c->produced == produced, "%.*s: %llu", SPAN_ARG(column_name(c)), U(c->produced));
        EXPECT(c->bytes == bytes, "%.*s: %llu", SPAN_ARG(column_name(c)), U(c->bytes));
    }
}

/* ---- partitions --------------------------------------------------------------------------- */

/* Samples of broken groups that the task of MAXAHEAD has not consumed, one by one. */
static void check_stranded(const struct partition *p) {
    const struct task *task = partition_task(p, p->bounds->ahead_task);
    uint64_t n = 0;
    for (uint64_t seq = 0; (seq = partition_next(p, seq)) != SEQ_NONE; seq++) {
        uint32_t group = partition_group(p, seq);
        if (!p->bounds->ahead || group == GROUP_NONE || !groups_get(p->groups, group)->broken)
            continue;
        n += !task || !task_has_consumed(task, seq);
    }
    EXPECT(p->stranded == n, "%llu, expected %llu", U(p->stranded), U(n));
}

static void check_samples(const struct partition *p, const struct model_partition *expected) {
    EXPECT(p->samples == expected->n, "%llu, expected %zu", U(p->samples), expected->n);
    check_stranded(p);
    EXPECT(p->written == expected->written, "%llu", U(p->written));
    uint64_t seq = 0;
    for (size_t i = 0; i < expected->n; i++, seq++) {
        const struct model_sample *sample = expected->samples[i];
        seq = partition_next(p, seq);
        EXPECT(seq == sample->seq, "%llu, expected %llu", U(seq), U(sample->seq));
        EXPECT(partition_alive(p, seq), "seq %llu", U(seq));
        EXPECT(span_equal(partition_key(p, seq), sample->key), "seq %llu", U(seq));
        EXPECT(partition_find(p, sample->key) == seq, "seq %llu", U(seq));
    }
    EXPECT(partition_next(p, seq) == SEQ_NONE, "one too many: %llu", U(partition_next(p, seq)));
}

static void check_groups(const struct partition *p, const struct model_partition *expected) {
    size_t count = 0;
    EXPECT(p->groups->size == expected->group_size, "%u", p->groups->size);
    for (size_t i = 0; i < expected->n_groups; i++) {
        const struct model_group *group = &expected->groups[i];
        if (group->members == 0) continue;
        uint32_t number = groups_find(p->groups, group->id);
        EXPECT(number != GROUP_NONE, "group %zu", i);
        const struct group *g = groups_get(p->groups, number);
        EXPECT(g->members == group->members && g->broken == group->broken, "group %zu", i);
        EXPECT(group_is_complete(g) == (!group->broken && group->members == expected->group_size),
               "group %zu", i);
        for (size_t j = 1; j < g->members; j++) EXPECT(g->seqs[j - 1] < g->seqs[j], "%zu", j);
        count++;
    }
    EXPECT(p->groups->count == count, "%zu groups, expected %zu", p->groups->count, count);
    for (size_t i = 0; i < expected->n; i++) {
        const struct model_sample *sample = expected->samples[i];
        uint32_t number = partition_group(p, sample->seq);
        EXPECT((number == GROUP_NONE) == (sample->group == MODEL_NO_GROUP), "%zu", i);
        if (number == GROUP_NONE) continue;
        EXPECT(span_equal(groups_get(p->groups, number)->id, expected->groups[sample->group].id),
               "sample %zu", i);
    }
}

static void check_bounds(const struct bounds *b, const struct model_bounds *expected) {
    EXPECT(b->samples == expected->samples && b->bytes == expected->bytes, "%llu, %llu",
           U(b->samples), U(b->bytes));
    EXPECT(b->ahead == expected->ahead && span_equal(b->ahead_task, expected->ahead_task), "%llu",
           U(b->ahead));
    EXPECT(b->n_retire == expected->n_retire, "%zu", b->n_retire);
    for (size_t i = 0; i < b->n_retire; i++)
        EXPECT(span_equal(b->retire[i], expected->retire[i]), "task %zu", i);
    EXPECT(b->n_indexes == expected->n_indexes, "%zu", b->n_indexes);
    for (size_t i = 0; i < b->n_indexes; i++)
        EXPECT(span_equal(b->indexes[i], expected->indexes[i]), "index %zu", i);
}

/* ---- chunks ------------------------------------------------------------------------------- */

struct tally {
    uint32_t cells;
    uint64_t live;
};

static bool knows_seq(const struct chunk *chunk, uint64_t seq) {
    if (seq >= chunk->first && seq <= chunk->last) return true;
    for (size_t i = 0; i < chunk->n_others; i++)
        if ((uint32_t)seq >= chunk->others[i].first && (uint32_t)seq <= chunk->others[i].last)
            return true;
    return false;
}

static void tally_column(const struct partition *p, const struct column *c,
                         const struct model_partition *expected, struct tally *tallies) {
    for (size_t i = 0; i < expected->n; i++) {
        const struct cell *cell = column_cell(c, expected->samples[i]->seq);
        if (!cell || !cell->length) continue;
        const struct chunk *chunk = arena_chunk(p->home.arena, cell->chunk);
        EXPECT((uint64_t)cell->offset + cell->length <= chunk_size(chunk), "sample %zu", i);
        EXPECT(chunk->owner == &p->home.chunks && (chunk->column == c || !chunk->column),
               "sample %zu", i);
        EXPECT(knows_seq(chunk, expected->samples[i]->seq), "sample %zu", i);
        tallies[cell->chunk].cells++;
        tallies[cell->chunk].live += cell->length;
    }
}

/* Every chunk of a partition has just the cells that point into it. Returns how many chunks it has. */
static size_t check_chunks(const struct partition *p, const struct model_partition *expected,
                           size_t *bytes) {
    uint32_t largest = 0;
    size_t count = 0;
    for (struct chunk *c = p->home.chunks.first; c; c = c->next)
        largest = c->id > largest ? c->id : largest;
    struct tally *tallies = mem_calloc((size_t)largest + 1, sizeof(*tallies));
    tally_column(p, &p->keys, expected, tallies);
    for (size_t i = 0; i < p->fields.count; i++)
        tally_column(p, p->fields.columns[i], expected, tallies);
    for (size_t i = 0; i < p->tags.count; i++)
        tally_column(p, p->tags.columns[i], expected, tallies);
    for (struct chunk *c = p->home.chunks.first; c; c = c->next, count++) {
        EXPECT(c->cells == tallies[c->id].cells, "%u, expected %u", c->cells, tallies[c->id].cells);
        EXPECT(c->live == tallies[c->id].live, "%llu, expected %llu", U(c->live),
               U(tallies[c->id].live));
        EXPECT(c->cells || c->pins, "chunk %u is held by nobody", c->id);
        *bytes += chunk_size(c);
    }
    mem_free(tallies);
    return count;
}

void model_check(struct model *m, const struct store *s, size_t orphans, size_t orphan_bytes) {
    struct store_stats stats;
    size_t partitions = 0, samples = 0, chunks = orphans, bytes = orphan_bytes;
    uint64_t payload = 0, cursor = 0;
    for (size_t i = 0; i < MODEL_PARTITIONS; i++) {
        struct model_partition *expected = &m->partitions[i];
        if (expected->name.len == 0) continue;
        const struct partition *p = store_find(s, expected->name);
        EXPECT(p, "partition %.*s", SPAN_ARG(expected->name));
        EXPECT(span_equal(p->name, expected->name), "%.*s", SPAN_ARG(p->name));
        EXPECT(p->has_expected == expected->has_expected, "%.*s", SPAN_ARG(p->name));
        EXPECT(!p->has_expected || p->expected == expected->expected, "%.*s", SPAN_ARG(p->name));
        EXPECT(p->sealed == expected->sealed, "%.*s", SPAN_ARG(p->name));
        EXPECT(p->task_bytes >= 0, "%.*s: %lld", SPAN_ARG(p->name), (long long)p->task_bytes);
        check_bounds(p->bounds, &expected->bounds);
        check_samples(p, expected);
        check_columns(&p->fields, &expected->fields, expected, false);
        check_columns(&p->tags, &expected->tags, expected, true);
        check_groups(p, expected);
        model_check_tasks(p, expected);
        chunks += check_chunks(p, expected, &bytes);
        payload += partition_bytes(p);
        samples += expected->n;
        partitions++;
    }
    for (struct partition *p; (p = store_next(s, &cursor)); partitions--)
        EXPECT(model_find(m, p->name), "partition %.*s", SPAN_ARG(p->name));
    EXPECT(partitions == 0, "%zu", partitions);
    model_check_leases(m, s);
    store_stats(s, &stats);
    EXPECT(stats.samples == samples && stats.payload_bytes == payload, "%zu samples", samples);
    EXPECT(stats.arena.chunks == chunks, "%zu, expected %zu", stats.arena.chunks, chunks);
    EXPECT(stats.arena.allocated == bytes, "%zu, expected %zu", stats.arena.allocated, bytes);
}

/* ---- readiness ---------------------------------------------------------------------------- */

void model_check_ready(struct model *m, const struct store *s, struct span partition,
                       struct span task, const struct span *fields, size_t n_fields,
                       const struct where *where, struct scratch *scratch) {
    struct model_partition *expected = model_find(m, partition);
    const struct partition *p = store_find(s, partition);
    if (!expected) return;
    struct ready_query query = {
        p, task.ptr ? partition_task(p, task) : NULL, n_fields, fields, where, false, 0, false, 0};
    struct ready scan, count;
    uint64_t ready = 0;
    ready_open(&scan, &query, scratch);
    ready_open(&count, &query, scratch);
    bool exact;
    uint64_t bound = ready_bound(&scan, &exact);
    for (size_t i = 0; i < expected->n; i++) {
        const struct model_sample *sample = expected->samples[i];
        bool is = model_is_ready(expected, sample, fields, n_fields, task, where);
        EXPECT(ready_has(&scan, sample->seq) == is, "seq %llu", U(sample->seq));
        if (!is) continue;
        uint64_t seq = ready_next(&scan);
        EXPECT(seq == sample->seq, "%llu, expected %llu", U(seq), U(sample->seq));
        ready++;
    }
    EXPECT(ready_next(&scan) == SEQ_NONE && ready_next(&scan) == SEQ_NONE, "after %llu", U(ready));
    EXPECT(!ready_has(&scan, expected->written), "a sample to come");
    uint64_t counted = ready_count(&count);
    EXPECT(counted == ready, "%llu, expected %llu", U(counted), U(ready));
    EXPECT(exact ? bound == ready : bound >= ready, "%llu, at most %llu", U(ready), U(bound));
}

/* ---- the column form ---------------------------------------------------------------------- */

/* The payload put together from its runs. */
static char *read_runs(struct gather *g, size_t len, struct scratch *scratch) {
    char *payload = scratch_alloc(scratch, len + 1, 1);
    size_t used = 0;
    for (struct gather_run run; gather_next(g, &run); used += run.bytes.len) {
        EXPECT(run.bytes.len > 0 && used + run.bytes.len <= len, "%zu of %zu", used, len);
        EXPECT(run.bytes.ptr >= run.chunk->memory &&
                   run.bytes.ptr + run.bytes.len <= run.chunk->memory + chunk_size(run.chunk),
               "run at %zu", used);
        memcpy(payload + used, run.bytes.ptr, run.bytes.len);
    }
    EXPECT(used == len, "%zu, expected %zu", used, len);
    return payload;
}

/* One sample's numbers in the shape part; returns where the next one's begin. */
static const char *check_sizes(const char *shape, const struct dtype *type,
                               const struct model_cell *cell) {
    uint32_t got;
    unsigned dimensions = type->dimensions + (dtype_is_variable(type) ? 1 : 0);
    for (unsigned d = 0; d < dimensions; d++) {
        uint32_t size = d < type->dimensions ? cell->item.shape[d] : (uint32_t)cell->len;
        if (d < type->dimensions && type->shape[d] != DTYPE_STAR) continue;
        memcpy(&got, shape, sizeof(got));
        EXPECT(got == size, "%u, expected %u", got, size);
        shape += sizeof(got);
    }
    return shape;
}

static void check_form(struct gather *g, const struct dtype *type,
                       const struct model_cell *const *cells, size_t len, struct scratch *scratch) {
    size_t stars = dtype_is_variable(type), before = 0;
    for (unsigned d = 0; d < type->dimensions; d++) stars += type->shape[d] == DTYPE_STAR;
    EXPECT(dtype_equal(type, &g->type), "%s, expected %s", DTYPE_NAME(&g->type), DTYPE_NAME(type));
    EXPECT(g->bytes == len, "%llu, expected %zu", U(g->bytes), len);
    EXPECT(gather_shape_bytes(g) == g->n * stars * 4, "%zu", gather_shape_bytes(g));
    char *shape = scratch_alloc(scratch, gather_shape_bytes(g) + 1, 1);
    gather_shape(g, shape);
    const char *sizes = shape, *payload = read_runs(g, len, scratch);
    for (size_t i = 0; i < g->n; before += cells[i++]->len) {
        EXPECT(memcmp(payload + before, cells[i]->bytes, cells[i]->len) == 0, "sample %zu", i);
        sizes = check_sizes(sizes, type, cells[i]);
    }
}

void model_check_gather(struct model *m, const struct store *s, struct span partition,
                        struct span field, const uint64_t *seqs, size_t n,
                        struct scratch *scratch) {
    struct model_partition *p = model_find(m, partition);
    size_t at = p ? model_column(&p->fields, field) : 0, missing = n, len = 0;
    if (!p || at == p->fields.n || n == 0) return;
    const struct model_cell **cells = scratch_alloc(scratch, n, sizeof(*cells));
    for (size_t i = n; i-- > 0;) {
        cells[i] = &model_by_seq(p, seqs[i])->fields[at];
        if (!cells[i]->produced) missing = i;
        len += cells[i]->len;
    }
    struct gather g;
    size_t have =
        gather_open(&g, column_set_find(&store_find(s, partition)->fields, field), seqs, n);
    EXPECT(have == missing, "%zu of %zu, expected %zu", have, n, missing);
    if (missing < n) return;
    struct dtype type = cells[0]->item;
    for (size_t i = 0; i < n; i++)
        EXPECT(model_widen(&type, &cells[i]->item, &type), "sample %zu", i);
    check_form(&g, &type, cells, len, scratch);
}
