/* See workload.h. */
#include "benchmark/workload.h"

#include <stdio.h>

#include "base/mem.h"
#include "benchmark/commands.h"

bool workload_has_slots(enum scenario scenario) {
    return scenario == SCENARIO_MPUT || scenario == SCENARIO_SAMPLE ||
           scenario == SCENARIO_SAMPLE_ROWS;
}

const char *workload_partition(size_t slot, char *out) {
    snprintf(out, WORKLOAD_PARTITION_MAX, "benchmark:%zu", slot);
    return out;
}

static void write_request(struct request_writer *out, const struct workload *w, bool to_redis,
                          const char *partition) {
    const struct batch *b = w->batch;
    enum commands_form form = w->columns ? COMMANDS_COLUMNS : COMMANDS_ROWS;
    if (to_redis && w->is_get)
        commands_hmget_rows(out, b);
    else if (to_redis)
        commands_hset_rows(out, b);
    else if (w->scenario == SCENARIO_MPUT)
        commands_mput(out, partition, b);
    else if (w->scenario == SCENARIO_PUT)
        commands_put_rows(out, partition, b);
    else if (w->scenario == SCENARIO_MGET || w->scenario == SCENARIO_GET)
        commands_mget(out, partition, b, form);
    else
        commands_sample(out, partition, b->samples, b, form);
}

static void make_request(struct workload_request *request, const struct workload *w, bool to_redis,
                         size_t slot) {
    char partition[WORKLOAD_PARTITION_MAX];
    write_request(&request->writer, w, to_redis, workload_partition(slot, partition));
    request->iov = request_writer_iov(&request->writer, &request->n_iov);
}

static void make_reply(struct workload *w) {
    const struct batch *b = w->batch;
    w->pool = reply_pool_new();
    reply_init(&w->reply, w->pool);
    if (w->is_get && w->columns)
        commands_reply_columns(&w->reply, b);
    else if (w->is_get)
        commands_reply_rows(&w->reply, b, w->with_keys);
    else if (w->scenario == SCENARIO_MPUT)
        reply_integer(&w->reply, (int64_t)b->samples);
    else
        for (size_t i = 0; i < b->samples; i++) reply_integer(&w->reply, 1);
}

void workload_make(struct workload *w, enum scenario scenario, bool to_redis, const struct batch *b,
                   size_t slots) {
    *w = (struct workload){.scenario = scenario, .batch = b};
    w->is_get = scenario != SCENARIO_MPUT && scenario != SCENARIO_PUT;
    w->columns = !to_redis && (scenario == SCENARIO_MPUT || scenario == SCENARIO_MGET ||
                               scenario == SCENARIO_SAMPLE);
    w->with_keys = scenario == SCENARIO_SAMPLE_ROWS;
    bool by_row = to_redis || scenario == SCENARIO_PUT;
    w->replies = by_row ? b->samples : 1;
    if (w->is_get && w->columns)
        w->values = 4 * (1 + b->n_fields);
    else if (w->is_get)
        w->values = b->samples * (b->n_fields + w->with_keys);
    w->n_requests = !to_redis && workload_has_slots(scenario) ? slots : 1;
    w->requests = mem_calloc(w->n_requests, sizeof(*w->requests));
    for (size_t i = 0; i < w->n_requests; i++) make_request(&w->requests[i], w, to_redis, i);
    make_reply(w);
}

void workload_free(struct workload *w) {
    for (size_t i = 0; i < w->n_requests; i++) request_writer_free(&w->requests[i].writer);
    mem_free(w->requests);
    reply_drop(&w->reply);
    reply_pool_free(w->pool);
    *w = (struct workload){0};
}

struct replies *workload_replies(const struct workload *w, struct error *e) {
    size_t bytes = w->is_get ? w->reply.pending : 0;
    if (w->columns) return replies_new_columns(bytes, w->values, e);
    return replies_new_rows(bytes / w->replies, w->batch->value_bytes, e);
}

/* Four values of a reply, from `first`, are this column. */
static int check_column(const struct replies *r, size_t first, const char *name, const char *type,
                        struct span shape, struct span payload, struct error *e) {
    const struct span wanted[4] = {span_of_string(name), span_of_string(type), shape, payload};
    static const char *const parts[4] = {"name", "type", "shape", "payload"};
    for (size_t i = 0; i < 4; i++) {
        struct span got = replies_value(r, first + i);
        if (span_equal(got, wanted[i])) continue;
        return error_set(e, ERROR_ERR, "column %s came back with a wrong %s: %s, %s expected", name,
                         parts[i], QUOTE(got), QUOTE(wanted[i]));
    }
    return 0;
}

int workload_check_columns(const struct workload *w, const struct replies *r, struct error *e) {
    const struct batch *b = w->batch;
    size_t shape_bytes = b->samples * sizeof(uint32_t);
    if (replies_values(r) != w->values)
        return error_set(e, ERROR_ERR, "a batch came back as %zu values, %llu expected",
                         replies_values(r), (unsigned long long)w->values);
    int failed = check_column(r, 0, "@key", "bytes", span_of(b->key_sizes, shape_bytes),
                              span_of(b->keys, b->samples * BATCH_KEY_LEN), e);
    for (size_t i = 0; i < b->n_fields && !failed; i++) {
        const struct batch_field *f = &b->fields[i];
        failed = check_column(r, 4 * (i + 1), f->name, f->read_type, batch_read_shape(b, i),
                              span_of(f->payload, batch_column_bytes(b, i)), e);
    }
    return failed;
}
