/* Floating point in fewer bits: IEEE half (f16), bfloat16 (bf16), and the 8-bit formats E4M3 and E5M2 of the OCP 8-bit
 * Floating Point Specification (E4M3 has no infinity and one NaN; PyTorch's float8_e4m3fn). */
#ifndef TQ_STORE_SMALLFLOAT_H
#define TQ_STORE_SMALLFLOAT_H

#include <stdbool.h>
#include <stdint.h>

struct smallfloat {
    unsigned exponent_bits, mantissa_bits;
    bool infinity; /* the top exponent is kept for infinity and NaN */
};

extern const struct smallfloat SMALLFLOAT_F16, SMALLFLOAT_BF16, SMALLFLOAT_E4M3, SMALLFLOAT_E5M2;

/* Rounds to nearest, ties to even. False when a finite value (or an infinity, where there is none) is too large. */
bool smallfloat_encode(const struct smallfloat *format, double value, uint16_t *code);

double smallfloat_decode(const struct smallfloat *format, uint16_t code);

#endif
