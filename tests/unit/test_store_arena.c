/* Payload memory against a list of what should be where: chunks never overlap, keep their bytes, live as
 * long as someone points at them, and grow together again when they are gone. */
#include "kit/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kit/source.h"
#include "store/arena.h"

enum { REGION = 1 << 20, SHADOWS = 300, OWNERS = 5 };

struct shadow {
    struct chunk *chunk;
    size_t len; /* whose bytes count */
    uint32_t id;
    uint32_t pins, cells;
    int owner; /* -1: none */
    uint8_t pattern;
};

struct campaign {
    struct source source;
    struct arena *arena;
    struct chunk_list owners[OWNERS];
    struct shadow shadows[SHADOWS];
    size_t n;
};

static uint8_t pattern_at(const struct shadow *s, size_t i) {
    return (uint8_t)(s->pattern + i * 7 + (i >> 8));
}

static void check_bytes(const struct shadow *s) {
    const uint8_t *bytes = (const uint8_t *)s->chunk->memory;
    for (size_t i = 0; i < s->len; i++)
        if (bytes[i] != pattern_at(s, i)) fail_msg("chunk %u changed at %zu", s->id, i);
}

static void check_chunk(const struct campaign *c, const struct shadow *s) {
    assert_ptr_equal(arena_chunk(c->arena, s->id), s->chunk);
    assert_int_equal(s->chunk->id, s->id);
    assert_int_equal(s->chunk->pins, s->pins);
    assert_int_equal(s->chunk->cells, s->cells);
    assert_true(chunk_size(s->chunk) >= s->len);
    assert_true(chunk_size(s->chunk) < s->len + ARENA_UNIT);
}

static void check_all(const struct campaign *c) {
    size_t bytes = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct shadow *a = &c->shadows[i];
        check_chunk(c, a);
        bytes += chunk_size(a->chunk);
        for (size_t j = 0; j < i; j++) {
            const struct shadow *b = &c->shadows[j];
            assert_true(a->id != b->id);
            assert_true(a->chunk->memory + chunk_size(a->chunk) <= b->chunk->memory ||
                        b->chunk->memory + chunk_size(b->chunk) <= a->chunk->memory);
        }
    }
    struct arena_stats stats;
    arena_stats(c->arena, &stats);
    assert_int_equal(stats.chunks, c->n);
    assert_int_equal(stats.allocated, bytes);
    assert_int_equal(arena_allocated(c->arena), bytes);
    assert_true(stats.allocated + stats.free_recycled <= stats.mapped);
    assert_true(stats.regions_free <= stats.regions);
}

/* Forget a chunk that has just lost its last friend; its bytes were intact until then. */
static void shadow_gone(struct campaign *c, struct shadow *s) {
    *s = c->shadows[--c->n];
}

static void do_take(struct campaign *c) {
    if (c->n == SHADOWS) return;
    static const size_t scales[] = {1, 2000, 2000, 20000, 20000, 20000, 100000, 3 * REGION};
    uint64_t scale = source_below(&c->source, source_once_in(&c->source, 50) ? 8 : 7);
    size_t len = source_between(&c->source, 1, scales[scale]);
    struct shadow *s = &c->shadows[c->n++];
    struct chunk *chunk = arena_take(c->arena, len);
    assert_non_null(chunk);
    *s = (struct shadow){.chunk = chunk, .len = len, .id = chunk->id, .pins = 1, .owner = -1};
    assert_true(chunk->id != 0);
    assert_null(chunk->owner);
    s->pattern = (uint8_t)source_below(&c->source, 256);
    for (size_t i = 0; i < len; i++) chunk->memory[i] = (char)pattern_at(s, i);
}

static void do_trim(struct campaign *c, struct shadow *s) {
    size_t len = source_between(&c->source, 1, s->len);
    chunk_trim(s->chunk, len);
    s->len = len;
    check_bytes(s);
}

static void do_unpin(struct campaign *c, struct shadow *s) {
    if (s->pins == 0) return;
    check_bytes(s);
    chunk_unpin(s->chunk);
    if (--s->pins == 0 && s->cells == 0) shadow_gone(c, s);
}

static void do_drop_cell(struct campaign *c, struct shadow *s) {
    if (s->cells == 0) return;
    check_bytes(s);
    chunk_drop_cell(s->chunk);
    if (--s->cells == 0 && s->pins == 0) shadow_gone(c, s);
}

static void do_own(struct campaign *c, struct shadow *s) {
    if (s->owner >= 0) return;
    s->owner = (int)source_below(&c->source, OWNERS);
    chunk_own(s->chunk, &c->owners[s->owner]);
}

