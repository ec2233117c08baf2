/* See speech.h. */
#include "benchmark/speech.h"

#include <stdio.h>

#include "base/mem.h"
#include "benchmark/commands.h"

bool speech_has_slots(enum scenario scenario) {
    return scenario == SCENARIO_MPUT || scenario == SCENARIO_SAMPLE ||
           scenario == SCENARIO_SAMPLE_ROWS;
}

const char *speech_partition(size_t slot, char *out) {
    snprintf(out, SPEECH_PARTITION_MAX, "benchmark:%zu", slot);
    return out;
}

static void make_request(struct message *m, const struct speech *s, bool to_redis, size_t slot) {
    char partition[SPEECH_PARTITION_MAX];
    const struct batch *b = s->batch;
    speech_partition(slot, partition);
    if (to_redis && s->is_get)
        commands_hmget_rows(m, b);
    else if (to_redis)
        commands_hset_rows(m, b);
    else if (s->scenario == SCENARIO_MPUT)
        commands_mput(m, partition, b);
    else if (s->scenario == SCENARIO_PUT)
        commands_put_rows(m, partition, b);
    else if (s->scenario == SCENARIO_MGET || s->scenario == SCENARIO_GET)
        commands_mget(m, partition, b, s->columns ? COMMANDS_COLUMNS : COMMANDS_ROWS);
    else
        commands_sample(m, partition, b->samples, b, s->columns ? COMMANDS_COLUMNS : COMMANDS_ROWS);
    message_seal(m);
}

static void make_reply(struct speech *s) {
    const struct batch *b = s->batch;
    if (s->is_get && s->columns)
        commands_reply_columns(&s->reply, b);
    else if (s->is_get)
        commands_reply_rows(&s->reply, b, s->with_keys);
    else if (s->scenario == SCENARIO_MPUT)
        message_integer(&s->reply, (int64_t)b->samples);
    else
        for (size_t i = 0; i < b->samples; i++) message_integer(&s->reply, 1);
    message_seal(&s->reply);
}

void speech_make(struct speech *s, enum scenario scenario, bool to_redis, const struct batch *b,
                 size_t slots) {
    *s = (struct speech){.scenario = scenario, .batch = b};
    s->is_get = scenario != SCENARIO_MPUT && scenario != SCENARIO_PUT;
    s->columns = !to_redis && (scenario == SCENARIO_MPUT || scenario == SCENARIO_MGET ||
                               scenario == SCENARIO_SAMPLE);
    s->with_keys = scenario == SCENARIO_SAMPLE_ROWS;
    bool by_row = to_redis || scenario == SCENARIO_PUT;
    s->replies = by_row ? b->samples : 1;
    if (s->is_get && s->columns)
        s->values = 4 * (1 + b->n_fields);
    else if (s->is_get)
        s->values = b->samples * (b->n_fields + s->with_keys);
    s->n_requests = !to_redis && speech_has_slots(scenario) ? slots : 1;
    s->requests = mem_calloc(s->n_requests, sizeof(*s->requests));
    for (size_t i = 0; i < s->n_requests; i++) make_request(&s->requests[i], s, to_redis, i);
    make_reply(s);
}

void speech_free(struct speech *s) {
    for (size_t i = 0; i < s->n_requests; i++) message_free(&s->requests[i]);
    mem_free(s->requests);
    message_free(&s->reply);
    *s = (struct speech){0};
}

struct inlet *speech_inlet(const struct speech *s, struct error *e) {
    if (s->columns) return landing_new(s->is_get ? s->reply.bytes : 0, s->values, e);
    size_t reply_bytes = s->is_get ? s->reply.bytes / s->replies : 0;
    return rows_new(reply_bytes);
}

/* Four values of a landing, from `first`, are this column. */
static int check_column(const struct inlet *in, size_t first, const char *name, const char *type,
                        struct span shape, struct span payload, struct error *e) {
    const struct span wanted[4] = {span_of_string(name), span_of_string(type), shape, payload};
    static const char *const parts[4] = {"name", "type", "shape", "payload"};
    for (size_t i = 0; i < 4; i++) {
        struct span got = landing_value(in, first + i);
        if (span_equal(got, wanted[i])) continue;
        return error_set(e, ERROR_ERR, "column %s came back with a wrong %s: %s, %s expected", name,
                         parts[i], QUOTE(got), QUOTE(wanted[i]));
    }
    return 0;
}

int speech_check_landed(const struct speech *s, const struct inlet *in, struct error *e) {
    const struct batch *b = s->batch;
    size_t shape_bytes = b->samples * sizeof(uint32_t);
    if (landing_values(in) != s->values)
        return error_set(e, ERROR_ERR, "a batch came back as %zu values, %llu expected",
                         landing_values(in), (unsigned long long)s->values);
    int code = check_column(in, 0, "@key", "bytes", span_of(b->key_sizes, shape_bytes),
                            span_of(b->keys, b->samples * b->key_len), e);
    for (size_t i = 0; i < b->n_fields && !code; i++) {
        const struct batch_field *f = &b->fields[i];
        struct span shape = batch_read_shape(b, i);
        code = check_column(in, 4 * (i + 1), f->name, f->read_type, shape,
                            span_of(f->payload, batch_column_bytes(b, i)), e);
    }
    return code;
}
