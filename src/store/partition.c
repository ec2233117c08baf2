/* See partition.h. */
#include "store/partition.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/matches.h"
#include "store/rowbits.h"
#include "store/tagindex.h"

/* Of a partition that has no bound. */
static const struct bounds bounds_none;

struct partition *partition_new(struct span name, struct arena *arena) {
    static const struct dtype bytes = {.base = DTYPE_BYTES};
    struct partition *p = mem_calloc(1, sizeof(*p));
    p->name = span_of(mem_dup(name.ptr, name.len), name.len);
    p->home = (struct column_home){.arena = arena, .shares = true};
    p->onces = onces_none();
    p->groups = &groups_none;
    p->ended = &ended_none;
    p->bounds = &bounds_none;
    column_init(&p->keys, SPAN_LITERAL("@key"), &bytes, &p->home);
    return p;
}

/* ---- columns by name ---------------------------------------------------------------------- */

enum { SET_SEARCHED = 8 }; /* with more columns a set has an index */

static bool column_has_name(const void *context, uint32_t at, struct span name) {
    const struct column_set *set = context;
    return span_equal(column_name(set->columns[at]), name);
}

struct column *column_set_find(const struct column_set *set, struct span name) {
    if (set->count <= SET_SEARCHED) {
        for (size_t i = 0; i < set->count; i++)
            if (span_equal(column_name(set->columns[i]), name)) return set->columns[i];
        return NULL;
    }
    uint32_t at = keyindex_find(set->index, hash_bytes(name), name, column_has_name, set);
    return at == KEYINDEX_NONE ? NULL : set->columns[at];
}

/* The last column enters the index, or all of them where there was none. */
static void column_set_index(struct column_set *set) {
    if (set->count <= SET_SEARCHED) return;
    size_t first = set->index ? set->count - 1 : 0;
    if (!set->index) set->index = mem_calloc(1, sizeof(*set->index));
    for (size_t i = first; i < set->count; i++)
        keyindex_add(set->index, hash_bytes(column_name(set->columns[i])), (uint32_t)i);
}

static void column_set_unindex(struct column_set *set) {
    if (set->index) keyindex_free(set->index);
    mem_free(set->index);
    set->index = NULL;
}

bool column_is_spare(const struct column *c) {
    return !c->produced && !c->declared;
}

/* Columns that have no cell and were not declared give their places back. */
static void column_set_sweep(struct column_set *set) {
    size_t n = set->count;
    column_set_unindex(set);
    set->count = 0;
    for (size_t i = 0; i < n; i++) {
        struct column *column = set->columns[i];
        if (column_is_spare(column)) {
            column_free(column);
            mem_free(column);
        } else {
            set->columns[set->count++] = column;
            column_set_index(set);
        }
    }
}

struct column *partition_add_column(struct partition *p, struct column_set *set, struct span name,
                                    const struct dtype *type) {
    struct column *column = mem_alloc(sizeof(*column));
    if (set == &p->fields && set->count >= PARTITION_FIELDS_MAX) column_set_sweep(set);
    column_init(column, name, type, &p->home);
    if (set->count == set->capacity) {
        set->capacity = set->capacity ? 2 * set->capacity : 1;
        set->columns = mem_realloc(set->columns, set->capacity * sizeof(*set->columns));
    }
    set->columns[set->count++] = column;
    column_set_index(set);
    return column;
}

static void column_set_free(struct column_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        column_free(set->columns[i]);
        mem_free(set->columns[i]);
    }
    mem_free(set->columns);
    column_set_unindex(set);
}

/* ---- rows --------------------------------------------------------------------------------- */

static struct row_block *partition_rows(const struct partition *p, uint64_t seq) {
    return blockindex_get(&p->rows, block_number(seq));
}

bool partition_alive(const struct partition *p, uint64_t seq) {
    const struct row_block *block = partition_rows(p, seq);
    return block && bits_get(block->alive, block_row(seq));
}

struct span partition_key(const struct partition *p, uint64_t seq) {
    struct span key = {"", 0};
    column_get(&p->keys, seq, &key);
    return key;
}

/* The seq whose low 32 bits are known: all that live lie within 2^32 of each other. */
static uint64_t partition_widen_seq(const struct partition *p, uint32_t low) {
    uint64_t first = p->rows.first * BLOCK_ROWS;
    return first + (uint32_t)(low - (uint32_t)first);
}

static bool partition_has_key(const void *context, uint32_t low, struct span key) {
    const struct partition *p = context;
    return span_equal(partition_key(p, partition_widen_seq(p, low)), key);
}

