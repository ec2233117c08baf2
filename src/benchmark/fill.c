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
    commands_mput(&f->message, f->partition, f->batch);
    message_seal(&f->message);
    *m = (struct drive_message){f->message.iov, f->message.n_iov, 1};
    return true;
}

int fill_partition(const struct link_address *a, enum link_transport transport, int buffer,
                   const char *partition, struct batch *b, size_t times, struct error *e) {
    struct filling filling = {.partition = partition, .batch = b, .times = times};
    struct drive_source source = {next_batch, &filling};
    struct drive_time time = {0};
    struct drive drive;
    struct inlet *in = landing_new(0, 0, e);
    if (!in) return e->code;
    int code = drive_open(&drive, a, transport, buffer, 1, 1, &in, e);
    if (code) return code;
    code = drive_run(&drive, &source, &time, e);
    if (!code && in->sum != (int64_t)(times * b->samples))
        code = error_set(e, ERROR_ERR, "%lld samples were new to %s, %zu expected",
                         (long long)in->sum, partition, times * b->samples);
    message_free(&filling.message);
    drive_close(&drive);
    return code;
}
