/* Splitting weighted units over ranks: equally many for each, and sums that are near equal. */
#ifndef TQ_STORE_BALANCE_H
#define TQ_STORE_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/scratch.h"

/* rank_of[i], below `ranks` (at least 1), is where unit i goes. Each rank gets n / ranks units, and n % ranks of them one
 * more. With a multiple of ranks, no two sums differ by more than the largest and the smallest weight do; as a rule by far
 * less, and never by more than if each unit, heaviest first, went to the lightest rank with room. The same weights give the
 * same split. O(n log n), and as much scratch as n and ranks need.
 *
 * Weights may be any numbers; beyond ±1e290 they count as that, NaN as 0. */
void balance_split(const double *weights, size_t n, size_t ranks, uint32_t *rank_of,
                   struct scratch *scratch);

#endif
