/* Samples in replies: what MGET and SAMPLE share. */
#ifndef TQ_CMD_RENDER_H
#define TQ_CMD_RENDER_H

#include "request/form.h"
#include "store/store.h"

struct client;

/* From here on bytes go out by reference: below it a memcpy is cheaper than a pin, a piece and an
 * iovec. */
enum { RENDER_REF_FROM = 8 * 1024 };

/* Lend bytes of a chunk to an announced bulk of the client's reply (reply_bulk_begin): pinned until they are sent. */
void render_ref(struct client *c, struct span bytes, struct chunk *chunk);

/* One value: raw bytes (FORM_ROWS; large ones by reference to their chunk, not copied) or text for
 * people (FORM_TEXT); null where the sample or the column is missing. */
void render_value(struct client *c, const struct column *column, uint64_t seq, enum form form);

/* The columns of these fields; NULL for one that the partition does not have. In the client's scratch. */
const struct column **render_columns(struct client *c, const struct partition *p, size_t n,
                                     const struct span *fields);

/* About how many bytes these samples, of which some may be named repeatedly, have in a reply; keys
 * and what stands around values included. Where they are sure to fit it is not counted, and 0. */
uint64_t render_estimate(const struct client *c, const struct partition *p, const uint64_t *seqs,
                         size_t n, const struct column *const *columns, size_t n_columns);

/* A map of all fields that the sample has. */
void render_map(struct client *c, const struct partition *p, uint64_t seq, enum form form);

#endif
