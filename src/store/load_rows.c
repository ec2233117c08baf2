/* See load_state.h: the sections about rows. */
#include "store/load_state.h"

#include <string.h>

#include "base/mem.h"
#include "store/names.h"

#define U(number) ((unsigned long long)(number))

/* So many keys wait for the index at most. They enter at once, in some 5 ms of a large index; both
 * copies take 2 MiB. Fewer would go through the pages of the index more often. */
enum { LOAD_SLOTS = 1 << 17 };

/* ---- parts of heads ----------------------------------------------------------------------- */

/* From which row to which: within one range, of seqs that were given out. */
static int load_stretch(struct load *l, struct unpack *u, struct error *e) {
    uint64_t first = unpack_varint(u), n = unpack_varint(u);
    l->first = first % RANGE_ROWS;
    if (u->bad || n < 1 || n > RANGE_ROWS - l->first)
        return load_bad(l, e, "a section's rows do not lie within one range");
    if (first >= l->p->next_seq || n > l->p->next_seq - first)
        return load_bad(l, e, "rows up to %llu, but the next one would be %llu", U(first + n - 1),
                        U(l->p->next_seq));
    l->end = l->first + (size_t)n;
    l->rows.base = first - l->first;
    memset(l->rows.bits, 0, sizeof(l->rows.bits));
    return 0;
}

/* Which rows are meant; `whole`: those that may be. */
static int load_set(struct load *l, struct unpack *u, const struct range *whole, struct error *e) {
    uint8_t set = unpack_u8(u);
    for (size_t w = l->first / 64; w <= (l->end - 1) / 64; w++) {
        uint64_t may = range_mask(w, l->first, l->end);
        if (whole) may &= whole->bits[w];
        l->rows.bits[w] = set == SECTION_SET_ALL ? may : unpack_u64(u);
        if (l->rows.bits[w] & ~may)
            return load_bad(l, e, "a section is about row %llu, which is not there",
                            U(l->rows.base + w * 64 + bits_lowest(l->rows.bits[w] & ~may)));
    }
    l->n_rows = range_count(&l->rows);
    if (u->bad || set > SECTION_SET_BITS || l->n_rows == 0)
        return load_bad(l, e, "a section does not say which rows it is about");
    return 0;
}

static int load_alive_set(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_stretch(l, u, e);
    if (failed) return failed;
    range_of_alive(&l->alive, l->p, l->rows.base);
    return load_set(l, u, &l->alive, e);
}

/* Lengths of all rows' values, no longer than `most`, that make up the payload. */
static int load_lengths(struct load *l, struct unpack *u, uint64_t most, struct error *e) {
    uint8_t how = unpack_u8(u);
    size_t n = l->n_rows, given = how == SECTION_LENGTHS_SAME ? 1 : n;
    uint64_t sum = 0;
    uint32_t *lengths = scratch_alloc(&l->scratch, given, sizeof(*lengths));
    for (size_t i = 0; i < given; i++) {
        uint64_t length = unpack_varint(u);
        if (length > most)
            return load_bad(l, e, "a value of %llu bytes, where %llu are the most", U(length),
                            U(most));
        lengths[i] = (uint32_t)length;
        sum += length;
    }
    if (how == SECTION_LENGTHS_SAME) sum *= n;
    if (u->bad || how > SECTION_LENGTHS_EACH || sum != l->payload.len)
        return load_bad(l, e, "values of %llu bytes in a payload of %zu", U(sum), l->payload.len);
    l->values = (struct column_values){.payload = l->payload,
                                       .adopt = l->chunk,
                                       .lengths = how == SECTION_LENGTHS_SAME ? NULL : lengths};
    return 0;
}

static uint32_t load_length(const struct load *l, size_t i) {
    const struct column_values *v = &l->values;
    return v->lengths ? v->lengths[i] : (uint32_t)(v->payload.len / l->n_rows);
}

/* Nothing behind what was read. */
static int load_head_ends(const struct load *l, const struct unpack *u, struct error *e) {
    if (!u->bad && unpack_left(u) == 0) return 0;
    return load_bad(l, e, "a section's head is %s", u->bad ? "too short" : "too long");
}

/* ---- rows --------------------------------------------------------------------------------- */

