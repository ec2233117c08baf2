/* The data of a benchmark: a batch of samples, as columns.
 *
 * Content is pseudo-random and the same in every run; what comes back from a server is compared
 * with it byte by byte, so that a figure is only ever printed for work that was done right. Rows
 * are views of the columns. */
#ifndef TQ_BENCHMARK_BATCH_H
#define TQ_BENCHMARK_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "benchmark/memory.h"

enum batch_kind {
    BATCH_DENSE,  /* f32[n], or u8[n] where the size is no multiple of 4 */
    BATCH_RAGGED, /* f32[*], lengths 1…n evenly */
    BATCH_STR,    /* printable text, all of one size */
    BATCH_BYTES,  /* lengths 1…n evenly */
};

/* What the fields of a batch are. */
enum batch_mix {
    BATCH_MIX_DENSE,
    BATCH_MIX_RAGGED,
    BATCH_MIX_STR,
    BATCH_MIX_BYTES,
    BATCH_MIX_COMPLEX, /* a third each of dense, ragged and str */
    BATCH_MIXES
};

enum {
    BATCH_NAME_MAX = 24,
    BATCH_KEY_LEN = 10, /* "s" and nine digits */
    BATCH_SAMPLES_MAX = 1000 * 1000,
    BATCH_FIELDS_MAX = 4096,
};

struct batch_field {
    enum batch_kind kind;
    char name[BATCH_NAME_MAX];
    char type[32];      /* as it is written in a command */
    char read_type[32]; /* the narrowest that fits all the samples: as it is read */
    uint32_t *shape;    /* what the type leaves open, a number a sample; NULL: nothing */
    size_t *offsets;    /* samples + 1 places in the payload */
    char *payload;      /* the items back to back, in the batch's memory */
};

struct batch {
    size_t samples, n_fields;
    size_t value_bytes; /* of the longest value */
    enum batch_mix mix;
    struct batch_field *fields;
    char *keys;          /* samples × BATCH_KEY_LEN */
    uint32_t *key_sizes; /* the shape of the key column */
    size_t payload_bytes;
    struct memory memory;
};

const char *batch_mix_name(enum batch_mix mix);

/* Fill *b. On failure (no memory) it is empty. Sizes are at least 1. */
int batch_make(struct batch *b, size_t samples, size_t fields, size_t value_bytes,
               enum batch_mix mix, struct error *e);
void batch_free(struct batch *b);

static inline struct span batch_key(const struct batch *b, size_t sample) {
    return span_of(b->keys + sample * BATCH_KEY_LEN, BATCH_KEY_LEN);
}

static inline struct span batch_value(const struct batch *b, size_t sample, size_t field) {
    const struct batch_field *f = &b->fields[field];
    return span_of(f->payload + f->offsets[sample], f->offsets[sample + 1] - f->offsets[sample]);
}

static inline size_t batch_column_bytes(const struct batch *b, size_t field) {
    return b->fields[field].offsets[b->samples];
}

/* The shape of a column as it is read: empty where its type is dense. */
static inline struct span batch_read_shape(const struct batch *b, size_t field) {
    const struct batch_field *f = &b->fields[field];
    bool dense = strchr(f->read_type, '[') && !strchr(f->read_type, '*');
    return dense ? span_of("", 0) : span_of(f->shape, b->samples * sizeof(*f->shape));
}

/* Give the samples other keys, that count from `first`. Requests written before keep theirs. */
void batch_number_keys(struct batch *b, uint64_t first);

/* The key of any sample, into `out` of BATCH_KEY_LEN bytes; `number` below 10^9. */
void batch_format_key(uint64_t number, char *out);

/* How much memory a batch of these sizes takes at most. */
size_t batch_bytes(size_t samples, size_t fields, size_t value_bytes);

#endif