static void do_release(struct campaign *c) {
    int owner = (int)source_below(&c->source, OWNERS);
    chunk_list_release(&c->owners[owner]);
    assert_null(c->owners[owner].first);
    for (size_t i = c->n; i-- > 0;) {
        struct shadow *s = &c->shadows[i];
        if (s->owner != owner) continue;
        s->owner = -1;
        s->cells = 0;
        if (s->pins == 0) shadow_gone(c, s);
    }
}

static void do_something(struct campaign *c) {
    struct shadow *s = c->n ? &c->shadows[source_below(&c->source, c->n)] : NULL;
    switch (source_below(&c->source, 100)) {
    case 0: do_release(c); return;
    case 1 ... 30: do_take(c); return;
    case 31 ... 38:
        if (s) do_trim(c, s);
        return;
    case 39 ... 48:
        if (s) chunk_pin(s->chunk), s->pins++;
        return;
    case 49 ... 70:
        if (s) do_unpin(c, s);
        return;
    case 71 ... 80:
        if (s) s->chunk->cells++, s->cells++;
        return;
    case 81 ... 92:
        if (s) do_drop_cell(c, s);
        return;
    default:
        if (s) do_own(c, s);
    }
}

static void give_everything_back(struct campaign *c) {
    while (c->n) {
        struct shadow *s = &c->shadows[source_below(&c->source, c->n)];
        if (s->pins)
            do_unpin(c, s);
        else
            do_drop_cell(c, s);
    }
}

/* Every region is one free piece again: it can be taken whole, and nothing new is mapped for it. */
static void check_regions_are_whole(struct campaign *c) {
    struct arena_stats before, after;
    arena_stats(c->arena, &before);
    assert_int_equal(before.chunks, 0);
    assert_int_equal(before.allocated, 0);
    assert_int_equal(before.regions_free, before.regions);
    size_t left = before.mapped, n = 0;
    struct chunk *chunks[64];
    for (size_t size = 4 * REGION; size >= REGION; size -= REGION) {
        while (left >= size && n < 64) {
            chunks[n] = arena_take(c->arena, size);
            arena_stats(c->arena, &after);
            if (after.mapped > before.mapped) { /* no region of this size is left */
                assert_true(size > REGION);
                chunk_unpin(chunks[n]);
                arena_stats(c->arena, &before);
                left += after.mapped - before.mapped + size;
                break;
            }
            left -= chunk_size(chunks[n++]);
        }
    }
    while (n) chunk_unpin(chunks[--n]);
    arena_stats(c->arena, &after);
    assert_int_equal(after.allocated, 0);
}

static void test_random(void **state) {
    (void)state;
    uint64_t rounds = test_rounds(6);
    for (uint64_t round = 0; round < rounds; round++) {
        struct campaign *c = calloc(1, sizeof(*c));
        c->source = source_of_seed(round + 1);
        c->arena = arena_new(REGION, NULL);
        for (int i = 0; i < 20000; i++) {
            do_something(c);
            if (i % 200 == 0) check_all(c);
        }
        give_everything_back(c);
        check_regions_are_whole(c);
        arena_free(c->arena);
        free(c);
    }
}

/* ---- reserve ------------------------------------------------------------------------------ */

