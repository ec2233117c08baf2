/* See where.h. */
#include "store/where.h"

#include <string.h>

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

/* Of each condition: the length of the tag, the tag, the operator, the length of the value, the
 * value; numbers have 64 bits. */
enum { WHERE_KEY_NUMBERS = 3 * sizeof(uint64_t) };

size_t where_key_len(const struct where *where) {
    size_t len = 0;
    for (size_t i = 0; i < where->n; i++)
        len += WHERE_KEY_NUMBERS + where->conditions[i].tag.len + where->conditions[i].value.len;
    return len;
}

static char *where_key_put(char *at, const void *bytes, size_t len) {
    if (len) memcpy(at, bytes, len);
    return at + len;
}

void where_key_write(const struct where *where, char *at) {
    for (size_t i = 0; i < where->n; i++) {
        const struct where_condition *c = &where->conditions[i];
        uint64_t tag_len = c->tag.len, operator= c->operator, value_len = c->value.len;
        at = where_key_put(at, &tag_len, sizeof(tag_len));
        at = where_key_put(at, c->tag.ptr, c->tag.len);
        at = where_key_put(at, &operator, sizeof(operator));
        at = where_key_put(at, &value_len, sizeof(value_len));
        at = where_key_put(at, c->value.ptr, c->value.len);
    }
}

static uint64_t where_key_number(const char **at) {
    uint64_t number;
    memcpy(&number, *at, sizeof(number));
    *at += sizeof(number);
    return number;
}

static struct span where_key_span(const char **at) {
    uint64_t len = where_key_number(at);
    struct span span = span_of(*at, len);
    *at += len;
    return span;
}

struct where where_key_read(struct span key, struct scratch *scratch) {
    struct where_condition *conditions =
        scratch_alloc(scratch, key.len / WHERE_KEY_NUMBERS, sizeof(*conditions));
    const char *at = key.ptr;
    struct where where = {.conditions = conditions};
    while (at < key.ptr + key.len) {
        struct where_condition *c = &conditions[where.n++];
        c->tag = where_key_span(&at);
        c->operator=(enum where_operator) where_key_number(&at);
        c->value = where_key_span(&at);
    }
    return where;
}

struct where_bound where_bind(const struct where *where, const struct partition *p,
                              struct scratch *scratch) {
    struct where_bound bound = {.where = where,
                                .cost = scratch_zalloc(scratch, 1, sizeof(*bound.cost))};
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

enum { LONG_VALUE = 16 }; /* bytes that cost as much as a condition */

bool where_admits(const struct where_bound *bound, uint64_t seq) {
    for (size_t i = 0; i < bound->where->n; i++) {
        const struct where_condition *condition = &bound->where->conditions[i];
        struct span value;
        ++*bound->cost;
        if (!bound->tags[i] || !column_get(bound->tags[i], seq, &value)) return false;
        *bound->cost += value.len / LONG_VALUE;
        if (!where_holds(condition, value)) return false;
    }
    return true;
}