/* The seq that stands for "none" is given to no sample. */
static int load_check_seqs(const struct load *l, struct error *e) {
    uint64_t first = l->rows.base + l->first, end = l->rows.base + l->end;
    uint64_t oldest = l->p->samples ? l->p->rows.first : block_number(first);
    if (first < l->rows_end)
        return load_bad(l, e, "row %llu comes after row %llu", U(first), U(l->rows_end - 1));
    if (!partition_can_span(oldest, l->p->next_seq))
        return load_bad(l, e, "rows from %llu to %llu are more than a partition can hold",
                        U(oldest * BLOCK_ROWS), U(l->p->next_seq));
    size_t last = RANGE_ROWS - 1;
    if ((uint32_t)(l->rows.base + last) == KEYINDEX_NONE && bits_get(l->rows.bits, last))
        return load_bad(l, e, "row %llu is never given out", U(end - 1));
    if (l->p->samples + l->n_rows > l->counts.samples)
        return load_bad(l, e, "more samples than the %llu it is said to have",
                        U(l->counts.samples));
    return 0;
}

static int load_written(struct load *l, struct unpack *u, struct error *e) {
    uint32_t *written = scratch_alloc(&l->scratch, l->n_rows, sizeof(*written));
    int64_t now = 0;
    for (size_t at = 0; at < l->n_rows;) {
        uint64_t run = unpack_varint(u), change = (uint64_t)unpack_signed(u);
        now = (int64_t)((uint64_t)now + change);
        if (u->bad || run < 1 || run > l->n_rows - at || now < 0 || now > UINT32_MAX)
            return load_bad(l, e, "it is not said when rows were written");
        for (; run; run--) written[at++] = (uint32_t)now;
    }
    partition_load_rows(l->p, &l->rows, written);
    return 0;
}

int load_index(struct load *l, struct error *e) {
    load_make_pages(l, SIZE_MAX);
    l->sorted = mem_grow(l->sorted, &l->sorted_capacity, l->n_slots, sizeof(*l->sorted));
    uint64_t twice = partition_load_index(l->p, l->slots, l->n_slots, l->sorted);
    l->n_slots = 0;
    if (twice == SEQ_NONE) return 0;
    return load_bad(l, e, "two samples have the key %s", QUOTE(partition_key(l->p, twice)));
}

static int load_rows_head(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_stretch(l, u, e);
    if (!failed) failed = load_set(l, u, NULL, e);
    if (!failed) failed = load_check_seqs(l, e);
    if (!failed) failed = load_written(l, u, e);
    if (!failed) failed = load_lengths(l, u, NAMES_KEY_MAX, e);
    for (size_t i = 0; !failed && i < (l->values.lengths ? l->n_rows : 1); i++)
        if (load_length(l, i) == 0) failed = load_bad(l, e, "a key is empty");
    return failed ? failed : load_head_ends(l, u, e);
}

int load_rows(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_rows_head(l, u, e);
    if (failed) return failed;
    column_load(&l->p->keys, &l->rows, l->n_rows, &l->values);
    l->rows_end = l->rows.base + l->end;
    l->slots = mem_grow(l->slots, &l->slots_capacity, l->n_slots + l->n_rows, sizeof(*l->slots));
    partition_load_keys(&l->rows, &l->values, l->n_rows, l->slots + l->n_slots);
    l->n_slots += l->n_rows;
    return l->n_slots < LOAD_SLOTS ? 0 : load_index(l, e);
}

/* ---- groups ------------------------------------------------------------------------------- */

/* Lengths of ids, and which groups are broken. */
static int load_group_table(struct load *l, struct unpack *u, struct error *e) {
    l->n_groups = unpack_count(u, 2);
    uint32_t *lengths = scratch_alloc(&l->scratch, l->n_groups, sizeof(*lengths));
    l->broken = scratch_alloc(&l->scratch, l->n_groups, 1);
    uint64_t sum = 0;
    for (size_t i = 0; i < l->n_groups; i++) {
        uint64_t length = unpack_varint(u);
        l->broken[i] = unpack_u8(u);
        if (length < 1 || length > NAMES_KEY_MAX || l->broken[i] > 1)
            return load_bad(l, e, "a group's id of %llu bytes", U(length));
        sum += lengths[i] = (uint32_t)length;
    }
    if (u->bad || l->n_groups < 1 || sum != l->payload.len)
        return load_bad(l, e, "ids of groups of %llu bytes in a payload of %zu", U(sum),
                        l->payload.len);
    l->values = (struct column_values){.lengths = lengths};
    return 0;
}