uint64_t partition_find_hashed(const struct partition *p, struct span key, uint64_t hash) {
    uint32_t low = keyindex_find(&p->index, hash, key, partition_has_key, p);
    return low == KEYINDEX_NONE ? SEQ_NONE : partition_widen_seq(p, low);
}

uint64_t partition_find(const struct partition *p, struct span key) {
    return partition_find_hashed(p, key, hash_bytes(key));
}

uint32_t partition_written(const struct partition *p, uint64_t seq) {
    return partition_rows(p, seq)->written[block_row(seq)];
}

uint64_t partition_next(const struct partition *p, uint64_t seq) {
    if (seq < p->rows.first * BLOCK_ROWS) seq = p->rows.first * BLOCK_ROWS;
    for (uint64_t number = block_number(seq); number < blockindex_end(&p->rows); number++) {
        const struct row_block *block = blockindex_get(&p->rows, number);
        unsigned word = number == block_number(seq) ? block_row(seq) / 64 : 0;
        uint64_t mask = number == block_number(seq) ? ~UINT64_C(0) << (seq % 64) : ~UINT64_C(0);
        for (; block && word < BLOCK_WORDS; word++, mask = ~UINT64_C(0))
            if (block->alive[word] & mask)
                return number * BLOCK_ROWS + word * 64 + bits_lowest(block->alive[word] & mask);
    }
    return SEQ_NONE;
}

/* The block with this number, with space for its rows up to `row`. */
static struct row_block *partition_rows_for(struct partition *p, uint64_t number, unsigned row) {
    struct row_block *block = blockindex_get(&p->rows, number);
    if (!block) {
        block = mem_calloc(1, sizeof(*block));
        block->alive = rowbits_none();
        p->home.overhead += sizeof(*block);
        blockindex_set(&p->rows, number, block);
    }
    if (row < block->capacity) return block;
    unsigned capacity = block_capacity(row);
    block->written = mem_realloc(block->written, capacity * sizeof(*block->written));
    if (block->groups) {
        block->groups = mem_realloc(block->groups, capacity * sizeof(*block->groups));
        memset(block->groups + block->capacity, 0xff,
               (capacity - block->capacity) * sizeof(*block->groups));
        p->home.overhead += (capacity - block->capacity) * sizeof(*block->groups);
    }
    p->home.overhead += (capacity - block->capacity) * sizeof(*block->written);
    block->capacity = (uint16_t)capacity;
    return block;
}

static void partition_add_row(struct partition *p, uint64_t seq, uint32_t now_s) {
    assert(seq == p->next_seq);
    p->next_seq = partition_seq_after(seq);
    p->written++;
    unsigned row = block_row(seq);
    struct row_block *block = partition_rows_for(p, block_number(seq), row);
    p->home.overhead += rowbits_set(&block->alive, row);
    block->count++;
    block->written[row] = now_s;
    p->samples++;
}

void partition_add(struct partition *p, const uint64_t *seqs, const struct span *keys, size_t n,
                   uint32_t now_s) {
    for (size_t i = 0; i < n; i++) {
        partition_add_row(p, seqs[i], now_s);
        keyindex_add(&p->index, hash_bytes(keys[i]), (uint32_t)seqs[i]);
    }
    column_put(&p->keys, seqs, n, &(struct column_values){.items = keys});
}

/* Where the block keeps its samples' groups; they are in none at first. */
static uint32_t *partition_groups_of(struct partition *p, struct row_block *block) {
    if (block->groups) return block->groups;
    block->groups = mem_alloc(block->capacity * sizeof(*block->groups));
    memset(block->groups, 0xff, block->capacity * sizeof(*block->groups));
    p->home.overhead += block->capacity * sizeof(*block->groups);
    return block->groups;
}

void partition_join(struct partition *p, uint64_t seq, struct span group, uint32_t size) {
    uint32_t *number = partition_groups_of(p, partition_rows(p, seq)) + block_row(seq);
    if (*number != GROUP_NONE) return;
    *number = groups_join(groups_own(&p->groups), group, size, seq);
    if (p->bounds->ahead && groups_get(p->groups, *number)->broken) {
        const struct task *task = partition_task(p, p->bounds->ahead_task);
        p->stranded += !task || !task_has_consumed(task, seq);
    }
}

int seq_compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

size_t seqs_without(uint64_t *seqs, size_t n, const uint64_t *sorted, size_t n_sorted) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!bsearch(&seqs[i], sorted, n_sorted, sizeof(*sorted), seq_compare))
            seqs[kept++] = seqs[i];
    return kept;
}

