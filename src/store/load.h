/* Putting a store together from the sections (section.h) that dump.h wrote.
 *
 * Sections may be hostile: each is checked against the store's own rules and against the sections before it, and an error names the
 * culprit. What is loaded is in no store at first: partitions are made on the side, their payload in the store's arena, and come in
 * all at once by one OP_ADOPT, each in place of the one of its name. Until then nobody sees them, and freeing the load takes them
 * away without a trace.
 *
 * Leases come back under the ids they had, and begin to run when they are adopted. In an empty store these ids are free. In one that went
 * on since, another lease may have such an id, in another partition or task: ids are looked up within a task, whose former
 * leases have gone with the former partition, so the two never meet. What is given after has higher ids than both. */
#ifndef TQ_STORE_LOAD_H
#define TQ_STORE_LOAD_H

#include "base/error.h"
#include "base/span.h"
#include "store/section.h"
#include "store/store.h"

struct load;

/* Into this store, which outlives the load. It may change meanwhile. */
struct load *load_new(const struct store *s);

/* A section comes: its head is checked (and not needed any more after), *into is where its payload is to be read to, NULL where it has
 * none. The caller knows that so many bytes are there. ERROR_OOM where there is no memory for them. */
int load_begin(struct load *l, unsigned kind, struct span head, uint64_t payload_len, char **into,
               struct error *e);

/* Its payload is there. After an error of either the load can only be freed. */
int load_end(struct load *l, struct error *e);

/* All sections have come: an OP_ADOPT of what they make, to be applied to the store before the load is freed. It owns the
 * partitions. */
int load_finish(struct load *l, struct op *op, struct error *e);

/* It is not applied after all: what it owns is freed with the load. */
void load_take_back(struct load *l, const struct op *op);

/* Leases of an OP_ADOPT that is not applied yet end so much later; nothing where ms is not positive. */
void load_extend_leases(const struct op *op, int64_t ms);

/* The clock when it was dumped, once the STORE section is there. */
int64_t load_clock(const struct load *l);

void load_free(struct load *l);

#endif