/* Groups are named in the order of their first members. */
static int load_members(struct load *l, struct unpack *u, struct error *e) {
    size_t seen = 0;
    l->members = scratch_alloc(&l->scratch, l->n_rows, sizeof(*l->members));
    for (size_t i = 0; i < l->n_rows; i++) {
        uint64_t at = unpack_varint(u);
        if (u->bad || at > seen + 1 || at > l->n_groups)
            return load_bad(l, e, "samples are in groups that are not there");
        if (at > seen) seen++;
        l->members[i] = (uint32_t)at;
    }
    return seen == l->n_groups ? 0 : load_bad(l, e, "a group without members");
}

/* Those alive from the first to the last are the rows of this section. */
static int load_group_rows(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_stretch(l, u, e);
    if (failed) return failed;
    if (l->rows.base + l->first < l->groups_end)
        return load_bad(l, e, "groups of row %llu come twice", U(l->rows.base + l->first));
    range_of_alive(&l->alive, l->p, l->rows.base);
    for (size_t w = l->first / 64; w <= (l->end - 1) / 64; w++)
        l->rows.bits[w] = l->alive.bits[w] & range_mask(w, l->first, l->end);
    l->n_rows = range_count(&l->rows);
    return 0;
}

static int load_groups_head(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_group_rows(l, u, e);
    if (!failed) failed = load_group_table(l, u, e);
    if (!failed) failed = load_members(l, u, e);
    return failed ? failed : load_head_ends(l, u, e);
}

/* The groups' numbers in the partition. */
static int load_group_numbers(struct load *l, uint32_t *numbers, struct error *e) {
    struct groups *groups = groups_own(&l->p->groups);
    const char *at = l->payload.ptr;
    for (size_t i = 0; i < l->n_groups; i++) {
        struct span id = span_of(at, l->values.lengths[i]);
        at += id.len;
        numbers[i] = groups_find(groups, id);
        if (numbers[i] == GROUP_NONE) {
            if (groups->count == l->counts.groups)
                return load_bad(l, e, "more groups than the %llu it is said to have",
                                U(l->counts.groups));
            numbers[i] = groups_make(groups, id, groups->size);
            if (l->broken[i]) groups_break(groups, numbers[i]);
        }
        if (groups_get(groups, numbers[i])->broken != l->broken[i])
            return load_bad(l, e, "group %s is said to be whole and to be broken", QUOTE(id));
    }
    return 0;
}

int load_groups(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_groups_head(l, u, e);
    if (failed) return failed;
    uint32_t *numbers = scratch_alloc(&l->scratch, l->n_groups, sizeof(*numbers));
    failed = load_group_numbers(l, numbers, e);
    size_t row = range_next(&l->rows, 0);
    for (size_t i = 0; !failed && i < l->n_rows; i++, row = range_next(&l->rows, row + 1)) {
        if (!l->members[i]) continue;
        const struct group *g = groups_get(l->p->groups, numbers[l->members[i] - 1]);
        if (g->members == g->size)
            failed = load_bad(l, e, "group %s has more than %u members", QUOTE(g->id), g->size);
        else
            partition_load_member(l->p, l->rows.base + row, numbers[l->members[i] - 1]);
    }
    l->groups_end = l->rows.base + l->end;
    return failed;
}

/* ---- cells -------------------------------------------------------------------------------- */

static int load_misfit(const struct load *l, uint32_t length, struct error *e) {
    return load_bad(l, e, "column %s is %s, got a value of %u bytes", QUOTE(column_name(l->column)),
                    DTYPE_NAME(column_type(l->column)), length);
}

/* Lengths that say what shape the values have. */
static int load_check_lengths(const struct load *l, struct error *e) {
    const struct dtype *type = column_type(l->column);
    struct dtype item;
    if (dtype_is_variable(type)) return 0;
    for (size_t i = 0; i < (l->values.lengths ? l->n_rows : 1); i++)
        if (!dtype_of_length(type, load_length(l, i), &item))
            return load_misfit(l, load_length(l, i), e);
    return 0;
}

