/* See sums.h. */
#include "store/sums.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { SUMS_FANOUT = 64, SUMS_SPARSE = 16 };

struct sums_block {
    double totals[BLOCK_WORDS]; /* of the words */
    unsigned n;                 /* weights above 0 */
    unsigned capacity;
    double *weights;
};

/* ---- weights ------------------------------------------------------------------------------ */

double sums_weight(const struct sums *s, uint64_t seq) {
    const struct sums_block *block = blockindex_get(&s->blocks, block_number(seq));
    return block && block_row(seq) < block->capacity ? block->weights[block_row(seq)] : 0;
}

static double sums_total(const struct sums *s, uint64_t word) {
    const struct sums_block *block = blockindex_get(&s->blocks, word / BLOCK_WORDS);
    return block ? block->totals[word % BLOCK_WORDS] : 0;
}

static struct sums_block *sums_block_for(struct sums *s, uint64_t seq) {
    struct sums_block *block = blockindex_get(&s->blocks, block_number(seq));
    if (!block) {
        block = mem_calloc(1, sizeof(*block));
        s->bytes += sizeof(*block);
        s->n_blocks++;
        blockindex_set(&s->blocks, block_number(seq), block);
    }
    if (block_row(seq) < block->capacity) return block;
    unsigned capacity = block_capacity(block_row(seq));
    block->weights = mem_realloc(block->weights, capacity * sizeof(*block->weights));
    memset(block->weights + block->capacity, 0,
           (capacity - block->capacity) * sizeof(*block->weights));
    s->bytes += (capacity - block->capacity) * sizeof(*block->weights);
    block->capacity = capacity;
    return block;
}

static void sums_block_free(struct sums *s, uint64_t number) {
    struct sums_block *block = blockindex_get(&s->blocks, number);
    if (block) {
        s->bytes -= sizeof(*block) + block->capacity * sizeof(*block->weights);
        s->n_blocks--;
        mem_free(block->weights);
        mem_free(block);
    }
    blockindex_set(&s->blocks, number, NULL);
}

static double sums_of_word(const struct sums_block *block, unsigned word) {
    double sum = 0;
    for (unsigned i = word * 64; i < (word + 1) * 64 && i < block->capacity; i++)
        sum += block->weights[i];
    return sum;
}

void sums_set(struct sums *s, uint64_t seq, double weight) {
    unsigned row = block_row(seq);
    if (weight == 0 && sums_weight(s, seq) == 0) return;
    struct sums_block *block = sums_block_for(s, seq);
    bool was = block->weights[row] > 0, is = weight > 0;
    block->weights[row] = weight;
    block->n += (unsigned)is - (unsigned)was;
    s->n_positive += (uint64_t)is - (uint64_t)was;
    block->totals[row / 64] = sums_of_word(block, row / 64);
    if (!block->n) sums_block_free(s, block_number(seq));
    sums_touch(s, seq);
}

/* ---- bounds ------------------------------------------------------------------------------- */

static double sums_of_64(const double *bounds) {
    double sum = 0;
    for (unsigned i = 0; i < SUMS_FANOUT; i++) sum += bounds[i];
    return sum;
}

/* The sums above a word, from its level-0 bound up. */
static void sums_add_up(struct sums_view *v, size_t at) {
    for (unsigned level = 1; level < v->n_levels; level++) {
        at /= SUMS_FANOUT;
        v->levels[level][at] = sums_of_64(v->levels[level - 1] + at * SUMS_FANOUT);
    }
}

void sums_set_bound(struct sums_view *v, uint64_t word, double bound) {
    size_t at = (size_t)(word - v->base);
    if (v->levels[0][at] == bound) return;
    v->levels[0][at] = bound;
    sums_add_up(v, at);
}

double sums_bound(const struct sums_view *v, uint64_t word) {
    return v->levels[0][word - v->base];
}

void sums_loosen(const struct sums *s, struct sums_view *v, uint64_t word) {
    sums_set_bound(v, word, sums_total(s, word));
}

double sums_all(const struct sums_view *v) {
    return sums_of_64(v->levels[v->n_levels - 1]);
}

/* Which of 64 bounds *at falls into. Rounding may leave *at behind the last one: then it is
 * that. */
static unsigned sums_find_64(const double *bounds, double *at) {
    unsigned last = 0;
    for (unsigned i = 0; i < SUMS_FANOUT; i++) {
        if (!(bounds[i] > 0)) continue;
        if (*at < bounds[i]) return i;
        *at -= bounds[i];
        last = i;
    }
    *at = bounds[last];
    return last;
}

uint64_t sums_find(const struct sums_view *v, double *at, double *bound) {
    size_t place = 0;
    for (unsigned level = v->n_levels; level-- > 0;)
        place = place * SUMS_FANOUT + sums_find_64(v->levels[level] + place * SUMS_FANOUT, at);
    *bound = v->levels[0][place];
    return v->base + place;
}

/* ---- views -------------------------------------------------------------------------------- */

