/* See matches.h. */
#include "store/matches.h"

#include <string.h>

#include "base/bits.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/partition.h"
#include "store/tagindex.h"

struct match_block {
    uint64_t words[BLOCK_WORDS];
    uint16_t rows; /* those below have been asked */
};

struct match_set {
    struct span where; /* as bytes; owned */
    uint64_t hash;     /* of them */
    struct blockindex blocks;
    size_t n_blocks;
    size_t bytes;           /* all that it takes */
    uint64_t journal_at;    /* entries before this one have been read */
    struct match_sets *all; /* NULL: its partition is gone */
    size_t slot;            /* in all->sets */
    TAILQ_ENTRY(match_set) idle, idle_of_all; /* while it has no holder and `all` is set */
    unsigned holders;
    uint64_t filled; /* since it is held: blocks below this number */
    uint64_t known;  /* of blocks below this number, those that are not there have no match */
    uint64_t asked;  /* samples that were evaluated one by one */
};

struct match_sets {
    const struct partition *partition;
    struct match_cache *cache; /* NULL: the partition is gone */
    struct match_set **sets;
    size_t n, capacity, n_held;
    size_t bytes;           /* all that they take: sets, table, journal */
    struct match_idle idle; /* of the partition, the least recently used first */
    uint64_t *journal; /* entry i is at i % journal_capacity */
    size_t journal_capacity;
    uint64_t journal_begin, journal_end; /* entries that are kept, counted from the first ever */
};

/* `bytes` may be negative, as a difference of size_t. */
static void matches_count(struct match_sets *all, size_t bytes) {
    all->bytes += bytes;
    if (all->cache) all->cache->bytes += bytes;
}

/* Made where there are none. */
static struct match_sets *matches_of(const struct partition *p) {
    if (p->matches) return p->matches;
    struct match_sets *all = mem_calloc(1, sizeof(*all));
    all->partition = p;
    all->cache = p->match_cache;
    TAILQ_INIT(&all->idle);
    matches_count(all, sizeof(*all));
    return ((struct partition *)p)->matches = all;
}

/* ---- a set -------------------------------------------------------------------------------- */

/* Call after each change of its blocks. */
static void match_set_count(struct match_set *set, size_t blocks) {
    set->n_blocks += blocks;
    size_t before = set->bytes;
    set->bytes = sizeof(*set) + set->where.len + blockindex_overhead(&set->blocks) +
                 set->n_blocks * sizeof(struct match_block);
    if (set->all) matches_count(set->all, set->bytes - before);
}

static void match_set_forget(struct match_set *set) {
    for (uint64_t number = set->blocks.first; number < blockindex_end(&set->blocks); number++)
        mem_free(blockindex_get(&set->blocks, number));
    blockindex_free(&set->blocks);
    match_set_count(set, 0 - set->n_blocks);
    set->filled = set->known = set->asked = 0;
}

static void match_set_free(struct match_set *set) {
    match_set_forget(set);
    mem_free((void *)set->where.ptr);
    mem_free(set);
}

/* A block index begins with a block as long as it has any. */
static void match_set_drop_first(struct match_set *set) {
    uint64_t number = set->blocks.first;
    mem_free(blockindex_get(&set->blocks, number));
    blockindex_set(&set->blocks, number, NULL);
    match_set_count(set, (size_t)-1);
}

/* Blocks whose samples are all cleared go with them. */
static void match_set_slide(struct match_set *set, const struct partition *p) {
    while (set->blocks.count && set->blocks.first < p->rows.first) match_set_drop_first(set);
}

static void match_set_ask(struct match_block *block, const struct where_bound *bound,
                          uint64_t seq) {
    unsigned row = block_row(seq);
    if (where_admits(bound, seq))
        bits_set(block->words, row);
    else
        bits_clear(block->words, row);
}

