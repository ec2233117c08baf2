/* See matches.h. */
#include "store/matches.h"

#include <string.h>

#include "base/bits.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/partition.h"

struct match_block {
    uint64_t words[SPINE_WORDS];
    uint16_t rows; /* those below have been asked */
};

struct match_set {
    struct span where; /* as bytes; owned */
    uint64_t hash;     /* of them */
    struct spine blocks;
    size_t n_blocks;
    uint64_t journal_at;    /* entries before this one have been read */
    uint64_t used;          /* by match_sets.clock */
    struct match_sets *all; /* NULL: its partition is gone */
    unsigned holders;
    uint64_t filled; /* since it is held: blocks below this number */
};

struct match_sets {
    struct partition *partition;
    struct match_set **sets; /* more than MATCHES_SETS only where more are held */
    size_t n, capacity, n_held;
    uint64_t clock;
    uint64_t journal_end; /* entries ever written */
    uint64_t journal[MATCHES_JOURNAL];
};

/* ---- a set -------------------------------------------------------------------------------- */

static void match_set_forget(struct match_set *set) {
    for (size_t i = 0; i < set->blocks.count; i++)
        mem_free(set->blocks.pieces[set->blocks.start + i]);
    spine_free(&set->blocks);
    set->n_blocks = 0;
    set->filled = 0;
}

static void match_set_free(struct match_set *set) {
    match_set_forget(set);
    mem_free((void *)set->where.ptr);
    mem_free(set);
}

/* A spine begins with a block as long as it has any. */
static void match_set_drop_first(struct match_set *set) {
    uint64_t number = set->blocks.first;
    mem_free(spine_get(&set->blocks, number));
    spine_set(&set->blocks, number, NULL);
    set->n_blocks--;
}

/* Blocks whose samples are all cleared go with them. */
static void match_set_slide(struct match_set *set, const struct partition *p) {
    while (set->blocks.count && set->blocks.first < p->rows.first) match_set_drop_first(set);
}

static void match_set_ask(struct match_block *block, const struct where_bound *bound,
                          uint64_t seq) {
    unsigned row = spine_row(seq);
    if (where_admits(bound, seq))
        bits_set(block->words, row);
    else
        bits_clear(block->words, row);
}

static void match_set_catch_up(struct match_set *set, const struct match_sets *all,
                               const struct where_bound *bound) {
    if (all->journal_end - set->journal_at > MATCHES_JOURNAL) {
        match_set_forget(set);
        set->journal_at = all->journal_end;
    }
    for (; set->journal_at < all->journal_end; set->journal_at++) {
        uint64_t seq = all->journal[set->journal_at % MATCHES_JOURNAL];
        struct match_block *block = spine_get(&set->blocks, spine_number(seq));
        if (block && spine_row(seq) < block->rows) match_set_ask(block, bound, seq);
    }
}

/* Asks the rows from where the block ends up to `rows`; they have no bits yet. Returns how many. */
static uint64_t match_block_fill(struct match_block *block, const struct partition *p,
                                 const struct where_bound *bound, uint64_t number, unsigned rows) {
    const struct row_piece *piece = spine_get(&p->rows, number);
    uint64_t evaluated = 0;
    for (unsigned w = block->rows / 64; piece && w < SPINE_WORDS; w++) {
        uint64_t left = piece->alive[w];
        if (w == block->rows / 64) left &= ~UINT64_C(0) << block->rows % 64;
        for (; left; left &= left - 1, evaluated++) {
            unsigned bit = bits_lowest(left);
            if (where_admits(bound, number * SPINE_ROWS + w * 64 + bit))
                block->words[w] |= UINT64_C(1) << bit;
        }
    }
    block->rows = (uint16_t)rows;
    return evaluated;
}

/* The rows of a block that there are. */
static unsigned match_rows(const struct partition *p, uint64_t number) {
    uint64_t begin = number * SPINE_ROWS;
    return (unsigned)(p->next_seq - begin < SPINE_ROWS ? p->next_seq - begin : SPINE_ROWS);
}

