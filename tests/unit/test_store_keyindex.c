/* Names to numbers, against a plain array: hundreds of thousands of them, and hashes that an adversary
 * would like to see. */
#include "kit/test.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kit/source.h"
#include "store/keyindex.h"

/* ---- hashes ------------------------------------------------------------------------------- */

static uint64_t hash_of_name(uint32_t value, struct span name) {
    (void)value;
    return hash_bytes(name);
}

/* The index looks at the upper half of a hash, the tag. */
static uint64_t hash_all_equal(uint32_t value, struct span name) {
    (void)value, (void)name;
    return UINT64_C(0x123456789abcdef0);
}

static uint64_t hash_all_ones(uint32_t value, struct span name) {
    (void)value, (void)name;
    return UINT64_MAX;
}

static uint64_t hash_counting_up(uint32_t value, struct span name) {
    (void)name;
    return (uint64_t)value << 32;
}

static uint64_t hash_same_place(uint32_t value, struct span name) {
    (void)name;
    return (uint64_t)value << 44; /* pages differ, the place in them never does */
}

static uint64_t hash_same_page(uint32_t value, struct span name) {
    (void)name;
    return UINT64_C(0xfffff) << 44 | (uint64_t)(value % 4096) << 32;
}

static uint64_t hash_few_tags(uint32_t value, struct span name) {
    return (hash_bytes(name) & UINT64_C(0xc0000000ffffffff)) | (uint64_t)(value % 3) << 32;
}

/* ---- campaigns ---------------------------------------------------------------------------- */

/* The naive set: which numbers are in. A number's name and hash follow from it. */
struct names {
    uint64_t (*hash)(uint32_t value, struct span name);
    struct keyindex index;
    bool *present;
    uint32_t n;
    size_t count;
    char text[16];
};

static struct span name_of(struct names *names, uint32_t value) {
    memset(names->text, 'n', sizeof(names->text));
    memcpy(names->text + value % 8, &value, sizeof(value));
    return span_of(names->text, sizeof(names->text) - value % 3);
}

static bool same_name(const void *context, uint32_t value, struct span name) {
    const struct names *names = context;
    struct names other;
    if (value >= names->n || !names->present[value]) fail_msg("asked about %u, which went", value);
    return span_equal(name_of(&other, value), name);
}

static uint32_t find(struct names *names, uint32_t value) {
    struct span name = name_of(names, value);
    uint64_t hash = names->hash(value, name);
    keyindex_prefetch(&names->index, &hash, 1);
    return keyindex_find(&names->index, hash, name, same_name, names);
}

static void flip(struct names *names, uint32_t value) {
    uint64_t hash = names->hash(value, name_of(names, value));
    bool there = names->present[value];
    assert_int_equal(find(names, value), there ? value : KEYINDEX_NONE);
    if (there) keyindex_remove(&names->index, hash, value);
    names->present[value] = !there;
    names->count += there ? (size_t)-1 : 1;
    if (!there) keyindex_add(&names->index, hash, value);
    assert_int_equal(find(names, value), there ? KEYINDEX_NONE : value);
    assert_int_equal(names->index.count, names->count);
}

static void check_all(struct names *names) {
    for (uint32_t value = 0; value < names->n; value++)
        assert_int_equal(find(names, value), names->present[value] ? value : KEYINDEX_NONE);
}

/* What names may cost: with good hashes a slot in a page that was just split, and their share of the directory;
 * with bad ones more, but never out of proportion. */
static void check_bytes(const struct names *names, size_t most) {
    size_t each = names->hash == hash_of_name ? 20 : 250;
    if (names->index.bytes > 1024 + most * each)
        fail_msg("%zu bytes for %zu names", names->index.bytes, most);
}

/* What an index without names may keep: a directory of one entry, and a page of four slots. */
static void check_empty(const struct names *names) {
    if (names->index.bytes > 64) fail_msg("%zu bytes for no name", names->index.bytes);
}