/* The rows of a block that there are. */
static unsigned match_rows(const struct partition *p, uint64_t number) {
    uint64_t begin = number * BLOCK_ROWS;
    return (unsigned)(p->next_seq - begin < BLOCK_ROWS ? p->next_seq - begin : BLOCK_ROWS);
}

/* An empty one where there is none. */
static struct match_block *match_set_block(struct match_set *set, uint64_t number) {
    struct match_block *block = blockindex_get(&set->blocks, number);
    if (block) return block;
    block = mem_calloc(1, sizeof(*block));
    blockindex_set(&set->blocks, number, block);
    match_set_count(set, 1);
    return block;
}

static void match_set_catch_up(struct match_set *set, const struct match_sets *all,
                               const struct where_bound *bound) {
    uint64_t behind = all->journal_end - set->journal_at;
    bool is_costly = !set->holders && behind * bound->where->n > MATCHES_AT_ONCE;
    if (set->journal_at < all->journal_begin || is_costly) {
        match_set_forget(set);
        set->journal_at = all->journal_end;
    }
    for (; set->journal_at < all->journal_end; set->journal_at++) {
        uint64_t seq = all->journal[set->journal_at % all->journal_capacity];
        uint64_t number = block_number(seq);
        struct match_block *block = blockindex_get(&set->blocks, number);
        if (!block && number < set->known && partition_alive(all->partition, seq) &&
            where_admits(bound, seq)) {
            block = match_set_block(set, number);
            block->rows = BLOCK_ROWS;
        }
        if (block && block_row(seq) < block->rows) match_set_ask(block, bound, seq);
    }
}

/* ---- by an index -------------------------------------------------------------------------- */

struct match_indexing {
    struct match_set *set;
    const struct partition *partition;
    const struct where_bound *bound;
    bool is_exact;
};

static void match_set_run(void *context, const struct order_key *keys, size_t n) {
    struct match_indexing *m = context;
    for (size_t i = 0; i < n; i++) {
        uint64_t seq = tagindex_seq(m->partition, keys[i]);
        if (m->is_exact || where_admits(m->bound, seq))
            bits_set(match_set_block(m->set, block_number(seq))->words, block_row(seq));
    }
}

/* Finds the matches in the range of an index, where there is one that costs little: no more than
 * what the set has asked so far, or, with `needs_all`, MATCHES_AT_ONCE. */
static bool match_set_index(struct match_set *set, const struct partition *p,
                            const struct where_bound *bound, bool needs_all) {
    enum { EXACT = 4 }; /* bits set in the time of an evaluation */
    struct tagindex_range range;
    if (set->known || !p->n_indexes || !blockindex_end(&p->rows)) return false;
    if (!tagindex_range(p, bound->where, &range)) return false;
    uint64_t cost = range.is_exact ? range.n / EXACT : range.n * bound->where->n;
    if (cost > MATCHES_AT_ONCE || (!needs_all && cost > set->asked)) return false;
    match_set_forget(set);
    set->known = blockindex_end(&p->rows);
    tagindex_each(&range, match_set_run, &(struct match_indexing){set, p, bound, range.is_exact});
    match_set_block(set, set->known - 1); /* the last block may get more samples */
    for (uint64_t number = set->blocks.first; number < blockindex_end(&set->blocks); number++) {
        struct match_block *block = blockindex_get(&set->blocks, number);
        if (block) block->rows = (uint16_t)match_rows(p, number);
    }
    return true;
}

bool matches_has_none(const struct match_set *set, uint64_t number) {
    return number < set->known && !blockindex_get(&set->blocks, number);
}

/* ---- asking ------------------------------------------------------------------------------- */

/* Asks the rows from where the block ends up to `rows`; they have no bits yet. Stops behind a word
 * when the cost has reached `most`: block->rows says where. Returns the cost. */
