/* See sampler.h. */
#include "store/sampler.h"

#include "store/samplers.h"

const struct sampler *sampler_find(struct span name) {
    static const struct sampler *const table[] = {
        &sampler_sequential, &sampler_lifo,     &sampler_random, &sampler_max,
        &sampler_min,        &sampler_priority, &sampler_group,  &sampler_balanced,
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (span_is(name, table[i]->name)) return table[i];
    return NULL;
}