/* An empty one where there is none. */
static struct match_block *match_set_block(struct match_set *set, uint64_t number) {
    struct match_block *block = spine_get(&set->blocks, number);
    if (block) return block;
    block = mem_calloc(1, sizeof(*block));
    spine_set(&set->blocks, number, block);
    set->n_blocks++;
    return block;
}

bool matches_and(struct match_set *set, const struct partition *p, const struct where_bound *bound,
                 uint64_t number, uint64_t words[SPINE_WORDS], uint64_t *evaluations) {
    struct match_block *block = spine_get(&set->blocks, number);
    unsigned rows = match_rows(p, number);
    if (!block || block->rows < rows) {
        if (!*evaluations) return false;
        block = match_set_block(set, number);
        uint64_t evaluated = match_block_fill(block, p, bound, number, rows);
        *evaluations -= evaluated < *evaluations ? evaluated : *evaluations;
    }
    for (unsigned w = 0; w < SPINE_WORDS; w++) words[w] &= block->words[w];
    return true;
}

/* ---- the sets of a partition -------------------------------------------------------------- */

static void matches_write(const struct where *where, char *at) {
    for (size_t i = 0; i < where->n; i++) {
        const struct where_condition *c = &where->conditions[i];
        const uint64_t head[] = {c->tag.len, c->operator, c->value.len };
        memcpy(at, head, sizeof(head));
        memcpy(at + sizeof(head), c->tag.ptr, c->tag.len);
        if (c->value.len) memcpy(at + sizeof(head) + c->tag.len, c->value.ptr, c->value.len);
        at += sizeof(head) + c->tag.len + c->value.len;
    }
}

/* A WHERE as bytes: the same bytes ask for the same. */
static struct span matches_key(const struct where *where, struct scratch *scratch) {
    size_t len = 0;
    for (size_t i = 0; i < where->n; i++)
        len += 3 * sizeof(uint64_t) + where->conditions[i].tag.len + where->conditions[i].value.len;
    char *bytes = scratch_alloc(scratch, 1, len);
    matches_write(where, bytes);
    return span_of(bytes, len);
}

static struct match_set *matches_find(const struct match_sets *all, uint64_t hash,
                                      struct span key) {
    for (size_t i = 0; i < all->n; i++)
        if (all->sets[i]->hash == hash && span_equal(all->sets[i]->where, key)) return all->sets[i];
    return NULL;
}

/* The set that was not used for longest and has no holder goes. */
static void matches_evict(struct match_sets *all) {
    size_t oldest = all->n;
    for (size_t i = 0; i < all->n; i++)
        if (!all->sets[i]->holders &&
            (oldest == all->n || all->sets[i]->used < all->sets[oldest]->used))
            oldest = i;
    if (oldest == all->n) return;
    match_set_free(all->sets[oldest]);
    all->sets[oldest] = all->sets[--all->n];
}

static struct match_set *matches_make(struct match_sets *all, uint64_t hash, struct span key) {
    if (all->n >= MATCHES_SETS) matches_evict(all);
    struct match_set *set = mem_calloc(1, sizeof(*set));
    set->where = span_of(mem_dup(key.ptr, key.len), key.len);
    set->hash = hash;
    set->journal_at = all->journal_end;
    set->all = all;
    all->sets = mem_grow(all->sets, &all->capacity, all->n + 1, sizeof(struct match_set *));
    return all->sets[all->n++] = set;
}

struct match_set *matches_use(const struct partition *p, const struct where_bound *bound,
                              struct scratch *scratch) {
    if (!bound->where->n || p->samples < MATCHES_FROM_SAMPLES) return NULL;
    struct match_sets **at = &((struct partition *)p)->matches; /* a cache: nobody sees it change */
    if (!*at) *at = mem_calloc(1, sizeof(**at));
    struct match_sets *all = *at;
    all->partition = (struct partition *)p;
    struct span key = matches_key(bound->where, scratch);
    uint64_t hash = hash_bytes(key);
    struct match_set *set = matches_find(all, hash, key);
    if (!set) set = matches_make(all, hash, key);
    set->used = ++all->clock;
    match_set_slide(set, p);
    match_set_catch_up(set, all, bound);
    return set;
}

