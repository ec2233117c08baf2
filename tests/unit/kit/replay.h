/* A second store, fed with nothing but the bytes of the first one's ops.
 *
 * Every op that the first has applied is encoded, decoded, checked and applied to the second, as a log would have it;
 * on the way it is held against its bound, and the second store has to encode what it applied to the same bytes. */
#ifndef TQ_TESTS_KIT_REPLAY_H
#define TQ_TESTS_KIT_REPLAY_H

#include "persist/opcodec.h"

struct replay {
    struct store *to;
    struct opcodec_out out;
    struct pack bytes, again; /* of the last op: from the first store, from the second */
    struct scratch scratch;
};

/* A zeroed struct replay with `to` set is ready. The op was just applied to `from`. Aborts where anything goes wrong. */
void replay_op(struct replay *r, const struct store *from, const struct op *op);

/* All but the store. */
void replay_free(struct replay *r);

/* What is in `out`, holes filled, behind what is in `bytes`. */
void replay_flatten(const struct opcodec_out *out, struct pack *bytes);

#endif
