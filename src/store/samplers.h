/* The samplers there are, for the table in sampler.c, and what they share. */
#ifndef TQ_STORE_SAMPLERS_H
#define TQ_STORE_SAMPLERS_H

#include "base/number.h"
#include "store/sampler.h"

extern const struct sampler sampler_sequential; /* sampler_sequential.c */
extern const struct sampler sampler_lifo;       /* sampler_lifo.c */
extern const struct sampler sampler_random;     /* sampler_random.c */
extern const struct sampler sampler_max;        /* sampler_max.c */
extern const struct sampler sampler_min;
extern const struct sampler sampler_priority; /* sampler_priority.c */
extern const struct sampler sampler_group;    /* sampler_group.c */
extern const struct sampler sampler_balanced; /* sampler_balanced.c */

/* The number in a sample's tag (NULL: no sample has this tag); false where there is none. */
static inline bool sampler_number(const struct column *tag, uint64_t seq, struct number *out) {
    struct span value;
    return tag && column_get(tag, seq, &value) && number_parse(value, out);
}

#endif
