/* The store under whatever requests bytes can spell.
 *
 * Bytes are read as decisions: which request, on which samples, with which types and values, as a random walk of the
 * unit tests takes them from a seed. After each step the store has to agree with the model, its chunks have to have just
 * the cells that point into them, and in the end all payload has to be back. The first byte says how wide the walk
 * is. The stores stay from one input to the next: to map their memory takes longer than to walk. */
#include <stdint.h>

#include "../unit/kit/trial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct trial_shape shapes[] = {
        {.partitions = 1, .keys = 4, .batch = 4, .large = 40000, .check_every = 1},
        {.partitions = 2, .keys = 20, .batch = 40, .large = 4000, .check_every = 1},
        {.partitions = 1, .keys = 300, .batch = 600, .large = 100, .check_every = 8},
        {.partitions = 2, .keys = 8, .batch = 8, .large = 1000, .check_every = 4, .replica = true},
    };
    static struct trial trials[4]; /* a replica's store has had all that its original has had */
    if (size == 0) return 0;
    struct trial *t = &trials[data[0] % 4];
    trial_open(t, source_of_bytes(data + 1, size - 1), &shapes[data[0] % 4]);
    while (!source_is_done(&t->source) && t->steps < STEPS_MAX) trial_step(t);
    trial_end(t);
    return 0;
}
