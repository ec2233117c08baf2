/* Where replies arrive: two ways to read them behind one face.
 *
 * Column replies are few and large: their headers are read through a small buffer and their
 * payload goes straight from the socket into the place where a client would keep it (landing.c).
 * Row replies are many and small: hiredis takes them apart, as it does for most clients in C
 * (rows.c). Both count what they see, so that a reply of the wrong size is noticed even while
 * the clock runs. */
#ifndef TQ_BENCHMARK_INLET_H
#define TQ_BENCHMARK_INLET_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "benchmark/batch.h"
#include "benchmark/memory.h"

struct inlet;

struct inlet_class {
    /* Read once from the socket and take apart what came. Nothing to read is no failure; an error
     * reply or a closed connection is. */
    int (*fill)(struct inlet *in, int fd, struct error *e);
    void (*free)(struct inlet *in);
};

struct inlet {
    const struct inlet_class *class;
    uint64_t replies; /* that are complete, so far */
    uint64_t values;  /* bulk strings in replies, nils not counted */
    uint64_t nils;
    uint64_t value_bytes;
    int64_t sum;  /* of integers in replies */
    int64_t last; /* the last of them */
};

static inline int inlet_fill(struct inlet *in, int fd, struct error *e) {
    return in->class->fill(in, fd, e);
}

/* NULL is no harm. */
static inline void inlet_free(struct inlet *in) {
    if (in) in->class->free(in);
}

/* For column replies: values land back to back in memory of `capacity` bytes, the next reply over
 * the last one; at most `values` of them a reply. NULL where there is no memory. */
struct inlet *landing_new(size_t capacity, size_t values, struct error *e);

/* Value `i` of the last complete reply; an empty one for a nil or where there are not so many. */
struct span landing_value(const struct inlet *in, size_t i);
size_t landing_values(const struct inlet *in);

/* For row replies; `reply_bytes` is how long one is about. */
struct inlet *rows_new(size_t reply_bytes);

/* From here on each value that arrives must be the next one of the batch, row by row (with each
 * row's key before it where `with_keys`), and after the last one the first again; what does not fit
 * is an error. NULL ends it. */
void rows_expect(struct inlet *in, const struct batch *b, bool with_keys);

#endif
