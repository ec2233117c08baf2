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

struct chunk;
struct load;

/* Into this store, which outlives the load. It may change meanwhile. `bytes`: how much will come, which says for how many samples room
 * is made when a partition begins, whatever it claims to hold; 0: none. */
struct load *load_new(const struct store *s, uint64_t bytes);

/* Memory in the store's arena for the payload of a section to come, pinned once for the caller, who knows that so many bytes are
 * there. ERROR_OOM. */
int load_room(const struct load *l, uint64_t payload_len, struct chunk **out, struct error *e);

/* A millisecond of what a large partition needs before its keys come; true if there may be more.
 * Between sections; what is left undone the next section of rows does at once. */
bool load_prepare(struct load *l);

/* A section comes, whole. Its payload is the beginning of `chunk`, which came from load_room and stays the caller's to unpin; NULL
 * where it has none. The head is not needed after. After an error the load can only be freed. */
int load_section(struct load *l, unsigned kind, struct span head, struct chunk *chunk,
                 uint64_t payload_len, struct error *e);

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
