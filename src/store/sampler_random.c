/* RANDOM: every set of so many ready samples is equally likely, and so is every order of it.
 *
 * Candidates are not looked at one by one but counted, block by block. Then ranks among them are
 * drawn, and only the samples that have these ranks are looked up. WHERE has to be asked of each
 * candidate; the answers are kept as bits. */
#include "base/random.h"
#include "store/samplers.h"

struct census {
    const struct ready *ready;
    size_t blocks;
    /* candidates in earlier blocks; the last entry, behind all blocks, counts them all */
    uint64_t *before;
    uint64_t **admitted; /* with WHERE: the candidates of each block that has any; else NULL */
};

static void census_ask_where(struct census *c, struct ready *ready, struct scratch *scratch) {
    c->admitted = scratch_zalloc(scratch, c->blocks, sizeof(*c->admitted));
    for (uint64_t seq; (seq = ready_next(ready)) != SEQ_NONE;) {
        uint64_t **words = &c->admitted[block_number(seq) - ready->first];
        if (!*words) *words = scratch_zalloc(scratch, BLOCK_WORDS, sizeof(**words));
        bits_set(*words, block_row(seq));
    }
}

/* The candidates of a block, in `words` or where they were kept; NULL when there are none. */
static const uint64_t *census_block(const struct census *c, size_t block,
                                    uint64_t words[BLOCK_WORDS]) {
    if (c->admitted) return c->admitted[block];
    return ready_block(c->ready, c->ready->first + block, words) ? words : NULL;
}

static struct census census_take(struct ready *ready, struct scratch *scratch) {
    struct census c = {.ready = ready, .blocks = ready->end - ready->first};
    if (ready->where.where->n && !ready->matches) census_ask_where(&c, ready, scratch);
    c.before = scratch_alloc(scratch, c.blocks + 1, sizeof(*c.before));
    c.before[0] = 0;
    for (size_t i = 0; i < c.blocks; i++) {
        uint64_t room[BLOCK_WORDS];
        const uint64_t *words = census_block(&c, i, room);
        c.before[i + 1] = c.before[i] + (words ? bits_count(words, BLOCK_WORDS) : 0);
    }
    return c;
}

/* The candidate that has `rank` older ones. */
static uint64_t census_find(const struct census *c, uint64_t rank) {
    size_t low = 0, high = c->blocks - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->before[middle + 1] > rank)
            high = middle;
        else
            low = middle + 1;
    }
    rank -= c->before[low];
    uint64_t room[BLOCK_WORDS];
    const uint64_t *words = census_block(c, low, room);
    unsigned word = 0, count;
    for (; (count = (unsigned)bits_count(words + word, 1)) <= rank; word++) rank -= count;
    unsigned bit = bits_ranked(words[word], (unsigned)rank);
    return (c->ready->first + low) * BLOCK_ROWS + word * 64 + bit;
}

/* Numbers drawn so far: open addressing over slots of number + 1, at most half of them used. */
struct drawn {
    uint64_t *slots;
    size_t mask;
};

/* False when it is there already. Ranks are random: they spread without a hash. */
static bool drawn_add(struct drawn *d, uint64_t number) {
    size_t at = number & d->mask;
    for (; d->slots[at]; at = (at + 1) & d->mask)
        if (d->slots[at] == number + 1) return false;
    d->slots[at] = number + 1;
    return true;
}

/* n different numbers below `total`: Floyd's algorithm (Bentley, Floyd: "A sample of brilliance", 1987), which draws n
 * times whatever n is, then a shuffle, because the set it gives is random and its order is not. */
static void random_draw(struct random *r, uint64_t total, uint64_t *out, size_t n,
                        struct scratch *scratch) {
    struct drawn drawn = {.mask = 1};
    while (drawn.mask < 2 * n) drawn.mask = 2 * drawn.mask + 1;
    drawn.slots = scratch_zalloc(scratch, drawn.mask + 1, sizeof(*drawn.slots));
    for (size_t i = 0; i < n; i++) {
        uint64_t top = total - n + i;
        out[i] = random_below(r, top + 1);
        if (drawn_add(&drawn, out[i])) continue;
        out[i] = top;
        drawn_add(&drawn, top);
    }
    for (size_t i = n; i > 1; i--) {
        size_t other = random_below(r, i);
        uint64_t swap = out[i - 1];
        out[i - 1] = out[other];
        out[other] = swap;
    }
}

static void random_pick(const struct sampler_args *args, struct ready *ready, struct picks *picks) {
    struct census census = census_take(ready, picks->scratch);
    uint64_t total = census.before[census.blocks];
    picks->n = total < picks->room ? total : picks->room;
    struct random random = random_of_seed(args->seed);
    random_draw(&random, total, picks->seqs, picks->n, picks->scratch);
    for (size_t i = 0; i < picks->n; i++) picks->seqs[i] = census_find(&census, picks->seqs[i]);
}

const struct sampler sampler_random = {
    .name = "RANDOM",
    .takes = SAMPLER_SEED,
    .random = true,
    .pick = random_pick,
};
