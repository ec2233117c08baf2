/* The size sweep: mput and mget from a few KiB to as much as the machine holds. See scenario.h. */
#include "benchmark/memory.h"
#include "benchmark/scenario.h"

/* Samples × fields × float32 items: TransferQueue's own range, and two sizes beyond it. */
static const struct options_size usual_sizes[] = {
    {32, 4, 128 * 4},    {64, 5, 256 * 4},    {128, 6, 512 * 4},
    {256, 6, 1024 * 4},  {512, 8, 2048 * 4},  {768, 8, 4096 * 4},
    {1024, 9, 8192 * 4}, {2048, 9, 8192 * 4}, {2048, 12, 16384 * 4},
};

enum { USUAL_SIZES = 7, BEYOND = 2, ROOM_FACTOR = 12 };

static bool there_is_room(const struct options_size *s) {
    return batch_bytes(s->samples, s->fields, s->value_bytes) < memory_available() / ROOM_FACTOR;
}

int scenario_sweep(struct bench *b, enum batch_mix mix, enum link_transport transport,
                   struct error *e) {
    static const enum scenario both[] = {SCENARIO_MPUT, SCENARIO_MGET};
    const struct options *o = b->options;
    const struct options_size *sizes = o->n_sizes ? o->sizes : usual_sizes;
    size_t n = o->n_sizes ? o->n_sizes : USUAL_SIZES;
    for (size_t i = 0; !o->n_sizes && i < BEYOND && there_is_room(&usual_sizes[n]); i++) n++;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < 2; k++) {
            struct batch_case c = {both[k], sizes[i], mix, transport, false};
            int failed = scenario_batch(b, &c, e);
            if (failed) return failed;
        }
    }
    return 0;
}