bool partition_any_alive(const struct partition *p, const uint64_t *seqs, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (partition_alive(p, seqs[i])) return true;
    return false;
}

uint32_t partition_group(const struct partition *p, uint64_t seq) {
    const struct row_block *block = partition_rows(p, seq);
    return block && block->groups ? block->groups[block_row(seq)] : GROUP_NONE;
}

/* ---- tasks -------------------------------------------------------------------------------- */

struct task *partition_task(const struct partition *p, struct span name) {
    for (size_t i = 0; i < p->n_tasks; i++)
        if (span_equal(p->tasks[i]->name, name)) return p->tasks[i];
    return NULL;
}

struct task *partition_add_task(struct partition *p, struct span name) {
    size_t capacity = p->tasks_capacity;
    p->tasks = mem_grow(p->tasks, &capacity, p->n_tasks + 1, sizeof(*p->tasks));
    p->tasks_capacity = (uint32_t)capacity;
    return p->tasks[p->n_tasks++] = task_new(name);
}

/* What indexes have taken or freed since mem_used() was `before` is not of tasks: the caller counts
 * the memory of the whole op as theirs. */
static void partition_except(struct partition *p, size_t before) {
    p->task_bytes -= (int64_t)(mem_used() - before);
}

void partition_drop_task(struct partition *p, struct task *task) {
    size_t at = 0;
    while (p->tasks[at] != task) at++;
    memmove(p->tasks + at, p->tasks + at + 1, (--p->n_tasks - at) * sizeof(*p->tasks));
    if (p->ended->n) ended_drop_task(ended_own(&p->ended), task);
    task_free(task);
    partition_count_stranded(p);
    size_t before = mem_used();
    tagindexes_touch_all(p);
    partition_except(p, before);
}

/* ---- samples of broken groups ------------------------------------------------------------- */

static uint64_t partition_count_members(const struct group *group, const struct task *task) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < group->members; i++)
        n += !task || !task_has_consumed(task, group->seqs[i]);
    return n;
}

void partition_count_stranded(struct partition *p) {
    p->stranded = 0;
    if (!p->bounds->ahead || !p->groups->broken) return;
    const struct task *task = partition_task(p, p->bounds->ahead_task);
    for (size_t i = 0; i < p->groups->end; i++) {
        const struct group *group = p->groups->table[i];
        if (group && group->broken) p->stranded += partition_count_members(group, task);
    }
}

/* Does it count in p->stranded whether the task has consumed the sample? */
static bool partition_strands(const struct partition *p, const struct task *task, uint64_t seq) {
    if (!p->bounds->ahead || !p->groups->broken || !span_equal(task->name, p->bounds->ahead_task))
        return false;
    uint32_t group = partition_group(p, seq);
    return group != GROUP_NONE && groups_get(p->groups, group)->broken;
}

bool partition_consume(struct partition *p, struct task *task, uint64_t seq) {
    if (!task_consume(task, seq)) return false;
    p->stranded -= partition_strands(p, task, seq);
    return true;
}

bool partition_forget(struct partition *p, struct task *task, uint64_t seq) {
    if (!task_forget(task, seq)) return false;
    p->stranded += partition_strands(p, task, seq);
    return true;
}

/* The sample leaves its group, which is broken then; it has not left its tasks yet. */
static void partition_leave(struct partition *p, uint64_t seq, uint32_t number) {
    const struct group *group = groups_get(p->groups, number);
    if (p->bounds->ahead) {
        const struct task *task = partition_task(p, p->bounds->ahead_task);
        if (!group->broken) p->stranded += partition_count_members(group, task);
        p->stranded -= !task || !task_has_consumed(task, seq);
    }
    groups_leave(groups_own(&p->groups), number, seq);
}

/* ---- bounds ------------------------------------------------------------------------------- */

static struct span name_copy(struct span name) {
    return name.ptr ? span_of(mem_dup(name.ptr, name.len), name.len) : name;
}

static void bounds_free(const struct bounds *bounds) {
    if (bounds == &bounds_none) return;
    for (size_t i = 0; i < bounds->n_retire; i++) mem_free((void *)bounds->retire[i].ptr);
    mem_free((void *)bounds->retire);
    for (size_t i = 0; i < bounds->n_indexes; i++) mem_free((void *)bounds->indexes[i].ptr);
    mem_free((void *)bounds->indexes);
    mem_free((void *)bounds->ahead_task.ptr);
    mem_free((void *)bounds);
}