/* Up to `n` names come and go; in the end all go. */
static void campaign(uint32_t n, uint64_t steps, uint64_t (*hash)(uint32_t, struct span)) {
    struct names names = {.hash = hash, .n = n, .present = calloc(n, sizeof(bool))};
    struct source source = source_of_seed(n);
    size_t used = mem_used(), most = 0;
    for (uint64_t step = 0; step < steps; step++) {
        flip(&names, (uint32_t)source_below(&source, n));
        if (names.count > most) most = names.count;
    }
    check_all(&names);
    check_bytes(&names, most);
    for (uint32_t value = 0; value < n; value++)
        if (!names.present[value]) flip(&names, value);
    check_all(&names);
    check_bytes(&names, n);
    for (uint32_t value = 0; value < n; value++) flip(&names, value);
    assert_int_equal(names.index.count, 0);
    check_empty(&names);
    keyindex_free(&names.index);
    assert_int_equal(names.index.bytes, 0);
    assert_int_equal(mem_used(), used);
    free(names.present);
}

/* ---- tests -------------------------------------------------------------------------------- */

static void test_few_names(void **state) {
    (void)state;
    for (uint32_t n = 1; n < 40; n++) campaign(n, 2000, hash_of_name);
}

static void test_many_names(void **state) {
    (void)state;
    campaign(100000, 300000, hash_of_name);
    campaign((uint32_t)test_rounds(40000), test_rounds(40000), hash_of_name);
}

static void test_equal_tags(void **state) {
    (void)state;
    for (uint32_t n = 445; n < 452; n++) campaign(n, 1000, hash_all_equal);
    campaign(2000, 4000, hash_all_equal);
    campaign(1000, 2000, hash_all_ones);
}

static void test_other_bad_hashes(void **state) {
    (void)state;
    campaign(20000, 40000, hash_counting_up);
    campaign(20000, 40000, hash_same_place);
    campaign(5000, 10000, hash_same_page);
    campaign(5000, 10000, hash_few_tags);
}

static void test_empty(void **state) {
    (void)state;
    struct names names = {.hash = hash_of_name};
    assert_int_equal(find(&names, 7), KEYINDEX_NONE);
    keyindex_free(&names.index);
    keyindex_free(&names.index);
    assert_int_equal(find(&names, 7), KEYINDEX_NONE);
}

static void add_all(struct names *names) {
    for (uint32_t value = 0; value < names->n; value++) {
        assert_int_equal(find(names, value), KEYINDEX_NONE);
        flip(names, value);
    }
    check_all(names);
}

/* In two steps, as a load does. */
static void reserve(struct keyindex *index, size_t n) {
    size_t pages = keyindex_reserve(index, n);
    keyindex_make_pages(index, 0, pages / 3);
    keyindex_make_pages(index, pages / 3, pages);
}

/* Room made ahead costs what growing would have led to; a name more or less, or a wrong guess, changes nothing. */
static void test_reserved(void **state) {
    (void)state;
    static const size_t guesses[] = {0, 1, 447, 448, 895, 896, 20000, 30000, 39999};
    for (size_t i = 0; i < sizeof(guesses) / sizeof(*guesses); i++) {
        for (uint32_t n = 1; n < 40000; n = n * 3 + (uint32_t)i) {
            bool present[2][40000 * 3] = {{false}};
            struct names grown = {.hash = hash_of_name, .n = n, .present = present[0]};
            struct names ahead = {.hash = hash_of_name, .n = n, .present = present[1]};
            reserve(&ahead.index, guesses[i]);
            size_t before = ahead.index.bytes;
            assert_true(before <= 64 + 20 * guesses[i]);
            add_all(&grown);
            add_all(&ahead);
            assert_true(ahead.index.bytes <=
                        (before > grown.index.bytes ? before : grown.index.bytes * 5 / 4));
            keyindex_free(&grown.index);
            keyindex_free(&ahead.index);
            assert_int_equal(ahead.index.bytes, 0);
        }
    }
}

