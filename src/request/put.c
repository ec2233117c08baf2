/* See put.h. */
#include "request/put.h"

static int put_head(struct args *a, void *request) {
    struct put *put = request;
    int failed = args_partition(a, &put->partition);
    return failed ? failed : args_bytes(a, "the key", &put->key);
}

static int put_group(struct args *a, void *request) {
    struct put *put = request;
    int failed = args_bytes(a, "GROUP's id", &put->group);
    if (failed) return failed;
    if (!put->group.ptr) put->group.ptr = "";
    return args_number(a, "GROUP's size", 1, GROUP_SIZE_MAX, &put->group_size);
}

static int put_if(struct args *a, void *request) {
    struct put *put = request;
    int failed = args_bytes(a, "IF's tag", &put->if_tag);
    if (!failed) failed = args_bytes(a, "IF's value", &put->if_value);
    if (!put->if_tag.ptr) put->if_tag.ptr = "";
    return failed;
}

static int put_tags(struct args *a, void *request) {
    struct put *put = request;
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

/* FIELDS and TEXT make one list, FIELDS first. */
static int put_values(struct args *a, struct put *put, const char *what, bool text) {
    size_t n, before = put->n_values;
    int failed = args_count(a, what, 2, &n);
    if (failed) return failed;
    struct put_value *all = scratch_zalloc(a->scratch, before + n, sizeof(*all));
    struct put_value *values = all + (text ? before : 0);
    for (size_t i = 0; i < n; i++) {
        failed = put_name(a, a->argv[a->at++].bytes, &values[i]);
        if (failed) return failed;
        const struct resp_arg *value = &a->argv[a->at++];
        values[i].text = text;
        values[i].bytes = value->bytes;
        values[i].chunk = value->direct;
    }
    if (before) memcpy(all + (text ? 0 : n), put->values, before * sizeof(*all));
    put->values = all;
    put->n_values += n;
    return 0;
}

static int put_fields(struct args *a, void *request) {
    return put_values(a, request, "FIELDS", false);
}

static int put_texts(struct args *a, void *request) {
    return put_values(a, request, "TEXT", true);
}

static int put_finish(struct args *a, void *request) {
    const struct put *put = request;
    if (put->n_values || put->n_tags || put->group.ptr) return 0;
    return error_set(a->error, ERROR_ERR,
                     "sample %s: expected at least one of TAGS, FIELDS, TEXT, GROUP",
                     QUOTE(put->key));
}

#define PUT_VALUES "(n=integer field(name[:type] value)...)"

static const struct args_clause put_clauses[] = {
    ARGS_CLAUSE("GROUP", "(id size=integer)", put_group),
    ARGS_ENUM("NX", struct put, only, PUT_NX, .choice = "only"),
    ARGS_ENUM("XX", struct put, only, PUT_XX, .choice = "only"),
    ARGS_CLAUSE("IF", "(tag value)", put_if),
    ARGS_CLAUSE("TAGS", "(n=integer tag(name value)...)", put_tags),
    ARGS_CLAUSE("FIELDS", PUT_VALUES, put_fields),
    ARGS_CLAUSE("TEXT", PUT_VALUES, put_texts),
    ARGS_MEMBER("BLOCK", ARGS_BLOCK, args_block, struct put_request, block),
    {0}};

const struct args_syntax request_put_syntax = {sizeof(struct put_request), "partition=key key",
                                               put_head, put_clauses, put_finish};