static const struct span *names_copy(const struct span *names, size_t n) {
    struct span *copy = n ? mem_calloc(n, sizeof(*copy)) : NULL;
    for (size_t i = 0; i < n; i++) copy[i] = name_copy(names[i]);
    return copy;
}

void partition_bound(struct partition *p, const struct bounds *bounds) {
    struct bounds *copy = mem_dup(bounds, sizeof(*bounds));
    copy->retire = names_copy(bounds->retire, bounds->n_retire);
    copy->indexes = names_copy(bounds->indexes, bounds->n_indexes);
    copy->ahead_task = name_copy(bounds->ahead_task);
    bounds_free(p->bounds);
    p->bounds = copy;
    partition_count_stranded(p);
    size_t before = mem_used();
    tagindexes_declare(p, copy->indexes, copy->n_indexes);
    partition_except(p, before);
}

/* ---- loading ------------------------------------------------------------------------------ */

void partition_load_rows(struct partition *p, const struct range *range, const uint32_t *written) {
    struct row_block *block = NULL;
    uint64_t number = 0;
    for (size_t at = range_next(range, 0); at < RANGE_ROWS; at = range_next(range, at + 1)) {
        unsigned row = block_row(at);
        if (!block || number != block_number(range->base + at)) {
            const uint64_t *bits = range->bits + at / BLOCK_ROWS * BLOCK_WORDS;
            unsigned w = BLOCK_WORDS - 1;
            while (!bits[w]) w--;
            number = block_number(range->base + at);
            block = partition_rows_for(p, number, w * 64 + bits_highest(bits[w]));
        }
        p->home.overhead += rowbits_set(&block->alive, row);
        block->count++;
        block->written[row] = *written++;
        p->samples++;
    }
}

void partition_load_keys(const struct range *range, const struct column_values *keys, size_t n,
                         struct keyindex_slot *out) {
    const char *key = keys->payload.ptr;
    size_t row = range_next(range, 0);
    for (size_t i = 0; i < n; i++, row = range_next(range, row + 1)) {
        size_t len = keys->lengths ? keys->lengths[i] : keys->payload.len / n;
        out[i] = keyindex_slot_of(hash_bytes(span_of(key, len)), (uint32_t)(range->base + row));
        key += len;
    }
}

static bool partition_same_key(const void *context, uint32_t a, uint32_t b) {
    const struct partition *p = context;
    return span_equal(partition_key(p, partition_widen_seq(p, a)),
                      partition_key(p, partition_widen_seq(p, b)));
}

uint64_t partition_load_index(struct partition *p, const struct keyindex_slot *slots, size_t n,
                              struct keyindex_slot *spare) {
    uint32_t twice = keyindex_add_all(&p->index, slots, n, spare, partition_same_key, p);
    return twice == KEYINDEX_NONE ? SEQ_NONE : partition_widen_seq(p, twice);
}

void partition_load_member(struct partition *p, uint64_t seq, uint32_t group) {
    partition_groups_of(p, partition_rows(p, seq))[block_row(seq)] = group;
    groups_add(groups_own(&p->groups), group, seq);
}

/* ---- clearing ----------------------------------------------------------------------------- */

static void row_block_free(struct partition *p, struct row_block *block) {
    p->home.overhead -= sizeof(*block) + block->capacity * sizeof(*block->written);
    if (block->groups) p->home.overhead -= block->capacity * sizeof(*block->groups);
    p->home.overhead -= rowbits_bytes(block->alive);
    rowbits_free(block->alive);
    mem_free(block->written);
    mem_free(block->groups);
    mem_free(block);
}

void partition_prefetch(const struct partition *p, const uint64_t *seqs, size_t n) {
    uint64_t hashes[PARTITION_TOGETHER];
    for (size_t i = 0; i < n; i++) hashes[i] = hash_bytes(partition_key(p, seqs[i]));
    keyindex_prefetch(&p->index, hashes, n);
}

void partition_clear(struct partition *p, uint64_t seq) {
    struct span key = partition_key(p, seq);
    tagindexes_leave(p, seq);
    keyindex_remove(&p->index, hash_bytes(key), (uint32_t)seq);
    uint32_t group = partition_group(p, seq);
    if (group != GROUP_NONE) partition_leave(p, seq, group);
    for (size_t i = 0; i < p->fields.count; i++) column_clear(p->fields.columns[i], seq);
    for (size_t i = 0; i < p->tags.count; i++) column_clear(p->tags.columns[i], seq);
    for (size_t i = 0; i < p->n_tasks; i++) task_clear(p->tasks[i], seq);
    column_clear(&p->keys, seq);

    struct row_block *block = partition_rows(p, seq);
    p->home.overhead += rowbits_clear(&block->alive, block_row(seq));
    p->samples--;
    if (--block->count > 0) return;
    uint64_t number = block_number(seq);
    size_t before = mem_used();
    for (size_t i = 0; i < p->n_tasks; i++) task_drop_block(p->tasks[i], number);
    p->task_bytes -= (int64_t)(before - mem_used());
    blockindex_set(&p->rows, number, NULL);
    row_block_free(p, block);
}

