/* The samplers there are, for the table in sampler.c. */
#ifndef TQ_STORE_SAMPLERS_H
#define TQ_STORE_SAMPLERS_H

#include "store/sampler.h"

extern const struct sampler sampler_sequential; /* sampler_sequential.c */
extern const struct sampler sampler_group;      /* sampler_group.c */

#endif
