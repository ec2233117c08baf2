/* See where.h. */
#include "store/where.h"

#include "base/number.h"

bool where_parse_operator(struct span text, enum where_operator *out) {
    static const char *const names[WHERE_OPERATORS] = {"=", "!=", "<", "<=", ">", ">="};
    for (unsigned i = 0; i < WHERE_OPERATORS; i++) {
        if (!span_is(text, names[i])) continue;
        *out = i;
        return true;
    }
    return false;
}

struct where_bound where_bind(const struct where *where, const struct partition *p,
                              struct scratch *scratch) {
    struct where_bound bound = {.where = where};
    if (where->n == 0) return bound;
    bound.tags = scratch_alloc(scratch, where->n, sizeof(*bound.tags));
    for (size_t i = 0; i < where->n; i++)
        bound.tags[i] = column_set_find(&p->tags, where->conditions[i].tag);
    return bound;
}

static bool where_holds(const struct where_condition *condition, struct span value) {
    if (condition->operator== WHERE_EQ) return number_equal(value, condition->value);
    if (condition->operator== WHERE_NE) return !number_equal(value, condition->value);
    int order = number_order(value, condition->value);
    if (order == NUMBER_UNORDERED) return false;
    switch (condition->operator) {
    case WHERE_LT: return order < 0;
    case WHERE_LE: return order <= 0;
    case WHERE_GT: return order > 0;
    case WHERE_GE: return order >= 0;
    default: return false;
    }
}

bool where_admits(const struct where_bound *bound, uint64_t seq) {
    for (size_t i = 0; i < bound->where->n; i++) {
        const struct where_condition *condition = &bound->where->conditions[i];
        struct span value;
        if (!bound->tags[i] || !column_get(bound->tags[i], seq, &value)) return false;
        if (!where_holds(condition, value)) return false;
    }
    return true;
}