/* What is left of a large index takes memory in proportion to the names left, whatever their order,
 * and all are found; it grows again as it did at first. */
static void test_memory_follows_the_names(void **state) {
    (void)state;
    enum { NAMES = 100000 };
    struct names names = {.hash = hash_of_name, .n = NAMES, .present = calloc(NAMES, sizeof(bool))};
    for (uint32_t step = 1; step < NAMES; step *= 7) { /* 7 and 100,000 have no common divisor */
        for (uint32_t value = 0; value < NAMES; value++) flip(&names, value);
        check_bytes(&names, NAMES);
        for (uint32_t i = 0; i < NAMES; i++) {
            flip(&names, (uint32_t)((uint64_t)i * step % NAMES));
            if (names.index.bytes > 64 + names.count * 50)
                fail_msg("%zu bytes for %zu names", names.index.bytes, names.count);
            if (names.count == 1000) check_all(&names);
        }
        check_empty(&names);
    }
    keyindex_free(&names.index);
    free(names.present);
}

/* Of pages made ahead that no name came to, none stays. */
static void test_reserved_for_nothing(void **state) {
    (void)state;
    bool present[2] = {false};
    struct names names = {.hash = hash_of_name, .n = 2, .present = present};
    reserve(&names.index, 100000);
    flip(&names, 0);
    flip(&names, 1);
    flip(&names, 0);
    assert_int_equal(find(&names, 1), 1);
    flip(&names, 1);
    check_empty(&names);
    assert_int_equal(find(&names, 1), KEYINDEX_NONE);
    add_all(&names);
    keyindex_free(&names.index);
}

static bool same_value_below(const void *context, uint32_t a, uint32_t b) {
    uint32_t names = *(const uint32_t *)context; /* value v and v + names stand for the same name */
    return a % names == b % names;
}

/* In any order, with any hashes, in several helpings; a name that comes again is found. */
static void test_many_at_once(void **state) {
    (void)state;
    static uint64_t (*const hashes[])(uint32_t, struct span) = {
        hash_of_name, hash_all_equal, hash_counting_up, hash_same_place, hash_same_page};
    for (size_t h = 0; h < sizeof(hashes) / sizeof(*hashes); h++) {
        uint32_t n = hashes[h] == hash_all_equal ? 1000 : 30000, given = 0;
        struct names names = {.hash = hashes[h], .n = n, .present = calloc(n, sizeof(bool))};
        struct keyindex_slot *slots = calloc(2 * n, sizeof(*slots)), *spare = slots + n;
        struct source source = source_of_seed(h);
        if (h % 2) reserve(&names.index, n);
        while (given < n) {
            uint32_t count = 1 + (uint32_t)source_below(&source, n - given);
            for (uint32_t i = 0; i < count; i++) {
                uint32_t value = given + i;
                slots[i] = keyindex_slot_of(names.hash(value, name_of(&names, value)), value);
                names.present[value] = true;
            }
            assert_int_equal(
                keyindex_add_all(&names.index, slots, count, spare, same_value_below, &n),
                KEYINDEX_NONE);
            given += count;
        }
        assert_int_equal(names.index.count, n);
        check_all(&names);
        uint32_t again = (uint32_t)source_below(&source, n);
        *slots = keyindex_slot_of(names.hash(again, name_of(&names, again)), n + again);
        assert_int_equal(keyindex_add_all(&names.index, slots, 1, spare, same_value_below, &n),
                         n + again);
        keyindex_free(&names.index);
        free(names.present);
        free(slots);
    }
}

int main(void) {
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_names),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_equal_tags),
        cmocka_unit_test(test_other_bad_hashes),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_memory_follows_the_names),
        cmocka_unit_test(test_reserved_for_nothing),
        cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
