/* See checkpoint.h. */
#include "request/checkpoint.h"

#include "store/names.h"

static int checkpoint_partitions(struct args *a, void *request) {
    struct checkpoint_request *out = request;
    int failed = args_list(a, "PARTITIONS", &out->n_partitions, &out->partitions);
    for (size_t i = 0; !failed && i < out->n_partitions; i++)
        failed = names_check_partition(out->partitions[i], a->error);
    return failed ? failed
                  : names_check_distinct("", "partition", out->partitions, out->n_partitions,
                                         a->scratch, a->error);
}

static int checkpoint_head(struct args *a, void *request) {
    return args_bytes(a, "the checkpoint's name", &((struct checkpoint_request *)request)->name);
}

#define CHECKPOINT_PARTITIONS                                                                      \
    ARGS_CLAUSE("PARTITIONS", "(n=integer partition...)", checkpoint_partitions)

static const struct args_clause checkpoint_clauses[] = {
    CHECKPOINT_PARTITIONS,
    ARGS_MEMBER("META", "text", args_value, struct checkpoint_request, text),
    {0}};
static const struct args_clause restore_clauses[] = {
    CHECKPOINT_PARTITIONS,
    ARGS_MEMBER("REPLACE", "", args_flag, struct checkpoint_request, replace),
    {0}};

const struct args_syntax request_checkpoint_syntax = {sizeof(struct checkpoint_request), "name",
                                                      checkpoint_head, checkpoint_clauses, NULL};
const struct args_syntax request_restore_syntax = {sizeof(struct checkpoint_request), "name",
                                                   checkpoint_head, restore_clauses, NULL};
