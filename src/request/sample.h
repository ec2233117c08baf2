/* TQ.SAMPLE partition task COUNT n FIELDS m field … [BY sampler] [WHERE …] [RANK r BATCH b [DONE
 * d]] [ATLEAST k] [KEEP] [LEASE ms] [ONCE holder n] [BLOCK ms] [AS ROWS|TEXT|COLUMNS|KEYS] */
#ifndef TQ_REQUEST_SAMPLE_H
#define TQ_REQUEST_SAMPLE_H

#include "request/form.h"
#include "store/take.h"

struct sample {
    struct take take;
    enum form form;
    struct args_block block;
    bool has_rank, has_batch, has_done;
};

int request_sample_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                         struct sample *out, struct error *e);

/* Sampler and WHERE as bytes: calls with the same bytes choose alike. In `scratch`. */
struct span request_sample_selection(const struct take *take, struct scratch *scratch);

#endif
