/* Any bytes, in any pieces, through the reply reader; what it makes of them back through the reply
 * writer; and the bulks of a reply as a request, through the request writer and parser.
 *
 * An input is: one byte that chooses the limits, one that says how many piece sizes follow, these
 * (each a byte, used in turn; 0 stands for all that is left), then the stream. No more than 300
 * pieces are made. What must hold: items stand where they must and direct memory is filled exactly
 * (support/listen.h checks), the outcome is the same whole and in pieces, items that the reply
 * writer can write are read again as the same items, and bulks that are the arguments of a request
 * are parsed as those arguments. */
#include <stdint.h>

#include "../support/listen.h"
#include "wire/reply.h"
#include "wire/request_writer.h"
#include "wire/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct reply_reader_limits FUZZ_LIMITS[] = {
    {.buffer = 0, .direct_from = 8, .max_bulk = 64},
    {.buffer = 4096, .direct_from = 100, .max_bulk = 8192},
    {.buffer = 200, .direct_from = 0, .max_bulk = 1000},
    {.buffer = 300, .direct_from = SIZE_MAX, .max_bulk = 100000},
};
enum { FUZZ_LIMITS_N = sizeof(FUZZ_LIMITS) / sizeof(*FUZZ_LIMITS) };
static const size_t FUZZ_REFUSE_FROM[FUZZ_LIMITS_N] = {32, 4000, SIZE_MAX, 9000};

static struct reply_pool *fuzz_pool;

struct fuzz_again {
    struct reply reply;            /* the items, written again */
    struct request_writer request; /* its bulks */
    struct span argv[64];          /* copies */
    size_t argc;
    bool is_writable; /* the reply writer has a verb for each item so far */
};

static void fuzz_write(struct fuzz_again *a, const struct reply_item *item) {
    struct reply *r = &a->reply;
    switch (item->kind) {
    case REPLY_ITEM_STATUS: {
        char text[5000];
        /* A C string, written without controls. */
        for (size_t i = 0; i < item->bytes.len; i++)
            if ((unsigned char)item->bytes.ptr[i] < ' ') a->is_writable = false;
        snprintf(text, sizeof(text), "%.*s", SPAN_ARG(item->bytes));
        if (a->is_writable) reply_status(r, text);
        break;
    }
    case REPLY_ITEM_INTEGER: reply_integer(r, item->integer); break;
    case REPLY_ITEM_DOUBLE: reply_double(r, item->number); break;
    case REPLY_ITEM_BOOLEAN: reply_boolean(r, item->integer); break;
    case REPLY_ITEM_NULL: reply_null(r); break;
    case REPLY_ITEM_BULK: reply_bulk(r, item->bytes); break;
    case REPLY_ITEM_ARRAY: reply_array(r, item->count); break;
    case REPLY_ITEM_MAP: reply_map(r, item->count / 2); break;
    case REPLY_ITEM_SET: reply_set(r, item->count); break;
    case REPLY_ITEM_PUSH: reply_push(r, item->count); break;
    default: a->is_writable = false; /* errors, attributes, … */
    }
}

static void fuzz_seen(void *context, const struct reply_item *item) {
    struct fuzz_again *a = context;
    if (item->is_refused) a->is_writable = false;
    if (a->is_writable) fuzz_write(a, item);
    if (item->kind != REPLY_ITEM_BULK || item->is_refused || a->argc == 64) return;
    size_t len = item->bytes.len;
    char *copy = malloc(len + 1);
    if (len) memcpy(copy, item->bytes.ptr, len);
    a->argv[a->argc++] = span_of(copy, len);
}

/* The same transcript comes out of what was written. The last item may be half of a reply. */
static void fuzz_check_reply(struct fuzz_again *a, const struct listen *l, size_t limits) {
    if (!a->is_writable || l->broken) return;
    struct listen again;
    listen_init(&again, &FUZZ_LIMITS[limits], FUZZ_REFUSE_FROM[limits]);
    while (a->reply.pending) {
        struct iovec iov;
        LISTEN_CHECK(reply_peek(&a->reply, &iov, 1) == 1);
        listen_piece(&again, iov.iov_base, iov.iov_len);
        reply_sent(&a->reply, iov.iov_len);
    }
    LISTEN_CHECK(!strcmp(again.transcript, l->transcript));
    listen_free(&again);
}

static void fuzz_check_request(struct fuzz_again *a) {
    static const struct resp_limits limits = {.max_args = 64,
                                              .max_bulk = SIZE_MAX,
                                              .max_inline = 0,
                                              .max_total = SIZE_MAX,
                                              .direct_from = SIZE_MAX};
    struct resp_parser p;
    struct error error;
    size_t n, at = 0;
    request_writer_begin(&a->request, a->argc);
    for (size_t i = 0; i < a->argc; i++) request_writer_ref(&a->request, a->argv[i]);
    const struct iovec *iov = request_writer_iov(&a->request, &n);
    char *run = malloc(a->request.bytes);
    for (size_t i = 0; i < n; at += iov[i++].iov_len)
        memcpy(run + at, iov[i].iov_base, iov[i].iov_len);
    LISTEN_CHECK(at == a->request.bytes);
    resp_init(&p, &limits, NULL);
    LISTEN_CHECK(resp_parse(&p, span_of(run, at), &error) == RESP_COMMAND);
    LISTEN_CHECK(p.used == at && p.argc == a->argc);
    for (size_t i = 0; i < p.argc; i++) LISTEN_CHECK(span_equal(p.argv[i].bytes, a->argv[i]));
    resp_free(&p);
    free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size - 2 < data[1] % 16u) return 0;
    size_t limits = data[0] % FUZZ_LIMITS_N, n_sizes = data[1] % 16u;
    const uint8_t *sizes = data + 2;
    const char *stream = (const char *)sizes + n_sizes;
    size_t len = size - 2 - n_sizes;
    if (!fuzz_pool) fuzz_pool = reply_pool_new();

    struct fuzz_again again = {.is_writable = true};
    struct listen whole, pieces;
    reply_init(&again.reply, fuzz_pool);
    again.reply.protocol = 3;
    listen_init(&whole, &FUZZ_LIMITS[limits], FUZZ_REFUSE_FROM[limits]);
    whole.seen = fuzz_seen;
    whole.context = &again;
    listen_piece(&whole, stream, len);
    fuzz_check_reply(&again, &whole, limits);
    fuzz_check_request(&again);

    listen_init(&pieces, &FUZZ_LIMITS[limits], FUZZ_REFUSE_FROM[limits]);
    for (size_t at = 0, i = 0; at < len; i++) {
        size_t n = n_sizes ? sizes[i % n_sizes] : 1;
        if (n == 0 || n > len - at || i == 300) n = len - at;
        listen_piece(&pieces, stream + at, n);
        at += n;
    }
    LISTEN_CHECK(whole.broken == pieces.broken);
    LISTEN_CHECK(!strcmp(whole.transcript, pieces.transcript));
    listen_free(&whole);
    listen_free(&pieces);
    for (size_t i = 0; i < again.argc; i++) free((void *)(uintptr_t)again.argv[i].ptr);
    request_writer_free(&again.request);
    reply_drop(&again.reply);
    return 0;
}
