/* TQ.SAMPLE: its clauses are in sample.c. */
#ifndef TQ_REQUEST_SAMPLE_H
#define TQ_REQUEST_SAMPLE_H

#include "request/args.h"
#include "request/form.h"
#include "store/take.h"

struct sample {
    struct take take;
    enum form form;
    struct args_block block;
};

extern const struct args_syntax request_sample_syntax;

/* Sampler and WHERE as bytes: calls with the same bytes choose alike. In `scratch`. */
struct span request_sample_selection(const struct take *take, struct scratch *scratch);

#endif
