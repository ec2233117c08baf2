/* LIFO: newest first. */
#include "store/samplers.h"

static void lifo_pick(const struct sampler_args *args, struct ready *ready, struct picks *picks) {
    (void)args;
    while (picks->n < picks->room) {
        uint64_t seq = ready_previous(ready);
        if (seq == SEQ_NONE) return;
        picks->seqs[picks->n++] = seq;
    }
}

const struct sampler sampler_lifo = {.name = "LIFO", .pick = lifo_pick};
