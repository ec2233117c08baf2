/* The commit: how data changes while the server runs.
 *
 * An op that was planned is admitted (the disk has room for it), applied, passed to the listeners
 * (changes.h), and the samples that are due to retire because of it are cleared by an op of their
 * own. Nothing else in the server applies an op or asks for room in the log; only a start replays
 * ops that were committed before. */
#ifndef TQ_SERVER_COMMIT_H
#define TQ_SERVER_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

struct op;
struct server;

/* Samples that may be due to retire (RETIRE of TQ.CREATE) once the op is applied. */
struct commit_due {
    bool all; /* every sample of the partition: `seqs` is not read */
    size_t n;
    const uint64_t *seqs;
};

/* Commit the op. `due`, NULL for none, names samples that it may make due to retire. *changed, if
 * not NULL, is what store_apply returns for the op. ERROR_MISCONF where the disk does not allow it;
 * then nothing has changed. */
int commit_op(struct server *s, const struct op *op, const struct commit_due *due, size_t *changed,
              struct error *e);

/* Drop partitions, all of them or none: there is room for `most` before the first goes. `next`
 * names the next one, in memory of its own that lives until it is called again; false after the
 * last. Names that are unknown are passed over. *dropped is how many there were. Fails as
 * commit_op does. */
int commit_drops(struct server *s, uint64_t most, bool (*next)(void *context, struct span *name),
                 void *context, size_t *dropped, struct error *e);

#endif