/* ---- holding ------------------------------------------------------------------------------ */

/* The WHERE that a key was written from, bound to the partition. */
static struct where_bound match_set_bind(const struct match_set *set, struct where *where,
                                         struct scratch *scratch) {
    size_t head = 3 * sizeof(uint64_t), most = set->where.len / head;
    struct where_condition *conditions = scratch_alloc(scratch, most, sizeof(*conditions));
    const char *at = set->where.ptr, *end = at + set->where.len;
    for (where->n = 0; at < end; where->n++) {
        uint64_t numbers[3];
        memcpy(numbers, at, head);
        struct where_condition *c = &conditions[where->n];
        c->tag = span_of(at + head, numbers[0]);
        c->operator=(enum where_operator) numbers[1];
        c->value = span_of(at + head + numbers[0], numbers[2]);
        at += head + numbers[0] + numbers[2];
    }
    where->conditions = conditions;
    return where_bind(where, set->all->partition, scratch);
}

struct match_set *matches_hold(struct partition *p, const struct where *where,
                               struct scratch *scratch) {
    struct where_bound bound = where_bind(where, p, scratch);
    struct match_set *set = matches_use(p, &bound, scratch);
    if (!set) return NULL;
    if (!set->holders++) {
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
    while (all->n > MATCHES_SETS && all->n > all->n_held) matches_evict(all); /* also this one */
}

bool matches_fill(struct match_set *set, uint64_t evaluations) {
    enum { BLOCK_COST = 16 }; /* of a block that is filled already, in evaluations */
    if (!set->all) return true;
    const struct partition *p = set->all->partition;
    uint64_t end = spine_end(&p->rows), spent = 0;
    if (set->filled >= end && set->journal_at == set->all->journal_end) return true;
    struct scratch scratch = {0};
    struct where where;
    struct where_bound bound = match_set_bind(set, &where, &scratch);
    match_set_catch_up(set, set->all, &bound);
    if (set->filled < p->rows.first) set->filled = p->rows.first;
    for (; set->filled < end && spent < evaluations; set->filled++, spent += BLOCK_COST) {
        if (!spine_get(&p->rows, set->filled)) continue;
        struct match_block *block = match_set_block(set, set->filled);
        unsigned rows = match_rows(p, set->filled);
        if (block->rows < rows) spent += match_block_fill(block, p, &bound, set->filled, rows);
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

void matches_touch(struct partition *p, const uint64_t *seqs, size_t n) {
    struct match_sets *all = p->matches;
    if (!all) return;
    for (size_t i = 0; i < n; i++) {
        all->journal[all->journal_end++ % MATCHES_JOURNAL] = seqs[i];
        if (all->n_held && all->journal_end % (MATCHES_JOURNAL / 2) == 0)
            matches_catch_up_held(all);
    }
}

void matches_touch_all(struct partition *p) {
    if (p->matches) p->matches->journal_end += MATCHES_JOURNAL + 1;
}

void matches_leave(struct match_sets *all) {
    if (!all) return;
    size_t kept = 0;
    for (size_t i = 0; i < all->n; i++) {
        struct match_set *set = all->sets[i];
        if (set->holders)
            set->all = NULL;
        else
            all->sets[kept++] = set;
    }
    all->n = kept;
    all->n_held = 0;
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
    mem_free(all);
}

size_t matches_overhead(const struct match_sets *all) {
    if (!all) return 0;
    size_t bytes = sizeof(*all) + all->capacity * sizeof(*all->sets);
    for (size_t i = 0; i < all->n; i++)
        bytes += sizeof(*all->sets[i]) + all->sets[i]->where.len +
                 spine_overhead(&all->sets[i]->blocks) +
                 all->sets[i]->n_blocks * sizeof(struct match_block);
    return bytes;
}