static uint64_t match_block_fill(struct match_block *block, const struct partition *p,
                                 const struct where_bound *bound, uint64_t number, unsigned rows,
                                 uint64_t most) {
    const struct row_block *row_block = blockindex_get(&p->rows, number);
    uint64_t begin = *bound->cost;
    for (unsigned w = block->rows / 64; row_block && w * 64 < rows; w++) {
        uint64_t left = row_block->alive[w];
        if (w == block->rows / 64) left &= ~UINT64_C(0) << block->rows % 64;
        for (; left; left &= left - 1) {
            unsigned bit = bits_lowest(left);
            if (where_admits(bound, number * BLOCK_ROWS + w * 64 + bit))
                block->words[w] |= UINT64_C(1) << bit;
        }
        if (*bound->cost - begin < most || (w + 1) * 64 >= rows) continue;
        block->rows = (uint16_t)((w + 1) * 64);
        return *bound->cost - begin;
    }
    block->rows = (uint16_t)rows;
    return *bound->cost - begin;
}

bool matches_and(struct match_set *set, const struct partition *p, const struct where_bound *bound,
                 uint64_t number, uint64_t words[BLOCK_WORDS], uint64_t *evaluations) {
    struct match_block *block = blockindex_get(&set->blocks, number);
    unsigned rows = match_rows(p, number);
    if ((!block || block->rows < rows) && match_set_index(set, p, bound, !*evaluations))
        block = blockindex_get(&set->blocks, number);
    if (matches_has_none(set, number)) {
        memset(words, 0, BLOCK_WORDS * sizeof(*words));
        return true;
    }
    if (!block || block->rows < rows) {
        if (!*evaluations) return false;
        block = match_set_block(set, number);
        uint64_t cost = match_block_fill(block, p, bound, number, rows, *evaluations);
        *evaluations -= cost < *evaluations ? cost : *evaluations;
        set->asked += cost;
        if (block->rows < rows) {
            if (!match_set_index(set, p, bound, true)) return false;
            return matches_and(set, p, bound, number, words, evaluations);
        }
    }
    for (unsigned w = 0; w < BLOCK_WORDS; w++) words[w] &= block->words[w];
    return true;
}

/* ---- the sets of a partition -------------------------------------------------------------- */

static struct match_set *matches_find(const struct match_sets *all, uint64_t hash,
                                      struct span key) {
    for (size_t i = 0; i < all->n; i++)
        if (all->sets[i]->hash == hash && span_equal(all->sets[i]->where, key)) return all->sets[i];
    return NULL;
}

/* The set stands last in the lists of those that may be freed. */
static void match_set_idle(struct match_set *set) {
    TAILQ_INSERT_TAIL(&set->all->cache->idle, set, idle);
    TAILQ_INSERT_TAIL(&set->all->idle, set, idle_of_all);
}

static void match_set_busy(struct match_set *set) {
    TAILQ_REMOVE(&set->all->cache->idle, set, idle);
    TAILQ_REMOVE(&set->all->idle, set, idle_of_all);
}

/* Without a set nobody reads the journal. */
static void matches_empty(struct match_sets *all) {
    matches_count(all, 0 - (all->capacity * sizeof(*all->sets) +
                            all->journal_capacity * sizeof(*all->journal)));
    mem_free(all->sets);
    mem_free(all->journal);
    all->sets = NULL;
    all->journal = NULL;
    all->capacity = all->journal_capacity = 0;
    all->journal_begin = all->journal_end;
}

/* Frees the first one of a list, unless it is the one that is in use. False if there is none. */
static bool matches_evict(struct match_set *set) {
    if (!set || set == set->all->cache->in_use) return false;
    struct match_sets *all = set->all;
    match_set_busy(set);
    all->sets[set->slot] = all->sets[--all->n];
    all->sets[set->slot]->slot = set->slot;
    matches_count(all, 0 - set->bytes);
    set->all = NULL;
    match_set_free(set);
    if (!all->n) matches_empty(all);
    return true;
}

