/* See put.h. */
#include "request/put.h"

/* FIELDS and TEXT make one list of values in the end. */
struct put_clauses {
    struct put *put;
    struct args_block *block;
    struct put_value *fields, *texts;
    size_t n_fields, n_texts;
};

static int put_group(struct args *a, void *request) {
    struct put *put = ((struct put_clauses *)request)->put;
    int failed = args_bytes(a, "GROUP's id", &put->group);
    if (failed) return failed;
    if (!put->group.ptr) put->group.ptr = "";
    return args_number(a, "GROUP's size", 1, GROUP_SIZE_MAX, &put->group_size);
}

static int put_only(struct args *a, struct put *put, enum put_only only) {
    if (put->only != PUT_ALWAYS)
        return error_set(a->error, ERROR_ERR, "syntax error: NX and XX exclude each other");
    put->only = only;
    return 0;
}

static int put_nx(struct args *a, void *request) {
    return put_only(a, ((struct put_clauses *)request)->put, PUT_NX);
}

static int put_xx(struct args *a, void *request) {
    return put_only(a, ((struct put_clauses *)request)->put, PUT_XX);
}

static int put_if(struct args *a, void *request) {
    struct put *put = ((struct put_clauses *)request)->put;
    int failed = args_bytes(a, "IF's tag", &put->if_tag);
    if (!failed) failed = args_bytes(a, "IF's value", &put->if_value);
    if (!put->if_tag.ptr) put->if_tag.ptr = "";
    return failed;
}

static int put_tags(struct args *a, void *request) {
    struct put *put = ((struct put_clauses *)request)->put;
    int failed = args_count(a, "TAGS", 2, &put->n_tags);
    if (failed) return failed;
    struct put_tag *tags = scratch_alloc(a->scratch, put->n_tags, sizeof(*tags));
    for (size_t i = 0; i < put->n_tags; i++) {
        tags[i].name = a->argv[a->at++].bytes;
        tags[i].value = a->argv[a->at++].bytes;
    }
    put->tags = tags;
    return 0;
}

/* `name` or `name:type`. */
static int put_name(struct args *a, struct span text, struct put_value *value) {
    const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    value->name = text;
    if (!colon) return 0;
    value->name = span_of(text.ptr, (size_t)(colon - text.ptr));
    value->typed = true;
    int failed =
        dtype_parse(span_of(colon + 1, text.len - value->name.len - 1), &value->type, a->error);
    if (!failed && dtype_stars(&value->type) > 1)
        failed =
            error_set(a->error, ERROR_ERR, "field %s: the type of one value may hold one *, got %s",
                      QUOTE(value->name), DTYPE_NAME(&value->type));
    return failed;
}

static int put_values(struct args *a, const char *what, bool text, struct put_value **out,
                      size_t *n) {
    int failed = args_count(a, what, 2, n);
    if (failed) return failed;
    struct put_value *values = scratch_zalloc(a->scratch, *n, sizeof(*values));
    for (size_t i = 0; i < *n; i++) {
        failed = put_name(a, a->argv[a->at++].bytes, &values[i]);
        if (failed) return failed;
        const struct resp_arg *value = &a->argv[a->at++];
        values[i].text = text;
        values[i].bytes = value->bytes;
        values[i].landed = value->landing;
    }
    *out = values;
    return 0;
}

static int put_fields(struct args *a, void *request) {
    struct put_clauses *clauses = request;
    return put_values(a, "FIELDS", false, &clauses->fields, &clauses->n_fields);
}

static int put_texts(struct args *a, void *request) {
    struct put_clauses *clauses = request;
    return put_values(a, "TEXT", true, &clauses->texts, &clauses->n_texts);
}

static int put_block(struct args *a, void *request) {
    return args_block(a, ((struct put_clauses *)request)->block);
}

static void put_gather_values(struct put_clauses *clauses, struct scratch *scratch) {
    struct put *put = clauses->put;
    put->n_values = clauses->n_fields + clauses->n_texts;
    put->values = clauses->n_fields ? clauses->fields : clauses->texts;
    if (!clauses->n_fields || !clauses->n_texts) return;
    struct put_value *all = scratch_alloc(scratch, put->n_values, sizeof(*all));
    memcpy(all, clauses->fields, clauses->n_fields * sizeof(*all));
    memcpy(all + clauses->n_fields, clauses->texts, clauses->n_texts * sizeof(*all));
    put->values = all;
}

int request_put_parse(const struct resp_arg *argv, size_t argc, struct scratch *scratch,
                      struct put *out, struct args_block *block, struct error *e) {
    static const struct args_clause table[] = {
        {"FIELDS", put_fields, false}, {"TAGS", put_tags, false},   {"TEXT", put_texts, false},
        {"GROUP", put_group, false},   {"NX", put_nx, false},       {"XX", put_xx, false},
        {"IF", put_if, false},         {"BLOCK", put_block, false},
    };
    *out = (struct put){0};
    *block = (struct args_block){0};
    struct put_clauses clauses = {.put = out, .block = block};
    struct args a = args_open(argv, argc, scratch, e);
    int failed = args_partition(&a, &out->partition);
    if (!failed) failed = args_bytes(&a, "the key", &out->key);
    if (!failed) failed = args_clauses(&a, table, sizeof(table) / sizeof(table[0]), &clauses);
    if (failed) return failed;
    put_gather_values(&clauses, scratch);
    if (out->n_values || out->n_tags || out->group.ptr) return 0;
    return error_set(e, ERROR_ERR, "sample %s: expected at least one of TAGS, FIELDS, TEXT, GROUP",
                     QUOTE(out->key));
}