void partition_release(struct partition *p) {
    matches_leave(p->matches);
    chunk_list_release(&p->home.chunks);
    column_home_close(&p->home);
    column_close(&p->keys);
    for (size_t i = 0; i < p->fields.count; i++) column_close(p->fields.columns[i]);
    for (size_t i = 0; i < p->tags.count; i++) column_close(p->tags.columns[i]);
}

static bool column_set_shrink(struct column_set *set, size_t *steps) {
    for (size_t i = 0; i < set->count; i++)
        if (!column_shrink(set->columns[i], steps)) return false;
    return true;
}

bool partition_shrink(struct partition *p, size_t *steps) {
    if (!matches_shrink(p->matches, steps) || !tagindexes_shrink(p, steps) ||
        !column_shrink(&p->keys, steps) || !column_set_shrink(&p->fields, steps) ||
        !column_set_shrink(&p->tags, steps) ||
        (p->groups->end && !groups_shrink(groups_own(&p->groups), steps)) ||
        !onces_shrink(p->onces, steps))
        return false;
    for (size_t i = 0; i < p->n_tasks; i++)
        if (!task_shrink(p->tasks[i], steps)) return false;
    for (; p->rows.count && *steps; --*steps) {
        uint64_t number = blockindex_end(&p->rows) - 1;
        struct row_block *block = blockindex_get(&p->rows, number);
        if (block) row_block_free(p, block);
        blockindex_set(&p->rows, number, NULL);
    }
    return p->rows.count == 0;
}

void partition_free(struct partition *p) {
    matches_free(p->matches);
    tagindexes_free(p);
    chunk_list_release(&p->home.chunks);
    column_home_close(&p->home);
    column_free(&p->keys);
    column_set_free(&p->fields);
    column_set_free(&p->tags);
    groups_drop(&p->groups);
    for (size_t i = 0; i < p->n_tasks; i++) task_free(p->tasks[i]);
    mem_free(p->tasks);
    ended_drop(&p->ended);
    onces_free(p->onces);
    for (uint64_t number = p->rows.first; number < blockindex_end(&p->rows); number++) {
        struct row_block *block = blockindex_get(&p->rows, number);
        if (block) row_block_free(p, block);
    }
    blockindex_free(&p->rows);
    keyindex_free(&p->index);
    bounds_free(p->bounds);
    mem_free((void *)p->name.ptr);
    mem_free(p);
}

/* ---- figures ------------------------------------------------------------------------------ */

uint64_t partition_bytes(const struct partition *p) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->fields.count; i++) bytes += p->fields.columns[i]->bytes;
    return bytes;
}

uint64_t partition_live(const struct partition *p) {
    uint64_t bytes = partition_bytes(p) + p->keys.bytes;
    for (size_t i = 0; i < p->tags.count; i++) bytes += p->tags.columns[i]->bytes;
    return bytes;
}

static uint64_t column_set_overhead(const struct column_set *set) {
    uint64_t bytes = set->index ? set->index->bytes : 0;
    for (size_t i = 0; i < set->count; i++)
        bytes += sizeof(struct column) + blockindex_overhead(&set->columns[i]->blocks);
    return bytes;
}

uint64_t partition_overhead(const struct partition *p) {
    uint64_t bytes = sizeof(*p) + p->home.overhead + p->index.bytes +
                     blockindex_overhead(&p->keys.blocks) + groups_overhead(p->groups) +
                     blockindex_overhead(&p->rows);
    if (p->bounds != &bounds_none) bytes += sizeof(*p->bounds);
    bytes += column_set_overhead(&p->fields) + column_set_overhead(&p->tags);
    bytes += partition_live(p) - partition_bytes(p) + matches_overhead(p->matches);
    bytes += tagindexes_overhead(p);
    bytes += ended_bytes(p->ended) + p->onces->bytes + p->onces->index.bytes;
    for (size_t i = 0; i < p->n_tasks; i++) {
        const struct task *task = p->tasks[i];
        bytes += task->overhead + task->ranks.bytes + task->ranks.index.bytes +
                 task->ranks.done_index.bytes;
    }
    return bytes;
}