/* More than are kept, unless they are held. */
static bool matches_are_many(const struct match_sets *all) {
    return all->n > MATCHES_SETS_MAX || (all->n > MATCHES_SETS && all->bytes > MATCHES_BYTES);
}

static void matches_trim(struct match_sets *all) {
    struct match_cache *cache = all->cache;
    while (matches_are_many(all) && matches_evict(TAILQ_FIRST(&all->idle))) continue;
    while (cache->bytes > cache->most && matches_evict(TAILQ_FIRST(&cache->idle))) continue;
}

static struct match_set *matches_make(struct match_sets *all, uint64_t hash, struct span key) {
    struct match_set *set = mem_calloc(1, sizeof(*set));
    set->where = span_of(mem_dup(key.ptr, key.len), key.len);
    set->hash = hash;
    set->journal_at = all->journal_end;
    set->all = all;
    size_t before = all->capacity;
    all->sets = mem_grow(all->sets, &all->capacity, all->n + 1, sizeof(struct match_set *));
    matches_count(all, (all->capacity - before) * sizeof(*all->sets));
    set->slot = all->n;
    match_set_count(set, 0);
    match_set_idle(set);
    return all->sets[all->n++] = set;
}

void match_cache_init(struct match_cache *cache) {
    *cache = (struct match_cache){.most = SIZE_MAX};
    TAILQ_INIT(&cache->idle);
}

size_t match_cache_drop(struct match_cache *cache) {
    size_t before = cache->bytes;
    matches_evict(TAILQ_FIRST(&cache->idle));
    return before - cache->bytes;
}

struct match_set *matches_use(const struct partition *p, const struct where_bound *bound,
                              struct scratch *scratch) {
    if (!bound->where->n || p->samples < MATCHES_FROM_SAMPLES || !p->match_cache) return NULL;
    struct match_sets *all = matches_of(p);
    size_t len = where_key_len(bound->where);
    char *bytes = scratch_alloc(scratch, 1, len);
    where_key_write(bound->where, bytes);
    struct span key = span_of(bytes, len);
    uint64_t hash = hash_bytes(key);
    struct match_set *set = matches_find(all, hash, key);
    if (!set) set = matches_make(all, hash, key);
    all->cache->in_use = set;
    if (!set->holders) {
        match_set_busy(set);
        match_set_idle(set);
    }
    match_set_slide(set, p);
    match_set_catch_up(set, all, bound);
    matches_trim(all);
    return set;
}

/* ---- holding ------------------------------------------------------------------------------ */

/* The WHERE of the set, bound to its partition. */
static struct where_bound match_set_bind(const struct match_set *set, struct where *where,
                                         struct scratch *scratch) {
    *where = where_key_read(set->where, scratch);
    return where_bind(where, set->all->partition, scratch);
}

struct match_set *matches_hold(const struct partition *p, const struct where *where,
                               struct scratch *scratch) {
    struct where_bound bound = where_bind(where, p, scratch);
    struct match_set *set = matches_use(p, &bound, scratch);
    if (!set) return NULL;
    if (!set->holders++) {
        match_set_busy(set);
        set->filled = 0;
        set->all->n_held++;
    }
    return set;
}

void matches_release(struct match_set *set) {
    if (--set->holders) return;
    struct match_sets *all = set->all;
    if (!all) {
        match_set_free(set);
        return;
    }
    all->n_held--;
    match_set_idle(set);
    matches_trim(all);
}

