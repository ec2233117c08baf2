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

static int checkpoint_meta(struct args *a, void *request) {
    return args_bytes(a, "the text of META", &((struct checkpoint_request *)request)->text);
}

static int checkpoint_replace(struct args *a, void *request) {
    (void)a;
    ((struct checkpoint_request *)request)->replace = true;
    return 0;
}

static int checkpoint_parse(struct args *a, const struct args_clause *table, size_t n,
                            struct checkpoint_request *out) {
    *out = (struct checkpoint_request){0};
    int failed = args_bytes(a, "the checkpoint's name", &out->name);
    return failed ? failed : args_clauses(a, table, n, out);
}

int request_checkpoint_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                             struct checkpoint_request *out, struct error *e) {
    static const struct args_clause table[] = {{"PARTITIONS", checkpoint_partitions, false},
                                               {"META", checkpoint_meta, false}};
    struct args a = args_open(argv, argc, scratch, e);
    return checkpoint_parse(&a, table, sizeof(table) / sizeof(table[0]), out);
}

int request_restore_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                          struct checkpoint_request *out, struct error *e) {
    static const struct args_clause table[] = {{"PARTITIONS", checkpoint_partitions, false},
                                               {"REPLACE", checkpoint_replace, false}};
    struct args a = args_open(argv, argc, scratch, e);
    return checkpoint_parse(&a, table, sizeof(table) / sizeof(table[0]), out);
}
