/* See dump_ops.h. */
#include "tools/dump_ops.h"

#include "persist/opcodec.h"
#include "store/partition.h"
#include "tools/dump_value.h"
#include "tools/json.h"

static const char *const kinds[] = {
    [OP_PUT] = "put",         [OP_SAMPLE] = "take",   [OP_DELIVER] = "hand",  [OP_ACK] = "ack",
    [OP_EXPIRE] = "release",  [OP_EXTEND] = "extend", [OP_RESET] = "reset",   [OP_CLEAR] = "clear",
    [OP_ERASE] = "erase",     [OP_DEFINE] = "define", [OP_EXPECT] = "expect", [OP_SEAL] = "seal",
    [OP_DROP] = "drop",       [OP_ADOPT] = "adopt",   [OP_DONE] = "done",     [OP_NACK] = "nack",
    [OP_CONFIRM] = "confirm",
};

static void dump_seqs(struct json *j, const char *name, const uint64_t *seqs, size_t n) {
    json_begin(j, name, '[');
    for (size_t i = 0; i < n; i++) json_number(j, NULL, seqs[i]);
    json_end(j, ']');
}

static void dump_spans(struct json *j, const char *name, const struct span *spans, size_t n) {
    json_begin(j, name, '[');
    for (size_t i = 0; i < n; i++) json_text(j, NULL, spans[i]);
    json_end(j, ']');
}

/* {"field": {"type": …, "values": […]}} */
static void dump_columns(struct json *j, const char *what, const struct op_column *columns,
                         size_t n_columns, size_t n, struct scratch *scratch) {
    if (!n_columns) return;
    json_begin(j, what, '{');
    for (size_t i = 0; i < n_columns; i++) {
        json_name(j, columns[i].name);
        json_begin(j, NULL, '{');
        json_string(j, "type", DTYPE_NAME(&columns[i].type));
        json_begin(j, "values", '[');
        dump_values(j, &columns[i].type, &columns[i].values, n, scratch);
        json_end(j, ']');
        json_end(j, '}');
    }
    json_end(j, '}');
}

static void dump_put(struct json *j, const struct op_put *put, struct scratch *scratch) {
    dump_seqs(j, "seqs", put->seqs, put->n);
    if (put->n_new) dump_seqs(j, "new", put->new_seqs, put->n_new);
    if (put->n_new) dump_spans(j, "keys", put->keys, put->n_new);
    if (put->group_ids) {
        json_begin(j, "groups", '[');
        for (size_t i = 0; i < put->n; i++)
            json_text(j, NULL, put->group_ids[i].ptr ? put->group_ids[i] : span_of("", 0));
        json_end(j, ']');
    }
    dump_columns(j, "tags", put->tags, put->n_tags, put->n, scratch);
    dump_columns(j, "fields", put->columns, put->n_columns, put->n, scratch);
}

static void dump_select(struct json *j, const struct op_select *select) {
    if (select->task.ptr) json_text(j, "task", select->task);
    if (select->all)
        json_bool(j, "all", true);
    else
        dump_seqs(j, "seqs", select->seqs, select->n);
    if (select->lease.id) {
        json_number(j, "lease", select->lease.id);
        json_signed(j, "ends-ms", select->lease.ends_ms);
        if (select->lease.holder.len) json_text(j, "holder", select->lease.holder);
    }
    if (select->rank.given) {
        json_number(j, "rank", select->rank.rank);
        json_number(j, "batch", select->rank.batch);
    }
    if (select->once.holder.ptr) {
        json_text(j, "once", select->once.holder);
        json_number(j, "call", select->once.number);
        if (select->once.held_until_ms) json_signed(j, "held-until-ms", select->once.held_until_ms);
    }
    if (select->n_names)
        dump_spans(j, select->tags ? "tags" : "fields", select->names, select->n_names);
}

static void dump_define(struct json *j, const struct op_define *define) {
    const struct bounds *bounds = define->bounds;
    json_number(j, "maxsamples", bounds->samples);
    json_number(j, "maxbytes", bounds->bytes);
    if (bounds->ahead_task.ptr) json_text(j, "maxahead-task", bounds->ahead_task);
    json_number(j, "maxahead", bounds->ahead);
    dump_spans(j, "retire", bounds->retire, bounds->n_retire);
    dump_spans(j, "index", bounds->indexes, bounds->n_indexes);
    json_begin(j, "fields", '{');
    for (size_t i = 0; i < define->n_fields; i++) {
        json_name(j, define->fields[i].name);
        json_string(j, NULL, DTYPE_NAME(&define->fields[i].type));
    }
    json_end(j, '}');
}

static void dump_op(struct json *j, const struct op *op, struct scratch *scratch) {
    json_string(j, "op", kinds[op->kind]);
    if (op->partition.len) json_text(j, "partition", op->partition);
    json_signed(j, "now-ms", op->now_ms);
    switch (op->kind) {
    case OP_PUT: dump_put(j, &op->put, scratch); break;
    case OP_DEFINE: dump_define(j, &op->define); break;
    case OP_EXPECT: json_number(j, "samples", op->expected); break;
    case OP_ADOPT:
        json_text(j, "source", op->adopt.source);
        dump_spans(j, "partitions", op->adopt.names, op->adopt.n_names);
        break;
    case OP_SEAL:
    case OP_DROP: break;
    default: dump_select(j, &op->select);
    }
}

int dump_ops(uint64_t lsn, struct span body, struct scratch *scratch, struct error *e) {
    struct unpack in = unpack_of(body);
    while (unpack_left(&in)) {
        struct json j = {0};
        struct op op;
        int failed = opcodec_decode(NULL, &in, scratch, &op, e);
        if (failed) return failed;
        json_begin(&j, NULL, '{');
        json_number(&j, "frame", lsn);
        dump_op(&j, &op, scratch);
        json_end(&j, '}');
        json_line(&j);
        scratch_reset(scratch);
    }
    return 0;
}