bool matches_fill(struct match_set *set, uint64_t evaluations) {
    enum { BLOCK_COST = 16 }; /* of a block that is filled already, in evaluations */
    if (!set->all) return true;
    const struct partition *p = set->all->partition;
    uint64_t end = blockindex_end(&p->rows), spent = 0;
    if (set->filled >= end && set->journal_at == set->all->journal_end) return true;
    struct scratch scratch = {0};
    struct where where;
    struct where_bound bound = match_set_bind(set, &where, &scratch);
    match_set_catch_up(set, set->all, &bound);
    match_set_index(set, p, &bound, true);
    if (set->filled < p->rows.first) set->filled = p->rows.first;
    for (; set->filled < end && spent < evaluations; set->filled++, spent += BLOCK_COST) {
        if (!blockindex_get(&p->rows, set->filled) || matches_has_none(set, set->filled)) continue;
        struct match_block *block = match_set_block(set, set->filled);
        unsigned rows = match_rows(p, set->filled);
        if (block->rows < rows)
            spent += match_block_fill(block, p, &bound, set->filled, rows, evaluations - spent);
        if (block->rows < rows) break;
    }
    scratch_free(&scratch);
    return set->filled >= end;
}

/* ---- changing ----------------------------------------------------------------------------- */

/* Sets that are held read the journal while it is there. */
static void matches_catch_up_held(struct match_sets *all) {
    for (size_t i = 0; i < all->n; i++) {
        struct match_set *set = all->sets[i];
        if (!set->holders) continue;
        struct scratch scratch = {0};
        struct where where;
        struct where_bound bound = match_set_bind(set, &where, &scratch);
        match_set_catch_up(set, all, &bound);
        scratch_free(&scratch);
    }
}

/* Room for one entry more. The journal grows to MATCHES_JOURNAL entries; then the oldest one
 * goes. */
static void matches_make_room(struct match_sets *all) {
    enum { FIRST = 64 };
    size_t before = all->journal_capacity, n = (size_t)(all->journal_end - all->journal_begin);
    if (n < before) return;
    if (n == MATCHES_JOURNAL) {
        all->journal_begin++;
        return;
    }
    size_t capacity = before ? 2 * before : FIRST;
    uint64_t *journal = mem_alloc(capacity * sizeof(*journal));
    for (uint64_t i = all->journal_begin; i < all->journal_end; i++)
        journal[i % capacity] = all->journal[i % before];
    mem_free(all->journal);
    all->journal = journal;
    all->journal_capacity = capacity;
    matches_count(all, (capacity - before) * sizeof(*journal));
}

void matches_touch(struct partition *p, const uint64_t *seqs, size_t n) {
    struct match_sets *all = p->matches;
    for (size_t i = 0; all && i < n && all->n; i++) {
        matches_make_room(all);
        all->journal[all->journal_end++ % all->journal_capacity] = seqs[i];
        if (all->n_held && all->journal_end % (MATCHES_JOURNAL / 2) == 0)
            matches_catch_up_held(all);
    }
}

void matches_touch_all(struct partition *p) {
    if (p->matches) p->matches->journal_begin = ++p->matches->journal_end;
}

void matches_leave(struct match_sets *all) {
    if (!all || !all->cache) return;
    size_t kept = 0;
    all->cache->bytes -= all->bytes;
    for (size_t i = 0; i < all->n; i++) {
        struct match_set *set = all->sets[i];
        if (all->cache->in_use == set) all->cache->in_use = NULL;
        if (set->holders) {
            all->bytes -= set->bytes;
            set->all = NULL;
        } else {
            match_set_busy(set);
            all->sets[kept++] = set;
        }
    }
    all->n = kept;
    all->n_held = 0;
    all->cache = NULL;
}

bool matches_shrink(struct match_sets *all, size_t *steps) {
    for (size_t i = 0; all && i < all->n; i++) {
        struct match_set *set = all->sets[i];
        for (; set->blocks.count; --*steps) {
            if (!*steps) return false;
            match_set_drop_first(set);
        }
    }
    return true;
}

void matches_free(struct match_sets *all) {
    if (!all) return;
    matches_leave(all);
    for (size_t i = 0; i < all->n; i++) match_set_free(all->sets[i]);
    mem_free(all->sets);
    mem_free(all->journal);
    mem_free(all);
}

size_t matches_overhead(const struct match_sets *all) {
    return all ? all->bytes : 0;
}
