/* TQ.SAMPLE: its clauses are in sample.c. */
#ifndef TQ_REQUEST_SAMPLE_H
#define TQ_REQUEST_SAMPLE_H

#include "request/args.h"
#include "request/form.h"
#include "store/sample.h"

struct sample {
    struct sample_call call;
    enum form form;
    struct args_block block;
};

extern const struct args_syntax request_sample_syntax;

/* Sampler and WHERE as bytes: calls with the same bytes choose alike. In `scratch`. */
struct span request_sample_selection(const struct sample_call *call, struct scratch *scratch);

#endif
