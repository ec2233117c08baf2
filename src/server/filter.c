/* See filter.h. */
#include "server/filter.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/number.h"

/* Entries with a comparison of one direction, by threshold, ascending. */
struct filter_range {
    struct filter_entry **entries;
    size_t n, capacity;
};

struct filter_tag {
    struct filter_tag *next;
    struct span name; /* behind the struct */
    size_t n;         /* entries */
    struct table equal;
    struct filter_range below, above; /* `<` and `<=`; `>` and `>=` */
};

/* Values that are equal for WHERE have the same hash: numbers by value, others by bytes. */
static uint64_t filter_hash(struct span value) {
    struct number number;
    if (!number_parse(value, &number)) return hash_bytes(value);
    double canonical = number.value == 0 ? 0 : number.value; /* -0 equals 0 */
    return hash_bytes(span_of((const char *)&canonical, sizeof(canonical)));
}

static bool filter_can_index(const struct where_condition *c) {
    struct number number;
    if (c->operator== WHERE_EQ) return true;
    return c->operator!= WHERE_NE && number_parse(c->value, &number);
}

static struct filter_tag *filter_tag_get(struct filter *f, struct span name) {
    for (struct filter_tag *tag = f->tags; tag; tag = tag->next)
        if (span_equal(tag->name, name)) return tag;
    struct filter_tag *tag = mem_calloc(1, sizeof(*tag) + name.len);
    memcpy(tag + 1, name.ptr, name.len);
    tag->name = span_of((const char *)(tag + 1), name.len);
    tag->next = f->tags;
    return f->tags = tag;
}

static struct filter_range *filter_range_of(struct filter_entry *entry) {
    bool below = entry->operator== WHERE_LT || entry->operator== WHERE_LE;
    return below ? &entry->tag->below : &entry->tag->above;
}

/* The first place whose threshold is not below `value`. */
static size_t filter_range_find(const struct filter_range *range, double value) {
    size_t low = 0, high = range->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (range->entries[middle]->threshold < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void filter_range_add(struct filter_range *range, struct filter_entry *entry) {
    size_t at = filter_range_find(range, entry->threshold);
    range->entries =
        mem_grow(range->entries, &range->capacity, range->n + 1, sizeof(struct filter_entry *));
    memmove(range->entries + at + 1, range->entries + at,
            (range->n - at) * sizeof(*range->entries));
    range->entries[at] = entry;
    range->n++;
}

static void filter_range_remove(struct filter_range *range, const struct filter_entry *entry) {
    size_t at = filter_range_find(range, entry->threshold);
    while (range->entries[at] != entry) at++;
    range->n--;
    memmove(range->entries + at, range->entries + at + 1,
            (range->n - at) * sizeof(*range->entries));
}

/* Equality names the fewest calls. */
static const struct where_condition *filter_choose(const struct where *where) {
    const struct where_condition *best = NULL;
    for (size_t i = 0; i < where->n; i++) {
        const struct where_condition *c = &where->conditions[i];
        if (!filter_can_index(c) || (best && best->operator== WHERE_EQ)) continue;
        if (!best || c->operator== WHERE_EQ) best = c;
    }
    return best;
}

bool filter_add(struct filter *f, struct filter_entry *entry, const struct where *where) {
    const struct where_condition *c = filter_choose(where);
    if (!c) return false;
    entry->tag = filter_tag_get(f, c->tag);
    entry->operator= c->operator;
    entry->tag->n++;
    if (c->operator== WHERE_EQ) {
        table_add(&entry->tag->equal, &entry->link, filter_hash(c->value));
    } else {
        struct number number;
        number_parse(c->value, &number);
        entry->threshold = number.value;
        filter_range_add(filter_range_of(entry), entry);
    }
    return true;
}

void filter_remove(struct filter *f, struct filter_entry *entry) {
    struct filter_tag *tag = entry->tag;
    if (!tag) return;
    if (entry->operator== WHERE_EQ)
        table_remove(&tag->equal, &entry->link);
    else
        filter_range_remove(filter_range_of(entry), entry);
    entry->tag = NULL;
    if (--tag->n) return;
    struct filter_tag **at = &f->tags;
    while (*at != tag) at = &(*at)->next;
    *at = tag->next;
    table_free(&tag->equal);
    mem_free(tag->below.entries);
    mem_free(tag->above.entries);
    mem_free(tag);
}

static void filter_match_value(const struct filter_tag *tag, struct span value,
                               void (*each)(void *context, struct filter_entry *entry),
                               void *context) {
    uint64_t hash = tag->equal.count ? filter_hash(value) : 0;
    for (struct table_link *link = table_bucket(&tag->equal, hash); link; link = link->next)
        if (link->hash == hash) each(context, TABLE_ENTRY(link, struct filter_entry, link));
    if (!tag->below.n && !tag->above.n) return;
    struct number number;
    if (!number_parse(value, &number)) {
        /* Against what is no number a comparison goes by bytes: anything may hold. */
        for (size_t i = 0; i < tag->below.n; i++) each(context, tag->below.entries[i]);
        for (size_t i = 0; i < tag->above.n; i++) each(context, tag->above.entries[i]);
        return;
    }
    for (size_t i = tag->below.n; i-- > 0 && tag->below.entries[i]->threshold >= number.value;)
        each(context, tag->below.entries[i]);
    for (size_t i = 0; i < tag->above.n && tag->above.entries[i]->threshold <= number.value; i++)
        each(context, tag->above.entries[i]);
}

void filter_match(const struct filter *f, const struct partition *p, const uint64_t *seqs, size_t n,
                  void (*each)(void *context, struct filter_entry *entry), void *context) {
    for (const struct filter_tag *tag = f->tags; tag; tag = tag->next) {
        const struct column *column = column_set_find(&p->tags, tag->name);
        struct span value;
        for (size_t i = 0; column && i < n; i++)
            if (column_get(column, seqs[i], &value)) filter_match_value(tag, value, each, context);
    }
}