static size_t rounded(size_t len) {
    return (len + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
}

static size_t mapped(const struct arena *arena) {
    struct arena_stats stats;
    arena_stats(arena, &stats);
    return stats.mapped;
}

enum { HELD = 2 * REGION / ARENA_UNIT, TAKES = 6 };

/* What a write does: reserve the sum, then take piece by piece, giving back others meanwhile. */
static void reserve_and_take(struct source *source, struct arena *arena, struct chunk **held,
                             size_t *n) {
    size_t lens[TAKES], takes = source_between(source, 1, TAKES), sum = 0;
    for (size_t j = 0; j < takes; j++)
        sum += rounded(lens[j] = source_between(source, 1, j ? 3000 : 80 * ARENA_UNIT));
    assert_int_equal(arena_reserve(arena, sum, NULL), 0);
    size_t before = mapped(arena);
    for (size_t j = takes; j-- > 0;) {
        if (*n > 0 && source_below(source, 2) == 0) {
            size_t at = source_below(source, *n);
            chunk_unpin(held[at]);
            held[at] = held[--*n];
        }
        struct chunk *chunk = arena_take(arena, lens[j]);
        if (mapped(arena) != before) fail_msg("take %zu of %zu was not reserved", j, takes);
        if (*n < HELD && source_below(source, 20))
            held[(*n)++] = chunk;
        else
            chunk_unpin(chunk);
    }
}

static void test_reserve_is_kept(void **state) {
    (void)state;
    static struct chunk *held[HELD];
    struct source source = source_of_seed(1);
    for (uint64_t round = 0; round < test_rounds(300); round++) {
        struct arena *arena = arena_new(REGION, NULL);
        size_t n = 0;
        while (arena_allocated(arena) < REGION)
            held[n++] = arena_take(arena, source_between(&source, 1, 80) * ARENA_UNIT);
        for (int i = 0; i < 400; i++) reserve_and_take(&source, arena, held, &n);
        arena_free(arena);
    }
}

/* An overwrite gives back memory between the takes of one write. What comes back may stand before what was
 * reserved, in the same bin, and be a little too small. */
static void test_reserve_is_kept_beside_like_sizes(void **state) {
    (void)state;
    enum { ONE = ARENA_UNIT, RESERVED = 71 * ONE, LIKE = 70 * ONE };
    struct arena *arena = arena_new(REGION, NULL);
    struct chunk *reserved = arena_take(arena, RESERVED), *between = arena_take(arena, ONE);
    struct chunk *like = arena_take(arena, LIKE), *behind = arena_take(arena, ONE);
    struct chunk *rest = arena_take(arena, REGION - arena_allocated(arena));
    chunk_unpin(reserved);
    assert_int_equal(arena_reserve(arena, RESERVED, NULL), 0);
    chunk_unpin(like);
    struct chunk *first = arena_take(arena, ONE), *second = arena_take(arena, RESERVED - ONE);
    assert_int_equal(mapped(arena), REGION);
    struct chunk *all[] = {between, behind, rest, first, second};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) chunk_unpin(all[i]);
    assert_int_equal(arena_allocated(arena), 0);
    arena_free(arena);
}

static void test_reserve_beyond_a_region(void **state) {
    (void)state;
    struct arena *arena = arena_new(REGION, NULL);
    assert_int_equal(arena_reserve(arena, 0, NULL), 0);
    assert_int_equal(mapped(arena), REGION);
    assert_int_equal(arena_reserve(arena, 5 * REGION / 2, NULL), 0);
    assert_int_equal(mapped(arena), 4 * REGION);
    struct chunk *chunk = arena_take(arena, 5 * REGION / 2);
    assert_int_equal(mapped(arena), 4 * REGION);
    chunk_unpin(chunk);
    arena_free(arena);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static void test_recycling_touches_nothing_new(void **state) {
    (void)state;
    struct arena *arena = arena_new(REGION, NULL);
    struct arena_stats stats;
    for (int i = 0; i < 1000; i++) {
        struct chunk *chunk = arena_take(arena, 100000);
        memset(chunk->memory, i, 100000);
        chunk_unpin(chunk);
    }
    arena_stats(arena, &stats);
    assert_int_equal(stats.free_recycled, rounded(100000));
    arena_free(arena);
}

/* ---- memory back to the system ------------------------------------------------------------ */

static size_t recycled(const struct arena *arena) {
    struct arena_stats stats;
    arena_stats(arena, &stats);
    return stats.free_recycled;
}

static uint64_t purges_failed(const struct arena *arena) {
    struct arena_stats stats;
    arena_stats(arena, &stats);
    return stats.purges_failed;
}

long __wrap_sysconf(int name);
long __real_sysconf(int name);

static long system_page; /* what the system says its pages have; 0: what they have */

long __wrap_sysconf(int name) {
    return name == _SC_PAGESIZE && system_page ? system_page : __real_sysconf(name);
}

static struct arena *arena_new_with_pages(long page) {
    system_page = page;
    struct arena *arena = arena_new(REGION, NULL);
    system_page = 0;
    return arena;
}

/* Bytes of [begin, begin + len) that are backed by memory, in pages of the system. */
static size_t resident(const char *begin, size_t len) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
    static unsigned char pages[2 * REGION / 1024];
    assert_int_equal((uintptr_t)begin % page, 0);
    assert_true(len / page <= sizeof(pages));
    assert_int_equal(mincore((void *)begin, len, pages), 0);
    for (size_t i = 0; i < len / page; i++) n += pages[i] & 1;
    return n * page;
}

/* With pages of 64 KiB, the whole pages inside a free chunk go back; its ends stay and count as
 * resident. */
