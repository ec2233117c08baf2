/* Do the store and the model hold the same? */
#ifndef TQ_TESTS_KIT_MODEL_CHECK_H
#define TQ_TESTS_KIT_MODEL_CHECK_H

#include "model.h"

/* Everything that anyone can see: partitions, samples in order, values, types, tags, groups, consumption, leases,
 * rank batches, bounds, figures;
 * and what nobody sees: chunks and their cells. `orphans` chunks of `orphan_bytes` are pinned by the caller and belong to
 * no partition any more. Aborts at the first difference. */
void model_check(struct model *m, const struct store *s, size_t orphans, size_t orphan_bytes);

/* Which samples are ready, asked in every way there is. */
void model_check_ready(struct model *m, const struct store *s, struct span partition,
                       struct span task, const struct span *fields, size_t n_fields,
                       const struct where *where, struct scratch *scratch);

/* A column of these samples, read out in the column form. Samples may repeat. */
void model_check_gather(struct model *m, const struct store *s, struct span partition,
                        struct span field, const uint64_t *seqs, size_t n, struct scratch *scratch);

/* ---- model_check_tasks.c, for model_check ---- */

void model_check_tasks(const struct partition *p, const struct model_partition *expected);
void model_check_leases(const struct model *m, const struct store *s);

void model_check_onces(const struct partition *p, const struct model_partition *expected);

#endif
