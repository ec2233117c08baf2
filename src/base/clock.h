/* What time it is. Layers 1 and 2 never ask: callers pass the time, so that tests decide. */
#ifndef TQ_BASE_CLOCK_H
#define TQ_BASE_CLOCK_H

#include <stdint.h>

/* Microseconds since some point in the past; never goes back. */
int64_t clock_monotonic_us(void);

/* Microseconds since 1970 as the machine believes it; may jump. */
int64_t clock_wall_us(void);

#endif
