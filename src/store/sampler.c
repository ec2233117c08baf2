/* See sampler.h. */
#include "store/sampler.h"

#include "store/samplers.h"

const struct sampler *sampler_at(size_t i) {
    static const struct sampler *const table[] = {
        &sampler_sequential, &sampler_lifo,     &sampler_random, &sampler_max,
        &sampler_min,        &sampler_priority, &sampler_group,  &sampler_balanced,
    };
    return i < sizeof(table) / sizeof(table[0]) ? table[i] : NULL;
}

const struct sampler *sampler_find(struct span name) {
    const struct sampler *sampler;
    for (size_t i = 0; (sampler = sampler_at(i)); i++)
        if (span_is(name, sampler->name)) return sampler;
    return NULL;
}

uint64_t sampler_matches(const struct sampler *sampler, const struct sampler_args *args,
                         const struct ready *ready, const uint64_t *seqs, size_t n,
                         struct scratch *scratch) {
    if (sampler->matches) return sampler->matches(args, ready, seqs, n, scratch);
    uint64_t matches = 0;
    for (size_t i = 0; i < n; i++) matches += ready_has(ready, seqs[i]);
    return matches;
}
