/* What an item is made of: a base type and a shape.
 *
 * `f32[3,224,224]` is dense: every item has that shape. A `*` in the shape is a ragged dimension,
 * its size differs from sample to sample. `str` and `bytes` vary in length and have no shape. Values
 * are packed, little-endian, in C order. */
#ifndef TQ_STORE_DTYPE_H
#define TQ_STORE_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pack.h"

/* The numbers are stored: new ones go to the end. */
enum dtype_base {
    DTYPE_BOOL,
    DTYPE_U8,
    DTYPE_I8,
    DTYPE_U16,
    DTYPE_I16,
    DTYPE_U32,
    DTYPE_I32,
    DTYPE_U64,
    DTYPE_I64,
    DTYPE_F8E4M3,
    DTYPE_F8E5M2,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_F32,
    DTYPE_F64,
    DTYPE_STR,
    DTYPE_BYTES,
    DTYPE_BASES
};

enum { DTYPE_MAX_DIMS = 8, DTYPE_TEXT_MAX = 112 };

#define DTYPE_STAR UINT32_MAX      /* a dimension that differs from sample to sample */
#define DTYPE_MAX_BYTES UINT32_MAX /* an item is below 4 GiB */

struct dtype {
    uint8_t base;
    uint8_t dimensions;
    uint32_t shape[DTYPE_MAX_DIMS];
};

/* From text such as "i64[*]". Fails with ERROR_ERR, naming what is wrong. The fixed part of an item
 * is checked to stay below 4 GiB, so later products of dimensions do not overflow. */
int dtype_parse(struct span text, struct dtype *out, struct error *e);

/* Is it one that dtype_parse could have made? It may hold anything. */
bool dtype_is_valid(const struct dtype *t);

/* As bytes, and back: 0, or ERROR_ERR where they are no type. */
void dtype_pack(struct pack *p, const struct dtype *t);
int dtype_unpack(struct unpack *u, struct dtype *out, struct error *e);

/* Into text that ends with NUL; returns `out`. */
const char *dtype_format(const struct dtype *t, char out[static DTYPE_TEXT_MAX]);

/* The same inside one expression: dtype_text(&(struct dtype_text){{0}}, &type). */
struct dtype_text {
    char text[DTYPE_TEXT_MAX];
};
#define DTYPE_NAME(type) dtype_format((type), (&(struct dtype_text){{0}})->text)

/* Bytes of one element; 1 for str and bytes. */
size_t dtype_element_size(enum dtype_base base);

static inline bool dtype_is_variable(const struct dtype *t) {
    return t->base >= DTYPE_STR;
}

unsigned dtype_stars(const struct dtype *t);

/* Bytes of an item when every `*` is 1: the whole item of a dense type. */
uint64_t dtype_fixed_bytes(const struct dtype *t);

/* Does an item's length alone imply its shape? Not with several `*`, nor with one beside a
 * dimension of 0; then shapes are kept next to the cells. */
bool dtype_shape_implied(const struct dtype *t);

bool dtype_equal(const struct dtype *a, const struct dtype *b);

/* The concrete type of an item of type `t` with `len` bytes: a single `*` gets its size from the
 * length. False when the length does not fit or does not imply it. */
bool dtype_of_length(const struct dtype *t, uint64_t len, struct dtype *item);

/* The concrete type from explicit sizes of the ragged dimensions, in order. False when the item would
 * reach 4 GiB. */
bool dtype_of_sizes(const struct dtype *t, const uint32_t *sizes, struct dtype *item);

/* The type a field has after it met a concrete item: `field` itself where the item fits, one with
 * more `*` where sizes differ. False when base or number of dimensions do not match. */
bool dtype_widen(const struct dtype *field, const struct dtype *item, struct dtype *out);

/* Are these bytes values of this base: bool 0 or 1, str UTF-8? True for all others. */
bool dtype_bytes_valid(enum dtype_base base, struct span bytes);

#endif