/* Sizes that say it, and what lengths they make. */
static int load_sizes(struct load *l, struct unpack *u, struct error *e) {
    const struct dtype *type = column_type(l->column);
    unsigned kept = column_sizes_kept(type);
    uint32_t *sizes = scratch_alloc(&l->scratch, l->n_rows * kept, sizeof(*sizes));
    l->values.sizes = sizes;
    for (size_t i = 0; i < l->n_rows; i++, sizes += kept) {
        struct dtype item;
        for (unsigned k = 0; k < kept; k++) {
            uint64_t size = unpack_varint(u);
            sizes[k] = size < DTYPE_STAR ? (uint32_t)size : DTYPE_STAR;
        }
        if (!dtype_of_sizes(type, sizes, &item) || dtype_fixed_bytes(&item) != load_length(l, i))
            return load_misfit(l, load_length(l, i), e);
    }
    return 0;
}

static int load_find_column(struct load *l, struct unpack *u, struct error *e) {
    uint8_t tag = unpack_u8(u);
    uint64_t at = unpack_varint(u);
    const struct column_set *set = tag ? &l->p->tags : &l->p->fields;
    if (u->bad || tag > 1 || at >= set->count)
        return load_bad(l, e, "a section is about %s %llu of %u", tag ? "tag" : "field", U(at),
                        set->count);
    l->column = set->columns[at];
    l->column_is_tag = tag;
    return 0;
}

static int load_check_new(struct load *l, struct error *e) {
    for (size_t i = 0; i < RANGE_BLOCKS; i++) {
        const uint64_t *there = column_bits(l->column, block_number(l->rows.base) + i);
        for (size_t w = 0; there && w < BLOCK_WORDS; w++)
            if (there[w] & l->rows.bits[i * BLOCK_WORDS + w])
                return load_bad(l, e, "a value of column %s comes twice",
                                QUOTE(column_name(l->column)));
    }
    return 0;
}

static int load_column_head(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_find_column(l, u, e);
    if (failed) return failed;
    uint64_t most = l->column_is_tag ? NAMES_TAG_VALUE_MAX : DTYPE_MAX_BYTES;
    failed = load_alive_set(l, u, e);
    if (!failed) failed = load_check_new(l, e);
    if (!failed) failed = load_lengths(l, u, most, e);
    if (!failed)
        failed = column_sizes_kept(column_type(l->column)) ? load_sizes(l, u, e)
                                                           : load_check_lengths(l, e);
    return failed ? failed : load_head_ends(l, u, e);
}

static bool load_values_valid(const struct load *l) {
    enum dtype_base base = column_type(l->column)->base;
    const char *at = l->values.payload.ptr;
    if (base != DTYPE_STR) return dtype_bytes_valid(base, l->values.payload);
    for (size_t i = 0; i < l->n_rows; i++) {
        uint32_t length = load_length(l, i);
        if (!dtype_bytes_valid(base, span_of(at, length))) return false;
        at += length;
    }
    return true;
}

int load_column(struct load *l, struct unpack *u, struct error *e) {
    int failed = load_column_head(l, u, e);
    if (failed) return failed;
    if (!load_values_valid(l))
        return load_bad(l, e, "column %s has a value that is no %s", QUOTE(column_name(l->column)),
                        DTYPE_NAME(column_type(l->column)));
    column_load(l->column, &l->rows, l->n_rows, &l->values);
    return 0;
}

/* ---- consumed ----------------------------------------------------------------------------- */

int load_consumed(struct load *l, struct unpack *u, struct error *e) {
    uint64_t task = unpack_varint(u);
    if (u->bad || task >= l->p->n_tasks)
        return load_bad(l, e, "a section is about task %llu of %u", U(task), l->p->n_tasks);
    struct task *t = l->p->tasks[task];
    int failed = load_alive_set(l, u, e);
    if (!failed) failed = load_head_ends(l, u, e);
    for (size_t i = 0; !failed && i < RANGE_BLOCKS; i++) {
        const struct task_block *marks = task_block(t, block_number(l->rows.base) + i);
        for (size_t w = 0; marks && w < BLOCK_WORDS; w++)
            if ((marks->consumed[w] | marks->leased[w]) & l->rows.bits[i * BLOCK_WORDS + w])
                return load_bad(l, e, "task %s has consumed a sample twice", QUOTE(t->name));
    }
    if (!failed) task_load(t, &l->rows);
    return failed;
}
