/* See plan.h. */
#include "store/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "store/names.h"

/* ---- keys --------------------------------------------------------------------------------- */

/* Open addressing in scratch: the batch's own little index. */
int plan_keys_differ(const struct span *keys, const uint64_t *hashes, size_t n,
                     struct scratch *scratch, struct error *e) {
    size_t slots = 2;
    while (slots < 2 * n) slots *= 2;
    uint32_t *table = scratch_zalloc(scratch, slots, sizeof(*table)); /* index + 1, 0: free */
    for (size_t i = 0; i < n; i++) {
        size_t at = hashes[i] & (slots - 1);
        for (; table[at]; at = (at + 1) & (slots - 1)) {
            size_t other = table[at] - 1;
            if (hashes[other] == hashes[i] && span_equal(keys[other], keys[i]))
                return error_set(e, ERROR_ERR, "key %s is there twice", QUOTE(keys[i]));
        }
        table[at] = (uint32_t)i + 1;
    }
    return 0;
}

/* ---- groups ------------------------------------------------------------------------------- */

int plan_group(const struct partition *p, struct span partition, struct span group, uint64_t size,
               struct error *e) {
    int failed = names_check_key("group", group, e);
    if (failed) return failed;
    if (size < 1 || size > GROUP_SIZE_MAX)
        return error_set(e, ERROR_ERR, "group %s: expected a size of 1 to %d, got %llu",
                         QUOTE(group), GROUP_SIZE_MAX, (unsigned long long)size);
    if (!p || p->groups->size == 0 || p->groups->size == size) return 0;
    return error_set(e, ERROR_ERR, "group %s: the groups of partition %s have %u members, not %llu",
                     QUOTE(group), QUOTE(partition), p->groups->size, (unsigned long long)size);
}

int plan_join(const struct partition *p, struct span key, uint64_t seq, struct span group,
              bool *joins, struct error *e) {
    uint32_t present = p && seq != SEQ_NONE ? partition_group(p, seq) : GROUP_NONE;
    *joins = present == GROUP_NONE;
    if (*joins || present == groups_find(p->groups, group)) return 0;
    return error_set(e, ERROR_ERR, "sample %s is in group %s and can't join %s", QUOTE(key),
                     QUOTE(groups_get(p->groups, present)->id), QUOTE(group));
}

int plan_group_room(const struct partition *p, struct span group, uint64_t size, uint64_t n,
                    struct span key, struct error *e) {
    uint32_t number = p ? groups_find(p->groups, group) : GROUP_NONE;
    uint64_t members = number == GROUP_NONE ? 0 : groups_get(p->groups, number)->members;
    if (members + n <= size) return 0;
    return error_set(e, ERROR_ERR, "group %s has %llu members at most, no room for sample %s",
                     QUOTE(group), (unsigned long long)size, QUOTE(key));
}

int plan_group_completes(const struct partition *p, struct span group, uint64_t size,
                         struct span key, struct error *e) {
    uint32_t number = p ? groups_find(p->groups, group) : GROUP_NONE;
    if (number != GROUP_NONE && groups_get(p->groups, number)->broken)
        return error_set(e, ERROR_ERR,
                         "group %s lost a member and can't be completed, sample %s can't join it",
                         QUOTE(group), QUOTE(key));
    if (number != GROUP_NONE || !p || !p->bounds->ahead || size <= p->bounds->ahead) return 0;
    return error_set(e, ERROR_ERR,
                     "group %s of %llu samples is more than task %s can be given, MAXAHEAD is %llu",
                     QUOTE(group), (unsigned long long)size, QUOTE(p->bounds->ahead_task),
                     (unsigned long long)p->bounds->ahead);
}

static int plan_compare_members(const void *a, const void *b) {
    return span_compare(((const struct plan_member *)a)->group,
                        ((const struct plan_member *)b)->group);
}

int plan_groups_room(const struct partition *p, struct plan_member *joining, size_t n,
                     uint64_t size, struct error *e) {
    if (n) qsort(joining, n, sizeof(*joining), plan_compare_members);
    for (size_t i = 0, next; i < n; i = next) {
        next = i + 1;
        while (next < n && span_equal(joining[next].group, joining[i].group)) next++;
        int failed = plan_group_room(p, joining[i].group, size, next - i, joining[next - 1].key, e);
        if (failed) return failed;
    }
    return 0;
}

/* ---- types -------------------------------------------------------------------------------- */

