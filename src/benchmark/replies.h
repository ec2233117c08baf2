/* Where replies arrive: reads them from a socket, counts what they bring, and keeps or compares it.
 *
 * Column replies are few and large: their values are kept back to back in one memory, where a
 * client would keep them, large ones without passing through a buffer. Row replies are many and
 * small: their values are counted, and compared with the batch when that is asked for. Both count,
 * so that a reply of the wrong size is noticed also while the clock runs. */
#ifndef TQ_BENCHMARK_REPLIES_H
#define TQ_BENCHMARK_REPLIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "benchmark/batch.h"

struct replies_counts {
    uint64_t replies; /* complete ones */
    uint64_t values;  /* bulk strings in replies, nils not counted */
    uint64_t nils;
    int64_t sum; /* of integers in replies */
};

struct replies;

/* For column replies: values of a reply are kept in `capacity` bytes, those of the next one over
 * them; at most `values` of them. NULL and an error where there is no memory. */
struct replies *replies_new_columns(size_t capacity, size_t values, struct error *e);

/* For row replies of about `reply_bytes`, with values of at most `longest` bytes. */
struct replies *replies_new_rows(size_t reply_bytes, size_t longest, struct error *e);
void replies_free(struct replies *r); /* NULL is allowed */

/* Read once from the socket, and all that came. Nothing to read is no failure; an error reply or a
 * closed connection is. */
int replies_fill(struct replies *r, int fd, struct error *e);

const struct replies_counts *replies_count(const struct replies *r);

/* Value `i` of the last complete column reply; empty for a nil or where there are not so many. */
struct span replies_value(const struct replies *r, size_t i);
size_t replies_values(const struct replies *r);

/* For row replies: from here on each value must be the next one of the batch, row by row (with each
 * row's key before it where `with_keys`), and after the last one the first again; anything else is
 * an error. NULL ends it. */
void replies_expect(struct replies *r, const struct batch *b, bool with_keys);

#endif