static void test_purge_counts_parts_of_pages(void **state) {
    (void)state;
    enum { PAGE = 64 * 1024, LEN = 5 * PAGE };
    struct arena *arena = arena_new_with_pages(PAGE);
    struct chunk *before = arena_take(arena, 3 * ARENA_UNIT), *chunk = arena_take(arena, LEN);
    struct chunk *behind = arena_take(arena, 3 * ARENA_UNIT);
    char *memory = before->memory;
    memset(before->memory, 'b', 3 * ARENA_UNIT);
    memset(chunk->memory, 'c', LEN);
    memset(behind->memory, 'h', 3 * ARENA_UNIT);
    uintptr_t first = (uintptr_t)chunk->memory, last = first + chunk_size(chunk);
    size_t whole = last / PAGE * PAGE - (first + PAGE - 1) / PAGE * PAGE;
    assert_true(whole > 0 && whole < LEN);

    size_t backed = resident(memory, REGION);
    chunk_unpin(chunk);
    assert_int_equal(recycled(arena), LEN);
    arena_tick(arena, ARENA_IDLE_MS);
    assert_int_equal(purges_failed(arena), 0);
    assert_int_equal(recycled(arena), LEN - whole);
    assert_int_equal(resident(memory, REGION), backed - whole);
    arena_tick(arena, 2 * ARENA_IDLE_MS);
    assert_int_equal(recycled(arena), LEN - whole);
    for (size_t i = 0; i < 3 * ARENA_UNIT; i++)
        if (before->memory[i] != 'b' || behind->memory[i] != 'h') fail_msg("byte %zu is lost", i);

    chunk_unpin(before);
    chunk_unpin(behind);
    arena_tick(arena, 3 * ARENA_IDLE_MS);
    arena_tick(arena, 4 * ARENA_IDLE_MS);
    assert_true(recycled(arena) <= 2 * PAGE); /* what is left are the region's own ends */
    arena_free(arena);
}

/* A chunk with no whole page inside stays resident. A trade for fresh memory ends nevertheless. */
static void test_purge_of_less_than_a_page(void **state) {
    (void)state;
    enum { PAGE = 64 * 1024, N = 40 };
    struct arena *arena = arena_new_with_pages(PAGE);
    struct chunk *gone[N], *kept[N];
    for (size_t i = 0; i < N; i++) {
        gone[i] = arena_take(arena, 8 * ARENA_UNIT);
        kept[i] = arena_take(arena, ARENA_UNIT);
        memset(gone[i]->memory, 'g', 8 * ARENA_UNIT);
    }
    for (size_t i = 0; i < N; i++) chunk_unpin(gone[i]);
    assert_int_equal(recycled(arena), N * 8 * ARENA_UNIT);
    arena_tick(arena, ARENA_IDLE_MS);
    assert_int_equal(recycled(arena), N * 8 * ARENA_UNIT);
    struct chunk *fresh = arena_take(arena, 100 * ARENA_UNIT);
    assert_int_equal(recycled(arena), N * 8 * ARENA_UNIT);
    chunk_unpin(fresh);
    for (size_t i = 0; i < N; i++) chunk_unpin(kept[i]);
    arena_tick(arena, 2 * ARENA_IDLE_MS);
    arena_tick(arena, 3 * ARENA_IDLE_MS);
    assert_true(recycled(arena) <= 2 * PAGE);
    arena_free(arena);
}

/* A page size below the system's makes madvise fail, as 4,096 does where pages have 64 KiB. */
static void test_failed_purge_is_counted(void **state) {
    (void)state;
    enum { LEN = 100 * ARENA_UNIT };
    struct arena *arena = arena_new(REGION, NULL);
    arena_set_page(arena, ARENA_UNIT);
    struct chunk *before = arena_take(arena, ARENA_UNIT), *chunk = arena_take(arena, LEN);
    struct chunk *behind = arena_take(arena, ARENA_UNIT);
    memset(chunk->memory, 'c', LEN);
    chunk_unpin(chunk);
    arena_tick(arena, ARENA_IDLE_MS);
    assert_int_equal(purges_failed(arena), 1);
    assert_int_equal(recycled(arena), LEN);
    struct chunk *fresh = arena_take(arena, 200 * ARENA_UNIT); /* trades: refused again */
    assert_int_equal(purges_failed(arena), 2);
    assert_int_equal(recycled(arena), LEN);

    arena_set_page(arena, (size_t)sysconf(_SC_PAGESIZE));
    arena_tick(arena, 2 * ARENA_IDLE_MS);
    assert_int_equal(purges_failed(arena), 2);
    assert_true(recycled(arena) < 2 * (size_t)sysconf(_SC_PAGESIZE));
    chunk_unpin(before);
    chunk_unpin(behind);
    chunk_unpin(fresh);
    arena_free(arena);
}

#ifdef TQ_SANITIZERS
#include <sanitizer/asan_interface.h>

