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
    uint64_t journal_at; /* entries before this one have been read */
    uint64_t used;       /* by match_sets.clock */
};

struct match_sets {
    struct match_set *sets[MATCHES_SETS];
    size_t n;
    uint64_t clock;
    uint64_t journal_end; /* entries ever written */
    uint64_t journal[MATCHES_JOURNAL];
};

/* ---- a set -------------------------------------------------------------------------------- */

static void match_set_forget(struct match_set *set) {
    for (size_t i = 0; i < set->blocks.count; i++) mem_free(set->blocks.pieces[set->blocks.start + i]);
    spine_free(&set->blocks);
    set->n_blocks = 0;
}

static void match_set_free(struct match_set *set) {
    match_set_forget(set);
    mem_free((void *)set->where.ptr);
    mem_free(set);
}

/* Blocks whose samples are all cleared go with them. */
static void match_set_slide(struct match_set *set, const struct partition *p) {
    while (set->blocks.count && set->blocks.first < p->rows.first) {
        struct match_block *block = spine_get(&set->blocks, set->blocks.first);
        if (!block) break; /* the spine begins with a piece as long as it has any */
        mem_free(block);
        spine_set(&set->blocks, set->blocks.first, NULL);
        set->n_blocks--;
    }
}

static void match_set_ask(struct match_block *block, const struct where_bound *bound, uint64_t seq) {
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

/* Asks the rows from where the block ends up to `rows`; they have no bits yet. */
static void match_set_fill(struct match_block *block, const struct partition *p,
                           const struct where_bound *bound, uint64_t number, unsigned rows) {
    const struct row_piece *piece = spine_get(&p->rows, number);
    for (unsigned w = block->rows / 64; piece && w < SPINE_WORDS; w++) {
        uint64_t left = piece->alive[w];
        if (w == block->rows / 64) left &= ~UINT64_C(0) << block->rows % 64;
        for (; left; left &= left - 1) {
            unsigned bit = bits_lowest(left);
            if (where_admits(bound, number * SPINE_ROWS + w * 64 + bit))
                block->words[w] |= UINT64_C(1) << bit;
        }
    }
    block->rows = (uint16_t)rows;
}

void matches_and(struct match_set *set, const struct partition *p, const struct where_bound *bound,
                 uint64_t number, uint64_t words[SPINE_WORDS]) {
    struct match_block *block = spine_get(&set->blocks, number);
    uint64_t begin = number * SPINE_ROWS;
    uint64_t rows = p->next_seq - begin < SPINE_ROWS ? p->next_seq - begin : SPINE_ROWS;
    if (!block) {
        block = mem_calloc(1, sizeof(*block));
        spine_set(&set->blocks, number, block);
        set->n_blocks++;
    }
    if (block->rows < rows) match_set_fill(block, p, bound, number, (unsigned)rows);
    for (unsigned w = 0; w < SPINE_WORDS; w++) words[w] &= block->words[w];
}

/* ---- the sets of a partition -------------------------------------------------------------- */

static void matches_write(const struct where *where, char *at) {
    for (size_t i = 0; i < where->n; i++) {
        const struct where_condition *c = &where->conditions[i];
        const uint64_t head[] = {c->tag.len, c->operator, c->value.len};
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

static struct match_set *matches_find(const struct match_sets *all, uint64_t hash, struct span key) {
    for (size_t i = 0; i < all->n; i++)
        if (all->sets[i]->hash == hash && span_equal(all->sets[i]->where, key)) return all->sets[i];
    return NULL;
}

/* In a free place, or in that of the set that was not used for longest. */
static struct match_set *matches_make(struct match_sets *all, uint64_t hash, struct span key) {
    size_t at = all->n;
    if (at == MATCHES_SETS) {
        at = 0;
        for (size_t i = 1; i < all->n; i++)
            if (all->sets[i]->used < all->sets[at]->used) at = i;
        match_set_free(all->sets[at]);
    } else {
        all->n++;
    }
    struct match_set *set = mem_calloc(1, sizeof(*set));
    set->where = span_of(mem_dup(key.ptr, key.len), key.len);
    set->hash = hash;
    set->journal_at = all->journal_end;
    return all->sets[at] = set;
}

struct match_set *matches_use(const struct partition *p, const struct where_bound *bound,
                              struct scratch *scratch) {
    if (!bound->where->n || p->samples < MATCHES_FROM_SAMPLES) return NULL;
    struct match_sets **at = &((struct partition *)p)->matches; /* a cache: nobody sees it change */
    if (!*at) *at = mem_calloc(1, sizeof(**at));
    struct match_sets *all = *at;
    struct span key = matches_key(bound->where, scratch);
    uint64_t hash = hash_bytes(key);
    struct match_set *set = matches_find(all, hash, key);
    if (!set) set = matches_make(all, hash, key);
    set->used = ++all->clock;
    match_set_slide(set, p);
    match_set_catch_up(set, all, bound);
    return set;
}

void matches_touch(struct partition *p, const uint64_t *seqs, size_t n) {
    struct match_sets *all = p->matches;
    if (!all) return;
    for (size_t i = n > MATCHES_JOURNAL ? n - MATCHES_JOURNAL : 0; i < n; i++)
        all->journal[(all->journal_end + i) % MATCHES_JOURNAL] = seqs[i];
    all->journal_end += n;
}

void matches_touch_all(struct partition *p) {
    if (p->matches) p->matches->journal_end += MATCHES_JOURNAL + 1;
}

void matches_free(struct match_sets *all) {
    if (!all) return;
    for (size_t i = 0; i < all->n; i++) match_set_free(all->sets[i]);
    mem_free(all);
}

size_t matches_overhead(const struct match_sets *all) {
    if (!all) return 0;
    size_t bytes = sizeof(*all);
    for (size_t i = 0; i < all->n; i++)
        bytes += sizeof(*all->sets[i]) + all->sets[i]->where.len +
                 spine_overhead(&all->sets[i]->blocks) +
                 all->sets[i]->n_blocks * sizeof(struct match_block);
    return bytes;
}
