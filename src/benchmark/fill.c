/* See fill.h. */
#include "benchmark/fill.h"

#include "benchmark/commands.h"
#include "benchmark/drive.h"

struct filling {
    const char *partition;
    struct batch *batch;
    size_t done, times;
    struct request_writer request; /* the one on its way */
};

static bool next_batch(void *context, size_t connection, struct drive_message *m) {
    struct filling *f = context;
    (void)connection;
    request_writer_clear(&f->request);
    if (f->done == f->times) return false;
    batch_number_keys(f->batch, f->done++ * f->batch->samples);
    commands_mput(&f->request, f->partition, f->batch);
    *m = (struct drive_message){.replies = 1};
    m->iov = request_writer_iov(&f->request, &m->n_iov);
    return true;
}

int fill_partition(const struct link_address *a, enum link_transport transport, int buffer,
                   const char *partition, struct batch *b, size_t times, struct error *e) {
    struct filling filling = {.partition = partition, .batch = b, .times = times};
    struct drive_source source = {next_batch, &filling};
    struct drive_time time = {0};
    struct drive drive;
    int64_t wanted = (int64_t)(times * b->samples);
    struct replies *replies = replies_new_columns(0, 0, e);
    if (!replies) return e->code;
    int failed = drive_open(&drive, a, transport, buffer, 1, 1, &replies, e);
    if (failed) return failed;
    failed = drive_run(&drive, &source, &time, e);
    int64_t fresh = replies_count(replies)->sum;
    if (!failed && fresh != wanted)
        failed = error_set(e, ERROR_ERR, "%lld samples were new to %s, %lld expected",
                           (long long)fresh, partition, (long long)wanted);
    request_writer_free(&filling.request);
    drive_close(&drive);
    return failed;
}