/* Recycled memory belongs to no one, and AddressSanitizer knows it. */
static void test_free_memory_is_poisoned(void **state) {
    (void)state;
    struct arena *arena = arena_new(REGION, NULL);
    struct chunk *chunk = arena_take(arena, 10000);
    char *memory = chunk->memory;
    assert_null(__asan_region_is_poisoned(memory, 10000));
    assert_non_null(__asan_region_is_poisoned(memory, 10001));
    chunk_trim(chunk, 5000);
    assert_null(__asan_region_is_poisoned(memory, 5000));
    assert_ptr_equal(__asan_region_is_poisoned(memory, 10000), memory + chunk_size(chunk));
    chunk_unpin(chunk);
    assert_ptr_equal(__asan_region_is_poisoned(memory, 10000), memory);
    arena_free(arena);
}
#else /* poisoning would touch shadow for all of it, and malloc needs address space */
/* What a child of a fork reads stays as it was until it is done. */
static void test_deferred_frees_keep_the_bytes(void **state) {
    (void)state;
    struct arena *arena = arena_new(REGION, NULL);
    struct chunk *old = arena_take(arena, 5 * ARENA_UNIT);
    char *memory = old->memory;
    memset(memory, 'x', 5 * ARENA_UNIT);
    arena_defer_frees(arena);
    chunk_unpin(old);
    struct arena_stats stats;
    arena_stats(arena, &stats);
    assert_int_equal(stats.deferred, 5 * ARENA_UNIT);
    assert_int_equal(stats.allocated, 5 * ARENA_UNIT);
    assert_int_equal(stats.chunks, 0);
    arena_tick(arena, 1);
    struct chunk *other = arena_take(arena, 5 * ARENA_UNIT);
    assert_true(other->memory != memory);
    memset(other->memory, 'y', 5 * ARENA_UNIT);
    for (size_t i = 0; i < 5 * ARENA_UNIT; i++) assert_int_equal(memory[i], 'x');
    arena_resume_frees(arena);
    arena_tick(arena, 2);
    chunk_unpin(other);
    arena_stats(arena, &stats);
    assert_int_equal(stats.deferred, 0);
    assert_int_equal(stats.allocated, 0);
    struct chunk *all = arena_take(arena, REGION); /* it has grown together again */
    assert_ptr_equal(all->memory, memory);
    chunk_unpin(all);
    arena_free(arena);
}

static void test_longest_chunk(void **state) {
    (void)state;
    struct arena *arena = arena_new(REGION, NULL);
    struct chunk *chunk = arena_take(arena, ARENA_CHUNK_MAX);
    assert_non_null(chunk);
    assert_int_equal(chunk_size(chunk), (size_t)ARENA_CHUNK_MAX + 1);
    chunk->memory[0] = chunk->memory[ARENA_CHUNK_MAX - 1] = 1;
    chunk_trim(chunk, 1);
    assert_int_equal(arena_allocated(arena), ARENA_GRAIN);
    chunk_unpin(chunk);
    arena_free(arena);
}

static void test_no_more_address_space(void **state) {
    (void)state;
    struct arena *arena = arena_new(REGION, NULL);
    struct error e = {0};
    struct rlimit before, tight;
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    getrlimit(RLIMIT_AS, &before);
    tight = before;
    tight.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + 16 * REGION;
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    struct chunk *chunk = arena_take(arena, 64 * REGION);
    int failed = arena_reserve(arena, 64 * REGION, &e);
    struct chunk *small = arena_take(arena, REGION);
    setrlimit(RLIMIT_AS, &before);
    assert_null(chunk);
    assert_int_equal(failed, ERROR_OOM);
    assert_int_equal(e.code, ERROR_OOM);
    assert_non_null(small); /* what is mapped already serves on */
    assert_int_equal(mapped(arena), REGION);
    chunk_unpin(small);
    arena_free(arena);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_reserve_is_kept),
        cmocka_unit_test(test_reserve_is_kept_beside_like_sizes),
        cmocka_unit_test(test_reserve_beyond_a_region),
        cmocka_unit_test(test_recycling_touches_nothing_new),
        cmocka_unit_test(test_purge_counts_parts_of_pages),
        cmocka_unit_test(test_purge_of_less_than_a_page),
        cmocka_unit_test(test_failed_purge_is_counted),
#ifdef TQ_SANITIZERS
        cmocka_unit_test(test_free_memory_is_poisoned),
#else
        cmocka_unit_test(test_deferred_frees_keep_the_bytes),
        cmocka_unit_test(test_longest_chunk),
        cmocka_unit_test(test_no_more_address_space),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