static size_t sums_view_bytes(const struct sums_view *v) {
    size_t bytes = 0, n = v->room;
    for (unsigned level = 0; level < v->n_levels; level++, n /= SUMS_FANOUT)
        bytes += (n < SUMS_FANOUT ? SUMS_FANOUT : n) * sizeof(double);
    return bytes;
}

/* It is to be built again. */
static void sums_view_clear(struct sums *s, struct sums_view *v) {
    s->bytes -= sums_view_bytes(v);
    for (unsigned level = 0; level < v->n_levels; level++) mem_free(v->levels[level]);
    v->n_levels = 0;
    v->room = 0;
}

/* Room for n words: a power of 64 in whole top sums, so that each level is full. */
static void sums_view_make(struct sums *s, struct sums_view *v, size_t n) {
    size_t top = 1; /* words that a sum of the last level has */
    v->n_levels = 1;
    while (n > top * SUMS_FANOUT) {
        top *= SUMS_FANOUT;
        v->n_levels++;
    }
    v->room = (n + top - 1) / top * top;
    size_t size = v->room;
    for (unsigned level = 0; level < v->n_levels; level++, size /= SUMS_FANOUT)
        v->levels[level] = mem_calloc(size < SUMS_FANOUT ? SUMS_FANOUT : size, sizeof(double));
    s->bytes += sums_view_bytes(v);
}

/* Every bound is the sum of all weights. There is room for half as many words more. */
static void sums_view_build(struct sums *s, struct sums_view *v, uint64_t end) {
    uint64_t first = s->blocks.count ? s->blocks.first * BLOCK_WORDS : end;
    sums_view_clear(s, v);
    v->base = first < end ? first : end;
    v->n = (size_t)(end - v->base);
    v->number = ++s->clock;
    sums_view_make(s, v, v->n + v->n / 2 + BLOCK_WORDS);
    for (size_t i = 0; i < v->n; i++) v->levels[0][i] = sums_total(s, v->base + i);
    size_t size = v->room;
    for (unsigned level = 1; level < v->n_levels; level++) {
        size /= SUMS_FANOUT;
        for (size_t i = 0; i < size; i++)
            v->levels[level][i] = sums_of_64(v->levels[level - 1] + i * SUMS_FANOUT);
    }
}

static void sums_view_free(struct sums *s, struct sums_view *v) {
    sums_view_clear(s, v);
    mem_free((void *)v->key.ptr);
    *v = (struct sums_view){0};
}

/* A view does not cover the word where it is to be built, or has no room for it. */
static bool sums_view_covers(struct sums_view *v, uint64_t word) {
    if (!v->room || word < v->base || word - v->base >= v->room) return false;
    if (word - v->base >= v->n) v->n = (size_t)(word - v->base) + 1;
    return true;
}

void sums_touch(struct sums *s, uint64_t seq) {
    uint64_t word = seq / 64;
    for (size_t i = 0; i < s->n_views; i++) {
        struct sums_view *v = &s->views[i];
        if (sums_view_covers(v, word))
            sums_loosen(s, v, word);
        else
            sums_view_clear(s, v);
    }
}

void sums_touch_all(struct sums *s) {
    while (s->n_views) sums_view_free(s, &s->views[--s->n_views]);
}

static struct sums_view *sums_view_place(struct sums *s) {
    size_t oldest = 0;
    if (s->n_views < SUMS_VIEWS) return &s->views[s->n_views++];
    for (size_t i = 1; i < SUMS_VIEWS; i++)
        if (s->views[i].used < s->views[oldest].used) oldest = i;
    sums_view_free(s, &s->views[oldest]);
    return &s->views[oldest];
}

struct sums_view *sums_view(struct sums *s, struct span key, uint64_t end_seq, uint64_t samples) {
    uint64_t hash = hash_bytes(key), end = (end_seq + 63) / 64;
    uint64_t first = s->blocks.count ? s->blocks.first * BLOCK_WORDS : end;
    struct sums_view *v = NULL;
    uint64_t blocks = samples / BLOCK_ROWS + s->n_blocks + 1;
    if (end > first && end - first > SUMS_SPARSE * BLOCK_WORDS * blocks) return NULL;
    for (size_t i = 0; i < s->n_views && !v; i++)
        if (s->views[i].hash == hash && span_equal(s->views[i].key, key)) v = &s->views[i];
    if (!v) {
        v = sums_view_place(s);
        *v = (struct sums_view){.key = span_of(mem_dup(key.ptr, key.len), key.len), .hash = hash};
    }
    v->used = ++s->clock;
    if (!v->room || (end > v->base && !sums_view_covers(v, end - 1)) ||
        first > v->base + v->room / 2)
        sums_view_build(s, v, end);
    return v;
}

/* ---- freeing ------------------------------------------------------------------------------ */

bool sums_shrink(struct sums *s, size_t *steps) {
    sums_touch_all(s);
    for (; s->blocks.count; --*steps) {
        if (!*steps) return false;
        sums_block_free(s, s->blocks.first);
    }
    return true;
}

void sums_free(struct sums *s) {
    size_t all = SIZE_MAX;
    sums_shrink(s, &all);
    blockindex_free(&s->blocks);
}
