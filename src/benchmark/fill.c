/* See fill.h. */
#include "benchmark/fill.h"

#include "benchmark/commands.h"
#include "benchmark/drive.h"

struct filling {
    const char *partition;
    struct batch *batch;
    size_t done, times;
    struct message message; /* the one on its way */
};

static bool next_batch(void *context, size_t connection, struct drive_message *m) {
    struct filling *f = context;
    (void)connection;
    message_free(&f->message);
    if (f->done == f->times) return false;
    batch_number_keys(f->batch, f->done++ * f->batch->samples);
    if (f->partition)
        commands_mput(&f->message, f->partition, f->batch);
    else
        commands_hset_rows(&f->message, f->batch);
    message_seal(&f->message);
    *m = (struct drive_message){f->message.iov, f->message.n_iov,
                                f->partition ? 1 : f->batch->samples};
    return true;
}

int fill_partition(const struct link_address *a, enum link_transport transport, int buffer,
                   const char *partition, struct batch *b, size_t times, struct error *e) {
    struct filling filling = {.partition = partition, .batch = b, .times = times};
    struct drive_source source = {next_batch, &filling};
    struct drive_time time = {0};
    struct drive drive;
    /* Redis counts fields that are new, tq samples. */
    int64_t wanted = (int64_t)(times * b->samples * (partition ? 1 : b->n_fields));
    struct inlet *in = partition ? landing_new(0, 0, e) : rows_new(0);
    if (!in) return e->code;
    int code = drive_open(&drive, a, transport, buffer, 1, 1, &in, e);
    if (code) return code;
    code = drive_run(&drive, &source, &time, e);
    if (!code && in->sum != wanted)
        code = error_set(e, ERROR_ERR, "%lld samples were new to %s, %lld expected",
                         (long long)in->sum, partition ? partition : "redis", (long long)wanted);
    message_free(&filling.message);
    drive_close(&drive);
    return code;
}
