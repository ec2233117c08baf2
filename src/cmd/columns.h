/* Samples in replies, in the column form: F + 1 columns whatever the batch. */
#ifndef TQ_CMD_COLUMNS_H
#define TQ_CMD_COLUMNS_H

#include "store/gather.h"
#include "store/store.h"

struct client;

/* A selection that is about to be written: the keys first, then the fields. */
struct columns {
    size_t n;               /* columns */
    struct gather *columns; /* in the client's scratch */
};

/* Look at all cells before a byte is written. ERROR_NOTREADY names the first sample without one of
 * the fields, and that field. `fields` NULL entries are fields that the partition does not have;
 * `names` are what was asked for. */
int columns_open(struct client *c, const struct partition *p, const uint64_t *seqs, size_t n,
                 const struct column *const *fields, const struct span *names, size_t n_fields,
                 struct columns *out, struct error *e);

/* Write them: large runs go out by reference to their chunks, small ones are copied. */
void columns_write(struct client *c, struct columns *columns);

#endif
