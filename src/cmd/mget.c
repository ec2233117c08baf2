/* TQ.MGET: samples out, by key. */
#include "cmd/cmd.h"
#include "cmd/columns.h"
#include "cmd/render.h"

#include "request/mget.h"
#include "server/client.h"
#include "server/command.h"
#include "server/server.h"

/* The samples asked for, resolved: seqs[i] is SEQ_NONE for an unknown key. */
struct mget_rows {
    const struct partition *partition;
    const struct column **columns;
    uint64_t *seqs;
    size_t n;
};

/* The first cell of FIELDS that the sample does not have; n_fields where it has them all. */
static size_t mget_gap(const struct mget *mget, const struct mget_rows *rows, uint64_t seq) {
    size_t i = 0;
    while (i < mget->n_fields && rows->columns[i] && column_has(rows->columns[i], seq)) i++;
    return i;
}

static int mget_missing_error(const struct mget *mget, const struct mget_rows *rows, size_t i,
                              struct error *e) {
    if (rows->seqs[i] == SEQ_NONE)
        return error_set(e, ERROR_NOKEY, "no sample %s in partition %s", QUOTE(mget->keys[i]),
                         QUOTE(mget->partition));
    size_t gap = mget_gap(mget, rows, rows->seqs[i]);
    if (gap == mget->n_fields) return 0;
    return error_set(e, ERROR_NOTREADY, "sample %s has no field %s", QUOTE(mget->keys[i]),
                     QUOTE(mget->fields[gap]));
}

/* Look everything up before a byte is written, so that an error is the whole reply. */
static int mget_resolve(struct client *c, const struct mget *mget, struct mget_rows *rows,
                        struct error *e) {
    rows->partition = store_find(c->server->store, mget->partition);
    rows->columns = render_columns(c, rows->partition, mget->n_fields, mget->fields);
    rows->seqs = scratch_alloc(&c->server->scratch, mget->n_keys, sizeof(*rows->seqs));
    rows->n = 0;
    for (size_t i = 0; i < mget->n_keys; i++) {
        uint64_t seq = rows->partition ? partition_find(rows->partition, mget->keys[i]) : SEQ_NONE;
        if (mget->missing == MISSING_SKIP &&
            (seq == SEQ_NONE || mget_gap(mget, rows, seq) < mget->n_fields))
            continue;
        rows->seqs[rows->n++] = seq;
        if (mget->missing != MISSING_ERROR) continue;
        int failed = mget_missing_error(mget, rows, i, e);
        if (failed) return failed;
    }
    return 0;
}

/* The fields that all of the samples have. */
static void mget_common_fields(struct client *c, struct mget *mget, struct mget_rows *rows) {
    const struct column_set *set = &rows->partition->fields;
    struct scratch *scratch = &c->server->scratch;
    struct span *names = scratch_alloc(scratch, set->count, sizeof(*names));
    rows->columns = scratch_alloc(scratch, set->count, sizeof(*rows->columns));
    for (size_t i = 0; i < set->count; i++) {
        size_t have = 0;
        while (have < rows->n && column_has(set->columns[i], rows->seqs[have])) have++;
        if (have < rows->n) continue;
        names[mget->n_fields] = column_name(set->columns[i]);
        rows->columns[mget->n_fields++] = set->columns[i];
    }
    mget->fields = names;
}

static void mget_write_columns(struct client *c, struct mget *mget, struct mget_rows *rows) {
    struct columns columns;
    struct error e;
    if (!rows->partition) { /* only SKIP comes here: there is nothing to name columns by */
        reply_array(&c->reply, 0);
        return;
    }
    if (mget->n_fields == 0) mget_common_fields(c, mget, rows);
    if (columns_open(c, rows->partition, rows->seqs, rows->n, rows->columns, mget->fields,
                     mget->n_fields, &columns, &e))
        reply_error(&c->reply, &e);
    else
        columns_write(c, &columns);
}

/* Without FIELDS, all that there are may come. Values as text are cut short. */
static uint64_t mget_estimate(const struct client *c, const struct mget *mget,
                              const struct mget_rows *rows) {
    if (!rows->partition || mget->form == FORM_TEXT) return 0;
    const struct column_set *set = &rows->partition->fields;
    const struct column *const *all = (const struct column *const *)set->columns;
    return mget->n_fields
               ? render_estimate(c, rows->partition, rows->seqs, rows->n, rows->columns,
                                 mget->n_fields)
               : render_estimate(c, rows->partition, rows->seqs, rows->n, all, set->count);
}

static void mget_run(struct client *c) {
    struct mget mget;
    struct mget_rows rows;
    struct error e;
    if (args_parse(&request_mget_syntax, c->argv, c->argc, &c->server->scratch, &mget, &e) ||
        mget_resolve(c, &mget, &rows, &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    if (client_check_reply(c, mget_estimate(c, &mget, &rows), &e)) {
        reply_error(&c->reply, &e);
        return;
    }
    if (mget.form == FORM_COLUMNS) {
        mget_write_columns(c, &mget, &rows);
        return;
    }
    reply_array(&c->reply, rows.n);
    for (size_t i = 0; i < rows.n; i++) {
        if (rows.seqs[i] == SEQ_NONE) {
            reply_null(&c->reply);
        } else if (mget.n_fields == 0) {
            render_map(c, rows.partition, rows.seqs[i], mget.form);
        } else {
            reply_array(&c->reply, mget.n_fields);
            for (size_t f = 0; f < mget.n_fields; f++)
                render_value(c, rows.columns[f], rows.seqs[i], mget.form);
        }
    }
}

static const struct command mget_commands[] = {
    {
        .name = "tq.mget",
        .summary = "Read fields of samples by key",
        .group = "samples",
        .complexity = "O(N*M) with N keys and M fields",
        .arity = -5,
        .flags = COMMAND_READONLY,
        .run = mget_run,
        .syntax = &request_mget_syntax,
    },
    {0},
};

void cmd_mget_register(void) {
    command_register(mget_commands);
}