int plan_misfit(struct span name, const struct dtype *field, const char *got, struct span key,
                struct error *e) {
    return error_set(e, ERROR_SCHEMA, "field %s is %s, got %s for sample %s", QUOTE(name),
                     DTYPE_NAME(field), got, QUOTE(key));
}

int plan_merge(const struct column *field, struct span name, const struct dtype *given,
               const struct dtype *item, struct span key, struct dtype *out, struct error *e) {
    if (!field) {
        *out = *given;
        return 0;
    }
    const struct dtype *type = column_type(field);
    if (!dtype_widen(type, item, out) || (field->declared && !dtype_equal(type, out)))
        return plan_misfit(name, type, DTYPE_NAME(item), key, e);
    return 0;
}

/* ---- columns ------------------------------------------------------------------------------ */

static bool plan_column_has_name(const void *context, uint32_t i, struct span name) {
    return span_equal(((const struct op_column *)context)[i].name, name);
}

/* A few names are compared with each other, many go through a table. n where each is there once. */
static size_t plan_find_twice(const struct op_column *columns, size_t n, struct keyindex *seen) {
    enum { FEW = 16 };
    for (size_t i = 1; n <= FEW && i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (span_equal(columns[i].name, columns[j].name)) return i;
    for (size_t i = 0; n > FEW && i < n; i++) {
        uint64_t hash = hash_bytes(columns[i].name);
        if (keyindex_find(seen, hash, columns[i].name, plan_column_has_name, columns) !=
            KEYINDEX_NONE)
            return i;
        keyindex_add(seen, hash, (uint32_t)i);
    }
    return n;
}

/* Fields that give their places back, and are not among these. */
static size_t plan_spare_columns(const struct column_set *set, const struct op_column *columns,
                                 size_t n) {
    size_t spare = 0;
    for (size_t i = 0; i < set->count; i++) spare += column_is_spare(set->columns[i]);
    for (size_t i = 0; i < n; i++) {
        const struct column *c = column_set_find(set, columns[i].name);
        spare -= c && column_is_spare(c);
    }
    return spare;
}

int plan_columns(const struct column_set *present, const char *what, size_t max,
                 const struct op_column *columns, size_t n, struct span partition,
                 struct error *e) {
    struct keyindex seen = {0};
    size_t twice = plan_find_twice(columns, n, &seen);
    keyindex_free(&seen);
    if (twice < n)
        return error_set(e, ERROR_ERR, "%s %s is named twice", what, QUOTE(columns[twice].name));
    size_t total = present ? present->count : 0;
    for (size_t i = 0; i < n; i++) total += !present || !column_set_find(present, columns[i].name);
    if (total > max && present && !strcmp(what, "field"))
        total -= plan_spare_columns(present, columns, n);
    if (total <= max) return 0;
    return error_set(e, ERROR_FULL, "partition %s: no room for more than %zu %ss", QUOTE(partition),
                     max, what);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* What is copied into a column goes there in one piece. */
static int plan_room(const struct column *c, const char *what, struct span name, size_t bytes,
                     size_t *need, struct error *e) {
    if (bytes > ARENA_CHUNK_MAX)
        return error_set(e, ERROR_OOM, "%s %s: %zu bytes, one write can bring below 4 GiB of it",
                         what, QUOTE(name), bytes);
    *need += column_reserve(c, bytes);
    return 0;
}

static int plan_columns_room(const struct column_set *set, const char *what,
                             const struct op_put *put, const struct op_column *columns, size_t n,
                             size_t *need, struct error *e) {
    int failed = 0;
    for (size_t i = 0; i < n && !failed; i++)
        if (!columns[i].values.adopt)
            failed =
                plan_room(set ? column_set_find(set, columns[i].name) : NULL, what, columns[i].name,
                          column_values_bytes(&columns[i].values, put->n), need, e);
    return failed;
}

int plan_reserve(const struct store *s, const struct partition *p, const struct op_put *put,
                 struct error *e) {
    const struct column_values keys = {.items = put->keys};
    size_t need = 0;
    int failed = plan_room(p ? &p->keys : NULL, "column", SPAN_LITERAL("key"),
                           put->n_new ? column_values_bytes(&keys, put->n_new) : 0, &need, e);
    if (!failed)
        failed =
            plan_columns_room(p ? &p->tags : NULL, "tag", put, put->tags, put->n_tags, &need, e);
    if (!failed)
        failed = plan_columns_room(p ? &p->fields : NULL, "field", put, put->columns,
                                   put->n_columns, &need, e);
    return failed ? failed : arena_reserve(store_arena(s), need, e);
}
